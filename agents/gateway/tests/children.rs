//! Two child SAs under one IKE SA, in memory: for the LANs, and for the DMZs with a longer key.

mod sim;

use std::time::Duration;

use faultlab_gateway::{Command, Verdict};
use peer::{ChildAction, GatewayConfig, GatewayEventKind, MessageAction, MessageRule, WhichMessage};
use sim::*;

fn two(tweak: impl FnOnce(&mut GatewayConfig, &mut GatewayConfig)) -> Pair {
    Pair::new(5, FAIR, |w, e| {
        with_dmz(w, WEST);
        with_dmz(e, EAST);
        tweak(w, e);
    })
}

fn established(tweak: impl FnOnce(&mut GatewayConfig, &mut GatewayConfig)) -> Pair {
    let mut pair = two(tweak);
    pair.initiate(WEST);
    pair.run_s(1);
    both_pass(&mut pair);
    pair
}

fn both_pass(pair: &mut Pair) {
    assert!(pair.passes_in(LAN), "LAN: {}", pair.story());
    assert!(pair.passes_in(DMZ), "DMZ: {}", pair.story());
}

/// Exchange types of everything that was sent by IKE, by the clear header.
fn exchanges(pair: &Pair) -> Vec<u8> {
    pair.sent.iter().filter(|(_, f)| f.to.port() == 500).map(|(_, f)| f.data[18]).collect()
}

/// SPIs of a child of a side, inbound and outbound, that came up last.
fn spis(pair: &Pair, side: usize, which: u8) -> (u32, u32) {
    let of_it = |(_, e): &(_, GatewayEventKind)| match e {
        GatewayEventKind::ChildUp { child, spi_in, spi_out, .. } => {
            (child == NAMES[side][usize::from(which)]).then_some((*spi_in, *spi_out))
        }
        _ => None,
    };
    pair.sides[side].events.iter().filter_map(of_it).next_back().expect("it has come up")
}

fn is_up(pair: &Pair) -> [bool; 2] {
    [WEST, EAST].map(|side| pair.sides[side].gateway.is_up(NAMES[side][0]))
}

#[test]
fn the_first_comes_with_ike_auth_and_the_second_after_it() {
    let mut pair = established(|_, _| {});
    assert_eq!(exchanges(&pair), [34, 34, 35, 35, 36, 36], "{}", pair.story());
    assert_eq!((pair.ike_sas(WEST), pair.children(WEST), pair.children(EAST)), (1, 2, 2), "{}", pair.story());
    assert_eq!(is_up(&pair), [true, true]);
    assert_eq!(pair.sides[WEST].routes, [net(EAST, LAN), net(EAST, DMZ)]);
    for which in [LAN, DMZ] {
        let (west, east) = (spis(&pair, WEST, which), spis(&pair, EAST, which));
        assert_eq!(west, (east.1, east.0));
        let from = pair.esp.len();
        assert!(pair.passes_in(which));
        let used: Vec<u32> = pair.esp[from..].iter().map(|(_, _, p)| u32::from_be_bytes(*p.first_chunk().unwrap())).collect();
        assert_eq!(used, [west.1, east.1], "each by its own: {}", pair.story());
        let bits = pair.sides[WEST].keys.esp.iter().find(|k| k.spi == west.0).unwrap().key.len() * 8;
        assert_eq!(bits, if which == LAN { 128 } else { 256 });
    }
    // What belongs to neither is not carried.
    assert_eq!(pair.inner(WEST, &packet_in(WEST, 7, b"hello")), Verdict::Nothing);
}

#[test]
fn each_is_renewed_by_either_side_and_stays_what_it_was() {
    for side in [WEST, EAST] {
        let mut pair = established(|_, _| {});
        for which in [LAN, DMZ, DMZ, LAN] {
            let (before, other) = (spis(&pair, side, which), spis(&pair, side, 1 - which));
            pair.command(side, Command::RekeyChild(NAMES[side][usize::from(which)].into()));
            for _ in 0..100 {
                both_pass(&mut pair);
            }
            assert_eq!((pair.children(WEST), pair.children(EAST)), (2, 2), "{}", pair.story());
            let after = spis(&pair, side, which);
            assert!(after != before && spis(&pair, side, 1 - which) == other, "{}", pair.story());
            let bits = pair.sides[side].keys.esp.iter().find(|k| k.spi == after.0).unwrap().key.len() * 8;
            assert_eq!(bits, if which == LAN { 128 } else { 256 });
        }
    }
}

