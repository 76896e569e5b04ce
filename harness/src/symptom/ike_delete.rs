//! An SA is deleted on purpose.

use std::collections::BTreeSet;
use std::time::Duration;

use wire::ike::Body;

use super::select::{WINDOW, after_silence, at, is_from, is_opaque};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// How exactly a delete must follow an idle time.
const TOLERANCE: Duration = Duration::from_millis(1500);

/// Data that was already on its way when the delete was sent.
const CROSSING: Duration = Duration::from_millis(200);

/// `ike-delete`.
pub const SYMPTOM: Symptom = Symptom {
    code: "ike-delete",
    meaning: "A gateway deletes an SA; perhaps always the same time after the last data.",
    level: Level::Keys,
    sign: Sign::Either,
    rfc: &["RFC 7296 §1.4.1", "RFC 2408 §5.15"],
    explain: "A delete is deliberate. When it always comes the same time after the last packet of data, an inactivity timer sent it; when it \
        comes the same time after set-up, a lifetime did. Without keys an informational exchange on an established SA, followed by \
        silence, is the best one can see.",
    params: &[
        Param::optional("by", Kind::Gateway, "who deletes; default: any gateway"),
        Param::required("at", Kind::Tap, "where it is seen"),
        Param::optional("after-idle", Kind::Duration, "this long after the last ESP packet, within 1.5 s"),
        Param::optional("after-up", Kind::Duration, "this long after the last message that negotiated an SA, within 1.5 s"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let named = args.text("by");
    let by = named.unwrap_or("a gateway");
    let sent_by = |r: &Record| named.is_none_or(|by| is_from(evidence, r, by));
    let (wanted, life) = (args.duration("after-idle"), args.duration("after-up"));
    let near_to = |wanted: Option<Duration>, is: Option<Duration>| wanted.is_none_or(|w| is.is_some_and(|d| d.abs_diff(w) <= TOLERANCE));
    let in_time = |idle: Option<Duration>, age: Option<Duration>| near_to(wanted, idle) && near_to(life, age);
    let (mut data, mut up) = (None, None);
    let mut spis = BTreeSet::new();
    let mut near = None;
    let mut opaque = 0;
    // The first encrypted informational message at the right time, as long as no data follows on the SAs of that time.
    let mut candidate: Option<(&Record, Proof)> = None;
    for r in at(evidence, args, "at") {
        if let Some(esp) = r.esp() {
            if candidate.as_ref().is_some_and(|(c, _)| spis.contains(&esp.spi) && r.frame.time.since(c.frame.time) > CROSSING) {
                candidate = None;
            }
            data = Some(r.frame.time);
            spis.insert(esp.spi);
        }
        if r.ike().is_some_and(|i| matches!((i.message.major(), i.message.exchange), (1, 32) | (2, 35 | 36))) {
            up = Some(r.frame.time);
        }
        let Some(ike) = r.ike().filter(|i| sent_by(r) && !i.message.is_response()) else { continue };
        let idle = data.map(|t| r.frame.time.since(t));
        let age = up.map(|t| r.frame.time.since(t));
        let shown = idle.map_or("without any data before".to_owned(), |d| format!("{:.2} s after the last data", d.as_secs_f64()));
        let shown = age.map_or(shown.clone(), |a| format!("{shown}, {:.2} s after an SA was negotiated", a.as_secs_f64()));
        if ike.message.payloads.iter().any(|p| matches!(p.body, Body::Delete { .. })) {
            let proof = Proof::new(format!("{by} deleted an SA {shown}"), [r.frame.number]);
            if in_time(idle, age) {
                return Finding::Holds(proof);
            }
            near = Some(proof);
        } else if is_opaque(&ike.message) && matches!((ike.message.major(), ike.message.exchange), (1, 5) | (2, 37)) {
            opaque += 1;
            if candidate.is_none() && in_time(idle, age) {
                let text = format!("no keys, but {by} sent an informational message {shown}, and no data followed on those SAs");
                candidate = Some((r, Proof::new(text, [r.frame.number])));
            }
        }
    }
    if opaque > 0 && near.is_none() {
        // A liveness check looks the same, and also comes when nothing else does.
        let checks = evidence
            .plan
            .gateways
            .iter()
            .filter(|g| named.is_none_or(|by| g.config.name == by))
            .any(|g| g.config.connections.iter().any(|c| c.dpd_delay.is_some()));
        let text = format!("{opaque} informational messages of {by} are encrypted and no keys are known");
        return match candidate {
            Some((_, proof)) if (wanted.is_some() || life.is_some()) && !checks => after_silence(evidence, WINDOW, true, proof),
            _ if evidence.complete => Finding::Inconclusive(text),
            _ => Finding::Open { until: None, so_far: (false, Proof::new(text, [])) },
        };
    }
    let nothing = || Proof::new(format!("{by} deleted nothing"), []);
    after_silence(evidence, WINDOW, false, near.unwrap_or_else(nothing))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;
    use super::*;

    const ARGS: [(&str, &str); 3] = [("by", "west"), ("at", "west.wan"), ("after-idle", "2s")];

    fn idle_for(time: i64, message: &Msg) -> Story {
        let mut story = Story::new();
        story.esp(0, "west.wan", WEST, EAST, 1, 1);
        story.ike(time, "west.wan", WEST, EAST, message);
        story
    }

    #[test]
    fn a_delete_after_the_idle_time() {
        let delete = Msg::v2(37, 2).delete();
        let found = idle_for(2300, &delete).ask("ike-delete", &ARGS, 2301);
        assert_eq!(found.holds().frames, [2]);
        assert!(found.holds().text.contains("2.30 s after the last data"));
        idle_for(300, &delete).ask("ike-delete", &ARGS[..2], 301).holds();
        let mut story = idle_for(300, &delete);
        story.script_ends(400);
        story.ask("ike-delete", &ARGS, 500).open(Some(900), false);
        assert_eq!(story.ask("ike-delete", &ARGS, 900).fails().frames, [2]);
        story.ask("ike-delete", &[("by", "east"), ARGS[1]], 900).fails();
        story.lost = 1;
        story.ask_at_end("ike-delete", &ARGS, 900).inconclusive();
    }

    #[test]
    fn a_delete_at_the_end_of_a_lifetime() {
        let mut story = Story::new();
        story.ike(0, "west.wan", EAST, WEST, &Msg::v2(35, 1).response());
        story.esp(9900, "west.wan", WEST, EAST, 1, 1);
        story.ike(10_050, "west.wan", WEST, EAST, &Msg::v2(37, 2).delete());
        let args = |life: &'static str| [ARGS[0], ARGS[1], ("after-up", life)];
        assert!(story.ask("ike-delete", &args("10s"), 10_060).holds().text.contains("10.05 s after an SA was negotiated"));
        story.ask_at_end("ike-delete", &args("5s"), 12_000).fails();
    }

    #[test]
    fn without_keys_only_the_time_and_the_silence_tell() {
        let mut story = idle_for(2300, &Msg::v2(37, 2).opaque());
        story.ask("ike-delete", &ARGS, 2400).open(None, true);
        story.script_ends(3000);
        assert!(story.ask("ike-delete", &ARGS, 3500).holds().text.starts_with("no keys"));
        // Without the time, or with liveness checks that look the same, nobody can say.
        story.ask_at_end("ike-delete", &ARGS[..2], 3500).inconclusive();
        let mut checked = idle_for(2300, &Msg::v2(37, 2).opaque());
        checked.plan.gateways[0].config.connections[0].dpd_delay = Some(Duration::from_secs(2));
        checked.ask("ike-delete", &ARGS, 3500).open(None, false);
        checked.ask_at_end("ike-delete", &ARGS, 3500).inconclusive();
        // Data went on: it was no delete.
        story.esp(3600, "west.wan", EAST, WEST, 1, 2);
        story.ask_at_end("ike-delete", &ARGS, 3700).inconclusive();
    }
}
