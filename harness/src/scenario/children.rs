//! `children` of a gateway: child SAs beside the first one, under the same IKE SA.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use ipnet::IpNet;
use peer::{Child, Connection, EspMode};

use super::checked::Checked;
use super::model::Plan;
use super::prefixes::Prefixes;
use super::walk::{Table, Walker};
use crate::schema::{Args, Kind, Param};

/// Children that a gateway has beside the first at most.
const MOST: usize = 100;

/// One entry of `children`.
pub const CHILD: &[Param] = &[
    Param::required(
        "name",
        Kind::Text,
        "in lower-case letters, digits and hyphens; its events carry it behind the connection's: `west-east-dmz`",
    ),
    Param::optional("peer", Kind::Gateway, "towards which peer, where there are several; default: each"),
    Param::optional("local-ts", Kind::List(&Kind::Prefix), "own traffic selectors"),
    Param::optional("remote-ts", Kind::List(&Kind::Prefix), "the peer's traffic selectors"),
    Param::optional("esp-proposals", Kind::List(&Kind::Text), "for ESP"),
    Param::optional("ah-proposals", Kind::List(&Kind::Text), "for AH"),
    Param::optional("child-rekey", Kind::Seconds, "re-key it after this long; `0s`: never"),
    Param::optional("child-life", Kind::Seconds, "its hard lifetime; `0s`: unlimited"),
    Param::optional("inactivity", Kind::Seconds, "close it after this long without traffic; `0s`: never"),
];

/// The children beside the first one, which has what they inherit.
pub(super) fn children(own: &Args, first: &Connection) -> Vec<Child> {
    let here = |c: &&Args| c.text("peer").is_none_or(|peer| peer == first.peer);
    own.tables("children").into_iter().filter(here).map(|c| child(c, first)).collect()
}

fn child(args: &Args, first: &Connection) -> Child {
    let nets = |key: &str, inherited: &[IpNet]| match args.get(key) {
        Some(_) => args.texts(key).into_iter().filter_map(|net| net.parse().ok()).collect(),
        None => inherited.to_vec(),
    };
    let texts = |key: &str, inherited: &[String]| match args.get(key) {
        Some(_) => args.texts(key).into_iter().map(str::to_owned).collect(),
        None => inherited.to_vec(),
    };
    let timer = |key: &str, inherited: Option<Duration>| args.duration(key).map_or(inherited, |d| (!d.is_zero()).then_some(d));
    Child {
        name: full_name(&first.name, args.text("name").unwrap_or_default()),
        esp_proposals: texts("esp-proposals", &first.esp_proposals),
        ah_proposals: texts("ah-proposals", &first.ah_proposals),
        local_ts: nets("local-ts", &first.local_ts),
        remote_ts: nets("remote-ts", &first.remote_ts),
        child_rekey: timer("child-rekey", first.child_rekey),
        child_life: timer("child-life", first.child_life),
        inactivity: timer("inactivity", first.inactivity),
    }
}

fn full_name(connection: &str, own: &str) -> String {
    format!("{connection}-{own}")
}

/// What a scenario calls a child.
pub(crate) fn own_name<'c>(connection: &str, child: &'c str) -> &'c str {
    child.strip_prefix(connection).and_then(|rest| rest.strip_prefix('-')).unwrap_or(child)
}

/// The children beside the first one as a scenario would write them; `None`: there is none.
pub(crate) fn toml(connection: &Connection) -> Option<String> {
    let all = connection.children();
    let (first, others) = all.split_first().filter(|(_, others)| !others.is_empty())?;
    let one = |child: &Child| {
        let mut said = vec![format!("name = {:?}", own_name(&connection.name, &child.name))];
        let nets = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
        let lists = [
            ("local-ts", nets(&first.local_ts), nets(&child.local_ts)),
            ("remote-ts", nets(&first.remote_ts), nets(&child.remote_ts)),
            ("esp-proposals", first.esp_proposals.clone(), child.esp_proposals.clone()),
            ("ah-proposals", first.ah_proposals.clone(), child.ah_proposals.clone()),
        ];
        said.extend(lists.into_iter().filter(|(_, usual, own)| usual != own).map(|(key, _, own)| format!("{key} = {own:?}")));
        let timers = [
            ("child-rekey", first.child_rekey, child.child_rekey),
            ("child-life", first.child_life, child.child_life),
            ("inactivity", first.inactivity, child.inactivity),
        ];
        let time = |d: Option<Duration>| humantime::format_duration(d.unwrap_or_default()).to_string().replace(' ', "");
        said.extend(timers.into_iter().filter(|(_, usual, own)| usual != own).map(|(key, _, own)| format!("{key} = {:?}", time(own))));
        format!("{{ {} }}", said.join(", "))
    };
    Some(format!("children = [{}]", others.iter().map(one).collect::<Vec<_>>().join(", ")))
}

