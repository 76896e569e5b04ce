//! CREATE_CHILD_SA for child SAs: new ones and new keys for old ones (RFC 7296 §1.3.1, §1.3.3, §2.8, §2.25).
//!
//! ```text
//!  HDR, SK { [N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr } ──▶
//!                              ◀── HDR, SK { SA, Nr, [KEr,] TSi, TSr }    or SK { N(error) }      then `followup.rs`
//! ```

use std::time::Duration;

use wire::ike::emit::Part;

use super::child::{ChildRequest, Phase};
use super::content::{self, Content};
use super::context::Context;
use super::followup::{self, Series};
use super::numbers::{exchange, notify};
use super::parts;
use super::sa::{Crossed, IkeSa, Task};
use super::timer::Timer;
use super::window::Asked;
use crate::crypto::{Group, Initiator};

/// What a peer cannot do now is asked for again after this long (RFC 7296 §2.25: not at once), and up to as much again.
const RETRY: Duration = Duration::from_secs(5);

impl IkeSa {
    /// Asks for a child SA: which of the connection's. `old`: for its successor.
    pub(crate) fn send_create_child(&mut self, ctx: &mut Context<'_>, index: usize, old: Option<u32>, group: Option<Group>) {
        let replaced = old.and_then(|spi| self.children.iter().find(|c| c.spi_in == spi)).cloned();
        if old.is_some() && replaced.is_none() {
            return;
        }
        self.closed_early.clear();
        let mut request = self.child_request(ctx, index, false, replaced.as_ref());
        if let Some(group) = group {
            // The peer wants this one: it becomes the first choice.
            request.ke = Some(Initiator::new(group, ctx.rng));
            request.suites.iter_mut().for_each(|s| s.groups.sort_by_key(|g| *g != group));
        }
        let mut all: Vec<Part> = old.map(|spi| parts::notify_child(notify::REKEY_SA, spi)).into_iter().collect();
        all.extend(self.child_parts(ctx, &request));
        let asked = match old {
            Some(spi) => {
                self.set_phase(spi, Phase::Rekeying);
                self.log(ctx, format!("asks for new keys of child SA {spi:08x}"));
                Asked::RekeyChild(spi, Box::new(request))
            }
            None => Asked::NewChild(Box::new(request)),
        };
        self.request(ctx, asked, exchange::CREATE_CHILD_SA, all);
    }

    /// The answer about a new child SA.
    pub(crate) fn handle_new_child_response(&mut self, ctx: &mut Context<'_>, request: ChildRequest, content: Content<'_>) {
        if let Some(group) = self.other_group(&request, content) {
            return self.send_create_child(ctx, request.index, None, Some(group));
        }
        let index = request.index;
        if content.notify(notify::TEMPORARY_FAILURE).is_some() {
            // The peer is busy with keys (RFC 7296 §2.25).
            let after = self.retry_after(ctx);
            self.log(ctx, format!("no child SA for now; asked for again in {:.1} s", after.as_secs_f32()));
            return self.timers.set(Timer::NewChild(index), ctx.now + after);
        }
        match self.accept_child(request, content, None, None) {
            Ok(series) => self.go_on(ctx, series, followup::link(content)),
            Err(why) => self.child_failed(ctx, index, &why),
        }
    }

    /// The answer about new keys.
    pub(crate) fn handle_rekey_child_response(&mut self, ctx: &mut Context<'_>, old: u32, request: ChildRequest, content: Content<'_>) {
        if let Some(group) = self.other_group(&request, content) {
            return self.send_create_child(ctx, request.index, Some(old), Some(group));
        }
        let crossed = self.crossed.take().filter(|c| c.old == old);
        if content.notify(notify::CHILD_SA_NOT_FOUND).is_some() {
            // The peer has lost it, or has just closed it (RFC 7296 §2.25.1).
            self.log(ctx, format!("the peer has no child SA {old:08x}; a new one is asked for"));
            let successor = crossed.is_some();
            self.remove_child(ctx, old, true);
            if !successor && !self.has_child(request.index) {
                self.tasks.push_back(Task::NewChild(request.index));
            }
            return;
        }
        let link = followup::link(content);
        match (self.accept_child(request, content, None, Some(old)), crossed) {
            (Ok(series), None) => self.go_on(ctx, series, link),
            (Ok(series), Some(crossed)) => self.settle_children(ctx, series, link, &crossed),
            (Err(why), None) => self.rekeying_failed(ctx, old, &why),
            (Err(why), Some(crossed)) => {
                self.log(ctx, format!("own re-keying of {old:08x} has failed ({why}), the peer's has not"));
                self.leave_to_peer(ctx, &crossed);
            }
        }
    }

