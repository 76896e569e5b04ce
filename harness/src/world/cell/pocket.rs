//! The two processes of a pocket cell that run on the host: a keeper, and the parent of the kernel.

use std::ffi::OsString;
use std::io::BufRead;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::namespaces::{self, Refusal};
use super::super::pocket::Pocket;
use super::first::{refuse, say};
use super::{ENTER, Greeting, POCKET_FIRST, POCKET_INIT, POCKET_TRIAL, die_with_parent};
use crate::cli::exit::Exit;

/// Capacity of the event stream's pipe. While it is full the guest waits, and virtual time must not run on meanwhile.
const STREAM: usize = 1 << 20;
/// How much nicer a pocket in virtual time is than others.
const GIVE_WAY: i32 = 10;
/// Where a private tmpfs holds the kernel's memory and files.
const STATE: &str = "/dev/shm";

/// `__pocket-outer PARENT POCKET`: a process-id and a mount namespace where the machine gives them; they make sure that
/// nothing survives, but a pocket does not need them.
pub(super) fn outer(parent: Option<OsString>, pocket: Option<OsString>) -> i32 {
    let parent = parent.and_then(|p| p.to_str().and_then(|p| p.parse::<i32>().ok()));
    let isolated = can_isolate() && namespaces::isolate().is_ok();
    let started = die_with_parent(parent).and_then(|()| {
        // Bigger is better; the default works as well.
        let _ = rustix::pipe::fcntl_setpipe_size(std::io::stdout(), STREAM);
        let spawn = Command::new("/proc/self/exe").arg(POCKET_FIRST).arg(pocket.unwrap_or_default()).spawn();
        spawn.map_err(|e| Refusal::new("start the parent of the pocket kernel", e, "the limit of processes may be reached"))
    });
    let mut child = match started {
        Ok(child) => child,
        Err(refusal) => return refuse(refusal),
    };
    say(&mut std::io::stdout(), &Greeting::Pid(child.id()));
    let status = wait(&mut child);
    if !isolated {
        // Helpers of the kernel may be left; they are in our process group, as we are.
        let _ = kill(Pid::from_raw(0), Signal::SIGKILL);
    }
    status
}

/// Returns whether this process can move into namespaces and mount there. A process of its own tries: where only half is allowed
/// (Ubuntu's AppArmor lets a user namespace be made, and then denies its maps and all mounts) there is no way back.
fn can_isolate() -> bool {
    Command::new("/proc/self/exe").arg(POCKET_TRIAL).stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// `__pocket-trial`: does what the keeper and the parent of the kernel would do, and ends.
pub(super) fn trial() -> i32 {
    match namespaces::isolate().and_then(|()| private_state()) {
        Ok(()) => 0,
        Err(_) => Exit::Machine as i32,
    }
}

/// All that the kernel writes for itself vanishes with the mount namespace.
fn private_state() -> Result<(), Refusal> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), STATE, Some("tmpfs"), flags, Some("mode=1777"))
        .map_err(|e| Refusal::new(format!("mount a tmpfs on {STATE}"), e, "the mount namespace must allow tmpfs"))
}

/// `__pocket-first POCKET`: parent of the kernel; process 1 of the process-id namespace if there is one.
pub(super) fn first(pocket: Option<OsString>) -> i32 {
    match pocket.as_ref().and_then(|p| p.to_str()).and_then(|p| serde_json::from_str(p).ok()) {
        Some(pocket) => start(&pocket).map_or_else(refuse, |(mut child, orders)| {
            let status = wait(&mut child);
            // Gone already where the mounts are private.
            let _ = std::fs::remove_file(orders);
            status
        }),
        None => Exit::Bug as i32,
    }
}

fn start(pocket: &Pocket) -> Result<(Child, PathBuf), Refusal> {
    die_with_parent(None)?;
    let own_mounts = std::process::id() == 1;
    let orders = read_orders()?;
    let state = if own_mounts {
        private_state()?;
        PathBuf::from(STATE)
    } else {
        pocket.share.clone().unwrap_or_else(std::env::temp_dir)
    };
    if let Some(cpu) = pocket.cpu {
        let mut set = CpuSet::new();
        // A core that has gone meanwhile only costs speed.
        let _ = set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    }
    if !pocket.real_time {
        // Virtual time waits for the processor; cells of the host world, which may run beside this one, cannot.
        let _ = rustix::process::nice(GIVE_WAY);
    }
    let init = std::fs::read_link("/proc/self/exe").map_err(|e| Refusal::new("read /proc/self/exe", e, "is /proc mounted?"))?;
    let refused = |e: peer::Missing| Refusal::new("start the pocket kernel", e.what, e.hint);
    let file = state.join(format!("faultlab-{}.orders", std::process::id()));
    std::fs::write(&file, orders).map_err(|e| Refusal::new(format!("write {}", file.display()), e, "is the disk full?"))?;
    let args = pocket.arguments(&init, [POCKET_INIT, &file.to_string_lossy()], &state).map_err(refused)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(ENTER).arg("--pdeathsig").arg(std::process::id().to_string()).arg("--").arg(&pocket.kernel).args(args);
    command.stdin(Stdio::null()).env_clear().env("HOME", Path::new("/")).env("TMPDIR", &state);
    let child = command.spawn().map_err(|e| Refusal::new("start the pocket kernel", e, "the limit of processes may be reached"))?;
    Ok((child, file))
}

/// The guest finds its orders in a file: while it waited for them, virtual time would fly.
fn read_orders() -> Result<String, Refusal> {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(_) if line.ends_with('\n') => Ok(line),
        Ok(_) => Err(Refusal::new("read the cell's orders", "they end too early", "the parent ended meanwhile")),
        Err(e) => Err(Refusal::new("read the cell's orders", e, "the parent ended meanwhile")),
    }
}

fn wait(child: &mut Child) -> i32 {
    match child.wait() {
        Ok(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        Err(_) => Exit::Bug as i32,
    }
}
