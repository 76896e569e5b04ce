//! Traffic steps and services of a plan, on the sockets of its nodes.

pub mod health;
pub mod services;
pub mod steps;
pub mod words;

use std::net::IpAddr;
use std::sync::Arc;

use runtime::Sockets;

use crate::scenario::model::Network;

/// Gives access to the sockets of nodes.
pub trait Nodes {
    /// Sockets of a node.
    fn sockets(&self, node: &str) -> Option<Arc<dyn Sockets>>;
}

/// Address of a host given by node name or literally, and the node that owns it, if any.
fn resolve<'a>(network: &'a Network, v6: bool, host: &'a str) -> Option<(IpAddr, Option<&'a str>)> {
    if let Some(node) = network.node(host) {
        return node.address(v6).map(|a| (a, Some(node.name.as_str())));
    }
    let addr: IpAddr = host.parse().ok()?;
    Some((addr, network.owner(addr)))
}
