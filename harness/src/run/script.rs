//! The script of a side: faults that begin with it, traffic steps in order, then the health probes.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use peer::{Connection, GatewayEventKind, Outcome};
use tokio::task::JoinSet;

use super::lab::Lab;
use super::outcome::HealthReport;
use super::traffic::{health, steps};
use super::{attend, faults, tunnel};
use crate::event::{StepResult, What};
use crate::filter::{Analysis, Filter};
use crate::scenario::model::{Must, Step};
use crate::time::Timestamp;

/// Runs the script to its end.
pub async fn run(lab: Rc<Lab>) {
    let at_start = lab.faults.borrow().due_at_start();
    for index in at_start {
        faults::set(&lab, index).await;
    }
    lab.ledger.emit(What::Phase { name: "traffic".into() });
    // Given up with the script.
    let mut pending = JoinSet::new();
    let timed = lab.faults.borrow().due_after_time();
    for (index, delay) in timed {
        let lab = Rc::clone(&lab);
        pending.spawn_local(async move {
            tokio::time::sleep(delay).await;
            faults::set(&lab, index).await;
        });
    }
    for step in &lab.plan.steps {
        if step.background {
            let (lab, step) = (Rc::clone(&lab), step.clone());
            pending.spawn_local(async move { take(&lab, &step).await });
        } else {
            take(&lab, step).await;
        }
    }
    while let Some(task) = pending.join_next().await {
        if let Err(e) = task {
            lab.lives.task_died(&e.to_string());
            lab.look.notify_one();
        }
    }
    lab.ledger.emit(What::ScriptEnded);
    check_health(&lab).await;
}

/// Faults whose packet has just been seen.
pub fn set_faults_due_to_packets(lab: &Rc<Lab>) {
    let due = lab.faults.borrow_mut().due_after_packet(lab);
    for index in due {
        let set = Rc::clone(lab);
        lab.tasks.borrow_mut().spawn_local(async move { faults::set(&set, index).await });
    }
}

async fn take(lab: &Rc<Lab>, step: &Step) {
    lab.ledger.emit(What::StepStarted { step: step.name.clone() });
    let result = match step.action.as_str() {
        "initiate" => StepResult::Initiate(initiate(lab, step).await),
        "idle" => {
            tokio::time::sleep(step.args.duration("for").unwrap_or_default()).await;
            StepResult::Done
        }
        "await" => {
            await_packet(lab, step).await;
            StepResult::Done
        }
        action => StepResult::Probe(steps::run_probe(action, &step.args, &lab.plan, &*lab.world).await),
    };
    lab.ledger.emit(What::StepEnded { step: step.name.clone(), result });
    let due = lab.faults.borrow().due_after_step(&step.name);
    for index in due {
        faults::set(lab, index).await;
    }
}

async fn initiate(lab: &Rc<Lab>, step: &Step) -> Outcome {
    let name = step.args.text("gateway").unwrap_or_default();
    let peer = step.args.text("peer");
    let deadline = step.args.duration("deadline").unwrap_or(Duration::from_secs(8));
    let connection = lab.plan.gateway(name).and_then(|g| g.connections.iter().find(|c| peer.is_none_or(|p| c.peer == p)));
    let (Some(connection), Some(gateway)) = (connection, lab.gateways.get(name)) else {
        return Outcome::Failed { reason: format!("gateway `{name}` has no such connection") };
    };
    match gateway.lock().await.initiate(&connection.name, deadline).await {
        Ok(outcome) => {
            if outcome == Outcome::Established {
                await_peer(lab, connection, name, deadline).await;
            }
            outcome
        }
        Err(e) => {
            attend::blame(lab, name, &e).await;
            Outcome::Failed { reason: e.to_string() }
        }
    }
}

