//! CREATE_CHILD_SA for the IKE SA itself: RFC 7296 §1.3.2, §2.8.2, §2.18.
//!
//! ```text
//!  HDR, SK { SA, Ni, KEi } ──▶
//!                          ◀── HDR, SK { SA, Nr, KEr }      then `followup.rs`, and the old IKE SA's DELETE by who made the new one
//! ```

use std::time::Duration;

use peer::Keys;
use wire::ike::emit::Part;

use super::content::{self, Content};
use super::context::Context;
use super::followup::{self, Goal, Series};
use super::keys::Nonces;
use super::numbers::{exchange, notify};
use super::parts;
use super::proposal::{self, Chosen, protocol};
use super::sa::{Collision, IkeSa, Role, State, Task};
use super::timer::Timer;
use super::window::Asked;
use crate::crypto::{self, Group, Initiator};

/// An IKE SA that we asked for.
pub(crate) struct RekeyRequest {
    pub(crate) spi: u64,
    pub(crate) ke: Initiator,
    pub(crate) nonce: Vec<u8>,
}

/// A refused re-keying is tried again after this long.
const RETRY: Duration = Duration::from_secs(10);
/// A replaced IKE SA waits this long for its DELETE.
pub(crate) const REPLACED: Duration = Duration::from_secs(60);

impl IkeSa {
    /// Is our re-keying of this IKE SA under way?
    pub(crate) fn is_rekeying(&self) -> bool {
        self.window.pending.as_ref().is_some_and(|p| match &p.asked {
            Asked::RekeyIke(_) => true,
            Asked::FollowUp(expected) => expected.series.is_for_ike(),
            _ => false,
        })
    }

    /// Asks for a successor.
    pub(crate) fn send_rekey_ike(&mut self, ctx: &mut Context<'_>, group: Option<Group>) {
        let mut suites = ctx.profiles[self.connection].ike.clone();
        // The group that the peer is known to accept.
        let group = group.or(self.chosen.as_ref().and_then(|c| c.group));
        let Some(group) = group.or_else(|| suites.first().and_then(|s| s.groups.first().copied())) else { return };
        suites.iter_mut().for_each(|s| s.groups.sort_by_key(|g| *g != group));
        let request = RekeyRequest { spi: ctx.new_ike_spi(), ke: Initiator::new(group, ctx.rng), nonce: ctx.rng.bytes(32) };
        let all = vec![
            parts::sa(proposal::offer(&suites, protocol::IKE, &request.spi.to_be_bytes())),
            parts::nonce(&request.nonce),
            parts::ke(group, request.ke.public()),
        ];
        self.log(ctx, "asks for a new IKE SA in place of this one");
        self.request(ctx, Asked::RekeyIke(Box::new(request)), exchange::CREATE_CHILD_SA, all);
    }

    /// The answer to our request.
    pub(crate) fn handle_rekey_ike_response(&mut self, ctx: &mut Context<'_>, request: RekeyRequest, content: Content<'_>) {
        if let Some(group) = content.wanted_group().filter(|g| *g != request.ke.group())
            && ctx.profiles[self.connection].ike.iter().any(|s| s.groups.contains(&group))
        {
            return self.send_rekey_ike(ctx, Some(group));
        }
        let (link, collision) = (followup::link(content), self.collision.take());
        match (self.accept_rekey(ctx, &request, content), collision) {
            (Ok(series), None) => self.go_on(ctx, series, link),
            (Ok(series), Some(collision)) => self.settle_ike(ctx, series, link, collision),
            (Err(why), Some(collision)) => {
                self.log(ctx, format!("own re-keying of the IKE SA has failed ({why}), the peer's has not"));
                self.leave_ike_to_peer(ctx, collision);
            }
            (Err(why), None) => self.ike_rekeying_failed(ctx, &why),
        }
    }

