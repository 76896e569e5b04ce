//! Limits in octets, packets and sequence numbers.

use super::*;

/// Sends `count` packets of 100 octets; how many pass both ways, and the events of both sides.
fn run(sa: SaParams, count: usize) -> (usize, usize, Vec<PathEvent>, Vec<PathEvent>) {
    let (mut west, mut east) = pair(&sa);
    let mut passed = (0, 0);
    for _ in 0..count {
        let Some((outer, esp)) = send(&mut west, 1, &udp_v4(100, true)) else { continue };
        passed.0 += 1;
        passed.1 += usize::from(receive(&mut east, 1, outer, &esp).is_some());
    }
    (passed.0, passed.1, events(&mut west), events(&mut east))
}

fn soft(outbound: bool) -> PathEvent {
    PathEvent::Soft { policy: 1, spi: TO_EAST, outbound }
}

fn hard(outbound: bool) -> PathEvent {
    PathEvent::Hard { policy: 1, spi: TO_EAST, outbound }
}

#[test]
fn soft_then_hard_once_each_on_both_sides() {
    let by_packets = Limits { soft_packets: Some(3), hard_packets: Some(5), ..Limits::default() };
    let by_bytes = Limits { soft_bytes: Some(250), hard_bytes: Some(500), ..Limits::default() };
    for limits in [by_packets, by_bytes] {
        let (sent, received, west, east) = run(SaParams { limits, ..gcm() }, 9);
        assert_eq!((sent, received), (5, 5));
        // West's packets 6 to 9 find no SA: its trap asks for one.
        assert_eq!(west[..2], [soft(true), hard(true)]);
        assert!(matches!(west[2..], [PathEvent::Acquire { policy: 1, .. }]));
        assert_eq!(east, [soft(false), hard(false)]);
    }
}

#[test]
fn a_receiver_whose_sa_has_expired_takes_nothing() {
    let limits = Limits { hard_packets: Some(2), ..Limits::default() };
    let (mut west, mut east) = pair(&gcm());
    east.remove_sa(1, TO_EAST, false);
    east.install(at(0), SaParams { limits, ..mirrored(&gcm()) }, false).unwrap();
    let passed = (0..5).filter(|_| {
        let (outer, esp) = send(&mut west, 1, &udp_v4(100, true)).unwrap();
        receive(&mut east, 1, outer, &esp).is_some()
    });
    assert_eq!((passed.count(), events(&mut east), faults(&east)), (2, vec![hard(false)], vec![("in_expired", 3)]));
}

#[test]
fn an_older_sa_helps_out() {
    let (mut west, _) = pair(&gcm());
    let limits = Limits { hard_packets: Some(1), ..Limits::default() };
    west.install(at(0), SaParams { spi: 0x1002, limits, ..gcm() }, true).unwrap();
    let mut spis = || send(&mut west, 1, &udp_v4(100, true)).map(|(_, esp)| wire::esp::parse(&esp).unwrap().spi);
    assert_eq!([spis(), spis(), spis()], [Some(0x1002), Some(TO_EAST), Some(TO_EAST)]);
}

#[test]
fn sequence_numbers_never_begin_anew() {
    let (mut west, mut east) = pair(&gcm());
    west.sad.outbound.get_mut(&(1, TO_EAST)).unwrap().number = u64::from(u32::MAX) - 2;
    let mut numbers = Vec::new();
    for _ in 0..4 {
        let Some((outer, esp)) = send(&mut west, 1, &udp_v4(100, true)) else { continue };
        numbers.push(wire::esp::parse(&esp).unwrap().seq);
        assert!(receive(&mut east, 1, outer, &esp).is_some());
    }
    assert_eq!(numbers, [u32::MAX - 1, u32::MAX]);
    assert_eq!(events(&mut west)[..2], [soft(true), hard(true)]);
    assert_eq!((events(&mut east), faults(&west)), (vec![], vec![("out_expired", 2)]));
    // Nor if the hard limit were overlooked.
    west.sad.outbound.get_mut(&(1, TO_EAST)).unwrap().sa.expired = false;
    assert_eq!((send(&mut west, 1, &udp_v4(100, true)), west.counters().out_sequence), (None, 1));
}

