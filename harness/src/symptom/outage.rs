//! A time without answers.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use super::select::{Since, WINDOW, after_silence, at, clock, is_from, numbers};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// An echo request that is not answered by then is unanswered.
const PATIENCE: Duration = Duration::from_secs(1);

/// `outage`.
pub const SYMPTOM: Symptom = Symptom {
    code: "outage",
    meaning: "For a while echo requests get no answer.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 792"],
    explain: "A steady ping through the tunnel dates an outage to a tenth of a second: it lasts from the first request without an answer \
        to the next one with an answer. Compare its beginning with what else happened then (a re-keying, a delete, an expired \
        mapping), and its length with the timers that could have ended it (liveness check, retransmission, lifetime).",
    params: &[
        Param::required("at", Kind::Tap, "where the echo requests are readable"),
        Param::default("min", Kind::Duration, "\"1s\"", "at least this long"),
        Param::optional("from", Kind::Node, "only requests of this node"),
        Param::optional("since", Kind::Text, "only requests after this fault was put in place, or this step ended"),
    ],
    judge,
};

/// Who asks whom, and under which identifier.
type Ping = (IpAddr, IpAddr, u16);

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let min = args.duration("min").unwrap_or(Duration::from_secs(1));
    let since = Since::of(args, evidence);
    if let Since::NotYet(finding) = since {
        return finding;
    }
    let mut pings: BTreeMap<Ping, Vec<(&Record, u16)>> = BTreeMap::new();
    let mut answers: HashSet<(Ping, u16)> = HashSet::new();
    for r in at(evidence, args, "at").into_iter().filter(|r| since.covers(r)) {
        let (Some(ip), Some((kind, (id, seq)))) = (r.ip(), r.icmp().and_then(|i| Some((i.kind, i.echo?)))) else { continue };
        if matches!(kind, 8 | 128) {
            if args.text("from").is_none_or(|node| is_from(evidence, r, node)) {
                pings.entry((ip.src, ip.dst, id)).or_default().push((r, seq));
            }
        } else {
            answers.insert(((ip.dst, ip.src, id), seq));
        }
    }
    let asked: usize = pings.values().map(Vec::len).sum();
    let mut longest: Option<(Duration, &[(&Record, u16)])> = None;
    for (ping, requests) in &pings {
        // Index of the first request of the silence that goes on.
        let mut silent: Option<usize> = None;
        for (i, (r, seq)) in requests.iter().enumerate() {
            let answered = answers.contains(&(*ping, *seq));
            if !answered && evidence.now < r.frame.time + PATIENCE && !evidence.complete {
                break;
            }
            if let Some(first) = silent {
                let lasted = r.frame.time.since(requests[first].0.frame.time);
                if longest.is_none_or(|(d, _)| lasted > d) {
                    longest = Some((lasted, &requests[first..=i]));
                }
            }
            silent = if answered { None } else { silent.or(Some(i)) };
        }
    }
    match longest {
        Some((lasted, requests)) => {
            let records: Vec<&Record> = requests.iter().map(|(r, _)| *r).collect();
            let begin = records.first().map(|r| clock(evidence, r.frame.time)).unwrap_or_default();
            let text = format!("no answer for {:.1} s from {begin} on; wanted at least {:.1} s", lasted.as_secs_f64(), min.as_secs_f64());
            let proof = Proof::new(text, numbers(&records));
            match lasted >= min {
                true if evidence.lost > 0 => {
                    Finding::Inconclusive(format!("the capture lost {} packets, perhaps answers: {}", evidence.lost, proof.text))
                }
                true => Finding::Holds(proof),
                false => after_silence(evidence, PATIENCE, false, proof),
            }
        }
        None if asked == 0 => after_silence(evidence, WINDOW, false, Proof::new("no echo request was seen", [])),
        None => {
            after_silence(evidence, PATIENCE, false, Proof::new(format!("{asked} echo requests, never two in a row without answer"), []))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 1] = [("at", "alice.lan")];

    /// Pings every 500 ms; these are answered.
    fn pings(count: u16, answered: &[u16]) -> Story {
        let mut story = Story::new();
        for seq in 0..count {
            let time = i64::from(seq) * 500;
            story.echo(time, "alice.lan", ALICE, BOB, true, seq);
            if answered.contains(&seq) {
                story.echo(time + 1, "alice.lan", BOB, ALICE, false, seq);
            }
        }
        story
    }

    #[test]
    fn from_the_first_silent_request_to_the_next_answered_one() {
        let story = pings(6, &[0, 4, 5]);
        let found = story.ask("outage", &[ARGS[0], ("min", "1500ms")], 3000);
        assert!(found.holds().text.contains("no answer for 1.5 s from 0.500 s on"), "{}", found.holds().text);
        assert_eq!(found.holds().frames, [3, 4, 5, 6]);
        story.ask("outage", &[ARGS[0], ("min", "2s")], 3000).open(None, false);
        story.ask("outage", &[ARGS[0], ("min", "1s"), ("from", "bob")], 3000).open(None, false);
    }

    #[test]
    fn an_answer_may_still_come() {
        let mut story = pings(4, &[0]);
        story.ask("outage", &[ARGS[0], ("min", "1s")], 2400).open(None, false);
        story.ask("outage", &[ARGS[0], ("min", "1s")], 2500).holds();
        story.lost = 1;
        story.ask_at_end("outage", &[ARGS[0], ("min", "1s")], 2500).inconclusive();
    }

    #[test]
    fn a_healthy_path_has_none() {
        let mut story = pings(4, &[0, 1, 2, 3]);
        story.script_ends(2000);
        story.ask("outage", &ARGS, 2100).open(Some(3000), false);
        story.ask("outage", &ARGS, 3000).fails();
        story.ask("outage", &[ARGS[0], ("since", "cut")], 3000).fails();
        Story::new().ask_at_end("outage", &ARGS, 0).fails();
    }
}
