//! NAT detection and traversal: RFC 7296 §2.23, RFC 3948.

use std::net::SocketAddr;

use wire::ike::emit::Part;
use wire::natd;

use super::content::Content;
use super::context::Context;
use super::numbers::notify;
use super::parts;
use super::sa::IkeSa;
use crate::esp::Ends;

/// The port of IKE and of ESP in UDP behind NATs.
pub(crate) const NATT_PORT: u16 = 4500;

/// Who is behind a NAT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Nat {
    /// The peer knows NAT traversal: it has sent both notifies.
    pub(crate) supported: bool,
    /// This gateway is.
    pub(crate) here: bool,
    /// The peer is, or pretends to be.
    pub(crate) there: bool,
    /// We pretend to be, so that ESP goes in UDP.
    pub(crate) pretended: bool,
}

impl Nat {
    /// ESP goes in UDP.
    pub(crate) fn encapsulates(self) -> bool {
        self.supported && (self.here || self.there || self.pretended)
    }
}

/// NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP as seen by the sender. `pretend`: the source is a lie, so that a NAT is found.
pub(crate) fn notifies(ctx: &mut Context<'_>, spis: (u64, u64), from: SocketAddr, to: SocketAddr, pretend: bool) -> [Part; 2] {
    let source = if pretend { ctx.rng.bytes(20) } else { natd::v2(spis.0, spis.1, from.ip(), from.port()).to_vec() };
    let destination = natd::v2(spis.0, spis.1, to.ip(), to.port());
    [parts::notify(notify::NAT_DETECTION_SOURCE_IP, &source), parts::notify(notify::NAT_DETECTION_DESTINATION_IP, &destination)]
}

/// What the peer's notifies say about a message from `from` to `to`, addresses as we see them. Several sources may be told.
pub(crate) fn detect(content: Content<'_>, spis: (u64, u64), from: SocketAddr, to: SocketAddr, pretended: bool) -> Nat {
    let all = |kind: u16| content.notifies().filter(move |n| n.kind == kind).map(|n| n.data).collect::<Vec<_>>();
    let (sources, destinations) = (all(notify::NAT_DETECTION_SOURCE_IP), all(notify::NAT_DETECTION_DESTINATION_IP));
    let hash = |a: SocketAddr| natd::v2(spis.0, spis.1, a.ip(), a.port());
    let supported = !sources.is_empty() && !destinations.is_empty();
    Nat {
        supported,
        here: supported && !destinations.contains(&hash(to).as_slice()),
        there: supported && !sources.contains(&hash(from).as_slice()),
        pretended,
    }
}

impl IkeSa {
    /// Moves to port 4500 if there is a NAT, or if MOBIKE may find one later (RFC 4555 §3.3).
    pub(crate) fn float(&mut self, mobike: bool) {
        if self.nat.encapsulates() || (self.nat.supported && mobike) {
            self.local.set_port(NATT_PORT);
            self.remote.set_port(NATT_PORT);
        }
    }

    /// Ports of ESP in UDP: own and the peer's.
    pub(crate) fn encapsulation(&self) -> Option<(u16, u16)> {
        self.nat.encapsulates().then_some((self.local.port(), self.remote.port()))
    }

    /// An authentic message came from elsewhere: follow a peer behind a NAT (RFC 7296 §2.23), unless we are behind one ourselves.
    pub(crate) fn follow(&mut self, ctx: &mut Context<'_>, from: SocketAddr, to: SocketAddr) {
        if (self.remote == from && self.local == to) || !self.nat.there || self.nat.here {
            return;
        }
        let text = format!("the peer's address is now {from}, it was {}", self.remote);
        ctx.log(Some(self.connection), Some(self.spis()), text);
        self.remote = from;
        self.local = to;
        self.repoint_children(ctx);
    }

    /// Tells the data path where the peer is.
    pub(crate) fn repoint_children(&self, ctx: &mut Context<'_>) {
        for child in &self.children {
            let ends = Ends { local: self.local.ip(), remote: self.remote.ip(), ports: self.encapsulation() };
            ctx.path.repoint_policy(child.policy, ends);
        }
    }
}
