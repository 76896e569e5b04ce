//! Gateways' complete settings, from the network and what the scenario says about them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use peer::{ChildAction, Connection, EspMode, GatewayConfig, HalfOpen, IkeMode, Retransmit};

use super::authentication::{authentication, default_id, method, peer_method};
use super::certificates::certificates;
use super::children::children;
use super::defaults::default_value;
use super::gateway::PARAMS;
use super::layout::Layout;
use super::misbehaviour::misbehave;
use super::model::{GatewayPlan, Network, Node, Role};
use super::options::options;
use crate::schema::{Args, Value};

/// Pre-shared key of every pair that has none of its own.
pub const COMMON_PSK: &str = "faultlab-common-key";

/// NAT keepalive interval when nothing is said (RFC 3948 §4 recommends it).
const NAT_KEEPALIVE: Duration = Duration::from_secs(20);

/// Who talks to whom.
pub(super) type Peers = BTreeMap<String, Vec<String>>;

/// Each gateway's peers, in drawing order. A gateway without any is an error for the caller to report.
pub(super) fn peers(layout: &Layout, settings: &BTreeMap<String, Args>) -> Peers {
    let names: Vec<&String> = layout.network.nodes.iter().filter(|n| n.role == Role::Gateway).map(|n| &n.name).collect();
    let chosen = |name: &String| {
        let said = settings.get(name).and_then(|s| s.text("peer")).map(str::to_owned);
        said.or_else(|| match (names.as_slice(), &layout.hub) {
            ([a, b], _) => Some((if *a == name { b } else { a }).to_string()),
            (_, Some(hub)) if hub != name => Some(hub.clone()),
            _ => None,
        })
    };
    let pairs: Vec<(&String, String)> = names.iter().filter_map(|n| Some((*n, chosen(n)?))).filter(|(a, b)| *a != b).collect();
    let mut linked: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (a, b) in &pairs {
        linked.entry(a).or_default().insert(b);
        linked.entry(b).or_default().insert(a);
    }
    let none = BTreeSet::new();
    let of = |a: &str| {
        let linked = linked.get(a).unwrap_or(&none);
        names.iter().filter(|b| linked.contains(b.as_str())).map(|b| (*b).clone()).collect()
    };
    names.iter().map(|a| ((*a).clone(), of(a))).collect()
}

/// The plan of one gateway. `own` may carry a configuration fault; the peers' settings are the honest ones.
pub(super) fn plan(
    network: &Network,
    node: &Node,
    v6: bool,
    own: &Args,
    peers: &Peers,
    honest: &BTreeMap<String, Args>,
) -> Option<GatewayPlan> {
    let get = |key: &str| own.get(key).cloned().or_else(|| default_value(PARAMS.iter().find(|p| p.name == key)?));
    let resolved = Args(PARAMS.iter().filter_map(|p| Some((p.name.to_owned(), get(p.name)?))).collect());
    let local = outside_address(node, v6)?;
    let mut connections = Vec::new();
    let mut peers_methods = Vec::new();
    let nothing = Args::default();
    for peer in peers.get(&node.name).into_iter().flatten() {
        let peer_node = network.node(peer)?;
        let peer_addr = outside_address(peer_node, v6)?;
        let peer_settings = honest.get(peer).unwrap_or(&nothing);
        let remote = (!behind_nat(network, peer_node, v6)).then_some(peer_addr);
        let connection = connection(node, peer_node, (local, peer_addr), remote, &resolved, peer_settings);
        peers_methods.push((connection.name.clone(), peer_method(&resolved, peer_settings), peer_settings));
        connections.push(connection);
    }
    let id = default_id(&resolved, &node.name);
    let keepalive = resolved.duration("nat-keepalive").unwrap_or(NAT_KEEPALIVE);
    let tries = resolved.int("retransmit-tries").and_then(|n| u32::try_from(n).ok());
    let standard = Retransmit::default();
    Some(GatewayPlan {
        implementation: resolved.text("implementation").map(str::to_owned),
        certificates: certificates(&resolved, &id, method(&resolved), &peers_methods),
        config: GatewayConfig {
            name: node.name.clone(),
            retransmit: Retransmit {
                timeout: resolved.duration("retransmit-timeout").unwrap_or(standard.timeout),
                base: resolved.float("retransmit-base").unwrap_or(standard.base),
                tries: tries.unwrap_or(standard.tries),
            },
            nat_keepalive: (!keepalive.is_zero()).then_some(keepalive),
            connections,
            clock_offset: resolved.offset("clock").unwrap_or(0),
            half_open: half_open(&resolved),
            misbehave: resolved.table("misbehave").map(misbehave).unwrap_or_default(),
        },
    })
}

