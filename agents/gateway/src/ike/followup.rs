//! IKE_FOLLOWUP_KE: additional key exchanges after CREATE_CHILD_SA (RFC 9370 §2.2.4).
//!
//! ```text
//!  initiator                                                                    responder
//!             HDR, SK { SA, Ni, KEi, … } ──▶
//!                        ◀── HDR, SK { SA, Nr, KEr, …, N(ADDITIONAL_KEY_EXCHANGE)(link 1) }
//!  ExpectFollowUpResponse                                                       ExpectFollowUp: link 1
//!             HDR, SK { KEi(1), N(ADDITIONAL_KEY_EXCHANGE)(link 1) } ──▶
//!                        ◀── HDR, SK { KEr(1), N(ADDITIONAL_KEY_EXCHANGE)(link 2) }     or SK { N(STATE_NOT_FOUND) }
//!  ExpectFollowUpResponse                                                       ExpectFollowUp: link 2
//!             …
//!             HDR, SK { KEi(n), N(ADDITIONAL_KEY_EXCHANGE)(link n) } ──▶
//!                        ◀── HDR, SK { KEr(n) }
//!  the SA is made of all secrets                                                the SA is made of all secrets
//! ```
//!
//! Without additional key exchanges the response to CREATE_CHILD_SA is the last one already: it is a series of none.

use std::collections::VecDeque;
use std::time::Duration;

use wire::ike::emit::Part;

use super::child::Agreed;
use super::content::{self, Content};
use super::context::Context;
use super::keys::Nonces;
use super::numbers::{exchange, notify};
use super::parts;
use super::proposal::Chosen;
use super::sa::{IkeSa, Role, Task};
use super::timer::Timer;
use super::window::Asked;
use crate::crypto::{self, Group, Initiator};

/// How long the peer may take until its next key exchange: RFC 9370 §2.2.4 recommends 5 to 20 seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// So many unfinished series of the peer's are kept; the oldest goes first. With a window of one an honest peer has one.
const MOST: usize = 4;
/// A peer that has forgotten the series so often in a row is not worth another try (RFC 9370 §2.2.4: after several).
const FORGOTTEN: u32 = 4;

/// What CREATE_CHILD_SA has agreed upon.
pub(crate) enum Goal {
    /// A child SA, in place of the one with this inbound SPI of ours.
    Child { agreed: Agreed, old: Option<u32> },
    /// An IKE SA with these SPIs in place of the one that it is agreed upon in.
    Ike { chosen: Chosen, spis: (u64, u64) },
}

/// The key exchange of CREATE_CHILD_SA and those that follow it.
pub(crate) struct Series {
    pub(crate) goal: Goal,
    pub(crate) nonces: Nonces,
    /// SK(0) … SK(n), as far as they are known; without SK(0) in a child SA without PFS.
    secrets: Vec<Vec<u8>>,
    /// Additional key exchanges still to be done.
    left: VecDeque<Group>,
}

impl Series {
    /// `secret`: that of CREATE_CHILD_SA itself.
    pub(crate) fn new(goal: Goal, nonces: Nonces, secret: Option<Vec<u8>>) -> Series {
        let chosen = match &goal {
            Goal::Child { agreed, .. } => &agreed.chosen,
            Goal::Ike { chosen, .. } => chosen,
        };
        let left = chosen.additional.iter().map(|(_, group)| *group).collect();
        Series { goal, nonces, secrets: secret.into_iter().collect(), left }
    }

    /// Is CREATE_CHILD_SA all of it?
    pub(crate) fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn is_for_ike(&self) -> bool {
        matches!(self.goal, Goal::Ike { .. })
    }

    /// Does it make a successor of this child SA?
    fn replaces(&self, spi_in: u32) -> bool {
        matches!(self.goal, Goal::Child { old: Some(old), .. } if old == spi_in)
    }

