//! From a network of the scenario to namespaces, links, addresses and routes of the kernel.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::kernel::netlink::Request;
use super::kernel::{conntrack, links, nft, ready, routes, sysctl};
use super::namespaces::{NetNs, Refusal};
use super::node::NodeHandle;
use crate::scenario::model::{Iface, Network, Node, Role};

/// Interfaces get these indexes and the following, in order over the whole network. The two ends of a link must differ:
/// the kernel takes a veth whose peer has the same index for one without a peer, and delays its state by a second.
const FIRST_INDEX: u32 = 10;

/// Why a world could not be built.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The machine lacks privilege or a kernel feature.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The network is inconsistent: an error of the scenario that its check should have found.
    #[error("network `{layout}`: {what}")]
    Network {
        /// Layout name.
        layout: String,
        /// What is wrong.
        what: String,
    },
    /// The kernel refused a step.
    #[error("node `{node}`: {doing}: {source}")]
    Kernel {
        /// Node name.
        node: String,
        /// What was being done.
        doing: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl WorldError {
    fn kernel(node: &str, doing: impl Into<String>) -> impl FnOnce(io::Error) -> WorldError {
        let (node, doing) = (node.to_owned(), doing.into());
        move |source| WorldError::Kernel { node, doing, source }
    }
}

/// A built network. Its namespaces live as long as the nodes' handles and the processes and sockets inside.
#[derive(Debug)]
pub struct World {
    nodes: BTreeMap<String, Arc<NodeHandle>>,
    network: Network,
}

impl World {
    /// Builds a network in the calling process (a cell), and returns when every link can carry packets.
    pub fn build(network: &Network) -> Result<World, WorldError> {
        let world = World::found(network)?;
        world.connect(None)?;
        Ok(world)
    }

    /// The first half of [`World::build`]: the nodes, with nothing between them.
    pub fn found(network: &Network) -> Result<World, WorldError> {
        let prepared = NetNs::create(network.nodes.len(), |i| network.nodes.get(i).map_or(Ok(()), prepare))?;
        let mut nodes = BTreeMap::new();
        let mut indexes = FIRST_INDEX..;
        for (node, (ns, outcome)) in network.nodes.iter().zip(prepared) {
            outcome.map_err(WorldError::kernel(&node.name, "kernel settings"))?;
            let ifaces = node.ifaces.iter().zip(&mut indexes).map(|(iface, index)| (iface.name.clone(), index)).collect();
            nodes.insert(node.name.clone(), Arc::new(NodeHandle::new(node.name.clone(), ns, ifaces)));
        }
        Ok(World { nodes, network: network.clone() })
    }

    /// The second half: links, addresses, routes, translation. `delay`: what a packet takes to the other end of a link.
    pub fn connect(&self, delay: Option<Duration>) -> Result<(), WorldError> {
        self.add_links()?;
        for node in &self.network.nodes {
            self.configure(node, delay)?;
        }
        for node in &self.network.nodes {
            let addresses: Vec<_> = node.ifaces.iter().flat_map(|i| &i.addrs).map(|a| a.addr()).collect();
            let up = self.node(&node.name)?.run(|| ready::wait(&addresses)).and_then(|r| r);
            up.map_err(WorldError::kernel(&node.name, "waiting for its links"))?;
        }
        Ok(())
    }

    /// A node by name.
    pub fn node(&self, name: &str) -> Result<Arc<NodeHandle>, WorldError> {
        self.nodes.get(name).cloned().ok_or_else(|| self.broken(format!("no node `{name}`")))
    }

    /// What was built.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// All taps, `node.iface`, in interface order.
    pub fn taps(&self) -> Vec<String> {
        self.network.nodes.iter().flat_map(|n| n.ifaces.iter().map(move |i| format!("{}.{}", n.name, i.name))).collect()
    }

    /// Node, interface index and interface name of a tap.
    pub fn tap<'a>(&self, tap: &'a str) -> Result<(Arc<NodeHandle>, u32, &'a str), WorldError> {
        let none = || self.broken(format!("no tap `{tap}`"));
        let (node, iface) = tap.split_once('.').ok_or_else(none)?;
        let node = self.node(node)?;
        let index = node.index(iface).ok_or_else(none)?;
        Ok((node, index, iface))
    }

    /// Both taps of the link that a tap is an end of, the given one first.
    pub fn link_of(&self, tap: &str) -> Result<(String, String), WorldError> {
        let name = |(node, iface): &(String, String)| format!("{node}.{iface}");
        let ends = self.network.links.iter().map(|l| (name(&l.a), name(&l.b)));
        ends.into_iter()
            .find_map(|(a, b)| {
                if a == tap {
                    Some((a, b))
                } else if b == tap {
                    Some((b, a))
                } else {
                    None
                }
            })
            .ok_or_else(|| self.broken(format!("no link at `{tap}`")))
    }

    fn broken(&self, what: String) -> WorldError {
        WorldError::Network { layout: self.network.layout.clone(), what }
    }

    fn add_links(&self) -> Result<(), WorldError> {
        let mut by_node: BTreeMap<&str, Vec<Request>> = BTreeMap::new();
        for link in &self.network.links {
            let (a, b) = (self.end(&link.a)?, self.end(&link.b)?);
            let other = self.node(&link.b.0)?.netns_fd();
            by_node.entry(&link.a.0).or_default().push(links::add_veth(&a, &b, other, link.mtu));
        }
        for (node, requests) in by_node {
            let made = self.node(node)?.route(|netlink| netlink.talk(&requests).map_err(|(_, e)| e));
            made.map_err(WorldError::kernel(node, "creating its links"))?;
        }
        Ok(())
    }

    fn end(&self, (node, iface): &(String, String)) -> Result<links::End, WorldError> {
        let handle = self.node(node)?;
        let index = handle.index(iface).ok_or_else(|| self.broken(format!("node `{node}` has no interface `{iface}`")))?;
        // Locally administered; the rest is the index.
        let [a, b, c, d] = index.to_be_bytes();
        let mac = [0x02, 0x00, a, b, c, d];
        Ok(links::End { name: iface.clone(), index, mac })
    }

    fn configure(&self, node: &Node, delay: Option<Duration>) -> Result<(), WorldError> {
        let handle = self.node(&node.name)?;
        let fail = |doing: &'static str| WorldError::kernel(&node.name, doing);
        let mut requests = Vec::new();
        let mut said = Vec::new();
        for iface in &node.ifaces {
            let index = handle.index(&iface.name).ok_or_else(|| self.broken(format!("`{}` has no `{}`", node.name, iface.name)))?;
            requests.push(links::set_up(index, true));
            said.push(format!("setting {} up", iface.name));
            if let Some(delay) = delay {
                requests.push(links::set_delay(index, delay));
                said.push(format!("delaying what leaves by {} (netem)", iface.name));
            }
            for address in &iface.addrs {
                requests.push(links::add_address(index, *address));
                said.push(format!("adding address {address} to {}", iface.name));
            }
        }
        for route in &node.routes {
            requests.push(routes::add(route.to, route.via).map_err(fail("preparing its routes"))?);
            said.push(format!("adding route {} via {}", route.to, route.via));
        }
        let done = handle.run(|| -> Result<(), (usize, io::Error)> {
            let usize_max = |e| (usize::MAX, e);
            crate::sys::set_offloads(node.ifaces.iter().map(|i: &Iface| i.name.as_str()), false).map_err(usize_max)?;
            let mut netlink = links::open().map_err(usize_max)?;
            netlink.talk(&requests)?;
            trust_neighbours(node).map_err(usize_max)
        });
        done.map_err(fail("entering its namespace"))?.map_err(|(i, source)| {
            let doing = said.get(i).cloned().unwrap_or_else(|| "switching offloads off".into());
            WorldError::Kernel { node: node.name.clone(), doing, source }
        })?;
        if let Some(nat) = &node.nat {
            let rules = nft::masquerade("nat", &nat.outside, nat.ports, nat.random);
            handle
                .run(|| nft::apply(&nft::shield("shield", &nat.outside)))
                .and_then(|r| r)
                .map_err(fail("the router's own packet filter"))?;
            handle.run(|| nft::apply(&rules)).and_then(|r| r).map_err(fail("address translation (nftables)"))?;
            if let Some(timeout) = nat.udp_timeout {
                handle.run(|| conntrack::set_udp_timeout(timeout)).and_then(|r| r).map_err(fail("the lifetime of UDP mappings"))?;
            }
        }
        Ok(())
    }
}