#[test]
fn extended_sequence_numbers_pass_the_32nd_bit() {
    for (cipher, integrity) in CIPHERS {
        let (mut west, mut east) = pair(&SaParams { esn: true, ..sa(cipher, integrity) });
        let number = &mut west.sad.outbound.get_mut(&(1, TO_EAST)).unwrap().number;
        *number = (1 << 32) - 3;
        east.sad.inbound.get_mut(&TO_EAST).unwrap().window.seen(*number);
        let mut sent: Vec<_> = (0..6).map(|_| send(&mut west, 1, &udp_v4(100, true)).unwrap()).collect();
        assert_eq!(wire::esp::parse(&sent[3].1).unwrap().seq, 1);
        sent.swap(1, 4); // late ones from before the turn
        for (outer, esp) in &sent {
            assert!(receive(&mut east, 1, *outer, esp).is_some(), "{cipher:?}");
            assert!(receive(&mut east, 1, *outer, esp).is_none(), "{cipher:?}");
        }
        assert_eq!(east.sas().iter().map(|sa| sa.sequence).max(), Some((1 << 32) + 3));
        if integrity != Integrity::None || cipher.is_aead() {
            // The half that is not sent is authenticated all the same.
            let (mut other, _) = pair(&SaParams { esn: true, ..sa(cipher, integrity) });
            let (outer, esp) = send(&mut other, 1, &udp_v4(100, true)).unwrap();
            let before = east.counters().in_icv_fail;
            east.sad.inbound.get_mut(&TO_EAST).unwrap().window = replay::ReplayWindow::new(64, true);
            east.sad.inbound.get_mut(&TO_EAST).unwrap().window.seen(1 << 33);
            assert!(receive(&mut east, 1, outer, &esp).is_none());
            assert_eq!(east.counters().in_icv_fail, before + 1, "{cipher:?}");
        }
    }
}

#[test]
fn misbehaviour_a_sequence_that_begins_anew() {
    let (mut west, mut east) = pair(&SaParams { reset_sequence_after: Some(3), ..gcm() });
    let sent: Vec<_> = (0..7).map(|_| send(&mut west, 1, &udp_v4(100, true)).unwrap()).collect();
    let numbers: Vec<u32> = sent.iter().map(|(_, esp)| wire::esp::parse(esp).unwrap().seq).collect();
    assert_eq!(numbers, [1, 2, 3, 1, 2, 3, 1]);
    let ivs: std::collections::BTreeSet<_> = sent.iter().map(|(_, esp)| esp[8..16].to_vec()).collect();
    assert_eq!(ivs.len(), 7, "no nonce is used twice even so");
    assert_eq!(sent.iter().filter(|(outer, esp)| receive(&mut east, 1, *outer, esp).is_some()).count(), 3);
    assert_eq!(faults(&east), [("in_replay", 4)]);
}

#[test]
fn misbehaviour_an_icv_of_96_bits() {
    let suite = || sa(Cipher::AesCbc(128), Integrity::HmacSha2_256_128);
    let (mut west, mut east) = pair(&SaParams { icv_len: Some(12), ..suite() });
    let (outer, esp) = send(&mut west, 1, &udp_v4(100, true)).unwrap();
    assert_eq!(esp.len(), 8 + 16 + 112 + 12);
    assert!(receive(&mut east, 1, outer, &esp).is_some(), "of one mind");
    let (_, mut correct) = pair(&suite());
    assert!(receive(&mut correct, 1, outer, &esp).is_none());
    assert_eq!(faults(&correct), [("in_header", 1)], "no whole number of blocks");
}
