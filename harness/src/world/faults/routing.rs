//! Faults of routing: `route-missing`, `route`, `forwarding-off`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::super::World;
use super::super::kernel::routes::{self, Lookup};
use super::super::kernel::sysctl;
use super::{Evidence, Failure, InForce, Placed, Proved, looked, node_at, text};
use crate::scenario::model::Fault;

const FORWARD_V4: &str = "net/ipv4/ip_forward";
const FORWARD_V6: &str = "net/ipv6/conf/all/forwarding";

/// `route-missing`.
pub(super) fn missing(world: &World, fault: &Fault) -> Placed {
    let (node, to) = (node_at(world, fault)?, prefix(fault)?);
    let probe = within(to);
    let before = node.route(|netlink| routes::lookup(netlink, probe))?;
    let request = routes::remove(to)?;
    node.route(|netlink| netlink.talk(&[request]).map_err(|(_, e)| e)).map_err(|e| match e.raw_os_error() {
        Some(libc::ESRCH) => Failure(format!("{} has no route to {to} that could be removed", node.name())),
        _ => e.into(),
    })?;
    Ok(Box::new(Looked { node: node.name().to_owned(), probe, wanted: Wanted::Other(before) }))
}

/// `route`.
pub(super) fn other(world: &World, fault: &Fault) -> Placed {
    let (node, to) = (node_at(world, fault)?, prefix(fault)?);
    let via = fault.args.addr("via").ok_or_else(|| Failure("argument `via` is no address".into()))?;
    let request = routes::replace(to, via)?;
    node.route(|netlink| netlink.talk(&[request]).map_err(|(_, e)| e))?;
    Ok(Box::new(Looked { node: node.name().to_owned(), probe: within(to), wanted: Wanted::Is(Lookup::Via(via)) }))
}

fn prefix(fault: &Fault) -> Result<IpNet, Failure> {
    let to = text(fault, "to")?;
    to.parse().map_err(|_| Failure(format!("argument `to`: `{to}` is no prefix")))
}

/// An address to ask the kernel about. That of a default route must be one that no layout uses.
fn within(to: IpNet) -> IpAddr {
    match to {
        IpNet::V4(n) if n.prefix_len() == 0 => Ipv4Addr::new(1, 1, 1, 1).into(),
        IpNet::V6(n) if n.prefix_len() == 0 => Ipv6Addr::new(0x2600, 0, 0, 0, 0, 0, 0, 1).into(),
        _ => to.hosts().next().unwrap_or(to.addr()),
    }
}

enum Wanted {
    Is(Lookup),
    Other(Lookup),
}

struct Looked {
    node: String,
    probe: IpAddr,
    wanted: Wanted,
}

impl InForce for Looked {
    fn prove(&mut self, evidence: &Evidence<'_>) -> Proved {
        let Looked { node, probe, wanted } = self;
        let check = || -> io::Result<Proved> {
            let handle = evidence.world.node(node).map_err(io::Error::other)?;
            let now = handle.route(|netlink| routes::lookup(netlink, *probe))?;
            Ok(match &*wanted {
                Wanted::Is(wanted) if now == *wanted => Proved::Yes(format!("{node} sends packets for {probe} {now}")),
                Wanted::Is(wanted) => Proved::NotYet(format!("{node} would send packets for {probe} {now}, not {wanted}")),
                Wanted::Other(before) if now != *before => Proved::Yes(format!("{node} has for {probe}: {now}; before: {before}")),
                Wanted::Other(_) => Proved::NotYet(format!("{node} still sends packets for {probe} {now}")),
            })
        };
        looked(check())
    }
}

/// `forwarding-off`.
pub(super) fn forwarding_off(world: &World, fault: &Fault) -> Placed {
    let node = node_at(world, fault)?;
    node.run(|| -> io::Result<()> {
        sysctl::set(FORWARD_V4, 0)?;
        if sysctl::get(FORWARD_V6).is_ok() { sysctl::set(FORWARD_V6, 0) } else { Ok(()) }
    })??;
    Ok(Box::new(NotForwarding { node: node.name().to_owned() }))
}

struct NotForwarding {
    node: String,
}

impl InForce for NotForwarding {
    fn prove(&mut self, evidence: &Evidence<'_>) -> Proved {
        let check = || -> io::Result<Proved> {
            let handle = evidence.world.node(&self.node).map_err(io::Error::other)?;
            // A kernel without IPv6 does not forward it either.
            let (v4, v6) = handle.run(|| (sysctl::get(FORWARD_V4), sysctl::get(FORWARD_V6).unwrap_or_else(|_| "0".into())))?;
            let v4 = v4?;
            Ok(if v4 == "0" && v6 == "0" {
                Proved::Yes(format!("forwarding at {} read back: off", self.node))
            } else {
                Proved::NotYet(format!("forwarding at {}: IPv4 {v4}, IPv6 {v6}", self.node))
            })
        };
        looked(check())
    }
}
