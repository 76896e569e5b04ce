//! Life after set-up, in memory: new keys, collisions, ends, movements.

mod sim;

use std::time::Duration;

use faultlab_gateway::{Command, Gateway, Time};
use peer::{ChildAction, GatewayConfig, GatewayEventKind, MessageAction, MessageRule, WhichMessage};
use sim::*;

fn established(tweak: impl FnOnce(&mut GatewayConfig, &mut GatewayConfig)) -> Pair {
    let mut pair = Pair::new(3, FAIR, tweak);
    pair.initiate(WEST);
    pair.run_s(1);
    assert!(pair.passes(), "{}", pair.story());
    pair
}

/// All responses of an exchange type leave this much later.
fn late_responses(exchange: u8, ms: u64) -> MessageRule {
    let which = WhichMessage { exchange: Some(exchange), response: Some(true), ..WhichMessage::default() };
    MessageRule { which, action: MessageAction::Delay(Duration::from_millis(ms)) }
}

/// Exchange types of the requests sent since, west's then east's, by the clear header.
fn requests(pair: &Pair, from: usize) -> Vec<u8> {
    let requests = pair.sent[from..].iter().filter(|(_, f)| f.to.port() == 500 && f.data[19] & 0x20 == 0);
    requests.map(|(_, f)| f.data[18]).collect()
}

#[test]
fn child_keys_are_renewed_by_either_side_without_a_lost_packet() {
    for side in [WEST, EAST] {
        let mut pair = established(|_, _| {});
        for round in 0..3 {
            let name = pair.name(side);
            pair.command(side, Command::RekeyChild(name));
            for _ in 0..100 {
                assert!(pair.passes(), "round {round}: {}", pair.story());
            }
            assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "{}", pair.story());
        }
    }
}

#[test]
fn ike_keys_are_renewed_by_either_side_and_the_children_move() {
    for side in [WEST, EAST] {
        let mut pair = established(|_, _| {});
        for _ in 0..3 {
            let name = pair.name(side);
            pair.command(side, Command::RekeyIke(name));
            pair.run_s(1);
            assert!(pair.passes(), "{}", pair.story());
            assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (1, 1), "{}", pair.story());
        }
        let name = pair.name(1 - side);
        pair.command(1 - side, Command::RekeyChild(name));
        pair.run_s(10);
        assert!(pair.passes(), "{}", pair.story());
    }
}

#[test]
fn an_ike_sa_is_begun_anew_without_a_lost_packet() {
    for (childless, late) in [(false, false), (true, false), (false, true)] {
        let mut pair = established(|w, e| {
            w.connections[0].options.reauth = Some(Duration::from_secs(2));
            w.connections[0].options.childless = childless;
            if late {
                // The responder has the new child SA long before the initiator.
                e.misbehave.messages = vec![late_responses(35, 300)];
            }
        });
        while pair.ike_ups(EAST) < 4 {
            assert!(pair.passes(), "{}", pair.story());
        }
        pair.run_s(1);
        assert!(pair.passes(), "{}", pair.story());
        assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (1, 1), "{}", pair.story());
        assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "{}", pair.story());
    }
}

/// RFC 7296 §2.8: a responder may send on an SA that the initiator has no keys for yet.
#[test]
fn what_comes_before_its_sa_waits_for_it() {
    let mut pair = Pair::new(3, FAIR, |_, e| e.misbehave.messages = vec![late_responses(35, 300)]);
    pair.initiate(WEST);
    while pair.children(EAST) == 0 {
        assert!(pair.step(), "{}", pair.story());
    }
    let packet = packet_in(EAST, LAN, b"early");
    pair.inner(EAST, &packet);
    pair.run(Duration::from_millis(100));
    assert_eq!((pair.children(WEST), pair.sides[WEST].inner.len()), (0, 0), "{}", pair.story());
    pair.run_s(1);
    assert_eq!((pair.children(WEST), &pair.sides[WEST].inner[..]), (1, &[packet][..]), "{}", pair.story());
    assert!(pair.passes(), "{}", pair.story());
}

