//! The faults of a side: when each begins, who puts it in place, and whether it was proved to be in force.

use std::rc::Rc;

use super::attend::blame_end;
use super::flood::flood;
use super::lab::Lab;
use super::ledger::Ledger;
use super::outcome::{FaultReport, FaultState};
use crate::event::What;
use crate::filter::Filter;
use crate::scenario::model::{Fault, Plan, When};
use crate::world::build::World;
use crate::world::faults::{self, Evidence, InForce, Proved};
use crate::world::kernel::xfrm;

/// All faults of a side.
pub struct FaultBook {
    entries: Vec<Entry>,
}

struct Entry {
    fault: Fault,
    state: State,
    trigger: Option<(Filter, String, usize)>,
}

enum State {
    Waiting,
    Setting,
    Set(Box<dyn InForce>, String),
    Proved(String),
    Refused(String),
}

/// Who puts a fault in place.
fn is_network(action: &str) -> bool {
    !matches!(action, "service-stop" | "service-status" | "daemon-kill" | "daemon-stop" | "daemon-restart" | "config" | "ike-flood")
}

impl FaultBook {
    /// Nothing in place yet.
    pub fn new(plan: &Plan) -> FaultBook {
        let entries = plan.faults.iter().map(|fault| {
            let trigger = match &fault.when {
                // Checked when the scenario was loaded.
                When::Packet { filter, tap } => Filter::parse(filter).ok().map(|f| (f, tap.clone(), 0)),
                _ => None,
            };
            Entry { fault: fault.clone(), state: State::Waiting, trigger }
        });
        FaultBook { entries: entries.collect() }
    }

    /// Puts the network's faults that begin at once in place.
    pub fn set_network_faults(&mut self, world: &Rc<World>, plan: &Plan, ledger: &Ledger) {
        for e in &mut self.entries {
            if e.fault.when == When::Start && is_network(&e.fault.action) {
                e.state = network_fault(world, plan, &e.fault, ledger);
            }
        }
    }

    /// Faults that begin at the start and need gateways or services.
    pub fn due_at_start(&self) -> Vec<usize> {
        self.waiting(|f| f.when == When::Start)
    }

    /// Faults that begin when the step has ended.
    pub fn due_after_step(&self, step: &str) -> Vec<usize> {
        self.waiting(|f| matches!(&f.when, When::Step(s) if s == step))
    }

    /// Faults with a fixed delay.
    pub fn due_after_time(&self) -> Vec<(usize, std::time::Duration)> {
        let timed = self.entries.iter().enumerate().filter_map(|(i, e)| match e.fault.when {
            When::After(d) => Some((i, d)),
            _ => None,
        });
        timed.collect()
    }

    /// Faults whose packet has been seen.
    pub fn due_after_packet(&mut self, lab: &Lab) -> Vec<usize> {
        let judge = lab.judge.borrow();
        let capture = judge.capture();
        let analysis = crate::filter::Analysis::default();
        let mut due = Vec::new();
        for (i, e) in self.entries.iter_mut().enumerate() {
            if !matches!(e.state, State::Waiting) {
                continue;
            }
            let Some((filter, tap, seen)) = &mut e.trigger else { continue };
            let tap = capture.tap(tap);
            let new = capture.records.get(*seen..).unwrap_or_default();
            if new.iter().any(|r| Some(r.frame.tap) == tap && filter.matches(r, &analysis)) {
                due.push(i);
            }
            *seen = capture.records.len();
        }
        due
    }

    fn waiting(&self, due: impl Fn(&Fault) -> bool) -> Vec<usize> {
        let all = self.entries.iter().enumerate();
        all.filter(|(_, e)| matches!(e.state, State::Waiting) && due(&e.fault)).map(|(i, _)| i).collect()
    }

