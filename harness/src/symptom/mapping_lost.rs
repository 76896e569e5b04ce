//! A NAT that has forgotten a mapping that is still in use.

use std::collections::HashSet;

use super::select::{Sightings, WINDOW, after_silence, matching};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Kind, Param};

/// `mapping-lost`.
pub const SYMPTOM: Symptom = Symptom {
    code: "mapping-lost",
    meaning: "Packets to an address and port that used to be translated inwards arrive at the NAT and stop there.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 4787 §4.3", "RFC 3948 §4"],
    explain: "A NAT keeps a UDP mapping only for so long without traffic (30 s to a few minutes). Then packets from outside to the old \
        port have nowhere to go. The client notices nothing until it waits for something; as soon as it sends, a new mapping appears, \
        often with another port.\nRemedy: keepalives more often than the NAT forgets.",
    params: &[
        Param::required("inside", Kind::Tap, "private side"),
        Param::required("outside", Kind::Tap, "public side"),
        Param::optional("match", Kind::Filter, "only packets like this, as seen outside"),
        Param::default("min", Kind::Int(1, 100_000), "1", "at least so many stop there"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let node = args.text("outside").and_then(|t| t.split('.').next()).unwrap_or_default();
    let inside = Sightings::of(matching(evidence, None, args.text("inside")));
    // Ports of the NAT's public address that were used outwards, and worked inwards at least once.
    let mut worked = HashSet::new();
    let mut lost = Vec::new();
    for r in matching(evidence, args.text("match"), args.text("outside")) {
        let (Some(ip), Some(udp)) = (r.ip(), r.udp()) else { continue };
        if evidence.plan.network.owner(ip.dst) != Some(node) {
            continue;
        }
        if inside.contains(r) {
            worked.insert((ip.dst, udp.dst));
        } else if worked.contains(&(ip.dst, udp.dst)) {
            lost.push(r.frame.number);
        }
    }
    let min = usize::try_from(args.int("min").unwrap_or(1)).unwrap_or(1);
    let text = format!("{} mappings worked; later {} packets to them arrived outside and never came in", worked.len(), lost.len());
    after_silence(evidence, WINDOW, lost.len() >= min, Proof::new(text, lost))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 3] = [("inside", "nat.in"), ("outside", "nat.out"), ("match", "esp")];

    fn inbound(story: &mut Story, time: i64, port: u16, seq: u32, passes: bool) {
        story.esp_udp(time, "nat.out", (EAST, 4500), (NAT, port), 1, seq);
        if passes {
            story.esp_udp(time, "nat.in", (EAST, 4500), (CAROL, 4500), 1, seq);
        }
    }

    #[test]
    fn it_worked_and_then_no_more() {
        let mut story = Story::new();
        inbound(&mut story, 0, 1024, 1, true);
        story.ask("mapping-lost", &ARGS, 1).open(None, false);
        inbound(&mut story, 5000, 1024, 2, false);
        story.script_ends(6000);
        story.ask("mapping-lost", &ARGS, 6001).open(Some(6500), true);
        assert_eq!(story.ask("mapping-lost", &ARGS, 6500).holds().frames, [3]);
        story.lost = 1;
        story.ask_at_end("mapping-lost", &ARGS, 6500).inconclusive();
    }

    #[test]
    fn a_port_that_never_worked_was_no_mapping() {
        let mut story = Story::new();
        inbound(&mut story, 0, 1024, 1, true);
        inbound(&mut story, 1, 2048, 2, false);
        story.ask_at_end("mapping-lost", &ARGS, 5).fails();
    }
}
