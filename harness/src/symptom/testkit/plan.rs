//! The network and the gateways of every story.

use std::time::Duration;

use peer::{Connection, GatewayConfig};

use super::{CAROL, EAST, WEST, addr};
use crate::scenario::model::{GatewayPlan, Health, Iface, Must, Network, Node, Plan, Role, Side};

/// `west`, `east` and `carol` with default settings.
pub fn plan() -> Plan {
    let iface = |name: &str, addr: &str, outside| Iface { name: name.into(), addrs: vec![addr.parse().unwrap()], later: vec![], outside };
    let node = |name: &str, role, protects: &[&str], ifaces| Node {
        name: name.into(),
        role,
        ifaces,
        routes: Vec::new(),
        protects: protects.iter().map(|p| p.parse().unwrap()).collect(),
        nat: None,
    };
    let nodes = vec![
        node("alice", Role::Host, &[], vec![iface("lan", "10.1.0.10/16", false)]),
        node("west", Role::Gateway, &["10.1.0.0/16"], vec![iface("lan", "10.1.0.1/16", false), iface("wan", "192.0.2.1/24", true)]),
        node("mid", Role::Router, &[], vec![iface("left", "192.0.2.254/24", true), iface("right", "198.51.100.254/24", true)]),
        node("east", Role::Gateway, &["10.2.0.0/16"], vec![iface("wan", "198.51.100.2/24", true), iface("lan", "10.2.0.1/16", false)]),
        node("bob", Role::Host, &[], vec![iface("lan", "10.2.0.10/16", false)]),
        node("nat", Role::Nat, &[], vec![iface("in", "192.168.1.1/24", false), iface("out", "203.0.113.1/24", true)]),
        node("carol", Role::Gateway, &[], vec![iface("wan", "192.168.1.10/24", true)]),
    ];
    let gateways = [("west", WEST, "east"), ("east", EAST, "west"), ("carol", CAROL, "east")];
    Plan {
        scenario: "story".into(),
        side: Side::Broken,
        network: Network { layout: "story".into(), nodes, links: Vec::new() },
        gateways: gateways.iter().map(|(name, local, peer)| gateway(name, local, peer)).collect(),
        services: Vec::new(),
        faults: Vec::new(),
        steps: Vec::new(),
        expects: Vec::new(),
        health: Health { from: String::new(), to: String::new(), must: Must::Whatever, bulk: 0 },
        deadline: Duration::from_secs(60),
    }
}

fn gateway(name: &str, local: &str, peer: &str) -> GatewayPlan {
    let connection = Connection {
        local_id: String::new(),
        remote_id: String::new(),
        psk: peer::Secret::default(),
        ..Connection::plain(name, peer, addr(local), None)
    };
    let config = GatewayConfig { name: name.into(), connections: vec![connection], ..GatewayConfig::default() };
    GatewayPlan { implementation: None, config, certificates: Default::default() }
}
