//! No sign of a failure may hold in a healthy tunnel: judges the captures of a control, with whatever the parameters can name.

mod capture;
mod values;

use std::collections::BTreeSet;

use faultlab::report::ScenarioResult;
use faultlab::run::judge::describe;
use faultlab::scenario::model::Plan;
use faultlab::schema::{Args, Value};
use faultlab::symptom::{self, Evidence, Finding, Sign, Symptom};
use libtest_mimic::Failed;

/// Every failure that a symptom sees in what a control has left.
pub fn failures(plan: &Plan, result: &ScenarioResult) -> Result<Vec<String>, Failed> {
    let mut seen = Vec::new();
    for side in &result.sides {
        let run = capture::read(side)?;
        let evidence = Evidence { capture: &run.capture, events: &run.events, plan, now: run.end, complete: true, lost: side.lost };
        for symptom in symptom::all() {
            for args in questions(symptom, &evidence) {
                if let Finding::Holds(proof) = (symptom.judge)(&args, &evidence) {
                    seen.push(format!("{} {} holds: {}; frames {:?}", symptom.code, describe(&args), proof.text, proof.frames));
                }
            }
        }
    }
    Ok(seen)
}

/// What to ask of a symptom, so that to hold would mean a failure.
fn questions(symptom: &Symptom, evidence: &Evidence<'_>) -> Vec<Args> {
    let bad = values::of_failures(symptom.code, evidence);
    if symptom.sign != Sign::Failure && bad.is_none() {
        return Vec::new();
    }
    let mut all = vec![symptom.defaults()];
    for param in symptom.params {
        let named = bad.as_ref().filter(|(key, _)| *key == param.name).map(|(_, values)| values.clone());
        let values = named.unwrap_or_else(|| values::of(symptom, param, evidence));
        // A key that may be absent is also left out.
        let absent = (!param.required).then_some(None);
        let choices: Vec<Option<Value>> = absent.into_iter().chain(values.into_iter().map(Some)).collect();
        let with = |args: &Args, choice: &Option<Value>| match choice {
            Some(value) => args.clone().with(param.name, value.clone()),
            None => args.clone(),
        };
        all = all.iter().flat_map(|args| choices.iter().map(move |c| with(args, c))).collect();
    }
    let mut asked = BTreeSet::new();
    all.retain(|args| values::sensible(symptom, args, evidence.plan) && asked.insert(describe(args)));
    all
}
