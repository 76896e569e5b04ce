//! One message, two source addresses.

use std::net::{IpAddr, SocketAddr};

use super::select::{Sightings, WINDOW, after_silence, matching};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// `address-translated`.
pub const SYMPTOM: Symptom = Symptom {
    code: "address-translated",
    meaning: "The same message has another source address or port on the other side of a node.",
    level: Level::Wire,
    sign: Sign::Either,
    rfc: &["RFC 3022", "RFC 4787 §4"],
    explain: "A NAT rewrites source address and port of what passes. IKE notices by its NAT detection hashes; AH and ESP without UDP \
        encapsulation do not survive it. Compare both sides of the node: same contents, other addresses.",
    params: &[
        Param::required("inside", Kind::Tap, "private side"),
        Param::required("outside", Kind::Tap, "public side"),
        Param::optional("match", Kind::Filter, "only messages like this, as seen inside"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let inside = matching(evidence, args.text("match"), args.text("inside"));
    let outside = Sightings::of(matching(evidence, None, args.text("outside")));
    for r in &inside {
        let Some((a, a_port)) = source(r) else { continue };
        // Not those of replies with the same contents: the destination stays.
        let same: Vec<_> = outside.same(r).filter(|o| destination(o) == destination(r)).collect();
        if same.iter().any(|o| source(o) == Some((a, a_port))) {
            continue;
        }
        if let Some((other, (b, b_port))) = same.first().and_then(|o| Some((o, source(o)?))) {
            let show = |ip: IpAddr, port: Option<u16>| port.map_or(ip.to_string(), |p| SocketAddr::new(ip, p).to_string());
            let text = format!("{} inside is {} outside", show(a, a_port), show(b, b_port));
            return Finding::Holds(Proof::new(text, [r.frame.number, other.frame.number]));
        }
    }
    after_silence(evidence, WINDOW, false, Proof::new(format!("{} messages inside, none with another source outside", inside.len()), []))
}

fn source(r: &Record) -> Option<(IpAddr, Option<u16>)> {
    Some((r.ip()?.src, r.udp().map(|u| u.src).or_else(|| r.tcp().map(|t| t.src))))
}

fn destination(r: &Record) -> Option<(IpAddr, Option<u16>)> {
    Some((r.ip()?.dst, r.udp().map(|u| u.dst).or_else(|| r.tcp().map(|t| t.dst))))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 2] = [("inside", "nat.in"), ("outside", "nat.out")];

    #[test]
    fn the_same_message_with_another_source() {
        let mut story = Story::new();
        story.ike(0, "nat.in", CAROL, EAST, &Msg::v2(34, 0));
        story.ask("address-translated", &ARGS, 1).open(None, false);
        story.ike_on(1, "nat.out", (NAT, 1024), (EAST, 500), &Msg::v2(34, 0));
        let found = story.ask("address-translated", &ARGS, 2);
        assert_eq!(found.holds().frames, [1, 2]);
        assert!(found.holds().text.contains("192.168.1.10:500 inside is 203.0.113.1:1024 outside"));
    }

    #[test]
    fn a_plain_router_changes_nothing() {
        let mut story = Story::new();
        story.ike(0, "mid.left", WEST, EAST, &Msg::v2(34, 0));
        story.ike(1, "mid.right", WEST, EAST, &Msg::v2(34, 0));
        story.script_ends(2);
        let args = [("inside", "mid.left"), ("outside", "mid.right")];
        story.ask("address-translated", &args, 3).open(Some(502), false);
        story.ask("address-translated", &args, 502).fails();
        story.lost = 1;
        story.ask_at_end("address-translated", &args, 502).inconclusive();
    }

    #[test]
    fn the_peer_s_keepalive_is_not_the_translated_one() {
        let mut story = Story::new();
        for (time, tap, src, dst) in [(0, "left", WEST, EAST), (1, "right", WEST, EAST), (5, "right", EAST, WEST), (6, "left", EAST, WEST)]
        {
            story.keepalive(time, &format!("mid.{tap}"), src, dst);
        }
        story.ask_at_end("address-translated", &[("inside", "mid.left"), ("outside", "mid.right")], 9).fails();
    }
}
