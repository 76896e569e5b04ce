//! Traffic that did not happen: steps whose first packet never left the node. Nothing can be judged on it.

use peer::Outcome;
use runtime::{ProbeOutcome, ProbeResult};

use super::outcome::HealthReport;
use crate::dissect::Capture;
use crate::event::{Event, StepResult, What};
use crate::scenario::model::{Must, Plan, Step};
use crate::schema::{Args, Value};

/// The outcome of such a probe, as scenarios write it.
const NO_ROUTE: &str = "no-route";

/// Why a side proves nothing, if a step of it, or its health probe, did not send anything, and the scenario does not expect that.
pub fn mistake(plan: &Plan, events: &[Event], capture: &Capture, health: Option<&HealthReport>) -> Option<String> {
    let of_steps = events.iter().filter_map(|e| match &e.what {
        What::StepEnded { step, result } => plan.steps.iter().find(|s| s.name == *step).map(|s| (s, result)),
        _ => None,
    });
    let mut all = of_steps.filter_map(|(step, result)| match result {
        StepResult::Probe(probe) => of_probe(plan, step, probe),
        StepResult::Initiate(outcome) => of_initiate(plan, step, outcome, capture),
        StepResult::Done => None,
    });
    all.next().or_else(|| of_health(plan, health?))
}

fn of_probe(plan: &Plan, step: &Step, probe: &ProbeResult) -> Option<String> {
    if probe.outcome != ProbeOutcome::NoRoute || expected(plan, Some(&step.name)) {
        return None;
    }
    let (name, from) = (&step.name, step.args.text("from").unwrap_or_default());
    let to = step.args.text("to").or(step.args.text("server")).unwrap_or_default();
    let addr = plan.host(to).map(|(addr, _)| addr.to_string()).filter(|a| a != to).map(|a| format!(" ({a})")).unwrap_or_default();
    Some(format!(
        "step `{name}` (line {}): {from} sent nothing to {to}{addr}: {}; traffic that did not happen proves nothing. Name a target that \
         {from} has a route to, or expect `symptom.probe = {{ step = \"{name}\", outcome = [\"{NO_ROUTE}\"] }}`",
        step.line, probe.detail
    ))
}

/// A gateway that nobody hinders and that says nothing at all.
fn of_initiate(plan: &Plan, step: &Step, outcome: &Outcome, capture: &Capture) -> Option<String> {
    let gateway = step.args.text("gateway").unwrap_or_default();
    let hindered = || plan.faults.iter().any(|f| !f.remedy && concerns(&f.args, gateway));
    let spoke = || {
        let own = |addr| plan.network.owner(addr) == Some(gateway);
        capture.records.iter().any(|r| r.ike().is_some() && r.ip().is_some_and(|ip| own(ip.src)))
    };
    if matches!(outcome, Outcome::Established) || hindered() || spoke() {
        return None;
    }
    let why = if let Outcome::Failed { reason } = outcome { format!(": {reason}") } else { String::new() };
    Some(format!("step `{}`: {gateway} sent no IKE message{why}; traffic that did not happen proves nothing", step.name))
}

fn of_health(plan: &Plan, health: &HealthReport) -> Option<String> {
    let sent = health.probes.iter().any(|(_, p)| p.outcome != ProbeOutcome::NoRoute);
    if health.must != Must::Vanish || health.probes.is_empty() || sent || expected(plan, None) {
        return None;
    }
    let (from, to, detail) = (&plan.health.from, &plan.health.to, &health.probes[0].1.detail);
    Some(format!("health: {from} sent nothing to {to}: {detail}; that it gets no answer proves nothing. Name other hosts in `[health]`"))
}

/// Does the scenario expect of the step, or of any, that it sends nothing?
fn expected(plan: &Plan, step: Option<&str>) -> bool {
    let of = |args: &Args| step.is_none_or(|name| args.text("step") == Some(name)) && args.texts("outcome").contains(&NO_ROUTE);
    plan.expects.iter().any(|e| e.symptom == "probe" && of(&e.args))
}

