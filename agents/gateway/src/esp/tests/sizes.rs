//! Packets that are larger than the path: RFC 4301 §8.

use etherparse::{Icmpv4Type, Icmpv6Type, SlicedPacket, TransportSlice, icmpv4};

use super::*;

/// What became of a packet.
#[derive(Debug, PartialEq)]
enum Fate {
    /// Sent: outer DF, octets of the outer packet.
    Sent(bool, usize),
    /// An ICMP error to the inside tells this MTU.
    Told(u32),
    Nothing,
}

fn fate(path: &mut DataPath, ms: u64, packet: &[u8]) -> Fate {
    let mut out = Vec::new();
    match path.outbound(at(ms), packet, &mut out) {
        Verdict::Send(outer) => {
            let header = if outer.to.is_ipv4() { 20 } else { 40 } + if outer.ports.is_some() { 8 } else { 0 };
            Fate::Sent(outer.df, out.len() + header)
        }
        Verdict::Deliver => match SlicedPacket::from_ip(&out).unwrap().transport.unwrap() {
            TransportSlice::Icmpv4(icmp) => match icmp.icmp_type() {
                Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu }) => {
                    Fate::Told(next_hop_mtu.into())
                }
                other => panic!("{other:?}"),
            },
            TransportSlice::Icmpv6(icmp) => match icmp.icmp_type() {
                Icmpv6Type::PacketTooBig { mtu } => Fate::Told(mtu),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        },
        Verdict::Nothing => Fate::Nothing,
    }
}

fn west(df: DfBit, mtu: u16) -> DataPath {
    let (mut west, _) = pair(&SaParams { df, ..sa(Cipher::AesCbc(128), Integrity::HmacSha2_256_128) });
    assert!(west.set_path_mtu(at(0), EAST.into(), mtu));
    west
}

#[test]
fn the_df_bit_of_both_headers_and_the_path() {
    use Fate::{Sent, Told};
    // Inner 1400 becomes outer 1468. Rows: policy, inner DF; then the fate on paths of 1500 and of 1400.
    for (df, inner, wide, narrow) in [
        (DfBit::Copy, false, Sent(false, 1468), Sent(false, 1468)),
        (DfBit::Copy, true, Sent(true, 1468), Told(1326)),
        (DfBit::Set, false, Sent(true, 1468), Told(1326)),
        (DfBit::Set, true, Sent(true, 1468), Told(1326)),
        (DfBit::Clear, false, Sent(false, 1468), Sent(false, 1468)),
        (DfBit::Clear, true, Sent(false, 1468), Sent(false, 1468)),
    ] {
        let packet = udp_v4(1400, inner);
        assert_eq!(fate(&mut west(df, 1500), 1, &packet), wide, "{df:?} {inner}");
        assert_eq!(fate(&mut west(df, 1400), 1, &packet), narrow, "{df:?} {inner}");
    }
}

#[test]
fn the_own_overhead_alone() {
    let mut west = west(DfBit::Copy, 1500);
    assert_eq!(fate(&mut west, 1, &udp_v4(1500, true)), Fate::Told(1438));
    assert_eq!(fate(&mut west, 1, &udp_v4(1439, true)), Fate::Told(1438));
    assert_eq!(fate(&mut west, 1, &udp_v4(1438, true)), Fate::Sent(true, 1500));
    assert_eq!(fate(&mut west, 1, &udp_v4(1500, false)), Fate::Sent(false, 1564));
    assert_eq!(faults(&west), [("fragmented", 1), ("out_too_big", 2)]);
}

