//! The checked scenario: what the rest of the program sees. Everything here is complete and consistent; spans are gone,
//! lines are kept for messages.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use peer::{Capability, Connection, EspMode, GatewayConfig};
use serde::{Deserialize, Serialize};

use super::certificates::Certificates;
use crate::name::PathName;
use crate::schema::Args;

/// A checked scenario file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// File stem: `ike-udp500-silent-drop`.
    pub id: PathName,
    /// Where it was read from, for messages.
    pub file: String,
    /// Folder below `scenarios/`: `reachability`, `nat` …
    pub group: String,
    /// One line.
    pub title: String,
    /// The user's complaint.
    pub ticket: String,
    /// Longer explanation: how to diagnose it.
    pub diagnosis: String,
    /// Hints for the training lab, mildest first.
    pub hints: Vec<String>,
    /// Slides of the seed deck.
    pub slides: Vec<u16>,
    /// `RFC 7296 §2.4` …
    pub rfc: Vec<String>,
    /// `core` or `extended`.
    pub level: String,
    /// Free words for selection on the command line.
    pub tags: Vec<String>,
    /// Failure, or a control that must simply work.
    pub kind: ScenarioKind,
    /// What a gateway implementation must be able to do.
    pub needs: Vec<Capability>,
    /// It takes hours: only a world with virtual time will do.
    pub virtual_time: bool,
    /// The broken side (for a control: the only one).
    pub broken: Plan,
    /// The fixed twin; absent in a control.
    pub fixed: Option<Plan>,
    /// What the fix does, in words.
    pub fix_about: String,
}

impl Scenario {
    /// Both sides; a control has one.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        std::iter::once(&self.broken).chain(self.fixed.as_ref())
    }
}

/// Failure or control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScenarioKind {
    /// Has faults and a fix.
    Failure,
    /// Positive control: no fault; must be healthy and show its expectations.
    Control,
}

/// Which of the two twins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// With the fault.
    Broken,
    /// With the fix.
    Fixed,
}

impl Side {
    /// Folder name and word for messages.
    pub fn name(self) -> &'static str {
        match self {
            Side::Broken => "broken",
            Side::Fixed => "fixed",
        }
    }
}

/// One side, ready to run in a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Scenario id.
    pub scenario: String,
    /// Which side.
    pub side: Side,
    /// The network.
    pub network: Network,
    /// Gateways by node name, complete configuration (overlays and configuration faults applied).
    pub gateways: Vec<GatewayPlan>,
    /// Services to run on nodes.
    pub services: Vec<Service>,
    /// Faults of this side, in file order.
    pub faults: Vec<Fault>,
    /// Traffic steps, in order. The first may be an implicit `initiate`.
    pub steps: Vec<Step>,
    /// Expectations that concern this side.
    pub expects: Vec<Expect>,
    /// End-to-end health probes.
    pub health: Health,
    /// Give up (and judge what is there) this long after the start.
    pub deadline: Duration,
}

/// A gateway in a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayPlan {
    /// Implementation named by the scenario, if it insists on one; normally the pairing decides.
    pub implementation: Option<String>,
    /// Its settings.
    pub config: GatewayConfig,
    /// Certificates that are put into its settings when the side begins.
    pub certificates: Certificates,
}

/// The network of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Layout name.
    pub layout: String,
    /// Nodes in drawing order.
    pub nodes: Vec<Node>,
    /// Links.
    pub links: Vec<Link>,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// End host.
    Host,
    /// Forwards packets.
    Router,
    /// Runs IKE; forwards packets.
    Gateway,
    /// Forwards and translates.
    Nat,
}

/// A node: one network namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Interfaces.
    pub ifaces: Vec<Iface>,
    /// Static routes.
    pub routes: Vec<Route>,
    /// Prefixes behind this gateway that its tunnels protect.
    pub protects: Vec<IpNet>,
    /// Address translation, for [`Role::Nat`].
    pub nat: Option<Nat>,
}

/// An interface; each is also a tap called `node.iface`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Iface {
    /// Name inside the node: `lan`, `wan`, `left` …
    pub name: String,
    /// Addresses with prefix lengths.
    pub addrs: Vec<IpNet>,
    /// Addresses that a fault gives it during the run.
    #[serde(default)]
    pub later: Vec<IpNet>,
    /// Faces the public side (inner traffic must never appear here in clear).
    pub outside: bool,
}

/// A veth pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// One end: node and interface.
    pub a: (String, String),
    /// The other.
    pub b: (String, String),
    /// MTU of both ends.
    pub mtu: u32,
}

/// A static route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Destination.
    pub to: IpNet,
    /// Next hop.
    pub via: IpAddr,
}

/// Port-translating source NAT of everything that leaves by `outside`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nat {
    /// Outside interface.
    pub outside: String,
    /// External ports to use.
    pub ports: Option<(u16, u16)>,
    /// Choose them at random.
    pub random: bool,
    /// Forget an idle UDP mapping after this long.
    pub udp_timeout: Option<Duration>,
}

