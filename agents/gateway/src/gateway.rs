//! The front door's face: what comes in, what is wanted, what became of it. `front.rs` sorts what arrives.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use peer::{Connection, GatewayConfig, GatewayEvent, IkeMode, Keys};

use crate::crypto::Rng;
use crate::esp::DataPath;
use crate::ike::context::{ChildProfile, Context, Order, Profile};
use crate::ike::proposal::Suite;
use crate::ike::sa::IkeSa;
use crate::time::Time;

/// What the gateway wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this UDP datagram (on port 4500 the non-ESP marker is there already).
    Datagram {
        /// Own address and port.
        from: SocketAddr,
        /// Where to.
        to: SocketAddr,
        /// Payload.
        data: Vec<u8>,
    },
    /// Hand this packet to the inside.
    Inner(Vec<u8>),
    /// From now on exactly the inner packets to these prefixes must come to [`Gateway::handle_inner`].
    Routes(Vec<IpNet>),
    /// From now on the inside has exactly these addresses (RFC 7296 §3.15).
    Addresses(Vec<IpAddr>),
    /// Something that the lab wants to know.
    Event(GatewayEvent),
    /// Bringing a connection up has failed.
    Failed {
        /// Connection.
        connection: String,
        /// Why, in words.
        reason: String,
    },
    /// New keys.
    Keys(Keys),
    /// A line for the log.
    Log(LogEntry),
}

/// A line of the gateway's log: what changed, and why.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LogEntry {
    /// Since the gateway was made, seconds.
    pub at: f64,
    /// Connection, when it is about one.
    pub connection: Option<String>,
    /// SPIs of the IKE SA, hexadecimal, initiator's first.
    pub ike_sa: Option<String>,
    /// What, in words.
    pub text: String,
}

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Bring a connection's child SAs up, and its IKE SA when there is none. With a child's name: that one.
    Initiate(String),
    /// Re-key a child SA. The first of a connection is called as the connection.
    RekeyChild(String),
    /// Re-key a connection's IKE SA.
    RekeyIke(String),
    /// Close a connection's IKE SA, with DELETE.
    Close(String),
    /// Close everything, with DELETEs.
    Shutdown,
    /// An own address has changed (RFC 4555 §3.5).
    Moved {
        /// What it was.
        from: IpAddr,
        /// What it is.
        to: IpAddr,
    },
    /// Packets to `to` of more than `mtu` octets do not pass.
    PathMtu {
        /// The peer's address.
        to: IpAddr,
        /// Octets, outer IP header included.
        mtu: u16,
    },
    /// The own outer link lets packets of this many octets pass.
    LinkMtu(u16),
}

/// Outer header of an ESP packet that must be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer {
    /// Own address.
    pub from: IpAddr,
    /// The peer's address.
    pub to: IpAddr,
    /// Own and peer's UDP port; `None`: IP protocol 50.
    pub ports: Option<(u16, u16)>,
    /// TOS or Traffic Class octet: DSCP and ECN.
    pub tos: u8,
    /// Set IPv4's DF bit.
    pub df: bool,
}

/// What became of a packet. Its octets are in the `out` that was passed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `out` is an ESP packet (from the SPI on): send it.
    Send(Outer),
    /// `out` is an inner packet: hand it to the inside.
    Deliver,
    /// Nothing to do for this packet.
    Nothing,
}

/// Policies below this are traps, by their place among all children.
pub(crate) const FIRST_CHILD_POLICY: u32 = 100_000;

/// A datagram that is looked at later, for misbehaviour with what arrives.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) data: Vec<u8>,
}

/// A set-up that begins later.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) at: Time,
    pub(crate) connection: usize,
    pub(crate) children: Vec<usize>,
    pub(crate) attempt: u32,
}

/// One gateway.
pub struct Gateway {
    pub(crate) config: GatewayConfig,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) path: DataPath,
    /// By own SPI.
    pub(crate) sas: BTreeMap<u64, IkeSa>,
    /// Half-open IKE SAs by who asked for them: own SPI.
    pub(crate) half_open: BTreeMap<(SocketAddr, u64), u64>,
    /// Half-open IKE SAs of an address.
    pub(crate) half_open_of: BTreeMap<IpAddr, u32>,
    pub(crate) cookie_secret: Vec<u8>,
    pub(crate) rng: Rng,
    pub(crate) wall: i64,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) later: Vec<(Time, Effect)>,
    pub(crate) arrivals: Vec<(Time, Arrival)>,
    pub(crate) orders: Vec<Order>,
    /// Requests that have not left yet: own SPI of their IKE SA, and how long a response may take.
    pub(crate) unsent: Vec<(u64, Duration)>,
    /// Set-ups that begin later.
    pub(crate) planned: Vec<Planned>,
    pub(crate) next_policy: u32,
    pub(crate) leases: Vec<(usize, IpAddr, String)>,
    pub(crate) routes: Vec<IpNet>,
    pub(crate) addresses: Vec<IpAddr>,
}

