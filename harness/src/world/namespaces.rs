//! The one file that creates and enters namespaces.
//!
//! `setns` concerns a thread, so a node's namespace is entered only around a closure ([`NetNs::run`]) and left again even
//! when the closure panics; nothing may `await` in between.

use std::any::Any;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid};
use serde::{Deserialize, Serialize};

/// The machine refused something that a cell needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the machine refused to {tried}: {errno}; {hint}")]
pub struct Refusal {
    /// What was tried.
    pub tried: String,
    /// The kernel's answer in words.
    pub errno: String,
    /// What to do.
    pub hint: String,
    /// The machine ran short of something (descriptors, processes, memory, disk): it may have it at another time.
    pub short: bool,
}

impl Refusal {
    /// From its parts.
    pub fn new(tried: impl Into<String>, cause: impl Cause, hint: impl Into<String>) -> Refusal {
        Refusal { tried: tried.into(), errno: cause.text(), hint: hint.into(), short: cause.is_shortage() }
    }

    /// No thread could be started.
    pub fn of_thread(e: io::Error) -> Refusal {
        Refusal::new("start a thread", e, "the limit of processes may be reached")
    }

    /// The kernel gave no namespace: a limit of them, which may be 0, is a prohibition.
    fn of_namespaces(tried: &str, errno: Errno) -> Refusal {
        let refusal = Refusal::new(tried, errno, PRIVILEGE);
        Refusal { short: refusal.short && errno != Errno::ENOSPC, ..refusal }
    }
}

/// Why the machine refused.
pub trait Cause {
    /// In words.
    fn text(&self) -> String;
    /// Did the machine run short of something?
    fn is_shortage(&self) -> bool {
        false
    }
}

impl Cause for io::Error {
    fn text(&self) -> String {
        self.to_string()
    }
    fn is_shortage(&self) -> bool {
        peer::is_shortage_at_start(self)
    }
}

impl Cause for Errno {
    fn text(&self) -> String {
        self.to_string()
    }
    fn is_shortage(&self) -> bool {
        peer::is_shortage_at_start(&(*self).into())
    }
}

impl Cause for netns_rs::Error {
    fn text(&self) -> String {
        self.to_string()
    }
    fn is_shortage(&self) -> bool {
        match self {
            netns_rs::Error::OpenNsError(_, e) => e.is_shortage(),
            netns_rs::Error::SetnsError(e) => io::Error::from(*e).is_shortage(),
            _ => false,
        }
    }
}

impl Cause for String {
    fn text(&self) -> String {
        self.clone()
    }
}

impl Cause for &str {
    fn text(&self) -> String {
        (*self).to_owned()
    }
}

const PRIVILEGE: &str = "run as root, or allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, \
                         user.max_user_namespaces above 0, and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)";

/// Moves this (single-threaded) process into namespaces of its own; its children start a new process-id namespace.
pub fn isolate() -> Result<(), Refusal> {
    let flags =
        CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    let (uid, gid) = (geteuid(), getegid());
    let plain = if uid.is_root() { unshare(flags) } else { Err(Errno::EPERM) };
    match plain {
        Ok(()) => {}
        // Not privileged (or root of a container that is not): be root of a user namespace.
        Err(Errno::EPERM) => {
            unshare(flags | CloneFlags::CLONE_NEWUSER).map_err(|e| Refusal::of_namespaces("create user and network namespaces", e))?;
            let map = |file: &str, text: String| {
                std::fs::write(file, text).map_err(|e| Refusal::new(format!("write {file} of a user namespace"), e, PRIVILEGE))
            };
            map("/proc/self/setgroups", "deny".to_owned())?;
            map("/proc/self/uid_map", format!("0 {uid} 1"))?;
            map("/proc/self/gid_map", format!("0 {gid} 1"))?;
        }
        Err(e) => return Err(Refusal::of_namespaces("create network, process and mount namespaces", e)),
    }
    private_mounts().map_err(|e| Refusal::new("make mounts private", e, PRIVILEGE))
}

fn private_mounts() -> nix::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// Gives the first process of a cell its own `/proc` and `/run`.
pub fn own_mounts() -> Result<(), Refusal> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("proc"), "/proc", Some("proc"), flags | MsFlags::MS_NOEXEC, None::<&str>).map_err(|e| {
        Refusal::new("mount /proc in a new process-id namespace", e, "in a container, run it with an unmasked /proc (or privileged)")
    })?;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), flags, Some("mode=0755"))
        .map_err(|e| Refusal::new("mount a tmpfs on /run", e, "the mount namespace must allow tmpfs"))
}

