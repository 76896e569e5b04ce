//! What taps capture: what was on the wire at that moment, whatever routers do to the packet afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use faultlab::dissect::{Capture, Direction, Record};
use faultlab::scenario::layout::{self, Layouts, Size};
use faultlab::scenario::model::{Network, Role};
use faultlab::world::World;

use crate::beliefs::Belief;
use crate::probe::{Outcome, Taps, ensure, eventually, say, udp};

/// All trials.
pub const ALL: &[(&str, Belief)] = &[("taps_of_each_layout_show_what_was_on_their_link", every_layout)];

/// Octets of the datagrams: one that is longer than what a ring's slot holds, one of three fragments.
const LENGTHS: [usize; 2] = [400, 3600];
const PORT: u16 = 7007;

fn every_layout() -> Outcome {
    let layouts = Layouts::embedded();
    for name in layouts.names() {
        let source = layouts.get(name).ok_or("no layout")?;
        let layout = layout::load(source, Size::default()).map_err(say)?;
        every_pair(&layout.network).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

/// Every node that is no router sends to every other; who gets something sends it back.
fn every_pair(network: &Network) -> Outcome {
    let world = World::build(network).map_err(say)?;
    let mut taps = Taps::start(&world)?;
    let mut sockets: Vec<(IpAddr, UdpSocket)> = Vec::new();
    for node in network.nodes.iter().filter(|n| matches!(n.role, Role::Host | Role::Gateway)) {
        let handle = world.node(&node.name).map_err(say)?;
        let all = node.ifaces.iter().flat_map(|i| &i.addrs);
        for family in [false, true] {
            if let Some(address) = all.clone().map(|a| a.addr()).find(|a| a.is_ipv6() == family) {
                let socket = udp(&handle, &std::net::SocketAddr::new(address, PORT).to_string())?;
                socket.set_nonblocking(true).map_err(say)?;
                sockets.push((address, socket));
            }
        }
    }
    let mut number = 0u8;
    for (from, socket) in &sockets {
        for (to, _) in sockets.iter().filter(|(to, _)| to != from && to.is_ipv6() == from.is_ipv6()) {
            for length in LENGTHS {
                number = number % 120 + 1;
                // Some have no route to each other, and errors of earlier datagrams are told here, too.
                let _ = socket.send_to(&vec![number; length], (*to, PORT));
            }
        }
    }
    // Answers have the highest bit set, and are not answered.
    let mut returned: BTreeSet<usize> = BTreeSet::new();
    let mut buffer = [0; 8192];
    let mut wrong = String::new();
    let settled = eventually(Duration::from_secs(5), "answers, and both ends of each link to have captured the same", || {
        for (_, socket) in &sockets {
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if buffer[0] & 0x80 != 0 {
                    returned.insert(length);
                } else {
                    buffer[..length].iter_mut().for_each(|b| *b |= 0x80);
                    let _ = socket.send_to(&buffer[..length], from);
                }
            }
        }
        wrong = ends_agree(network, taps.so_far()).err().unwrap_or_default();
        Ok(wrong.is_empty() && LENGTHS.iter().all(|l| returned.contains(l)))
    });
    settled.map_err(|e| format!("{e}: came back: {returned:?} octets; {wrong}"))?;
    let (capture, stats) = taps.finish()?;
    ensure(stats.dropped() == 0, || format!("lost {}", stats.dropped()))?;
    ensure(capture.records.iter().any(|r| Packet::of(r).is_some_and(|p| p.offset > 0)), || "no fragment was seen".into())?;
    datagrams_are_whole(&capture)?;
    inside_is_inside(network, &capture)
}

/// What was sent at one end of a link has arrived at the other, octet for octet. Without what the kernel says on its own when
/// addresses come up, which may be sent while one end is captured and the other not yet.
fn ends_agree(network: &Network, capture: &Capture) -> Outcome {
    let of = |tap: &str, direction: Direction| {
        let ours = |r: &&Record| r.frame.direction == direction && Packet::of(r).is_some_and(|p| matches!(p.protocol, 1 | 17));
        let mut all: Vec<_> = capture.at(tap).filter(ours).map(|r| &r.frame.data[..]).collect();
        all.sort_unstable();
        all
    };
    for link in &network.links {
        let (a, b) = (format!("{}.{}", link.a.0, link.a.1), format!("{}.{}", link.b.0, link.b.1));
        for (from, to) in [(&a, &b), (&b, &a)] {
            let (sent, arrived) = (of(from, Direction::Out), of(to, Direction::In));
            ensure(sent == arrived, || format!("{} frames sent at {from} are not the {} that came to {to}", sent.len(), arrived.len()))?;
        }
    }
    Ok(())
}

/// At each tap and in each direction all fragments of a datagram have the same addresses and hops to live, and carry only its octets.
fn datagrams_are_whole(capture: &Capture) -> Outcome {
    let mut groups: BTreeMap<_, BTreeMap<usize, (usize, bool)>> = BTreeMap::new();
    for record in &capture.records {
        let Some(packet) = Packet::of(record) else { continue };
        let header = if packet.protocol == 17 && packet.offset == 0 { 8 } else { 0 };
        if packet.protocol == 17 {
            let payload = packet.payload.get(header..).unwrap_or_default();
            ensure(payload.windows(2).all(|w| w[0] == w[1]), || format!("frame {} has octets of two datagrams", record.frame.number))?;
        }
        if let Some(id) = packet.id {
            let key = (record.frame.tap, record.frame.direction == Direction::Out, packet.from, packet.to, packet.hops, id);
            groups.entry(key).or_default().insert(packet.offset, (packet.payload.len(), packet.more));
        }
    }
    for (key, parts) in groups {
        let mut end = 0;
        let mut more = true;
        for (offset, (length, goes_on)) in &parts {
            ensure(*offset == end && more, || format!("a datagram has a gap or another one's fragments: {key:?} {parts:?}"))?;
            (end, more) = (offset + length, *goes_on);
        }
        ensure(!more, || format!("a datagram has no end: {key:?} {parts:?}"))?;
    }
    Ok(())
}

/// Behind a translator nobody sees its outside address.
fn inside_is_inside(network: &Network, capture: &Capture) -> Outcome {
    for node in &network.nodes {
        let Some(nat) = &node.nat else { continue };
        let outside: Vec<IpAddr> =
            node.ifaces.iter().filter(|i| i.name == nat.outside).flat_map(|i| i.addrs.iter().map(|a| a.addr())).collect();
        for link in &network.links {
            for (own, far) in [(&link.a, &link.b), (&link.b, &link.a)] {
                if own.0 != node.name || own.1 == nat.outside {
                    continue;
                }
                let taps = [own, far].map(|(node, iface)| format!("{node}.{iface}"));
                for record in taps.iter().flat_map(|tap| capture.at(tap)) {
                    let Some(packet) = Packet::of(record) else { continue };
                    let seen = outside.iter().any(|ip| [packet.from, packet.to].contains(ip));
                    ensure(!seen, || format!("frame {} behind {} is {} → {}", record.frame.number, node.name, packet.from, packet.to))?;
                }
            }
        }
    }
    Ok(())
}

/// An IP packet, read from the octets themselves: what is tried here comes before any dissecting.
struct Packet<'a> {
    from: IpAddr,
    to: IpAddr,
    hops: u8,
    protocol: u8,
    /// Of a fragment.
    id: Option<u32>,
    offset: usize,
    more: bool,
    payload: &'a [u8],
}