/// Does a fault's argument name the node, or an interface of it?
fn concerns(args: &Args, node: &str) -> bool {
    args.0.values().any(|value| match value {
        Value::Text(text) => text.split('.').next() == Some(node),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::scenario::model::Expect;
    use crate::symptom::testkit::{EAST, Msg, Story, WEST};

    fn story() -> Story {
        let mut story = Story::new();
        let step =
            |name: &str, action: &str, args: Args| Step { name: name.into(), action: action.into(), args, background: false, line: 7 };
        let text = |s: &str| Value::Text(s.to_owned());
        story.plan.steps = vec![
            step("initiate", "initiate", Args::default().with("gateway", text("west"))),
            step("ping", "ping", Args::default().with("from", text("west")).with("to", text("bob"))),
        ];
        story
    }

    fn found(story: &Story) -> Option<String> {
        mistake(&story.plan, &story.events, &story.capture, None)
    }

    #[test]
    fn a_step_without_a_route_is_a_mistake_unless_it_is_expected() {
        let mut story = story();
        story.step_ended(5, "ping", ProbeOutcome::Unreachable);
        assert_eq!(found(&story), None, "the network said so");
        story.step_ended(6, "ping", ProbeOutcome::NoRoute);
        let text = found(&story).unwrap_or_default();
        assert!(text.starts_with("step `ping` (line 7): west sent nothing to bob (10.2.0.10): detail; "), "{text}");
        let outcome = Value::List(vec![Value::Text("timeout".into()), Value::Text(NO_ROUTE.into())]);
        let expect = |step: &str| {
            let args = Args::default().with("step", Value::Text(step.into())).with("outcome", outcome.clone());
            Expect { symptom: "probe".into(), args, must: Must::Vanish, line: 1 }
        };
        story.plan.expects = vec![expect("other")];
        assert!(found(&story).is_some());
        story.plan.expects.push(expect("ping"));
        assert_eq!(found(&story), None);
    }

    #[test]
    fn a_gateway_that_says_nothing_has_begun_nothing() {
        let mut story = story();
        let result = StepResult::Initiate(Outcome::Pending);
        story.event(5, What::StepEnded { step: "initiate".into(), result });
        assert_eq!(found(&story).as_deref(), Some("step `initiate`: west sent no IKE message; traffic that did not happen proves nothing"));
        story.ike(1, "west.wan", EAST, WEST, &Msg::v2(34, 0));
        assert!(found(&story).is_some(), "the other side did");
        let fault = |at: &str| crate::scenario::model::Fault {
            name: "f".into(),
            action: "link-down".into(),
            args: Args::default().with("at", Value::Text(at.into())),
            when: crate::scenario::model::When::Start,
            remedy: false,
            line: 1,
        };
        story.plan.faults = vec![fault("mid.left")];
        assert!(found(&story).is_some());
        story.plan.faults.push(fault("west.wan"));
        assert_eq!(found(&story), None);
        story.plan.faults.clear();
        story.ike(2, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        assert_eq!(found(&story), None);
    }

    #[test]
    fn health_that_was_never_tried_is_not_absent() {
        let story = story();
        let result = |outcome| ProbeResult { outcome, sent: 0, received: 0, elapsed: Duration::ZERO, detail: "d".into() };
        let health = |outcomes: [ProbeOutcome; 2], must| HealthReport {
            must,
            healthy: false,
            probes: outcomes.map(|o| ("ping".to_owned(), result(o))).to_vec(),
            text: String::new(),
        };
        let found = |h: HealthReport| mistake(&story.plan, &[], &story.capture, Some(&h)).is_some();
        assert!(found(health([ProbeOutcome::NoRoute; 2], Must::Vanish)));
        assert!(!found(health([ProbeOutcome::NoRoute, ProbeOutcome::Timeout], Must::Vanish)));
        assert!(!found(health([ProbeOutcome::NoRoute; 2], Must::Hold)), "the verdict says it");
    }
}
