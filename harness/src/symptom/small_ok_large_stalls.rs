//! Small transfers complete, large ones hang.

use super::select::{WINDOW, after_silence, at};
use super::tcp_stall::{Direction, Flow, flows, segments, stalled};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Kind, Param};

/// `small-ok-large-stalls`.
pub const SYMPTOM: Symptom = Symptom {
    code: "small-ok-large-stalls",
    meaning: "In one run a small TCP exchange completed and a larger one stalled.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 2923 §2.1"],
    explain: "Login works, the file transfer hangs. The path is fine for small packets, so routing, selectors and keys are right; only size \
        makes the difference. See tcp-stall and too-big-lost.",
    params: &[
        Param::required("at", Kind::Tap, "where packets are not encrypted"),
        Param::default("segment", Kind::Int(100, 65_000), "1000", "a full-size segment has at least so many octets"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let segment = args.int("segment").and_then(|n| u32::try_from(n).ok()).unwrap_or(1000);
    let records = at(evidence, args, "at");
    let all = flows(&records);
    let nothing = Flow::default();
    let (mut small, mut large, mut frames) = (0, 0, Vec::new());
    // Whole connections: one that stalls downwards has a small request upwards, and that proves nothing.
    for (direction, flow) in all.iter().filter(|(d, f)| f.opened && (d.0, d.1) <= (d.2, d.3)) {
        let reverse: Direction = (direction.2, direction.3, direction.0, direction.1);
        let back = all.get(&reverse).unwrap_or(&nothing);
        let stalls = [(*direction, flow), (reverse, back)].into_iter().find(|(_, f)| stalled(f, segment).is_some());
        if let Some((direction, _)) = stalls {
            large += 1;
            frames.extend(segments(&records, direction, segment));
        } else if (1..=2000).contains(&(flow.octets + back.octets))
            && (flow.finished || back.finished)
            && flow.all_acked()
            && back.all_acked()
        {
            small += 1;
            frames.extend(segments(&records, *direction, 1));
            frames.extend(segments(&records, reverse, 1));
        }
    }
    frames.sort_unstable();
    let text = format!("{small} small transfers (up to 2000 octets) completed, {large} large ones stalled");
    after_silence(evidence, WINDOW, small > 0 && large > 0, Proof::new(text, frames))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 1] = [("at", "alice.lan")];
    const SERVER: (&str, u16) = (BOB, 80);

    fn open(story: &mut Story, time: i64, client: u16) {
        story.tcp(time, "alice.lan", (ALICE, client), SERVER, (0x02, 0, 0, 0));
        story.tcp(time, "alice.lan", SERVER, (ALICE, client), (0x12, 0, 1, 0));
        story.tcp(time, "alice.lan", (ALICE, client), SERVER, (0x10, 1, 1, 0));
    }

    fn small(story: &mut Story, time: i64) {
        open(story, time, 4000);
        story.tcp(time, "alice.lan", (ALICE, 4000), SERVER, (0x18, 1, 1, 100));
        story.tcp(time, "alice.lan", SERVER, (ALICE, 4000), (0x19, 1, 101, 300));
        story.tcp(time, "alice.lan", (ALICE, 4000), SERVER, (0x11, 101, 302, 0));
    }

    /// A small request, then an answer that does not get through; the client closes at last.
    fn large(story: &mut Story, times: &[i64]) {
        open(story, times[0], 4001);
        story.tcp(times[0], "alice.lan", (ALICE, 4001), SERVER, (0x18, 1, 1, 100));
        for time in times {
            story.tcp(*time, "alice.lan", SERVER, (ALICE, 4001), (0x18, 1, 101, 1400));
        }
        story.tcp(times[times.len() - 1], "alice.lan", (ALICE, 4001), SERVER, (0x11, 101, 1, 0));
    }

    #[test]
    fn one_of_each() {
        let mut story = Story::new();
        small(&mut story, 0);
        story.ask("small-ok-large-stalls", &ARGS, 1).open(None, false);
        large(&mut story, &[10, 210, 610, 1410]);
        story.script_ends(2000);
        story.ask("small-ok-large-stalls", &ARGS, 2100).open(Some(2500), true);
        assert_eq!(story.ask("small-ok-large-stalls", &ARGS, 2500).holds().frames, [4, 5, 11, 12, 13, 14]);
        story.lost = 1;
        story.ask_at_end("small-ok-large-stalls", &ARGS, 2500).inconclusive();
    }

    #[test]
    fn the_request_of_the_stalled_transfer_is_not_the_small_one() {
        let mut story = Story::new();
        large(&mut story, &[10, 210, 610, 1410]);
        story.ask_at_end("small-ok-large-stalls", &ARGS, 2500).fails();
    }
}
