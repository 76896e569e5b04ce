//! The router says what fits.

use super::select::{WINDOW, after_silence, at, is_from, numbers};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Count, Kind, Param};

/// `frag-needed`.
pub const SYMPTOM: Symptom = Symptom {
    code: "frag-needed",
    meaning: "An ICMP 'fragmentation needed' or ICMPv6 'packet too big' message.",
    level: Level::Wire,
    sign: Sign::Either,
    rfc: &["RFC 1191 §4", "RFC 8201", "RFC 4301 §8.2"],
    explain: "The message that makes path MTU discovery work: ICMP type 3 code 4, or ICMPv6 type 2, with the MTU of the next link. A \
        gateway that receives one for its ESP must lower what it tells the hosts behind it.",
    params: &[
        Param::required("at", Kind::Tap, "where"),
        Param::optional("by", Kind::Node, "from this node"),
        Param::optional("mtu", Kind::Int(0, 65_535), "with this next-hop MTU"),
        Param::default("count", Kind::Count, "\">= 1\"", "how many"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let count = args.count("count").unwrap_or(Count { min: 1, max: None });
    let mtu = args.int("mtu").and_then(|n| u32::try_from(n).ok());
    let found: Vec<&Record> = at(evidence, args, "at")
        .into_iter()
        .filter(|r| {
            r.icmp().is_some_and(|i| if i.v6 { i.kind == 2 } else { (i.kind, i.code) == (3, 4) } && mtu.is_none_or(|m| i.mtu == Some(m)))
        })
        .filter(|r| args.text("by").is_none_or(|node| is_from(evidence, r, node)))
        .collect();
    let n = found.len() as u64;
    let proof = Proof::new(format!("{n} messages 'fragmentation needed' / 'packet too big'; wanted {count}"), numbers(&found));
    if count.only_grows() && count.contains(n) {
        return Finding::Holds(proof);
    }
    if count.max.is_some_and(|max| n > max) {
        return Finding::Fails(proof);
    }
    after_silence(evidence, WINDOW, count.contains(n), proof)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 1] = [("at", "west.wan")];

    #[test]
    fn with_mtu_and_sender() {
        let mut story = Story::new();
        story.script_ends(0);
        story.ask("frag-needed", &ARGS, 1).open(Some(500), false);
        story.ask("frag-needed", &ARGS, 500).fails();
        story.ask("frag-needed", &[ARGS[0], ("count", "0")], 500).holds();
        story.lost = 1;
        story.ask_at_end("frag-needed", &[ARGS[0], ("count", "0")], 500).inconclusive();
        story.lost = 0;
        story.frag_needed(600, "west.wan", "192.0.2.254", WEST, 1300);
        assert_eq!(story.ask("frag-needed", &[ARGS[0], ("mtu", "1300"), ("by", "mid")], 700).holds().frames, [1]);
        story.ask("frag-needed", &[ARGS[0], ("mtu", "1400")], 700).fails();
        story.ask("frag-needed", &[ARGS[0], ("by", "east")], 700).fails();
        story.ask("frag-needed", &[ARGS[0], ("count", "0")], 700).fails();
    }
}