    /// Both sides asked for a successor: as with child SAs (RFC 7296 §2.8.2, RFC 9370 §2.2.4).
    fn settle_ike(&mut self, ctx: &mut Context<'_>, ours: Series, link: Option<Vec<u8>>, collision: Collision) {
        let ours_goes = ours.nonces.lowest() < collision.lowest.as_slice();
        let who = if ours_goes { "ours goes" } else { "the peer's goes" };
        self.log(ctx, format!("both sides re-keyed the IKE SA at once: {who}"));
        if !ours_goes {
            self.drop_follow_ups_of_ike();
            if let Some(mut theirs) = collision.theirs {
                // Its maker deletes it.
                theirs.state = State::Replaced;
                theirs.timers.set(Timer::Replaced, ctx.now + REPLACED);
                ctx.born.push(*theirs);
            }
            return self.go_on(ctx, ours, link);
        }
        let made = self.make_losing_ike(ctx, ours);
        self.leave_ike_to_peer(ctx, collision);
        if let Some(mut made) = made {
            made.tasks.push_back(Task::DeleteIke);
            ctx.born.push(made);
        }
    }

    /// The peer's re-keying is the one that counts.
    fn leave_ike_to_peer(&mut self, ctx: &mut Context<'_>, collision: Collision) {
        match collision.theirs {
            Some(theirs) => self.succeed(ctx, *theirs, false),
            // Should it not come to an end, it is our turn again.
            None => {
                self.timers.try_again(Timer::RekeyIke, Timer::ExpireIke, ctx.now, RETRY);
            }
        }
    }

    pub(crate) fn ike_rekeying_failed(&mut self, ctx: &mut Context<'_>, why: &str) {
        let after = self.timers.try_again(Timer::RekeyIke, Timer::ExpireIke, ctx.now, RETRY);
        self.log(ctx, format!("no new IKE SA: {why}; tried again in {:.1} s", after.as_secs_f32()));
    }

    fn accept_rekey(&self, ctx: &Context<'_>, request: &RekeyRequest, content: Content<'_>) -> Result<Series, String> {
        if let Some(error) = content.error() {
            return Err(content::name(error.kind));
        }
        let answer = content.sa().ok_or("the response has no SA payload")?;
        let chosen =
            proposal::accepted(&ctx.profiles[self.connection].ike, protocol::IKE, answer).ok_or("the peer chose what was not offered")?;
        let (number, public) = content.ke().ok_or("the response has no KE payload")?;
        if number != request.ke.group().transform_id() || chosen.group != Some(request.ke.group()) {
            return Err(format!("the KE payload is for group {number}"));
        }
        let nonces = Nonces { i: request.nonce.clone(), r: content.nonce().ok_or("the response has no nonce")?.to_vec() };
        let secret = request.ke.finish(public).map_err(|e| e.to_string())?;
        let theirs = ike_spi(&chosen).ok_or("the peer's SPI does not have eight octets")?;
        Ok(Series::new(Goal::Ike { chosen, spis: (request.spi, theirs) }, nonces, Some(secret)))
    }

    /// A new IKE SA with the same peer.
    pub(crate) fn successor(
        &self,
        ctx: &mut Context<'_>,
        role: Role,
        spis: (u64, u64),
        chosen: Chosen,
        nonces: &Nonces,
        secrets: &[Vec<u8>],
    ) -> Option<IkeSa> {
        let mut new = IkeSa::new(role, self.connection, spis, self.local, self.remote, ctx.now);
        let keys = self.keys.as_ref()?.rekeyed(&chosen, nonces, secrets, spis)?;
        ctx.keys(Keys { ikev2: vec![keys.evidence(spis.0, spis.1)], ..Keys::default() });
        new.keys = Some(keys);
        new.chosen = Some(chosen);
        new.nat = self.nat;
        new.announced = self.announced.clone();
        new.peer_id = self.peer_id.clone();
        new.virtual_ip = self.virtual_ip;
        new.leased = self.leased;
        new.last_heard = self.last_heard;
        Some(new)
    }

