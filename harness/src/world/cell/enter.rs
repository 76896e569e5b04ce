//! Starting programs inside nodes: `__enter` (by the cell, for daemons) and `__join` (from outside, for shells), with `__guard`
//! as its part inside.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use rustix::io::FdFlags;
use rustix::pipe::PipeFlags;

use super::super::namespaces::{self, Refusal};
use super::kept::{FINDING, Kept};
use super::{ENTER, GUARD, JOIN, die_with_parent, guard};
use crate::cli::exit::{self, Exit};
use crate::text;

/// Exit status of `__enter` when the program could not be started, as a shell would say it.
pub const NOT_STARTED: i32 = 127;

/// Arguments that make this program enter a node's network namespace and become another program.
pub fn enter_args(net: &str, binds: &[(PathBuf, PathBuf)], program: &str, args: &[OsString]) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec![ENTER.into(), "--net".into(), net.into(), "--mnt-private".into()];
    for (source, target) in binds {
        all.extend(["--bind".into(), source.into(), target.into()]);
    }
    all.extend(["--pdeathsig".into(), std::process::id().to_string().into(), "--".into(), program.into()]);
    all.extend(args.iter().cloned());
    all
}

/// `__enter --net PATH [--mnt-private] [--bind SOURCE TARGET]… [--pdeathsig PARENT] -- PROGRAM ARGUMENTS…`
pub(super) fn enter(args: impl Iterator<Item = OsString>) -> i32 {
    match try_enter(args) {
        Ok(never) => match never {},
        Err(refusal) => complain(ENTER, &refusal),
    }
}

fn try_enter(mut args: impl Iterator<Item = OsString>) -> Result<std::convert::Infallible, Refusal> {
    let (mut private, mut binds, mut parent) = (false, Vec::new(), None);
    while let Some(arg) = args.next() {
        let mut value = || text(args.next());
        match arg.to_str() {
            Some("--net") => namespaces::enter_network(&value()?)?,
            Some("--mnt-private") => private = true,
            Some("--bind") => binds.push((value()?, value()?)),
            Some("--pdeathsig") => parent = Some(number(&value()?)?),
            Some("--") => break,
            _ => return Err(usage(format!("{arg:?}"))),
        }
    }
    if private || !binds.is_empty() {
        namespaces::bind_privately(&binds)?;
    }
    if parent.is_some() {
        die_with_parent(parent)?;
    }
    let program = text(args.next())?;
    crate::limits::usual();
    let error = Command::new(&program).args(args).exec();
    Err(Refusal::new(format!("start {program}"), error, "is it installed?"))
}

/// Runs a program inside a node of a kept cell, with this process's terminal. It ends with this process.
pub fn enter_cell(cell: &Kept, node: &str, program: &[OsString]) -> Result<ExitStatus, Refusal> {
    let refused = |e: io::Error| Refusal::new("enter the cell", e, "the limit of processes or of open files may be reached");
    let _heed = guard::leave_keys_to_the_command()?;
    // Its other end is kept by this process alone, and ends with it.
    let (lifeline, _held) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| refused(e.into()))?;
    rustix::io::fcntl_setfd(&lifeline, FdFlags::empty()).map_err(|e| refused(e.into()))?;
    let kept = serde_json::to_string(cell).map_err(|e| refused(e.into()))?;
    // The mount namespace can be changed only by a process with one thread, hence another one.
    let mut join = Command::new("/proc/self/exe");
    join.arg(JOIN).arg(std::process::id().to_string()).arg(kept).arg(node).arg(lifeline.as_raw_fd().to_string());
    join.arg("--").args(program);
    join.status().map_err(refused)
}

/// `__join PARENT CELL NODE LIFELINE -- PROGRAM ARGUMENTS…`
pub(super) fn join(args: impl Iterator<Item = OsString>) -> i32 {
    match try_join(args) {
        Ok(status) => exit::of_command(status),
        Err(refusal) => complain(JOIN, &refusal),
    }
}

fn try_join(mut args: impl Iterator<Item = OsString>) -> Result<ExitStatus, Refusal> {
    die_with_parent(Some(number(&text(args.next())?)?))?;
    let cell: Kept = serde_json::from_str(&text(args.next())?).map_err(|e| usage(e.to_string()))?;
    let node = text(args.next())?;
    namespaces::enter_cell_of(cell.open(&node)?)?;
    let _heed = guard::leave_keys_to_the_command()?;
    // In the cell's process-id namespace, where it sees what belongs to the command.
    let status = Command::new("/proc/self/exe").arg(GUARD).args(args).status();
    status.map_err(|e| Refusal::new("enter the cell's process-id namespace", e, "the limit of processes may be reached"))
}

/// `__guard LIFELINE -- PROGRAM ARGUMENTS…`
pub(super) fn guard(args: impl Iterator<Item = OsString>) -> i32 {
    match guard::run(args) {
        Ok(status) => exit::of_command(status),
        Err(refusal) => complain(GUARD, &refusal),
    }
}

pub(super) fn text(arg: Option<OsString>) -> Result<String, Refusal> {
    arg.and_then(|a| a.into_string().ok()).ok_or_else(|| usage("a missing or unreadable argument".into()))
}

pub(super) fn number<T: std::str::FromStr>(text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| usage(format!("`{text}` where a number belongs")))
}

fn usage(what: String) -> Refusal {
    Refusal::new("understand an internal command line", what, "this is a bug of faultlab: please report it")
}

fn complain(word: &str, refusal: &Refusal) -> i32 {
    crate::report::to_stderr(&format!("faultlab {word}: {}", text::lines(&refusal.to_string())));
    match refusal.tried.as_str() {
        FINDING => Exit::Wrong as i32,
        tried if tried.starts_with("start ") => NOT_STARTED,
        _ => Exit::Machine as i32,
    }
}
