//! ESP in one direction only.

use super::select::{Since, WINDOW, after_silence, at};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Kind, Param};

/// `esp-one-way`.
pub const SYMPTOM: Symptom = Symptom {
    code: "esp-one-way",
    meaning: "One gateway sends ESP, and none comes back.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 4301 §4.1"],
    explain: "Counters for sent packets rise, those for received packets do not. Either ESP is filtered in one direction, or the far side \
        has nothing to send: its hosts do not answer, answer elsewhere, or its gateway does not forward. Look at the far gateway's \
        inner interface to tell these apart.",
    params: &[
        Param::required("from", Kind::Node, "who sends"),
        Param::required("at", Kind::Tap, "where it is seen"),
        Param::default("min", Kind::Int(1, 100_000), "3", "at least so many packets"),
        Param::optional("since", Kind::Text, "only packets after this fault was put in place, or this step ended"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let from = args.text("from").unwrap_or_default();
    let min = usize::try_from(args.int("min").unwrap_or(3)).unwrap_or(3);
    let since = Since::of(args, evidence);
    if let Since::NotYet(finding) = since {
        return finding;
    }
    let (mut sent, mut back) = (Vec::new(), Vec::new());
    for r in at(evidence, args, "at") {
        let (Some(_), Some(ip)) = (r.esp(), r.ip()) else { continue };
        if !since.covers(r) {
            continue;
        }
        // One end may wear a NAT's address; the other shows its own, and tells the direction.
        let gateway = |addr| evidence.plan.network.owner(addr).filter(|n| evidence.plan.gateway(n).is_some());
        let to_sender = match (gateway(ip.src), gateway(ip.dst)) {
            (Some(src), _) => src != from,
            (None, dst) => dst == Some(from),
        };
        if to_sender { back.push(r.frame.number) } else { sent.push(r.frame.number) }
    }
    if let Some(first) = back.first() {
        return Finding::Fails(Proof::new(format!("{from} sent {} ESP packets, {} came back", sent.len(), back.len()), [*first]));
    }
    let holds = sent.len() >= min;
    after_silence(evidence, WINDOW, holds, Proof::new(format!("{from} sent {} ESP packets, none came back", sent.len()), sent))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    #[test]
    fn one_direction_only() {
        let args = [("from", "west"), ("at", "east.wan")];
        let mut story = Story::new();
        for seq in 1..=3 {
            story.ask("esp-one-way", &args, 0).open(None, false);
            story.esp(seq.into(), "east.wan", WEST, EAST, 1, seq);
        }
        story.script_ends(10);
        story.ask("esp-one-way", &args, 20).open(Some(510), true);
        assert_eq!(story.ask("esp-one-way", &args, 510).holds().frames, [1, 2, 3]);
        story.ask("esp-one-way", &[args[0], args[1], ("min", "4")], 510).fails();
        story.lost = 1;
        story.ask_at_end("esp-one-way", &args, 510).inconclusive();
        story.esp(600, "east.wan", EAST, WEST, 2, 1);
        assert_eq!(story.ask("esp-one-way", &args, 600).fails().frames, [4]);
    }

    #[test]
    fn a_sender_behind_a_nat() {
        let mut story = Story::new();
        for seq in 1..=3 {
            story.esp_udp(seq.into(), "east.wan", (NAT, 1024), (EAST, 4500), 1, seq);
        }
        story.ask_at_end("esp-one-way", &[("from", "carol"), ("at", "east.wan")], 9).holds();
        story.ask_at_end("esp-one-way", &[("from", "east"), ("at", "east.wan")], 9).fails();
        story.esp_udp(5, "east.wan", (EAST, 4500), (NAT, 1024), 2, 1);
        story.ask_at_end("esp-one-way", &[("from", "carol"), ("at", "east.wan")], 9).fails();
    }
}
