//! The same IKE message again and again.

use std::collections::HashMap;
use std::time::Duration;

use super::select::{WINDOW, after_silence, at, clock, is_from, matching, numbers};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Count, Kind, Param};
use crate::time::Timestamp;
use peer::Retransmit;

/// `retransmission`.
pub const SYMPTOM: Symptom = Symptom {
    code: "retransmission",
    meaning: "A gateway repeats one IKE message unchanged, because no answer comes.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 7296 §2.1", "RFC 7296 §2.4", "RFC 2408 §5.1"],
    explain: "In IKE only the initiator of an exchange repeats, and a repetition is the same octets. Growing gaps between identical \
        messages mean that either the request or the answer is lost, or that the peer does not want to answer.\n\
        Check: does the request reach the peer's own interface (compare taps)? Does the peer answer, and where does the answer stop? \
        A silent peer that receives everything has no configuration for the sender, or cannot decrypt.",
    params: &[
        Param::required("by", Kind::Gateway, "who repeats"),
        Param::required("at", Kind::Tap, "where it is seen"),
        Param::optional("match", Kind::Filter, "only messages like this"),
        Param::optional("copies", Kind::Count, "copies beyond the first; default: exactly as often as the gateway is configured to"),
        Param::default(
            "backoff",
            Kind::Word(&["configured", "any"]),
            "\"configured\"",
            "gaps as configured (short by at most 100 ms, long by at most 10 % and 1 s), or any",
        ),
        Param::default("gives-up", Kind::Bool, "true", "after the last copy the sender falls silent for at least the next gap"),
    ],
    judge,
};

/// How one message stands.
enum Standing {
    /// Repeated as wanted.
    Shown(Proof),
    /// The next copy may come until then; would it hold if none comes?
    Waiting(Timestamp, bool, Proof),
    /// Not repeated as wanted, for good.
    Refuted(Proof),
}

struct Wanted {
    retransmit: Retransmit,
    copies: Count,
    configured: bool,
    gives_up: bool,
}

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let by = args.text("by").unwrap_or_default();
    let Some(config) = evidence.plan.gateway(by) else {
        return Finding::Inconclusive(format!("{by} is not a gateway"));
    };
    let tries = u64::from(config.retransmit.tries);
    let wanted = Wanted {
        retransmit: config.retransmit,
        copies: args.count("copies").unwrap_or(Count { min: tries, max: Some(tries) }),
        configured: args.text("backoff") == Some("configured"),
        gives_up: args.flag("gives-up"),
    };
    let mut messages: HashMap<&[u8], Vec<&Record>> = HashMap::new();
    for r in matching(evidence, args.text("match"), args.text("at")) {
        if let Some(ike) = r.ike().filter(|_| is_from(evidence, r, by)) {
            messages.entry(&ike.raw).or_default().push(r);
        }
    }
    let last_of = last_by_spi(args, evidence, by);
    let mut messages: Vec<Vec<&Record>> = messages.into_values().collect();
    // The most repeated one first: it is what the report is about when none is as wanted.
    messages.sort_by_key(|copies| (std::cmp::Reverse(copies.len()), copies.first().map(|r| r.frame.number)));
    let (mut waiting, mut refuted): (Option<(Timestamp, bool, Proof)>, Option<Proof>) = (None, None);
    for copies in &messages {
        match standing(by, copies, &wanted, &last_of, evidence) {
            Standing::Shown(proof) if evidence.lost > 0 && wanted.copies.max.is_some() => {
                let why = format!("the capture lost {} packets, perhaps copies: {}", evidence.lost, proof.text);
                return Finding::Inconclusive(why);
            }
            Standing::Shown(proof) => return Finding::Holds(proof),
            Standing::Waiting(until, holds, proof) => {
                // What would hold goes before what would not; then the earlier.
                if waiting.as_ref().is_none_or(|(t, h, _)| (!holds, until) < (!*h, *t)) {
                    waiting = Some((until, holds, proof));
                }
            }
            Standing::Refuted(proof) => refuted = refuted.or(Some(proof)),
        }
    }
    match (waiting, refuted) {
        (Some((_, true, proof)), _) if evidence.complete => {
            Finding::Inconclusive(format!("the run ended before it was clear that no further copy comes: {}", proof.text))
        }
        (Some((until, holds, proof)), _) if !evidence.complete => Finding::Open { until: Some(until), so_far: (holds, proof) },
        (Some((.., proof)), None) | (_, Some(proof)) => after_silence(evidence, WINDOW, false, proof),
        (None, None) => after_silence(evidence, WINDOW, false, Proof::new(format!("{by} sent no such IKE message"), [])),
    }
}