fn half_open(args: &Args) -> HalfOpen {
    let standard = HalfOpen::default();
    let figure = |key: &str| args.int(key).and_then(|n| u32::try_from(n).ok());
    HalfOpen {
        cookie_threshold: figure("cookie-threshold").unwrap_or(standard.cookie_threshold),
        per_address: figure("half-open-per-address").unwrap_or(standard.per_address),
        timeout: args.duration("half-open-timeout").unwrap_or(standard.timeout),
    }
}

/// What a gateway would be if the scenario said nothing about it: same network, same peers.
pub(crate) fn unset(network: &Network, config: &GatewayConfig) -> Option<GatewayPlan> {
    let v6 = config.connections.first().is_some_and(|c| c.local.is_ipv6());
    let peers = Peers::from([(config.name.clone(), config.connections.iter().map(|c| c.peer.clone()).collect())]);
    plan(network, network.node(&config.name)?, v6, &Args::default(), &peers, &BTreeMap::new())
}

fn connection(
    node: &Node,
    peer: &Node,
    (local, peer_addr): (IpAddr, IpAddr),
    remote: Option<IpAddr>,
    own: &Args,
    peers: &Args,
) -> Connection {
    let mode = if own.text("mode") == Some("transport") { EspMode::Transport } else { EspMode::Tunnel };
    let texts = |key: &str| own.texts(key).into_iter().map(str::to_owned).collect();
    let action = |key: &str| match own.text(key) {
        Some("trap") => ChildAction::Trap,
        Some("start") => ChildAction::Start,
        _ => ChildAction::None,
    };
    let selectors = |key: &str, of: &Node, addr: IpAddr| match own.get(key) {
        Some(Value::List(_)) => own.texts(key).into_iter().filter_map(|p| p.parse().ok()).collect(),
        // Transport mode protects what the two gateways say to each other.
        _ if mode == EspMode::Transport => vec![IpNet::from(addr)],
        _ => of.protects.iter().copied().filter(|p| p.addr().is_ipv6() == local.is_ipv6()).collect(),
    };
    // Zero is how an overlay switches a timer off.
    let timer = |key: &str| own.duration(key).filter(|d| !d.is_zero());
    let mut connection = Connection {
        name: format!("{}-{}", node.name, peer.name),
        peer: peer.name.clone(),
        ike: match own.text("ike") {
            Some("v1-main") => IkeMode::V1Main,
            Some("v1-aggressive") => IkeMode::V1Aggressive,
            _ => IkeMode::V2,
        },
        local,
        remote,
        local_id: default_id(own, &node.name),
        remote_id: own.text("peer-id").map_or_else(|| default_id(peers, &peer.name), str::to_owned),
        psk: own.secret("psk").unwrap_or_else(|| COMMON_PSK.into()),
        auth: authentication((own, &node.name), (peers, &peer.name)),
        options: options(own),
        ike_proposals: texts("ike-proposals"),
        esp_proposals: texts("esp-proposals"),
        mode,
        local_ts: selectors("local-ts", node, local),
        remote_ts: selectors("remote-ts", peer, peer_addr),
        ike_rekey: timer("ike-rekey"),
        child_rekey: timer("child-rekey"),
        child_life: timer("child-life"),
        inactivity: timer("inactivity"),
        dpd_delay: timer("dpd-delay"),
        dpd_action: action("dpd-action"),
        start_action: action("start-action"),
        close_action: action("close-action"),
        mobike: own.flag("mobike"),
        ah_proposals: texts("ah-proposals"),
        nat_traversal: own.flag("nat-traversal"),
        force_encap: own.flag("force-encap"),
        keying_tries: own.int("keying-tries").and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        more_children: Vec::new(),
    };
    connection.more_children = children(own, &connection);
    connection
}

/// A gateway's public address in one family.
pub(super) fn outside_address(node: &Node, v6: bool) -> Option<IpAddr> {
    node.ifaces.iter().filter(|i| i.outside).flat_map(|i| &i.addrs).map(|a| a.addr()).find(|a| a.is_ipv6() == v6)
}

/// Does the way out of a node, along default routes, enter a translating router from inside?
fn behind_nat(network: &Network, node: &Node, v6: bool) -> bool {
    let mut at = node;
    // At most once through every node: default routes may lead in a circle.
    for _ in 0..network.nodes.len() {
        let Some(hop) = at.routes.iter().find(|r| r.to.prefix_len() == 0 && r.via.is_ipv6() == v6).map(|r| r.via) else { return false };
        let Some(next) = network.owner(hop).and_then(|name| network.node(name)) else { return false };
        let entered = next.ifaces.iter().find(|i| i.addrs.iter().any(|a| a.addr() == hop));
        if let (Some(nat), Some(iface)) = (&next.nat, entered)
            && nat.outside != iface.name
        {
            return true;
        }
        at = next;
    }
    false
}
