//! The SAD: RFC 4301 §4.4.2.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::inner::Flow;
use super::mtu::Paths;
use super::params::{Ends, InstallError, SaInfo, SaParams, Usage};
use super::replay::ReplayWindow;
use super::spd::covers_outbound;
use super::transform::Transform;
use crate::time::Time;

/// Without extended numbers, a new SA is wanted when three quarters of them are used.
const SOFT_SEQUENCE: u64 = 3 << 30;

/// A limit that a packet has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    Nothing,
    Soft,
    Hard,
}

/// What both directions have.
#[derive(Debug)]
pub(super) struct Sa {
    /// Keys removed.
    pub params: SaParams,
    pub transform: Transform,
    pub installed: Time,
    /// Counts up over all SAs: which is the newest?
    serial: u64,
    pub last: Option<Time>,
    pub octets: u64,
    pub packets: u64,
    soft_told: bool,
    pub expired: bool,
}

impl Sa {
    fn new(now: Time, serial: u64, params: SaParams) -> Result<Sa, InstallError> {
        if params.spi < 256 {
            return Err(InstallError::Reserved(params.spi));
        }
        let transform = Transform::new(&params)?;
        let params = SaParams { key: Vec::new(), integrity_key: Vec::new(), ..params };
        Ok(Sa { params, transform, installed: now, serial, last: None, octets: 0, packets: 0, soft_told: false, expired: false })
    }

    /// It has carried an inner packet; `number` is its sequence number.
    pub fn carried(&mut self, now: Time, octets: usize, number: u64) -> Reached {
        self.last = Some(now);
        self.octets = self.octets.saturating_add(octets as u64);
        self.packets = self.packets.saturating_add(1);
        let limits = self.params.limits;
        let at = |limit: Option<u64>, value| limit.is_some_and(|limit| value >= limit);
        let last_number = if self.params.esn { u64::MAX } else { u32::MAX.into() };
        if at(limits.hard_bytes, self.octets) || at(limits.hard_packets, self.packets) || number >= last_number {
            let first = !self.expired;
            self.expired = true;
            return if first { Reached::Hard } else { Reached::Nothing };
        }
        let numbers_run_out = !self.params.esn && number >= SOFT_SEQUENCE;
        if !self.soft_told && (at(limits.soft_bytes, self.octets) || at(limits.soft_packets, self.packets) || numbers_run_out) {
            self.soft_told = true;
            return Reached::Soft;
        }
        Reached::Nothing
    }

    fn repoint(&mut self, ends: Ends) {
        (self.params.local, self.params.remote, self.params.ports) = (ends.local, ends.remote, ends.ports);
    }

