//! The two processes of a cell, from inside.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::super::namespaces::{self, Refusal};
use super::{FIRST, Greeting, die_with_parent};
use crate::cli::exit::{self, Exit};

/// Where the inside of a cell sends its events: one line of JSON each, read by [`super::CellHandle::next`].
#[derive(Debug, Clone)]
pub struct EventSink {
    out: Arc<Mutex<File>>,
}

impl EventSink {
    pub(super) fn new(out: Arc<Mutex<File>>) -> EventSink {
        EventSink { out }
    }

    /// Sends one event. When nobody listens any more the cell is about to be killed, so errors do not matter here.
    pub fn emit(&self, event: &impl Serialize) {
        if let Ok(mut line) = serde_json::to_vec(event) {
            line.push(b'\n');
            let _ = self.out.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
        }
    }

    /// Stays until the parent lets go of the cell (for runs that are kept); the lifeline thread then ends the process.
    pub fn hold(&self) -> ! {
        loop {
            std::thread::park();
        }
    }
}

/// `__cell-outer`: makes the namespaces, starts the first process, waits for it, ends as it did.
pub(super) fn outer(parent: Option<OsString>) -> i32 {
    let parent = parent.and_then(|p| p.to_str().and_then(|p| p.parse::<i32>().ok()));
    // PDEATHSIG comes second: a change of credentials clears it.
    let set_up = namespaces::isolate().and_then(|()| die_with_parent(parent));
    let started = set_up.and_then(|()| {
        let spawn = Command::new("/proc/self/exe").arg(FIRST).spawn();
        spawn.map_err(|e| Refusal::new("start the cell's first process", e, "the limit of processes may be reached"))
    });
    let mut child = match started {
        Ok(child) => child,
        Err(refusal) => return refuse(refusal),
    };
    say(&mut std::io::stdout(), &Greeting::Pid(child.id()));
    match child.wait() {
        Ok(status) => exit::of_command(status),
        Err(_) => Exit::Bug as i32,
    }
}

/// `__cell`: process 1 of the cell.
pub(super) fn first(cell_main: fn(Vec<u8>, EventSink) -> i32) -> i32 {
    // The parent is outside of this process-id namespace, its id cannot be compared: the lifeline covers that moment.
    let set_up = die_with_parent(None).and_then(|()| namespaces::own_mounts()).and_then(|()| take_streams());
    let (lifeline, mut events) = match set_up {
        Ok(streams) => streams,
        Err(refusal) => return refuse(refusal),
    };
    say(&mut events, &Greeting::Ready);
    let mut lifeline = BufReader::new(lifeline);
    let mut job = Vec::new();
    match lifeline.read_until(b'\n', &mut job) {
        Ok(_) if job.last() == Some(&b'\n') => {}
        _ => return Exit::Bug as i32,
    }
    let watcher = std::thread::Builder::new().name("lifeline".into()).spawn(move || {
        let _ = std::io::copy(&mut lifeline.by_ref(), &mut std::io::sink());
        std::process::exit(Exit::Bug as i32)
    });
    if let Err(e) = watcher {
        return refuse(Refusal::of_thread(e));
    }
    let sink = EventSink::new(Arc::new(Mutex::new(events)));
    catch_unwind(AssertUnwindSafe(|| cell_main(job, sink))).unwrap_or(101)
}

/// Keeps the lifeline and the event stream for this process alone: children get `/dev/null` and standard error.
fn take_streams() -> Result<(File, File), Refusal> {
    let failed = |e: std::io::Error| Refusal::new("rearrange the standard streams", e, "is /dev/null there?");
    let lifeline = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let events = std::io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
    let null = File::open("/dev/null").map_err(failed)?;
    nix::unistd::dup2_stdin(&null).map_err(|e| failed(e.into()))?;
    nix::unistd::dup2_stdout(std::io::stderr()).map_err(|e| failed(e.into()))?;
    Ok((File::from(lifeline), File::from(events)))
}

pub(super) fn say(out: &mut impl Write, greeting: &Greeting) {
    if let Ok(mut line) = serde_json::to_vec(greeting) {
        line.push(b'\n');
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}

pub(super) fn refuse(refusal: Refusal) -> i32 {
    say(&mut std::io::stdout(), &Greeting::Refused(refusal));
    Exit::Machine as i32
}
