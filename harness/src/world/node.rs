//! A node of a built world.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::cell::enter_args;
use super::kernel::links;
use super::kernel::netlink::Netlink;
use super::namespaces::{NetNs, Refusal};

/// A node: its network namespace, and what can be done in it. Opens sockets ([`runtime::Sockets`]) and starts processes
/// ([`peer::Spawner`]) inside.
#[derive(Debug)]
pub struct NodeHandle {
    name: String,
    ns: Arc<NetNs>,
    ifaces: Vec<(String, u32)>,
}

impl NodeHandle {
    /// From a prepared namespace; `ifaces` are names with indexes.
    pub(super) fn new(name: String, ns: NetNs, ifaces: Vec<(String, u32)>) -> NodeHandle {
        NodeHandle { name, ns: Arc::new(ns), ifaces }
    }

    /// Makes a node without links; its loopback interface is up.
    pub fn alone(name: &str) -> Result<NodeHandle, Refusal> {
        let loopback = |_| links::open()?.ask(links::set_up(links::LOOPBACK, true)).map(drop);
        let (ns, up) = NetNs::create(1, loopback)?.pop().ok_or_else(|| Refusal::new("create a network namespace", "there is none", ""))?;
        up.map_err(|e: io::Error| Refusal::new("set a loopback interface up", e, "is this a cell?"))?;
        Ok(NodeHandle::new(name.to_owned(), ns, Vec::new()))
    }

    /// Name in the scenario.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` inside the node's network namespace. It must not block for long; it cannot `await`.
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> io::Result<T> {
        self.ns.run(f)
    }

    /// Descriptor of the namespace in this process, for `faultlab shell`.
    pub fn netns_fd(&self) -> RawFd {
        self.ns.fd()
    }

    /// Index of an interface.
    pub fn index(&self, iface: &str) -> Option<u32> {
        self.ifaces.iter().find(|(name, _)| name == iface).map(|(_, index)| *index)
    }

    /// Lets an interface join and cut TCP packets as network cards do, or not; nodes begin without.
    pub fn set_offloads(&self, iface: &str, on: bool) -> io::Result<()> {
        self.run(|| crate::sys::set_offloads([iface], on))?
    }

    /// Works with a rtnetlink socket of the node.
    pub fn route<T>(&self, f: impl FnOnce(&mut Netlink) -> io::Result<T>) -> io::Result<T> {
        self.run(|| f(&mut links::open()?))?
    }
}

impl runtime::Sockets for NodeHandle {
    fn open(&self, domain: socket2::Domain, kind: socket2::Type, protocol: Option<socket2::Protocol>) -> io::Result<socket2::Socket> {
        self.run(|| socket2::Socket::new(domain, kind, protocol))?
    }
}

impl peer::Inside for NodeHandle {
    fn inside(&self, work: &mut (dyn FnMut() -> io::Result<()> + Send)) -> io::Result<()> {
        self.run(work)?
    }
}

impl peer::Spawner for NodeHandle {
    fn command(&self, program: &str, args: &[OsString], binds: &[(PathBuf, PathBuf)]) -> tokio::process::Command {
        let net = format!("/proc/{}/fd/{}", std::process::id(), self.netns_fd());
        let mut command = tokio::process::Command::new("/proc/self/exe");
        command.args(enter_args(&net, binds, program, args)).kill_on_drop(true).process_group(0);
        command
    }
}