fn standing(by: &str, copies: &[&Record], wanted: &Wanted, last_of: &HashMap<u64, &Record>, evidence: &Evidence<'_>) -> Standing {
    let (Some(first), Some(last)) = (copies.first(), copies.last()) else { return Standing::Refuted(Proof::default()) };
    let again = copies.len() as u64 - 1;
    let gaps: Vec<Duration> = copies.windows(2).map(|w| w[1].frame.time.since(w[0].frame.time)).collect();
    let shown = gaps.iter().map(|g| format!("{:.2}", g.as_secs_f64())).collect::<Vec<_>>().join(", ");
    let text = match again {
        0 => format!("{by} sent a message once, at {}; wanted {} repetitions", clock(evidence, first.frame.time), wanted.copies),
        n => format!(
            "{by} sent the same message {} times from {} on, gaps {shown} s; wanted {} repetitions",
            n + 1,
            clock(evidence, first.frame.time),
            wanted.copies
        ),
    };
    let proof = Proof::new(text, numbers(copies));
    if wanted.copies.max.is_some_and(|max| again > max) {
        return Standing::Refuted(proof);
    }
    if wanted.configured {
        for (gap, want) in gaps.iter().zip(wanted.retransmit.gaps()) {
            if *gap + EARLY < want || *gap > want + lateness(want) {
                let text = format!("{}; a gap of {:.2} s should be {:.2} s", proof.text, gap.as_secs_f64(), want.as_secs_f64());
                return Standing::Refuted(Proof { text, ..proof });
            }
        }
    }
    let enough = wanted.copies.contains(again);
    if enough && wanted.copies.only_grows() && !wanted.gives_up {
        return Standing::Shown(proof);
    }
    // The sender's next move is due one more gap after the last copy.
    let next = wanted.retransmit.timeout.mul_f64(wanted.retransmit.base.powi(i32::try_from(again).unwrap_or(i32::MAX)));
    let until = last.frame.time + next + lateness(next);
    let later = last.ike().and_then(|i| last_of.get(&i.message.spi_i)).filter(|r| r.frame.time > last.frame.time);
    match later {
        // It went on with the same SA: an answer came, so nothing was given up.
        Some(r) if enough && wanted.gives_up && r.frame.time <= until => {
            let text = format!("{}; but then it went on with the same SA at {}", proof.text, clock(evidence, r.frame.time));
            Standing::Refuted(Proof { text, ..proof })
        }
        _ if evidence.now < until => Standing::Waiting(until, enough, proof),
        _ if enough => Standing::Shown(proof),
        _ => Standing::Refuted(proof),
    }
}

/// Timers do not fire early; but when the copy before left late, the gap behind it is shorter.
const EARLY: Duration = Duration::from_millis(100);

/// Timers of daemons fire late on a busy machine: charon's scheduler was seen to sleep through a wake-up until its next
/// second began.
fn lateness(gap: Duration) -> Duration {
    gap.mul_f64(0.1) + Duration::from_secs(1)
}

