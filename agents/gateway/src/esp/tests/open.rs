//! What a receiver looks at, from the SPI to the inner header.

use super::*;
use crate::esp::transform::{Head, Transform};

/// An ESP packet with these contents, as a peer with the right keys would make it.
fn crafted(number: u64, payload: &[u8], next_header: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    Transform::new(&gcm()).unwrap().seal(Head::new(TO_EAST, number, false), number, payload, next_header, &mut packet);
    packet
}

fn outer(tos: u8) -> Outer {
    Outer { from: WEST.into(), to: EAST.into(), ports: None, tos, df: true }
}

fn east() -> DataPath {
    pair(&gcm()).1
}

#[test]
fn one_counter_for_each_fault() {
    let good = udp_v4(100, true);
    let (mut short, mut v6_as_v4) = (good.clone(), udp_v6(100));
    short[3] += 1;
    v6_as_v4.truncate(100);
    let stranger = |at: usize| {
        let mut packet = good.clone();
        packet[at] ^= 8;
        packet
    };
    let mut unknown = crafted(1, &good, 4);
    unknown[0] ^= 1;
    let mut altered = crafted(1, &good, 4);
    altered[30] ^= 1;
    let cases: [(&str, Vec<u8>); 13] = [
        ("in_header", vec![1, 2, 3]),
        ("in_header", crafted(1, &good, 4)[..30].to_vec()),
        ("in_no_sa", unknown),
        ("in_replay", crafted(0, &good, 4)),
        ("in_icv_fail", altered),
        ("in_dummy", crafted(1, b"anything", 59)),
        ("in_next_header", crafted(1, &good[20..], 17)),
        ("in_inner_header", crafted(1, &good, 41)),
        ("in_inner_header", crafted(1, &v6_as_v4, 4)),
        ("in_inner_header", crafted(1, &short, 4)),
        ("in_inner_header", crafted(1, &[], 4)),
        ("in_selector_mismatch", crafted(1, &stranger(13), 4)),
        ("in_selector_mismatch", crafted(1, &stranger(17), 4)),
    ];
    for (counter, packet) in cases {
        let mut east = east();
        assert_eq!(receive(&mut east, 1, outer(0), &packet), None, "{counter}");
        assert_eq!(faults(&east), [(counter, 1)]);
        assert_eq!(receive(&mut east, 1, outer(0), &crafted(2, &good, 4)).as_ref(), Some(&good), "it goes on");
    }
}

#[test]
fn padding_must_count() {
    // Without encryption it can be written by hand: payload, padding, pad length, next header.
    let null = sa(Cipher::Null, Integrity::None);
    let (_, mut east) = pair(&null);
    let good = udp_v4(100, true);
    let mut try_padding = |number: u8, padding: &[u8], len: u8| {
        let packet = [&[0, 0, 0x10, 1, 0, 0, 0, number], &good[..], padding, &[len, 4]].concat();
        receive(&mut east, 1, outer(0), &packet).is_some()
    };
    assert!(try_padding(1, &[1, 2], 2) && try_padding(2, &[1, 2, 3, 4, 5, 6], 6));
    assert!(!try_padding(3, &[0, 0], 2) && !try_padding(4, &[1, 3], 2) && !try_padding(5, &[1, 2], 255));
    assert_eq!(faults(&east), [("in_bad_padding", 3)]);
}

#[test]
fn padding_for_traffic_flow_confidentiality_is_cut_off() {
    let good = udp_v4(100, true);
    let padded = [&good[..], &[0; 300]].concat();
    assert_eq!(receive(&mut east(), 1, outer(0), &crafted(1, &padded, 4)), Some(good));
    let good = udp_v6(100);
    let padded = [&good[..], &[7; 3]].concat();
    assert_eq!(receive(&mut east(), 1, outer(0), &crafted(1, &padded, 41)), Some(good));
}

#[test]
fn congestion_outside_is_told_inside() {
    // Inner TOS, outer TOS on arrival, TOS that is delivered.
    for (inner, arrives, delivered) in [
        (0xb8 | 2, 0xb8 | 3, Some(0xb8 | 3)),
        (0xb8 | 1, 0xb8 | 3, Some(0xb8 | 3)),
        (0xb8 | 2, 1, Some(0xb8 | 1)),
        (0xb8 | 3, 0, Some(0xb8 | 3)),
        (0xb8, 0xb8 | 1, Some(0xb8)),
        (0xb8, 3, None),
    ] {
        for (mut packet, v6) in [(udp_v4(100, true), false), (udp_v6(100), true)] {
            ecn::set_tos(&mut packet, inner);
            let (mut west, mut east) = pair(&gcm());
            let (sent, esp) = send(&mut west, 1, &packet).unwrap();
            assert_eq!(sent.tos, inner, "DSCP and ECN are copied");
            let got = receive(&mut east, 1, Outer { tos: arrives, ..sent }, &esp);
            let expected = delivered.map(|tos| {
                let mut packet = packet.clone();
                ecn::set_tos(&mut packet, tos);
                packet
            });
            assert_eq!(got, expected, "{inner:02x} {arrives:02x}");
            if let Some(got) = got.filter(|_| !v6) {
                let header = etherparse::Ipv4Header::from_slice(&got).unwrap().0;
                assert_eq!(header.header_checksum, header.calc_header_checksum());
            }
            assert_eq!(faults(&east), if delivered.is_none() { vec![("in_ecn", 1)] } else { vec![] });
        }
    }
}

