//! Packets from one side to the other, and what anybody else makes of them.

use super::*;

#[test]
fn every_algorithm_both_families_raw_and_in_udp() {
    for ((cipher, integrity), esn) in CIPHERS.into_iter().flat_map(|suite| [(suite, false), (suite, true)]) {
        for (v6_outside, ports) in [(false, None), (false, Some((4500, 31000))), (true, None), (true, Some((4500, 4500)))] {
            let mut to_east = SaParams { esn, ports, ..sa(cipher, integrity) };
            if v6_outside {
                (to_east.local, to_east.remote) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
            }
            let (mut west, mut east) = pair(&to_east);
            for packet in [udp_v4(28, true), udp_v4(1000, false), udp_v6(48), udp_v6(1300), udp_v4(61, true), udp_v4(62, true)] {
                let (outer, esp) = send(&mut west, 1, &packet).unwrap();
                assert_eq!((outer.from, outer.to, outer.ports), (to_east.local, to_east.remote, ports));
                assert_eq!(receive(&mut east, 2, outer, &esp).as_ref(), Some(&packet), "{cipher:?} {integrity:?}");
                assert_eq!(receive(&mut east, 2, outer, &esp), None, "a replay");

                // Who captures it and has the keys sees the same.
                let opened = wire::esp::decrypt(&esp, cipher, &to_east.key, integrity, &to_east.integrity_key).unwrap();
                assert_eq!((opened.data, opened.next_header), (packet.clone(), if packet[0] >> 4 == 4 { 4 } else { 41 }));
            }
            // And back.
            let answer = {
                let mut packet = udp_v4(100, true);
                let (src, dst) = packet[12..20].split_at_mut(4);
                src.swap_with_slice(dst);
                packet
            };
            let (outer, esp) = send(&mut east, 3, &answer).unwrap();
            assert_eq!((outer.to, outer.ports), (to_east.local, ports.map(|(own, peers)| (peers, own))));
            assert_eq!(receive(&mut west, 4, outer, &esp), Some(answer));
            assert_eq!((faults(&west), faults(&east)), (vec![], vec![("in_replay", 6)]));
            assert_eq!((events(&mut west), events(&mut east)), (vec![], vec![]));
        }
    }
}

#[test]
fn the_same_inputs_give_the_same_octets() {
    let run = || {
        let (mut west, _) = pair(&sa(Cipher::AesCbc(128), Integrity::HmacSha1_96));
        (0..3).map(|_| send(&mut west, 1, &udp_v4(200, true)).unwrap().1).collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(first, run());
    assert_ne!(first[0][8..24], first[1][8..24], "another IV");
}

#[test]
fn nothing_is_allocated_when_out_has_room() {
    for (cipher, integrity) in CIPHERS {
        let (mut west, mut east) = pair(&sa(cipher, integrity));
        let (mut esp, mut plain) = (Vec::with_capacity(2048), Vec::with_capacity(2048));
        let places = (esp.as_ptr(), plain.as_ptr());
        for len in [1400, 60, 1300] {
            let Verdict::Send(outer) = west.outbound(at(1), &udp_v4(len, false), &mut esp) else { panic!("not sent") };
            assert_eq!(east.inbound(at(1), outer, &mut esp, &mut plain), Verdict::Deliver);
            assert_eq!(((esp.as_ptr(), plain.as_ptr()), plain.len()), (places, len));
        }
    }
}

#[test]
fn usage_listings_and_text() {
    let (mut west, mut east) = pair(&SaParams { ports: Some((4500, 31000)), ..gcm() });
    for ms in [100, 200] {
        let (outer, esp) = send(&mut west, ms, &udp_v4(500, true)).unwrap();
        receive(&mut east, ms + 7, outer, &esp).unwrap();
    }
    assert_eq!(
        (west.usage(1), east.usage(1), west.usage(2)),
        (
            Some(Usage { last_out: Some(at(200)), octets_out: 1000, packets_out: 2, ..Usage::default() }),
            Some(Usage { last_in: Some(at(207)), octets_in: 1000, packets_in: 2, ..Usage::default() }),
            None
        )
    );
    // What an SA has carried is remembered by its policy.
    assert!(east.remove_sa(1, TO_EAST, false) && !east.remove_sa(1, TO_EAST, false));
    assert_eq!(east.usage(1).map(|u| (u.packets_in, u.last_in)), Some((2, Some(at(207)))));

    let sas = west.sas();
    assert_eq!(sas.iter().map(|s| (s.spi, s.outbound, s.current)).collect::<Vec<_>>(), [(TO_WEST, false, false), (TO_EAST, true, true)]);
    assert_eq!((sas[1].sequence, sas[1].packets, sas[1].octets, sas[1].max_inner), (2, 2, 1000, Some(1438)));
    assert_eq!((sas[0].replay_window, sas[0].last), (64, None));
    let text = west.describe();
    for part in [
        "policy 1 west-east: PROTECT esp tunnel, local 10.1.0.0/16 fd01::/48 remote 10.2.0.0/16 fd02::/48; outbound SA 0x00001001",
        "in 0 packets 0 octets, last never; out 2 packets 1000 octets, last 0.200 s",
        "out SPI 0x00001001 policy 1: 10.9.0.1 -> 10.9.0.2 in UDP 4500 -> 31000, AesGcm(128, 16) None, in use",
        "in  SPI 0x00002001 policy 1: 10.9.0.2 -> 10.9.0.1 in UDP 31000 -> 4500",
        "window 64, 0 replays, 0 wrong ICVs",
        "  sent 2\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let debug = format!("{west:?} {:?}", gcm());
    for secret in ["1, 2, 3, 4, 5, 6, 7, 8", "key: ["] {
        assert!(!debug.contains(secret), "{debug}");
    }
}

#[test]
fn an_sa_that_cannot_be_installed() {
    let (mut west, _) = pair(&gcm());
    assert_eq!(west.install(at(0), gcm(), true), Err(InstallError::InUse(TO_EAST)));
    assert_eq!(west.install(at(0), SaParams { spi: 255, ..gcm() }, true), Err(InstallError::Reserved(255)));
    let bad = SaParams { spi: 999, key: vec![0; 3], ..gcm() };
    let error = west.install(at(0), bad, false).unwrap_err();
    assert_eq!(error.to_string(), "SA 0x000003e7: a key of 3 octets does not fit AesGcm(128, 16)");
    // Two peers may choose the same SPI.
    west.set_policy(2, PolicyParams { remote_ts: vec![net("10.3.0.0/16")], ..policy(&gcm()) });
    west.install(at(0), SaParams { policy: 2, remote_ts: vec![net("10.3.0.0/16")], ..gcm() }, true).unwrap();
    assert!(west.remove_sa(2, TO_EAST, true) && send(&mut west, 1, &udp_v4(100, true)).is_some());
}
