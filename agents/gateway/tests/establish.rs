//! Setting up, in memory.

mod sim;

use peer::GatewayEventKind;
use sim::*;

#[test]
fn a_pair_establishes_and_packets_pass() {
    let mut pair = Pair::new(1, FAIR, |_, _| {});
    pair.initiate(WEST);
    pair.run_s(2);
    assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "{}", pair.story());
    assert!(pair.passes(), "{}", pair.story());
    assert_eq!(pair.sent.iter().filter(|(_, f)| f.to.port() != 0).count(), 4, "two exchanges");
    assert!(pair.sides[EAST].events.iter().any(|(_, e)| matches!(e, GatewayEventKind::ChildUp { .. })));
    assert_eq!(pair.sides[WEST].routes, ["10.2.0.0/16".parse().unwrap()]);
}

#[test]
fn the_same_seed_gives_the_same_octets() {
    let sent = |seed| {
        let mut pair = Pair::new(seed, FAIR, |_, _| {});
        pair.initiate(WEST);
        pair.run_s(2);
        pair.sent.into_iter().map(|(at, f)| (at, f.data)).collect::<Vec<_>>()
    };
    assert_eq!(sent(7), sent(7));
    assert_ne!(sent(7), sent(8));
}

#[test]
fn different_keys_are_told_apart_from_nothing_else() {
    let mut pair = Pair::new(1, FAIR, |w, _| w.connections[0].psk = "wrong horse".into());
    pair.initiate(WEST);
    pair.run_s(5);
    assert_eq!(pair.sides[WEST].failures, ["IKE_AUTH refused: AUTHENTICATION_FAILED"], "{}", pair.story());
    assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (0, 0));
}

#[test]
fn another_group_is_asked_for_and_given() {
    let mut pair = Pair::new(1, FAIR, |w, e| {
        w.connections[0].ike_proposals = vec!["aes128-sha256-curve25519-ecp256".into()];
        e.connections[0].ike_proposals = vec!["aes128-sha256-ecp256".into()];
    });
    pair.initiate(WEST);
    pair.run_s(2);
    assert!(pair.passes(), "{}", pair.story());
}

#[test]
fn a_cookie_is_demanded_and_returned() {
    let mut pair = Pair::new(1, FAIR, |_, e| e.half_open.cookie_threshold = 0);
    pair.initiate(WEST);
    pair.run_s(2);
    assert!(pair.passes(), "{}", pair.story());
}

#[test]
fn nothing_in_common_is_refused() {
    let mut pair = Pair::new(1, FAIR, |w, _| w.connections[0].ike_proposals = vec!["aes256-sha512-modp2048".into()]);
    pair.initiate(WEST);
    pair.run_s(2);
    assert_eq!(pair.sides[WEST].failures, ["IKE_SA_INIT refused: NO_PROPOSAL_CHOSEN"]);
}

#[test]
fn a_child_may_be_refused_while_the_ike_sa_stays() {
    for (tweak, reason) in [
        ((|c: &mut peer::Connection| c.esp_proposals = vec!["aes256-sha512".into()]) as fn(&mut peer::Connection), "NO_PROPOSAL_CHOSEN"),
        (|c| c.local_ts = vec!["10.77.0.0/16".parse().unwrap()], "TS_UNACCEPTABLE"),
    ] {
        let mut pair = Pair::new(1, FAIR, |w, _| tweak(&mut w.connections[0]));
        pair.initiate(WEST);
        pair.run_s(2);
        assert_eq!(pair.sides[WEST].failures, [format!("no child SA: {reason}")], "{}", pair.story());
        assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (1, 1));
        assert_eq!((pair.children(WEST), pair.children(EAST)), (0, 0));
    }
}

#[test]
fn selectors_are_narrowed() {
    let mut pair = Pair::new(1, FAIR, |_, e| e.connections[0].remote_ts = vec!["10.1.0.0/24".parse().unwrap()]);
    pair.initiate(WEST);
    pair.run_s(2);
    assert!(pair.passes(), "{}", pair.story());
    assert_eq!(pair.sides[EAST].routes, ["10.1.0.0/24".parse().unwrap()]);
}

/// RFC 9242 §3.2: the peers switch right after IKE_SA_INIT, in the first IKE_INTERMEDIATE.
#[test]
fn a_nat_moves_ike_intermediate_too() {
    const IKE_INTERMEDIATE: u8 = 43;
    let mut pair = Pair::new(1, FAIR, |w, e| {
        w.connections[0].force_encap = true;
        for c in [&mut w.connections[0], &mut e.connections[0]] {
            c.ike_proposals = vec!["aes128-sha256-curve25519-ke1_mlkem768".into()];
        }
    });
    pair.initiate(WEST);
    pair.run_s(1);
    assert!(pair.passes(), "{}", pair.story());
    // Behind four octets of zero (RFC 3948 §2.2).
    let at_4500 = |f: &Flight| f.to.port() == 4500 && f.data.get(22) == Some(&IKE_INTERMEDIATE);
    let at_500 = |f: &Flight| f.to.port() == 500 && f.data.get(18) == Some(&IKE_INTERMEDIATE);
    assert!(pair.sent.iter().any(|(_, f)| at_4500(f)) && !pair.sent.iter().any(|(_, f)| at_500(f)), "{}", pair.story());
}