    fn info(&self, outbound: bool) -> SaInfo {
        let p = &self.params;
        SaInfo {
            spi: p.spi,
            policy: p.policy,
            outbound,
            current: false,
            cipher: p.cipher,
            integrity: p.integrity,
            esn: p.esn,
            ends: Ends { local: p.local, remote: p.remote, ports: p.ports },
            local_ts: p.local_ts.clone(),
            remote_ts: p.remote_ts.clone(),
            sequence: 0,
            replay_window: 0,
            installed: self.installed,
            last: self.last,
            octets: self.octets,
            packets: self.packets,
            replays: 0,
            icv_fails: 0,
            expired: self.expired,
            max_inner: None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Outbound {
    pub sa: Sa,
    /// The last sequence number that was sent.
    pub number: u64,
    /// Octets of the largest inner packet that fits the path, as far as known.
    pub max_inner: u16,
}

impl Outbound {
    /// The next sequence number; `None`: there is none left (RFC 4303 §3.3.3).
    pub fn next_number(&mut self) -> Option<u64> {
        let begins_anew = self.sa.params.reset_sequence_after.is_some_and(|after| self.number >= u64::from(after.max(1)));
        let next = if begins_anew { 1 } else { self.number.checked_add(1)? };
        let fits = self.sa.params.esn || next <= u32::MAX.into();
        fits.then(|| {
            self.number = next;
            next
        })
    }

    /// Computes [`Outbound::max_inner`] again.
    pub fn measure(&mut self, now: Time, paths: &Paths) {
        let p = &self.sa.params;
        self.max_inner = self.sa.transform.shape().max_inner(paths.mtu(now, p.remote), p.remote, p.ports.is_some());
    }

    fn usable(&self, flow: &Flow) -> bool {
        !self.sa.expired && covers_outbound(&self.sa.params.local_ts, &self.sa.params.remote_ts, flow)
    }
}

#[derive(Debug)]
pub(super) struct Inbound {
    pub sa: Sa,
    pub window: ReplayWindow,
    /// Where the peer has been seen, other than where it should be; told already.
    pub moved: Option<SocketAddr>,
    pub replays: u64,
    pub icv_fails: u64,
}

/// An outbound SA that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// SPI, and how new it is.
    Use(u32, u64),
    /// There are some, and all have reached a hard limit.
    Expired,
    /// There is none for such packets.
    Missing,
}

/// All SAs.
#[derive(Debug, Default)]
pub(super) struct Sad {
    /// By SPI alone (RFC 4301 §4.1: unicast).
    pub inbound: BTreeMap<u32, Inbound>,
    /// By policy and SPI: peers choose these SPIs, perhaps the same.
    pub outbound: BTreeMap<(u32, u32), Outbound>,
    /// The outbound SA that each policy uses.
    current: BTreeMap<u32, u32>,
    serial: u64,
}

impl Sad {
    pub fn install(&mut self, now: Time, params: SaParams, outbound: bool, paths: &Paths) -> Result<(), InstallError> {
        let (policy, spi) = (params.policy, params.spi);
        let taken = if outbound { self.outbound.contains_key(&(policy, spi)) } else { self.inbound.contains_key(&spi) };
        if taken {
            return Err(InstallError::InUse(spi));
        }
        self.serial += 1;
        if outbound {
            let mut sa = Outbound { sa: Sa::new(now, self.serial, params)?, number: 0, max_inner: 0 };
            sa.measure(now, paths);
            self.outbound.insert((policy, spi), sa);
            self.current.insert(policy, spi);
        } else {
            let window = ReplayWindow::new(params.replay_window, params.esn);
            let sa = Sa::new(now, self.serial, params)?;
            self.inbound.insert(spi, Inbound { sa, window, moved: None, replays: 0, icv_fails: 0 });
        }
        Ok(())
    }

    pub fn use_outbound(&mut self, policy: u32, spi: u32) -> bool {
        let known = self.outbound.contains_key(&(policy, spi));
        if known {
            self.current.insert(policy, spi);
        }
        known
    }

    /// Removes an SA; what it has carried.
    pub fn remove(&mut self, policy: u32, spi: u32, outbound: bool) -> Option<Usage> {
        let mut usage = Usage::default();
        if outbound {
            usage.add_outbound(&self.outbound.remove(&(policy, spi))?.sa);
            if self.current.get(&policy) == Some(&spi) {
                match self.of_policy(policy).max_by_key(|o| o.sa.serial).map(|o| o.sa.params.spi) {
                    Some(newest) => self.current.insert(policy, newest),
                    None => self.current.remove(&policy),
                };
            }
        } else {
            self.inbound.get(&spi).filter(|i| i.sa.params.policy == policy)?;
            usage.add_inbound(&self.inbound.remove(&spi)?.sa);
        }
        Some(usage)
    }

    pub fn remove_policy(&mut self, policy: u32) {
        self.inbound.retain(|_, i| i.sa.params.policy != policy);
        self.outbound.retain(|(p, _), _| *p != policy);
        self.current.remove(&policy);
    }

    fn of_policy(&self, policy: u32) -> impl Iterator<Item = &Outbound> {
        self.outbound.range((policy, 0)..=(policy, u32::MAX)).map(|(_, sa)| sa)
    }

    /// The outbound SA in use, or else the newest that may carry the flow.
    pub fn choose(&self, policy: u32, flow: &Flow) -> Choice {
        let current = self.current.get(&policy).and_then(|spi| self.outbound.get(&(policy, *spi)));
        let usable = |sa: &&Outbound| sa.usable(flow);
        match current.filter(usable).or_else(|| self.of_policy(policy).filter(usable).max_by_key(|o| o.sa.serial)) {
            Some(found) => Choice::Use(found.sa.params.spi, found.sa.serial),
            None if self.of_policy(policy).any(|o| o.sa.expired) => Choice::Expired,
            None => Choice::Missing,
        }
    }

    /// Everything of a policy has other ends now.
    pub fn repoint_policy(&mut self, now: Time, policy: u32, ends: Ends, paths: &Paths) {
        for (_, sa) in self.outbound.range_mut((policy, 0)..=(policy, u32::MAX)) {
            sa.sa.repoint(ends);
            sa.measure(now, paths);
        }
        for sa in self.inbound.values_mut().filter(|i| i.sa.params.policy == policy) {
            sa.sa.repoint(ends);
        }
    }

    pub fn repoint_sa(&mut self, now: Time, policy: u32, spi: u32, outbound: bool, ends: Ends, paths: &Paths) -> bool {
        if outbound {
            self.outbound.get_mut(&(policy, spi)).is_some_and(|sa| {
                sa.sa.repoint(ends);
                sa.measure(now, paths);
                true
            })
        } else {
            self.inbound.get_mut(&spi).filter(|i| i.sa.params.policy == policy).is_some_and(|sa| {
                sa.sa.repoint(ends);
                true
            })
        }
    }

    /// What the SAs of a policy that are there now have carried.
    pub fn usage(&self, policy: u32) -> Usage {
        let mut usage = Usage::default();
        self.of_policy(policy).for_each(|o| usage.add_outbound(&o.sa));
        self.inbound.values().filter(|i| i.sa.params.policy == policy).for_each(|i| usage.add_inbound(&i.sa));
        usage
    }

    /// SPI of the outbound SA in use.
    pub fn current(&self, policy: u32) -> Option<u32> {
        self.current.get(&policy).copied()
    }

    pub fn list(&self) -> Vec<SaInfo> {
        let inbound = self.inbound.values().map(|i| SaInfo {
            sequence: i.window.top(),
            replay_window: i.window.size(),
            replays: i.replays,
            icv_fails: i.icv_fails,
            ..i.sa.info(false)
        });
        let outbound = self.outbound.iter().map(|((policy, spi), o)| SaInfo {
            current: self.current(*policy) == Some(*spi),
            sequence: o.number,
            max_inner: Some(o.max_inner),
            ..o.sa.info(true)
        });
        inbound.chain(outbound).collect()
    }
}

impl Usage {
    fn add_outbound(&mut self, sa: &Sa) {
        self.last_out = self.last_out.max(sa.last);
        self.octets_out += sa.octets;
        self.packets_out += sa.packets;
    }

    fn add_inbound(&mut self, sa: &Sa) {
        self.last_in = self.last_in.max(sa.last);
        self.octets_in += sa.octets;
        self.packets_in += sa.packets;
    }

    /// Both together.
    pub(super) fn plus(self, other: Usage) -> Usage {
        Usage {
            last_in: self.last_in.max(other.last_in),
            last_out: self.last_out.max(other.last_out),
            octets_in: self.octets_in + other.octets_in,
            octets_out: self.octets_out + other.octets_out,
            packets_in: self.packets_in + other.packets_in,
            packets_out: self.packets_out + other.packets_out,
        }
    }
}
