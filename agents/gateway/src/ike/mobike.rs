//! MOBIKE: the addresses of an IKE SA and of its child SAs change (RFC 4555).
//!
//! ```text
//!  initiator, has moved                              responder
//!  HDR, SK { N(UPDATE_SA_ADDRESSES), N(COOKIE2),
//!            N(NAT_DETECTION_…) | N(NO_NATS_ALLOWED) } ──▶
//!                             ◀── HDR, SK { N(COOKIE2) [, N(NAT_DETECTION_…)] }
//!                             ◀── HDR, SK { N(UNEXPECTED_NAT_DETECTED), N(COOKIE2) }     (nothing changes)
//!
//!                             ◀── HDR, SK { N(COOKIE2) }            is the peer really there? (§3.7)
//!  HDR, SK { N(COOKIE2) }     ──▶
//! ```
//!
//! Each side sends its data along the new path once a COOKIE2 of its own has come back from there.

use std::net::{IpAddr, SocketAddr};

use wire::ike::emit::Part;

use super::content::{self, Content};
use super::context::Context;
use super::natt;
use super::numbers::{exchange, notify};
use super::parts;
use super::sa::{IkeSa, Task};
use super::window::Asked;

/// Octets of a COOKIE2; 8 to 64 (RFC 4555 §4.2.6).
const COOKIE2: usize = 16;

/// Data of NO_NATS_ALLOWED: source and destination address, source and destination port (RFC 4555 §4.2.7).
fn ends(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [from.port(), to.port()].map(u16::to_be_bytes);
    [octets(from.ip()), octets(to.ip()), ports.concat()].concat()
}

/// The sender allows no NATs, and there is one: the addresses on the message are not those that it has told (RFC 4555 §3.9).
fn unexpected_nat(content: Content<'_>, from: SocketAddr, to: SocketAddr) -> bool {
    content.notify(notify::NO_NATS_ALLOWED).is_some_and(|n| n.data != ends(from, to))
}

impl IkeSa {
    /// What a request says of the addresses that it is sent with: all that is needed to find a NAT, or that there must not be any.
    fn addresses_told(&self, ctx: &mut Context<'_>) -> Vec<Part> {
        if !self.nat.supported {
            return vec![self.no_nats()];
        }
        let pretend = ctx.connection(self.connection).force_encap;
        natt::notifies(ctx, self.spis(), self.local, self.remote, pretend).into()
    }

    fn no_nats(&self) -> Part {
        parts::notify(notify::NO_NATS_ALLOWED, &ends(self.local, self.remote))
    }

    /// Initiator of IKE_AUTH: that this SA may move.
    pub(crate) fn offer_mobike(&self, ctx: &Context<'_>) -> Vec<Part> {
        if !ctx.connection(self.connection).mobike {
            return Vec::new();
        }
        let mut all = vec![parts::notify(notify::MOBIKE_SUPPORTED, &[])];
        if !self.nat.supported {
            all.push(self.no_nats());
        }
        all
    }

    /// Responder of IKE_AUTH: may it move? An error if it may not have come this way.
    pub(crate) fn accept_mobike(&mut self, ctx: &Context<'_>, content: Content<'_>) -> Result<(), u16> {
        self.announced.mobike = ctx.connection(self.connection).mobike && content.notify(notify::MOBIKE_SUPPORTED).is_some();
        if self.announced.mobike && unexpected_nat(content, self.remote, self.local) {
            return Err(notify::UNEXPECTED_NAT_DETECTED);
        }
        Ok(())
    }

    /// UPDATE_SA_ADDRESSES, with a COOKIE2 that shows that the answer comes back along the new path.
    pub(crate) fn send_addresses(&mut self, ctx: &mut Context<'_>) {
        let cookie = ctx.rng.bytes(COOKIE2);
        let mut all = vec![parts::notify(notify::UPDATE_SA_ADDRESSES, &[])];
        all.extend(self.addresses_told(ctx));
        all.push(parts::notify(notify::COOKIE2, &cookie));
        self.request(ctx, Asked::Addresses(cookie), exchange::INFORMATIONAL, all);
    }

    /// The response to UPDATE_SA_ADDRESSES: now the data may follow.
    pub(crate) fn handle_addresses_response(
        &mut self,
        ctx: &mut Context<'_>,
        cookie: &[u8],
        content: Content<'_>,
        from: SocketAddr,
        to: SocketAddr,
    ) {
        if let Some(error) = content.error() {
            return self.log(ctx, format!("the peer does not follow to {}: {}", self.local, content::name(error.kind)));
        }
        if !self.came_back(ctx, cookie, content) {
            return;
        }
        self.look_for_nat(content, from, to);
        self.log(ctx, format!("moved to {}", self.local));
        self.repoint_children(ctx);
        self.start_keepalive(ctx);
    }

    /// The peer has moved. What the response says of it; the data follow once the new path is known to lead to the peer.
    pub(crate) fn handle_addresses_request(
        &mut self,
        ctx: &mut Context<'_>,
        content: Content<'_>,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Vec<Part> {
        if unexpected_nat(content, from, to) {
            self.log(ctx, format!("the peer has not moved to {from}: it says that it has another address, and that no NAT is allowed"));
            return vec![parts::notify(notify::UNEXPECTED_NAT_DETECTED, &[])];
        }
        (self.local, self.remote) = (to, from);
        self.look_for_nat(content, from, to);
        self.log(ctx, format!("the peer has moved to {from}"));
        if !self.tasks.contains(&Task::PathTest) {
            self.tasks.push_front(Task::PathTest);
        }
        // Only requests tell of NO_NATS_ALLOWED.
        if self.nat.supported { self.addresses_told(ctx) } else { Vec::new() }
    }

    /// A COOKIE2 to where the peer says that it is (return routability, RFC 4555 §3.7).
    pub(crate) fn send_path_test(&mut self, ctx: &mut Context<'_>) {
        let (cookie, path) = (ctx.rng.bytes(COOKIE2), (self.local, self.remote));
        let all = vec![parts::notify(notify::COOKIE2, &cookie)];
        self.request(ctx, Asked::PathTest { cookie, path }, exchange::INFORMATIONAL, all);
    }

    /// The peer's answer from there.
    pub(crate) fn handle_path_test_response(
        &mut self,
        ctx: &mut Context<'_>,
        cookie: &[u8],
        path: (SocketAddr, SocketAddr),
        content: Content<'_>,
    ) {
        // It has moved once more meanwhile, and that path has a test of its own.
        let still = (self.local, self.remote) == path;
        if still && self.came_back(ctx, cookie, content) {
            self.log(ctx, format!("the peer answers at {}: data go there", self.remote));
            self.repoint_children(ctx);
        }
    }

    /// Is it the COOKIE2 that was sent?
    fn came_back(&self, ctx: &mut Context<'_>, cookie: &[u8], content: Content<'_>) -> bool {
        let same = content.notify(notify::COOKIE2).is_some_and(|n| n.data == cookie);
        if !same {
            self.log(ctx, "the COOKIE2 did not come back as it was sent: no data go along the new path");
        }
        same
    }

    fn look_for_nat(&mut self, content: Content<'_>, from: SocketAddr, to: SocketAddr) {
        let nat = natt::detect(content, self.spis(), from, to, self.nat.pretended);
        if self.nat.supported && nat.supported {
            self.nat = nat;
        }
    }
}
