//! Additional key exchanges after CREATE_CHILD_SA, in memory: RFC 9370 §2.2.4.

mod sim;

use std::time::Duration;

use faultlab_gateway::{Command, Gateway};
use peer::{Bend, ChildAction, GatewayConfig, MessageAction, MessageRule, WhichMessage};
use sim::*;

const HYBRID: &str = "aes128-sha256-curve25519-ke1_mlkem768";
const CREATE_CHILD_SA: u8 = 36;
const INFORMATIONAL: u8 = 37;
const IKE_FOLLOWUP_KE: u8 = 44;
const ADDITIONAL_KEY_EXCHANGE: u16 = 16441;

type Make = fn(String) -> Command;
const REKEYINGS: [Make; 2] = [Command::RekeyChild, Command::RekeyIke];

fn hybrid(seed: u64, tweak: impl FnOnce(&mut GatewayConfig, &mut GatewayConfig)) -> Pair {
    let mut pair = Pair::new(seed, FAIR, |w, e| {
        for c in [&mut w.connections[0], &mut e.connections[0]] {
            c.ike_proposals = vec![HYBRID.into()];
            c.esp_proposals = vec![HYBRID.into()];
        }
        tweak(w, e);
    });
    pair.initiate(WEST);
    pair.run_s(1);
    assert!(pair.passes(), "{}", pair.story());
    pair
}

fn order(pair: &mut Pair, side: usize, make: Make) {
    let name = pair.name(side);
    pair.command(side, make(name));
}

fn one_of_each(pair: &Pair) {
    assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (1, 1), "{}", pair.story());
    assert_eq!((pair.children(WEST), pair.children(EAST)), (1, 1), "{}", pair.story());
}

