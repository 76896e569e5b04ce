//! Process 1 inside a pocket kernel: the host's files with a scratch layer above, then the same cell code as in the host
//! world. What is inside need not know which world it is in.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use serde::{Deserialize, Serialize};

use super::super::namespaces::Refusal;
use super::{EventSink, Greeting, first};

/// Said on the kernel's console at the end; the host reads the exit status from it, because the kernel's own is always 0.
pub(super) const EXIT_WORDS: &str = "faultlab: the first process ends with status ";
/// Where the shared folder of the host is mounted.
const HOST_SHARE: &str = "/run/faultlab-share";
/// Where the new root is put together.
const NEW: &str = "/run/new";

/// What a pocket's first process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    /// Environment of the program on the host.
    pub(super) env: Vec<(String, String)>,
    /// Folder of the host that is writable under its own name.
    pub(super) share: Option<PathBuf>,
    /// When the cell begins, since 1970; `None`: at once.
    pub(super) begins: Option<Duration>,
    /// The cell's job.
    pub(super) job: serde_json::Value,
}

/// `__pocket-init`: never returns to a caller; the machine is switched off.
pub(super) fn init(cell_main: fn(Vec<u8>, EventSink) -> i32, orders: Option<OsString>) -> i32 {
    // Before anything else: its name is one of the host.
    let orders = orders.map(std::fs::read_to_string);
    let status = match prepare(orders) {
        Ok((stream, line)) => serve(cell_main, stream, &line),
        Err(refusal) => {
            console(&format!("faultlab: {refusal}"));
            3
        }
    };
    console(&format!("{EXIT_WORDS}{status}"));
    let never = reboot(RebootMode::RB_POWER_OFF);
    console(&format!("faultlab: cannot switch off: {never:?}"));
    status
}

fn serve(cell_main: fn(Vec<u8>, EventSink) -> i32, mut stream: File, line: &str) -> i32 {
    let orders: Orders = match serde_json::from_str(line) {
        Ok(orders) => orders,
        Err(e) => {
            console(&format!("faultlab: unreadable orders: {e}"));
            return 4;
        }
    };
    if let Some(begins) = orders.begins {
        // Nothing can come meanwhile, and virtual time flies.
        std::thread::sleep(begins.saturating_sub(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()));
    }
    let limit = |e| Refusal::new("raise the limit of descriptors", e, "this is a bug of faultlab: please report it");
    let entered = set_environment(&orders).and_then(|()| standard_streams()).and_then(|()| crate::limits::prepare_pocket().map_err(limit));
    if let Err(refusal) = entered {
        first::say(&mut stream, &Greeting::Refused(refusal));
        return 3;
    }
    console("faultlab: the first process has its orders");
    let job = serde_json::to_vec(&orders.job).unwrap_or_default();
    let sink = EventSink::new(Arc::new(Mutex::new(stream)));
    catch_unwind(AssertUnwindSafe(|| cell_main(job, sink))).unwrap_or(101)
}

fn prepare(orders: Option<std::io::Result<String>>) -> Result<(File, String), Refusal> {
    let read = orders.unwrap_or_else(|| Err(std::io::Error::other("no name was given")));
    let line = read.map_err(|e| Refusal::new("read the orders", e, "this is a bug of faultlab: please report it"))?;
    mounts()?;
    let failed = |e: std::io::Error| Refusal::new("use the event console", e, "this is a bug of faultlab: please report it");
    let mut stream = OpenOptions::new().write(true).open("/dev/tty1").map_err(failed)?;
    let mut raw = tcgetattr(&stream).map_err(|e| failed(e.into()))?;
    raw.make_raw();
    tcsetattr(&stream, OptionalActions::Now, &raw).map_err(|e| failed(e.into()))?;
    first::say(&mut stream, &Greeting::Ready);
    Ok((stream, line))
}