/// Neighbours are asked for their hardware addresses once, and not again every half a minute (RFC 1122 §2.3.2.1): for hours with a
/// packet now and then, that would be most of what is captured, at random times.
fn trust_neighbours(node: &Node) -> io::Result<()> {
    const A_DAY: &str = "86400000"; // ms
    for (family, iface) in ["ipv4", "ipv6"].into_iter().flat_map(|f| node.ifaces.iter().map(move |i| (f, i))) {
        match sysctl::write(&format!("net/{family}/neigh/{}/base_reachable_time_ms", iface.name), A_DAY) {
            // A namespace of an unprivileged user has no such setting, and a kernel may have no IPv6.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// Settings of a new namespace, from inside; interfaces inherit those called `default`.
fn prepare(node: &Node) -> io::Result<()> {
    let forwards = node.role != Role::Host;
    let v6 = node.ifaces.iter().any(|i| i.addrs.iter().any(|a| a.addr().is_ipv6()));
    let on = |yes: bool| if yes { "1" } else { "0" };
    for (name, value) in [
        ("net/ipv4/ip_forward", on(forwards)),
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/default/rp_filter", "0"),
        ("net/ipv4/conf/all/send_redirects", "0"),
        ("net/ipv4/conf/default/send_redirects", "0"),
    ] {
        sysctl::write(name, value)?;
    }
    // A kernel without IPv6 is fine as long as nobody needs it.
    if v6 || std::path::Path::new("/proc/sys/net/ipv6").exists() {
        let settings: &[(&str, &str)] = if v6 {
            &[
                ("net/ipv6/conf/all/forwarding", on(forwards)),
                ("net/ipv6/conf/default/accept_dad", "0"),
                ("net/ipv6/conf/default/accept_ra", "0"),
                ("net/ipv6/conf/default/autoconf", "0"),
                ("net/ipv6/conf/default/router_solicitations", "0"),
                // Without a link-local address a router cannot ask for its neighbours on behalf of what it forwards.
                ("net/ipv6/conf/default/addr_gen_mode", "0"),
            ]
        } else {
            &[("net/ipv6/conf/default/disable_ipv6", "1")]
        };
        for (name, value) in settings {
            sysctl::write(name, value)?;
        }
    }
    let up = links::open()?.talk(&[links::set_up(links::LOOPBACK, true)]);
    up.map(|_| ()).map_err(|(_, e)| e)
}
