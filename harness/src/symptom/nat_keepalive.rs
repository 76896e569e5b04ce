//! Keepalives that hold a NAT's mapping open.

use std::time::Duration;

use super::select::{WINDOW, after_silence, at, is_from, numbers};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Count, Kind, Param};

/// `nat-keepalive`.
pub const SYMPTOM: Symptom = Symptom {
    code: "nat-keepalive",
    meaning: "A gateway sends NAT keepalives: one octet 0xFF on UDP/4500.",
    level: Level::Wire,
    sign: Sign::Either,
    rfc: &["RFC 3948 §2.3", "RFC 3948 §4"],
    explain: "A client behind a NAT sends one octet every so often (20 s by default) when it has nothing else to say, so that the NAT does \
        not forget its mapping. Without them, or with an interval longer than the NAT's memory, the peer cannot reach an idle client.",
    params: &[
        Param::required("by", Kind::Gateway, "who sends them"),
        Param::required("at", Kind::Tap, "where they are seen"),
        Param::optional("interval", Kind::Duration, "time between two of them, within 20 % and 300 ms"),
        Param::default("count", Kind::Count, "\">= 1\"", "how many"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let by = args.text("by").unwrap_or_default();
    let count = args.count("count").unwrap_or(Count { min: 1, max: None });
    let found: Vec<&Record> = at(evidence, args, "at").into_iter().filter(|r| r.is_keepalive() && is_from(evidence, r, by)).collect();
    let gaps: Vec<Duration> = found.windows(2).map(|w| w[1].frame.time.since(w[0].frame.time)).collect();
    let shown = gaps.iter().map(|g| format!("{:.2}", g.as_secs_f64())).collect::<Vec<_>>().join(", ");
    let n = found.len() as u64;
    let proof = Proof::new(format!("{by} sent {n} keepalives, gaps {shown} s; wanted {count}"), numbers(&found));
    let in_time = args.duration("interval").is_none_or(|want| {
        let tolerance = want.mul_f64(0.2) + Duration::from_millis(300);
        // Traffic in between postpones the next one, and each SA has its own: one gap must fit.
        gaps.iter().any(|g| g.abs_diff(want) <= tolerance)
    });
    if count.only_grows() && count.contains(n) && in_time {
        return Finding::Holds(proof);
    }
    if count.max.is_some_and(|max| n > max) {
        return Finding::Fails(proof);
    }
    after_silence(evidence, WINDOW, count.contains(n) && in_time, proof)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 2] = [("by", "carol"), ("at", "carol.wan")];

    #[test]
    fn how_many_and_how_often() {
        let mut story = Story::new();
        story.script_ends(500);
        story.ask("nat-keepalive", &ARGS, 100).open(Some(1000), false);
        story.ask("nat-keepalive", &ARGS, 1000).fails();
        story.ask("nat-keepalive", &[ARGS[0], ARGS[1], ("count", "0")], 1000).holds();
        story.lost = 1;
        story.ask_at_end("nat-keepalive", &[ARGS[0], ARGS[1], ("count", "0")], 1000).inconclusive();
        story.lost = 0;
        story.events.clear();
        for time in [0, 1000, 2010] {
            story.keepalive(time, "carol.wan", CAROL, EAST);
        }
        let every = |interval| [ARGS[0], ARGS[1], ("interval", interval), ("count", ">= 2")];
        assert_eq!(story.ask("nat-keepalive", &every("1s"), 3000).holds().frames, [1, 2, 3]);
        story.ask("nat-keepalive", &every("3s"), 3000).open(None, false);
        story.ask("nat-keepalive", &[("by", "east"), ARGS[1]], 3000).open(None, false);
    }

    #[test]
    fn one_too_many_refutes_at_once() {
        let mut story = Story::new();
        story.keepalive(0, "carol.wan", CAROL, EAST);
        story.ask("nat-keepalive", &[ARGS[0], ARGS[1], ("count", "0")], 1).fails();
    }
}