/// Gives this (single-threaded) process private mounts, with each `(source, target)` bound over its target. A missing
/// target below `/run`, which is a tmpfs of the cell, is created.
pub fn bind_privately(binds: &[(String, String)]) -> Result<(), Refusal> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|e| Refusal::new("create a mount namespace", e, PRIVILEGE))?;
    private_mounts().map_err(|e| Refusal::new("make mounts private", e, PRIVILEGE))?;
    // All are opened first: one may lie below another's target.
    let open = |source: &str| File::options().read(true).custom_flags(libc::O_PATH).open(source);
    let sources = binds.iter().map(|(source, target)| {
        open(source).map_err(|e| Refusal::new(format!("open {source} to bind it over {target}"), e, "is it there?"))
    });
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    for ((source, target), opened) in binds.iter().zip(sources) {
        if !Path::new(target).exists() && Path::new(target).starts_with("/run") {
            std::fs::create_dir_all(target).map_err(|e| Refusal::new(format!("create {target}"), e, "choose another target"))?;
        }
        let opened = format!("/proc/self/fd/{}", opened.as_raw_fd());
        mount(Some(opened.as_str()), target.as_str(), None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
            .map_err(|e| Refusal::new(format!("bind {source} over {target}"), e, "both must exist and be of the same kind"))?;
    }
    Ok(())
}

/// Moves this thread into the network namespace at `path` for good.
pub fn enter_network(path: &str) -> Result<(), Refusal> {
    let file = File::open(path).map_err(|e| Refusal::new(format!("open network namespace {path}"), e, "is the cell still there?"))?;
    setns(&file, CloneFlags::CLONE_NEWNET).map_err(|e| Refusal::new(format!("enter network namespace {path}"), e, PRIVILEGE))
}

/// The namespaces of a cell and of one of its nodes, open.
#[derive(Debug)]
pub struct Opened {
    /// The cell's user namespace.
    pub user: File,
    /// Its process-id namespace.
    pub pid: File,
    /// Its mount namespace.
    pub mnt: File,
    /// The node's network namespace.
    pub net: File,
}

/// Moves this (single-threaded) process into them. Only children will be inside the process-id namespace.
pub fn enter_cell_of(Opened { user, pid, mnt, net }: Opened) -> Result<(), Refusal> {
    let own = File::open("/proc/self/ns/user").map_err(|e| Refusal::new("open /proc/self/ns/user", e, "is /proc mounted?"))?;
    if identity(&own) != identity(&user) {
        setns(&user, CloneFlags::CLONE_NEWUSER).map_err(|e| Refusal::new("enter the cell's user namespace", e, PRIVILEGE))?;
    }
    for (file, flag, name) in [
        (net, CloneFlags::CLONE_NEWNET, "node's network"),
        (pid, CloneFlags::CLONE_NEWPID, "cell's process-id"),
        (mnt, CloneFlags::CLONE_NEWNS, "cell's mount"),
    ] {
        setns(&file, flag).map_err(|e| Refusal::new(format!("enter the {name} namespace"), e, PRIVILEGE))?;
    }
    Ok(())
}

fn identity(file: &File) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    file.metadata().ok().map(|m| (m.dev(), m.ino()))
}

/// An anonymous network namespace: it exists as long as something holds it open, so nothing can be left behind.
#[derive(Debug)]
pub struct NetNs {
    inner: netns_rs::NetNs,
}

impl NetNs {
    /// Creates `count` namespaces and calls `prepare(index)` inside each, once, on a thread of its own.
    pub fn create<T: Send>(count: usize, prepare: impl Fn(usize) -> T + Sync) -> Result<Vec<(NetNs, T)>, Refusal> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(count);
        let made = std::thread::scope(|scope| {
            let prepare = &prepare;
            let begin = |w: usize| {
                let work = move || {
                    let each = (w..count).step_by(workers).map(|i| Ok((i, (NetNs::unshare_here()?, prepare(i)))));
                    each.collect::<Result<Vec<_>, Refusal>>()
                };
                let thread = std::thread::Builder::new().name("netns".into()).spawn_scoped(scope, work);
                thread.map_err(Refusal::of_thread)
            };
            let threads = (0..workers).map(begin).collect::<Result<Vec<_>, Refusal>>()?;
            threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| resume_unwind(panic))).collect::<Result<Vec<_>, Refusal>>()
        })?;
        let mut made: Vec<_> = made.into_iter().flatten().collect();
        made.sort_by_key(|(i, _)| *i);
        Ok(made.into_iter().map(|(_, both)| both).collect())
    }

    /// Leaves this thread in a new namespace; only for threads that end soon.
    fn unshare_here() -> Result<NetNs, Refusal> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| Refusal::of_namespaces("create a network namespace", e))?;
        let inner = netns_rs::get_from_path("/proc/thread-self/ns/net")
            .map_err(|e| Refusal::new("open a new network namespace", e, "is /proc mounted, and the limit of open files high enough?"))?;
        Ok(NetNs { inner })
    }

    /// Runs `f` in the namespace and comes back, even from a panic.
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> io::Result<T> {
        let result: Result<Result<T, Box<dyn Any + Send>>, _> = self.inner.run(|_| catch_unwind(AssertUnwindSafe(f)));
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => resume_unwind(panic),
            // The kernel's own error: what it means is looked at by others.
            Err(netns_rs::Error::OpenNsError(_, e)) => Err(e),
            Err(netns_rs::Error::SetnsError(e)) => Err(e.into()),
            Err(e) => Err(io::Error::other(e.to_string())),
        }
    }

    /// Descriptor of the namespace in this process.
    pub fn fd(&self) -> RawFd {
        self.inner.file().as_raw_fd()
    }
}
