//! Packets that enter a stretch of the path and never leave it.

use std::net::IpAddr;

use super::select::{Sightings, WINDOW, after_silence, matching, numbers};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::{Direction, Record};
use crate::scenario::model::Role;
use crate::schema::{Args, Kind, Param};

/// `lost-between`.
pub const SYMPTOM: Symptom = Symptom {
    code: "lost-between",
    meaning: "Messages seen at one tap never appear at another.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &[],
    explain: "Two captures on both sides of a router tell more than any log: what enters on one side and does not leave on the other was \
        dropped there. Messages are recognised by their contents, so address translation on the way does not matter. Between two interfaces of one node only those count that came in \
        and were to pass: not what the node itself sends or is sent, not neighbour discovery.\n\
        If an ICMP error comes back, it was a rejection; if nothing comes, a silent filter, or no route.",
    params: &[
        Param::required("match", Kind::Filter, "which packets, as seen at `from`"),
        Param::required("from", Kind::Tap, "seen here"),
        Param::required("to", Kind::Tap, "and not here"),
        Param::default("min", Kind::Int(1, 100_000), "1", "at least so many"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let (from, to) = (args.text("from").unwrap_or_default(), args.text("to").unwrap_or_default());
    let min = usize::try_from(args.int("min").unwrap_or(1)).unwrap_or(1);
    let (node, same_node) = (from.split('.').next(), from.split('.').next() == to.split('.').next());
    let mut entered = matching(evidence, args.text("match"), Some(from));
    // Between two sides of a node only what came in was to pass, and what is for the link or for the node itself was not.
    entered.retain(|r| !same_node || (r.frame.direction != Direction::Out && !stays(evidence, r, node.unwrap_or_default())));
    let left = Sightings::of(matching(evidence, None, Some(to)));
    let (passed, lost): (Vec<_>, Vec<_>) = entered.into_iter().partition(|r| left.contains(r));
    if let Some(r) = passed.first() {
        let text = format!("{} of them passed from {from} to {to}, {} did not", passed.len(), lost.len());
        return Finding::Fails(Proof::new(text, [r.frame.number]));
    }
    let proof = Proof::new(format!("{} packets seen at {from}, none of them at {to}", lost.len()), numbers(&lost));
    after_silence(evidence, WINDOW, lost.len() >= min, proof)
}

/// Does a message end at this node, which does not translate? Neighbour discovery and link-local addresses end at every node.
fn stays(evidence: &Evidence<'_>, r: &Record, node: &str) -> bool {
    let network = &evidence.plan.network;
    let on_link = |addr: IpAddr| match addr {
        IpAddr::V4(a) => a.is_link_local() || a.is_broadcast() || a.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(a) => a.is_unicast_link_local() || a.segments()[0] == 0xff02,
    };
    let discovery = r.icmp().is_some_and(|i| i.v6 && (133..=137).contains(&i.kind));
    let own = |addr| network.owner(addr) == Some(node) && network.node(node).is_some_and(|n| n.role != Role::Nat);
    discovery || r.ip().is_some_and(|ip| on_link(ip.src) || on_link(ip.dst) || own(ip.dst))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;
    use crate::dissect::Direction;

    const ARGS: [(&str, &str); 4] = [("match", "isakmp"), ("from", "mid.left"), ("to", "mid.right"), ("min", "2")];

    #[test]
    fn none_of_them_may_pass() {
        let mut story = Story::new();
        story.ike(0, "mid.left", WEST, EAST, &Msg::v2(34, 0));
        story.ask("lost-between", &ARGS, 10).open(None, false);
        story.ike(300, "mid.left", WEST, EAST, &Msg::v2(34, 0));
        story.script_ends(1000);
        story.ask("lost-between", &ARGS, 1100).open(Some(1500), true);
        assert_eq!(story.ask("lost-between", &ARGS, 1500).holds().frames, [1, 2]);
        story.lost = 1;
        story.ask_at_end("lost-between", &ARGS, 1500).inconclusive();
        // Translated on the way, and still the same message.
        story.ike_on(1600, "mid.right", (NAT, 1024), (EAST, 500), &Msg::v2(34, 0));
        story.ask("lost-between", &ARGS, 1700).fails();
    }

    #[test]
    fn tcp_is_recognised_behind_a_nat() {
        let mut story = Story::new();
        story.tcp(0, "nat.in", (CAROL, 4000), (BOB, 80), (0x18, 7, 9, 30));
        story.tcp(1, "nat.out", (NAT, 1024), (BOB, 80), (0x18, 7, 9, 30));
        story.ask("lost-between", &[("match", "tcp"), ("from", "nat.in"), ("to", "nat.out")], 10).fails();
    }

    #[test]
    fn the_peer_s_keepalive_did_not_come_through() {
        let mut story = Story::new();
        story.keepalive(0, "mid.left", WEST, EAST);
        story.keepalive(5, "mid.right", EAST, WEST);
        let args = [("match", "ip.src == 192.0.2.1"), ("from", "mid.left"), ("to", "mid.right")];
        story.ask_at_end("lost-between", &args, 9).holds();
    }

    #[test]
    fn what_does_not_want_to_pass_is_not_lost() {
        let args = [("match", "icmp"), ("from", "mid.left"), ("to", "mid.right")];
        let mut story = Story::new();
        // The router's own error; a ping to the router and its answer.
        story.frag_needed(0, "mid.left", "192.0.2.254", WEST, 1300);
        story.echo(1, "mid.left", WEST, "192.0.2.254", true, 1);
        story.echo(2, "mid.left", "192.0.2.254", WEST, false, 1);
        for (frame, direction) in [(0, Direction::Out), (1, Direction::In), (2, Direction::Out)] {
            story.capture.records[frame].frame.direction = direction;
        }
        story.ask_at_end("lost-between", &args, 9).fails();
        // What passes the other way refutes nothing.
        story.echo(10, "mid.right", EAST, WEST, false, 2);
        story.echo(11, "mid.left", EAST, WEST, false, 2);
        story.capture.records[4].frame.direction = Direction::Out;
        story.echo(20, "mid.left", WEST, EAST, true, 2);
        story.capture.records[5].frame.direction = Direction::In;
        assert_eq!(story.ask_at_end("lost-between", &args, 30).holds().frames, [6]);
    }
}