    /// Do both make a successor of the same SA?
    fn is_like(&self, other: &Series) -> bool {
        match (&self.goal, &other.goal) {
            (Goal::Ike { .. }, Goal::Ike { .. }) => true,
            (Goal::Child { old: Some(a), .. }, Goal::Child { old: Some(b), .. }) => a == b,
            (Goal::Child { .. }, Goal::Child { .. } | Goal::Ike { .. }) | (Goal::Ike { .. }, Goal::Child { .. }) => false,
        }
    }

    fn add(&mut self, secret: Vec<u8>) {
        self.secrets.push(secret);
        self.left.pop_front();
    }
}

/// Our request is on its way.
pub(crate) struct ExpectFollowUpResponse {
    pub(crate) series: Series,
    ke: Initiator,
}

/// The peer's next request must carry this link.
pub(crate) struct ExpectFollowUp {
    link: u64,
    series: Series,
}

/// Where the peer wants the next key exchange to be linked to.
pub(crate) fn link(content: Content<'_>) -> Option<Vec<u8>> {
    content.notify(notify::ADDITIONAL_KEY_EXCHANGE).map(|n| n.data.to_vec())
}

/// Initiator.
impl IkeSa {
    /// The next additional key exchange, or what all of it was for. `link`: as the responder gave it.
    pub(crate) fn go_on(&mut self, ctx: &mut Context<'_>, series: Series, link: Option<Vec<u8>>) {
        match (series.left.front().copied(), link) {
            (None, _) => self.conclude_asked(ctx, series),
            (Some(group), Some(link)) => {
                let ke = Initiator::new(group, ctx.rng);
                self.log(ctx, format!("additional key exchange: {}", group.name()));
                let all = vec![parts::ke(group, ke.public()), parts::notify(notify::ADDITIONAL_KEY_EXCHANGE, &link)];
                let expected = Box::new(ExpectFollowUpResponse { series, ke });
                self.request(ctx, Asked::FollowUp(expected), exchange::IKE_FOLLOWUP_KE, all);
            }
            (Some(_), None) => {
                self.give_up(ctx, &series.goal, "additional key exchanges are to follow, but the response has no link to them")
            }
        }
    }

    pub(crate) fn handle_follow_up_response(&mut self, ctx: &mut Context<'_>, expected: ExpectFollowUpResponse, content: Content<'_>) {
        let ExpectFollowUpResponse { mut series, ke } = expected;
        let secret = match (content.error(), content.ke()) {
            (Some(error), _) => Err(content::name(error.kind)),
            (None, None) => Err("the response has no KE payload".into()),
            (None, Some((number, _))) if number != ke.group().transform_id() => Err(format!("the KE payload is for group {number}")),
            (None, Some((_, public))) => ke.finish(public).map_err(|e| e.to_string()),
        };
        match secret {
            Ok(secret) => {
                series.add(secret);
                self.go_on(ctx, series, link(content));
            }
            Err(why) => {
                self.give_up(ctx, &series.goal, &why);
                if content.notify(notify::STATE_NOT_FOUND).is_some() {
                    self.was_forgotten(ctx);
                }
            }
        }
    }

    /// Not fatal for once (RFC 9370 §2.2.4).
    fn was_forgotten(&mut self, ctx: &mut Context<'_>) {
        self.forgotten += 1;
        if self.forgotten >= FORGOTTEN {
            self.log(ctx, "the peer forgets additional key exchanges again and again");
            self.tasks.push_front(Task::DeleteIke);
        }
    }

    /// The last response is here.
    fn conclude_asked(&mut self, ctx: &mut Context<'_>, series: Series) {
        let Series { goal, nonces, secrets, .. } = series;
        self.forgotten = 0;
        match goal {
            Goal::Child { agreed, old } => {
                let index = agreed.index;
                match (self.make_child(ctx, agreed, &nonces, &secrets, true), old) {
                    (Ok(_), None) => {}
                    (Ok(new), Some(old)) => {
                        self.log(ctx, format!("child SA {old:08x} is replaced by {new:08x}"));
                        self.replaced_by_us(old);
                    }
                    (Err(why), None) => self.child_failed(ctx, index, &why),
                    (Err(why), Some(old)) => self.rekeying_failed(ctx, old, &why),
                }
            }
            Goal::Ike { chosen, spis } => match self.successor(ctx, Role::Initiator, spis, chosen, &nonces, &secrets) {
                Some(new) => self.succeed(ctx, new, true),
                None => self.ike_rekeying_failed(ctx, "no PRF was chosen"),
            },
        }
    }