/// Names that cannot be, or are there twice, in one table of settings.
pub(super) fn check(walker: &mut Walker<'_>, table: &Table<'_>) {
    let mut seen: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
    if let Some(extra) = entries(table).nth(MOST).and_then(|entry| entry.get("name")) {
        walker.mistake("too-many", extra.span(), format!("a gateway has at most {MOST} children beside the first"), "", []);
    }
    for entry in entries(table) {
        let text = |key: &str| entry.get(key).and_then(|v| v.get_ref().as_str());
        let (Some(name), Some(span)) = (text("name"), entry.get("name").map(|v| v.span())) else { continue };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('-') || name.ends_with('-') {
            let message = format!("`{}` cannot be a child's name", name.escape_debug());
            walker.mistake("child-name", span, message, "", ["write lower-case letters, digits and hyphens".to_owned()]);
            continue;
        }
        let peer = text("peer");
        let same = seen.entry(name).or_default();
        // One without a peer is for all of them.
        if same.contains(&None) || same.contains(&peer) || peer.is_none() && !same.is_empty() {
            walker.mistake("duplicate-name", span, format!("a second child is called `{name}`"), "", []);
        }
        same.insert(peer);
    }
}

fn entries<'t, 'i>(settings: &'t Table<'i>) -> impl Iterator<Item = &'t Table<'i>> {
    let list = settings.get("children").and_then(|c| c.get_ref().as_array());
    list.into_iter().flat_map(|list| list.iter()).filter_map(|item| item.get_ref().as_table())
}

/// Where children are described: by gateway (or `all`) and own name.
pub(super) type Spans = BTreeMap<(String, String), Range<usize>>;

/// Looks for them in a whole file.
pub(super) fn spans(top: &Table<'_>) -> Spans {
    let mut spans = Spans::new();
    let fix = top.get("fix").and_then(|f| f.get_ref().as_table());
    for table in [Some(top), fix].into_iter().flatten() {
        let gateways = table.get("gateway").and_then(|g| g.get_ref().as_table());
        for (name, settings) in gateways.into_iter().flat_map(|g| g.iter()) {
            note(&mut spans, name.get_ref(), settings.get_ref().as_table());
        }
        for fault in ["fault", "also"].iter().filter_map(|key| table.get(*key)?.get_ref().as_array()).flat_map(|list| list.iter()) {
            let config = || fault.get_ref().as_table()?.get("do")?.get_ref().as_table()?.get("config")?.get_ref().as_table();
            let Some(config) = config() else { continue };
            let at = config.get("at").and_then(|v| v.get_ref().as_str()).unwrap_or_default();
            note(&mut spans, at, config.get("set").and_then(|v| v.get_ref().as_table()));
        }
    }
    spans
}

fn note(spans: &mut Spans, gateway: &str, settings: Option<&Table<'_>>) {
    for name in settings.into_iter().flat_map(entries).filter_map(|entry| entry.get("name")) {
        let Some(text) = name.get_ref().as_str() else { continue };
        spans.entry((gateway.to_owned(), text.to_owned())).or_insert_with(|| name.span());
    }
}

/// Reports children of which a packet could not tell to which it belongs, and those that can never come up.
pub(super) fn doubts(walker: &mut Walker<'_>, checked: &Checked, plan: &Plan) {
    for gateway in &plan.gateways {
        let gateway = &gateway.config;
        for connection in &gateway.connections {
            let all = connection.children();
            for (number, child) in all.iter().enumerate().skip(1) {
                let own = own_name(&connection.name, &child.name);
                let spans = &checked.child_spans;
                let at = |who: &str| spans.get(&(who.to_owned(), own.to_owned())).cloned();
                let at = at(&gateway.name).or_else(|| at("all")).unwrap_or_else(|| checked.network_span.clone());
                if connection.mode == EspMode::Transport {
                    let message = format!("{} uses transport mode, which has no second child SA", gateway.name);
                    let help = "transport mode carries what the gateways themselves say to each other: one child SA has it all".to_owned();
                    walker.once("child-in-transport-mode", at, message, help);
                    continue;
                }
                if let Some(other) = all.iter().take(number).find(|other| overlap(other, child)) {
                    let other = match own_name(&connection.name, &other.name) {
                        name if other.name == connection.name => format!("the first child of {name}: {}", ends(other)),
                        name => format!("child `{name}`: {}", ends(other)),
                    };
                    let message = format!("child `{own}` of {}, {}, overlaps {other}", connection.name, ends(child));
                    let help = "a packet must belong to one child: narrow `local-ts` or `remote-ts`, of the gateway for its first child"
                        .to_owned();
                    walker.once("overlapping-children", at, message, help);
                }
            }
        }
    }
}

/// Could a packet belong to both?
fn overlap(a: &Child, b: &Child) -> bool {
    let common = |a: &[IpNet], b: &[IpNet]| {
        let a = Prefixes::of(a);
        b.iter().any(|b| a.overlapping(*b).is_some())
    };
    common(&a.local_ts, &b.local_ts) && common(&a.remote_ts, &b.remote_ts)
}

fn ends(child: &Child) -> String {
    let nets = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    format!("{} === {}", nets(&child.local_ts), nets(&child.remote_ts))
}