#[test]
fn both_sides_may_renew_child_keys_at_once() {
    for seed in 0..20 {
        let mut pair = Pair::new(seed, FAIR, |_, _| {});
        pair.initiate(WEST);
        pair.run_s(1);
        let (w, e) = (pair.name(WEST), pair.name(EAST));
        pair.command(WEST, Command::RekeyChild(w));
        pair.command(EAST, Command::RekeyChild(e));
        for _ in 0..20 {
            assert!(pair.passes(), "{}", pair.story());
        }
        pair.run_s(10);
        assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "seed {seed} {}", pair.story());
        assert!(pair.passes());
        assert!(pair.story().contains("both sides re-keyed"), "they must have crossed");
    }
}

/// Responses that are behind: a side knows how the crossing ends while the other does not yet have the SA that stays.
#[test]
fn no_packet_is_lost_while_a_crossing_is_settled() {
    for seed in 0..20 {
        for late in [WEST, EAST] {
            let mut pair = Pair::new(seed, FAIR, |w, e| {
                (if late == WEST { w } else { e }).misbehave.messages = vec![late_responses(36, 100)];
            });
            pair.initiate(WEST);
            pair.run_s(1);
            for side in [WEST, EAST] {
                let name = pair.name(side);
                pair.command(side, Command::RekeyChild(name));
            }
            for _ in 0..20 {
                assert!(pair.passes(), "seed {seed} {}", pair.story());
            }
            pair.run_s(10);
            assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "seed {seed} {}", pair.story());
            assert!(pair.passes() && pair.story().contains("both sides re-keyed"), "they must have crossed");
        }
    }
}

#[test]
fn a_crossing_is_settled_although_the_old_child_goes_first() {
    for seed in 0..20 {
        // West's request is late, so east's re-keying and DELETE are over before west has its response.
        let late = MessageRule {
            which: WhichMessage { exchange: Some(36), ..WhichMessage::default() },
            action: MessageAction::Delay(Duration::from_millis(250)),
        };
        let mut pair = Pair::new(seed, FAIR, |w, e| {
            w.misbehave.messages = vec![late.clone()];
            e.misbehave.messages = vec![late.clone()];
        });
        pair.initiate(WEST);
        pair.run_s(1);
        let (w, e) = (pair.name(WEST), pair.name(EAST));
        pair.command(EAST, Command::RekeyChild(e));
        pair.run(Duration::from_millis(5 + seed));
        pair.command(WEST, Command::RekeyChild(w));
        pair.run_s(10);
        assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "seed {seed} {}", pair.story());
        assert!(pair.passes(), "seed {seed} {}", pair.story());
    }
}

#[test]
fn both_sides_may_renew_the_ike_sa_at_once() {
    for seed in 0..20 {
        let mut pair = Pair::new(seed, FAIR, |_, _| {});
        pair.initiate(WEST);
        pair.run_s(1);
        let (w, e) = (pair.name(WEST), pair.name(EAST));
        pair.command(WEST, Command::RekeyIke(w.clone()));
        pair.command(EAST, Command::RekeyIke(e));
        pair.run_s(70);
        assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (1, 1), "seed {seed} {}", pair.story());
        assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "seed {seed} {}", pair.story());
        pair.command(WEST, Command::RekeyChild(w));
        pair.run_s(10);
        assert!(pair.passes(), "seed {seed} {}", pair.story());
        assert!(pair.story().contains("both sides re-keyed the IKE SA"), "they must have crossed");
    }
}

#[test]
fn every_pair_of_tasks_may_cross() {
    type Make = fn(String) -> Command;
    let all: [Make; 3] = [Command::RekeyChild, Command::RekeyIke, Command::Close];
    for (i, west) in all.iter().enumerate() {
        for (j, east) in all.iter().enumerate() {
            let mut pair = established(|_, _| {});
            let (w, e) = (pair.name(WEST), pair.name(EAST));
            pair.command(WEST, west(w));
            pair.command(EAST, east(e));
            pair.run_s(120);
            let closed = i == 2 || j == 2;
            let expected = usize::from(!closed);
            assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (expected, expected), "{i} {j} {}", pair.story());
            assert_eq!((pair.children(WEST), pair.children(EAST)), (expected, expected), "{i} {j} {}", pair.story());
            assert!(closed || pair.passes(), "{i} {j} {}", pair.story());
        }
    }
}

