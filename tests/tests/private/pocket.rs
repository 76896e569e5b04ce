//! The pocket world where nothing is isolated: what the kernel is told, and whom it belongs to.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use faultlab::world::pocket::{self, Pocket};
use libtest_mimic::Failed;

use crate::processes::{self, until};
use crate::stage::{Stage, TOKEN, said};

/// How long conditions are waited for.
const LIMIT: Duration = Duration::from_secs(30);

/// Why there is no pocket world here.
pub fn missing() -> Option<String> {
    pocket::find().err().map(|m| m.to_string())
}

pub fn no_orders_are_left() -> Result<(), Failed> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("a_pocket_without_namespaces_leaves_no_orders: skipped(needs root to set the stage)");
        return Ok(());
    }
    let stage = Stage::new()?;
    let run = stage.run_without_namespaces(&["run", "psk-mismatch-v2", "--world", "pocket", "--evidence", "evidence"])?;
    let text = said(&run);
    if !text.contains("1 reproduced") {
        return Err(text.into());
    }
    // Whoever holds the pocket's folder removes it when the kernel has ended, which the program does not wait for.
    let temporary = || -> Vec<_> { std::fs::read_dir(stage.path("tmp")).into_iter().flatten().flatten().map(|e| e.path()).collect() };
    until(LIMIT, "the temporary folder is empty", || Ok(temporary().is_empty()))
        .map_err(|e| format!("{}: {:?} are left", e.message().unwrap_or_default(), temporary()))?;
    let told = stage.holding("evidence", &[TOKEN.1, TOKEN.0])?;
    if told.is_empty() { Ok(()) } else { Err(format!("the environment is in {told:?}").into()) }
}

/// A parent that ends between the start of the kernel's parent process and its wish for a signal at that moment.
pub fn kernel_goes_with_its_parent() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (kernel, started) = (folder.path().join("linux"), folder.path().join("started"));
    std::fs::write(&kernel, format!("#!/bin/sh\necho $$ > '{0}.new'\nmv '{0}.new' '{0}'\nexec sleep 1000\n", started.display()))?;
    std::fs::set_permissions(&kernel, std::fs::Permissions::from_mode(0o755))?;
    let pocket = serde_json::to_string(&Pocket { share: Some(folder.path().to_owned()), ..Pocket::new(kernel) })?;
    // The shell is the parent: it ends at once, and what it has started becomes the kernel's parent only when told.
    let script = "exec 3<&0; { read go <&3; exec \"$@\" <&3; } & exit 0";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(processes::binary()).args(["__pocket-first", &pocket]).arg(folder.path());
    let mut shell: Child = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut lifeline = shell.stdin.take().ok_or("no pipe")?;
    shell.wait()?;
    lifeline.write_all(b"go\n{}\n")?;
    until(LIMIT, "the kernel has started", || Ok(started.exists()))?;
    let pid: u32 = std::fs::read_to_string(&started)?.trim().parse()?;
    let all = processes::all()?;
    let kernel = all.iter().find(|p| p.pid == pid).ok_or("the kernel is gone already")?;
    let first = all.iter().find(|p| p.pid == kernel.parent).ok_or("the kernel's parent is gone already")?;
    drop(lifeline);
    let alive = |p: &processes::Process| processes::all().is_ok_and(|all| all.iter().any(|q| (q.pid, q.started) == (p.pid, p.started)));
    let gone = until(LIMIT, "the kernel and its parent have gone", || Ok(!alive(kernel) && !alive(first)));
    if gone.is_err() {
        for process in [first, kernel] {
            let _ = nix::sys::signal::kill(processes::pid(process.pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
    gone
}