/// The last IKE message that the gateway sent on each initiator's SPI.
fn last_by_spi<'a>(args: &Args, evidence: &Evidence<'a>, by: &str) -> HashMap<u64, &'a Record> {
    let own = at(evidence, args, "at").into_iter().filter(|r| is_from(evidence, r, by));
    own.filter_map(|r| r.ike().map(|i| (i.message.spi_i, r))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const AT_WEST: [(&str, &str); 2] = [("by", "west"), ("at", "west.wan")];

    fn repeated(times: &[i64]) -> Story {
        let mut story = Story::new();
        for time in times {
            story.ike(*time, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        }
        story
    }

    #[test]
    fn the_configured_copies_and_then_silence() {
        let mut story = repeated(&[0, 300, 840]);
        // The third copy is due 972 ms later.
        story.ask("retransmission", &AT_WEST, 850).open(Some(840 + 1069 + 1000), false);
        story.ike(1812, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        let until = 1812 + 1924 + 1000;
        story.ask("retransmission", &AT_WEST, 1900).open(Some(until), true);
        assert_eq!(story.ask("retransmission", &AT_WEST, until + 1).holds().frames, [1, 2, 3, 4]);
        story.lost = 1;
        story.ask_at_end("retransmission", &AT_WEST, until + 1).inconclusive();
    }

    #[test]
    fn a_fifth_copy_or_a_wrong_gap_refutes_it_when_traffic_is_over() {
        for times in [&[0, 300, 840, 1812, 3500][..], &[0, 1400, 1940, 2912], &[0, 150, 690, 1662]] {
            let mut story = repeated(times);
            story.ask("retransmission", &AT_WEST, 9000).open(None, false);
            story.script_ends(9000);
            story.ask("retransmission", &AT_WEST, 9500).fails();
        }
        assert!(
            repeated(&[0, 1400]).ask_at_end("retransmission", &AT_WEST, 9000).fails().text.contains("a gap of 1.40 s should be 0.30 s")
        );
        let loose = [AT_WEST[0], AT_WEST[1], ("backoff", "any"), ("copies", ">= 1"), ("gives-up", "false")];
        repeated(&[0, 1400]).ask("retransmission", &loose, 1401).holds();
    }

    #[test]
    fn an_answered_request_is_not_repeated() {
        let mut story = repeated(&[0]);
        story.ike(10, "west.wan", EAST, WEST, &Msg::v2(34, 0).response());
        story.ask("retransmission", &AT_WEST, 100).open(Some(1330), false);
        story.script_ends(900);
        // Traffic ended, but the first repetition may still come, late.
        story.ask("retransmission", &AT_WEST, 1000).open(Some(1330), false);
        story.ask("retransmission", &AT_WEST, 1350).open(Some(1400), false);
        story.ask("retransmission", &AT_WEST, 1400).fails();
    }

    #[test]
    fn another_message_does_not_spoil_it() {
        let mut story = Story::new();
        for time in [0, 5, 9, 12, 15, 18] {
            story.ike(time, "west.wan", WEST, EAST, &Msg::v2(37, 7).spis(1, 2));
        }
        for time in [100, 400, 940, 1912] {
            story.ike(time, "west.wan", WEST, EAST, &Msg::v2(35, 1));
        }
        assert_eq!(story.ask("retransmission", &AT_WEST, 6000).holds().frames, [7, 8, 9, 10]);
    }

    #[test]
    fn who_goes_on_has_not_given_up() {
        let mut story = repeated(&[0, 300, 840, 1812]);
        story.ike(1900, "west.wan", WEST, EAST, &Msg::v2(35, 1));
        story.script_ends(2000);
        assert!(story.ask("retransmission", &AT_WEST, 6000).fails().text.contains("went on"));
        story.ask("retransmission", &[AT_WEST[0], AT_WEST[1], ("gives-up", "false")], 6000).holds();
    }

    #[test]
    fn the_end_of_the_run_does_not_stand_for_silence() {
        repeated(&[0, 300, 840, 1812]).ask_at_end("retransmission", &AT_WEST, 1900).inconclusive();
        story_without_gateway();
    }

    fn story_without_gateway() {
        let args = [("by", "mid"), ("at", "west.wan")];
        repeated(&[0]).ask("retransmission", &args, 0).inconclusive();
    }
}
