//! Hears what happens to the gateways of a running side, and asks them a last time when it is concluded.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use peer::{DriverError, GatewayEvent, GatewayEventKind};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout, timeout_at};

use super::lab::Lab;
use super::ledger::Ledger;
use super::lives::Lives;
use super::outcome::Trouble;
use super::{evidence, panics, shortage};
use crate::event::What;
use crate::time::Timestamp;

/// For an earlier request to be over: longer than a daemon may take to end and to start again.
const FREE: Duration = Duration::from_secs(45);
/// From a broken connection to the end of the process behind it.
const END: Duration = Duration::from_secs(2);

/// Takes what a gateway said.
pub fn hear(lab: &Lab, event: GatewayEvent) {
    note(&lab.lives, &lab.ledger, event);
    lab.reports.send_modify(|n| *n += 1);
}

/// Takes what the gateways said that were to start, one of which did not; returns the trouble when a daemon's end was the reason.
pub fn hear_of_the_start(lives: &Lives, ledger: &Ledger, events: &mut UnboundedReceiver<GatewayEvent>) -> Option<Trouble> {
    waiting(events).for_each(|event| note(lives, ledger, event));
    lives.trouble().clone()
}

fn note(lives: &Lives, ledger: &Ledger, event: GatewayEvent) {
    if let GatewayEventKind::Exited { status, killed, last } = &event.what {
        lives.ended(&event.gateway, status, *killed, last, Timestamp::now());
    }
    ledger.emit(What::Gateway { gateway: event.gateway, what: event.what });
}

/// Says of a request that failed whose doing it was, unless the daemon is down because the plan wants it, or the machine ran short. What
/// breaks a connection mostly is the daemon's end, which is told in a moment.
pub async fn blame(lab: &Lab, gateway: &str, e: &DriverError) {
    if is_told(lab, e) || lab.lives.is_down(gateway) {
        return;
    }
    if matches!(e, DriverError::Died { .. } | DriverError::Io { .. }) {
        let mut heard = lab.reports.subscribe();
        let until = Instant::now() + END;
        while !lab.lives.is_mute(gateway) && matches!(timeout_at(until, heard.changed()).await, Ok(Ok(()))) {}
    }
    accuse(lab, gateway, e);
}

/// Says of a daemon that would not end, or not start again, as a fault wants it, whose doing it was; returns the error in words.
pub fn blame_end(lab: &Lab, gateway: &str, e: &DriverError) -> String {
    if !is_told(lab, e) {
        accuse(lab, gateway, e);
    }
    e.to_string()
}

/// Returns whether the machine, which is noted then, or a refusal is the reason, so that the daemon is not to blame.
fn is_told(lab: &Lab, e: &DriverError) -> bool {
    shortage::note(&lab.ledger, e) || matches!(e, DriverError::Refused { .. } | DriverError::Missing(_))
}

fn accuse(lab: &Lab, gateway: &str, e: &DriverError) {
    lab.lives.failed(gateway, e);
    lab.look.notify_one();
}

/// Looks after services and our own tasks.
pub fn tasks_and_services(lab: &Lab) {
    while let Some(task) = lab.tasks.borrow_mut().try_join_next() {
        if let Err(e) = task {
            lab.lives.task_died(&e.to_string());
        }
    }
    if let Some((service, e)) = lab.services.borrow_mut().ended() {
        lab.lives.service_ended(service, &e);
    }
}

/// Tells of child processes that are stopped, at once and without looking at them.
pub struct Stops {
    /// Where the system refuses it, daemons that are stopped are found when they are asked a last time.
    children: Option<Signal>,
    /// Daemons' processes and their gateways, as far as known.
    daemons: BTreeMap<u32, String>,
}

impl Stops {
    /// From now on.
    pub fn watch(lab: &Lab) -> Stops {
        let mut stops = Stops { children: signal(SignalKind::child()).ok(), daemons: BTreeMap::new() };
        // Also those that were stopped while they started.
        stops.look(lab);
        stops
    }

    fn learn(&mut self, lab: &Lab) {
        // One that is busy with a request is known from before.
        let free = lab.gateways.iter().filter_map(|(name, gateway)| Some((gateway.try_lock().ok()?.pid()?, name.clone())));
        self.daemons.extend(free);
    }

    /// Waits until something has happened to a child process.
    pub async fn next(&mut self) {
        match &mut self.children {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }

    /// Takes note of those that have been stopped since the last time.
    pub fn look(&mut self, lab: &Lab) {
        self.learn(lab);
        while let Ok(WaitStatus::Stopped(pid, signal)) = waitid(Id::All, WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG) {
            let gateway = u32::try_from(pid.as_raw()).ok().and_then(|pid| self.daemons.get(&pid));
            if let Some(gateway) = gateway.filter(|g| !lab.lives.is_down(g)) {
                lab.lives.stopped(gateway, signal.as_str(), Timestamp::now());
            }
        }
    }
}

/// Asks every gateway that should be there for its last words, and keeps them as evidence. Who does not answer is no witness.
pub async fn conclude(lab: &Lab, events: &mut UnboundedReceiver<GatewayEvent>) -> io::Result<()> {
    waiting(events).for_each(|event| hear(lab, event));
    for name in lab.gateways.keys().filter(|name| lab.lives.is_mute(name)) {
        let why = lab.lives.trouble().as_ref().map(|t| t.text.clone()).unwrap_or_default();
        evidence::write_description(&lab.dir, name, &format!("not asked: {why}\n"))?;
    }
    let asked = lab.gateways.iter().filter(|(name, _)| !lab.lives.is_mute(name)).map(|(name, gateway)| async move {
        let answer = match timeout(FREE, gateway.lock()).await {
            Ok(mut gateway) => gateway.describe().await,
            Err(_) => {
                let condition = "an earlier request to end".to_owned();
                Err(DriverError::Timeout { gateway: name.clone(), condition, waited: FREE, last: "unknown".into() })
            }
        };
        (name, answer)
    });
    for (name, answer) in join_all(asked).await {
        match answer {
            Ok(text) => evidence::write_description(&lab.dir, name, &text)?,
            Err(e) => {
                evidence::write_description(&lab.dir, name, &format!("{e}\n"))?;
                let told = async {
                    while let Some(event) = events.recv().await {
                        hear(lab, event);
                    }
                };
                tokio::select! {
                    () = blame(lab, name, &e) => {}
                    () = told => {}
                }
            }
        }
    }
    waiting(events).for_each(|event| hear(lab, event));
    // A task of a driver ends in silence. What the in-house gateway's thread says of its own panic was heard before.
    if let Some(panic) = panics::first() {
        lab.lives.task_died(panic);
    }
    Ok(())
}

/// Those that have come and were not taken.
fn waiting(events: &mut UnboundedReceiver<GatewayEvent>) -> impl Iterator<Item = GatewayEvent> {
    std::iter::from_fn(|| events.try_recv().ok())
}
