//! How many descriptors processes may have.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Beyond this many a limit only costs time: some programs close every descriptor that there may be.
const ENOUGH: u64 = 1 << 20;
/// What a pocket's first process allows itself: a star with 200 spokes needs some 3,000.
const IN_A_POCKET: u64 = 1 << 16;
/// What programs of others are used to.
const USUAL: u64 = 1024;
/// Descriptors that a side must have left when its gateways run: sockets of probes and services, requests to kernel and daemons.
const SPARE: u64 = 64;

/// Makes use of all that this process is allowed to have. To be called first in `main`, while the process has one thread.
pub fn prepare() {
    crate::sys::ignore_file_size_signal();
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if limit.current.is_some_and(|now| now < most) {
        // Without, there are as many as there were.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit });
    }
}

/// The same for the first process of a pocket, whose kernel begins with a limit of its own.
pub fn prepare_pocket() -> io::Result<()> {
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(IN_A_POCKET), maximum: Some(IN_A_POCKET) })?)
}

/// For a process that is about to become a program of others.
pub fn usual() {
    let limit = getrlimit(Resource::Nofile);
    let now = limit.maximum.map_or(USUAL, |most| most.min(USUAL));
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(now), ..limit });
}

/// An error: so few descriptors are left to this process that what follows would fail for want of them.
pub fn enough_left() -> Result<(), String> {
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64);
    match getrlimit(Resource::Nofile).current {
        Some(most) if most < open + SPARE => Err(format!(
            "too few file descriptors: {open} of the {most} that a process may have are in use, and a side needs {SPARE} more; raise the hard \
             limit (ulimit -Hn)"
        )),
        _ => Ok(()),
    }
}
