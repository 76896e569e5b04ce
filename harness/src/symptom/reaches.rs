//! Packets that pass a stretch of the path.

use std::collections::HashSet;
use std::time::Duration;

use super::select::{WINDOW, after_silence, clock, identity, matching, numbers};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// `reaches`.
pub const SYMPTOM: Symptom = Symptom {
    code: "reaches",
    meaning: "Every message seen at one tap also appears at another.",
    level: Level::Wire,
    sign: Sign::Health,
    rfc: &[],
    explain: "The counterpart of lost-between: it shows which part of the path is in order. Messages are recognised by their contents, so \
        address translation on the way does not matter.\n\
        If everything reaches the peer's own interface and no answer comes, stop looking at filters on the way there: it is the \
        peer's configuration, or the way back.",
    params: &[
        Param::required("match", Kind::Filter, "which packets, as seen at `from`"),
        Param::required("from", Kind::Tap, "seen here"),
        Param::required("to", Kind::Tap, "and here"),
        Param::default("min", Kind::Int(1, 100_000), "1", "at least so many"),
        Param::default("within", Kind::Duration, "\"2s\"", "lost when it has not appeared after this long"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let (from, to) = (args.text("from").unwrap_or_default(), args.text("to").unwrap_or_default());
    let min = usize::try_from(args.int("min").unwrap_or(1)).unwrap_or(1);
    let within = args.duration("within").unwrap_or(Duration::from_secs(2));
    let arrived: HashSet<u64> = matching(evidence, None, Some(to)).into_iter().filter_map(identity).collect();
    let (passed, missing): (Vec<&Record>, Vec<&Record>) =
        matching(evidence, args.text("match"), Some(from)).into_iter().partition(|r| identity(r).is_some_and(|id| arrived.contains(&id)));
    let Some(first) = missing.first() else {
        let text = format!("{} packets seen at {from}, all of them at {to}; wanted at least {min}", passed.len());
        return after_silence(evidence, WINDOW, passed.len() >= min, Proof::new(text, numbers(&passed)));
    };
    let text = format!(
        "{} packets seen at {from} also appear at {to}, {} do not, the first of them sent at {}",
        passed.len(),
        missing.len(),
        clock(evidence, first.frame.time)
    );
    let proof = Proof::new(text, numbers(&missing));
    let until = first.frame.time + within;
    if evidence.complete || evidence.now >= until {
        if evidence.lost > 0 {
            return Finding::Inconclusive(format!("the capture lost {} packets, perhaps at {to}: {}", evidence.lost, proof.text));
        }
        return Finding::Fails(proof);
    }
    Finding::Open { until: Some(until), so_far: (false, proof) }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 4] = [("match", "esp"), ("from", "mid.left"), ("to", "mid.right"), ("min", "2")];

    #[test]
    fn all_of_them_must_pass() {
        let mut story = Story::new();
        for seq in 1..=2 {
            story.esp(seq.into(), "mid.left", WEST, EAST, 1, seq);
            story.ask("reaches", &ARGS, 3).open(Some(2000 + i64::from(seq)), false);
            story.esp(seq.into(), "mid.right", WEST, EAST, 1, seq);
        }
        story.ask("reaches", &ARGS, 10).open(None, true);
        story.script_ends(20);
        assert_eq!(story.ask("reaches", &ARGS, 520).holds().frames, [1, 3]);
        story.esp(600, "mid.left", WEST, EAST, 1, 3);
        assert!(story.ask("reaches", &ARGS, 2600).fails().text.contains("2 packets seen at mid.left also appear at mid.right, 1 do not"));
        story.lost = 1;
        story.ask_at_end("reaches", &ARGS, 2600).inconclusive();
    }

    #[test]
    fn nothing_at_all_is_not_enough() {
        Story::new().ask_at_end("reaches", &ARGS, 10).fails();
    }
}
