//! What the SPD needs to know about an inner packet: RFC 4301 §4.4.1.1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An inner packet's selectors, and the few header fields that tunnel mode looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inner {
    pub flow: Flow,
    /// Octets that the IP header claims; never more than there are.
    pub len: usize,
    /// TOS or Traffic Class octet.
    pub tos: u8,
    /// May no router fragment it? Always so with IPv6.
    pub df: bool,
    /// Not the first fragment.
    pub later_fragment: bool,
}

/// What tells one flow from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flow {
    pub src: IpAddr,
    pub dst: IpAddr,
    /// Next-layer protocol, behind IPv6's extension headers.
    pub protocol: u8,
    /// Source and destination port; ICMP: type and code, twice. `None`: OPAQUE, as in later fragments (RFC 4301 §4.4.1.1).
    pub ports: Option<(u16, u16)>,
}

impl Flow {
    pub fn src_port(&self) -> Option<u16> {
        self.ports.map(|(src, _)| src)
    }

    pub fn dst_port(&self) -> Option<u16> {
        self.ports.map(|(_, dst)| dst)
    }
}

impl Inner {
    /// `None`: it is no IPv4 or IPv6 packet, or it is shorter than it claims.
    pub fn parse(packet: &[u8]) -> Option<Inner> {
        match packet.first()? >> 4 {
            4 => v4(packet),
            6 => v6(packet),
            _ => None,
        }
    }

    pub fn is_v4(&self) -> bool {
        self.flow.src.is_ipv4()
    }
}

fn word(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?]))
}

fn v4(packet: &[u8]) -> Option<Inner> {
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    let header: &[u8; 20] = packet.first_chunk()?;
    let len = usize::from(word(header, 2)?);
    if header_len < 20 || len < header_len || packet.len() < len {
        return None;
    }
    let fragment = word(header, 6)?;
    let later_fragment = fragment & 0x1fff != 0;
    let protocol = header[9];
    let ports = if later_fragment { None } else { ports(protocol, &packet[header_len..len]) };
    let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(*header.get(at..)?.first_chunk::<4>()?)));
    let flow = Flow { src: address(12)?, dst: address(16)?, protocol, ports };
    Some(Inner { flow, len, tos: header[1], df: fragment & 0x4000 != 0, later_fragment })
}

fn v6(packet: &[u8]) -> Option<Inner> {
    let header: &[u8; 40] = packet.first_chunk()?;
    let len = 40 + usize::from(word(header, 4)?);
    if packet.len() < len {
        return None;
    }
    let (protocol, later_fragment, rest) = upper_layer(header[6], &packet[40..len]);
    let ports = rest.and_then(|rest| ports(protocol, rest));
    let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*header.get(at..)?.first_chunk::<16>()?)));
    let flow = Flow { src: address(8)?, dst: address(24)?, protocol, ports };
    Some(Inner { flow, len, tos: header[0] << 4 | header[1] >> 4, df: true, later_fragment })
}

/// Walks over IPv6's extension headers (RFC 8200 §4). The rest is `None` where the next-layer header cannot be seen.
fn upper_layer(mut next: u8, mut rest: &[u8]) -> (u8, bool, Option<&[u8]>) {
    loop {
        let len = match (next, rest) {
            // Fragment: a later one ends the walk; its next-layer header is elsewhere.
            (44, [_, _, high, low, ..]) if u16::from_be_bytes([*high, *low]) & 0xfff8 != 0 => return (rest[0], true, None),
            (44, _) => 8,
            // Hop-by-hop options, routing, destination options.
            (0 | 43 | 60, [_, units, ..]) => (usize::from(*units) + 1) * 8,
            // AH counts in words of four octets (RFC 4302 §2.2).
            (51, [_, words, ..]) => (usize::from(*words) + 2) * 4,
            (0 | 43 | 60 | 51, _) => return (next, false, None),
            _ => return (next, false, Some(rest)),
        };
        match rest.split_at_checked(len) {
            Some((header, after)) => (next, rest) = (header[0], after),
            None => return (next, false, None),
        }
    }
}

/// Ports of TCP, UDP, DCCP, SCTP and UDP-Lite; of ICMP, type and code as one number (RFC 7296 §3.13.1).
fn ports(protocol: u8, rest: &[u8]) -> Option<(u16, u16)> {
    match protocol {
        6 | 17 | 33 | 132 | 136 => Some((word(rest, 0)?, word(rest, 2)?)),
        1 | 58 => word(rest, 0).map(|both| (both, both)),
        // Mobility Header: its type (RFC 4301 §4.4.1.1).
        135 => rest.get(2).map(|kind| (u16::from(*kind) << 8, u16::from(*kind) << 8)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    #[test]
    fn ports_of_tcp_over_both() {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(1234, 80, 1, 100).write(&mut packet, b"hello").unwrap();
        let inner = Inner::parse(&packet).unwrap();
        assert_eq!((inner.flow.protocol, inner.flow.ports, inner.len, inner.later_fragment), (6, Some((1234, 80)), packet.len(), false));
        assert_eq!(inner.flow.dst.to_string(), "10.0.0.2");
        packet[6] = 0x40;
        assert!(Inner::parse(&packet).unwrap().df);
        packet[7] = 1; // fragment offset 8
        assert_eq!(Inner::parse(&packet).unwrap().flow.ports, None);

        let mut packet = Vec::new();
        PacketBuilder::ipv6([0xfd; 16], [0xfe; 16], 64).udp(53, 5353).write(&mut packet, b"hello").unwrap();
        packet[0] = 0x6b;
        packet[1] = 0x80;
        let inner = Inner::parse(&packet).unwrap();
        assert_eq!((inner.flow.protocol, inner.flow.ports, inner.tos, inner.df), (17, Some((53, 5353)), 0xb8, true));
    }

    #[test]
    fn behind_extension_headers() {
        // Hop-by-hop (8 octets), destination options (16), fragment (first), then UDP.
        let mut chain = vec![60, 0, 1, 4, 0, 0, 0, 0];
        chain.extend([44, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        chain.extend([17, 0, 0, 1, 0, 0, 0, 9]);
        chain.extend([0, 7, 0, 9, 0, 8, 0, 0]);
        let packet = |chain: &[u8]| {
            let mut p = vec![0x60, 0, 0, 0, 0, chain.len() as u8, 0, 64];
            p.extend([0; 32]);
            p.extend(chain);
            p
        };
        let inner = Inner::parse(&packet(&chain)).unwrap();
        assert_eq!((inner.flow.protocol, inner.flow.ports, inner.later_fragment), (17, Some((7, 9)), false));
        chain[8 + 16 + 3] = 8 | 1;
        let inner = Inner::parse(&packet(&chain)).unwrap();
        assert_eq!((inner.flow.protocol, inner.flow.ports, inner.later_fragment), (17, None, true));
        let inner = Inner::parse(&packet(&chain[..5])).unwrap();
        assert_eq!((inner.flow.protocol, inner.flow.ports), (0, None));
    }

    #[test]
    fn shorter_than_it_claims() {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2).write(&mut packet, b"hello").unwrap();
        assert!((0..packet.len()).all(|n| Inner::parse(&packet[..n]).is_none()));
        packet.push(0);
        assert_eq!(Inner::parse(&packet).unwrap().len, packet.len() - 1);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes: Vec<u8>, version in 0u8..16) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = version << 4 | (*first & 0x0f);
            }
            if let Some(inner) = Inner::parse(&bytes) {
                prop_assert!(inner.len <= bytes.len());
            }
        }
    }
}
