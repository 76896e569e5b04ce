//! Packets on an SA that the receiver no longer has.

use std::collections::BTreeMap;

use super::select::{WINDOW, after_silence, at, is_from, moment, not_happened};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Kind, Param};

/// `spi-still-used`.
pub const SYMPTOM: Symptom = Symptom {
    code: "spi-still-used",
    meaning: "A gateway goes on sending on an SPI after the event that made it worthless.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 7296 §2.4", "RFC 7296 §1.5", "RFC 4301 §4.1"],
    explain: "After a reboot the peer has no SAs. What still arrives on an old SPI it must drop, and most say nothing. The sender finds out \
        only by a liveness check (DPD), by the peer's INITIAL_CONTACT, or when the SA's lifetime ends.",
    params: &[
        Param::required("by", Kind::Gateway, "who sends"),
        Param::required("at", Kind::Tap, "where it is seen"),
        Param::required("after", Kind::Fault, "the event"),
        Param::default("min", Kind::Int(1, 100_000), "3", "at least so many packets"),
        Param::optional("for", Kind::Duration, "and at least this long after the event"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let by = args.text("by").unwrap_or_default();
    let min = usize::try_from(args.int("min").unwrap_or(3)).unwrap_or(3);
    let after = args.text("after").unwrap_or_default();
    let Some(event) = moment(evidence, after) else { return not_happened(evidence, after) };
    let mut before = BTreeMap::new();
    let mut later = Vec::new();
    let mut last = None;
    for r in at(evidence, args, "at").into_iter().filter(|r| is_from(evidence, r, by)) {
        let Some(esp) = r.esp() else { continue };
        if r.frame.time < event {
            *before.entry(esp.spi).or_insert(0u32) += 1;
        } else if before.contains_key(&esp.spi) {
            later.push(r.frame.number);
            last = Some((esp.spi, r.frame.time.since(event)));
        }
    }
    let lasting = args.duration("for").is_none_or(|d| last.is_some_and(|(_, t)| t >= d));
    let text = match last {
        Some((spi, time)) => {
            format!("{} packets on SPI {spi:#010x} after `{after}`, the last one {:.1} s later", later.len(), time.as_secs_f64())
        }
        None => format!("no packet on any of {} old SPIs after `{after}`", before.len()),
    };
    let holds = later.len() >= min && lasting;
    let proof = Proof::new(text, later);
    if holds { Finding::Holds(proof) } else { after_silence(evidence, WINDOW, false, proof) }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 4] = [("by", "west"), ("at", "west.wan"), ("after", "restart"), ("min", "2")];

    #[test]
    fn the_old_spi_after_the_event() {
        let mut story = Story::new();
        story.esp(0, "west.wan", WEST, EAST, 1, 1);
        story.ask("spi-still-used", &ARGS, 1).open(None, false);
        story.fault(100, "restart");
        story.esp(200, "west.wan", WEST, EAST, 1, 2);
        story.esp(201, "west.wan", WEST, EAST, 9, 1);
        story.script_ends(1000);
        story.ask("spi-still-used", &ARGS, 1001).open(Some(1500), false);
        story.ask("spi-still-used", &ARGS, 1500).fails();
        story.lost = 1;
        story.ask_at_end("spi-still-used", &ARGS, 1500).inconclusive();
        story.lost = 0;
        story.esp(2100, "west.wan", WEST, EAST, 1, 3);
        assert_eq!(story.ask("spi-still-used", &[ARGS[0], ARGS[1], ARGS[2], ARGS[3], ("for", "2s")], 2101).holds().frames, [2, 4]);
        story.ask("spi-still-used", &[ARGS[0], ARGS[1], ARGS[2], ARGS[3], ("for", "3s")], 2101).fails();
    }

    #[test]
    fn without_the_event_it_fails() {
        let mut story = Story::new();
        story.esp(0, "west.wan", WEST, EAST, 1, 1);
        assert!(story.ask_at_end("spi-still-used", &ARGS, 10).fails().text.contains("`restart` has not happened"));
    }
}
