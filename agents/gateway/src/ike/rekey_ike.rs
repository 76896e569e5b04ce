//! CREATE_CHILD_SA for the IKE SA itself: RFC 7296 §1.3.2, §2.8.2, §2.18.
//!
//! ```text
//!  HDR, SK { SA, Ni, KEi } ──▶
//!                          ◀── HDR, SK { SA, Nr, KEr }      then the old IKE SA's DELETE by who made the new one
//! ```

use std::time::Duration;

use peer::Keys;
use wire::ike::emit::Part;

use super::content::{self, Content};
use super::context::Context;
use super::keys::Nonces;
use super::numbers::{exchange, notify};
use super::parts;
use super::proposal::{self, Chosen, Suite, protocol};
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
        self.window.pending.as_ref().is_some_and(|p| matches!(p.asked, Asked::RekeyIke(_)))
    }

    /// Suites for a successor: no additional key exchanges, which would need IKE_FOLLOWUP_KE (RFC 9370 §2.2.4).
    fn rekey_suites(&self, ctx: &Context<'_>) -> Vec<Suite> {
        ctx.profiles[self.connection].ike.iter().map(|s| Suite { additional: Vec::new(), ..s.clone() }).collect()
    }

    /// Asks for a successor.
    pub(crate) fn send_rekey_ike(&mut self, ctx: &mut Context<'_>, group: Option<Group>) {
        let mut suites = self.rekey_suites(ctx);
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
            && self.rekey_suites(ctx).iter().any(|s| s.groups.contains(&group))
        {
            return self.send_rekey_ike(ctx, Some(group));
        }
        let collision = self.collision.take();
        match (self.accept_rekey(ctx, &request, content), collision) {
            (Ok((new, _)), None) => self.succeed(ctx, new, true),
            (Ok((new, nonces)), Some(Collision { mut theirs, lowest })) => {
                let ours_goes = nonces.lowest() < lowest.as_slice();
                let who = if ours_goes { "ours goes" } else { "the peer's goes" };
                self.log(ctx, format!("both sides re-keyed the IKE SA at once: {who}"));
                let mut new = new;
                if ours_goes {
                    self.succeed(ctx, *theirs, false);
                    new.tasks.push_back(Task::DeleteIke);
                    ctx.born.push(new);
                } else {
                    self.succeed(ctx, new, true);
                    // Its maker deletes it.
                    theirs.state = State::Replaced;
                    theirs.timers.set(Timer::Replaced, ctx.now + REPLACED);
                    ctx.born.push(*theirs);
                }
            }
            (Err(why), Some(Collision { theirs, .. })) => {
                self.log(ctx, format!("own re-keying of the IKE SA has failed ({why}), the peer's has not"));
                self.succeed(ctx, *theirs, false);
            }
            (Err(why), None) => {
                self.log(ctx, format!("no new IKE SA: {why}; tried again in {} s", RETRY.as_secs()));
                self.timers.set(Timer::RekeyIke, ctx.now + RETRY);
            }
        }
    }

    fn accept_rekey(&self, ctx: &mut Context<'_>, request: &RekeyRequest, content: Content<'_>) -> Result<(IkeSa, Nonces), String> {
        if let Some(error) = content.error() {
            return Err(content::name(error.kind));
        }
        let answer = content.sa().ok_or("the response has no SA payload")?;
        let chosen = proposal::accepted(&self.rekey_suites(ctx), protocol::IKE, answer).ok_or("the peer chose what was not offered")?;
        let (number, public) = content.ke().ok_or("the response has no KE payload")?;
        if number != request.ke.group().transform_id() || chosen.group != Some(request.ke.group()) {
            return Err(format!("the KE payload is for group {number}"));
        }
        let nonces = Nonces { i: request.nonce.clone(), r: content.nonce().ok_or("the response has no nonce")?.to_vec() };
        let secret = request.ke.finish(public).map_err(|e| e.to_string())?;
        let theirs = ike_spi(&chosen).ok_or("the peer's SPI does not have eight octets")?;
        let new = self.successor(ctx, Role::Initiator, (request.spi, theirs), chosen, &nonces, &secret).ok_or("no PRF")?;
        Ok((new, nonces))
    }

    /// A new IKE SA with the same peer.
    fn successor(
        &self,
        ctx: &mut Context<'_>,
        role: Role,
        spis: (u64, u64),
        chosen: Chosen,
        nonces: &Nonces,
        secret: &[u8],
    ) -> Option<IkeSa> {
        let mut new = IkeSa::new(role, self.connection, spis, self.local, self.remote, ctx.now);
        let keys = self.keys.as_ref()?.rekeyed(&chosen, nonces, secret, spis)?;
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
        self.timers.clear_all();
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
        // With exchanges about children under way, the peer may ask later (RFC 7296 §2.25.2).
        let child_exchange = |p: &super::window::Pending| {
            matches!(p.asked, Asked::NewChild(_) | Asked::RekeyChild(..) | Asked::DeleteChild(_) | Asked::DeleteIke)
        };
        if self.window.pending.as_ref().is_some_and(child_exchange) || self.collision.is_some() {
            return refuse(notify::TEMPORARY_FAILURE, &[]);
        }
        let (Some(offered), Some((number, public)), Some(nonce)) = (content.sa(), content.ke(), content.nonce()) else {
            return refuse(notify::INVALID_SYNTAX, &[]);
        };
        let sent = Group::from_transform_id(number);
        let Some(chosen) = proposal::choose(&self.rekey_suites(ctx), protocol::IKE, offered, sent) else {
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
        let Some(new) = self.successor(ctx, Role::Responder, (theirs, spi), chosen, &nonces, &secret) else {
            return refuse(notify::NO_PROPOSAL_CHOSEN, &[]);
        };
        let all = vec![parts::sa(vec![proposal]), parts::nonce(&nonces.r), parts::ke(group, &own)];
        if self.is_rekeying() {
            self.collision = Some(Collision { theirs: Box::new(new), lowest: nonces.lowest().to_vec() });
            return (all, None);
        }
        (all, Some(new))
    }
}

fn ike_spi(chosen: &Chosen) -> Option<u64> {
    chosen.spi.as_slice().try_into().ok().map(u64::from_be_bytes).filter(|spi| *spi != 0)
}