impl Gateway {
    /// A gateway that knows nothing yet. The same `seed` and inputs give the same octets. `wall` is the date at [`Time::ZERO`], seconds
    /// since 1970; only certificates need it. `inside` are the node's own addresses, the first of each family being the
    /// source of ICMP errors. `Err`: a setting that it does not do, and why.
    pub fn new(config: GatewayConfig, seed: [u8; 32], wall: i64, inside: &[IpAddr]) -> Result<Gateway, String> {
        let profiles = config.connections.iter().map(profile).collect::<Result<Vec<_>, _>>()?;
        let mut rng = Rng::new(seed);
        let wall = wall.saturating_add(config.clock_offset);
        let mut gateway = Gateway {
            profiles,
            path: DataPath::new(inside),
            sas: BTreeMap::new(),
            half_open: BTreeMap::new(),
            half_open_of: BTreeMap::new(),
            cookie_secret: rng.bytes(32),
            rng,
            wall,
            effects: VecDeque::new(),
            later: Vec::new(),
            arrivals: Vec::new(),
            orders: Vec::new(),
            unsent: Vec::new(),
            planned: Vec::new(),
            next_policy: FIRST_CHILD_POLICY,
            leases: Vec::new(),
            routes: Vec::new(),
            addresses: Vec::new(),
            config,
        };
        gateway.start();
        Ok(gateway)
    }

    /// What must be done next; to be called until there is nothing.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Everything that [`Gateway::poll_effect`] gave has been done by `now`. A response is waited for from here on: on a busy machine
    /// signing alone takes as long as the network, and RFC 7296 §2.4 counts from the sending.
    pub fn sent(&mut self, now: Time) {
        for (own_spi, patience) in self.unsent.drain(..) {
            if let Some(sa) = self.sas.get_mut(&own_spi) {
                sa.await_response(now + patience);
            }
        }
    }

    /// When [`Gateway::handle_timeout`] wants to be called, and what for.
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let of_sas = self.sas.values().filter_map(IkeSa::poll_timeout);
        let planned = self.planned.iter().map(|p| (p.at, "a set-up that begins later"));
        let later = self.later.iter().map(|(at, _)| (*at, "a delayed message"));
        let arrivals = self.arrivals.iter().map(|(at, _)| (*at, "a delayed arrival"));
        of_sas.chain(planned).chain(later).chain(arrivals).min()
    }

    /// Does `work` with an IKE SA, and then what it has ordered. `None`: it is gone.
    pub(crate) fn with_sa<T>(&mut self, now: Time, own_spi: u64, work: impl FnOnce(&mut IkeSa, &mut Context<'_>) -> T) -> Option<T> {
        let mut sa = self.sas.remove(&own_spi)?;
        let connection = sa.connection;
        let was_half_open = sa.is_half_open();
        let result = self.with_context(now, Some(connection), |ctx| work(&mut sa, ctx));
        if was_half_open && !sa.is_half_open() {
            self.settle_half_open(sa.remote, sa.spi_i, own_spi);
        }
        if !sa.is_gone() {
            self.sas.insert(own_spi, sa);
        }
        self.carry_out_orders(now);
        Some(result)
    }

    /// Lends the gateway's parts. IKE SAs that come into being meanwhile are kept.
    pub(crate) fn with_context<T>(&mut self, now: Time, connection: Option<usize>, work: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let first_contact = connection.is_some_and(|c| !self.sas.values().any(|sa| sa.connection == c && sa.is_established()));
        let mut born = Vec::new();
        let wall = self.wall.saturating_add(i64::try_from(now.0.as_secs()).unwrap_or(i64::MAX));
        let result = work(&mut Context {
            now,
            config: &self.config,
            profiles: &self.profiles,
            rng: &mut self.rng,
            path: &mut self.path,
            effects: &mut self.effects,
            later: &mut self.later,
            wall,
            born: &mut born,
            orders: &mut self.orders,
            unsent: &mut self.unsent,
            next_policy: &mut self.next_policy,
            leases: &mut self.leases,
            first_contact,
        });
        self.take_in(now, born);
        result
    }

    /// New IKE SAs, which may have tasks of their own.
    fn take_in(&mut self, now: Time, born: Vec<IkeSa>) {
        let spis: Vec<u64> = born.iter().map(IkeSa::own_spi).collect();
        self.sas.extend(born.into_iter().map(|sa| (sa.own_spi(), sa)));
        for spi in spis {
            self.with_sa(now, spi, |sa, ctx| sa.pump(ctx));
        }
    }
}

/// Reads a connection's proposals; refuses what the gateway does not do.
fn profile(c: &Connection) -> Result<Profile, String> {
    if c.ike != IkeMode::V2 {
        return Err(format!("connection {}: this gateway speaks IKEv2 only", c.name));
    }
    if c.children().iter().any(|child| !child.ah_proposals.is_empty()) {
        return Err(format!("connection {}: this gateway has no AH", c.name));
    }
    if c.mode == peer::EspMode::Transport {
        return Err(format!("connection {}: this gateway has no transport mode", c.name));
    }
    let all = |texts: &[String], parse: fn(&str) -> Result<Suite, String>| {
        texts.iter().map(|t| parse(t)).collect::<Result<Vec<_>, _>>().map_err(|e| format!("connection {}: {e}", c.name))
    };
    let child = |settings: peer::Child| Ok(ChildProfile { esp: all(&settings.esp_proposals, Suite::parse)?, settings });
    let children = c.children().into_iter().map(child).collect::<Result<_, String>>()?;
    Ok(Profile { ike: all(&c.ike_proposals, Suite::parse_ike)?, children })
}