    /// A child SA of ours that has lost: the peer has it already, unless key exchanges are to follow. Its inbound SPI.
    pub(crate) fn make_loser(&mut self, ctx: &mut Context<'_>, series: Series) -> Option<u32> {
        match series {
            Series { goal: Goal::Child { agreed, .. }, nonces, secrets, left } if left.is_empty() => {
                self.make_child(ctx, agreed, &nonces, &secrets, true).ok()
            }
            Series { .. } => None,
        }
    }

    /// The same of an IKE SA.
    pub(crate) fn make_losing_ike(&mut self, ctx: &mut Context<'_>, series: Series) -> Option<IkeSa> {
        match series {
            Series { goal: Goal::Ike { chosen, spis }, nonces, secrets, left } if left.is_empty() => {
                self.successor(ctx, Role::Initiator, spis, chosen, &nonces, &secrets)
            }
            Series { .. } => None,
        }
    }

    /// Nothing comes of it, and the peer knows.
    fn give_up(&mut self, ctx: &mut Context<'_>, goal: &Goal, why: &str) {
        match goal {
            Goal::Child { old: Some(old), .. } => self.rekeying_failed(ctx, *old, why),
            Goal::Child { agreed, old: None } => self.child_failed(ctx, agreed.index, why),
            Goal::Ike { .. } => self.ike_rekeying_failed(ctx, why),
        }
    }

    /// Is a series of ours under way, beyond CREATE_CHILD_SA?
    pub(crate) fn follows_up(&self) -> bool {
        self.window.pending.as_ref().is_some_and(|p| matches!(p.asked, Asked::FollowUp(_)))
    }
}

/// Responder. Responses are payloads, and an IKE SA that takes over as soon as they are on their way.
impl IkeSa {
    pub(crate) fn handle_follow_up_request(&mut self, ctx: &mut Context<'_>, content: Content<'_>) -> (Vec<Part>, Option<IkeSa>) {
        let told = content.notify(notify::ADDITIONAL_KEY_EXCHANGE).map(|n| n.data);
        let found = told.and_then(|link| self.take_follow_up(link));
        let refusal = match (told, found, content.ke()) {
            (None, ..) => notify::INVALID_SYNTAX,
            (Some(_), None, _) => notify::STATE_NOT_FOUND,
            // What the peer has agreed to, it does not do: there is no second try.
            (Some(_), Some(_), None) => notify::INVALID_SYNTAX,
            (Some(_), Some(ExpectFollowUp { mut series, .. }), Some((number, public))) => {
                let group = series.left.front().copied().filter(|g| g.transform_id() == number);
                match group.map(|g| (g, crypto::respond(g, public, ctx.rng))) {
                    Some((group, Ok((own, secret)))) => {
                        series.add(secret);
                        return self.answer(ctx, series, vec![parts::ke(group, &own)]);
                    }
                    Some((_, Err(_))) | None => notify::INVALID_SYNTAX,
                }
            }
        };
        self.log(ctx, format!("an additional key exchange of the peer's is refused: {}", content::name(refusal)));
        (vec![parts::notify(refusal, &[])], None)
    }

    /// With the link to the next additional key exchange, or after the last one with what it all was for. `all`: the response so far.
    pub(crate) fn answer(&mut self, ctx: &mut Context<'_>, series: Series, mut all: Vec<Part>) -> (Vec<Part>, Option<IkeSa>) {
        if !series.is_complete() {
            let link = self.keep_follow_up(ctx, series);
            all.push(parts::notify(notify::ADDITIONAL_KEY_EXCHANGE, &link.to_be_bytes()));
            return (all, None);
        }
        match self.conclude_answered(ctx, series) {
            Ok(new) => (all, new),
            Err(kind) => {
                self.log(ctx, format!("what the peer has asked for is refused: {}", content::name(kind)));
                (vec![parts::notify(kind, &[])], None)
            }
        }
    }

