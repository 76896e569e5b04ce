//! Child SAs: what is asked for, what is agreed upon, and how it gets into the data path (RFC 7296 §1.3.1, §2.9, §2.17).

use std::time::Duration;

use peer::{EspKeys, GatewayEventKind, Keys};
use wire::ike::emit::Part;

use super::content::Content;
use super::context::{Context, Order};
use super::followup::{Goal, Series};
use super::keys::{ChildKeys, Nonces};
use super::numbers::{notify, payload};
use super::parts;
use super::proposal::{self, Chosen, Suite, protocol};
use super::sa::{IkeSa, Task};
use super::timer::Timer;
use crate::Selector;
use crate::crypto::{self, Initiator};
use crate::esp::{Limits, PolicyParams, SaParams};
use crate::gateway::{Effect, Verdict};
use crate::selector;
use crate::time::Time;

/// What a child SA is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Carrying traffic.
    Installed,
    /// We have asked for new keys.
    Rekeying,
    /// Its successor is there; whoever made that deletes this one.
    Replaced,
    /// Our DELETE is under way.
    Deleting,
}

/// A pair of ESP SAs.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    /// Which of the connection's children it is.
    pub(crate) index: usize,
    pub(crate) policy: u32,
    pub(crate) spi_in: u32,
    pub(crate) spi_out: u32,
    pub(crate) local_ts: Vec<Selector>,
    pub(crate) remote_ts: Vec<Selector>,
    pub(crate) phase: Phase,
    pub(crate) created: Time,
}

/// A child SA that we asked for.
pub(crate) struct ChildRequest {
    /// Which of the connection's children it is.
    pub(crate) index: usize,
    pub(crate) spi_in: u32,
    pub(crate) suites: Vec<Suite>,
    /// Our public value, when keys of its own are wanted (PFS).
    pub(crate) ke: Option<Initiator>,
    /// Our nonce; empty in IKE_AUTH, where the IKE SA's serve.
    pub(crate) nonce: Vec<u8>,
    pub(crate) local_ts: Vec<Selector>,
    pub(crate) remote_ts: Vec<Selector>,
    /// The policy that it continues; `None`: a new one.
    pub(crate) policy: Option<u32>,
}

/// A notify that refuses a request, and its data.
pub(crate) type Refusal = (u16, Vec<u8>);

/// A child SA that is agreed upon, but for its keys.
pub(crate) struct Agreed {
    pub(crate) index: usize,
    pub(crate) chosen: Chosen,
    pub(crate) spi_in: u32,
    local_ts: Vec<Selector>,
    remote_ts: Vec<Selector>,
    policy: Option<u32>,
}

impl IkeSa {
    /// What to ask for. `index`: which of the connection's children. `in_auth`: along with IKE_AUTH, where no key exchange takes place.
    pub(crate) fn child_request(&self, ctx: &mut Context<'_>, index: usize, in_auth: bool, replaces: Option<&Child>) -> ChildRequest {
        let suites = &ctx.child(self.connection, index).esp;
        let suites: Vec<Suite> = if in_auth { suites.iter().map(Suite::without_groups).collect() } else { suites.clone() };
        let group = suites.first().and_then(|s| s.groups.first().copied());
        let (local_ts, remote_ts) = match replaces {
            Some(old) => (old.local_ts.clone(), old.remote_ts.clone()),
            None => self.wanted_selectors(ctx, index),
        };
        let spi_in = ctx.new_spi();
        ctx.path.expect(spi_in);
        ChildRequest {
            index,
            spi_in,
            ke: group.map(|g| Initiator::new(g, ctx.rng)),
            suites,
            nonce: if in_auth { Vec::new() } else { ctx.rng.bytes(32) },
            local_ts,
            remote_ts,
            policy: replaces.map(|old| old.policy),
        }
    }

    /// SA, TSi and TSr of a request, with nonce and KE outside of IKE_AUTH.
    pub(crate) fn child_parts(&self, ctx: &Context<'_>, request: &ChildRequest) -> Vec<Part> {
        let mut all = vec![parts::sa(proposal::offer(&request.suites, protocol::ESP, &request.spi_in.to_be_bytes()))];
        if !request.nonce.is_empty() {
            all.push(parts::nonce(&request.nonce));
        }
        all.extend(request.ke.as_ref().map(|ke| parts::ke(ke.group(), ke.public())));
        all.push(parts::selectors(payload::TSI, &request.local_ts));
        all.push(parts::selectors(payload::TSR, &request.remote_ts));
        let _ = ctx;
        all.push(parts::notify(notify::ESP_TFC_PADDING_NOT_SUPPORTED, &[]));
        all
    }