    /// Looks for proofs; returns whether every fault that was put in place is proved. `last`: what is missing now stays missing.
    pub fn prove(&mut self, lab: &Lab, last: bool) -> bool {
        let mut all = true;
        let judge = lab.judge.borrow();
        for e in &mut self.entries {
            let State::Set(in_force, latest) = &mut e.state else {
                all &= !matches!(e.state, State::Setting);
                continue;
            };
            match in_force.prove(&Evidence { world: &lab.world, capture: judge.capture() }) {
                Proved::Yes(proof) => {
                    lab.ledger.emit(What::FaultProved { fault: e.fault.name.clone(), proof: proof.clone() });
                    e.state = State::Proved(proof);
                }
                Proved::NotYet(why) => {
                    if last {
                        lab.ledger.emit(What::FaultUnproved { fault: e.fault.name.clone(), reason: why.clone() });
                    }
                    *latest = why;
                    // A remedy shows by what it does to the symptoms.
                    all &= e.fault.remedy;
                }
            }
        }
        all
    }

    /// For the side's report.
    pub fn report(&self) -> Vec<FaultReport> {
        let report = |e: &Entry| {
            let (state, text) = match &e.state {
                State::Waiting | State::Setting => (FaultState::NotDue, format!("its moment never came: {}", moment(&e.fault.when))),
                State::Set(_, why) => (FaultState::Unproved, format!("in place, but without effect: {why}")),
                State::Proved(proof) => (FaultState::Proved, proof.clone()),
                State::Refused(why) => (FaultState::Refused, why.clone()),
            };
            FaultReport { name: e.fault.name.clone(), action: e.fault.action.clone(), state, text, remedy: e.fault.remedy }
        };
        self.entries.iter().map(report).collect()
    }
}

fn moment(when: &When) -> String {
    match when {
        When::Start => "at the start".to_owned(),
        When::After(d) => format!("{} after the traffic's start", humantime::format_duration(*d)),
        When::Step(s) => format!("when step `{s}` has ended"),
        When::Packet { filter, tap } => format!("when `{filter}` is seen at {tap}"),
    }
}

fn network_fault(world: &Rc<World>, plan: &Plan, fault: &Fault, ledger: &Ledger) -> State {
    match faults::set(world, fault, plan) {
        Ok(in_force) => {
            ledger.emit(What::FaultSet { fault: fault.name.clone() });
            State::Set(in_force, "nothing was looked at yet".to_owned())
        }
        Err(refused) => {
            ledger.emit(What::FaultRefused { fault: fault.name.clone(), reason: refused.reason.clone() });
            State::Refused(refused.reason)
        }
    }
}

/// Puts fault number `index` in place now, if it has not been.
pub async fn set(lab: &Rc<Lab>, index: usize) {
    let fault = {
        let mut book = lab.faults.borrow_mut();
        let Some(entry) = book.entries.get_mut(index) else { return };
        if !matches!(entry.state, State::Waiting) {
            return;
        }
        entry.state = State::Setting;
        entry.fault.clone()
    };
    let state = if is_network(&fault.action) {
        network_fault(&lab.world, &lab.plan, &fault, &lab.ledger)
    } else {
        let result = match fault.action.as_str() {
            "service-stop" => service_stop(lab, &fault).await,
            "service-status" => service_status(lab, &fault).await,
            "config" => config(lab, &fault).await,
            "ike-flood" => flood(lab, &fault).await,
            _ => daemon(lab, &fault).await,
        };
        match result {
            Ok(proof) => {
                lab.ledger.emit(What::FaultSet { fault: fault.name.clone() });
                lab.ledger.emit(What::FaultProved { fault: fault.name.clone(), proof: proof.clone() });
                State::Proved(proof)
            }
            Err(reason) => {
                lab.ledger.emit(What::FaultRefused { fault: fault.name.clone(), reason: reason.clone() });
                State::Refused(reason)
            }
        }
    };
    if let Some(entry) = lab.faults.borrow_mut().entries.get_mut(index) {
        entry.state = state;
    }
    lab.look.notify_one();
}

