//! A layout's TOML → nodes and links with positions; repeated parts are expanded here.

use std::ops::Range;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeValue;

use super::Size;
use super::check::{MOST_IFACES, MOST_LINKS, MOST_NODES};
use crate::scenario::model::Role;
use crate::scenario::walk::{Table, Walker};
use crate::schema::{Args, Kind, Param};

const TOP: &[Param] = &[
    Param::required("about", Kind::Text, "the network in one line"),
    Param::optional("hub", Kind::Text, "the gateway that is everybody's peer, with more than two gateways"),
    Param::default("mtu", Kind::Int(1280, 9000), "1500", "MTU of all links, octets"),
];
const NAT: &[Param] = &[
    Param::required("outside", Kind::Text, "public interface"),
    Param::optional("ports", Kind::Ports, "external ports to use"),
    Param::default("random", Kind::Bool, "false", "choose external ports at random"),
    Param::optional("udp-timeout", Kind::Seconds, "forget an idle UDP mapping after this long"),
];
const ROUTE: &[Param] =
    &[Param::required("to", Kind::Text, "destination prefix"), Param::required("via", Kind::Text, "next hop's address")];
const NODE: &[Param] = &[
    Param::required("name", Kind::Text, "at most 15 letters, digits and hyphens"),
    Param::required("role", Kind::Word(&["host", "router", "gateway", "nat"]), "what the node is for"),
    Param::optional("outside", Kind::List(&Kind::Text), "interfaces on the public side"),
    Param::optional("protects", Kind::List(&Kind::Text), "prefixes behind a gateway that its tunnels protect"),
    Param::optional("default-via", Kind::List(&Kind::Text), "next hops of the default routes, one per family"),
    Param::optional("routes", Kind::List(&Kind::Table(ROUTE)), "further routes"),
    Param::optional("nat", Kind::Table(NAT), "address translation; for the role `nat`"),
];
const LINK: &[Param] = &[Param::required("ends", Kind::List(&Kind::Text), "two taps, `node.interface`")];
const POOL: &[Param] = &[
    Param::required("prefixes", Kind::List(&Kind::Prefix), "cut into subnets, in order"),
    Param::required("length", Kind::Int(8, 127), "prefix length of each subnet"),
];

/// Pools of a layout at most: each is looked for in each text.
const MOST_POOLS: usize = 16;

/// A text and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub text: String,
    pub span: Range<usize>,
}

/// An interface before checking.
pub(super) struct DraftIface {
    pub name: Placed,
    pub addrs: Vec<Placed>,
}

/// A node before checking.
pub(super) struct DraftNode {
    pub name: Placed,
    pub role: Role,
    pub ifaces: Vec<DraftIface>,
    pub outside: Vec<Placed>,
    pub protects: Vec<Placed>,
    pub default_via: Vec<Placed>,
    pub routes: Vec<(Placed, Placed)>,
    pub nat: Option<(Args, Range<usize>)>,
}

/// A layout before checking.
pub(super) struct Draft {
    pub about: String,
    pub hub: Option<Placed>,
    pub repeats: bool,
    pub mtu: u32,
    pub nodes: Vec<DraftNode>,
    pub links: Vec<(Range<usize>, Vec<Placed>)>,
}