    /// The peer's answer to our request, in place of the child SA `old`. `Err`: why there is no child SA.
    pub(crate) fn accept_child(
        &self,
        request: ChildRequest,
        content: Content<'_>,
        ike_nonces: Option<&Nonces>,
        old: Option<u32>,
    ) -> Result<Series, String> {
        if let Some(error) = content.error() {
            return Err(super::content::name(error.kind));
        }
        let answer = content.sa().ok_or("the response has no SA payload")?;
        let chosen = proposal::accepted(&request.suites, protocol::ESP, answer).ok_or("the peer chose what was not offered")?;
        let nonces = match ike_nonces {
            Some(nonces) => nonces.clone(),
            None => Nonces { i: request.nonce.clone(), r: content.nonce().ok_or("the response has no nonce")?.to_vec() },
        };
        let secret = match (chosen.group, &request.ke) {
            (None, _) => None,
            (Some(group), Some(ke)) if ke.group() == group => {
                let (number, public) = content.ke().ok_or("the response has no KE payload")?;
                if number != group.transform_id() {
                    return Err(format!("the KE payload is for group {number}, not {}", group.transform_id()));
                }
                Some(ke.finish(public).map_err(|e| e.to_string())?)
            }
            (Some(group), _) => return Err(format!("the peer chose group {} without a key exchange", group.transform_id())),
        };
        let tsi = content.selectors(payload::TSI).ok_or("the response has no TSi payload")?;
        let tsr = content.selectors(payload::TSR).ok_or("the response has no TSr payload")?;
        // The responder may narrow, never widen (RFC 7296 §2.9).
        let (local_ts, remote_ts) = (selector::narrow(&tsi, &request.local_ts), selector::narrow(&tsr, &request.remote_ts));
        if local_ts.is_empty() || remote_ts.is_empty() {
            return Err("the peer's traffic selectors are outside of what was asked for".into());
        }
        let agreed = Agreed { index: request.index, chosen, spi_in: request.spi_in, local_ts, remote_ts, policy: request.policy };
        Ok(Series::new(Goal::Child { agreed, old }, nonces, secret))
    }

    /// The peer asks for a child SA. `replaces`: the one whose keys it renews. What is agreed upon, and the payloads of the response.
    /// `Err`: the notify that refuses it, with its data.
    pub(crate) fn answer_child(
        &mut self,
        ctx: &mut Context<'_>,
        content: Content<'_>,
        ike_nonces: Option<&Nonces>,
        replaces: Option<u32>,
    ) -> Result<(Series, Vec<Part>), Refusal> {
        let syntax = (notify::INVALID_SYNTAX, Vec::new());
        let offered = content.sa().ok_or_else(|| syntax.clone())?;
        let index = self.child_asked_for(ctx, content, replaces).ok_or((notify::TS_UNACCEPTABLE, Vec::new()))?;
        let suites = &ctx.child(self.connection, index).esp;
        let suites: Vec<Suite> = if ike_nonces.is_some() { suites.iter().map(Suite::without_groups).collect() } else { suites.clone() };
        let sent = content.ke();
        let sent_group = sent.and_then(|(n, _)| crypto::Group::from_transform_id(n));
        let chosen = proposal::choose(&suites, protocol::ESP, offered, sent_group).ok_or((notify::NO_PROPOSAL_CHOSEN, Vec::new()))?;
        if content.notify(notify::USE_TRANSPORT_MODE).is_some() {
            ctx.log(Some(self.connection), Some(self.spis()), "the peer asks for transport mode; tunnel mode it is (RFC 7296 §1.3.1)");
        }
        let nonces = match ike_nonces {
            Some(nonces) => nonces.clone(),
            None => Nonces { i: content.nonce().ok_or_else(|| syntax.clone())?.to_vec(), r: ctx.rng.bytes(32) },
        };
        let (mut ke, mut secret) = (None, None);
        if let Some(group) = chosen.group {
            let wrong = || (notify::INVALID_KE_PAYLOAD, group.transform_id().to_be_bytes().to_vec());
            let (number, public) = sent.ok_or_else(wrong)?;
            if number != group.transform_id() {
                return Err(wrong());
            }
            let (own, shared) = crypto::respond(group, public, ctx.rng).map_err(|_| syntax.clone())?;
            (ke, secret) = (Some(parts::ke(group, &own)), Some(shared));
        }
        let tsi = content.selectors(payload::TSI).ok_or_else(|| syntax.clone())?;
        let tsr = content.selectors(payload::TSR).ok_or_else(|| syntax.clone())?;
        let (local, remote) = self.allowed_selectors(ctx, index, replaces);
        let narrowing = !ctx.config.misbehave.switches.no_narrowing;
        let (remote_ts, local_ts) = match narrowing {
            true => (selector::narrow(&tsi, &remote), selector::narrow(&tsr, &local)),
            false => (remote, local),
        };
        if local_ts.is_empty() || remote_ts.is_empty() {
            return Err((notify::TS_UNACCEPTABLE, Vec::new()));
        }
        let spi_in = ctx.new_spi();
        let mut all = vec![parts::sa(vec![chosen.proposal(protocol::ESP, &spi_in.to_be_bytes())])];
        if ike_nonces.is_none() {
            all.push(parts::nonce(&nonces.r));
        }
        all.extend(ke);
        all.push(parts::selectors(payload::TSI, &remote_ts));
        all.push(parts::selectors(payload::TSR, &local_ts));
        let policy = replaces.and_then(|spi| self.children.iter().find(|c| c.spi_in == spi)).map(|c| c.policy);
        let agreed = Agreed { index, chosen, spi_in, local_ts, remote_ts, policy };
        Ok((Series::new(Goal::Child { agreed, old: replaces }, nonces, secret), all))
    }

