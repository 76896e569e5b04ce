//! ESP: RFC 4303, its SAD and SPD as RFC 4301 names them.
//!
//! ```text
//!  inner packet ─▶ SPD: which policy? ─▶ SAD: its outbound SA ─▶ fits the path? ─▶ seal ─▶ Send
//!                        none: drop          none: Acquire, drop     no: ICMP ─────────────▶ Deliver
//!  ESP packet ─▶ SAD: by SPI ─▶ replay? ─▶ open ─▶ padding, inner header, selectors, ECN ──▶ Deliver
//! ```
//!
//! `outbound`, `inbound`: the two ways. `spd`, `cache`, `sad`: what they look up. `inner`, `ecn`, `mtu`, `icmp`: about IP headers.
//! `transform`, `replay`: about ESP's. `early`: what comes before its SA. `params`: the words that IKE speaks. `describe`, `counters`:
//! for people.

mod cache;
mod counters;
mod describe;
mod early;
mod ecn;
mod icmp;
mod inbound;
mod inner;
mod mtu;
mod outbound;
mod params;
mod replay;
mod sad;
mod spd;
#[cfg(test)]
mod tests;
mod transform;

use std::collections::VecDeque;
use std::net::IpAddr;

pub use counters::Counters;
pub use params::{Ends, InstallError, Limits, PathEvent, PolicyInfo, PolicyParams, SaInfo, SaParams, Usage};
pub use replay::MAX_REPLAY_WINDOW;

use crate::Selector;
use crate::gateway::Outer;
use crate::time::Time;

/// SAD, SPD and everything that happens to single packets.
#[derive(Debug, Default)]
pub struct DataPath {
    spd: spd::Spd,
    sad: sad::Sad,
    cache: cache::FlowCache,
    early: early::Early,
    paths: mtu::Paths,
    icmp: icmp::Icmp,
    counters: Counters,
    events: VecDeque<PathEvent>,
    /// The latest moment that anyone told.
    now: Time,
}

impl DataPath {
    /// An empty one. `inside` are the gateway's own inside addresses; the first of each family is the source of ICMP errors. Without
    /// one, packets of that family that are too big disappear silently.
    pub fn new(inside: &[IpAddr]) -> DataPath {
        DataPath { icmp: icmp::Icmp::new(inside), ..DataPath::default() }
    }

    /// Makes or replaces a policy. Its SAs stay. Of policies that cover a packet, the one with the narrowest pair of selectors is
    /// taken (the peer's side counts first); of equal ones, the one with the newest SA, unless it [yields](PolicyParams::yields_until).
    pub fn set_policy(&mut self, id: u32, params: PolicyParams) {
        self.spd.set(id, params);
        self.cache.clear();
    }

    /// Removes a policy and its SAs.
    pub fn remove_policy(&mut self, id: u32) {
        self.spd.remove(id);
        self.sad.remove_policy(id);
        self.cache.clear();
    }

    /// Installs one direction of a child SA, before or after its policy. A new outbound SA is used from now on; see
    /// [`DataPath::use_outbound`].
    pub fn install(&mut self, now: Time, sa: SaParams, outbound: bool) -> Result<(), InstallError> {
        self.now = now;
        let policy = sa.policy;
        self.sad.install(now, sa, outbound, &self.paths)?;
        if let Some(entry) = self.spd.get_mut(policy).filter(|_| outbound) {
            entry.acquiring = None;
        }
        self.cache.clear();
        Ok(())
    }

    /// The peer is asked for an SA with this SPI: what arrives with it meanwhile is kept, a few packets of all such SAs together.
    pub fn expect(&mut self, spi: u32) {
        self.early.expect(spi);
    }

    /// The packets that came before their inbound SA, which is there now: for [`DataPath::inbound`].
    pub fn take_early(&mut self, spi: u32) -> Vec<(Outer, Vec<u8>)> {
        self.early.take(spi)
    }

    /// From now on (until the next outbound SA is installed) the policy uses this outbound SA: a responder to a re-key keeps the old
    /// one until the initiator has shown that it knows the new one. Returns whether there is such an SA.
    pub fn use_outbound(&mut self, policy: u32, spi: u32) -> bool {
        self.cache.clear();
        self.sad.use_outbound(policy, spi)
    }

    /// The outbound SA that the policy uses.
    pub fn current_outbound(&self, policy: u32) -> Option<u32> {
        self.sad.current(policy)
    }

    /// Removes an SA. When it is the outbound SA in use, the newest that is left is used. Returns whether there was such an SA.
    pub fn remove_sa(&mut self, policy: u32, spi: u32, outbound: bool) -> bool {
        self.cache.clear();
        let Some(carried) = self.sad.remove(policy, spi, outbound) else { return false };
        if let Some(entry) = self.spd.get_mut(policy) {
            entry.past = entry.past.plus(carried);
        }
        true
    }

    /// All SAs of a policy, in both directions, have other ends from now on (RFC 4555 §3.5, RFC 7296 §2.23).
    pub fn repoint_policy(&mut self, policy: u32, ends: Ends) {
        self.sad.repoint_policy(self.now, policy, ends, &self.paths);
    }

    /// One SA has other ends from now on. Returns whether there is such an SA.
    pub fn repoint_sa(&mut self, policy: u32, spi: u32, outbound: bool, ends: Ends) -> bool {
        self.sad.repoint_sa(self.now, policy, spi, outbound, ends, &self.paths)
    }

    /// Packets of more than `mtu` octets (outer IP header included) do not pass to `remote`, or so an ICMP error says. 0: a router
    /// that does not tell; the next lower plateau of RFC 1191 §7 is taken. Forgotten after ten minutes (RFC 1191 §6.3,
    /// RFC 4301 §8.2.2). Values below 576 (IPv6: 1280, RFC 8201 §4) are not believed. Returns whether it was.
    pub fn set_path_mtu(&mut self, now: Time, remote: IpAddr, mtu: u16) -> bool {
        self.now = now;
        let believed = self.paths.learn(now, remote, mtu);
        if believed {
            self.sad.outbound.values_mut().filter(|o| o.sa.params.remote == remote).for_each(|o| o.measure(now, &self.paths));
        }
        believed
    }

    /// MTU of the own outer link, octets; 1500 until told. No path's MTU is larger.
    pub fn set_link_mtu(&mut self, mtu: u16) {
        self.paths.set_link(mtu);
        self.sad.outbound.values_mut().for_each(|o| o.measure(self.now, &self.paths));
    }

    /// What a policy's SAs have carried; `None`: no such policy.
    pub fn usage(&self, policy: u32) -> Option<Usage> {
        self.spd.get(policy).map(|entry| entry.past.plus(self.sad.usage(policy)))
    }

    /// The SAD: inbound SAs by SPI, then outbound ones by policy and SPI.
    pub fn sas(&self) -> Vec<SaInfo> {
        self.sad.list()
    }

    /// The SPD, in the order in which it is searched.
    pub fn policies(&self) -> Vec<PolicyInfo> {
        let info = |(id, entry): (u32, &spd::Entry)| PolicyInfo {
            id,
            params: entry.params.clone(),
            outbound: self.sad.current(id),
            usage: entry.past.plus(self.sad.usage(id)),
        };
        self.spd.in_order().map(info).collect()
    }

    /// How often what happened.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What IKE must know next; to be called until there is nothing.
    pub fn poll_event(&mut self) -> Option<PathEvent> {
        self.events.pop_front()
    }
}