    /// `new` takes over: the children move (RFC 7296 §2.8). `ours`: who made it also deletes this one.
    pub(crate) fn succeed(&mut self, ctx: &mut Context<'_>, mut new: IkeSa, ours: bool) {
        self.log(ctx, format!("replaced by {:016x}_{:016x}", new.spi_i, new.spi_r));
        new.children = std::mem::take(&mut self.children);
        new.timers.merge(self.timers.take_children());
        let stays = |t: &Task| matches!(t, Task::DeleteIke | Task::Liveness);
        let (kept, moved) = std::mem::take(&mut self.tasks).into_iter().partition(stays);
        self.tasks = kept;
        new.tasks = moved;
        new.replaces = self.replaces.take();
        new.start_timers(ctx);
        if self.gives_way {
            new.give_way(ctx);
        }
        self.timers.clear_all();
        self.follow_ups.clear();
        self.state = State::Replaced;
        if ours {
            self.tasks.push_front(Task::DeleteIke);
        } else {
            self.timers.set(Timer::Replaced, ctx.now + REPLACED);
        }
        ctx.born.push(new);
    }

    /// The peer asks for a successor. The payloads of the response, and what to do when it is on its way.
    pub(crate) fn handle_rekey_ike_request(&mut self, ctx: &mut Context<'_>, content: Content<'_>) -> (Vec<Part>, Option<IkeSa>) {
        let refuse = |kind: u16, data: &[u8]| (vec![parts::notify(kind, data)], None);
        // With exchanges about children under way, or key exchanges of a re-keying of our own, the peer may ask later (RFC 7296 §2.25.2,
        // RFC 9370 §2.2.4).
        let busy = |p: &super::window::Pending| {
            matches!(p.asked, Asked::NewChild(_) | Asked::RekeyChild(..) | Asked::FollowUp(_) | Asked::DeleteChild(_) | Asked::DeleteIke)
        };
        if self.window.pending.as_ref().is_some_and(busy) || self.collision.is_some() {
            return refuse(notify::TEMPORARY_FAILURE, &[]);
        }
        let (Some(offered), Some((number, public)), Some(nonce)) = (content.sa(), content.ke(), content.nonce()) else {
            return refuse(notify::INVALID_SYNTAX, &[]);
        };
        let sent = Group::from_transform_id(number);
        let Some(chosen) = proposal::choose(&ctx.profiles[self.connection].ike, protocol::IKE, offered, sent) else {
            return refuse(notify::NO_PROPOSAL_CHOSEN, &[]);
        };
        let Some(group) = chosen.group else { return refuse(notify::NO_PROPOSAL_CHOSEN, &[]) };
        if group.transform_id() != number {
            return refuse(notify::INVALID_KE_PAYLOAD, &group.transform_id().to_be_bytes());
        }
        let (Some(theirs), Ok((own, secret))) = (ike_spi(&chosen), crypto::respond(group, public, ctx.rng)) else {
            return refuse(notify::INVALID_SYNTAX, &[]);
        };
        let spi = ctx.new_ike_spi();
        let nonces = Nonces { i: nonce.to_vec(), r: ctx.rng.bytes(32) };
        let proposal = chosen.proposal(protocol::IKE, &spi.to_be_bytes());
        let all = vec![parts::sa(vec![proposal]), parts::nonce(&nonces.r), parts::ke(group, &own)];
        if self.is_rekeying() {
            self.collision = Some(Collision { theirs: None, lowest: nonces.lowest().to_vec() });
        }
        self.answer(ctx, Series::new(Goal::Ike { chosen, spis: (theirs, spi) }, nonces, Some(secret)), all)
    }
}

fn ike_spi(chosen: &Chosen) -> Option<u64> {
    chosen.spi.as_slice().try_into().ok().map(u64::from_be_bytes).filter(|spi| *spi != 0)
}
