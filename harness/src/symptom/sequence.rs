//! Packets in an order.

use super::select::{WINDOW, after_silence, analysis_for, at};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::filter::Filter;
use crate::schema::{Args, Kind, Param};

/// `sequence`.
pub const SYMPTOM: Symptom = Symptom {
    code: "sequence",
    meaning: "Packets matching these filters were seen in this order.",
    level: Level::Wire,
    sign: Sign::Either,
    rfc: &[],
    explain: "Reads a capture as a dialogue: each filter must match a packet that comes after the previous filter's packet. Others may \
        lie between them. Where the dialogue breaks off is where to look.",
    params: &[Param::required("at", Kind::Tap, "where"), Param::required("of", Kind::List(&Kind::Filter), "filters, in order")],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let texts = args.texts("of");
    let filters: Vec<Filter> = match texts.iter().map(|t| Filter::parse(t)).collect() {
        Ok(filters) => filters,
        Err(e) => return Finding::Inconclusive(format!("a filter is wrong: {e}")),
    };
    if filters.is_empty() {
        return Finding::Inconclusive("no filters".to_owned());
    }
    let analysis = analysis_for(evidence.capture, &filters);
    let mut wanted = filters.iter().peekable();
    let mut frames = Vec::new();
    for record in at(evidence, args, "at") {
        let Some(filter) = wanted.peek() else { break };
        if filter.matches(record, &analysis) {
            frames.push(record.frame.number);
            wanted.next();
        }
    }
    let (done, all) = (frames.len(), filters.len());
    if done == all {
        return Finding::Holds(Proof::new(format!("all {all} steps were seen in order"), frames));
    }
    let missing = texts.get(done).copied().unwrap_or_default();
    let proof = Proof::new(format!("{done} of {all} steps were seen; then `{missing}` did not come"), frames);
    after_silence(evidence, WINDOW, false, proof)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const OF: &str = "['isakmp.exchangetype == 34', 'isakmp.exchangetype == 35', 'esp']";

    #[test]
    fn order_matters() {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(35, 1));
        story.ike(1, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        story.esp(2, "west.wan", WEST, EAST, 1, 1);
        let args = [("at", "west.wan"), ("of", OF)];
        assert!(story.ask("sequence", &args, 5).open(None, false).text.contains("1 of 3"));
        story.script_ends(10);
        assert!(story.ask("sequence", &args, 510).fails().text.contains("`isakmp.exchangetype == 35` did not come"));
        story.ike(520, "west.wan", WEST, EAST, &Msg::v2(35, 1));
        story.esp(530, "west.wan", WEST, EAST, 1, 2);
        assert_eq!(story.ask("sequence", &args, 540).holds().frames, [2, 4, 5]);
        story.ask("sequence", &[("at", "east.wan"), args[1]], 540).fails();
    }

    #[test]
    fn no_steps_at_all_prove_nothing() {
        Story::new().ask_at_end("sequence", &[("at", "west.wan"), ("of", "[]")], 5).inconclusive();
    }
}
