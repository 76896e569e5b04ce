//! The worlds: what we believe of the kernel, and that cells leave nothing behind. In both worlds; where one cannot be had, its
//! trials are skipped, with the reason.
#![allow(clippy::unwrap_used)] // a test binary: a panic is a failed trial

mod beliefs;
mod captures;
mod faults;
mod ipsec;
mod leaks;
mod networks;
mod probe;

use std::path::PathBuf;
use std::time::Duration;

use faultlab::world::cell::{self, CellHandle, EventSink};
use faultlab::world::pocket::{self, Pocket};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

fn main() {
    cell::entry(inside);
    if leaks::is_victim() {
        return leaks::victim();
    }
    let args = Arguments::from_args();
    let kernel = pocket::find();
    let host = if args.list { None } else { missing() };
    let mut trials = Vec::new();
    for (name, trial) in leaks::ALL {
        trials.push(Trial::test(*name, || trial().map_err(Failed::from)).with_kind("leak").with_ignored_flag(host.is_some()));
    }
    for (kind, (name, _)) in host_trials() {
        let trial = Trial::test(*name, move || in_cell(&json!({ kind: name }), None));
        trials.push(trial.with_kind(kind).with_ignored_flag(host.is_some()));
    }
    let inside = [
        ("pocket kernel", "kernel", beliefs::ALL),
        ("pocket fault", "fault", faults::ALL),
        ("pocket capture", "capture", captures::ALL),
        ("pocket", "ipsec", ipsec::ALL),
    ];
    for (kind, key, all) in inside {
        for (name, _) in all {
            let found = kernel.as_ref().ok().cloned();
            let trial = Trial::test(*name, move || in_cell(&json!({ key: name }), found));
            trials.push(trial.with_kind(kind).with_ignored_flag(kernel.is_err()));
        }
    }
    for reason in host.iter().cloned().chain(kernel.err().map(|missing| missing.to_string())) {
        eprintln!("world: skipped({reason})");
    }
    libtest_mimic::run(&args, trials).exit();
}

/// Trials of the host world, and of what kind each is.
fn host_trials() -> impl Iterator<Item = (&'static str, &'static (&'static str, beliefs::Belief))> {
    [("kernel", beliefs::ALL), ("fault", faults::ALL), ("capture", captures::ALL)]
        .into_iter()
        .flat_map(|(kind, all)| all.iter().map(move |trial| (kind, trial)))
}

/// Why cells cannot be had here.
fn missing() -> Option<String> {
    CellHandle::spawn(&Value::Null).err().map(|e| e.to_string())
}

/// The inside of every cell of this binary.
fn inside(job: Vec<u8>, events: EventSink) -> i32 {
    let job: Value = serde_json::from_slice(&job).unwrap_or_default();
    if job["leak"].is_object() {
        return leaks::inside(&job["leak"], &events);
    }
    let all = [("kernel", beliefs::ALL), ("fault", faults::ALL), ("capture", captures::ALL), ("ipsec", ipsec::ALL)];
    let trial = all.iter().find_map(|(key, trials)| trials.iter().find(|(name, _)| job[key] == *name));
    let outcome = trial.map_or(Ok(()), |(_, trial)| trial());
    match outcome {
        Ok(()) => 0,
        Err(why) => {
            events.emit(&json!({ "failed": why }));
            1
        }
    }
}

/// Runs a trial in a cell of the running kernel, or of the pocket kernel.
fn in_cell(job: &Value, kernel: Option<PathBuf>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut cell = match kernel {
            None => CellHandle::spawn(job)?,
            Some(kernel) => CellHandle::spawn_pocket(job, &Pocket::new(kernel), Duration::from_secs(60))?,
        };
        let mut said = Vec::new();
        while let Some(event) = cell.next().await {
            said.push(event?.to_string());
        }
        let exit = cell.wait().await;
        if exit.code == Some(0) { Ok(()) } else { Err(format!("{}\n{exit}", said.join("\n")).into()) }
    })
}
