//! A working pair of ESP SAs.

use std::collections::BTreeSet;

use super::select::{Since, WINDOW, after_silence, at};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Kind, Param};

/// `esp-both-ways`.
pub const SYMPTOM: Symptom = Symptom {
    code: "esp-both-ways",
    meaning: "ESP flows in both directions, on exactly so many SPIs.",
    level: Level::Wire,
    sign: Sign::Health,
    rfc: &["RFC 4303 §2.1", "RFC 4301 §4.1"],
    explain: "A healthy tunnel shows two SPIs, one per direction, and packets on both. One SPI alone means that one side's packets are \
        lost or that the other side has nothing to say; more than two mean several child SAs or a re-keying.",
    params: &[
        Param::required("at", Kind::Tap, "where"),
        Param::default("spis", Kind::Int(2, 10_000), "2", "distinct pairs of destination and SPI"),
        Param::optional("since", Kind::Text, "only packets after this fault was put in place, or this step ended"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let since = Since::of(args, evidence);
    if let Since::NotYet(finding) = since {
        return finding;
    }
    let mut spis = BTreeSet::new();
    let mut destinations = BTreeSet::new();
    let mut frames = Vec::new();
    for r in at(evidence, args, "at") {
        let (Some(esp), Some(ip)) = (r.esp(), r.ip()) else { continue };
        if !since.covers(r) {
            continue;
        }
        destinations.insert(ip.dst);
        if spis.insert((ip.dst, esp.spi)) {
            frames.push(r.frame.number);
        }
    }
    let wanted = usize::try_from(args.int("spis").unwrap_or(2)).unwrap_or(2);
    let list = spis.iter().map(|(dst, spi)| format!("{spi:#010x} to {dst}")).collect::<Vec<_>>().join(", ");
    let text = if spis.is_empty() { "no ESP".to_owned() } else { format!("ESP on {} SPIs: {list}", spis.len()) };
    let proof = Proof::new(text, frames);
    if spis.len() > wanted {
        return Finding::Fails(proof);
    }
    let holds = spis.len() == wanted && destinations.len() >= 2;
    if holds {
        // A third SPI would refute it; the end of all traffic decides.
        return after_silence(evidence, WINDOW, true, proof);
    }
    after_silence(evidence, WINDOW, false, proof)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 1] = [("at", "west.wan")];

    #[test]
    fn two_spis_two_directions() {
        let mut story = Story::new();
        story.esp(0, "west.wan", WEST, EAST, 1, 1);
        story.ask("esp-both-ways", &ARGS, 1).open(None, false);
        story.esp(1, "west.wan", EAST, WEST, 2, 1);
        story.esp(2, "west.wan", EAST, WEST, 2, 2);
        story.ask("esp-both-ways", &ARGS, 3).open(None, true);
        story.script_ends(10);
        assert_eq!(story.ask("esp-both-ways", &ARGS, 510).holds().frames, [1, 2]);
        story.lost = 1;
        story.ask_at_end("esp-both-ways", &ARGS, 510).inconclusive();
        story.esp(600, "west.wan", EAST, WEST, 3, 1);
        assert!(story.ask("esp-both-ways", &ARGS, 600).fails().text.contains("3 SPIs"));
        story.lost = 0;
        story.ask("esp-both-ways", &[ARGS[0], ("spis", "3")], 600).holds();
    }

    #[test]
    fn two_spis_in_one_direction_are_not_enough() {
        let mut story = Story::new();
        story.esp(0, "west.wan", WEST, EAST, 1, 1);
        story.esp(1, "west.wan", WEST, EAST, 2, 1);
        story.ask_at_end("esp-both-ways", &ARGS, 5).fails();
        story.ask_at_end("esp-both-ways", &[ARGS[0], ("since", "restart")], 5).fails();
    }
}
