//! Nothing but IKE and ESP on the public side.

use std::collections::BTreeSet;

use super::cleartext_leak::{flow, is_tunnel};
use super::select::{WINDOW, after_silence, analysis_for, at};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::filter::Filter;
use crate::schema::{Args, Kind, Param};

/// `only-vpn-traffic`.
pub const SYMPTOM: Symptom = Symptom {
    code: "only-vpn-traffic",
    meaning: "A public interface carries nothing but IKE, ESP, AH, address resolution and ICMP errors.",
    level: Level::Wire,
    sign: Sign::Health,
    rfc: &["RFC 4301 §5.1"],
    explain: "The check that tcpdump on an endpoint is for: everything there should be protocol 50 or 51, UDP/500 or UDP/4500. Anything \
        else is either a leak or a service that somebody must have decided on (a directory, an authentication server).",
    params: &[
        Param::required("at", Kind::Tap, "public interface"),
        Param::default(
            "allow",
            Kind::List(&Kind::Filter),
            "[]",
            "services that are there on purpose, e.g. `\"dns\"`, `\"tcp.port == 389\"`",
        ),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let records = at(evidence, args, "at");
    let filters: Vec<Filter> = match args.texts("allow").iter().map(|t| Filter::parse(t)).collect() {
        Ok(filters) => filters,
        Err(e) => return Finding::Inconclusive(format!("a filter of `allow` is wrong: {e}")),
    };
    let analysis = analysis_for(evidence.capture, &filters);
    let on_purpose = |r: &Record| filters.iter().any(|f| f.matches(r, &analysis));
    let offenders: Vec<&&Record> = records.iter().filter(|r| !allowed(r) && !on_purpose(r)).collect();
    if offenders.is_empty() {
        let proof = Proof::new(format!("{} packets, all of them IKE, ESP, AH, address resolution or ICMP errors", records.len()), []);
        return after_silence(evidence, WINDOW, !records.is_empty(), proof);
    }
    let flows: BTreeSet<String> = offenders.iter().map(|r| flow(r)).collect();
    let text = format!("other traffic: {}", flows.into_iter().take(8).collect::<Vec<_>>().join("; "));
    Finding::Fails(Proof::new(text, offenders.iter().map(|r| r.frame.number).collect::<Vec<_>>()))
}

fn allowed(r: &Record) -> bool {
    let Some(ip) = r.ip() else { return true };
    if ip.is_fragment() && ip.fragment_offset > 0 {
        // A later fragment shows no ports; the first one is judged.
        return matches!(ip.protocol, 17 | 50 | 51);
    }
    if is_tunnel(r) {
        return true;
    }
    match r.icmp() {
        Some(i) if i.v6 => i.kind < 128 || (130..=137).contains(&i.kind) || i.kind == 143,
        Some(i) => matches!(i.kind, 3 | 4 | 5 | 11 | 12),
        None => ip.protocol == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 1] = [("at", "west.wan")];

    #[test]
    fn nothing_else() {
        let mut story = Story::new();
        story.ask_at_end("only-vpn-traffic", &ARGS, 0).fails();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        story.esp(1, "west.wan", WEST, EAST, 1, 1);
        story.keepalive(2, "west.wan", WEST, EAST);
        story.frag_needed(3, "west.wan", "192.0.2.254", WEST, 1300);
        story.script_ends(5);
        story.ask("only-vpn-traffic", &ARGS, 10).open(Some(505), true);
        story.ask("only-vpn-traffic", &ARGS, 505).holds();
        story.lost = 1;
        story.ask_at_end("only-vpn-traffic", &ARGS, 505).inconclusive();
        story.udp(600, "west.wan", (WEST, 4000), (EAST, 53), b"?");
        assert_eq!(story.ask("only-vpn-traffic", &ARGS, 600).fails().frames, [5]);
        story.lost = 0;
        story.ask("only-vpn-traffic", &[ARGS[0], ("allow", "['udp.port == 53']")], 600).holds();
    }
}