fn mounts() -> Result<(), Refusal> {
    let on = |kind: &str, target: &str, data: &str| {
        let data = Some(data).filter(|d| !d.is_empty());
        mount(Some(kind), target, Some(kind), MsFlags::empty(), data)
            .map_err(|e| Refusal::new(format!("mount {kind} on {target}"), e, "was this kernel built by `make kernel`?"))
    };
    let dir = |path: &str| std::fs::create_dir_all(path).map_err(|e| Refusal::new(format!("make {path}"), e, "is /run a folder?"));
    on("tmpfs", "/run", "mode=755")?;
    dir("/run/lower")?;
    on("hostfs", "/run/lower", "/")?;
    dir("/run/rw")?;
    on("tmpfs", "/run/rw", "mode=755")?;
    dir("/run/rw/up")?;
    dir("/run/rw/work")?;
    dir(NEW)?;
    on("overlay", NEW, "lowerdir=/run/lower,upperdir=/run/rw/up,workdir=/run/rw/work")?;
    for (kind, target, data) in [
        ("proc", "proc", ""),
        ("sysfs", "sys", ""),
        ("devtmpfs", "dev", ""),
        ("tmpfs", "run", "mode=755"),
        ("tmpfs", "dev/shm", "mode=1777"),
        ("devpts", "dev/pts", ""),
    ] {
        let target = format!("{NEW}/{target}");
        dir(&target)?;
        on(kind, &target, data)?;
    }
    // Moved, not pivoted: otherwise processes that enter a namespace later see the wrong root.
    let bug = |what: &str, e: std::io::Error| Refusal::new(what, e, "this is a bug of faultlab: please report it");
    std::env::set_current_dir(NEW).map_err(|e| bug("enter the new root", e))?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>).map_err(|e| bug("move the new root", e.into()))?;
    nix::unistd::chroot(".").map_err(|e| bug("change the root", e.into()))?;
    std::env::set_current_dir("/").map_err(|e| bug("enter the new root", e))
}

fn set_environment(orders: &Orders) -> Result<(), Refusal> {
    crate::sys::set_environment(&orders.env);
    let Some(share) = &orders.share else { return Ok(()) };
    share_folder(share)
}

/// The folder has its host's name, but is the guest's own until [`publish`]: hostfs makes a new inode at every look, so
/// that a watch (inotify) on a file there would never fire.
fn share_folder(share: &Path) -> Result<(), Refusal> {
    let shown = share.display();
    let refused = |what: String| move |e: nix::Error| Refusal::new(what, e, "is it readable?");
    std::fs::create_dir_all(share).map_err(|e| Refusal::new(format!("make {shown}"), e, "is its parent readable?"))?;
    std::fs::create_dir_all(HOST_SHARE).map_err(|e| Refusal::new(format!("make {HOST_SHARE}"), e, "is /run writable?"))?;
    mount(Some("none"), HOST_SHARE, Some("hostfs"), MsFlags::empty(), Some(share))
        .map_err(refused(format!("share {shown} with the host")))?;
    mount(Some("tmpfs"), share, Some("tmpfs"), MsFlags::empty(), Some("mode=755")).map_err(refused(format!("mount a tmpfs on {shown}")))
}

/// Copies what is in the shared folder to the host. Sockets stay behind.
pub fn publish(share: &Path) -> std::io::Result<()> {
    copy(share, Path::new(HOST_SHARE))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
            // What is private inside is private outside.
            std::fs::set_permissions(target, entry.metadata()?.permissions())?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Nothing to read; what is said goes to the kernel's console.
fn standard_streams() -> Result<(), Refusal> {
    let failed = |e: std::io::Error| Refusal::new("rearrange the standard streams", e, "is /dev/console there?");
    let null = File::open("/dev/null").map_err(failed)?;
    let console = OpenOptions::new().write(true).open("/dev/console").map_err(failed)?;
    nix::unistd::dup2_stdin(&null).map_err(|e| failed(e.into()))?;
    nix::unistd::dup2_stdout(&console).map_err(|e| failed(e.into()))?;
    nix::unistd::dup2_stderr(&console).map_err(|e| failed(e.into()))
}

/// Without a console there is nobody to tell.
fn console(text: &str) {
    if let Ok(mut console) = OpenOptions::new().write(true).open("/dev/console") {
        let _ = writeln!(console, "{text}");
    }
}