#[test]
fn lifetimes_lead_to_new_keys_in_time() {
    let mut pair = established(|w, _| {
        w.connections[0].child_rekey = Some(Duration::from_secs(3000));
        w.connections[0].child_life = Some(Duration::from_secs(3600));
        w.connections[0].ike_rekey = Some(Duration::from_secs(10_000));
    });
    pair.run_s(24 * 3600);
    assert!(pair.passes(), "{}", pair.story());
    assert_eq!((pair.children(WEST), pair.ike_sas(WEST)), (1, 1), "{}", pair.story());
    let renewed = pair.sides[WEST].events.iter().filter(|(_, e)| matches!(e, GatewayEventKind::ChildUp { .. })).count();
    assert!((28..=30).contains(&renewed), "{renewed}");
}

#[test]
fn a_hard_lifetime_ends_a_child_with_a_delete() {
    let mut pair = established(|w, _| w.connections[0].child_life = Some(Duration::from_secs(60)));
    pair.run_s(57);
    assert!(pair.passes());
    pair.run_s(10);
    assert!(!pair.passes());
    assert_eq!((pair.children(WEST), pair.children(EAST)), (0, 0), "{}", pair.story());
    assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (1, 1));
}

#[test]
fn octets_and_packets_lead_to_new_keys_too() {
    let mut pair = established(|w, _| w.connections[0].options.rekey_packets = Some(10));
    for _ in 0..30 {
        assert!(pair.passes(), "{}", pair.story());
    }
    pair.run_s(10);
    assert_eq!(pair.children(WEST), 1, "{}", pair.story());
    assert!(pair.story().contains("is replaced by"), "{}", pair.story());
}

#[test]
fn an_unused_child_is_closed() {
    let mut pair = established(|w, _| w.connections[0].inactivity = Some(Duration::from_secs(30)));
    pair.run_s(20);
    assert!(pair.passes());
    pair.run_s(29);
    assert_eq!(pair.children(WEST), 1);
    pair.run_s(5);
    assert_eq!((pair.children(WEST), pair.children(EAST)), (0, 0), "{}", pair.story());
}

#[test]
fn a_dead_peer_is_noticed_and_what_is_said_is_done() {
    let mut pair = established(|w, _| {
        w.connections[0].dpd_delay = Some(Duration::from_secs(5));
        w.connections[0].dpd_action = ChildAction::Start;
    });
    pair.run_s(60);
    assert_eq!(pair.ike_sas(WEST), 1, "it is alive: {}", pair.story());
    pair.filter = Some(Box::new(|_| false));
    pair.run_s(20);
    assert_eq!((pair.ike_sas(WEST), pair.children(WEST)), (0, 0), "{}", pair.story());
    pair.filter = None;
    pair.command(WEST, Command::Initiate("west-east".into()));
    pair.run_s(10);
    assert!(pair.passes(), "{}", pair.story());
    assert_eq!((pair.ike_sas(EAST), pair.children(EAST)), (1, 1), "INITIAL_CONTACT ends the old one: {}", pair.story());
}

#[test]
fn traffic_makes_liveness_checks_needless() {
    let mut pair = established(|w, _| w.connections[0].dpd_delay = Some(Duration::from_secs(5)));
    let from = pair.sent.len();
    for _ in 0..30 {
        pair.run_s(1);
        assert!(pair.passes());
    }
    assert_eq!(requests(&pair, from), [], "{}", pair.story());
    pair.run_s(11);
    assert_eq!(requests(&pair, from), [37, 37]);
}

