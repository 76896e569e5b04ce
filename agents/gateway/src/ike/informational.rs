//! INFORMATIONAL: DELETE, liveness, errors (RFC 7296 §1.4); addresses are in `mobike`.
//!
//! ```text
//!  HDR, SK { [N,] [D,] … } ──▶
//!                          ◀── HDR, SK { [D,] [N,] … }
//! ```

use std::net::SocketAddr;

use peer::{ChildAction, GatewayEventKind};
use wire::ike::emit::Part;

use super::child::Phase;
use super::content::{self, Content};
use super::context::{Context, Order};
use super::numbers::{exchange, notify};
use super::parts;
use super::sa::{IkeSa, State};
use super::window::Asked;

/// How many unknown SPIs that the peer deletes are remembered.
const CLOSED_EARLY: usize = 8;

impl IkeSa {
    /// DELETE of one child SA.
    pub(crate) fn send_delete_child(&mut self, ctx: &mut Context<'_>, spi_in: u32) {
        if !self.children.iter().any(|c| c.spi_in == spi_in) {
            return;
        }
        if ctx.config.misbehave.switches.never_delete {
            return self.remove_child(ctx, spi_in, true);
        }
        self.set_phase(spi_in, Phase::Deleting);
        self.request(ctx, Asked::DeleteChild(spi_in), exchange::INFORMATIONAL, vec![parts::delete_children(&[spi_in])]);
    }

    /// DELETE of this IKE SA.
    pub(crate) fn send_delete_ike(&mut self, ctx: &mut Context<'_>) {
        if ctx.config.misbehave.switches.never_delete {
            return self.end(ctx, "closed without a DELETE");
        }
        if !self.gives_way {
            self.close_children(ctx);
        }
        if matches!(self.state, State::Established) {
            let connection = ctx.connection(self.connection).name.clone();
            ctx.event(GatewayEventKind::IkeDown { connection });
        }
        if self.virtual_ip.take().is_some() {
            ctx.orders.push(Order::Routes);
        }
        self.state = State::Closing;
        self.request(ctx, Asked::DeleteIke, exchange::INFORMATIONAL, vec![parts::delete_ike()]);
    }

    pub(crate) fn send_liveness(&mut self, ctx: &mut Context<'_>) {
        self.request(ctx, Asked::Liveness, exchange::INFORMATIONAL, Vec::new());
    }

    /// Tells the peer that its authentication is not accepted.
    pub(crate) fn send_refusal(&mut self, ctx: &mut Context<'_>, kind: u16) {
        self.request(ctx, Asked::Refuse, exchange::INFORMATIONAL, vec![parts::notify(kind, &[])]);
    }

    /// The peer's request. The payloads of the response; `None`: none at all (misbehaviour).
    pub(crate) fn handle_informational_request(
        &mut self,
        ctx: &mut Context<'_>,
        content: Content<'_>,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Option<Vec<Part>> {
        let mut all = Vec::new();
        if content.0.is_empty() && ctx.config.misbehave.switches.ignore_dpd {
            return None;
        }
        if let Some(error) = content.error() {
            self.log(ctx, format!("the peer says {}", content::name(error.kind)));
            if error.kind == notify::AUTHENTICATION_FAILED {
                self.peer_closed(ctx, "the peer does not accept our authentication");
                return Some(all);
            }
        }
        if content.notify(notify::UPDATE_SA_ADDRESSES).is_some() && self.announced.mobike {
            all.extend(self.handle_addresses_request(ctx, content, from, to));
        }
        all.extend(content.notify(notify::COOKIE2).map(|n| parts::notify(notify::COOKIE2, n.data)));
        let (children, ike) = content.deletes();
        if ike {
            self.peer_closed(ctx, "the peer has closed it");
            return Some(all);
        }
        let ours = self.delete_asked(ctx, &children);
        if !ours.is_empty() {
            all.push(parts::delete_children(&ours));
        }
        Some(all)
    }

    /// The peer deletes its inbound SAs; ours of the same pairs go with them (RFC 7296 §1.4.1). Those that we have asked to be deleted
    /// ourselves are not told once more.
    fn delete_asked(&mut self, ctx: &mut Context<'_>, spis: &[u32]) -> Vec<u32> {
        let mut told = Vec::new();
        for spi in spis {
            let Some(child) = self.child_by_peer(*spi).map(|i| self.children[i].clone()) else {
                if self.asks_for_any_child() {
                    self.closed_early.truncate(CLOSED_EARLY - 1);
                    self.closed_early.push_front(*spi);
                }
                continue;
            };
            if child.phase != Phase::Deleting {
                told.push(child.spi_in);
            }
            let replaced =
                child.phase == Phase::Replaced || self.children.iter().any(|c| c.policy == child.policy && c.spi_in != child.spi_in);
            self.remove_child(ctx, child.spi_in, true);
            if !replaced {
                self.log(ctx, format!("the peer has closed child SA {:08x}", child.spi_in));
                self.act(ctx, ctx.config.connections[self.connection].close_action, vec![child.index]);
            }
        }
        told
    }

    /// The whole IKE SA is closed by the peer.
    fn peer_closed(&mut self, ctx: &mut Context<'_>, why: &str) {
        let replaced = matches!(self.state, State::Replaced | State::Closing);
        let action = ctx.config.connections[self.connection].close_action;
        if let Some(theirs) = self.collision.take().and_then(|c| c.theirs) {
            self.succeed(ctx, *theirs, false);
        }
        let children = self.child_indices();
        // Gone only once its response is on its way.
        self.end(ctx, why);
        if !replaced {
            self.act(ctx, action, children);
        }
    }

    /// What the settings say about the end of these children.
    pub(crate) fn act(&mut self, ctx: &mut Context<'_>, action: ChildAction, children: Vec<usize>) {
        let connection = self.connection;
        match action {
            _ if children.is_empty() => {}
            ChildAction::None => {}
            ChildAction::Trap => ctx.orders.push(Order::Trap { connection, children }),
            ChildAction::Start => {
                ctx.orders.push(Order::Initiate { connection, children, after: std::time::Duration::ZERO, attempt: 1 });
            }
        }
    }
}
