//! ICMP errors for the inside: a packet is too big for the tunnel (RFC 4301 §8.2.1; RFC 1191 §4, RFC 4443 §3.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::inner::Inner;
use super::mtu::IPV6_MIN_MTU;
use crate::time::Time;

/// No more than this many errors at once …
const BURST: u32 = 64;
/// … and then one each so often (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f).
const EVERY: Duration = Duration::from_millis(10);
/// Octets of a whole ICMPv4 error at most (RFC 1812 §4.3.2.3).
const MAX_V4: usize = 576;

/// Makes ICMP errors, not too many.
#[derive(Debug, Default)]
pub(super) struct Icmp {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    /// Errors that were made and not yet paid for, at this time.
    debt: u32,
    paid: Time,
}

/// What became of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Error {
    /// It is in `out`.
    Made,
    /// There were many just now.
    Limited,
    /// None may be sent about such a packet, or there is no address to send it from.
    None,
}

impl Icmp {
    /// The first address of each family is the source of errors.
    pub fn new(inside: &[IpAddr]) -> Icmp {
        let v4 = inside.iter().find_map(|a| if let IpAddr::V4(a) = a { Some(*a) } else { None });
        let v6 = inside.iter().find_map(|a| if let IpAddr::V6(a) = a { Some(*a) } else { None });
        Icmp { v4, v6, ..Icmp::default() }
    }

    /// `packet` is larger than `mtu`, octets: `out` becomes the error that says so.
    pub fn too_big(&mut self, now: Time, inner: &Inner, packet: &[u8], mtu: u16, out: &mut Vec<u8>) -> Error {
        if !may_be_answered(inner, packet) {
            return Error::None;
        }
        let (v4, v6) = (self.v4, self.v6);
        match inner.flow.src {
            IpAddr::V4(to) => match v4 {
                Some(_) if !self.may(now) => Error::Limited,
                Some(from) => frag_needed(from, to, mtu, packet, out),
                None => Error::None,
            },
            IpAddr::V6(to) => match v6 {
                Some(_) if !self.may(now) => Error::Limited,
                Some(from) => packet_too_big(from, to, mtu.max(IPV6_MIN_MTU), packet, out),
                None => Error::None,
            },
        }
    }

    fn may(&mut self, now: Time) -> bool {
        let paid = now.since(self.paid).as_millis() / EVERY.as_millis();
        if paid >= self.debt.into() {
            (self.debt, self.paid) = (0, now);
        } else {
            self.debt -= paid as u32;
            self.paid = self.paid + EVERY * paid as u32;
        }
        let may = self.debt < BURST;
        self.debt += u32::from(may);
        may
    }
}

/// RFC 1122 §3.2.2, RFC 4443 §2.4 e: no errors about errors, later fragments, or to addresses that are no single host. (RFC 4443 has
/// packet-too-big be sent for multicast as well; a tunnel of unicast selectors sees none.)
fn may_be_answered(inner: &Inner, packet: &[u8]) -> bool {
    if inner.later_fragment {
        return false;
    }
    let kind = inner.flow.ports.map(|(both, _)| both >> 8);
    let is_error = match inner.flow.protocol {
        1 => kind.is_none_or(|kind| !matches!(kind, 0 | 8 | 13..=18)),
        58 => kind.is_none_or(|kind| kind < 128),
        _ => false,
    };
    let host = match inner.flow.src {
        IpAddr::V4(a) => !(a.is_unspecified() || a.is_multicast() || a.is_broadcast() || a.is_loopback()),
        IpAddr::V6(a) => !(a.is_unspecified() || a.is_multicast() || a.is_loopback()),
    };
    let one = match inner.flow.dst {
        IpAddr::V4(a) => !(a.is_multicast() || a.is_broadcast()),
        IpAddr::V6(_) => true,
    };
    host && one && !is_error && !packet.is_empty()
}

/// Destination unreachable, fragmentation needed (RFC 1191 §4).
fn frag_needed(from: Ipv4Addr, to: Ipv4Addr, mtu: u16, packet: &[u8], out: &mut Vec<u8>) -> Error {
    let quote = &packet[..packet.len().min(MAX_V4 - 28)];
    let [len_high, len_low] = ((28 + quote.len()) as u16).to_be_bytes();
    out.clear();
    // TOS: internetwork control (RFC 1812 §4.3.2.5). DF: no need of an identification (RFC 6864 §4.1).
    out.extend([0x45, 0xc0, len_high, len_low, 0, 0, 0x40, 0, 64, 1, 0, 0]);
    out.extend(from.octets());
    out.extend(to.octets());
    let sum = checksum(0, out);
    out[10..12].copy_from_slice(&sum.to_be_bytes());
    let [mtu_high, mtu_low] = mtu.to_be_bytes();
    out.extend([3, 4, 0, 0, 0, 0, mtu_high, mtu_low]);
    out.extend(quote);
    let sum = checksum(0, &out[20..]);
    out[22..24].copy_from_slice(&sum.to_be_bytes());
    Error::Made
}

/// Packet too big (RFC 4443 §3.2).
fn packet_too_big(from: Ipv6Addr, to: Ipv6Addr, mtu: u16, packet: &[u8], out: &mut Vec<u8>) -> Error {
    let quote = &packet[..packet.len().min(usize::from(IPV6_MIN_MTU) - 48)];
    let len = 8 + quote.len() as u16;
    let [len_high, len_low] = len.to_be_bytes();
    out.clear();
    out.extend([0x60, 0, 0, 0, len_high, len_low, 58, 64]);
    out.extend(from.octets());
    out.extend(to.octets());
    let [mtu_high, mtu_low] = mtu.to_be_bytes();
    out.extend([2, 0, 0, 0, 0, 0, mtu_high, mtu_low]);
    out.extend(quote);
    // The pseudo-header of RFC 8200 §8.1: addresses, length, next header.
    let sum = checksum(u32::from(len) + 58, &out[8..]);
    out[42..44].copy_from_slice(&sum.to_be_bytes());
    Error::Made
}