    /// Both sides asked for a successor: the one with the lowest of the four nonces goes, deleted by who made it; the other's maker deletes the
    /// old SA (RFC 7296 §2.8.1). With key exchanges still to come there is nothing to delete: the one that goes does not go on
    /// (RFC 9370 §2.2.4).
    fn settle_children(&mut self, ctx: &mut Context<'_>, ours: Series, link: Option<Vec<u8>>, crossed: &Crossed) {
        let old = crossed.old;
        let ours_goes = ours.nonces.lowest() < crossed.lowest.as_slice();
        self.log(ctx, format!("both sides re-keyed {old:08x} at once: {}", if ours_goes { "ours goes" } else { "the peer's goes" }));
        if !ours_goes {
            self.drop_follow_ups_of(old);
            if let Some(theirs) = crossed.theirs {
                self.set_phase(theirs, Phase::Replaced);
            }
            return self.go_on(ctx, ours, link);
        }
        if let Some(made) = self.make_loser(ctx, ours) {
            self.set_phase(made, Phase::Replaced);
            self.tasks.push_back(Task::DeleteChild(made));
        }
        self.leave_to_peer(ctx, crossed);
    }

    /// The peer's re-keying is the one that counts.
    fn leave_to_peer(&mut self, ctx: &mut Context<'_>, crossed: &Crossed) {
        let old = crossed.old;
        match crossed.theirs {
            // It deletes the old one.
            Some(theirs) => {
                self.set_phase(old, Phase::Replaced);
                // The peer has theirs only once it has our response, which may be behind: the old one serves until the peer deletes it.
                let still = self.children.iter().any(|c| c.spi_in == old);
                self.use_child(ctx, if still { old } else { theirs });
            }
            // Should it not come to an end, it is our turn again.
            None => {
                self.set_phase(old, Phase::Installed);
                self.use_child(ctx, old);
                self.try_again(ctx, old);
            }
        }
    }

    /// Our re-keying has made a successor.
    pub(crate) fn replaced_by_us(&mut self, old: u32) {
        self.set_phase(old, Phase::Replaced);
        self.timers.clear(Timer::RekeyChild(old));
        self.tasks.push_back(Task::DeleteChild(old));
    }

    /// The peer's re-keying has made a successor.
    pub(crate) fn replaced_by_peer(&mut self, ctx: &mut Context<'_>, old: u32, new: u32) {
        match self.crossed.as_mut().filter(|c| c.old == old) {
            // Which of them stays is known once our response comes.
            Some(crossed) => crossed.theirs = Some(new),
            None => {
                if let Some(child) = self.children.iter_mut().find(|c| c.spi_in == old && c.phase == Phase::Installed) {
                    child.phase = Phase::Replaced;
                }
            }
        }
        self.timers.clear(Timer::RekeyChild(old));
        self.log(ctx, format!("the peer has replaced child SA {old:08x} by {new:08x}"));
    }

    /// Sends on this child SA from now on.
    pub(crate) fn use_child(&mut self, ctx: &mut Context<'_>, spi_in: u32) {
        if let Some(child) = self.children.iter().find(|c| c.spi_in == spi_in) {
            ctx.path.use_outbound(child.policy, child.spi_out);
        }
    }