/// A service on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Name, unique in the scenario.
    pub name: String,
    /// Node it runs on.
    pub node: String,
    /// Word of the service vocabulary: `dns`, `http`.
    pub action: String,
    /// Its arguments.
    pub args: Args,
    /// Line in the file.
    pub line: u32,
}

/// One deliberate change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Name, unique in the scenario.
    pub name: String,
    /// Word of the fault vocabulary: `drop`, `link-mtu` …
    pub action: String,
    /// Its arguments.
    pub args: Args,
    /// When it begins.
    pub when: When,
    /// A work-around of the fix (`[[fix.also]]`) rather than a fault: it needs no proof.
    pub remedy: bool,
    /// Line in the file.
    pub line: u32,
}

/// When a fault begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Before the gateways start.
    Start,
    /// This long after the first traffic step began.
    After(Duration),
    /// When the named traffic step has ended.
    Step(String),
    /// When a packet matching the filter has been seen at the tap.
    Packet {
        /// Display filter.
        filter: String,
        /// Tap name.
        tap: String,
    },
}

/// One traffic step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Name, unique in the scenario.
    pub name: String,
    /// Word of the traffic vocabulary: `initiate`, `ping`, `tcp` …
    pub action: String,
    /// Its arguments.
    pub args: Args,
    /// Do not wait for it before the next step begins (but before the script counts as ended).
    pub background: bool,
    /// Line in the file.
    pub line: u32,
}

/// One expectation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    /// Symptom code.
    pub symptom: String,
    /// Its arguments.
    pub args: Args,
    /// What must be true on this side.
    pub must: Must,
    /// Line in the file.
    pub line: u32,
}

/// What must be true of an expectation's symptom on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Must {
    /// The symptom must hold.
    Hold,
    /// The symptom must not hold (the fixed twin, unless marked as persisting).
    Vanish,
    /// Observed only.
    Whatever,
}

/// The health probes: ping, small TCP and bulk TCP both ways through the tunnel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Client node; empty: no health probes.
    pub from: String,
    /// Server node.
    pub to: String,
    /// What must be true of health on this side.
    pub must: Must,
    /// Bulk transfer size in octets.
    pub bulk: u64,
}

impl Plan {
    /// Tap names in interface order: `node.iface`.
    pub fn taps(&self) -> Vec<String> {
        self.network.nodes.iter().flat_map(|n| n.ifaces.iter().map(move |i| format!("{}.{}", n.name, i.name))).collect()
    }

    /// Do this side's probes use IPv6? As its gateways' outer addresses do.
    pub fn uses_v6(&self) -> bool {
        self.gateways.first().and_then(|g| g.config.connections.first()).is_some_and(|c| c.local.is_ipv6())
    }

    /// Address of a host given by its node's name or literally, and the node that owns it, if any. A node is meant by its address on
    /// its LAN, if it has one; but a gateway in transport mode by the one that its SAs protect, the outer one.
    pub fn host<'a>(&'a self, host: &'a str) -> Option<(IpAddr, Option<&'a str>)> {
        let Some(node) = self.network.node(host) else {
            let addr: IpAddr = host.parse().ok()?;
            return Some((addr, self.network.owner(addr)));
        };
        let outer = self.outer_in_transport_mode(host);
        outer.or_else(|| node.address(self.uses_v6())).map(|a| (a, Some(node.name.as_str())))
    }

    /// The outer address of a gateway in transport mode.
    pub fn outer_in_transport_mode(&self, gateway: &str) -> Option<IpAddr> {
        let transport = |c: &&Connection| c.mode == EspMode::Transport;
        self.gateway(gateway).and_then(|g| g.connections.iter().find(transport)).map(|c| c.local)
    }

    /// Gateways by name.
    pub fn gateway(&self, name: &str) -> Option<&GatewayConfig> {
        self.gateways.iter().map(|g| &g.config).find(|c| c.name == name)
    }
}

impl Network {
    /// A node by name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// Owner of an address.
    pub fn owner(&self, addr: IpAddr) -> Option<&str> {
        let has = |i: &Iface| i.addrs.iter().chain(&i.later).any(|a| a.addr() == addr);
        self.nodes.iter().find(|n| n.ifaces.iter().any(has)).map(|n| n.name.as_str())
    }

    /// All addresses by node, for reports.
    pub fn addresses(&self) -> BTreeMap<&str, Vec<IpNet>> {
        self.nodes.iter().map(|n| (n.name.as_str(), n.ifaces.iter().flat_map(|i| i.addrs.iter().copied()).collect())).collect()
    }
}

impl Node {
    /// First address of the node in the given family, LAN side first.
    pub fn address(&self, v6: bool) -> Option<IpAddr> {
        let of = |outside: bool| {
            self.ifaces
                .iter()
                .filter(move |i| i.outside == outside)
                .flat_map(|i| i.addrs.iter().map(|a| a.addr()))
                .find(|a| a.is_ipv6() == v6)
        };
        of(false).or_else(|| of(true))
    }
}