/// Exchange types of the requests sent since, retransmissions and fragments counted once: who sent them, and what.
fn requests(pair: &Pair, from: usize) -> Vec<(usize, u8)> {
    let mut seen: Vec<(usize, Vec<u8>)> = Vec::new();
    let requests = pair.sent[from..].iter().filter(|(_, f)| f.to.port() == 500 && f.data[19] & 0x20 == 0);
    for (_, f) in requests {
        // SPIs, exchange type, message ID; a fragment has another payload type than the whole.
        let mut head = f.data[..24].to_vec();
        head[16] = 0;
        let one = (usize::from(f.from.ip() == pair.sides[EAST].address), head);
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen.into_iter().map(|(side, head)| (side, head[18])).collect()
}

fn rule(exchange: u8, response: bool, action: MessageAction) -> MessageRule {
    let which = WhichMessage { exchange: Some(exchange), response: Some(response), ..WhichMessage::default() };
    MessageRule { which, action }
}

#[test]
fn either_side_renews_keys_with_an_additional_exchange() {
    for make in REKEYINGS {
        for side in [WEST, EAST] {
            let mut pair = hybrid(1, |_, _| {});
            for round in 0..3 {
                let from = pair.sent.len();
                order(&mut pair, side, make);
                for _ in 0..20 {
                    assert!(pair.passes(), "round {round}: {}", pair.story());
                }
                let expected = [CREATE_CHILD_SA, IKE_FOLLOWUP_KE, INFORMATIONAL].map(|e| (side, e));
                assert_eq!(requests(&pair, from), expected, "{}", pair.story());
                one_of_each(&pair);
            }
            let [west, east] = [WEST, EAST].map(|s| &pair.sides[s].keys.ikev2);
            assert!(west == east && !west.is_empty(), "both tell the same keys");
        }
    }
}

#[test]
fn several_additional_exchanges_follow_one_another() {
    let several = "aes256-sha384-curve25519-ke1_mlkem768-ke2_ecp256-ke5_mlkem512";
    for make in REKEYINGS {
        let mut pair = hybrid(2, |w, e| {
            for c in [&mut w.connections[0], &mut e.connections[0]] {
                c.ike_proposals = vec![several.into()];
                c.esp_proposals = vec![several.into()];
            }
        });
        let from = pair.sent.len();
        order(&mut pair, EAST, make);
        pair.run_s(10);
        let expected = [CREATE_CHILD_SA, IKE_FOLLOWUP_KE, IKE_FOLLOWUP_KE, IKE_FOLLOWUP_KE, INFORMATIONAL].map(|e| (EAST, e));
        assert_eq!(requests(&pair, from), expected, "{}", pair.story());
        one_of_each(&pair);
        assert!(pair.passes(), "{}", pair.story());
    }
}

#[test]
fn a_new_child_gets_an_additional_exchange_too() {
    let mut pair = hybrid(3, |w, _| w.connections[0].options.childless = true);
    assert!(requests(&pair, 0).ends_with(&[(WEST, CREATE_CHILD_SA), (WEST, IKE_FOLLOWUP_KE)]), "{}", pair.story());
    order(&mut pair, EAST, Command::RekeyIke);
    pair.run_s(10);
    one_of_each(&pair);
    assert!(pair.passes(), "{}", pair.story());
}

#[test]
fn who_has_no_additional_exchange_agrees_to_a_proposal_without() {
    for make in REKEYINGS {
        let mut pair = hybrid(4, |w, e| {
            for c in [&mut w.connections[0], &mut e.connections[0]] {
                c.ike_proposals.push("aes128-sha256-curve25519".into());
                c.esp_proposals.push("aes128-sha256-curve25519".into());
            }
            e.connections[0].ike_proposals.remove(0);
            e.connections[0].esp_proposals.remove(0);
        });
        let from = pair.sent.len();
        order(&mut pair, WEST, make);
        pair.run_s(10);
        assert_eq!(requests(&pair, from), [(WEST, CREATE_CHILD_SA), (WEST, INFORMATIONAL)], "{}", pair.story());
        one_of_each(&pair);
        assert!(pair.passes(), "{}", pair.story());
    }
}

#[test]
fn an_additional_exchange_needs_one_to_be_added_to() {
    let mut settings = config(WEST);
    settings.connections[0].esp_proposals = vec!["aes128-sha256-ke1_mlkem768".into()];
    let refused = Gateway::new(settings, [1; 32], 0, &[]).err();
    assert!(refused.is_some_and(|why| why.contains("no group for the first one")));
}

/// Whoever loses does not go on; and nothing is made that would have to be deleted.
#[test]
fn a_crossing_is_settled_before_keys_are_exchanged() {
    for make in REKEYINGS {
        for seed in 0..20 {
            let mut pair = hybrid(seed, |_, _| {});
            let from = pair.sent.len();
            order(&mut pair, WEST, make);
            order(&mut pair, EAST, make);
            for _ in 0..20 {
                assert!(pair.passes(), "seed {seed} {}", pair.story());
            }
            pair.run_s(100);
            assert!(pair.story().contains("both sides re-keyed"), "they must have crossed");
            let mut asked = requests(&pair, from);
            let winner = asked[2].0;
            asked[..2].sort_unstable();
            let expected = [(WEST, CREATE_CHILD_SA), (EAST, CREATE_CHILD_SA), (winner, IKE_FOLLOWUP_KE), (winner, INFORMATIONAL)];
            assert_eq!(asked, expected, "seed {seed} {}", pair.story());
            one_of_each(&pair);
            assert!(pair.passes(), "seed {seed} {}", pair.story());
        }
    }
}

/// Only one side asks for additional key exchanges, so that only its successor is made later.
#[test]
fn a_crossing_with_and_without_additional_exchanges_is_settled() {
    for make in REKEYINGS {
        for seed in 0..20 {
            let plain = "aes128-sha256-curve25519";
            let mut pair = hybrid(seed, |w, e| {
                // Who responds takes its own first choice.
                for (c, all) in [(&mut w.connections[0], [HYBRID, plain]), (&mut e.connections[0], [plain, HYBRID])] {
                    c.ike_proposals = all.map(String::from).to_vec();
                    c.esp_proposals = all.map(String::from).to_vec();
                }
            });
            order(&mut pair, WEST, make);
            order(&mut pair, EAST, make);
            for _ in 0..20 {
                assert!(pair.passes(), "seed {seed} {}", pair.story());
            }
            pair.run_s(100);
            one_of_each(&pair);
            assert!(pair.passes(), "seed {seed} {}", pair.story());
        }
    }
}

#[test]
fn who_goes_on_already_refuses_a_request_that_crosses() {
    for make in REKEYINGS {
        let mut pair = hybrid(5, |w, e| {
            // West's request is behind until east has gone on.
            w.misbehave.messages = vec![rule(CREATE_CHILD_SA, false, MessageAction::Delay(Duration::from_millis(50)))];
            e.misbehave.messages = vec![rule(IKE_FOLLOWUP_KE, false, MessageAction::Delay(Duration::from_millis(200)))];
        });
        order(&mut pair, EAST, make);
        pair.run(Duration::from_millis(5));
        order(&mut pair, WEST, make);
        for _ in 0..20 {
            assert!(pair.passes(), "{}", pair.story());
        }
        assert!(pair.sides[WEST].log.iter().any(|l| l.contains("has failed (TEMPORARY_FAILURE), the peer's has not")), "{}", pair.story());
        pair.run_s(30);
        one_of_each(&pair);
        assert!(pair.passes(), "{}", pair.story());
    }
}

/// Every task of one side, at every moment of the other's re-keying.
#[test]
fn every_task_may_come_at_any_moment() {
    let all: [Make; 3] = [Command::RekeyChild, Command::RekeyIke, Command::Close];
    for west in REKEYINGS {
        for (j, east) in all.into_iter().enumerate() {
            for after in (0..60).step_by(5) {
                let mut pair = hybrid(6, |_, _| {});
                order(&mut pair, WEST, west);
                pair.run(Duration::from_millis(after));
                order(&mut pair, EAST, east);
                pair.run_s(120);
                if j == 2 {
                    assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (0, 0), "{after} {}", pair.story());
                    assert_eq!((pair.children(WEST), pair.children(EAST)), (0, 0), "{after} {}", pair.story());
                } else {
                    one_of_each(&pair);
                    assert!(pair.passes(), "{after} {}", pair.story());
                }
            }
        }
    }
}