    /// Makes the child SA that is agreed upon. `asked`: by us. Its inbound SPI.
    pub(crate) fn make_child(
        &mut self,
        ctx: &mut Context<'_>,
        agreed: Agreed,
        nonces: &Nonces,
        secrets: &[Vec<u8>],
        asked: bool,
    ) -> Result<u32, String> {
        let [initiator, responder] = self.keys.as_ref().ok_or("no keys")?.child(&agreed.chosen, nonces, secrets);
        let keys = if asked { [initiator, responder] } else { [responder, initiator] };
        self.install(ctx, agreed, keys, asked)
    }

    /// Puts both directions into the data path. `keys`: outbound, inbound. `initiator`: of this exchange.
    fn install(&mut self, ctx: &mut Context<'_>, agreed: Agreed, keys: [ChildKeys; 2], initiator: bool) -> Result<u32, String> {
        let spi_out: [u8; 4] = agreed.chosen.spi.as_slice().try_into().map_err(|_| "the peer's SPI does not have four octets")?;
        let spi_out = u32::from_be_bytes(spi_out);
        if initiator && self.closed_early.contains(&spi_out) {
            return Err(format!("the peer has closed it already (SPI {spi_out:08x})"));
        }
        let c = &ctx.config.connections[self.connection];
        let (options, settings) = (&c.options, &ctx.child(self.connection, agreed.index).settings);
        let limits = Limits {
            soft_bytes: options.rekey_bytes,
            hard_bytes: options.life_bytes,
            soft_packets: options.rekey_packets,
            hard_packets: options.life_packets,
        };
        let switches = &ctx.config.misbehave.switches;
        let policy = agreed.policy.unwrap_or_else(|| {
            *ctx.next_policy += 1;
            *ctx.next_policy
        });
        // The old child may be gone meanwhile, and the policy with it.
        let is_new = !self.children.iter().any(|c| c.policy == policy);
        let params = |spi: u32, keys: &ChildKeys| SaParams {
            spi,
            policy,
            cipher: agreed.chosen.cipher,
            key: keys.encryption.clone(),
            integrity: agreed.chosen.integrity,
            integrity_key: keys.integrity.clone(),
            esn: agreed.chosen.esn,
            local: self.local.ip(),
            remote: self.remote.ip(),
            ports: self.encapsulation(),
            local_ts: agreed.local_ts.clone(),
            remote_ts: agreed.remote_ts.clone(),
            replay_window: options.replay_window,
            df: options.df,
            limits,
            icv_len: switches.esp_icv_len,
            reset_sequence_after: switches.reset_esp_sequence_after,
        };
        let [key_out, key_in] = &keys;
        if is_new {
            let (local_ts, remote_ts) = (agreed.local_ts.clone(), agreed.remote_ts.clone());
            // Of an earlier IKE SA there may be a child of the same selectors, which this one is to replace (re-authentication).
            let yields_until = (!initiator).then(|| ctx.now + GRACE);
            ctx.path.set_policy(policy, PolicyParams { name: settings.name.clone(), local_ts, remote_ts, trap: false, yields_until });
        }
        ctx.path.install(ctx.now, params(agreed.spi_in, key_in), false).map_err(|e| e.to_string())?;
        // A responder goes on sending on the old SA until that is deleted: the peer may not have the new one yet (RFC 7296 §2.8).
        let old_out = self.children.iter().rfind(|k| k.policy == policy && k.phase != Phase::Deleting).map(|k| k.spi_out);
        ctx.path.install(ctx.now, params(spi_out, key_out), true).map_err(|e| e.to_string())?;
        if let (Some(old), false) = (old_out, initiator) {
            ctx.path.use_outbound(policy, old);
        }
        let esp = |spi, keys: &ChildKeys, src, dst| EspKeys {
            src: Some(src),
            dst: Some(dst),
            spi,
            encryption: agreed.chosen.cipher,
            key: keys.encryption.clone(),
            integrity: agreed.chosen.integrity,
            integrity_key: keys.integrity.clone(),
        };
        let (here, there) = (self.local.ip(), self.remote.ip());
        let told = vec![esp(agreed.spi_in, key_in, there, here), esp(spi_out, key_out, here, there)];
        ctx.keys(Keys { esp: told, ..Keys::default() });
        let text = format!(
            "child SA {:08x}/{spi_out:08x} installed: {} === {}, {:?} {:?}{}",
            agreed.spi_in,
            list(&agreed.local_ts),
            list(&agreed.remote_ts),
            agreed.chosen.cipher,
            agreed.chosen.integrity,
            if self.encapsulation().is_some() { ", in UDP" } else { "" }
        );
        let (connection, child) = (c.name.clone(), settings.name.clone());
        ctx.log(Some(self.connection), Some(self.spis()), text);
        ctx.event(GatewayEventKind::ChildUp { connection, child, spi_in: agreed.spi_in, spi_out });
        self.children.push(Child {
            index: agreed.index,
            policy,
            spi_in: agreed.spi_in,
            spi_out,
            local_ts: agreed.local_ts,
            remote_ts: agreed.remote_ts,
            phase: Phase::Installed,
            created: ctx.now,
        });
        for (after, timer) in [
            (settings.child_rekey, Timer::RekeyChild(agreed.spi_in)),
            (settings.child_life, Timer::ExpireChild(agreed.spi_in)),
            (settings.inactivity, Timer::Inactivity(agreed.spi_in)),
        ] {
            if let Some(after) = after {
                self.timers.set(timer, ctx.now + after);
            }
        }
        ctx.orders.push(Order::Routes);
        let mut inner = Vec::new();
        for (outer, mut packet) in ctx.path.take_early(agreed.spi_in) {
            if ctx.path.inbound(ctx.now, outer, &mut packet, &mut inner) == Verdict::Deliver {
                ctx.effects.push_back(Effect::Inner(inner.clone()));
            }
        }
        Ok(agreed.spi_in)
    }

