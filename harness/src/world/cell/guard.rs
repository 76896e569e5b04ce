//! Stays beside a command in a kept cell, and ends it with all that it has started when whoever asked for it has gone.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use super::super::namespaces::Refusal;
use super::ENTER;
use super::enter::{number, text};
use super::stat::Stat;

/// `__guard FD -- PROGRAM ARGUMENTS…`: `FD` is a pipe whose other end goes with whoever asked.
pub(super) fn run(mut args: impl Iterator<Item = OsString>) -> Result<ExitStatus, Refusal> {
    let lifeline = lifeline(number(&text(args.next())?)?)?;
    let _dashes = text(args.next())?;
    let _heed = leave_keys_to_the_command()?;
    let busy = "the limit of processes may be reached";
    // Orphans stay below this process, where they are found.
    let adopted = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    adopted.map_err(|e| Refusal::new("adopt orphans", io::Error::from(e), busy))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(ENTER).arg("--pdeathsig").arg(std::process::id().to_string()).arg("--").args(args).current_dir("/");
    let mut child = command.spawn().map_err(|e| Refusal::new("run a command in the cell", e, busy))?;
    let over = Arc::new(AtomicBool::new(false));
    let ending = Arc::clone(&over);
    let watcher = std::thread::Builder::new().name("lifeline".into()).spawn(move || {
        let _ = io::copy(&mut { lifeline }, &mut io::sink());
        ending.store(true, Ordering::SeqCst);
        end_all();
        std::process::exit(128 + Signal::SIGKILL as i32)
    });
    watcher.map_err(Refusal::of_thread)?;
    match child.wait() {
        Ok(status) if !over.load(Ordering::SeqCst) => Ok(status),
        // The other thread has killed it, and ends this process when nothing else is left.
        _ => loop {
            std::thread::park();
        },
    }
}

/// Takes the pipe over, for this process alone.
fn lifeline(fd: i32) -> Result<impl Read + Send + 'static, Refusal> {
    let refused = |e: io::Error| Refusal::new("keep the lifeline", e, "this is a bug of faultlab: please report it");
    let own = File::open(format!("/proc/self/fd/{fd}")).map_err(refused)?;
    nix::unistd::close(fd).map_err(|e| refused(e.into()))?;
    Ok(own)
}

/// What is typed to end a command is for the command: whoever stands between it and the terminal waits for what it makes of it. Lasts
/// as long as the result.
pub(super) fn leave_keys_to_the_command() -> Result<tokio::runtime::Runtime, Refusal> {
    let refused = |e: io::Error| Refusal::new("listen to signals", e, "the limit of open files may be reached");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(refused)?;
    let entered = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::quit()] {
        // A handler, unlike being ignored, does not pass to the command. It stays when nobody listens.
        drop(signal(kind).map_err(refused)?);
    }
    drop(entered);
    Ok(runtime)
}

/// Kills all that descends from this process, until nothing is left, not even of those who died.
fn end_all() {
    loop {
        for pid in below(std::process::id()) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        // Each killed one comes to this process sooner or later, and may have left others meanwhile.
        if waitpid(None, None) == Err(Errno::ECHILD) {
            return;
        }
    }
}

/// All that descend from a process, as far as they still run.
fn below(root: u32) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: Vec<(u32, u32, bool)> = entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = Stat::of(pid).ok()?;
            Some((pid, stat.parent, !matches!(stat.state.as_str(), "Z" | "X")))
        })
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        // A number that was used again in the meantime may lead in a circle.
        let children: Vec<u32> = all.iter().filter(|p| p.1 == parent && !found.contains(&p.0)).map(|p| p.0).collect();
        found.extend(children);
        at += 1;
    }
    let running = |pid: &u32| all.iter().any(|p| p.0 == *pid && p.2);
    found.into_iter().skip(1).filter(running).filter_map(|pid| i32::try_from(pid).ok()).map(Pid::from_raw).collect()
}