#[test]
fn a_lost_message_is_sent_once_more() {
    for make in REKEYINGS {
        for response in [false, true] {
            let lost = rule(IKE_FOLLOWUP_KE, response, MessageAction::Drop);
            let mut pair = hybrid(7, |w, e| (if response { e } else { w }).misbehave.messages = vec![lost]);
            let from = pair.sent.len();
            order(&mut pair, WEST, make);
            for _ in 0..50 {
                assert!(pair.passes(), "{}", pair.story());
            }
            assert_eq!(requests(&pair, from), [CREATE_CHILD_SA, IKE_FOLLOWUP_KE, INFORMATIONAL].map(|e| (WEST, e)), "{}", pair.story());
            assert!(pair.story().contains("copy 2, no response so far"));
            one_of_each(&pair);
        }
    }
}

#[test]
fn an_unknown_link_is_no_end_at_first() {
    for make in REKEYINGS {
        let mut pair = hybrid(8, |w, _| {
            w.misbehave.omit_notify = vec![ADDITIONAL_KEY_EXCHANGE];
            let bend = Bend::AddNotify { kind: ADDITIONAL_KEY_EXCHANGE, data: vec![1; 8] };
            w.misbehave.messages = vec![rule(IKE_FOLLOWUP_KE, false, MessageAction::Bend(bend))];
            w.connections[0].dpd_action = ChildAction::Start;
        });
        order(&mut pair, WEST, make);
        pair.run_s(1);
        assert!(pair.sides[WEST].log.iter().any(|l| l.contains("STATE_NOT_FOUND")), "{}", pair.story());
        one_of_each(&pair);
        assert!(pair.passes(), "the old keys still work: {}", pair.story());
        pair.run_s(60);
        assert!(pair.story().contains("the peer forgets additional key exchanges again and again"), "{}", pair.story());
        assert_eq!((pair.ike_sas(WEST), pair.ike_sas(EAST)), (0, 0), "{}", pair.story());
    }
}

