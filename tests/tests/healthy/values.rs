//! What the parameters of symptoms can name in a scenario.

use std::collections::BTreeSet;

use faultlab::scenario::model::{Plan, Role};
use faultlab::schema::{Args, Kind, Param, Value};
use faultlab::symptom::{Evidence, Symptom};
use wire::ike::Body;

/// Notify message types of errors are below: IKEv2 (RFC 7296 §3.10.1), IKEv1 (RFC 2408 §3.14.1).
const ERRORS: u16 = 16384;

/// Values of one parameter, as far as a failure can be told by them.
pub fn of(symptom: &Symptom, param: &Param, evidence: &Evidence<'_>) -> Vec<Value> {
    let plan = evidence.plan;
    match (symptom.code, param.name, param.kind) {
        // Whatever the capture has: nothing else can be begun or answered.
        (_, "exchange", Kind::Int(least, most)) => {
            exchanges(evidence).into_iter().map(i64::from).filter(|n| (least..=most).contains(n)).map(Value::Int).collect()
        }
        ("too-big-lost", "size", _) => [576, 1000, 1280, 1400].map(Value::Int).to_vec(),
        (_, _, Kind::Tap) => texts(plan.taps()),
        (_, _, Kind::Node) => texts(plan.network.nodes.iter().map(|n| n.name.clone())),
        (_, _, Kind::Gateway) => texts(plan.gateways.iter().map(|g| g.config.name.clone())),
        (_, _, Kind::Step) => texts(plan.steps.iter().map(|s| s.name.clone())),
        (_, "since", _) => texts(plan.steps.iter().map(|s| s.name.clone())),
        (_, "name", _) => texts(["intranet.example".to_owned()]),
        (_, _, Kind::Filter) => texts(filters(evidence)),
        _ => Vec::new(),
    }
}

/// For symptoms that are signs of either: the key, and the values, with which they speak of a failure.
pub fn of_failures(code: &str, evidence: &Evidence<'_>) -> Option<(&'static str, Vec<Value>)> {
    match code {
        "notify" => Some(("type", texts(errors(evidence).iter().map(u16::to_string)))),
        "probe" => {
            let bad = ["partial", "timeout", "refused", "unreachable", "denied", "no-such-name", "no-route", "error"];
            Some(("outcome", vec![Value::List(texts(bad.map(str::to_owned)))]))
        }
        _ => None,
    }
}

/// Do the taps that were named belong together, as the symptom's documentation asks?
pub fn sensible(symptom: &Symptom, args: &Args, plan: &Plan) -> bool {
    let of = |key| args.text(key).unwrap_or_default();
    match symptom.code {
        "cleartext-leak" => is_public(plan, of("at")),
        "mapping-lost" => node(of("inside")) == node(of("outside")) && of("inside") != of("outside"),
        "lost-between" | "too-big-lost" => are_joined(plan, of("from"), of("to")),
        _ => true,
    }
}

fn texts(all: impl IntoIterator<Item = String>) -> Vec<Value> {
    all.into_iter().map(Value::Text).collect()
}

/// Exchange types of the capture.
fn exchanges(evidence: &Evidence<'_>) -> BTreeSet<u8> {
    evidence.capture.records.iter().filter_map(|r| r.ike()).map(|i| i.message.exchange).collect()
}

/// Types of the capture's notifications that tell of an error.
fn errors(evidence: &Evidence<'_>) -> BTreeSet<u16> {
    let payloads = evidence.capture.records.iter().filter_map(|r| r.ike()).flat_map(|i| &i.message.payloads);
    let types = payloads.filter_map(|p| if let Body::Notify { kind, .. } = &p.body { Some(*kind) } else { None });
    types.filter(|kind| *kind < ERRORS).collect()
}

fn filters(evidence: &Evidence<'_>) -> Vec<String> {
    let of_exchange = exchanges(evidence).into_iter().map(|n| format!("isakmp.exchangetype == {n}"));
    ["isakmp", "esp || ah", "icmp || icmpv6", "ip || ipv6"].into_iter().map(str::to_owned).chain(of_exchange).collect()
}

fn node(tap: &str) -> &str {
    tap.split('.').next().unwrap_or_default()
}

/// Between gateways: no address of a protected network.
fn is_public(plan: &Plan, tap: &str) -> bool {
    let protected = || plan.network.nodes.iter().flat_map(|n| &n.protects);
    let interface = plan.network.nodes.iter().flat_map(|n| n.ifaces.iter().filter(move |i| format!("{}.{}", n.name, i.name) == tap)).next();
    interface.is_some_and(|i| !i.addrs.iter().any(|a| protected().any(|p| p.contains(&a.addr()))))
}

/// The two ends of a link, or the two sides of a node that only passes packets on.
fn are_joined(plan: &Plan, from: &str, to: &str) -> bool {
    let ends = |(node, interface): &(String, String)| format!("{node}.{interface}");
    let linked = plan.network.links.iter().any(|l| {
        let (a, b) = (ends(&l.a), ends(&l.b));
        (a == from && b == to) || (b == from && a == to)
    });
    let passes = plan.network.node(node(from)).is_some_and(|n| matches!(n.role, Role::Router | Role::Nat) && n.ifaces.len() == 2);
    linked || (from != to && node(from) == node(to) && passes)
}
