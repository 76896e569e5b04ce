//! How a traffic step ended, as its user saw it.

use super::select::step_result;
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::event::StepResult;
use crate::schema::{Args, Kind, Param};
use peer::Outcome;
use runtime::ProbeOutcome;

/// Words of [`runtime::ProbeOutcome`].
const OUTCOMES: &[&str] = &["ok", "partial", "timeout", "refused", "unreachable", "denied", "no-such-name", "no-route", "error"];

/// `probe`.
pub const SYMPTOM: Symptom = Symptom {
    code: "probe",
    meaning: "A traffic step ended like this.",
    level: Level::Application,
    sign: Sign::Either,
    rfc: &[],
    explain: "What the user sees: an answer, a timeout, a refusal. It says that something is wrong, not what; the other symptoms do.\n\
        `unreachable` is what the network says (an ICMP error); with `no-route` nothing has left the node itself. No symptom can be judged \
        on traffic that did not happen, so a side with such a step is inconclusive, unless the scenario expects just that of the step.",
    params: &[
        Param::required("step", Kind::Step, "which step"),
        Param::required("outcome", Kind::List(&Kind::Word(OUTCOMES)), "any of these"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let step = args.text("step").unwrap_or_default();
    let wanted = args.texts("outcome");
    let (word, detail) = match step_result(evidence, step) {
        None if evidence.complete => return Finding::Inconclusive(format!("step `{step}` has not ended")),
        None => return Finding::Open { until: None, so_far: (false, Proof::new(format!("step `{step}` has not ended"), [])) },
        Some(StepResult::Done) => ("ok".to_owned(), "done".to_owned()),
        Some(StepResult::Initiate(Outcome::Established)) => ("ok".to_owned(), "established".to_owned()),
        Some(StepResult::Initiate(Outcome::Failed { reason })) => ("refused".to_owned(), reason.clone()),
        Some(StepResult::Initiate(Outcome::Pending)) => ("timeout".to_owned(), "still trying".to_owned()),
        Some(StepResult::Probe(p)) if p.outcome == ProbeOutcome::Untried => {
            return Finding::Inconclusive(format!("step `{step}` could not be tried: {}", p.detail));
        }
        Some(StepResult::Probe(p)) => {
            let word = serde_json::to_value(p.outcome).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
            (word, p.detail.clone())
        }
    };
    let proof = Proof::new(format!("`{step}`: {word} ({detail}); wanted {}", wanted.join(" or ")), []);
    if wanted.contains(&word.as_str()) { Finding::Holds(proof) } else { Finding::Fails(proof) }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;
    use super::*;

    const ARGS: [(&str, &str); 2] = [("step", "ping"), ("outcome", "['timeout', 'unreachable']")];

    #[test]
    fn how_a_step_ended() {
        let mut story = Story::new();
        story.ask("probe", &ARGS, 0).open(None, false);
        story.ask_at_end("probe", &ARGS, 0).inconclusive();
        story.step_ended(5, "other", ProbeOutcome::Timeout);
        story.ask("probe", &ARGS, 6).open(None, false);
        story.step_ended(7, "ping", ProbeOutcome::Unreachable);
        assert!(story.ask("probe", &ARGS, 8).holds().text.contains("`ping`: unreachable (detail)"));
        story.ask("probe", &[ARGS[0], ("outcome", "['ok']")], 8).fails();
    }

    #[test]
    fn every_outcome_has_its_word() {
        use ProbeOutcome::*;
        for outcome in [Ok, Partial, Timeout, Refused, Unreachable, Denied, NoSuchName, Error] {
            let mut story = Story::new();
            story.step_ended(0, "ping", outcome);
            let any = format!("['{}']", OUTCOMES.join("', '"));
            story.ask("probe", &[ARGS[0], ("outcome", &any)], 1).holds();
        }
    }
}
