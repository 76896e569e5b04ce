//! Starting programs inside nodes: `__enter` (by the cell, for daemons) and `__join` (from outside, for shells).

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use super::super::namespaces::{self, Refusal};
use super::{ENTER, JOIN, die_with_parent};
use crate::cli::exit::Exit;

/// Exit status of `__enter` and `__join` when the program could not be started, as a shell would say it.
const NOT_STARTED: i32 = 127;

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
    let error = Command::new(&program).args(args).exec();
    Err(Refusal::new(format!("start {program}"), error, "is it installed?"))
}

/// Runs a program inside a node of a kept cell, with this process's terminal. `first_pid` is the cell's first process as
/// seen from here, `node_ns_fd` the descriptor of the node's namespace in it.
pub fn enter_cell(first_pid: u32, node_ns_fd: RawFd, program: &[OsString]) -> std::io::Result<ExitStatus> {
    // The mount namespace can be changed only by a process with one thread, hence another one.
    let mut join = Command::new("/proc/self/exe");
    join.arg(JOIN).arg(first_pid.to_string()).arg(node_ns_fd.to_string()).arg("--").args(program);
    join.status()
}

/// `__join PID FD -- PROGRAM ARGUMENTS…`
pub(super) fn join(args: impl Iterator<Item = OsString>) -> i32 {
    match try_join(args) {
        Ok(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        Err(refusal) => complain(JOIN, &refusal),
    }
}

fn try_join(mut args: impl Iterator<Item = OsString>) -> Result<ExitStatus, Refusal> {
    let pid = number(&text(args.next())?)?;
    let node = number(&text(args.next())?)?;
    let _dashes = text(args.next())?;
    let program = text(args.next())?;
    namespaces::enter_cell_of(pid, node)?;
    let status = Command::new(&program).args(args).current_dir("/").status();
    status.map_err(|e| Refusal::new(format!("start {program}"), e, "is it installed?"))
}

fn text(arg: Option<OsString>) -> Result<String, Refusal> {
    arg.and_then(|a| a.into_string().ok()).ok_or_else(|| usage("a missing or unreadable argument".into()))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| usage(format!("`{text}` where a number belongs")))
}

fn usage(what: String) -> Refusal {
    Refusal::new("understand an internal command line", what, "this is a bug of faultlab: please report it")
}

fn complain(word: &str, refusal: &Refusal) -> i32 {
    crate::report::to_stderr(&format!("faultlab {word}: {refusal}"));
    if refusal.tried.starts_with("start ") { NOT_STARTED } else { Exit::Machine as i32 }
}
