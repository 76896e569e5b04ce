//! An IKE request that nobody answers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dialogue::{Dialogues, Exchange};
use super::select::{after_silence, at, clock, matching, numbers, script_end};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// `no-response`.
pub const SYMPTOM: Symptom = Symptom {
    code: "no-response",
    meaning: "An IKE request gets no response with the same initiator's SPI and message ID.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 7296 §2.1", "RFC 7296 §2.2", "RFC 2408 §2.5.1", "RFC 2409 §5.5", "RFC 3706 §5"],
    explain: "IKE is a dialogue: every IKEv2 request has a response with the same SPIs and message ID; in IKEv1 the peer's next message \
        of the same exchange takes its place. A request without one was lost, refused in silence, or its answer was lost.\n\
        Some messages ask for nothing, and never count: in IKEv1 the last one of an exchange (main mode's sixth, aggressive and quick \
        mode's third) and informational messages, except the liveness check R-U-THERE, whose answer is R-U-THERE-ACK; in IKEv2 a \
        notification outside of an IKE SA.\n\
        Look at the same request at the peer's own interface: if it arrives there and no answer leaves, it is the peer's \
        configuration; if an answer leaves, look where it stops.",
    params: &[
        Param::required("match", Kind::Filter, "which requests"),
        Param::required("at", Kind::Tap, "where request and response would be seen"),
        Param::default("window", Kind::Duration, "\"500ms\"", "silence after the end of all traffic that counts as no response"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let window = args.duration("window").unwrap_or(Duration::from_millis(500));
    let mut open: BTreeMap<Exchange, Vec<&Record>> = BTreeMap::new();
    let mut dialogues = Dialogues::default();
    let end = script_end(evidence);
    let mut requests = matching(evidence, args.text("match"), args.text("at")).into_iter().peekable();
    let mut answered = 0;
    for r in at(evidence, args, "at") {
        let wanted = requests.next_if(|q| q.frame.number == r.frame.number).is_some();
        let (Some(ike), Some(ip)) = (r.ike(), r.ip()) else { continue };
        let spoken = dialogues.hear(ike, ip.src, ip.dst);
        if let Some(asked) = spoken.answers
            && let Some(copies) = open.get(&asked)
            && copies.iter().all(|q| q.ike().is_none_or(|q| q.raw != ike.raw))
        {
            open.remove(&asked);
            answered += 1;
        }
        // What begins after the end of all traffic (a liveness check, a delete) would never have its full time.
        if let Some(asks) = spoken.asks.filter(|_| wanted && end.is_none_or(|t| r.frame.time <= t)) {
            open.entry(asks).or_default().push(r);
        }
    }
    match open.values().next() {
        Some(copies) => {
            let (from, to) = copies[0].ip().map_or_else(Default::default, |ip| (ip.src.to_string(), ip.dst.to_string()));
            let text = format!(
                "{from} asked {to} at {} ({} copies) and got no response; {answered} other requests were answered",
                clock(evidence, copies[0].frame.time),
                copies.len()
            );
            after_silence(evidence, window, true, Proof::new(text, numbers(copies)))
        }
        None => after_silence(evidence, window, false, Proof::new(format!("{answered} requests, all of them answered"), [])),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const V2: [(&str, &str); 2] = [("match", "isakmp.flag_r == 0"), ("at", "west.wan")];
    const V1: [(&str, &str); 2] = [("match", "ip.src == 192.0.2.1"), ("at", "west.wan")];

    #[test]
    fn a_request_without_response() {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        story.ike(5, "west.wan", EAST, WEST, &Msg::v2(34, 0).response());
        story.ask("no-response", &V2, 6).open(None, false);
        story.ike(10, "west.wan", WEST, EAST, &Msg::v2(35, 1));
        story.ike(310, "west.wan", WEST, EAST, &Msg::v2(35, 1));
        // Another SA's answer is not this one's.
        story.ike(320, "west.wan", EAST, WEST, &Msg::v2(35, 1).response().spis(8, 9));
        story.script_ends(1000);
        story.ask("no-response", &V2, 1000).open(Some(1500), true);
        let found = story.ask("no-response", &V2, 1500);
        assert_eq!(found.holds().frames, [3, 4]);
        assert!(found.holds().text.contains("192.0.2.1 asked 198.51.100.2 at 0.010 s (2 copies)"));
        story.lost = 2;
        story.ask_at_end("no-response", &V2, 1500).inconclusive();
        story.lost = 0;
        story.ike(1600, "west.wan", EAST, WEST, &Msg::v2(35, 1).response());
        story.ask("no-response", &V2, 1700).fails();
    }

    #[test]
    fn a_request_after_the_end_of_traffic_does_not_count() {
        let mut story = Story::new();
        story.script_ends(1000);
        story.ike(1400, "west.wan", WEST, EAST, &Msg::v2(37, 2).opaque());
        story.ask("no-response", &V2, 1500).fails();
    }

    #[test]
    fn in_version_1_the_peers_next_message_is_the_answer() {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v1(2, 0));
        story.ike(5, "west.wan", EAST, WEST, &Msg::v1(2, 0).length(100));
        story.ask_at_end("no-response", &V1, 10).fails();
        story.ike(20, "west.wan", WEST, EAST, &Msg::v1(2, 0).opaque());
        story.ike(25, "west.wan", EAST, WEST, &Msg::v1(5, 77).opaque());
        assert_eq!(story.ask_at_end("no-response", &V1, 30).holds().frames, [3]);
    }

    const ALL: [(&str, &str); 2] = [("match", "isakmp"), ("at", "west.wan")];

    #[test]
    fn the_last_message_of_a_version_1_exchange_asks_for_nothing() {
        // Main, aggressive and quick mode, and a transaction.
        for (exchange, messages) in [(2, 6), (4, 3), (32, 3), (6, 2)] {
            for said in 1..=messages {
                let mut story = Story::new();
                for n in 0..said {
                    let (from, to) = if n % 2 == 0 { (WEST, EAST) } else { (EAST, WEST) };
                    // The last but one is repeated, because the last one came late.
                    for copy in 0..=i64::from(n + 2 == said) {
                        let message = Msg::v1(exchange, 7).opaque().length(100 + n);
                        story.ike(i64::from(n) * 10 + copy, "west.wan", from, to, &message);
                    }
                }
                let found = story.ask_at_end("no-response", &ALL, 100);
                if said == messages {
                    found.fails()
                } else {
                    found.holds()
                };
            }
        }
    }

    #[test]
    fn a_version_1_informational_message_has_no_answer_but_a_liveness_check_has() {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v1(5, 1).opaque());
        story.ike(1, "west.wan", WEST, EAST, &Msg::v1(5, 2).notify(true, 24578, &[]));
        story.ask_at_end("no-response", &ALL, 10).fails();
        story.ike(20, "west.wan", WEST, EAST, &Msg::v1(5, 3).notify(true, 36136, &77u32.to_be_bytes()));
        // Another check's answer is not this one's.
        story.ike(25, "west.wan", EAST, WEST, &Msg::v1(5, 4).notify(true, 36137, &76u32.to_be_bytes()));
        assert_eq!(story.ask_at_end("no-response", &ALL, 30).holds().frames, [3]);
        story.ike(35, "west.wan", EAST, WEST, &Msg::v1(5, 5).notify(true, 36137, &77u32.to_be_bytes()));
        story.ask_at_end("no-response", &ALL, 40).fails();
    }

    #[test]
    fn a_version_2_notification_outside_of_an_ike_sa_has_no_answer() {
        let mut story = Story::new();
        story.ike(0, "west.wan", EAST, WEST, &Msg::v2(37, 0).notify(false, 11, &[]));
        story.ask_at_end("no-response", &ALL, 10).fails();
    }

    #[test]
    fn a_version_2_answer_counts_wherever_it_goes() {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(37, 2).opaque());
        // The question is repeated from another address (MOBIKE), where the answer goes.
        story.ike(300, "west.wan", NAT, EAST, &Msg::v2(37, 2).opaque());
        story.ike(310, "west.wan", EAST, NAT, &Msg::v2(37, 2).opaque().response());
        story.ask_at_end("no-response", &ALL, 400).fails();
        // The other side's question with the same number is another one.
        let mut of_east = Msg::v2(37, 2).opaque();
        of_east.0.flags = 0;
        story.ike(500, "west.wan", EAST, WEST, &of_east);
        assert_eq!(story.ask_at_end("no-response", &ALL, 600).holds().frames, [4]);
    }
}
