//! Small networks for the trials.

use faultlab::scenario::model::{Iface, Link, Nat, Network, Node, Role, Route};

fn iface(name: &str, addrs: &[&str]) -> Iface {
    let addrs = addrs.iter().map(|a| a.parse().unwrap()).collect();
    Iface { name: name.into(), addrs, later: Vec::new(), outside: name == "wan" }
}

fn node(name: &str, role: Role, ifaces: Vec<Iface>, routes: &[(&str, &str)]) -> Node {
    let routes = routes.iter().map(|(to, via)| Route { to: to.parse().unwrap(), via: via.parse().unwrap() }).collect();
    Node { name: name.into(), role, ifaces, routes, protects: Vec::new(), nat: None }
}

fn link(a: (&str, &str), b: (&str, &str)) -> Link {
    Link { a: (a.0.into(), a.1.into()), b: (b.0.into(), b.1.into()), mtu: 1500 }
}

/// `alice.eth0 — eth0.bob`, IPv4 and IPv6.
pub fn pair() -> Network {
    Network {
        layout: "pair".into(),
        nodes: vec![
            node("alice", Role::Host, vec![iface("eth0", &["10.0.0.1/24", "fd00::1/64"])], &[]),
            node("bob", Role::Host, vec![iface("eth0", &["10.0.0.2/24", "fd00::2/64"])], &[]),
        ],
        links: vec![link(("alice", "eth0"), ("bob", "eth0"))],
    }
}

/// `alice.eth0 — lan.mid.wan — eth0.bob`: a router, or with `nat` a translator.
pub fn routed(nat: Option<Nat>) -> Network {
    let role = if nat.is_some() { Role::Nat } else { Role::Router };
    let mut mid = node("mid", role, vec![iface("lan", &["10.1.0.1/24"]), iface("wan", &["192.0.2.1/24"])], &[]);
    mid.nat = nat;
    Network {
        layout: "routed".into(),
        nodes: vec![
            node("alice", Role::Host, vec![iface("eth0", &["10.1.0.2/24"])], &[("0.0.0.0/0", "10.1.0.1")]),
            mid,
            node("bob", Role::Host, vec![iface("eth0", &["192.0.2.2/24"])], &[("0.0.0.0/0", "192.0.2.1")]),
        ],
        links: vec![link(("alice", "eth0"), ("mid", "lan")), link(("mid", "wan"), ("bob", "eth0"))],
    }
}

/// [`routed`] with address translation.
pub fn translated() -> Network {
    routed(Some(nat(None)))
}

/// A translator that uses the given external ports.
pub fn nat(ports: Option<(u16, u16)>) -> Nat {
    Nat { outside: "wan".into(), ports, random: ports.is_some(), udp_timeout: None }
}
