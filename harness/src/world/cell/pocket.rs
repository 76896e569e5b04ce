//! The two processes of a pocket cell that run on the host: a keeper, and the parent of the kernel.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tempfile::TempDir;

use super::super::namespaces::{self, Refusal};
use super::super::pocket::Pocket;
use super::first::{refuse, say};
use super::{ENTER, Greeting, POCKET_FIRST, POCKET_INIT, POCKET_TRIAL, die_with_parent};
use crate::cli::exit::{self, Exit};

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
    let set_up = if isolated { die_with_parent(parent).map(|()| None) } else { tidy_up_after_parent().map(Some) };
    let started = set_up.and_then(|folder| {
        // Bigger is better; the default works as well.
        let _ = rustix::pipe::fcntl_setpipe_size(std::io::stdout(), STREAM);
        let mut first = Command::new("/proc/self/exe");
        first.arg(POCKET_FIRST).arg(pocket.unwrap_or_default()).args(folder.as_ref().map(|f| f.path()));
        let spawned = first.spawn();
        let child =
            spawned.map_err(|e| Refusal::new("start the parent of the pocket kernel", e, "the limit of processes may be reached"))?;
        Ok((child, folder))
    });
    let (mut child, folder) = match started {
        Ok(started) => started,
        Err(refusal) => return refuse(refusal),
    };
    say(&mut std::io::stdout(), &Greeting::Pid(child.id()));
    let status = wait(&mut child);
    if !isolated {
        drop(folder);
        // Helpers of the kernel may be left; they are in our process group, as we are.
        let _ = kill(Pid::from_raw(0), Signal::SIGKILL);
    }
    status
}

/// Without namespaces nothing vanishes by itself: makes a folder for the kernel's files, which others cannot look into, and sees to
/// it that it goes, with the whole process group, when the lifeline ends. (A death signal would leave no time for that.)
fn tidy_up_after_parent() -> Result<TempDir, Refusal> {
    let refused = |e| Refusal::new("make a temporary folder for the pocket kernel", e, "is the temporary folder ($TMPDIR) writable?");
    let folder = tempfile::Builder::new().prefix("faultlab-").permissions(Permissions::from_mode(0o700)).tempdir().map_err(refused)?;
    let path = folder.path().to_owned();
    let watcher = std::thread::Builder::new().name("lifeline".into()).spawn(move || {
        let stdin = std::io::stdin();
        let mut lifeline = [PollFd::new(&stdin, PollFlags::empty())];
        // What goes through it is for the child; its end is told in any case.
        while !lifeline[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            if poll(&mut lifeline, None).is_err_and(|e| e != Errno::INTR) {
                break;
            }
        }
        let _ = std::fs::remove_dir_all(path);
        let _ = kill(Pid::from_raw(0), Signal::SIGKILL);
    });
    watcher.map(|_| folder).map_err(Refusal::of_thread)
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

/// `__pocket-first POCKET [STATE]`: parent of the kernel; process 1 of the process-id namespace if there is one. Otherwise `STATE` is a
/// folder for the kernel's files.
pub(super) fn first(pocket: Option<OsString>, state: Option<OsString>) -> i32 {
    match pocket.as_ref().and_then(|p| p.to_str()).and_then(|p| serde_json::from_str(p).ok()) {
        Some(pocket) => start(&pocket, state.map(PathBuf::from)).map_or_else(refuse, |mut child| wait(&mut child)),
        None => Exit::Bug as i32,
    }
}

fn start(pocket: &Pocket, state: Option<PathBuf>) -> Result<Child, Refusal> {
    die_with_parent(None)?;
    let mut lifeline = lifeline()?;
    let orders = read_orders(&mut lifeline)?;
    let (state, memory) = match state {
        // The folder of the evidence has room for its memory, and may be executed from; the file has no name.
        Some(state) => (state, pocket.share.clone().unwrap_or_else(std::env::temp_dir)),
        None => {
            private_state()?;
            (PathBuf::from(STATE), PathBuf::from(STATE))
        }
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
    let file = write_orders(&state, &orders)?;
    let args = pocket.arguments(&init, [POCKET_INIT, &file.to_string_lossy()], &state).map_err(refused)?;
    hold_on(lifeline, file)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(ENTER).arg("--pdeathsig").arg(std::process::id().to_string()).arg("--").arg(&pocket.kernel).args(args);
    command.stdin(Stdio::null()).env_clear().env("HOME", Path::new("/")).env("TMPDIR", &memory);
    command.spawn().map_err(|e| Refusal::new("start the pocket kernel", e, "the limit of processes may be reached"))
}

fn lifeline() -> Result<BufReader<File>, Refusal> {
    let own = std::io::stdin().as_fd().try_clone_to_owned();
    own.map(|fd| BufReader::new(File::from(fd)))
        .map_err(|e| Refusal::new("keep the lifeline", e, "is the limit of open files high enough?"))
}

/// The guest finds its orders in a file: while it waited for them, virtual time would fly.
fn read_orders(lifeline: &mut impl BufRead) -> Result<Vec<u8>, Refusal> {
    let mut line = Vec::new();
    match lifeline.read_until(b'\n', &mut line) {
        Ok(_) if line.ends_with(b"\n") => Ok(line),
        Ok(_) => Err(Refusal::new("read the cell's orders", "they end too early", "the parent ended meanwhile")),
        Err(e) => Err(Refusal::new("read the cell's orders", e, "the parent ended meanwhile")),
    }
}

/// Secrets are in there: a new file, whose name nobody can guess, that only this user may read.
fn write_orders(state: &Path, orders: &[u8]) -> Result<PathBuf, Refusal> {
    let made = tempfile::Builder::new().prefix("orders-").rand_bytes(16).tempfile_in(state);
    let written = made.and_then(|mut file| file.write_all(orders).map(|()| file));
    let kept = written.and_then(|file| file.keep().map_err(|e| e.error));
    kept.map(|(_, path)| path).map_err(|e| Refusal::new(format!("write the orders into {}", state.display()), e, "is the disk full?"))
}

/// Ends this process, and the kernel with it, when the lifeline ends: the parent's death may have come before there was a signal for
/// it. Anything that comes before says that the guest has read its orders, which go then.
fn hold_on(mut lifeline: BufReader<File>, orders: PathBuf) -> Result<(), Refusal> {
    let holding = std::thread::Builder::new().name("lifeline".into()).spawn(move || {
        let mut told = [0];
        while matches!(lifeline.read(&mut told), Ok(1..)) {
            let _ = std::fs::remove_file(&orders);
        }
        std::process::exit(Exit::Bug as i32)
    });
    holding.map(drop).map_err(Refusal::of_thread)
}

fn wait(child: &mut Child) -> i32 {
    match child.wait() {
        Ok(status) => exit::of_command(status),
        Err(_) => Exit::Bug as i32,
    }
}