    /// Takes a child SA out of everything. `gently`: packets under way may still arrive for a while.
    pub(crate) fn remove_child(&mut self, ctx: &mut Context<'_>, spi_in: u32, gently: bool) {
        let Some(index) = self.children.iter().position(|c| c.spi_in == spi_in) else { return };
        let child = self.children.remove(index);
        self.timers.clear_child(spi_in);
        self.tasks.retain(|t| !matches!(t, Task::RekeyChild(s) | Task::DeleteChild(s) if *s == spi_in));
        let used = ctx.path.current_outbound(child.policy) == Some(child.spi_out);
        ctx.path.remove_sa(child.policy, child.spi_out, true);
        let stays = self.children.iter().rfind(|c| c.policy == child.policy && c.phase == Phase::Installed).map(|c| c.spi_in);
        if let (true, Some(stays)) = (used, stays) {
            // Not one that is about to go as well.
            self.use_child(ctx, stays);
        }
        let continued = self.children.iter().any(|c| c.policy == child.policy);
        if continued && gently {
            self.timers.set(Timer::ForgetInbound(child.policy, spi_in), ctx.now + GRACE);
        } else {
            ctx.path.remove_sa(child.policy, spi_in, false);
        }
        let text = format!("child SA {spi_in:08x}/{:08x} removed", child.spi_out);
        ctx.log(Some(self.connection), Some(self.spis()), text);
        if !continued {
            ctx.path.remove_policy(child.policy);
            let connection = ctx.connection(self.connection).name.clone();
            let child = ctx.child(self.connection, child.index).settings.name.clone();
            ctx.event(GatewayEventKind::ChildDown { connection, child });
            ctx.orders.push(Order::Routes);
        }
    }

    /// The index of the child that the peer names by its own inbound SPI.
    pub(crate) fn child_by_peer(&self, spi: u32) -> Option<usize> {
        self.children.iter().position(|c| c.spi_out == spi)
    }
}

/// How long the inbound SA of a replaced child stays, as with strongSwan; and for how long a peer may be without the SA it asked for.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) fn list(selectors: &[Selector]) -> String {
    selectors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
