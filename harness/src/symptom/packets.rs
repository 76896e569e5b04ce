//! How many packets match a filter.

use super::select::{Since, WINDOW, after_silence, matching, numbers};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::filter::Filter;
use crate::schema::{Args, Kind, Param};

/// `packets`.
pub const SYMPTOM: Symptom = Symptom {
    code: "packets",
    meaning: "A display filter selects so many packets.",
    level: Level::Wire,
    sign: Sign::Either,
    rfc: &[],
    explain: "The plainest statement about a capture: a Wireshark display filter, a tap, and how many packets it must select.\n\
        Paste the filter into Wireshark on the capture of the run and you see the same frames. A count of 0 (or any upper bound) is \
        only believed after a window of silence, and not at all when the capture lost packets.",
    params: &[
        Param::required("match", Kind::Filter, "which packets"),
        Param::optional("at", Kind::Tap, "where; default: anywhere"),
        Param::default("count", Kind::Count, "\">= 1\"", "how many"),
        Param::optional("since", Kind::Text, "only packets after this fault was put in place, or this step ended"),
        Param::default("window", Kind::Duration, "\"500ms\"", "silence after the end of all traffic that counts as absence"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let Some(count) = args.count("count") else { return Finding::Inconclusive("no count".to_owned()) };
    let filter = args.text("match").unwrap_or_default();
    if let Err(e) = Filter::parse(filter) {
        return Finding::Inconclusive(format!("the filter `{filter}` is wrong: {e}"));
    }
    let since = Since::of(args, evidence);
    if let Since::NotYet(finding) = since {
        return finding;
    }
    let mut found = matching(evidence, Some(filter), args.text("at"));
    found.retain(|r| since.covers(r));
    let n = found.len() as u64;
    let place = args.text("at").map(|t| format!(" at {t}")).unwrap_or_default();
    let proof = Proof::new(format!("{n} packets match `{filter}`{place}; wanted {count}"), numbers(&found));
    if count.max.is_some_and(|max| n > max) {
        return Finding::Fails(proof);
    }
    if count.contains(n) && count.only_grows() {
        return Finding::Holds(proof);
    }
    after_silence(evidence, args.duration("window").unwrap_or(WINDOW), count.contains(n), proof)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    fn story() -> Story {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        story.ike(300, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        story
    }

    #[test]
    fn a_lower_bound_holds_at_once_and_an_upper_one_after_silence() {
        let mut story = story();
        let any = [("match", "isakmp"), ("at", "west.wan")];
        assert_eq!(story.ask("packets", &any, 400).holds().frames, [1, 2]);
        let two = [any[0], any[1], ("count", "2")];
        story.ask("packets", &two, 400).open(None, true);
        story.script_ends(1000);
        story.ask("packets", &two, 1100).open(Some(1500), true);
        assert!(story.ask("packets", &two, 1500).holds().text.contains("2 packets match `isakmp` at west.wan"));
        story.ask("packets", &[any[0], any[1], ("count", "1")], 400).fails();
        story.ask("packets", &[any[0], any[1], ("count", ">= 3")], 1500).fails();
    }

    #[test]
    fn absence_is_not_believed_when_the_capture_lost_packets() {
        let mut story = story();
        story.script_ends(1000);
        let none = [("match", "esp"), ("count", "0")];
        story.ask_at_end("packets", &none, 2000).holds();
        story.lost = 3;
        assert!(story.ask_at_end("packets", &none, 2000).inconclusive().contains("lost 3 packets"));
        story.ask_at_end("packets", &[("match", "isakmp")], 2000).holds();
    }

    #[test]
    fn nothing_after_an_event_that_never_happened_proves_nothing() {
        let mut story = story();
        let none = [("match", "isakmp"), ("count", "0"), ("since", "power-cut")];
        story.ask("packets", &none, 400).open(None, false);
        story.script_ends(1000);
        assert!(story.ask("packets", &none, 1500).fails().text.contains("`power-cut` has not happened"));
        story.fault(200, "power-cut");
        story.ask("packets", &none, 1500).fails();
        story.events[1].time = ms(301);
        story.ask("packets", &none, 1500).holds();
    }

    #[test]
    fn fields_that_name_taps_work() {
        story().ask("packets", &[("match", "faultlab.tap == \"west.wan\""), ("count", ">= 2")], 400).holds();
        story().ask("packets", &[("match", "faultlab.retransmission"), ("count", ">= 1")], 400).holds();
    }
}
