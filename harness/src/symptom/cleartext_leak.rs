//! Inner traffic on the public side, unprotected.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::select::{WINDOW, after_silence, at, clock};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// `cleartext-leak`.
pub const SYMPTOM: Symptom = Symptom {
    code: "cleartext-leak",
    meaning: "Packets of protected networks cross a public interface in clear.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 4301 §4.4.1", "RFC 4301 §5.1"],
    explain: "On a gateway's public side inner addresses must not appear as outer addresses. When they do, the packet matched no policy and \
        followed the routing table: selectors that are too narrow, a bypass rule that is too wide, or a gap while no SA exists.\n\
        Remedy: selectors that cover everything that must be protected, and a rule that drops what matches none (the default that \
        RFC 4301 asks for).\nWhere the kernel itself does ESP, a capture on the gateway also shows decrypted packets as they \
        come in: look at the next router's interface before you call it a leak.",
    params: &[
        Param::required("at", Kind::Tap, "public interface"),
        Param::optional("prefixes", Kind::List(&Kind::Prefix), "protected prefixes; default: those of all gateways"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let mut prefixes: Vec<IpNet> = args.texts("prefixes").iter().filter_map(|t| t.parse().ok()).collect();
    if prefixes.is_empty() {
        prefixes = evidence.plan.network.nodes.iter().flat_map(|n| n.protects.iter().copied()).collect();
    }
    let mut flows: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for r in at(evidence, args, "at") {
        // A gateway's own address may lie in what it protects (host to host): the tunnel's packets are no leak.
        // A later fragment shows no ports; the first one is judged.
        let Some(ip) = r.ip().filter(|ip| !is_tunnel(r) && ip.fragment_offset == 0) else { continue };
        if prefixes.iter().any(|p| p.contains(&ip.src) || p.contains(&ip.dst)) {
            flows.entry(flow(r)).or_default().push(r);
        }
    }
    if flows.is_empty() {
        return after_silence(evidence, WINDOW, false, Proof::new("no packet of a protected network in clear", []));
    }
    let lines: Vec<String> = flows
        .iter()
        .take(8)
        .map(|(flow, rs)| {
            let (first, last) = (rs[0].frame.time, rs[rs.len() - 1].frame.time);
            format!("{flow}: {} packets, {} to {}", rs.len(), clock(evidence, first), clock(evidence, last))
        })
        .collect();
    let frames: Vec<u32> = flows.values().flat_map(|rs| rs.iter().take(3).map(|r| r.frame.number)).collect();
    Finding::Holds(Proof::new(format!("in clear: {}", lines.join("; ")), frames))
}

/// IKE, ESP, AH and NAT keepalives, by their ports and protocols.
pub fn is_tunnel(r: &Record) -> bool {
    let protected = r.ip().is_some_and(|ip| matches!(ip.protocol, 50 | 51));
    protected || r.udp().is_some_and(|u| [u.src, u.dst].iter().any(|p| matches!(p, 500 | 4500)))
}

/// Addresses, protocol and ports.
pub fn flow(r: &Record) -> String {
    let Some(ip) = r.ip() else { return "no IP".to_owned() };
    if let Some(u) = r.udp() {
        format!("UDP {}:{} > {}:{}", ip.src, u.src, ip.dst, u.dst)
    } else if let Some(t) = r.tcp() {
        format!("TCP {}:{} > {}:{}", ip.src, t.src, ip.dst, t.dst)
    } else if r.icmp().is_some() {
        format!("ICMP {} > {}", ip.src, ip.dst)
    } else {
        format!("protocol {} {} > {}", ip.protocol, ip.src, ip.dst)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;
    use crate::dissect::Layer;

    const ARGS: [(&str, &str); 1] = [("at", "west.wan")];

    #[test]
    fn inner_addresses_outside() {
        let mut story = Story::new();
        story.esp(0, "west.wan", WEST, EAST, 1, 1);
        story.echo(1, "west.lan", ALICE, BOB, true, 1);
        story.script_ends(5);
        story.ask("cleartext-leak", &ARGS, 100).open(Some(505), false);
        story.ask("cleartext-leak", &ARGS, 505).fails();
        story.lost = 1;
        story.ask_at_end("cleartext-leak", &ARGS, 505).inconclusive();
        story.echo(600, "west.wan", ALICE, BOB, true, 1);
        let found = story.ask_at_end("cleartext-leak", &ARGS, 700);
        assert_eq!(found.holds().frames, [3]);
        assert!(found.holds().text.contains("ICMP 10.1.0.10 > 10.2.0.10: 1 packets, 0.600 s"), "{}", found.holds().text);
        story.lost = 0;
        story.ask_at_end("cleartext-leak", &[ARGS[0], ("prefixes", "['172.16.0.0/12']")], 700).fails();
    }

    #[test]
    fn quoted_packets_and_the_tunnel_itself_are_no_leak() {
        let mut story = Story::new();
        story.frag_needed(0, "west.wan", "192.0.2.254", WEST, 1300);
        let quoted = story.capture.records[0].layers.clone();
        story.echo(1, "west.lan", ALICE, BOB, true, 1);
        let inner = story.capture.records[1].layers.clone();
        story.capture.records[0].layers = [quoted, inner].concat();
        story.capture.records[0].quoted_from = 3;
        story.esp(2, "west.wan", WEST, EAST, 1, 1);
        story.ike(3, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        story.ask_at_end("cleartext-leak", &ARGS, 9).fails();
        // With the gateways' own addresses in the list, only the router's ICMP error is outside the tunnel.
        let own = [ARGS[0], ("prefixes", "['10.0.0.0/8', '192.0.2.1/32', '198.51.100.0/24']")];
        assert_eq!(story.ask_at_end("cleartext-leak", &own, 9).holds().frames, [1]);
    }

    #[test]
    fn later_fragments_of_the_tunnel_show_no_ports_and_are_no_leak() {
        let own = [ARGS[0], ("prefixes", "['192.0.2.1/32', '198.51.100.2/32']")];
        let mut story = Story::new();
        story.esp_udp(0, "west.wan", (WEST, 4500), (EAST, 4500), 1, 1);
        story.udp(1, "west.wan", (WEST, 4000), (EAST, 4000), b"later");
        let later = &mut story.capture.records[1];
        later.layers.truncate(2);
        if let Layer::Ip(ip) = &mut later.layers[1] {
            ip.fragment_offset = 1480;
        }
        story.ask_at_end("cleartext-leak", &own, 9).fails();
    }
}
