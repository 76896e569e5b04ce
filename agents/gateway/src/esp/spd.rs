//! The SPD: RFC 4301 §4.4.1. Everything in it is PROTECT; what no entry covers is DISCARD.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::inner::Flow;
use super::params::{PolicyParams, Usage};
use crate::Selector;
use crate::time::Time;

/// A policy asks for an SA again after this long.
pub(super) const ACQUIRE_AGAIN: Duration = Duration::from_secs(1);

/// One policy.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub params: PolicyParams,
    /// When it asked for an SA that has not come yet.
    pub acquiring: Option<Time>,
    /// What SAs that are gone have carried.
    pub past: Usage,
}

impl Entry {
    /// May it ask for an SA (again)? If so, it does.
    pub fn acquire(&mut self, now: Time) -> bool {
        let may = self.params.trap && self.acquiring.is_none_or(|at| now.since(at) >= ACQUIRE_AGAIN);
        if may {
            self.acquiring = Some(now);
        }
        may
    }

    /// May the peer still be without the SA that it has asked for?
    pub fn yields(&self, now: Time) -> bool {
        self.params.yields_until.is_some_and(|until| now < until)
    }
}

/// How wide a selector is: binary logarithm of addresses, then protocol and ports.
type Width = (u32, bool, u32);

/// One of a policy's selectors for the peer's side.
#[derive(Debug)]
struct Row {
    width: Width,
    remote: Selector,
    policy: u32,
}

/// All policies, and the order in which they are searched: the narrowest selector for the peer's side first, as in routing.
#[derive(Debug, Default)]
pub(super) struct Spd {
    entries: BTreeMap<u32, Entry>,
    rows: Vec<Row>,
}

impl Spd {
    pub fn set(&mut self, id: u32, params: PolicyParams) {
        let entry = self.entries.entry(id).or_default();
        let same_remote = entry.params.remote_ts == params.remote_ts;
        entry.params = params;
        if same_remote {
            return; // and its place in the order
        }
        self.rows.retain(|row| row.policy != id);
        for remote in &entry.params.remote_ts {
            let width = width(remote);
            let at = self.rows.partition_point(|row| row.width <= width);
            self.rows.insert(at, Row { width, remote: *remote, policy: id });
        }
    }

    pub fn remove(&mut self, id: u32) {
        self.entries.remove(&id);
        self.rows.retain(|row| row.policy != id);
    }

    pub fn get(&self, id: u32) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub fn get_mut(&mut self, id: u32) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    /// The policies that cover an outbound flow most narrowly, on the peer's side and then on the own; several only when they are
    /// equally narrow.
    pub fn find(&self, flow: &Flow) -> impl Iterator<Item = u32> {
        let mut from_first = self.rows.iter().skip_while(|row| self.covered(row, flow).is_none()).peekable();
        let width = from_first.peek().map(|row| row.width);
        let equal = from_first.take_while(move |row| Some(row.width) == width);
        let covering = equal.filter_map(|row| Some((self.covered(row, flow)?, row.policy)));
        let narrowest = covering.clone().map(|(local, _)| local).min();
        covering.filter(move |(local, _)| Some(*local) == narrowest).map(|(_, policy)| policy)
    }

    /// How wide the narrowest of the own side's selectors is that covers the flow, when the row does.
    fn covered(&self, row: &Row, flow: &Flow) -> Option<Width> {
        let own = row.remote.covers(flow.dst, flow.protocol, flow.dst_port()).then(|| self.entries.get(&row.policy))??;
        own.params.local_ts.iter().filter(|s| s.covers(flow.src, flow.protocol, flow.src_port())).map(width).min()
    }

    /// Policies in the order in which they are searched.
    pub fn in_order(&self) -> impl Iterator<Item = (u32, &Entry)> {
        let mut seen = std::collections::BTreeSet::new();
        let searched = self.rows.iter().map(|row| row.policy);
        searched.chain(self.entries.keys().copied()).filter(move |id| seen.insert(*id)).filter_map(|id| Some((id, self.entries.get(&id)?)))
    }
}

/// Do an SA's selectors cover an outbound flow?
pub(super) fn covers_outbound(local_ts: &[Selector], remote_ts: &[Selector], flow: &Flow) -> bool {
    local_ts.iter().any(|s| s.covers(flow.src, flow.protocol, flow.src_port()))
        && remote_ts.iter().any(|s| s.covers(flow.dst, flow.protocol, flow.dst_port()))
}

/// Do an SA's selectors cover an inbound flow?
pub(super) fn covers_inbound(local_ts: &[Selector], remote_ts: &[Selector], flow: &Flow) -> bool {
    covers_outbound(remote_ts, local_ts, flow)
}