/// Reads what is there; reports wrong types and unknown keys.
pub(super) fn read(walker: &mut Walker<'_>, document: &Spanned<Table<'_>>, size: Size) -> Draft {
    let top = document.get_ref();
    let args = walker.table("the layout", document.span().start..document.span().start, top, TOP, &["pool", "node", "link"], true);
    let stamp = Stamp { spokes: size.spokes, pools: pools(walker, top, size.spokes) };
    let mut draft = Draft {
        about: args.text("about").unwrap_or_default().to_owned(),
        hub: texts(top, "hub").into_iter().next(),
        repeats: walker.source.text.contains("{n}"),
        mtu: size.mtu.or(args.int("mtu").and_then(|n| u32::try_from(n).ok())).unwrap_or(1500),
        nodes: Vec::new(),
        links: Vec::new(),
    };
    // What is too large is refused afterwards; there is no point in making it.
    for entry in walker.tables(top, "node") {
        if draft.nodes.len() > MOST_NODES {
            break;
        }
        let Some(table) = entry.get_ref().as_table() else { continue };
        node(walker, entry.span(), table, &stamp, &mut draft.nodes);
    }
    for entry in walker.tables(top, "link") {
        if draft.links.len() > MOST_LINKS {
            break;
        }
        let Some(table) = entry.get_ref().as_table() else { continue };
        walker.table("[[link]]", entry.span(), table, LINK, &[], false);
        let ends = texts(table, "ends");
        if ends.iter().any(|e| repeated(&e.text)) {
            for n in 1..=size.spokes {
                draft.links.push((entry.span(), ends.iter().map(|e| stamp.fill(e, n)).collect()));
            }
        } else {
            draft.links.push((entry.span(), ends));
        }
    }
    draft
}

fn node(walker: &mut Walker<'_>, span: Range<usize>, table: &Table<'_>, stamp: &Stamp, nodes: &mut Vec<DraftNode>) {
    let args = walker.table("[[node]]", span.clone(), table, NODE, &["iface"], true);
    let Some(name) = texts(table, "name").into_iter().next() else { return };
    let role = match args.text("role") {
        Some("router") => Role::Router,
        Some("gateway") => Role::Gateway,
        Some("nat") => Role::Nat,
        _ => Role::Host,
    };
    let mut ifaces: Vec<(Placed, Vec<Placed>)> = Vec::new();
    match table.get("iface").map(|v| (v.span(), v.get_ref())) {
        Some((_, DeValue::Table(entries))) => {
            for (key, value) in entries.iter() {
                let name = Placed { text: key.get_ref().to_string(), span: key.span() };
                if walker.value(&format!("`iface.{}`", name.text), Kind::List(&Kind::Text), value, false).is_some() {
                    ifaces.push((name, texts_of(value)));
                }
            }
            ifaces.sort_by_key(|(name, _)| name.span.start);
        }
        Some((span, _)) => walker.mistake("wrong-type", span, "`iface` must be a table: `iface.<name> = [addresses]`", "", []),
        None => walker.mistake("missing-key", span, "the node has no interface", "", ["add `iface.<name> = [addresses]`".to_owned()]),
    }
    let routes: Vec<(Placed, Placed)> = match table.get("routes").map(Spanned::get_ref) {
        Some(DeValue::Array(items)) => items
            .iter()
            .filter_map(|item| item.get_ref().as_table())
            .filter_map(|t| Some((texts(t, "to").pop()?, texts(t, "via").pop()?)))
            .collect(),
        _ => Vec::new(),
    };
    let nat = table.get("nat").and_then(|v| args.table("nat").map(|nat| (nat.clone(), v.span())));
    let copies: Vec<Option<u32>> = if repeated(&name.text) { (1..=stamp.spokes).map(Some).collect() } else { vec![None] };
    for n in copies {
        let list = |key: &str| stamp.list(texts(table, key), n);
        nodes.push(DraftNode {
            name: n.map_or_else(|| name.clone(), |n| stamp.fill(&name, n)),
            role,
            ifaces: ifaces.iter().flat_map(|(name, addrs)| stamp.iface(name, addrs, n)).take(MOST_IFACES + 1).collect(),
            outside: list("outside"),
            protects: list("protects"),
            default_via: list("default-via"),
            routes: routes.iter().flat_map(|(to, via)| stamp.pair(to, via, n)).collect(),
            nat: nat.clone(),
        });
    }
}

/// Fills `{n}` and `{pool.a}`, `{pool.b}`.
struct Stamp {
    spokes: u32,
    pools: Vec<(String, Vec<[String; 2]>)>,
}

