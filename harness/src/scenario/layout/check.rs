//! Is a layout consistent? Turns a draft into a network and reports what does not fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;

use super::Layout;
use super::read::{Draft, DraftNode, Placed};
use crate::name::PathName;
use crate::scenario::diag::listed;
use crate::scenario::model::{Iface, Link, Nat, Network, Node, Role, Route};
use crate::scenario::prefixes::Prefixes;
use crate::scenario::walk::Walker;

/// Interface names are limited by the kernel (IFNAMSIZ); nodes follow suit.
const NAME_MOST: usize = 15;
/// Neighbours that are named in a mistake.
const MOST_NAMED: usize = 30;
/// What a network may have. Names and addresses are looked for one by one, here and when it is built.
pub(super) const MOST_NODES: usize = 1000;
pub(super) const MOST_LINKS: usize = 2000;
pub(super) const MOST_IFACES: usize = 2 * MOST_LINKS;

/// Has the draft more parts than a network may have? Says so.
pub(super) fn too_large(walker: &mut Walker<'_>, draft: &Draft) -> bool {
    let ifaces: usize = draft.nodes.iter().map(|n| n.ifaces.len()).sum();
    let parts = [("nodes", draft.nodes.len(), MOST_NODES), ("links", draft.links.len(), MOST_LINKS), ("interfaces", ifaces, MOST_IFACES)];
    let Some((what, _, most)) = parts.into_iter().find(|(_, number, most)| number > most) else { return false };
    walker.mistake("too-many", 0..0, format!("a network has at most {most} {what}"), "", []);
    true
}

pub(super) fn check(walker: &mut Walker<'_>, draft: Draft, name: &str) -> Layout {
    let mut nodes = Vec::new();
    let mut spans = Spans::default();
    for node in &draft.nodes {
        if spans.nodes.insert(node.name.text.clone(), node.name.span.clone()).is_some() {
            walker.mistake("duplicate-name", node.name.span.clone(), format!("a second node is called `{}`", node.name.text), "", []);
            continue;
        }
        nodes.push(convert(walker, node, &mut spans));
    }
    let mut network = Network { layout: name.to_owned(), nodes, links: Vec::new() };
    links(walker, &draft, &mut network);
    for node in &draft.nodes {
        next_hops(walker, node, &mut network);
    }
    overlaps(walker, &spans.subnets(&network), "subnet");
    overlaps(walker, &spans.protects, "protected prefix");
    if network.nodes.iter().filter(|n| n.role == Role::Gateway).count() < 2 {
        walker.mistake("gateways", 0..0, "a layout needs at least two nodes with `role = \"gateway\"`", "", []);
    }
    let hub = draft.hub.map(|hub| {
        let gateways: Vec<&str> = network.nodes.iter().filter(|n| n.role == Role::Gateway).map(|n| n.name.as_str()).collect();
        if !gateways.contains(&hub.text.as_str()) {
            walker.unknown(
                "unknown-name",
                hub.span,
                format!("`{}` is not a gateway of this layout", hub.text),
                &hub.text,
                gateways.into_iter(),
            );
        }
        hub.text
    });
    Layout { about: draft.about, hub, repeats: draft.repeats, network }
}

/// Where things stand in the file.
#[derive(Default)]
struct Spans {
    nodes: BTreeMap<String, Range<usize>>,
    addrs: BTreeMap<IpAddr, Range<usize>>,
    protects: Vec<(IpNet, Range<usize>)>,
}

impl Spans {
    /// Each link's prefixes, each at the place of one end's address.
    fn subnets(&self, network: &Network) -> Vec<(IpNet, Range<usize>)> {
        let of_link = |link: &Link| {
            let ends = [&link.b, &link.a].into_iter().filter_map(|end| network.iface(end));
            let all = ends.flat_map(|iface| &iface.addrs).filter_map(|net| Some((net.trunc(), self.addrs.get(&net.addr())?.clone())));
            all.collect::<BTreeMap<IpNet, Range<usize>>>()
        };
        network.links.iter().flat_map(of_link).collect()
    }
}

impl Network {
    /// An interface by node and name.
    pub fn iface(&self, (node, iface): &(String, String)) -> Option<&Iface> {
        self.node(node)?.ifaces.iter().find(|i| i.name == *iface)
    }

    /// What is at the other end of an interface's link.
    pub fn opposite(&self, node: &str, iface: &str) -> Option<&(String, String)> {
        self.links.iter().find_map(|link| {
            let is = |end: &(String, String)| end.0 == node && end.1 == iface;
            if is(&link.a) {
                Some(&link.b)
            } else if is(&link.b) {
                Some(&link.a)
            } else {
                None
            }
        })
    }
}

