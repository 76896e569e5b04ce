//! NATs and other addresses in the life of an SA: RFC 7296 §2.23, RFC 3948 §4, RFC 4555.
#![allow(clippy::unwrap_used)]

mod sim;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peer::*;
use sim::*;

/// Where west's home is, where it goes, and what a NAT in front of that shows.
const HOME: [u8; 4] = [192, 0, 2, 1];
const AWAY: [u8; 4] = [10, 66, 0, 2];
const OUTSIDE: [u8; 4] = [198, 51, 100, 7];

/// A NAT that hides `inside` behind [`OUTSIDE`], with ports a thousand higher. ESP without ports does not pass.
fn nat(inside: [u8; 4]) -> Filter {
    let (inside, outside) = (IpAddr::from(inside), IpAddr::from(OUTSIDE));
    Box::new(move |f| {
        if f.from.ip() == inside {
            f.from = SocketAddr::new(outside, f.from.port() + 1000);
        } else if f.to.ip() == outside {
            f.to = SocketAddr::new(inside, f.to.port() - 1000);
        } else {
            return true;
        }
        f.from.port() != 0 && f.to.port() != 0
    })
}

/// Established between addresses that east does not know in advance.
fn established(filter: Option<Filter>, tweak: impl FnOnce(&mut GatewayConfig, &mut GatewayConfig)) -> Pair {
    let mut pair = Pair::new(4, FAIR, |w, e| {
        (w.connections[0].mobike, e.connections[0].mobike) = (true, true);
        e.connections[0].remote = None;
        tweak(w, e);
    });
    pair.filter = filter;
    pair.initiate(WEST);
    pair.run_s(1);
    pair
}

/// Did the last packets of both directions go between these addresses, in UDP or not?
fn last_went(pair: &Pair, west: [u8; 4], in_udp: bool) {
    let from = |ip: [u8; 4]| pair.esp.iter().rev().find(|(_, o, _)| o.from == IpAddr::from(ip)).unwrap().1;
    let (up, down) = (pair.esp.iter().rev().find(|(_, o, _)| o.to == IpAddr::from([192, 0, 2, 2])).unwrap().1, from([192, 0, 2, 2]));
    assert_eq!((up.ports.is_some(), down.ports.is_some()), (in_udp, in_udp), "{}", pair.story());
    let seen = if in_udp { OUTSIDE } else { west };
    assert_eq!((up.from, down.to), (IpAddr::from(west), IpAddr::from(seen)), "{}", pair.story());
}

/// West moves, and packets pass between its new address and east.
fn moves(pair: &mut Pair, to: [u8; 4], in_udp: bool) {
    pair.move_west(to.into());
    pair.run_s(2);
    assert!(pair.passes(), "{}", pair.story());
    last_went(pair, to, in_udp);
}

/// Who has logged this?
fn logged(pair: &Pair, text: &str) -> [bool; 2] {
    [WEST, EAST].map(|side| pair.sides[side].log.iter().any(|l| l.contains(text)))
}

#[test]
fn keepalives_go_out_only_from_behind_a_nat_and_only_in_silence() {
    let keepalives = |pair: &Pair| pair.sent.iter().filter(|(_, f)| f.data == [0xff]).map(|(at, f)| (*at, f.from.ip())).collect::<Vec<_>>();
    let often = |w: &mut GatewayConfig, e: &mut GatewayConfig| {
        w.nat_keepalive = Some(Duration::from_secs(20));
        e.nat_keepalive = Some(Duration::from_secs(20));
    };
    // Each pretends, so that the other one believes that it is alone outside.
    let mut pair = established(None, |w, e| {
        often(w, e);
        (w.connections[0].force_encap, e.connections[0].force_encap) = (true, true);
    });
    pair.run_s(120);
    assert_eq!(keepalives(&pair), [], "nobody is behind a NAT");

    let mut pair = established(Some(nat(HOME)), often);
    for _ in 0..6 {
        pair.run_s(10);
        assert!(pair.passes(), "{}", pair.story());
    }
    assert_eq!(keepalives(&pair), [], "there were packets");
    let from = pair.now;
    pair.run_s(110);
    let all = keepalives(&pair);
    assert!(all.iter().all(|(_, ip)| *ip == IpAddr::from(HOME)), "{all:?}");
    let times: Vec<u64> = all.iter().map(|(at, _)| at.since(from).as_secs()).collect();
    assert_eq!(times, [19, 39, 59, 79, 99]);
}

#[test]
fn an_initiator_moves_and_its_peer_follows() {
    let mut pair = established(None, |_, _| {});
    moves(&mut pair, AWAY, false);
}

#[test]
fn moved_behind_a_nat_and_back_again() {
    let mut pair = established(Some(nat(AWAY)), |_, _| {});
    assert!(pair.passes(), "{}", pair.story());
    last_went(&pair, HOME, false);
    moves(&mut pair, AWAY, true);
    moves(&mut pair, HOME, false);
}

#[test]
fn where_no_nats_are_allowed_nobody_moves_behind_one() {
    for side in [WEST, EAST] {
        let mut pair = established(Some(nat(AWAY)), |w, e| [w, e][side].connections[0].nat_traversal = false);
        assert!(pair.passes(), "{}", pair.story());
        // There is no NAT.
        moves(&mut pair, [192, 0, 2, 77], false);
        pair.move_west(AWAY.into());
        pair.run_s(2);
        assert_eq!(logged(&pair, "does not follow to 10.66.0.2:500: UNEXPECTED_NAT_DETECTED"), [true, false], "{}", pair.story());
        assert!(!pair.passes());
        assert_eq!(pair.ike_sas(EAST), 1, "{}", pair.story());
    }
}

#[test]
fn where_no_nats_are_allowed_nobody_comes_from_behind_one() {
    let pair = established(Some(nat(HOME)), |w, _| w.connections[0].nat_traversal = false);
    assert_eq!(logged(&pair, "IKE_AUTH refused: UNEXPECTED_NAT_DETECTED"), [true, false], "{}", pair.story());
    assert_eq!([pair.ike_ups(WEST), pair.ike_ups(EAST)], [0, 0]);
}

#[test]
fn no_data_go_where_the_peer_does_not_answer() {
    // West sends no COOKIE2: neither asks for one nor returns one.
    let mut pair = established(None, |w, _| w.misbehave.omit_notify = vec![16401]);
    pair.move_west(AWAY.into());
    pair.run_s(2);
    assert_eq!(logged(&pair, "the COOKIE2 did not come back"), [true, true], "{}", pair.story());
    let before = pair.sides[WEST].inner.len();
    pair.inner(EAST, &packet_in(EAST, LAN, b"hello"));
    pair.run_s(1);
    assert_eq!(pair.sides[WEST].inner.len(), before);
    assert_eq!(pair.esp.last().unwrap().1.to, IpAddr::from(HOME), "{}", pair.story());
    assert_eq!(pair.ike_sas(EAST), 1);
}

#[test]
fn only_the_path_that_was_tested_is_taken() {
    let mut pair = established(None, |_, _| {});
    pair.move_west(AWAY.into());
    // East's test is on its way to there when west leaves again.
    pair.run(Duration::from_millis(15));
    pair.move_west([10, 66, 0, 3].into());
    pair.run_s(10);
    assert!(pair.passes(), "{}", pair.story());
    last_went(&pair, [10, 66, 0, 3], false);
    let answered = |ip: &str| logged(&pair, &format!("the peer answers at {ip}:4500"));
    assert_eq!([answered("10.66.0.2"), answered("10.66.0.3")], [[false, false], [false, true]], "{}", pair.story());
}
