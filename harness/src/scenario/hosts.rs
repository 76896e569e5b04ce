//! Hosts that steps name: what a gateway's name means follows its mode, and must be one thing.

use std::net::IpAddr;

use super::check::inner;
use super::checked::{Checked, HostSpan};
use super::model::Plan;
use super::walk::{Table, Walker};

/// Keys that name a host.
const KEYS: [&str; 2] = ["to", "server"];

/// Where a step names hosts.
pub(super) fn spans(table: &Table<'_>, action: &str, step: usize) -> Vec<HostSpan> {
    let args = table.get("do").and_then(|d| inner(d, action));
    let span_of = |key: &'static str| args.and_then(|a| a.get(key)).map(|value| HostSpan { step, key, span: value.span() });
    KEYS.into_iter().filter_map(span_of).collect()
}

/// A gateway's name means its LAN's address in tunnel mode and its outer address in transport mode. Where it could be either, because
/// the twins or the two ends of a step differ, the scenario must say which.
pub(super) fn doubts(walker: &mut Walker<'_>, checked: &Checked, plans: &[&Plan]) {
    for HostSpan { step, key, span } in &checked.host_spans {
        let Some(step) = checked.steps.get(*step) else { continue };
        let (from, host) = (step.args.text("from").unwrap_or_default(), step.args.text(key).unwrap_or_default());
        let ends = plans.iter().flat_map(|p| [(p, host), (p, from)]).filter(|(p, name)| p.gateway(name).is_some());
        let modes: Vec<bool> = ends.map(|(p, name)| p.outer_in_transport_mode(name).is_some()).collect();
        let outer = plans.iter().find_map(|p| p.outer_in_transport_mode(host).or_else(|| outer(p, host)));
        let inner = plans.first().and_then(|p| p.network.node(host)?.address(p.uses_v6()));
        let (Some(inner), Some(outer)) = (inner, outer) else { continue };
        if !(modes.contains(&true) && modes.contains(&false)) || inner == outer {
            continue;
        }
        let message = format!("`{host}` means {inner} in tunnel mode and {outer} in transport mode, and both modes are used here");
        let help = format!("write the address: `{key} = \"{outer}\"` is what transport mode protects, `{key} = \"{inner}\"` its LAN");
        walker.mistake("ambiguous-host", span.clone(), message, "which one is meant?", [help]);
    }
}

/// The outer address of a gateway.
fn outer(plan: &Plan, gateway: &str) -> Option<IpAddr> {
    plan.gateway(gateway)?.connections.first().map(|c| c.local)
}