#[test]
fn both_sides_may_renew_both_at_once() {
    for seed in 0..20 {
        let mut pair = Pair::new(seed, FAIR, |w, e| {
            with_dmz(w, WEST);
            with_dmz(e, EAST);
        });
        pair.initiate(WEST);
        pair.run_s(1);
        for side in [WEST, EAST] {
            for name in NAMES[side] {
                pair.command(side, Command::RekeyChild(name.into()));
            }
        }
        for _ in 0..20 {
            both_pass(&mut pair);
        }
        pair.run_s(20);
        assert_eq!((pair.children(WEST), pair.children(EAST)), (2, 2), "seed {seed} {}", pair.story());
        both_pass(&mut pair);
    }
}

#[test]
fn one_is_closed_and_the_other_lives() {
    let mut pair = established(|w, _| w.connections[0].more_children[0].inactivity = Some(Duration::from_secs(30)));
    for _ in 0..40 {
        pair.run_s(1);
        assert!(pair.passes_in(LAN), "{}", pair.story());
    }
    assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "{}", pair.story());
    for side in [WEST, EAST] {
        let down = pair.sides[side].events.iter().filter_map(|(_, e)| match e {
            GatewayEventKind::ChildDown { child, .. } => Some(child.as_str()),
            _ => None,
        });
        assert_eq!(down.collect::<Vec<_>>(), [NAMES[side][1]], "{}", pair.story());
    }
    assert!(!pair.passes_in(DMZ));
    assert_eq!(is_up(&pair), [false, false]);
    // Only what is missing is asked for.
    let before = exchanges(&pair).len();
    pair.initiate(WEST);
    pair.run_s(1);
    assert_eq!(exchanges(&pair)[before..], [36, 36], "{}", pair.story());
    both_pass(&mut pair);
}

#[test]
fn a_life_of_its_own_ends_alone() {
    let mut pair = established(|w, _| w.connections[0].more_children[0].child_life = Some(Duration::from_secs(60)));
    pair.run_s(61);
    assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "{}", pair.story());
    assert!(pair.passes_in(LAN) && !pair.passes_in(DMZ), "{}", pair.story());
}

#[test]
fn both_move_to_a_new_ike_sa() {
    for side in [WEST, EAST] {
        let mut pair = established(|_, _| {});
        for _ in 0..3 {
            pair.command(side, Command::RekeyIke(NAMES[side][0].into()));
            pair.run_s(1);
            both_pass(&mut pair);
            assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (1, 1), "{}", pair.story());
        }
        for who in [side, 1 - side] {
            for name in NAMES[who] {
                pair.command(who, Command::RekeyChild(name.into()));
                pair.run_s(10);
                both_pass(&mut pair);
            }
        }
        assert_eq!((pair.children(WEST), pair.children(EAST)), (2, 2), "{}", pair.story());
    }
}

#[test]
fn the_second_is_refused_and_the_first_stays() {
    type Tweak = fn(&mut GatewayConfig);
    let refusals: [(Tweak, &str); 2] = [
        (|e| e.connections[0].more_children.clear(), "TS_UNACCEPTABLE"),
        (|e| e.connections[0].more_children[0].esp_proposals = vec!["aes128-sha512".into()], "NO_PROPOSAL_CHOSEN"),
    ];
    for (tweak, reason) in refusals {
        let mut pair = two(|_, e| tweak(e));
        pair.initiate(WEST);
        pair.run_s(2);
        assert_eq!(pair.sides[WEST].failures, [format!("no child SA west-east-dmz: {reason}")], "{}", pair.story());
        assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "{}", pair.story());
        assert!(pair.passes_in(LAN) && !pair.passes_in(DMZ), "{}", pair.story());
        assert!(!pair.sides[WEST].gateway.is_up("west-east"));
    }
}

#[test]
fn the_first_is_refused_and_the_second_comes_up() {
    let mut pair = two(|_, e| e.connections[0].esp_proposals = vec!["aes128-sha512".into()]);
    pair.initiate(WEST);
    pair.run_s(2);
    assert_eq!(pair.sides[WEST].failures, ["no child SA: NO_PROPOSAL_CHOSEN"], "{}", pair.story());
    assert!(pair.passes_in(DMZ) && !pair.passes_in(LAN), "{}", pair.story());
}

#[test]
fn selectors_tell_which_child_is_meant_not_their_order() {
    let mut pair = two(|_, e| {
        let c = &mut e.connections[0];
        let dmz = c.more_children[0].clone();
        c.more_children[0].local_ts = std::mem::replace(&mut c.local_ts, dmz.local_ts);
        c.more_children[0].remote_ts = std::mem::replace(&mut c.remote_ts, dmz.remote_ts);
        c.more_children[0].esp_proposals = std::mem::replace(&mut c.esp_proposals, dmz.esp_proposals);
    });
    pair.initiate(WEST);
    pair.run_s(1);
    both_pass(&mut pair);
    assert_eq!(is_up(&pair), [true, true], "{}", pair.story());
    let (lan_at_west, second_at_east) = (spis(&pair, WEST, LAN), spis(&pair, EAST, DMZ));
    assert_eq!(lan_at_west, (second_at_east.1, second_at_east.0), "{}", pair.story());
}

