//! The world: what we believe of the kernel, and that cells leave nothing behind. Needs namespaces; without the privilege
//! every trial is skipped, with the reason.
#![allow(clippy::unwrap_used)] // a test binary: a panic is a failed trial

mod beliefs;
mod faults;
mod leaks;
mod networks;
mod probe;

use faultlab::world::cell::{self, CellHandle, EventSink};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

fn main() {
    cell::entry(inside);
    if leaks::is_victim() {
        return leaks::victim();
    }
    let args = Arguments::from_args();
    let missing = if args.list { None } else { missing() };
    let mut trials = Vec::new();
    for (name, _) in beliefs::ALL {
        trials.push(Trial::test(*name, move || in_cell(&json!({ "belief": name }))).with_kind("kernel"));
    }
    for (name, _) in faults::ALL {
        trials.push(Trial::test(*name, move || in_cell(&json!({ "fault": name }))).with_kind("fault"));
    }
    for (name, trial) in leaks::ALL {
        trials.push(Trial::test(*name, || trial().map_err(Failed::from)).with_kind("leak"));
    }
    if let Some(reason) = missing {
        eprintln!("skipped: {reason}");
        trials = trials.into_iter().map(|t| t.with_ignored_flag(true)).collect();
    }
    libtest_mimic::run(&args, trials).exit();
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
    let belief = beliefs::ALL.iter().find(|(name, _)| job["belief"] == *name);
    let fault = faults::ALL.iter().find(|(name, _)| job["fault"] == *name);
    let outcome = belief.or(fault).map_or(Ok(()), |(_, trial)| trial());
    match outcome {
        Ok(()) => 0,
        Err(why) => {
            events.emit(&json!({ "failed": why }));
            1
        }
    }
}

fn in_cell(job: &Value) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut cell = CellHandle::spawn(job)?;
        let mut said = Vec::new();
        while let Some(event) = cell.next().await {
            said.push(event?.to_string());
        }
        let exit = cell.wait().await;
        if exit.code == Some(0) { Ok(()) } else { Err(format!("{}\n{exit}", said.join("\n")).into()) }
    })
}
