//! Addresses that interfaces get during the run: the fault `change-address`, where it meets the network.

use std::net::IpAddr;

use ipnet::IpNet;

use super::diag::listed;
use super::model::{Fault, Iface, Network};
use super::walk::Walker;

/// Node and name of the interface that moves, and the interface at the other end of its link.
fn ends<'n>(network: &'n Network, fault: &'n Fault) -> Option<((&'n str, &'n str), &'n Iface)> {
    let (node, iface) = fault.args.text("at")?.split_once('.')?;
    Some(((node, iface), network.iface(network.opposite(node, iface)?)?))
}

/// The neighbour's addresses in whose subnets the new one is.
fn fitting(neighbour: &Iface, to: IpAddr) -> Vec<IpNet> {
    neighbour.addrs.iter().copied().filter(|net| net.contains(&to)).collect()
}

/// Is the new address one that works where the interface is?
pub(super) fn check(walker: &mut Walker<'_>, network: &Network, faults: &[Fault]) {
    for fault in faults.iter().filter(|f| f.action == "change-address") {
        let (Some((_, neighbour)), Some(to), Some(via)) = (ends(network, fault), fault.args.addr("to"), fault.args.addr("via")) else {
            continue;
        };
        let at = walker.line_span(fault.line);
        let there: Vec<String> = neighbour.addrs.iter().map(ToString::to_string).collect();
        let neighbours = format!("the other end of the link has {}", listed(there.iter().map(String::as_str)));
        let fitting = fitting(neighbour, to);
        if let Some(node) = network.owner(to) {
            walker.mistake("duplicate-address", at, format!("{to} is {node}'s address already"), "", []);
        } else if fitting.is_empty() {
            walker.mistake(
                "no-common-subnet",
                at,
                format!("nobody would hear {to}: it is in no subnet of the neighbour's"),
                "",
                [neighbours],
            );
        } else if !fitting.iter().any(|net| net.addr() == via) {
            walker.mistake(
                "unreachable-next-hop",
                at,
                format!("{via} is no address of the neighbour's in the subnet of {to}"),
                "",
                [neighbours],
            );
        }
    }
}

/// The network, with what it will have.
pub(super) fn with_later(network: &Network, faults: &[Fault]) -> Network {
    let mut all = network.clone();
    for fault in faults.iter().filter(|f| f.action == "change-address") {
        let (Some(((node, iface), neighbour)), Some(to)) = (ends(network, fault), fault.args.addr("to")) else { continue };
        let new = fitting(neighbour, to).first().and_then(|net| IpNet::new(to, net.prefix_len()).ok());
        let nodes = all.nodes.iter_mut().filter(|n| n.name == node);
        for own in nodes.flat_map(|n| &mut n.ifaces).filter(|i| i.name == iface) {
            own.later.extend(new);
        }
    }
    all
}