#[test]
fn a_refused_rekeying_is_tried_again_until_the_end() {
    let mut pair = established(|w, e| {
        w.connections[0].esp_proposals = vec!["aes128-sha256-ecp256".into()];
        w.connections[0].child_rekey = Some(Duration::from_secs(60));
        w.connections[0].child_life = Some(Duration::from_secs(90));
        e.connections[0].esp_proposals = vec!["aes128-sha256".into()];
    });
    let from = pair.sent.len();
    pair.run_s(80);
    assert!(pair.passes(), "the old keys still work: {}", pair.story());
    let tries = requests(&pair, from).iter().filter(|e| **e == 36).count();
    assert!((2..=5).contains(&tries), "{tries}");
    pair.run_s(20);
    assert!(!pair.passes(), "{}", pair.story());
}

#[test]
fn an_ignored_rekeying_is_given_up_and_so_is_the_peer() {
    let mut pair = established(|w, e| {
        w.connections[0].child_rekey = Some(Duration::from_secs(60));
        e.misbehave.switches.ignore_rekey = true;
    });
    let from = pair.sent.len();
    pair.run_s(62);
    assert_eq!(requests(&pair, from), [36; 4], "{}", pair.story());
    pair.run_s(5);
    assert_eq!(pair.ike_sas(WEST), 0, "{}", pair.story());
}

#[test]
fn a_response_is_waited_for_from_the_sending_on() {
    let mut settings = config(WEST);
    let policy = settings.retransmit;
    settings.connections[0].start_action = ChildAction::None;
    let mut west = Gateway::new(settings, [1; 32], 0, &[]).unwrap();
    let due = |west: &Gateway| west.poll_timeout().filter(|(_, what)| *what == "retransmission").unwrap().0;
    let sent_at = |west: &mut Gateway, at: Time| {
        while west.poll_effect().is_some() {}
        west.sent(at);
    };
    west.command(Time::ZERO, Command::Initiate("west-east".into())).unwrap();
    // Its computations took half a second.
    let left = Time(Duration::from_millis(500));
    sent_at(&mut west, left);
    assert_eq!(due(&west), left + policy.timeout);
    let again = due(&west);
    west.handle_timeout(again);
    let left = again + Duration::from_millis(70);
    sent_at(&mut west, left);
    assert_eq!(due(&west), left + policy.timeout.mul_f64(policy.base));
    // What was said once is not said of a later message.
    west.sent(left + Duration::from_secs(1));
    assert_eq!(due(&west), left + policy.timeout.mul_f64(policy.base));
}

fn rule(nth: u32, inbound: bool, action: MessageAction) -> MessageRule {
    MessageRule { which: WhichMessage { nth: Some(nth), inbound, ..WhichMessage::default() }, action }
}

#[test]
fn a_message_is_lost_once_or_for_ever() {
    for inbound in [false, true] {
        let mut pair = Pair::new(1, FAIR, |w, _| w.misbehave.messages = vec![rule(2, inbound, MessageAction::Drop)]);
        pair.initiate(WEST);
        pair.run_s(3);
        assert!(pair.passes(), "a retransmission passes: {}", pair.story());
    }
    let mut pair = Pair::new(1, FAIR, |w, _| w.misbehave.messages = vec![rule(2, false, MessageAction::Block)]);
    pair.initiate(WEST);
    pair.run_s(10);
    assert_eq!(pair.sides[WEST].failures.len(), 1);
    assert_eq!(pair.sent.len(), 2, "IKE_SA_INIT only");
}

#[test]
fn delayed_doubled_and_replayed_messages_do_no_harm() {
    for inbound in [false, true] {
        for action in [
            MessageAction::Duplicate(3),
            MessageAction::Delay(Duration::from_millis(200)),
            MessageAction::Delay(Duration::from_millis(700)),
            MessageAction::Replay(Duration::from_secs(2)),
        ] {
            for nth in 1..=2 {
                let mut pair = Pair::new(1, FAIR, |w, _| w.misbehave.messages = vec![rule(nth, inbound, action.clone())]);
                pair.initiate(WEST);
                pair.run_s(8);
                assert!(pair.passes(), "{inbound} {nth} {action:?} {}", pair.story());
                assert_eq!((pair.ike_sas(EAST), pair.children(EAST)), (1, 1), "{inbound} {nth} {action:?} {}", pair.story());
            }
        }
    }
}