#[test]
fn a_nat_moves_everything_to_port_4500() {
    let mut pair = Pair::new(1, FAIR, |w, _| w.connections[0].force_encap = true);
    pair.initiate(WEST);
    pair.run_s(2);
    assert!(pair.passes(), "{}", pair.story());
    assert!(pair.esp.iter().all(|(_, outer, _)| outer.ports == Some((4500, 4500))));
}

#[test]
fn whoever_accepts_any_proof_lets_anybody_in() {
    for both in [false, true] {
        let mut pair = Pair::new(1, FAIR, |w, e| {
            w.connections[0].psk = "wrong horse".into();
            e.misbehave.switches.accept_any_auth = true;
            w.misbehave.switches.accept_any_auth = both;
        });
        pair.initiate(WEST);
        pair.run_s(2);
        assert_eq!(pair.ike_ups(EAST), 1, "{}", pair.story());
        assert_eq!(pair.passes(), both, "west looks closer: {}", pair.story());
    }
}

#[test]
fn without_nat_detection_on_one_side_nothing_moves() {
    let mut pair = Pair::new(1, FAIR, |w, e| {
        w.connections[0].force_encap = true;
        e.connections[0].nat_traversal = false;
    });
    pair.initiate(WEST);
    pair.run_s(2);
    assert!(pair.passes(), "{}", pair.story());
    assert!(pair.esp.iter().all(|(_, outer, _)| outer.ports.is_none()));
}

#[test]
fn a_request_without_response_is_repeated_and_given_up() {
    let mut pair = Pair::new(1, FAIR, |_, _| {});
    pair.filter = Some(Box::new(|_| false));
    pair.initiate(WEST);
    pair.run_s(10);
    let times: Vec<u128> = pair.sent.iter().map(|(at, _)| at.0.as_millis()).collect();
    assert_eq!(times, [0, 300, 840, 1812]);
    assert_eq!(pair.sides[WEST].failures, ["no response to 4 copies of a request"]);
}

#[test]
fn a_failed_set_up_is_begun_anew_as_often_as_is_said() {
    let mut pair = Pair::new(1, FAIR, |w, _| w.connections[0].keying_tries = 3);
    pair.filter = Some(Box::new(|_| false));
    pair.initiate(WEST);
    pair.run_s(60);
    assert_eq!(pair.sent.len(), 12);
    assert_eq!(pair.sides[WEST].failures.len(), 1);
}

#[test]
fn an_inner_packet_springs_a_trap() {
    let mut pair = Pair::new(1, FAIR, |w, _| w.connections[0].start_action = peer::ChildAction::Trap);
    assert_eq!(pair.sides[WEST].routes, ["10.2.0.0/16".parse().unwrap()]);
    pair.inner(WEST, &udp_packet(WEST, b"hello"));
    pair.run_s(2);
    assert!(pair.passes(), "{}", pair.story());
}

#[test]
fn additional_key_exchanges_are_done_between() {
    let mut pair = Pair::new(1, FAIR, |w, e| {
        for c in [&mut w.connections[0], &mut e.connections[0]] {
            c.ike_proposals = vec!["aes256-sha384-curve25519-ke1_mlkem768-ke2_ecp256".into()];
        }
    });
    pair.initiate(WEST);
    pair.run_s(2);
    assert!(pair.passes(), "{}", pair.story());
    assert!(pair.sent.len() > 8, "fragments of ML-KEM's keys, and four exchanges: {}", pair.sent.len());
}

#[test]
fn a_road_warrior_gets_an_address() {
    let mut pair = Pair::new(1, FAIR, |w, e| {
        w.connections[0].options.virtual_ip = true;
        e.connections[0].options.pool = Some("10.1.0.0/28".parse().unwrap());
    });
    pair.initiate(WEST);
    pair.run_s(2);
    assert_eq!(pair.sides[WEST].addresses, ["10.1.0.1".parse::<std::net::IpAddr>().unwrap()], "{}", pair.story());
    assert_eq!(pair.sides[EAST].routes, ["10.1.0.1/32".parse().unwrap()]);
}

#[test]
fn eap_proves_the_initiator() {
    for method in [peer::AuthMethod::EapMschapv2, peer::AuthMethod::EapMd5] {
        for (password, works) in [("secret", true), ("wrong", false)] {
            let mut pair = Pair::new(1, FAIR, |w, e| {
                w.connections[0].auth.own = method;
                e.connections[0].auth.peer = method;
                w.connections[0].auth.eap = Some(peer::EapLogin { user: "carol".into(), password: password.into() });
                e.connections[0].auth.eap = Some(peer::EapLogin { user: "carol".into(), password: "secret".into() });
            });
            pair.initiate(WEST);
            pair.run_s(3);
            assert_eq!(pair.children(WEST) == 1, works, "{method:?} {}", pair.story());
            assert_eq!(pair.sides[WEST].failures.is_empty(), works);
        }
    }
}

#[test]
fn without_a_child_at_first() {
    // The responder needs no setting for it.
    let mut pair = Pair::new(1, FAIR, |w, _| w.connections[0].options.childless = true);
    pair.initiate(WEST);
    pair.run_s(2);
    assert!(pair.passes(), "{}", pair.story());
    let exchanges: Vec<u8> = pair.sent.iter().filter(|(_, f)| f.to.port() == 500).map(|(_, f)| f.data[18]).collect();
    assert_eq!(exchanges, [34, 34, 35, 35, 36, 36]);
}