impl Packet<'_> {
    fn of(record: &Record) -> Option<Packet<'_>> {
        let data = &record.frame.data;
        let word = |at: usize| data.get(at..).and_then(|d| d.first_chunk()).map(|b| u16::from_be_bytes(*b));
        match word(12)? {
            0x0800 => {
                let at = |from: usize| data.get(from..).and_then(|d| d.first_chunk::<4>()).map(|b| IpAddr::from(*b));
                let (length, header, flags) = (usize::from(word(16)?), usize::from(data[14] & 15) * 4, word(20)?);
                Some(Packet {
                    from: at(26)?,
                    to: at(30)?,
                    hops: data[22],
                    protocol: data[23],
                    id: (flags & 0x3fff != 0).then_some(u32::from(word(18)?)),
                    offset: usize::from(flags & 0x1fff) * 8,
                    more: flags & 0x2000 != 0,
                    payload: data.get(14 + header..14 + length)?,
                })
            }
            0x86dd => {
                let at = |from: usize| data.get(from..).and_then(|d| d.first_chunk::<16>()).map(|b| IpAddr::from(*b));
                let (end, fragment) = (54 + usize::from(word(18)?), data[20] == 44);
                let flags = if fragment { word(56)? } else { 0 };
                Some(Packet {
                    from: at(22)?,
                    to: at(38)?,
                    hops: data[21],
                    protocol: if fragment { *data.get(54)? } else { data[20] },
                    id: if fragment { Some(u32::from(word(58)?) << 16 | u32::from(word(60)?)) } else { None },
                    offset: usize::from(flags & 0xfff8),
                    more: flags & 1 != 0,
                    payload: data.get(if fragment { 62 } else { 54 }..end)?,
                })
            }
            _ => None,
        }
    }
}
