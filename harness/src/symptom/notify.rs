//! A notification of a certain type.

use wire::ike::names;

use super::select::{WINDOW, after_silence, at, is_from, is_opaque};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Kind, Param};
use wire::ike::Body;

/// `notify`.
pub const SYMPTOM: Symptom = Symptom {
    code: "notify",
    meaning: "A gateway sends a notification of this type.",
    level: Level::Keys,
    sign: Sign::Either,
    rfc: &["RFC 7296 §3.10.1", "RFC 2408 §3.14.1"],
    explain: "Notifications say what a gateway does not like: NO_PROPOSAL_CHOSEN (14), AUTHENTICATION_FAILED (24), TS_UNACCEPTABLE (38) \
        and others. Before keys are agreed they are readable by everybody, and can be forged by everybody; later they are inside the \
        encrypted part, and only a capture with keys shows them.",
    params: &[
        Param::required("type", Kind::Text, "number or name: `14`, `NO_PROPOSAL_CHOSEN`"),
        Param::required("by", Kind::Node, "who sends it"),
        Param::required("at", Kind::Tap, "where it is seen"),
        Param::optional("in-clear", Kind::Bool, "true: not encrypted; false: encrypted; default: either"),
        Param::optional("exchange", Kind::Int(0, 255), "only in this exchange type"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let wanted = args.text("type").unwrap_or_default();
    let by = args.text("by").unwrap_or_default();
    let in_clear = args.get("in-clear").map(|_| args.flag("in-clear"));
    let exchange = args.int("exchange");
    let mut near = Vec::new();
    let mut others: Vec<String> = Vec::new();
    let mut opaque = 0;
    for r in at(evidence, args, "at") {
        let Some(ike) = r.ike() else { continue };
        let m = &ike.message;
        if !is_from(evidence, r, by) || exchange.is_some_and(|x| x != i64::from(m.exchange)) {
            continue;
        }
        opaque += usize::from(is_opaque(m));
        for p in &m.payloads {
            let Body::Notify { kind, .. } = &p.body else { continue };
            let name = names::notify(m.major(), *kind).unwrap_or("unknown");
            if in_clear.is_none_or(|clear| clear != p.inner) && is(wanted, *kind, name) {
                let text = format!("{by} sent {name} ({kind}){}", if p.inner { ", encrypted" } else { ", in clear" });
                return Finding::Holds(Proof::new(text, [r.frame.number]));
            }
            others.push(format!("{name} ({kind})"));
        }
        near.push(r.frame.number);
    }
    others.sort();
    others.dedup();
    let others = if others.is_empty() { "no notification at all".to_owned() } else { others.join(", ") };
    if opaque > 0 && in_clear != Some(true) {
        let text = format!("{opaque} messages of {by} are encrypted and no keys are known; the readable ones carry {others}");
        // Keys may come as late as the end of the run.
        return match evidence.complete {
            true => Finding::Inconclusive(text),
            false => Finding::Open { until: None, so_far: (false, Proof::new(text, near)) },
        };
    }
    after_silence(evidence, WINDOW, false, Proof::new(format!("{by} sent {others}; no {wanted}"), near))
}

/// By number, or by name whatever its spelling: IKEv1 writes NO-PROPOSAL-CHOSEN, IKEv2 NO_PROPOSAL_CHOSEN.
fn is(wanted: &str, kind: u16, name: &str) -> bool {
    let plain = |s: &str| s.replace('-', "_").to_ascii_uppercase();
    wanted.parse() == Ok(kind) || plain(wanted) == plain(name)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 3] = [("type", "no_proposal_chosen"), ("by", "east"), ("at", "west.wan")];

    #[test]
    fn by_name_or_number_in_either_version() {
        for message in [Msg::v2(34, 0).response(), Msg::v1(5, 1)] {
            let mut story = Story::new();
            story.ike(0, "west.wan", EAST, WEST, &message.notify(false, 14, &[]));
            assert_eq!(story.ask("notify", &ARGS, 5).holds().frames, [1]);
            story.ask("notify", &[("type", "14"), ARGS[1], ARGS[2], ("in-clear", "true")], 5).holds();
            story.ask("notify", &[ARGS[0], ARGS[1], ARGS[2], ("in-clear", "false")], 5).open(None, false);
            story.ask("notify", &[ARGS[0], ("by", "west"), ARGS[2]], 5).open(None, false);
            story.ask("notify", &[ARGS[0], ARGS[1], ARGS[2], ("exchange", "36")], 5).open(None, false);
        }
    }

    #[test]
    fn another_notification_fails_after_silence() {
        let mut story = Story::new();
        story.ike(0, "west.wan", EAST, WEST, &Msg::v2(35, 1).response().notify(true, 24, &[]));
        story.script_ends(10);
        story.ask("notify", &ARGS, 20).open(Some(510), false);
        assert!(story.ask("notify", &ARGS, 510).fails().text.contains("east sent AUTHENTICATION_FAILED (24)"));
    }

    #[test]
    fn what_cannot_be_read_decides_nothing() {
        let mut story = Story::new();
        story.ike(0, "west.wan", EAST, WEST, &Msg::v2(35, 1).response().opaque());
        story.script_ends(10);
        // The keys may still come.
        story.ask("notify", &ARGS, 5000).open(None, false);
        assert!(story.ask_at_end("notify", &ARGS, 5000).inconclusive().contains("1 messages of east are encrypted"));
        story.ask_at_end("notify", &[ARGS[0], ARGS[1], ARGS[2], ("in-clear", "true")], 5000).fails();
    }
}