#[test]
fn both_come_back_without_a_lost_packet_when_the_ike_sa_is_begun_anew() {
    for childless in [false, true] {
        let mut pair = established(|w, _| {
            w.connections[0].options.reauth = Some(Duration::from_secs(2));
            w.connections[0].options.childless = childless;
        });
        while pair.ike_ups(EAST) < 4 {
            both_pass(&mut pair);
        }
        pair.run_s(1);
        both_pass(&mut pair);
        assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (1, 1), "{}", pair.story());
        assert_eq!((pair.children(WEST), pair.children(EAST)), (2, 2), "{}", pair.story());
    }
}

#[test]
fn both_come_back_when_the_peer_has_closed_or_lost_them() {
    let mut pair = established(|w, _| {
        w.connections[0].close_action = ChildAction::Start;
        w.connections[0].dpd_delay = Some(Duration::from_secs(5));
        w.connections[0].dpd_action = ChildAction::Start;
        w.connections[0].keying_tries = 0;
    });
    pair.command(EAST, Command::Close("east-west".into()));
    pair.run_s(2);
    both_pass(&mut pair);
    pair.filter = Some(Box::new(|_| false));
    pair.run_s(20);
    assert_eq!(pair.children(WEST), 0, "{}", pair.story());
    pair.filter = None;
    pair.run_s(10);
    both_pass(&mut pair);
    assert_eq!((pair.ike_sas(EAST), pair.children(EAST)), (1, 2), "{}", pair.story());
}

#[test]
fn each_packet_springs_the_trap_of_its_own_child() {
    let mut pair = two(|w, _| w.connections[0].start_action = ChildAction::Trap);
    pair.inner(WEST, &packet_in(WEST, DMZ, b"hello"));
    pair.run_s(2);
    assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "{}", pair.story());
    assert!(pair.passes_in(DMZ), "{}", pair.story());
    pair.inner(WEST, &packet_in(WEST, LAN, b"hello"));
    pair.run_s(2);
    both_pass(&mut pair);
    assert_eq!(exchanges(&pair), [34, 34, 35, 35, 36, 36], "{}", pair.story());
}

#[test]
fn traps_that_are_sprung_at_once_share_an_ike_sa() {
    let mut pair = two(|w, _| w.connections[0].start_action = ChildAction::Trap);
    pair.inner(WEST, &packet_in(WEST, DMZ, b"hello"));
    pair.inner(WEST, &packet_in(WEST, LAN, b"hello"));
    pair.run_s(2);
    both_pass(&mut pair);
    assert_eq!((pair.ike_sas(WEST), pair.children(WEST)), (1, 2), "{}", pair.story());
}

#[test]
fn one_alone_may_be_brought_up() {
    let mut pair = two(|_, _| {});
    pair.command(WEST, Command::Initiate("west-east-dmz".into()));
    pair.run_s(2);
    assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "{}", pair.story());
    assert!(pair.passes_in(DMZ), "{}", pair.story());
    pair.initiate(EAST);
    pair.run_s(2);
    both_pass(&mut pair);
}

#[test]
fn a_peer_that_is_busy_with_keys_is_asked_again() {
    let mut pair = two(|_, _| {});
    pair.initiate(WEST);
    // East has established the IKE SA, west does not know yet.
    pair.run(Duration::from_millis(35));
    pair.command(EAST, Command::RekeyIke("east-west".into()));
    pair.run_s(1);
    assert!(pair.story().contains("no child SA for now"), "they must have crossed: {}", pair.story());
    assert!(pair.passes_in(LAN) && !pair.passes_in(DMZ), "{}", pair.story());
    pair.run_s(30);
    both_pass(&mut pair);
    assert_eq!((pair.sides[WEST].failures.len(), pair.ike_sas(WEST)), (0, 1), "{}", pair.story());
}

#[test]
fn a_child_that_the_peer_closes_before_we_know_of_it_does_not_stay() {
    let late = MessageRule {
        which: WhichMessage { exchange: Some(36), response: Some(true), ..WhichMessage::default() },
        action: MessageAction::Delay(Duration::from_millis(300)),
    };
    let mut pair = two(|_, e| {
        e.misbehave.messages = vec![late];
        e.connections[0].more_children[0].child_life = Some(Duration::from_millis(100));
    });
    pair.initiate(WEST);
    pair.run_s(2);
    assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "{}", pair.story());
    assert!(pair.passes_in(LAN) && pair.story().contains("has closed it already"), "{}", pair.story());
}