#[test]
fn learned_lowered_and_forgotten() {
    let mut west = west(DfBit::Copy, 1400);
    assert_eq!(fate(&mut west, 1, &udp_v4(1327, true)), Fate::Told(1326));
    assert_eq!(fate(&mut west, 1, &udp_v4(1326, true)), Fate::Sent(true, 1388));
    assert!(!west.set_path_mtu(at(2), EAST.into(), 68), "nobody believes that");
    west.set_path_mtu(at(2), [10, 9, 0, 77].into(), 576);
    assert_eq!(fate(&mut west, 2, &udp_v4(1326, true)), Fate::Sent(true, 1388), "another path");
    west.set_path_mtu(at(3), EAST.into(), 1300);
    assert_eq!(fate(&mut west, 3, &udp_v4(1326, true)), Fate::Told(1230));
    west.set_path_mtu(at(4), EAST.into(), 0);
    assert_eq!(fate(&mut west, 4, &udp_v4(1326, true)), Fate::Told(942), "the plateau of 1006");
    assert_eq!(fate(&mut west, 600_003, &udp_v4(1326, true)), Fate::Told(942));
    assert_eq!(fate(&mut west, 600_004, &udp_v4(1438, true)), Fate::Sent(true, 1500), "after ten minutes");
    west.set_link_mtu(1400);
    assert_eq!(fate(&mut west, 600_005, &udp_v4(1438, true)), Fate::Told(1326));
    assert!(west.describe().contains("10.9.0.77: 576"));
}

#[test]
fn ipv6_inside_always_gets_its_1280_octets() {
    let mut west = west(DfBit::Copy, 1500);
    assert_eq!(fate(&mut west, 1, &udp_v6(1500)), Fate::Told(1438));
    assert_eq!(fate(&mut west, 1, &udp_v6(1438)), Fate::Sent(true, 1500));
    west.set_path_mtu(at(2), EAST.into(), 1280);
    assert_eq!(fate(&mut west, 2, &udp_v6(1281)), Fate::Told(1280), "less would be illegal");
    assert_eq!(fate(&mut west, 2, &udp_v6(1280)), Fate::Sent(false, 1356), "so it is fragmented outside");
    assert_eq!(fate(&mut west, 2, &udp_v6(1214)), Fate::Sent(true, 1276));
}

#[test]
fn ipv6_outside_is_fragmented_by_the_gateway_or_not_at_all() {
    let to_east = SaParams { local: "2001:db8::1".parse().unwrap(), remote: "2001:db8::2".parse().unwrap(), ..gcm() };
    let (mut west, _) = pair(&to_east);
    west.set_path_mtu(at(0), to_east.remote, 1280);
    assert_eq!(fate(&mut west, 1, &udp_v6(1280)), Fate::Sent(false, 1356));
    assert_eq!(fate(&mut west, 1, &udp_v6(1300)), Fate::Told(1280));
    assert_eq!(fate(&mut west, 1, &udp_v4(1300, false)), Fate::Sent(false, 1376));
    assert_eq!(fate(&mut west, 1, &udp_v4(1300, true)), Fate::Told(1206));
    assert_eq!(fate(&mut west, 1, &udp_v4(1206, true)), Fate::Sent(true, 1280));
}

#[test]
fn without_an_inside_address_it_is_silent() {
    let mut west = DataPath::new(&["10.1.0.1".parse().unwrap()]);
    west.set_policy(1, policy(&gcm()));
    west.install(at(0), gcm(), true).unwrap();
    assert_eq!(fate(&mut west, 1, &udp_v6(1500)), Fate::Nothing);
    assert_eq!(fate(&mut west, 1, &udp_v4(1500, true)), Fate::Told(1446));
    assert_eq!(faults(&west), [("out_too_big", 1), ("out_too_big_silent", 1)]);
}

#[test]
fn no_datagram_is_larger_than_any_can_be() {
    let mut west = west(DfBit::Clear, 1500);
    assert_eq!(fate(&mut west, 1, &udp_v4(65_000, false)), Fate::Sent(false, 65_068));
    assert_eq!(fate(&mut west, 1, &udp_v4(65_535, false)), Fate::Told(65_470));
    assert_eq!(fate(&mut west, 1, &udp_v4(65_470, false)), Fate::Sent(false, 65_532));
}