    pub(crate) fn rekeying_failed(&mut self, ctx: &mut Context<'_>, old: u32, why: &str) {
        let after = self.try_again(ctx, old);
        self.log(ctx, format!("no new keys for child SA {old:08x}: {why}; tried again in {:.1} s", after.as_secs_f32()));
        self.set_phase(old, Phase::Installed);
    }

    fn try_again(&mut self, ctx: &mut Context<'_>, old: u32) -> Duration {
        let wait = self.retry_after(ctx);
        self.timers.try_again(Timer::RekeyChild(old), Timer::ExpireChild(old), ctx.now, wait)
    }

    fn retry_after(&self, ctx: &mut Context<'_>) -> Duration {
        RETRY + Duration::from_millis(u64::from(ctx.rng.u32() % 5000))
    }

    /// The group that the peer wants instead, if we can do it and have not just tried.
    fn other_group(&self, request: &ChildRequest, content: Content<'_>) -> Option<Group> {
        let wanted = content.wanted_group()?;
        let tried = request.ke.as_ref().map(Initiator::group);
        (tried != Some(wanted) && request.suites.iter().any(|s| s.groups.contains(&wanted))).then_some(wanted)
    }

    pub(crate) fn set_phase(&mut self, spi_in: u32, phase: Phase) {
        if let Some(child) = self.children.iter_mut().find(|c| c.spi_in == spi_in) {
            child.phase = phase;
        }
    }

    /// The peer's request. The payloads of the response.
    pub(crate) fn handle_create_child_request(&mut self, ctx: &mut Context<'_>, content: Content<'_>) -> Vec<Part> {
        // Children of an IKE SA that is being replaced belong to its successor (RFC 7296 §2.25.2).
        if self.is_rekeying() {
            return vec![parts::notify(notify::TEMPORARY_FAILURE, &[])];
        }
        let replaced = match content.notify(notify::REKEY_SA) {
            None => None,
            Some(told) => match self.rekeyed_child(ctx, told.spi) {
                Ok(spi_in) => Some(spi_in),
                Err(refusal) => return refusal,
            },
        };
        let (series, all) = match self.answer_child(ctx, content, None, replaced) {
            Ok(agreed) => agreed,
            Err((kind, data)) => {
                self.log(ctx, format!("the peer's request for a child SA is refused: {}", content::name(kind)));
                return vec![parts::notify(kind, &data)];
            }
        };
        if let Some(old) = replaced.filter(|spi| self.phase(*spi) == Some(Phase::Rekeying)) {
            self.crossed = Some(Crossed { old, theirs: None, lowest: series.nonces.lowest().to_vec() });
        }
        self.answer(ctx, series, all).0
    }

    /// The child SA whose keys the peer wants to renew, by its own inbound SPI. `Err`: the response that refuses.
    fn rekeyed_child(&mut self, ctx: &mut Context<'_>, spi: &[u8]) -> Result<u32, Vec<Part>> {
        let named = <[u8; 4]>::try_from(spi).ok().map(u32::from_be_bytes);
        let Some(child) = named.and_then(|spi| self.child_by_peer(spi)).map(|i| &self.children[i]) else {
            // It may be the one that we have asked for, and whose response is behind.
            if self.asks_for_any_child() {
                return Err(vec![parts::notify(notify::TEMPORARY_FAILURE, &[])]);
            }
            let spi = named.unwrap_or_default();
            self.log(ctx, format!("the peer asks for new keys of a child SA {spi:08x} that is not there"));
            return Err(vec![parts::notify_child(notify::CHILD_SA_NOT_FOUND, spi)]);
        };
        match child.phase {
            // We are closing it (RFC 7296 §2.25.1).
            Phase::Deleting | Phase::Replaced => Err(vec![parts::notify(notify::TEMPORARY_FAILURE, &[])]),
            // The peer has answered our own request without having seen the crossing: that one goes on (RFC 9370 §2.2.4).
            Phase::Rekeying if self.follows_up() => Err(vec![parts::notify(notify::TEMPORARY_FAILURE, &[])]),
            Phase::Installed | Phase::Rekeying => Ok(child.spi_in),
        }
    }
}