#[test]
fn replays_are_refused_before_and_only_counted_after_the_icv() {
    let good = udp_v4(100, true);
    let mut east = east();
    let mut forged = crafted(4000, &good, 4);
    forged[20] ^= 1;
    assert!(receive(&mut east, 1, outer(0), &forged).is_none());
    assert!(receive(&mut east, 1, outer(0), &crafted(1, &good, 4)).is_some(), "a forged number does not move the window");
    assert!(receive(&mut east, 1, outer(0), &crafted(70, &good, 4)).is_some());
    for (number, passes) in [(1, false), (6, false), (7, true), (7, false), (70, false), (69, true)] {
        assert_eq!(receive(&mut east, 1, outer(0), &crafted(number, &good, 4)).is_some(), passes, "{number}");
    }
    let sa = &east.sas()[0];
    assert_eq!((sa.replays, sa.icv_fails, sa.sequence), (4, 1, 70));
    // Window 0: off.
    let (_, mut open) = pair(&SaParams { replay_window: 0, ..gcm() });
    assert!((0..3).all(|_| receive(&mut open, 1, outer(0), &crafted(5, &good, 4)).is_some()));
}

#[test]
fn a_peer_that_moves_is_told_once() {
    let (mut west, mut east) = pair(&SaParams { ports: Some((4500, 4500)), ..gcm() });
    let mut sent: Vec<_> = (0..5).map(|_| send(&mut west, 1, &udp_v4(100, true)).unwrap()).collect();
    let elsewhere = |outer: Outer, port| Outer { from: [192, 0, 2, 1].into(), ports: Some((port, 4500)), ..outer };
    let moved = |port| PathEvent::PeerMoved { policy: 1, spi: TO_EAST, to: ([192, 0, 2, 1], port).into() };
    let mut arrive = |east: &mut DataPath, from: Option<u16>| {
        let (outer, esp) = sent.remove(0);
        receive(east, 1, from.map_or(outer, |port| elsewhere(outer, port)), &esp);
        (outer, esp, events(east))
    };
    let (outer, esp, told) = arrive(&mut east, None);
    assert_eq!(told, []);
    receive(&mut east, 1, elsewhere(outer, 7), &esp);
    assert_eq!(events(&mut east), [], "a replay says nothing");
    let mut forged = sent_next(&mut west);
    forged.1[20] ^= 1;
    receive(&mut east, 1, elsewhere(forged.0, 7), &forged.1);
    assert_eq!(events(&mut east), [], "nor does a forgery");
    assert_eq!(arrive(&mut east, Some(31000)).2, [moved(31000)]);
    assert_eq!(arrive(&mut east, Some(31000)).2, [], "told already");
    assert_eq!(arrive(&mut east, Some(31001)).2, [moved(31001)]);
    east.repoint_policy(1, Ends { local: EAST.into(), remote: [192, 0, 2, 1].into(), ports: Some((4500, 31001)) });
    assert_eq!(arrive(&mut east, Some(31001)).2, [], "it is there now");
    let late = sent_next(&mut west);
    let (outer, esp) = sent_next(&mut west);
    assert!(receive(&mut east, 1, Outer { from: [192, 0, 2, 1].into(), ports: Some((31001, 4500)), ..outer }, &esp).is_some());
    assert!(receive(&mut east, 1, elsewhere(late.0, 7), &late.1).is_some());
    assert_eq!(events(&mut east), [], "nor does a late one: it may be an old one that was held back");
    let (outer, esp) = sent_next(&mut west);
    receive(&mut east, 1, elsewhere(outer, 31000), &esp);
    assert_eq!(events(&mut east), [moved(31000)], "back again");
    // Without UDP there is no NAT to follow (RFC 7296 §2.23).
    let (mut west, mut east) = pair(&gcm());
    let (outer, esp) = sent_next(&mut west);
    assert!(receive(&mut east, 1, elsewhere(outer, 1), &esp).is_some());
    assert_eq!(events(&mut east), []);
}

fn sent_next(path: &mut DataPath) -> (Outer, Vec<u8>) {
    send(path, 1, &udp_v4(100, true)).unwrap()
}