/// The two ends of an outbound flow, as narrow as traffic selectors can be (RFC 7296 §2.9).
pub(super) fn exactly(flow: &Flow) -> (Selector, Selector) {
    let end = |address, port: Option<u16>| Selector {
        protocol: flow.protocol,
        ports: port.map_or((0, u16::MAX), |port| (port, port)),
        start: address,
        end: address,
    };
    (end(flow.src, flow.src_port()), end(flow.dst, flow.dst_port()))
}

fn width(s: &Selector) -> Width {
    let addresses = match (s.start, s.end) {
        (IpAddr::V4(a), IpAddr::V4(b)) => 32 - u32::from(b).wrapping_sub(u32::from(a)).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => 128 - u128::from(b).wrapping_sub(u128::from(a)).leading_zeros(),
        _ => u32::MAX,
    };
    (addresses, s.protocol == 0, u32::from(s.ports.1).saturating_sub(s.ports.0.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::IpNet;

    fn net(text: &str) -> Selector {
        text.parse::<IpNet>().unwrap().into()
    }

    fn policy(local: Selector, remote: Selector) -> PolicyParams {
        PolicyParams { local_ts: vec![local], remote_ts: vec![remote], ..PolicyParams::default() }
    }

    fn flow(dst: &str, port: u16) -> Flow {
        Flow { src: "10.1.0.5".parse().unwrap(), dst: dst.parse().unwrap(), protocol: 6, ports: Some((4000, port)) }
    }

    #[test]
    fn the_narrowest_first_then_the_oldest() {
        let mut spd = Spd::default();
        let local = net("10.1.0.0/16");
        spd.set(1, policy(local, net("0.0.0.0/0")));
        spd.set(2, policy(local, net("10.2.0.0/16")));
        spd.set(3, policy(local, Selector { protocol: 6, ports: (80, 80), ..net("10.2.0.0/16") }));
        spd.set(5, policy(local, net("10.2.3.0/24")));
        spd.set(4, policy(local, net("10.2.0.0/16")));
        let find = |dst, port| spd.find(&flow(dst, port)).collect::<Vec<_>>();
        assert_eq!(find("10.2.3.1", 80), [5]);
        assert_eq!(find("10.2.4.1", 80), [3]);
        assert_eq!(find("10.2.4.1", 81), [2, 4]);
        let own = PolicyParams { local_ts: vec![net("172.16.0.0/12"), net("10.1.0.5/32")], ..policy(local, net("10.2.0.0/16")) };
        spd.set(7, own);
        assert_eq!(spd.find(&flow("10.2.4.1", 81)).collect::<Vec<_>>(), [7], "then the own side's");
        spd.remove(7);
        let find = |dst, port| spd.find(&flow(dst, port)).collect::<Vec<_>>();
        assert_eq!(find("192.0.2.1", 80), [1]);
        assert_eq!(find("fd00::1", 80), []);
        assert_eq!(spd.in_order().map(|(id, _)| id).collect::<Vec<_>>(), [5, 3, 2, 4, 1]);
        spd.set(2, PolicyParams { trap: true, ..policy(local, net("10.2.0.0/16")) });
        assert_eq!(spd.find(&flow("10.2.4.1", 81)).collect::<Vec<_>>(), [2, 4], "its place stays");
        spd.remove(2);
        assert_eq!(spd.find(&flow("10.2.4.1", 81)).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn asks_once_a_moment() {
        let mut entry = Entry { params: PolicyParams { trap: true, ..PolicyParams::default() }, ..Entry::default() };
        let at = |ms| Time(Duration::from_millis(ms));
        assert!(entry.acquire(at(5)) && !entry.acquire(at(6)) && !entry.acquire(at(1004)) && entry.acquire(at(1005)));
        entry.params.trap = false;
        assert!(!entry.acquire(at(9000)));
    }

    #[test]
    fn later_fragments_need_a_selector_without_ports() {
        let (local, remote) = ([net("10.1.0.0/16")], [Selector { protocol: 6, ports: (80, 80), ..net("10.2.0.0/16") }]);
        let fragment = Flow { ports: None, ..flow("10.2.0.1", 80) };
        assert!(covers_outbound(&local, &remote, &flow("10.2.0.1", 80)) && !covers_outbound(&local, &remote, &fragment));
        assert!(covers_outbound(&local, &[net("10.2.0.0/16")], &fragment));
        let back = Flow { src: fragment.dst, dst: fragment.src, ..fragment };
        assert!(covers_inbound(&local, &[net("10.2.0.0/16")], &back) && !covers_inbound(&local, &[net("10.2.0.0/16")], &fragment));
    }
}
