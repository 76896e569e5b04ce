//! Drawings of networks for a terminal: a row of boxes for a chain, a tree for everything else.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::scenario::model::{Link, Network, Node, Role};

/// Columns of a terminal that drawings and text fit into.
pub(super) const WIDTH: usize = 100;

/// Siblings shown before the rest is summed up.
const SIBLINGS: usize = 6;

/// The network with taps and the addresses of one family. Doubled lines are on the public side.
pub(super) fn network(network: &Network, v6: bool) -> Vec<String> {
    let fits = |rows: &Vec<String>| rows.iter().all(|r| r.chars().count() <= WIDTH);
    [3, 2, 1].into_iter().find_map(|gap| chain(network, v6, gap).filter(fits)).unwrap_or_else(|| tree(network, v6))
}

fn role(node: &Node) -> &'static str {
    match node.role {
        Role::Host => "host",
        Role::Router => "router",
        Role::Gateway => "gateway",
        Role::Nat => "NAT",
    }
}

fn address(network: &Network, end: &(String, String), v6: bool) -> String {
    let addrs = network.iface(end).into_iter().flat_map(|i| &i.addrs).map(|a| a.addr());
    addrs.into_iter().find(|a: &IpAddr| a.is_ipv6() == v6).map(|a| a.to_string()).unwrap_or_default()
}

fn outside(network: &Network, link: &Link) -> bool {
    [&link.a, &link.b].into_iter().all(|end| network.iface(end).is_some_and(|i| i.outside))
}

/// Boxes in a row, taps below, columns `gap` apart; `None` when the links do not join each node to the next and nothing else.
fn chain(network: &Network, v6: bool, gap: usize) -> Option<Vec<String>> {
    let nodes = &network.nodes;
    if nodes.is_empty() || network.links.len() + 1 != nodes.len() {
        return None;
    }
    let between = |a: &Node, b: &Node| {
        let joins = |l: &&Link| (l.a.0 == a.name && l.b.0 == b.name) || (l.a.0 == b.name && l.b.0 == a.name);
        network.links.iter().find(joins)
    };
    let links: Vec<&Link> = nodes.windows(2).map(|w| between(&w[0], &w[1])).collect::<Option<_>>()?;
    let doubled: Vec<bool> = links.iter().map(|l| outside(network, l)).collect();

    let mut rows = vec![String::new(); 4];
    let mut taps: Vec<Vec<String>> = Vec::new();
    let widths: Vec<(usize, usize)> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| {
            // Left neighbour's tap first.
            let left = at.checked_sub(1).map(|l| own_end(links[l], node));
            let right = links.get(at).map(|l| own_end(l, node));
            let own: Vec<String> = left.into_iter().chain(right).map(|e| format!("{} {}", e.1, address(network, e, v6))).collect();
            let inner = node.name.chars().count().max(role(node).len()) + 2;
            let widest = own.iter().map(|t| t.chars().count()).max().unwrap_or(0);
            taps.push(own);
            (inner, widest.max(inner + 2))
        })
        .collect();
    for (at, (node, (inner, width))) in nodes.iter().zip(&widths).enumerate() {
        let (before, after) = (at.checked_sub(1).map(|l| doubled[l]), doubled.get(at).copied());
        let (lead, trail) = ((width - inner - 2) / 2, width - inner - 2 - (width - inner - 2) / 2 + gap);
        let line = |doubled: Option<bool>, n: usize| match doubled {
            Some(true) => "═".repeat(n),
            Some(false) => "─".repeat(n),
            None => " ".repeat(n),
        };
        let joint = |doubled: Option<bool>, single: char, double: char| match doubled {
            Some(true) => double,
            Some(false) => single,
            None => '│',
        };
        let blank = |n: usize| " ".repeat(n);
        rows[0] += &format!("{}┌{}┐{}", blank(lead), "─".repeat(*inner), blank(trail));
        let name = format!("{}{}{}", joint(before, '┤', '╡'), centred(&node.name, *inner), joint(after, '├', '╞'));
        rows[1] += &format!("{}{name}{}", line(before, lead), line(after, trail));
        rows[2] += &format!("{}│{}│{}", blank(lead), centred(role(node), *inner), blank(trail));
        rows[3] += &format!("{}└{}┘{}", blank(lead), "─".repeat(*inner), blank(trail));
    }
    for row in 0..taps.iter().map(Vec::len).max().unwrap_or(0) {
        let cells = taps.iter().zip(&widths).map(|(own, (_, width))| {
            let text = own.get(row).map(String::as_str).unwrap_or_default();
            format!("{}{}", centred(text, *width), " ".repeat(gap))
        });
        rows.push(cells.collect());
    }
    Some(rows.into_iter().map(|r| r.trim_end().to_owned()).collect())
}

fn own_end<'l>(link: &'l Link, node: &Node) -> &'l (String, String) {
    if link.a.0 == node.name { &link.a } else { &link.b }
}

fn centred(text: &str, width: usize) -> String {
    format!("{text:^width$}")
}

/// From the first node outwards, one line per node.
fn tree(network: &Network, v6: bool) -> Vec<String> {
    let mut tree = Tree { network, v6, seen: BTreeSet::new(), rows: Vec::new() };
    for node in &network.nodes {
        if tree.seen.insert(&node.name) {
            tree.rows.push(format!("{} ({})", node.name, role(node)));
            tree.below(node, "");
        }
    }
    tree.rows
}

struct Tree<'n> {
    network: &'n Network,
    v6: bool,
    seen: BTreeSet<&'n str>,
    rows: Vec<String>,
}

impl<'n> Tree<'n> {
    fn below(&mut self, node: &'n Node, indent: &str) {
        let network = self.network;
        let children: Vec<(&'n Link, &'n Node)> = network
            .links
            .iter()
            .filter_map(|l| {
                let other = if l.a.0 == node.name {
                    &l.b.0
                } else if l.b.0 == node.name {
                    &l.a.0
                } else {
                    return None;
                };
                Some((l, network.node(other)?))
            })
            .filter(|(_, other)| !self.seen.contains(other.name.as_str()))
            .collect();
        for (_, child) in &children {
            self.seen.insert(&child.name);
        }
        let count = children.len();
        for (at, (link, child)) in children.into_iter().enumerate() {
            // Of many alike, the first few and the last show the pattern.
            if count > SIBLINGS && (3..count - 1).contains(&at) {
                self.hide(child);
                if at == 3 {
                    self.rows.push(format!("{indent}├  … {} more …", count - 4));
                }
                continue;
            }
            let (corner, rail) = if at + 1 == count { ('└', "   ") } else { ('├', "│  ") };
            let line = if outside(network, link) { '═' } else { '─' };
            let (near, far) = (own_end(link, node), own_end(link, child));
            let addr = |end| address(network, end, self.v6);
            let ends = format!("{} {} {line}{line} {} {}", near.1, addr(near), far.1, addr(far));
            self.rows.push(format!("{indent}{corner}{line} {} ({})   {ends}", child.name, role(child)));
            self.below(child, &format!("{indent}{rail}"));
        }
    }

    /// What hangs below a hidden node is hidden with it.
    fn hide(&mut self, node: &'n Node) {
        for link in &self.network.links {
            let other = if link.a.0 == node.name { &link.b.0 } else { &link.a.0 };
            if (link.a.0 == node.name || link.b.0 == node.name)
                && self.seen.insert(other)
                && let Some(other) = self.network.node(other)
            {
                self.hide(other);
            }
        }
    }
}