fn convert(walker: &mut Walker<'_>, draft: &DraftNode, spans: &mut Spans) -> Node {
    well_named(walker, &draft.name);
    let outsides: BTreeSet<&str> = draft.outside.iter().map(|o| o.text.as_str()).collect();
    let mut ifaces: Vec<Iface> = Vec::new();
    for iface in &draft.ifaces {
        well_named(walker, &iface.name);
        let mut addrs = Vec::new();
        for placed in &iface.addrs {
            let Ok(net) = placed.text.parse::<IpNet>() else {
                let message = format!("`{}` is not an address with a prefix length", placed.text.escape_debug());
                walker.mistake("bad-value", placed.span.clone(), message, "", ["write `10.1.0.1/24` or `fd01::1/64`".to_owned()]);
                continue;
            };
            if spans.addrs.insert(net.addr(), placed.span.clone()).is_some() {
                walker.mistake("duplicate-address", placed.span.clone(), format!("{} is used twice", net.addr()), "", []);
            }
            addrs.push(net);
        }
        let outside = outsides.contains(iface.name.text.as_str());
        ifaces.push(Iface { name: iface.name.text.clone(), addrs, later: Vec::new(), outside });
    }
    let own = || ifaces.iter().map(|i| i.name.as_str());
    let names: BTreeSet<&str> = own().collect();
    for outside in draft.outside.iter().filter(|o| !names.contains(o.text.as_str())) {
        walker.unknown(
            "unknown-name",
            outside.span.clone(),
            format!("{} has no interface `{}`", draft.name.text, outside.text),
            &outside.text,
            own(),
        );
    }
    if draft.role == Role::Gateway && ifaces.iter().filter(|i| i.outside).count() != 1 {
        let message = format!("gateway {} must have exactly one outside interface", draft.name.text);
        walker.mistake(
            "outside",
            draft.name.span.clone(),
            message,
            "",
            [format!("add `outside = [\"…\"]`; interfaces: {}", listed(own()))],
        );
    }
    let protects = prefixes(walker, &draft.protects);
    spans.protects.extend(protects.iter().cloned());
    Node {
        name: draft.name.text.clone(),
        role: draft.role,
        nat: nat(walker, draft, &ifaces),
        ifaces,
        routes: Vec::new(),
        protects: protects.into_iter().map(|(net, _)| net).collect(),
    }
}

fn well_named(walker: &mut Walker<'_>, name: &Placed) {
    // Folders of gateways and settings of interfaces are called so.
    if name.text.len() > NAME_MOST || name.text.parse::<PathName>().is_err() {
        let message = format!("`{}` cannot be a name", name.text.escape_debug());
        let help = format!("1 to {NAME_MOST} lower-case letters, digits and hyphens, not beginning with a hyphen");
        walker.mistake("bad-name", name.span.clone(), message, "", [help]);
    }
    if name.text == "all" {
        walker.mistake("bad-name", name.span.clone(), "`all` cannot be a name: it means every gateway", "", []);
    }
}

fn prefixes(walker: &mut Walker<'_>, placed: &[Placed]) -> Vec<(IpNet, Range<usize>)> {
    let mut out = Vec::new();
    for p in placed {
        match p.text.parse::<IpNet>() {
            Ok(net) if net == net.trunc() => out.push((net, p.span.clone())),
            _ => walker.mistake("bad-value", p.span.clone(), format!("`{}` is not an IP prefix", p.text.escape_debug()), "", []),
        }
    }
    out
}

fn nat(walker: &mut Walker<'_>, draft: &DraftNode, ifaces: &[Iface]) -> Option<Nat> {
    match (&draft.nat, draft.role) {
        (Some((args, span)), Role::Nat) => {
            let outside = args.text("outside").unwrap_or_default().to_owned();
            let own = || ifaces.iter().map(|i| i.name.as_str());
            if !own().any(|name| name == outside) {
                walker.unknown("unknown-name", span.clone(), format!("{} has no interface `{outside}`", draft.name.text), &outside, own());
            }
            let ports = args.text("ports").and_then(|p| p.split_once('-'));
            Some(Nat {
                outside,
                ports: ports.and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?))),
                random: args.flag("random"),
                udp_timeout: args.duration("udp-timeout"),
            })
        }
        (Some((_, span)), _) => {
            walker.mistake("nat", span.clone(), "only a node with `role = \"nat\"` translates addresses", "", []);
            None
        }
        (None, Role::Nat) => {
            let help = "add `nat = { outside = \"<interface>\" }`".to_owned();
            walker.mistake("nat", draft.name.span.clone(), format!("{} has `role = \"nat\"` but no `nat`", draft.name.text), "", [help]);
            None
        }
        (None, _) => None,
    }
}