#[test]
fn a_peer_that_does_not_go_on_is_not_waited_for() {
    for make in REKEYINGS {
        // West is patient, and hence late.
        let mut pair = hybrid(9, |w, _| w.retransmit.timeout = Duration::from_secs(60));
        pair.filter = Some(Box::new(|f| f.to.port() != 500 || f.data[18] != IKE_FOLLOWUP_KE));
        order(&mut pair, WEST, make);
        pair.run_s(2);
        let waits = |pair: &Pair| pair.sides[EAST].gateway.poll_timeout().map(|(_, what)| what);
        assert_eq!(waits(&pair), Some("end of the wait for IKE_FOLLOWUP_KE"), "{}", pair.story());
        pair.run_s(20);
        assert_eq!(waits(&pair), None, "{}", pair.story());
        assert!(pair.sides[EAST].log.iter().any(|l| l.contains("have not come: what they were for is forgotten")), "{}", pair.story());
        // What west still believes is of no use.
        pair.filter = None;
        pair.run_s(60);
        assert!(pair.sides[WEST].log.iter().any(|l| l.contains("STATE_NOT_FOUND")), "{}", pair.story());
        one_of_each(&pair);
        pair.run_s(20);
        assert!(pair.story().contains("replaced by"), "the next try works: {}", pair.story());
        one_of_each(&pair);
        assert!(pair.passes(), "{}", pair.story());
    }
}

#[test]
fn few_unfinished_series_are_kept() {
    let mut pair = Pair::new(10, FAIR, |w, e| {
        for c in [&mut w.connections[0], &mut e.connections[0]] {
            c.esp_proposals = vec![HYBRID.into()];
        }
        w.connections[0].options.childless = true;
        // Without a link west cannot go on.
        e.misbehave.omit_notify = vec![ADDITIONAL_KEY_EXCHANGE];
    });
    for _ in 0..10 {
        pair.initiate(WEST);
        pair.run_s(1);
    }
    let said = |text: &str| pair.sides[EAST].log.iter().filter(|l| l.contains(text)).count();
    assert_eq!(said("the oldest is forgotten"), 6, "{}", pair.story());
    pair.run_s(30);
    let said = |text: &str| pair.sides[EAST].log.iter().filter(|l| l.contains(text)).count();
    assert_eq!(said("what they were for is forgotten"), 4, "{}", pair.story());
    assert!(pair.sides[WEST].failures.iter().all(|f| f.contains("no link")), "{:?}", pair.sides[WEST].failures);
}

#[test]
fn a_wrong_public_value_is_refused() {
    for make in REKEYINGS {
        let mut pair = hybrid(11, |w, _| {
            let bend = Bend::ResizePayload { kind: 34, by: -1 };
            w.misbehave.messages = vec![rule(IKE_FOLLOWUP_KE, false, MessageAction::Bend(bend))];
        });
        order(&mut pair, WEST, make);
        pair.run_s(1);
        assert!(pair.sides[EAST].log.iter().any(|l| l.contains("refused: INVALID_SYNTAX")), "{}", pair.story());
        one_of_each(&pair);
        assert!(pair.passes(), "{}", pair.story());
    }
}

/// Whatever is wrong with one of the messages: in the end there is a tunnel.
#[test]
fn a_bent_message_wedges_nothing() {
    let bends = [
        Bend::OmitPayload(34),
        Bend::OmitPayload(41),
        Bend::EmptyPayload(34),
        Bend::EmptyPayload(41),
        Bend::CorruptPayload(41),
        Bend::DoublePayload(34),
        Bend::ReversePayloads,
        Bend::UnknownPayload { kind: 200, critical: true, len: 8 },
        Bend::ResizePayload { kind: 34, by: 1 },
        Bend::SetOctets { kind: 34, at: 4, octets: vec![0xff, 0xff] },
        Bend::SetOctets { kind: 41, at: 1, octets: vec![0x80] },
        Bend::AddNotify { kind: 43, data: vec![] },
        Bend::AddNotify { kind: ADDITIONAL_KEY_EXCHANGE, data: vec![] },
        Bend::Exchange(CREATE_CHILD_SA),
    ];
    for make in REKEYINGS {
        for response in [false, true] {
            for bend in &bends {
                let rule = rule(IKE_FOLLOWUP_KE, response, MessageAction::Bend(bend.clone()));
                let mut pair = hybrid(12, |w, e| {
                    for c in [&mut w.connections[0], &mut e.connections[0]] {
                        c.keying_tries = 0;
                        c.dpd_delay = Some(Duration::from_secs(3));
                    }
                    (if response { e } else { w }).misbehave.messages = vec![rule];
                });
                order(&mut pair, WEST, make);
                pair.run_s(200);
                for side in [WEST, EAST] {
                    pair.initiate(side);
                    pair.run_s(30);
                }
                assert!(pair.passes(), "{bend:?} {response} {}", pair.story());
            }
        }
    }
}
