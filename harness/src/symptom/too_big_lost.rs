//! Size decides what passes.

use super::select::{Sightings, WINDOW, after_silence, matching, numbers};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// `too-big-lost`.
pub const SYMPTOM: Symptom = Symptom {
    code: "too-big-lost",
    meaning: "Packets longer than this, with Don't Fragment, are lost between two taps, while shorter ones pass.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 1191 §3", "RFC 4301 §8.2"],
    explain: "The size at which packets stop crossing a router is its next link's MTU. With Don't Fragment set it must drop what is longer \
        and say so (ICMP type 3 code 4, ICMPv6 type 2). When nobody hears that, the path is a black hole for large packets.",
    params: &[
        Param::required("from", Kind::Tap, "seen here"),
        Param::required("to", Kind::Tap, "and not here"),
        Param::required("size", Kind::Int(68, 65_535), "IP packets longer than so many octets"),
        Param::default("min", Kind::Int(1, 100_000), "3", "at least so many"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let size = args.int("size").and_then(|n| u32::try_from(n).ok()).unwrap_or(1500);
    let min = usize::try_from(args.int("min").unwrap_or(3)).unwrap_or(3);
    let beyond = Sightings::of(matching(evidence, None, args.text("to")));
    let passes = |r: &Record| beyond.contains(r);
    // What was seen there first goes the other way.
    let comes_from_there = |r: &Record| beyond.same(r).any(|o| o.frame.time < r.frame.time);
    let here: Vec<&Record> = matching(evidence, None, args.text("from")).into_iter().filter(|r| !comes_from_there(r)).collect();
    let large: Vec<&Record> =
        here.iter().filter(|r| r.ip().is_some_and(|ip| ip.total_len > size && (ip.dont_fragment || ip.src.is_ipv6()))).copied().collect();
    let small = here.iter().filter(|r| r.ip().is_some_and(|ip| ip.total_len <= size) && passes(r)).count();
    if let Some(r) = large.iter().find(|r| passes(r)) {
        let text = format!("a packet of {} octets passed", r.ip().map_or(0, |ip| ip.total_len));
        return Finding::Fails(Proof::new(text, [r.frame.number]));
    }
    let text = format!("{} packets longer than {size} octets with Don't Fragment, none passed; {small} shorter ones did", large.len());
    after_silence(evidence, WINDOW, large.len() >= min && small > 0, Proof::new(text, numbers(&large)))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 4] = [("from", "mid.left"), ("to", "mid.right"), ("size", "1300"), ("min", "2")];

    #[test]
    fn size_decides() {
        let mut story = Story::new();
        story.esp_of(0, "mid.left", WEST, EAST, (1, 1), 200);
        story.esp_of(0, "mid.right", WEST, EAST, (1, 1), 200);
        story.esp_of(1, "mid.left", WEST, EAST, (1, 2), 1400);
        story.ask("too-big-lost", &ARGS, 2).open(None, false);
        story.esp_of(2, "mid.left", WEST, EAST, (1, 3), 1301);
        story.script_ends(5);
        story.ask("too-big-lost", &ARGS, 6).open(Some(505), true);
        assert_eq!(story.ask("too-big-lost", &ARGS, 505).holds().frames, [3, 4]);
        story.lost = 1;
        story.ask_at_end("too-big-lost", &ARGS, 505).inconclusive();
        story.esp_of(600, "mid.right", WEST, EAST, (1, 3), 1301);
        story.ask("too-big-lost", &ARGS, 601).fails();
    }

    #[test]
    fn when_nothing_passes_it_is_not_the_size() {
        let mut story = Story::new();
        for seq in 1..4 {
            story.esp_of(0, "mid.left", WEST, EAST, (1, seq), 1400);
        }
        story.ask_at_end("too-big-lost", &ARGS, 9).fails();
    }

    #[test]
    fn packets_of_the_other_direction_do_not_count() {
        let mut story = Story::new();
        for (seq, len) in [(1, 200), (2, 1400)] {
            story.esp_of(0, "mid.right", EAST, WEST, (2, seq), len);
            story.esp_of(1, "mid.left", EAST, WEST, (2, seq), len);
            story.esp_of(2, "mid.left", WEST, EAST, (1, seq), 1400);
        }
        story.ask_at_end("too-big-lost", &ARGS, 9).fails();
        story.esp_of(3, "mid.left", WEST, EAST, (1, 9), 200);
        story.esp_of(4, "mid.right", WEST, EAST, (1, 9), 200);
        story.ask_at_end("too-big-lost", &ARGS, 9).holds();
    }
}