    /// `Err`: the notify that refuses it.
    fn conclude_answered(&mut self, ctx: &mut Context<'_>, series: Series) -> Result<Option<IkeSa>, u16> {
        let Series { goal, nonces, secrets, .. } = series;
        match goal {
            Goal::Child { agreed, old } => {
                let spi_in = agreed.spi_in;
                let pretends = old.is_some() && ctx.config.misbehave.switches.rekey_without_install;
                if !pretends {
                    self.make_child(ctx, agreed, &nonces, &secrets, false).map_err(|_| notify::NO_PROPOSAL_CHOSEN)?;
                }
                if let Some(old) = old {
                    self.replaced_by_peer(ctx, old, spi_in);
                }
                Ok(None)
            }
            Goal::Ike { chosen, spis } => {
                let new = self.successor(ctx, Role::Responder, spis, chosen, &nonces, &secrets).ok_or(notify::NO_PROPOSAL_CHOSEN)?;
                match &mut self.collision {
                    // Which of them stays is known once our response comes.
                    Some(collision) => {
                        collision.theirs = Some(Box::new(new));
                        Ok(None)
                    }
                    None => Ok(Some(new)),
                }
            }
        }
    }

    fn keep_follow_up(&mut self, ctx: &mut Context<'_>, series: Series) -> u64 {
        // The peer has begun anew.
        self.drop_follow_ups(|s| s.is_like(&series));
        if self.follow_ups.len() >= MOST {
            let oldest = self.follow_ups.remove(0);
            self.timers.clear(Timer::ExpectFollowUp(oldest.link));
            self.log(ctx, "the peer leaves many key exchanges unfinished: the oldest is forgotten");
        }
        let link = ctx.rng.u64();
        self.timers.set(Timer::ExpectFollowUp(link), ctx.now + PATIENCE);
        self.follow_ups.push(ExpectFollowUp { link, series });
        link
    }

    fn take_follow_up(&mut self, link: &[u8]) -> Option<ExpectFollowUp> {
        let link = u64::from_be_bytes(link.try_into().ok()?);
        let index = self.follow_ups.iter().position(|f| f.link == link)?;
        self.timers.clear(Timer::ExpectFollowUp(link));
        Some(self.follow_ups.remove(index))
    }

    /// The timer has fired.
    pub(crate) fn forget_follow_up(&mut self, ctx: &mut Context<'_>, link: u64) {
        self.follow_ups.retain(|f| f.link != link);
        self.log(ctx, "the peer's additional key exchanges have not come: what they were for is forgotten");
    }

    fn drop_follow_ups(&mut self, which: impl Fn(&Series) -> bool) {
        for gone in self.follow_ups.extract_if(.., |f| which(&f.series)) {
            self.timers.clear(Timer::ExpectFollowUp(gone.link));
        }
    }

    /// The peer's series for this child SA's successor has lost to ours: it does not go on (RFC 9370 §2.2.4).
    pub(crate) fn drop_follow_ups_of(&mut self, old: u32) {
        self.drop_follow_ups(|s| s.replaces(old));
    }

    /// The same of the IKE SA's successor.
    pub(crate) fn drop_follow_ups_of_ike(&mut self) {
        self.drop_follow_ups(Series::is_for_ike);
    }

    /// Must it wait until the peer's series is finished or forgotten? The peer would answer TEMPORARY_FAILURE, or make a successor twice.
    pub(crate) fn must_wait(&self, task: &Task) -> bool {
        let any = |which: &dyn Fn(&Series) -> bool| self.follow_ups.iter().any(|f| which(&f.series));
        match task {
            Task::RekeyIke => any(&|_| true),
            Task::RekeyChild(spi) => any(&|s| s.is_for_ike() || s.replaces(*spi)),
            Task::NewChild(_) | Task::DeleteChild(_) => any(&Series::is_for_ike),
            Task::DeleteIke | Task::Liveness | Task::Addresses | Task::PathTest | Task::Refuse(_) => false,
        }
    }
}