fn links(walker: &mut Walker<'_>, draft: &Draft, network: &mut Network) {
    let mut used: BTreeMap<String, ()> = BTreeMap::new();
    let taps: Vec<String> = network.nodes.iter().flat_map(|n| n.ifaces.iter().map(|i| format!("{}.{}", n.name, i.name))).collect();
    for (span, ends) in &draft.links {
        let [a, b] = ends.as_slice() else {
            walker.mistake("link", span.clone(), "a link has two ends", "", ["write `ends = [\"west.wan\", \"east.wan\"]`".to_owned()]);
            continue;
        };
        let mut found = Vec::new();
        for end in [a, b] {
            let tap = end.text.split_once('.').map(|(n, i)| (n.to_owned(), i.to_owned()));
            let Some(tap) = tap.filter(|tap| network.iface(tap).is_some()) else {
                let message = format!("no interface is called `{}`", end.text.escape_debug());
                walker.unknown("unknown-name", end.span.clone(), message, &end.text, taps.iter().map(String::as_str));
                continue;
            };
            if used.insert(end.text.clone(), ()).is_some() {
                walker.mistake("duplicate-link", end.span.clone(), format!("`{}` is the end of two links", end.text), "", []);
            }
            found.push(tap);
        }
        let Ok([a, b]) = <[(String, String); 2]>::try_from(found) else { continue };
        let nets = |end| network.iface(end).map(|i| i.addrs.iter().map(IpNet::trunc).collect::<Vec<_>>()).unwrap_or_default();
        let (of_a, of_b) = (nets(&a), nets(&b));
        // A router may have a network ready in which nobody is yet.
        let spare = |end: &(String, String)| network.node(&end.0).is_some_and(|n| matches!(n.role, Role::Router | Role::Nat));
        let fits = |nets: &[IpNet], other: &[IpNet], end| {
            nets.iter().all(|n| other.contains(n)) || (spare(end) && nets.iter().any(|n| other.contains(n)))
        };
        if !fits(&of_a, &of_b, &a) || !fits(&of_b, &of_a, &b) {
            let message = format!("{}.{} and {}.{} are not in the same subnets", a.0, a.1, b.0, b.1);
            let show = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            walker.mistake(
                "no-common-subnet",
                span.clone(),
                message,
                "",
                [format!("one end has {}; the other {}", show(&of_a), show(&of_b))],
            );
        }
        network.links.push(Link { a, b, mtu: draft.mtu });
    }
    for node in &draft.nodes {
        for iface in node.ifaces.iter().filter(|i| !used.contains_key(&format!("{}.{}", node.name.text, i.name.text))) {
            walker.mistake(
                "no-link",
                iface.name.span.clone(),
                format!("{}.{} is the end of no link", node.name.text, iface.name.text),
                "",
                [],
            );
        }
    }
}

/// Checks that every next hop is a neighbour, and enters the routes.
fn next_hops(walker: &mut Walker<'_>, draft: &DraftNode, network: &mut Network) {
    let mut routes = Vec::new();
    let neighbours = draft.ifaces.iter().filter_map(|i| network.iface(network.opposite(&draft.name.text, &i.name.text)?));
    let addrs: BTreeSet<IpAddr> = neighbours.flat_map(|i| &i.addrs).map(|a| a.addr()).collect();
    let everywhere = |via: &Placed| if via.text.contains(':') { "::/0" } else { "0.0.0.0/0" }.to_owned();
    let defaults = draft.default_via.iter().map(|via| (Placed { text: everywhere(via), span: via.span.clone() }, via.clone()));
    for (to, via) in defaults.chain(draft.routes.iter().cloned()) {
        let (Ok(net), Ok(hop)) = (to.text.parse::<IpNet>(), via.text.parse::<IpAddr>()) else {
            let wrong = if to.text.parse::<IpNet>().is_err() { to } else { via };
            walker.mistake("bad-value", wrong.span, format!("`{}` is not an address or prefix", wrong.text.escape_debug()), "", []);
            continue;
        };
        if !addrs.contains(&hop) {
            let addrs: Vec<String> = addrs.iter().take(MOST_NAMED).map(ToString::to_string).collect();
            let message = format!("{hop} is not a neighbour of {}", draft.name.text);
            walker.mistake(
                "unreachable-next-hop",
                via.span,
                message,
                "",
                [format!("its neighbours are {}", listed(addrs.iter().map(String::as_str)))],
            );
        }
        routes.push(Route { to: net, via: hop });
    }
    if let Some(node) = network.nodes.iter_mut().find(|n| n.name == draft.name.text) {
        node.routes = routes;
    }
}

fn overlaps(walker: &mut Walker<'_>, nets: &[(IpNet, Range<usize>)], what: &str) {
    let mut earlier = Prefixes::default();
    for (at, (net, span)) in nets.iter().enumerate() {
        if let Some((other, _)) = earlier.overlapping(*net).and_then(|other| nets.get(other)) {
            walker.mistake("overlapping-prefixes", span.clone(), format!("{what} {net} overlaps with {other}"), "", []);
        }
        earlier.insert(*net, at);
    }
}