/// The initiator of IKEv1 has its child SAs before its last message has left: wait until the responder has as many, too.
async fn await_peer(lab: &Rc<Lab>, initiated: &Connection, initiator: &str, deadline: Duration) {
    let (peer, wanted) = (initiated.peer.as_str(), initiated.children().len());
    let towards = |connection: &str| {
        let connections = lab.plan.gateway(peer).map(|g| g.connections.as_slice()).unwrap_or_default();
        connections.iter().any(|c| c.name == connection && c.peer == initiator)
    };
    let up = |lab: &Lab| {
        let events = lab.ledger.events();
        // By SPI: the peer may have one child where we have two.
        let spis = events.iter().filter_map(|e| match &e.what {
            What::Gateway { gateway, what: GatewayEventKind::ChildUp { connection, spi_in, .. } } => {
                (gateway == peer && towards(connection)).then_some(*spi_in)
            }
            _ => None,
        });
        spis.collect::<BTreeSet<u32>>().len() >= wanted
    };
    let mut heard = lab.reports.subscribe();
    let waited = tokio::time::timeout(deadline, async {
        while !up(lab) {
            if heard.changed().await.is_err() {
                return;
            }
        }
    });
    if waited.await.is_err() {
        lab.ledger.emit(What::Note { text: format!("{peer} has not reported all child SAs with {initiator}") });
    }
}

async fn await_packet(lab: &Rc<Lab>, step: &Step) {
    let deadline = tokio::time::Instant::now() + step.args.duration("deadline").unwrap_or(Duration::from_secs(8));
    let Ok(filter) = Filter::parse(step.args.text("match").unwrap_or_default()) else { return };
    let analysis = Analysis::default();
    let mut arrivals = lab.arrivals.subscribe();
    let mut seen = 0;
    loop {
        {
            let judge = lab.judge.borrow();
            let capture = judge.capture();
            let tap = step.args.text("at").and_then(|t| capture.tap(t));
            let new = capture.records.get(seen..).unwrap_or_default();
            if new.iter().any(|r| Some(r.frame.tap) == tap && filter.matches(r, &analysis)) {
                return;
            }
            seen = capture.records.len();
        }
        if !matches!(tokio::time::timeout_at(deadline, arrivals.changed()).await, Ok(Ok(()))) {
            lab.ledger.emit(What::Note { text: format!("step `{}` waited in vain for `{}`", step.name, filter.text()) });
            return;
        }
    }
}

async fn check_health(lab: &Rc<Lab>) {
    let h = &lab.plan.health;
    if h.from.is_empty() || h.must == Must::Whatever {
        return;
    }
    lab.ledger.emit(What::Phase { name: "health".into() });
    let since = Timestamp::now();
    let probes = std::cell::RefCell::new(Vec::new());
    let ok = health::health(&lab.plan, &*lab.world, |what| {
        if let What::Health { probe, result } = &what {
            probes.borrow_mut().push((probe.clone(), result.clone()));
        }
        lab.ledger.emit(what);
    })
    .await;
    let probes = probes.into_inner();
    let words: Vec<String> = probes.iter().map(|(name, r)| format!("{name} {:?}", r.outcome).to_lowercase()).collect();
    wait_until_captured(lab, Timestamp::now()).await;
    let path = tunnel::inspect(lab.judge.borrow().capture(), &lab.plan, since);
    let (healthy, path) = match path {
        Ok(text) => (ok, text),
        Err(text) => (false, text),
    };
    let text = format!("{}; {path}", words.join(", "));
    *lab.health.borrow_mut() = Some(HealthReport { must: h.must, healthy, probes, text });
}

/// Waits until the capture has delivered what was sent before `time`. On a machine too busy for that the rest is judged without.
async fn wait_until_captured(lab: &Lab, time: Timestamp) {
    let mut arrivals = lab.arrivals.subscribe();
    let late = tokio::time::Instant::now() + Duration::from_secs(5);
    lab.wanted.set(lab.wanted.get().max(time));
    lab.look.notify_one();
    while lab.captured.get() < time {
        if !matches!(tokio::time::timeout_at(late, arrivals.changed()).await, Ok(Ok(()))) {
            return;
        }
    }
}
