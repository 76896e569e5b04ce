//! Faults of address translation: `nat`, `nat-timeout`, `nat-flush`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::super::World;
use super::super::kernel::conntrack::{self, Entry};
use super::super::kernel::{nft, sysctl};
use super::{Evidence, Failure, InForce, Placed, Proved, looked, node_at, table_of, text};
use crate::dissect::{Direction, Frame};
use crate::scenario::model::Fault;
use crate::time::Timestamp;

/// `nat`.
pub(super) fn translate(world: &World, fault: &Fault) -> Placed {
    let node = node_at(world, fault)?;
    let outside = text(fault, "outside")?;
    let (owner, _, iface) = world.tap(outside)?;
    if owner.name() != node.name() {
        return Err(Failure(format!("`outside` is {outside}, which is no interface of {}", node.name())));
    }
    let ports = fault.args.text("ports").map(ports).transpose()?;
    let table = nft::masquerade(&table_of(fault), iface, ports, fault.args.flag("random"));
    node.run(|| nft::apply(&table))??;
    Ok(Box::new(Translates { node: node.name().to_owned(), outside: outside.to_owned(), since: Timestamp::now() }))
}

fn ports(text: &str) -> Result<(u16, u16), Failure> {
    let parsed = text.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    parsed.filter(|(a, b): &(u16, u16)| a <= b).ok_or_else(|| Failure(format!("`{text}` is no range of ports; write `1024-2000`")))
}

struct Translates {
    node: String,
    outside: String,
    since: Timestamp,
}

impl InForce for Translates {
    fn prove(&mut self, evidence: &Evidence<'_>) -> Proved {
        let capture = evidence.capture;
        let inside = format!("{}.", self.node);
        let mut came: BTreeMap<Flow<'_>, (u32, Source)> = BTreeMap::new();
        for record in capture.records.iter().filter(|r| r.frame.time > self.since) {
            let frame = &record.frame;
            let tap = capture.taps.get(usize::from(frame.tap)).map_or("", String::as_str);
            let Some((flow, source)) = flow(frame) else { continue };
            if frame.direction == Direction::In && tap.starts_with(&inside) && tap != self.outside {
                came.entry(flow).or_insert((frame.number, source));
            } else if frame.direction == Direction::Out
                && tap == self.outside
                && let Some((number, before)) = came.get(&flow)
                && *before != source
            {
                return Proved::Yes(format!(
                    "frame {number} from {} port {} left by {tap} as frame {} from {} port {}",
                    before.0, before.1, frame.number, source.0, source.1
                ));
            }
        }
        Proved::NotYet(format!("no packet was seen inside {} and, with another source, at {}", self.node, self.outside))
    }
}

type Source = (IpAddr, u16);
/// What translation leaves alone: protocol, destination address, payload.
type Flow<'a> = (u8, IpAddr, &'a [u8]);

fn flow(frame: &Frame) -> Option<(Flow<'_>, Source)> {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    let packet = SlicedPacket::from_ethernet(&frame.data).ok()?;
    let (source, destination): (IpAddr, IpAddr) = match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        _ => return None,
    };
    let (protocol, port, payload) = match packet.transport.as_ref()? {
        TransportSlice::Udp(udp) => (17, udp.source_port(), udp.payload()),
        // Without payload the sequence numbers tell segments apart; they are not translated.
        TransportSlice::Tcp(tcp) => (6, tcp.source_port(), tcp.slice().get(4..12)?),
        TransportSlice::Icmpv4(icmp) => (1, 0, icmp.payload()),
        TransportSlice::Icmpv6(icmp) => (58, 0, icmp.payload()),
        TransportSlice::Igmp(_) => return None,
    };
    Some(((protocol, destination, payload), (source, port)))
}

/// `nat-timeout`.
pub(super) fn timeout(world: &World, fault: &Fault) -> Placed {
    let node = node_at(world, fault)?;
    let udp = fault.args.duration("udp").ok_or_else(|| Failure("argument `udp` is missing".into()))?;
    node.run(|| conntrack::set_udp_timeout(udp))??;
    Ok(Box::new(Forgets { node: node.name().to_owned(), udp, known: BTreeSet::new() }))
}

struct Forgets {
    node: String,
    udp: Duration,
    known: BTreeSet<Entry>,
}

impl InForce for Forgets {
    fn prove(&mut self, evidence: &Evidence<'_>) -> Proved {
        let node = &self.node;
        let known = &mut self.known;
        let seconds = self.udp.as_secs().max(1).to_string();
        let mut check = || -> io::Result<Proved> {
            let handle = evidence.world.node(node).map_err(io::Error::other)?;
            let (value, entries) = handle.run(|| (sysctl::get("net/netfilter/nf_conntrack_udp_timeout"), conntrack::list()))?;
            let (value, entries) = (value?, entries?);
            if value != seconds {
                return Ok(Proved::NotYet(format!("the kernel's timeout at {node} is {value} s, not {seconds} s")));
            }
            if let Some(gone) = known.iter().find(|e| !entries.contains(e)) {
                return Ok(Proved::Yes(format!("timeout {seconds} s read back; the mapping of {gone} was at {node} and is gone")));
            }
            known.extend(entries.into_iter().filter(|e| e.protocol == 17));
            Ok(Proved::NotYet(format!("timeout {seconds} s read back; none of {} UDP mappings at {node} is gone yet", known.len())))
        };
        looked(check())
    }
}

/// `nat-flush`.
pub(super) fn flush(world: &World, fault: &Fault) -> Placed {
    let node = node_at(world, fault)?;
    let (before, after) = node.run(|| -> io::Result<_> {
        let before = conntrack::list()?;
        conntrack::flush()?;
        Ok((before, conntrack::list()?))
    })??;
    let left = before.intersection(&after).count();
    Ok(Box::new(Flushed { node: node.name().to_owned(), before: before.len(), left }))
}

struct Flushed {
    node: String,
    before: usize,
    left: usize,
}

impl InForce for Flushed {
    fn prove(&mut self, _: &Evidence<'_>) -> Proved {
        let Flushed { node, before, left } = self;
        match (*before, *left) {
            (0, _) => Proved::NotYet(format!("{node} knew no mapping when it was to forget them")),
            (_, 0) => Proved::Yes(format!("{node} knew {before} mappings before and none of them after")),
            _ => Proved::NotYet(format!("{node} still knows {left} of {before} mappings")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_frames_have_no_flow() {
        let frame = |data: &[u8]| Frame {
            number: 1,
            tap: 0,
            time: Timestamp(0),
            orig_len: 0,
            direction: Direction::In,
            link_type: 1,
            data: data.into(),
        };
        assert!(flow(&frame(&[])).is_none());
        assert!(flow(&frame(&[0xff; 60])).is_none());
        assert!(ports("2000-1024").is_err() && ports("x").is_err() && ports("1-2").is_ok());
    }
}
