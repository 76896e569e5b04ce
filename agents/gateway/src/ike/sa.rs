//! One IKE SA: what is known of it, and what it waits for.
//!
//! ```text
//!   initiator                                              responder
//!   ExpectInitResponse ── IKE_SA_INIT ──────────────────▶  (a stateless front door, see `init.rs`)
//!                      ◀─────────────────────────────────  ExpectIntermediate / ExpectAuthRequest
//!   ExpectIntermediate ── IKE_INTERMEDIATE (RFC 9242) ──▶  … as often as key exchanges were agreed upon
//!   ExpectAuthResponse ── IKE_AUTH ─────────────────────▶  ExpectAuthRequest, ExpectEap, ExpectEapAuth
//!   Established        ◀─────────────────────────────────  Established
//!   Replaced: a re-keyed SA took over, its DELETE is awaited.   Closing: our DELETE is under way.   Gone: to be forgotten.
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::child::{Child, ChildRequest, Phase};
use super::eap::Eap;
use super::followup::ExpectFollowUp;
use super::keys::{Nonces, SaKeys};
use super::natt::Nat;
use super::proposal::Chosen;
use super::timer::Timers;
use super::window::Window;
use crate::crypto::{Group, Initiator};
use crate::time::Time;

/// Who sent the first message of this IKE SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Initiator,
    Responder,
}

/// See the module's picture.
pub(crate) enum State {
    ExpectInitResponse(Box<InitRequest>),
    ExpectIntermediateResponse(Box<Setup>),
    ExpectAuthResponse(Box<Setup>),
    ExpectIntermediate(Box<Setup>),
    ExpectAuthRequest(Box<Setup>),
    ExpectEap(Box<Setup>),
    ExpectEapAuth(Box<Setup>),
    Established,
    Replaced,
    Closing,
    Gone,
}

impl State {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            State::ExpectInitResponse(_) => "expects the response to IKE_SA_INIT",
            State::ExpectIntermediateResponse(_) => "expects the response to IKE_INTERMEDIATE",
            State::ExpectAuthResponse(_) => "expects the response to IKE_AUTH",
            State::ExpectIntermediate(_) => "expects IKE_INTERMEDIATE",
            State::ExpectAuthRequest(_) => "expects IKE_AUTH",
            State::ExpectEap(_) => "expects an EAP response",
            State::ExpectEapAuth(_) => "expects AUTH after EAP",
            State::Established => "established",
            State::Replaced => "replaced, expects DELETE",
            State::Closing => "closing, expects the response to DELETE",
            State::Gone => "gone",
        }
    }
}

/// An initiator's first request, for as long as it may have to be changed (COOKIE, INVALID_KE_PAYLOAD).
pub(crate) struct InitRequest {
    pub(crate) ke: Initiator,
    pub(crate) nonce: Vec<u8>,
    pub(crate) cookie: Option<Vec<u8>>,
    /// How often it was changed.
    pub(crate) changes: u32,
    /// Groups that were refused.
    pub(crate) refused: Vec<Group>,
}

/// What the set-up must remember until the IKE SA is established.
pub(crate) struct Setup {
    /// IKE_SA_INIT as it was sent, for AUTH (RFC 7296 §2.15).
    pub(crate) init_request: Vec<u8>,
    pub(crate) init_response: Vec<u8>,
    pub(crate) nonces: Nonces,
    /// Additional key exchanges still to be done.
    pub(crate) additional: VecDeque<(u8, Group)>,
    /// The initiator's part of the one under way.
    pub(crate) ke: Option<Initiator>,
    /// IntAuth_i and IntAuth_r so far (RFC 9242 §3.3.2); empty without IKE_INTERMEDIATE.
    pub(crate) int_auth: [Vec<u8>; 2],
    /// Number of IKE_AUTH's first request.
    pub(crate) auth_id: u32,
    /// The peer's identity as it was told: type and data.
    pub(crate) peer_id: Option<(u8, Vec<u8>)>,
    /// EAP under way.
    pub(crate) eap: Option<Eap>,
    /// The child that is negotiated along with IKE_AUTH: ours as initiator.
    pub(crate) child: Option<ChildRequest>,
    /// The peer's first IKE_AUTH request, for the child that it asks for: responder with EAP.
    pub(crate) asked: Vec<wire::ike::Payload>,
    /// Did the peer send CERTREQ?
    pub(crate) certificate_wanted: bool,
}

/// What the peer has announced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) fragmentation: bool,
    pub(crate) intermediate: bool,
    pub(crate) childless: bool,
    pub(crate) mobike: bool,
    /// RFC 7427 hash algorithms.
    pub(crate) hashes: Vec<u16>,
}

/// Something to begin when no other request is outstanding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// A child SA: which of the connection's.
    NewChild(usize),
    /// New keys for the child SA with this inbound SPI.
    RekeyChild(u32),
    /// New keys for the IKE SA.
    RekeyIke,
    /// DELETE for child SAs with these inbound SPIs.
    DeleteChild(u32),
    /// DELETE for the IKE SA.
    DeleteIke,
    /// An empty INFORMATIONAL.
    Liveness,
    /// UPDATE_SA_ADDRESSES (RFC 4555 §3.5).
    Addresses,
    /// Does the peer answer from where it says that it is (RFC 4555 §3.7)?
    PathTest,
    /// Tell the peer why its authentication was not accepted, and end (RFC 7296 §2.21.2).
    Refuse(u16),
}

