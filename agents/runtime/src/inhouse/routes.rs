//! Which inner packets the kernel hands to the TUN: a routing table of the gateway's own, as a list of prefixes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// What the gateway's own table says about a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Into the TUN; the node's own packets get this source address.
    Tun(Option<IpAddr>),
    /// As if the table were not there.
    Elsewhere,
}

/// One child's selectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Own side.
    pub(crate) local: Vec<IpNet>,
    /// Peer's side.
    pub(crate) remote: Vec<IpNet>,
}

/// The table for `prefixes`. What is near, attached to the node or on its own side of a tunnel, stays out of a route that would
/// swallow it: a tunnel to `0.0.0.0/0` must not take back what it has just delivered. `own` are the node's addresses, the best
/// source first.
pub(crate) fn table(prefixes: &[IpNet], peers: &[Ends], attached: &[IpNet], own: &[IpAddr]) -> BTreeMap<IpNet, Way> {
    let source = |prefix: &IpNet| {
        let here = |a: &IpAddr| a.is_ipv4() == prefix.addr().is_ipv4();
        let meant = |p: &&Ends| p.remote.iter().any(|r| r.contains(prefix) || prefix.contains(r));
        let inside = |a: &IpAddr| peers.iter().filter(meant).any(|p| p.local.iter().any(|l| l.contains(a)));
        own.iter().copied().find(|a| here(a) && inside(a))
    };
    let mut table: BTreeMap<IpNet, Way> = prefixes.iter().map(|p| p.trunc()).map(|p| (p, Way::Tun(source(&p)))).collect();
    let near = attached.iter().chain(peers.iter().flat_map(|p| &p.local)).map(IpNet::trunc);
    let swallowed = near.filter(|n| table.keys().any(|p| p != n && p.contains(n))).filter(|n| !table.contains_key(n));
    let swallowed: Vec<IpNet> = swallowed.collect();
    table.extend(swallowed.into_iter().map(|n| (n, Way::Elsewhere)));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(text: &[&str]) -> Vec<IpNet> {
        text.iter().map(|t| t.parse().unwrap()).collect()
    }

    fn lines(table: &BTreeMap<IpNet, Way>) -> Vec<String> {
        let line = |(p, w): (&IpNet, &Way)| match w {
            Way::Tun(Some(source)) => format!("{p} tun from {source}"),
            Way::Tun(None) => format!("{p} tun"),
            Way::Elsewhere => format!("{p} elsewhere"),
        };
        table.iter().map(line).collect()
    }

    #[test]
    fn the_nodes_own_packets_come_from_inside_the_selectors() {
        let peers = [Ends { local: nets(&["10.1.0.0/24", "fd01::/64"]), remote: nets(&["10.2.0.0/24", "fd02::/64"]) }];
        let own: Vec<IpAddr> = ["192.0.2.1", "10.1.0.1", "fd01::1"].map(|a| a.parse().unwrap()).into();
        let made = table(&nets(&["10.2.0.0/25", "fd02::/64", "10.9.0.0/24"]), &peers, &[], &own);
        assert_eq!(lines(&made), ["10.2.0.0/25 tun from 10.1.0.1", "10.9.0.0/24 tun", "fd02::/64 tun from fd01::1"]);
    }

    #[test]
    fn what_is_near_stays_out_of_a_tunnel_to_everywhere() {
        let peers = [Ends { local: nets(&["10.1.0.0/16"]), remote: nets(&["0.0.0.0/0"]) }];
        let made = table(&nets(&["0.0.0.0/0"]), &peers, &nets(&["10.1.7.1/24", "192.0.2.1/30", "fd01::1/64"]), &[]);
        assert_eq!(lines(&made), ["0.0.0.0/0 tun", "10.1.0.0/16 elsewhere", "10.1.7.0/24 elsewhere", "192.0.2.0/30 elsewhere"]);
    }

    #[test]
    fn a_hub_sends_from_spoke_to_spoke() {
        let peers = ["10.1.0.0/24", "10.2.0.0/24"].map(|spoke| Ends { local: nets(&["10.0.0.0/8"]), remote: nets(&[spoke]) });
        let made = table(&nets(&["10.1.0.0/24", "10.2.0.0/24"]), &peers, &nets(&["10.0.0.1/24"]), &[]);
        assert_eq!(lines(&made), ["10.1.0.0/24 tun", "10.2.0.0/24 tun"]);
    }
}
