//! What tells a kept cell from whatever else has its number later: when its first process began, and which namespaces are its.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use super::super::namespaces::{Opened, Refusal};
use super::FIRST;
use super::stat::Stat;

/// What is tried when a kept cell is looked for.
pub(super) const FINDING: &str = "find the kept cell";

/// A kept cell, as its evidence folder tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The first process, as its parent sees it.
    pid: u32,
    /// When it began, in ticks since the machine did.
    started: u64,
    /// Inodes of its namespaces, by their names below `/proc/PID/ns`.
    namespaces: BTreeMap<String, u64>,
    /// Nodes by name.
    nodes: BTreeMap<String, KeptNode>,
}

/// A node's network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct KeptNode {
    /// Its descriptor in the first process.
    fd: i32,
    /// Its inode.
    inode: u64,
}

/// Those that are entered, beside a node's.
const NAMESPACES: [&str; 3] = ["user", "pid", "mnt"];

impl Kept {
    /// Looks at a running cell; `nodes`: descriptors of the nodes' namespaces in its first process.
    pub fn of(pid: u32, nodes: &BTreeMap<String, i32>) -> io::Result<Kept> {
        let inode = |what: &str| std::fs::metadata(format!("/proc/{pid}/{what}")).map(|m| m.ino());
        let namespaces = NAMESPACES.iter().map(|name| Ok(((*name).to_owned(), inode(&format!("ns/{name}"))?)));
        let nodes = nodes.iter().map(|(name, fd)| Ok((name.clone(), KeptNode { fd: *fd, inode: inode(&format!("fd/{fd}"))? })));
        Ok(Kept {
            pid,
            started: Stat::of(pid)?.started,
            namespaces: namespaces.collect::<io::Result<_>>()?,
            nodes: nodes.collect::<io::Result<_>>()?,
        })
    }

    /// Names of its nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// Opens its namespaces and a node's, if they are still those that were kept.
    pub(super) fn open(&self, node: &str) -> Result<Opened, Refusal> {
        let other = |why: String| {
            Refusal::new(FINDING, why, "its run has ended, or the file is of another machine; begin again with `faultlab run ID --keep`")
        };
        let node = self.nodes.get(node).ok_or_else(|| other(format!("it has no node `{node}`")))?;
        let pid = self.pid;
        let gone = |e: io::Error| other(format!("process {pid}: {e}"));
        // From here on the number cannot become another process's unseen.
        let handle = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| other(format!("{pid} is no process id")))?;
        let handle = pidfd_open(handle, PidfdFlags::empty()).map_err(|e| gone(e.into()))?;
        if Stat::of(pid).map_err(gone)?.started != self.started || !is_cell(pid).map_err(gone)? {
            return Err(other(format!("process {pid} is another one")));
        }
        let open = |what: &str, inode: Option<&u64>| -> Result<File, Refusal> {
            let file = File::open(format!("/proc/{pid}/{what}")).map_err(gone)?;
            let found = file.metadata().map_err(gone)?.ino();
            if inode == Some(&found) { Ok(file) } else { Err(other(format!("{what} of process {pid} is another namespace"))) }
        };
        let of = |name: &str| open(&format!("ns/{name}"), self.namespaces.get(name));
        let opened =
            Opened { user: of("user")?, pid: of("pid")?, mnt: of("mnt")?, net: open(&format!("fd/{}", node.fd), Some(&node.inode))? };
        // A file that somebody has made up must not lead to what is no cell at all.
        for (file, name) in [(&opened.pid, "pid"), (&opened.mnt, "mnt"), (&opened.net, "net")] {
            let own = std::fs::metadata(format!("/proc/self/ns/{name}")).map_err(gone)?.ino();
            if file.metadata().map_err(gone)?.ino() == own {
                return Err(other(format!("process {pid} is in no cell")));
            }
        }
        if ended(&handle) { Err(other(format!("process {pid} has ended"))) } else { Ok(opened) }
    }
}

fn is_cell(pid: u32) -> io::Result<bool> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline"))?;
    Ok(line.split(|b| *b == 0).nth(1) == Some(FIRST.as_bytes()))
}

fn ended(handle: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(handle, PollFlags::IN)];
    !matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cell_is_not_opened_whatever_a_file_says() {
        let own = std::process::id();
        let net = File::open("/proc/self/ns/net").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&net);
        let kept = Kept::of(own, &BTreeMap::from([("west".to_owned(), fd)])).unwrap();
        let why = |kept: &Kept| kept.open("west").err().unwrap().errno;
        assert_eq!(why(&kept), format!("process {own} is another one"), "it is no cell's first process");
        assert!(why(&Kept { pid: u32::MAX, ..kept.clone() }).contains("no process id"));
        assert!(kept.open("east").err().unwrap().errno.contains("no node `east`"));
    }
}