/// A re-keying that the peer began while ours was under way (RFC 7296 §2.8.1, §2.8.2).
pub(crate) struct Collision {
    /// The new IKE SA that came of theirs; `None`: it is not over yet.
    pub(crate) theirs: Option<Box<IkeSa>>,
    /// The lowest nonce of theirs.
    pub(crate) lowest: Vec<u8>,
}

/// The peer's re-keying of a child SA that crossed ours (RFC 7296 §2.8.1). The old child may be gone before our response comes.
pub(crate) struct Crossed {
    /// Inbound SPI of the old child.
    pub(crate) old: u32,
    /// Inbound SPI of the successor that came of theirs; `None`: it is not over yet.
    pub(crate) theirs: Option<u32>,
    /// The lowest nonce of theirs.
    pub(crate) lowest: Vec<u8>,
}

/// One IKE SA.
pub(crate) struct IkeSa {
    pub(crate) role: Role,
    pub(crate) spi_i: u64,
    pub(crate) spi_r: u64,
    /// Index of its connection.
    pub(crate) connection: usize,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Where the last request came to and from: its response goes back that way (RFC 7296 §2.11).
    pub(crate) reply: (SocketAddr, SocketAddr),
    pub(crate) state: State,
    pub(crate) chosen: Option<Chosen>,
    pub(crate) keys: Option<SaKeys>,
    pub(crate) window: Window,
    pub(crate) nat: Nat,
    pub(crate) announced: Announced,
    /// The peer's identity, once it is proven.
    pub(crate) peer_id: Option<(u8, Vec<u8>)>,
    pub(crate) children: Vec<Child>,
    pub(crate) tasks: VecDeque<Task>,
    pub(crate) timers: Timers,
    pub(crate) last_heard: Time,
    pub(crate) last_sent: Time,
    /// The set-up's number among those of its connection, from 1.
    pub(crate) attempt: u32,
    /// The children that an initiator's set-up is for. The first comes with IKE_AUTH.
    pub(crate) wanted: Vec<usize>,
    /// Own SPI of the IKE SA that this one re-authenticates.
    pub(crate) replaces: Option<u64>,
    /// Its successor carries the traffic already.
    pub(crate) gives_way: bool,
    pub(crate) collision: Option<Collision>,
    pub(crate) crossed: Option<Crossed>,
    /// SPIs that the peer has deleted while we were asking for a child SA: its DELETE may have overtaken the response that tells us of
    /// them. The last few.
    pub(crate) closed_early: VecDeque<u32>,
    /// What the peer asked for in CREATE_CHILD_SA and has not finished yet.
    pub(crate) follow_ups: Vec<ExpectFollowUp>,
    /// How often in a row the peer had forgotten what we asked for in CREATE_CHILD_SA.
    pub(crate) forgotten: u32,
    /// The address that the peer gave us (RFC 7296 §3.15).
    pub(crate) virtual_ip: Option<std::net::IpAddr>,
    /// The address that we gave the peer.
    pub(crate) leased: Option<std::net::IpAddr>,
}

impl IkeSa {
    pub(crate) fn new(role: Role, connection: usize, spis: (u64, u64), local: SocketAddr, remote: SocketAddr, now: Time) -> IkeSa {
        IkeSa {
            role,
            spi_i: spis.0,
            spi_r: spis.1,
            connection,
            local,
            remote,
            reply: (local, remote),
            state: State::Established,
            chosen: None,
            keys: None,
            window: Window::default(),
            nat: Nat::default(),
            announced: Announced::default(),
            peer_id: None,
            children: Vec::new(),
            tasks: VecDeque::new(),
            timers: Timers::default(),
            last_heard: now,
            last_sent: now,
            attempt: 1,
            wanted: Vec::new(),
            replaces: None,
            gives_way: false,
            collision: None,
            crossed: None,
            closed_early: VecDeque::new(),
            follow_ups: Vec::new(),
            forgotten: 0,
            virtual_ip: None,
            leased: None,
        }
    }

    /// The SPI that we chose: the key under which the gateway keeps it.
    pub(crate) fn own_spi(&self) -> u64 {
        match self.role {
            Role::Initiator => self.spi_i,
            Role::Responder => self.spi_r,
        }
    }

    pub(crate) fn spis(&self) -> (u64, u64) {
        (self.spi_i, self.spi_r)
    }

    /// Not authenticated yet.
    pub(crate) fn is_half_open(&self) -> bool {
        matches!(self.state, State::ExpectIntermediate(_) | State::ExpectAuthRequest(_) | State::ExpectEap(_) | State::ExpectEapAuth(_))
    }

    pub(crate) fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Is there such a child, by index among the connection's, that stays?
    pub(crate) fn has_child(&self, index: usize) -> bool {
        self.children.iter().any(|c| c.index == index && c.phase != Phase::Deleting)
    }

    /// Which of the connection's children are there.
    pub(crate) fn child_indices(&self) -> Vec<usize> {
        let indices: BTreeSet<usize> = self.children.iter().map(|c| c.index).collect();
        indices.into_iter().collect()
    }

    /// An initiator's set-up is under way.
    pub(crate) fn is_being_set_up(&self) -> bool {
        matches!(self.state, State::ExpectInitResponse(_) | State::ExpectIntermediateResponse(_) | State::ExpectAuthResponse(_))
    }
}