/// The Internet checksum (RFC 1071), beginning with `sum`.
fn checksum(sum: u32, octets: &[u8]) -> u16 {
    let (words, rest) = octets.as_chunks::<2>();
    let last = rest.first().map_or(0, |octet| u32::from(*octet) << 8);
    let sum = words.iter().fold(sum + last, |sum, word| sum + u32::from(u16::from_be_bytes(*word)));
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{IcmpEchoHeader, Icmpv4Type, Icmpv6Type, NetSlice, PacketBuilder, SlicedPacket, TransportSlice, icmpv4, icmpv6};

    fn icmp() -> Icmp {
        Icmp::new(&["10.1.0.1".parse().unwrap(), "10.9.0.1".parse().unwrap(), "fd01::1".parse().unwrap()])
    }

    fn udp_v4(len: usize) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([10, 1, 0, 7], [10, 2, 0, 7], 64).udp(7, 9).write(&mut packet, &vec![0xab; len - 28]).unwrap();
        packet
    }

    #[test]
    fn fragmentation_needed() {
        for len in [400, 1501] {
            let (packet, mut out) = (udp_v4(len), Vec::new());
            let inner = Inner::parse(&packet).unwrap();
            assert_eq!(icmp().too_big(Time::ZERO, &inner, &packet, 1438, &mut out), Error::Made);
            let sliced = SlicedPacket::from_ip(&out).unwrap();
            let Some(NetSlice::Ipv4(ip)) = sliced.net else { panic!("no IPv4") };
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!((header.source, header.destination), ([10, 1, 0, 1], [10, 1, 0, 7]));
            let Some(TransportSlice::Icmpv4(slice)) = sliced.transport else { panic!("no ICMP") };
            assert_eq!(
                slice.icmp_type(),
                Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1438 })
            );
            assert_eq!(slice.payload(), &packet[..len.min(548)]);
            assert_eq!(slice.checksum(), slice.icmp_type().calc_checksum(slice.payload()));
        }
    }

    #[test]
    fn packet_too_big_never_says_less_than_1280() {
        let mut packet = Vec::new();
        PacketBuilder::ipv6([0xfd; 16], [0xfe; 16], 64).udp(7, 9).write(&mut packet, &[1; 1401]).unwrap();
        let inner = Inner::parse(&packet).unwrap();
        for (mtu, told) in [(1438, 1438), (1198, 1280)] {
            let mut out = Vec::new();
            assert_eq!(icmp().too_big(Time::ZERO, &inner, &packet, mtu, &mut out), Error::Made);
            assert_eq!(out.len(), 1280);
            let sliced = SlicedPacket::from_ip(&out).unwrap();
            let Some(NetSlice::Ipv6(ip)) = sliced.net else { panic!("no IPv6") };
            let (source, destination) = (ip.header().source(), ip.header().destination());
            assert_eq!((ip.header().source_addr().to_string(), destination), ("fd01::1".to_owned(), [0xfd; 16]));
            let Some(TransportSlice::Icmpv6(slice)) = sliced.transport else { panic!("no ICMPv6") };
            assert_eq!(slice.icmp_type(), Icmpv6Type::PacketTooBig { mtu: told });
            assert_eq!(slice.checksum(), slice.icmp_type().calc_checksum(source, destination, slice.payload()).unwrap());
            assert!(packet.starts_with(slice.payload()));
        }
        let _ = icmpv6::TYPE_PACKET_TOO_BIG;
    }

    #[test]
    fn not_about_errors_fragments_and_crowds() {
        let mut out = Vec::new();
        let mut about = |packet: &[u8]| icmp().too_big(Time::ZERO, &Inner::parse(packet).unwrap(), packet, 1000, &mut out);
        let mut packet = udp_v4(1400);
        packet[7] = 9;
        assert_eq!(about(&packet), Error::None, "a later fragment");
        let mut packet = udp_v4(1400);
        packet[16] = 224;
        assert_eq!(about(&packet), Error::None, "multicast");
        let mut packet = udp_v4(1400);
        packet[12..16].fill(0);
        assert_eq!(about(&packet), Error::None, "from nobody");
        let build = |kind| {
            let mut packet = Vec::new();
            PacketBuilder::ipv4([10, 1, 0, 7], [10, 2, 0, 7], 64).icmpv4(kind).write(&mut packet, &[0; 1400]).unwrap();
            packet
        };
        let unreachable = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Host);
        assert_eq!(about(&build(unreachable)), Error::None, "an ICMP error");
        assert_eq!(about(&build(Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 1, seq: 1 }))), Error::Made, "a ping");
    }

    #[test]
    fn a_burst_then_a_trickle() {
        let (packet, mut out, mut icmp) = (udp_v4(1400), Vec::new(), icmp());
        let inner = Inner::parse(&packet).unwrap();
        let mut count = |ms: u64, tries| {
            let now = Time(Duration::from_millis(ms));
            (0..tries).filter(|_| icmp.too_big(now, &inner, &packet, 1000, &mut out) == Error::Made).count()
        };
        assert_eq!(count(1000, 100), 64);
        assert_eq!(count(1009, 100), 0);
        assert_eq!(count(1010, 100), 1);
        assert_eq!(count(1065, 100), 5);
        assert_eq!(count(9000, 100), 64);
    }
}