async fn service_stop(lab: &Rc<Lab>, fault: &Fault) -> Result<String, String> {
    let name = fault.args.text("service").unwrap_or_default().to_owned();
    let stopped = lab.services.borrow_mut().stop(&name);
    if !stopped {
        return Err(format!("no service `{name}` was running"));
    }
    let probe = lab.services.borrow().probe_stopped(&name);
    match probe.await {
        true => Ok(format!("service `{name}` refuses a probe on its own node")),
        false => Err(format!("service `{name}` still answers a probe on its own node")),
    }
}

async fn service_status(lab: &Rc<Lab>, fault: &Fault) -> Result<String, String> {
    let name = fault.args.text("service").unwrap_or_default().to_owned();
    let status = fault.args.int("status").and_then(|n| u16::try_from(n).ok()).unwrap_or(403);
    if !lab.services.borrow().set_status(&name, status) {
        return Err(format!("no HTTP service `{name}` is running"));
    }
    let probe = lab.services.borrow().ask(&name);
    match probe.await {
        Some(line) if line.contains(&status.to_string()) => Ok(format!("service `{name}` answers a probe on its own node with {line}")),
        other => Err(format!("service `{name}` answers a probe on its own node with {other:?}")),
    }
}

async fn config(lab: &Rc<Lab>, fault: &Fault) -> Result<String, String> {
    let name = fault.args.text("at").unwrap_or_default();
    let gateway = lab.gateways.get(name).ok_or_else(|| format!("no gateway `{name}`"))?;
    let accepted = gateway.lock().await.accepted();
    let set = fault.args.table("set").map(super::judge::describe).unwrap_or_default();
    match accepted.as_slice() {
        [] => Err(format!("{name} has not confirmed any setting")),
        all => {
            let words: Vec<String> = all.iter().map(|a| format!("{}: {}", a.what, a.answer)).collect();
            Ok(format!("{name} runs with {set} and confirmed it ({})", words.join("; ")))
        }
    }
}

async fn daemon(lab: &Rc<Lab>, fault: &Fault) -> Result<String, String> {
    let name = fault.args.text("at").unwrap_or_default();
    let gateway = lab.gateways.get(name).ok_or_else(|| format!("no gateway `{name}`"))?;
    let mut gateway = gateway.lock().await;
    let before = gateway.life().ok_or_else(|| format!("{name}'s daemon was not running"))?;
    let process = gateway.pid();
    let kill = fault.action != "daemon-stop";
    lab.lives.asked(name);
    gateway.stop(kill).await.map_err(|e| blame_end(lab, name, &e))?;
    let there = process.is_some_and(|pid| std::path::Path::new(&format!("/proc/{pid}/root")).exists());
    if there || gateway.life().is_some() {
        return Err(format!("{before} is still there"));
    }
    let state = if kill { "killed" } else { "stopped" };
    lab.ledger.emit(What::Daemon { gateway: name.to_owned(), state: state.to_owned() });
    if fault.action != "daemon-restart" {
        return Ok(format!("{name}'s daemon was {state}: {before} is gone"));
    }
    // SAs in the kernel outlive a killed daemon, but not the reboot that this stands for.
    let node = lab.world.node(name).map_err(|e| e.to_string())?;
    node.run(xfrm::flush).and_then(|r| r).map_err(|e| format!("{name}'s kernel keeps its SAs: {e}"))?;
    gateway.restart().await.map_err(|e| blame_end(lab, name, &e))?;
    lab.lives.back(name);
    lab.ledger.emit(What::Daemon { gateway: name.to_owned(), state: "restarted".to_owned() });
    match gateway.life() {
        Some(now) if now != before => {
            Ok(format!("{name}'s daemon was killed ({before} is gone) and started again as {now}, without any SA"))
        }
        _ => Err(format!("{name}'s daemon did not come back")),
    }
}
