//! Which policy, which SA.

use super::*;

fn spi(packet: &[u8]) -> u32 {
    wire::esp::parse(packet).unwrap().spi
}

fn sent_with(path: &mut DataPath, ms: u64, packet: &[u8]) -> Option<u32> {
    send(path, ms, packet).map(|(_, esp)| spi(&esp))
}

#[test]
fn a_trap_asks_once_and_again_after_a_moment() {
    let mut west = DataPath::default();
    let trap = policy(&gcm());
    west.set_policy(1, trap.clone());
    let packet = udp_v4(100, true);
    for (ms, asks) in [(0, true), (10, false), (999, false), (1000, true), (1001, false)] {
        assert_eq!(sent_with(&mut west, ms, &packet), None);
        let end = |address: &str, port| Selector { protocol: 17, ports: (port, port), ..net(address) };
        let acquire = PathEvent::Acquire { policy: 1, local_ts: end("10.1.0.7/32", 4000), remote_ts: end("10.2.0.7/32", 80) };
        assert_eq!(events(&mut west), if asks { vec![acquire] } else { vec![] }, "{ms}");
    }
    assert_eq!(faults(&west), [("out_no_sa", 5)]);
    west.install(at(1002), gcm(), true).unwrap();
    assert_eq!(sent_with(&mut west, 1003, &packet), Some(TO_EAST));
    // The SA goes: the next packet asks at once.
    west.remove_sa(1, TO_EAST, true);
    assert_eq!((sent_with(&mut west, 1004, &packet), events(&mut west).len()), (None, 1));
    west.set_policy(1, PolicyParams { trap: false, ..trap });
    assert_eq!((sent_with(&mut west, 9000, &packet), events(&mut west)), (None, vec![]));
    west.remove_policy(1);
    assert_eq!(sent_with(&mut west, 9001, &packet), None);
    assert_eq!(faults(&west), [("out_no_policy", 1), ("out_no_sa", 7)]);
}

#[test]
fn the_newest_outbound_sa_until_told_otherwise() {
    let (mut west, _) = pair(&gcm());
    let packet = udp_v4(100, true);
    let new = |spi| SaParams { spi, ..gcm() };
    assert_eq!(sent_with(&mut west, 1, &packet), Some(TO_EAST));
    west.install(at(2), new(0x1002), true).unwrap();
    assert_eq!(sent_with(&mut west, 2, &packet), Some(0x1002));
    assert!(west.use_outbound(1, TO_EAST) && !west.use_outbound(1, 77) && !west.use_outbound(2, TO_EAST));
    assert_eq!(sent_with(&mut west, 3, &packet), Some(TO_EAST));
    assert!(west.use_outbound(1, 0x1002));
    assert_eq!(sent_with(&mut west, 4, &packet), Some(0x1002));
    west.use_outbound(1, TO_EAST);
    west.install(at(5), new(0x1003), true).unwrap();
    assert_eq!(sent_with(&mut west, 5, &packet), Some(0x1003), "a new one is used again");
    west.use_outbound(1, TO_EAST);
    west.remove_sa(1, TO_EAST, true);
    assert_eq!(sent_with(&mut west, 6, &packet), Some(0x1003), "the newest that is left");
    west.remove_policy(1);
    assert_eq!((sent_with(&mut west, 7, &packet), west.sas().len()), (None, 0));
}

#[test]
fn an_sa_narrower_than_its_policy() {
    let mut west = DataPath::default();
    west.set_policy(1, policy(&gcm()));
    let narrow = |spi, remote| SaParams { spi, remote_ts: vec![net(remote)], ..gcm() };
    west.install(at(0), narrow(0x1001, "10.2.0.0/24"), true).unwrap();
    west.install(at(0), narrow(0x1002, "10.2.9.0/24"), true).unwrap();
    let to = |c| {
        let mut packet = udp_v4(100, true);
        packet[18] = c;
        packet
    };
    assert_eq!((sent_with(&mut west, 1, &to(9)), sent_with(&mut west, 1, &to(0))), (Some(0x1002), Some(0x1001)));
    assert_eq!((sent_with(&mut west, 1, &to(5)), events(&mut west).len()), (None, 1), "covered by the policy, by no SA");
}

