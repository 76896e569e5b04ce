//! The tunnel comes back.

use std::collections::BTreeSet;

use super::select::{at, by_then, moment, not_happened};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Kind, Param};
use std::time::Duration;

/// `reestablished`.
pub const SYMPTOM: Symptom = Symptom {
    code: "reestablished",
    meaning: "After an event there is a new IKE SA, and ESP flows both ways on new SPIs.",
    level: Level::Wire,
    sign: Sign::Either,
    rfc: &["RFC 7296 §2.4", "RFC 3706"],
    explain: "A gateway that notices that its peer is gone begins anew: new IKE SPIs, new ESP SPIs, and data in both directions again. The \
        time it takes is the liveness interval plus the retransmissions before the peer is given up.",
    params: &[
        Param::required("after", Kind::Text, "fault or step"),
        Param::required("within", Kind::Duration, "at the latest this long after it"),
        Param::required("at", Kind::Tap, "where it is seen"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let within = args.duration("within").unwrap_or(Duration::from_secs(10));
    let after = args.text("after").unwrap_or_default();
    let Some(event) = moment(evidence, after) else { return not_happened(evidence, after) };
    let (mut old_ike, mut old_esp) = (BTreeSet::new(), BTreeSet::new());
    let (mut new_ike, mut directions, mut frames) = (None, BTreeSet::new(), Vec::new());
    for r in at(evidence, args, "at") {
        let new = r.frame.time >= event;
        if let Some(ike) = r.ike() {
            if !new {
                old_ike.insert(ike.message.spi_i);
            } else if !old_ike.contains(&ike.message.spi_i) && new_ike.is_none() {
                new_ike = Some(r.frame.time);
                frames.push(r.frame.number);
            }
        }
        if let (Some(esp), Some(ip)) = (r.esp(), r.ip()) {
            if !new {
                old_esp.insert(esp.spi);
            } else if new_ike.is_some() && !old_esp.contains(&esp.spi) && directions.insert(ip.dst) {
                frames.push(r.frame.number);
                if directions.len() == 2 {
                    let took = r.frame.time.since(event);
                    let proof = Proof::new(format!("new IKE SA and ESP both ways {:.1} s after `{after}`", took.as_secs_f64()), frames);
                    return if took <= within { Finding::Holds(proof) } else { Finding::Fails(proof) };
                }
            }
        }
    }
    let text = if new_ike.is_some() { "a new IKE SA began, but ESP does not flow both ways" } else { "no new IKE SA" };
    // `within` decides, not the end of traffic: the gateway may still be counting its retransmissions.
    let text = format!("{text}, within {:.1} s of `{after}`", within.as_secs_f64());
    by_then(evidence, Some(event + within), false, Proof::new(text, frames))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 3] = [("after", "restart"), ("within", "5s"), ("at", "west.wan")];

    fn cut() -> Story {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        story.esp(1, "west.wan", WEST, EAST, 1, 1);
        story.fault(1000, "restart");
        story
    }

    fn again(story: &mut Story, time: i64) {
        story.ike(time, "west.wan", WEST, EAST, &Msg::v2(34, 0).spis(0x77, 0));
        story.esp(time, "west.wan", WEST, EAST, 8, 1);
        story.esp(time, "west.wan", EAST, WEST, 9, 1);
    }

    #[test]
    fn new_spis_and_data_both_ways() {
        let mut story = cut();
        story.esp(1500, "west.wan", WEST, EAST, 1, 2);
        story.script_ends(2000);
        // Traffic has long ended, but the time has not passed.
        story.ask("reestablished", &ARGS, 4000).open(Some(6000), false);
        again(&mut story, 5000);
        assert_eq!(story.ask("reestablished", &ARGS, 5001).holds().frames, [4, 5, 6]);
    }

    #[test]
    fn too_late_never_or_without_the_event() {
        let mut story = cut();
        assert!(story.ask("reestablished", &ARGS, 6000).fails().text.contains("no new IKE SA"));
        again(&mut story, 6500);
        story.ask("reestablished", &ARGS, 6600).fails();
        story.lost = 1;
        cut().ask("reestablished", &ARGS, 1100).open(Some(6000), false);
        let mut lossy = cut();
        lossy.lost = 1;
        lossy.ask_at_end("reestablished", &ARGS, 6000).inconclusive();
        story.events.clear();
        story.lost = 0;
        story.ask_at_end("reestablished", &ARGS, 6600).fails();
    }
}