impl Stamp {
    fn fill(&self, placed: &Placed, n: u32) -> Placed {
        let mut text = placed.text.replace("{n}", &n.to_string());
        for (name, subnets) in &self.pools {
            if let Some([a, b]) = subnets.get(n.saturating_sub(1) as usize) {
                text = text.replace(&format!("{{{name}.a}}"), a).replace(&format!("{{{name}.b}}"), b);
            }
        }
        Placed { text, span: placed.span.clone() }
    }

    /// In the n-th copy of a node every entry stands once; elsewhere an entry with a placeholder stands `spokes` times.
    fn each(&self, probe: &Placed, n: Option<u32>) -> Vec<Option<u32>> {
        match n {
            Some(n) => vec![Some(n)],
            None if repeated(&probe.text) => (1..=self.spokes).map(Some).collect(),
            None => vec![None],
        }
    }

    fn one(&self, placed: &Placed, n: Option<u32>) -> Placed {
        n.map_or_else(|| placed.clone(), |n| self.fill(placed, n))
    }

    fn list(&self, entries: Vec<Placed>, n: Option<u32>) -> Vec<Placed> {
        entries.iter().flat_map(|e| self.each(e, n).into_iter().map(|n| self.one(e, n))).collect()
    }

    fn iface(&self, name: &Placed, addrs: &[Placed], n: Option<u32>) -> Vec<DraftIface> {
        let copies = self.each(name, n);
        copies.into_iter().map(|n| DraftIface { name: self.one(name, n), addrs: addrs.iter().map(|a| self.one(a, n)).collect() }).collect()
    }

    fn pair(&self, to: &Placed, via: &Placed, n: Option<u32>) -> Vec<(Placed, Placed)> {
        self.each(to, n).into_iter().map(|n| (self.one(to, n), self.one(via, n))).collect()
    }
}

fn pools(walker: &mut Walker<'_>, top: &Table<'_>, spokes: u32) -> Vec<(String, Vec<[String; 2]>)> {
    let Some(pools) = top.get("pool").and_then(|p| p.get_ref().as_table()) else { return Vec::new() };
    let mut out = Vec::new();
    if let Some(extra) = pools.keys().nth(MOST_POOLS) {
        walker.mistake("too-many", extra.span(), format!("a layout has at most {MOST_POOLS} pools"), "", []);
    }
    for (key, value) in pools.iter().take(MOST_POOLS) {
        let name = key.get_ref().to_string();
        let Some(table) = value.get_ref().as_table() else {
            walker.mistake("wrong-type", value.span(), format!("`pool.{name}` must be a table"), "", []);
            continue;
        };
        let args = walker.table(&format!("[pool.{name}]"), key.span(), table, POOL, &[], false);
        let length = args.int("length").and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
        let prefixes = args.texts("prefixes").into_iter().filter_map(|p| p.parse::<IpNet>().ok());
        let subnets: Vec<[String; 2]> =
            prefixes.filter_map(|p| p.subnets(length).ok()).flatten().take(spokes as usize).map(|net| ends(&net)).collect();
        if subnets.len() < spokes as usize {
            let message = format!("pool `{name}` has {} subnets, but {spokes} are needed", subnets.len());
            walker.mistake("pool", key.span(), message, "", ["add prefixes, or ask for fewer spokes".to_owned()]);
        }
        out.push((name, subnets));
    }
    out
}

/// The two ends' addresses of a point-to-point subnet (RFC 3021, RFC 6164 for the shortest).
fn ends(net: &IpNet) -> [String; 2] {
    let mut hosts = net.hosts();
    let mut next = || hosts.next().map(|a| a.to_string()).unwrap_or_default();
    [next(), next()]
}

fn repeated(text: &str) -> bool {
    text.contains('{')
}

fn texts(table: &Table<'_>, key: &str) -> Vec<Placed> {
    table.get(key).map(texts_of).unwrap_or_default()
}

fn texts_of(value: &Spanned<DeValue<'_>>) -> Vec<Placed> {
    match value.get_ref() {
        DeValue::String(text) => vec![Placed { text: text.to_string(), span: value.span() }],
        DeValue::Array(items) => items.iter().flat_map(texts_of).collect(),
        _ => Vec::new(),
    }
}