#[test]
fn the_narrowest_policy_decides_even_without_an_sa() {
    let (mut west, _) = pair(&gcm());
    west.set_policy(2, PolicyParams { remote_ts: vec![net("10.2.0.7/32")], trap: false, ..policy(&gcm()) });
    assert_eq!(sent_with(&mut west, 1, &udp_v4(100, true)), None, "it must not leave by the wider one");
    // Of equal ones, that of the newest SA.
    west.remove_policy(2);
    west.set_policy(3, policy(&gcm()));
    assert_eq!(sent_with(&mut west, 1, &udp_v4(100, true)), Some(TO_EAST));
    west.install(at(2), SaParams { policy: 3, spi: 0x3003, ..gcm() }, true).unwrap();
    assert_eq!(sent_with(&mut west, 2, &udp_v4(100, true)), Some(0x3003));
    west.remove_policy(3);
    assert_eq!(sent_with(&mut west, 3, &udp_v4(100, true)), Some(TO_EAST));
}

#[test]
fn a_policy_that_yields() {
    let packet = udp_v4(100, true);
    let other = || SaParams { policy: 3, spi: 0x3003, ..gcm() };
    let yielding = || {
        let (mut west, east) = pair(&gcm());
        west.set_policy(3, PolicyParams { yields_until: Some(at(5000)), ..policy(&gcm()) });
        west.install(at(2), other(), true).unwrap();
        west.install(at(2), SaParams { spi: 0x4003, ..other() }, false).unwrap();
        (west, east)
    };
    let (mut west, mut east) = yielding();
    assert_eq!(sent_with(&mut west, 3, &packet), Some(TO_EAST), "the peer may not have the new one yet");
    assert_eq!(sent_with(&mut west, 4999, &packet), Some(TO_EAST));
    assert_eq!(sent_with(&mut west, 5000, &packet), Some(0x3003), "it has had time enough");

    let (mut west, _) = yielding();
    assert_eq!(sent_with(&mut west, 3, &packet), Some(TO_EAST));
    west.remove_policy(1);
    assert_eq!(sent_with(&mut west, 4, &packet), Some(0x3003), "nothing else is left");

    let (mut west, _) = yielding();
    east.install(at(2), mirrored(&SaParams { spi: 0x4003, ..gcm() }), true).unwrap();
    let mut back = packet.clone();
    back[12..20].rotate_left(4); // source and destination
    let (outer, esp) = send(&mut east, 3, &back).unwrap();
    assert_eq!(spi(&esp), 0x4003);
    let mut forged = esp.clone();
    *forged.last_mut().unwrap() ^= 1;
    receive(&mut west, 3, outer, &forged);
    assert_eq!(sent_with(&mut west, 3, &packet), Some(TO_EAST), "anybody could have sent that");
    receive(&mut west, 4, outer, &esp);
    assert_eq!(sent_with(&mut west, 4, &packet), Some(0x3003), "the peer has it");
}

#[test]
fn two_hundred_spokes() {
    let mut hub = DataPath::default();
    for n in 0..250u32 {
        let ts = vec![net(&format!("10.{}.{}.0/24", 100 + n / 16, n % 16))];
        hub.set_policy(n, PolicyParams { remote_ts: ts.clone(), ..policy(&gcm()) });
        hub.install(at(0), SaParams { policy: n, spi: 0x1000 + n, remote_ts: ts, ..gcm() }, true).unwrap();
    }
    for round in 0..2 {
        for n in 0..250u8 {
            let mut packet = udp_v4(100, true);
            packet[17..20].copy_from_slice(&[100 + n / 16, n % 16, 1]);
            assert_eq!(sent_with(&mut hub, round, &packet), Some(0x1000 + u32::from(n)));
        }
    }
}

#[test]
fn repointed() {
    let (mut west, mut east) = pair(&SaParams { ports: Some((4500, 4500)), ..gcm() });
    let ends = Ends { local: WEST.into(), remote: [10, 9, 0, 3].into(), ports: Some((4500, 9999)) };
    west.repoint_policy(1, ends);
    let (outer, esp) = send(&mut west, 1, &udp_v4(100, true)).unwrap();
    assert_eq!((outer.to, outer.ports), (ends.remote, ends.ports));
    assert!(receive(&mut east, 1, outer, &esp).is_some(), "found by its SPI alone");
    assert!(west.sas().iter().all(|sa| sa.ends == ends));
    // From IPv4 in UDP to IPv6 without: other sizes.
    let v6 = Ends { local: "2001:db8::1".parse().unwrap(), remote: "2001:db8::2".parse().unwrap(), ports: None };
    assert!(west.repoint_sa(1, TO_EAST, true, v6) && !west.repoint_sa(2, TO_EAST, true, v6) && !west.repoint_sa(2, TO_WEST, false, v6));
    assert_eq!(west.sas().iter().map(|sa| (sa.ends, sa.max_inner)).collect::<Vec<_>>(), [(ends, None), (v6, Some(1426))]);
}
