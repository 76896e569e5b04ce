//! The two sides of a scenario, from its checked sections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peer::Capability;

use super::authentication;
use super::check::{overlaid, overlay};
use super::checked::{Checked, CheckedExpect};
use super::children;
use super::floods;
use super::hosts;
use super::model::{Expect, Fault, GatewayPlan, Health, Must, Network, Plan, Role, Scenario, ScenarioKind, Side, Step};
use super::moves;
use super::peers::{self, Peers};
use super::sections::VIRTUAL_TIME;
use super::walk::Walker;
use crate::name::PathName;
use crate::schema::{Args, Value};

/// Builds both sides; reports what does not make sense as a whole.
pub(super) fn build(walker: &mut Walker<'_>, checked: Checked) -> Option<Scenario> {
    let control = checked.scenario.text("kind") == Some("control");
    whole(walker, &checked, control);
    // With mistakes in the parts, doubts about the whole would only be noise.
    let id = named(walker);
    if !walker.found.is_empty() {
        return None;
    }
    let v6 = checked.network.text("ip") == Some("v6");
    let peers = peers::peers(&checked.layout, &checked.gateways);
    reachable(walker, &checked, &peers, v6);
    let also = checked.fix.iter().flat_map(|f| &f.also);
    let faults: Vec<Fault> = checked.faults.iter().chain(also).cloned().collect();
    moves::check(walker, &checked.layout.network, &faults);
    floods::check(walker, &checked.layout.network, v6, &faults);
    let health = health(walker, &checked, &peers);
    let title = |key: &str| checked.scenario.text(key).unwrap_or_default().to_owned();
    let list = |key: &str| checked.scenario.texts(key).into_iter().map(str::to_owned).collect::<Vec<_>>();

    let common = Common { checked: &checked, id: &walker.source.id, v6, peers: &peers };
    let when_broken = match checked.health.text("when-broken") {
        _ if control => Must::Hold,
        Some("present") => Must::Hold,
        Some("whatever") => Must::Whatever,
        _ => Must::Vanish,
    };
    let expects = checked.expects.iter().map(|e| expect(e, Must::Hold)).collect();
    let health_on = |must| Health { must, ..health.clone() };
    let broken = common.plan(Side::Broken, &checked.gateways, checked.faults.clone(), expects, health_on(when_broken))?;
    let fixed = match &checked.fix {
        Some(fix) if !control => {
            let gateways = checked.gateways.iter().map(|(name, base)| {
                let over = fix.gateways.get(name).cloned().unwrap_or_default();
                (name.clone(), overlaid(base, &over))
            });
            let without: BTreeSet<&str> = fix.without.iter().map(String::as_str).collect();
            let kept = checked.faults.iter().filter(|f| !without.contains(f.name.as_str())).cloned();
            let faults = kept.chain(fix.also.iter().cloned()).collect();
            let gone = checked.expects.iter().map(|e| expect(e, if e.persists { Must::Whatever } else { Must::Vanish }));
            let expects = gone.chain(fix.expects.iter().map(|e| expect(e, Must::Hold))).collect();
            let plan = common.plan(Side::Fixed, &gateways.collect(), faults, expects, health_on(Must::Hold))?;
            if plan.gateways == broken.gateways && plan.faults == broken.faults {
                let help = "name faults in `without`, change settings in `[fix.gateway.<name>]`, or add `[[fix.also]]`".to_owned();
                walker.mistake("fix-changes-nothing", fix.span.clone(), "the fix changes nothing", "", [help]);
            }
            Some(plan)
        }
        _ => None,
    };
    let plans: Vec<&Plan> = std::iter::once(&broken).chain(fixed.as_ref()).collect();
    hosts::doubts(walker, &checked, &plans);
    for plan in plans {
        authentication::doubts(walker, &checked, plan);
        children::doubts(walker, &checked, plan);
    }
    Some(Scenario {
        id: id?,
        file: walker.source.name.clone(),
        group: walker.source.group.clone(),
        title: title("title"),
        ticket: title("ticket"),
        diagnosis: title("diagnosis"),
        hints: list("hints"),
        slides: checked.scenario.ints("slides").into_iter().filter_map(|n| u16::try_from(n).ok()).collect(),
        rfc: list("rfc"),
        level: title("level"),
        tags: list("tags"),
        kind: if control { ScenarioKind::Control } else { ScenarioKind::Failure },
        needs: checked.scenario.texts("needs").into_iter().filter_map(capability).collect(),
        virtual_time: checked.scenario.texts("needs").contains(&VIRTUAL_TIME),
        broken,
        fixed,
        fix_about: checked.fix.map(|f| f.about).unwrap_or_default(),
    })
}

/// The file's name, which its evidence is filed under.
fn named(walker: &mut Walker<'_>) -> Option<PathName> {
    let name = walker.source.id.parse::<PathName>();
    if let Err(e) = &name {
        walker.mistake("bad-name", 0..0, e.to_string(), "", ["a scenario is called as its file is, without `.toml`: rename it".to_owned()]);
    }
    name.ok()
}

/// What both sides share.
struct Common<'c> {
    checked: &'c Checked,
    id: &'c str,
    v6: bool,
    peers: &'c Peers,
}

impl Common<'_> {
    fn plan(
        &self,
        side: Side,
        settings: &BTreeMap<String, Args>,
        faults: Vec<Fault>,
        expects: Vec<Expect>,
        health: Health,
    ) -> Option<Plan> {
        let Checked { layout, .. } = self.checked;
        Some(Plan {
            scenario: self.id.to_owned(),
            side,
            network: moves::with_later(&layout.network, &faults),
            gateways: self.gateways(&layout.network, settings, &faults)?,
            services: self.checked.services.clone(),
            faults,
            steps: self.steps(),
            expects,
            health,
            deadline: self.checked.scenario.duration("deadline").unwrap_or(Duration::from_secs(60)),
        })
    }

    fn gateways(&self, network: &Network, settings: &BTreeMap<String, Args>, faults: &[Fault]) -> Option<Vec<GatewayPlan>> {
        let gateways = network.nodes.iter().filter(|n| n.role == Role::Gateway);
        let mut sets: BTreeMap<&str, Vec<&Args>> = BTreeMap::new();
        for fault in faults.iter().filter(|f| f.action == "config") {
            sets.entry(fault.args.text("at").unwrap_or_default()).or_default().extend(fault.args.table("set"));
        }
        let plans = gateways.map(|node| {
            let mut own = settings.get(&node.name).cloned().unwrap_or_default();
            for set in sets.get(node.name.as_str()).into_iter().flatten() {
                overlay(&mut own, set);
            }
            peers::plan(network, node, self.v6, &own, self.peers, settings)
        });
        plans.collect()
    }

    fn steps(&self) -> Vec<Step> {
        let first = self.checked.initiator.as_ref().map(|gateway| Step {
            name: "initiate".to_owned(),
            action: "initiate".to_owned(),
            args: implicit_initiate(gateway),
            background: false,
            line: 0,
        });
        first.into_iter().chain(self.checked.steps.iter().cloned()).collect()
    }
}

/// The arguments of the first step that nobody wrote.
fn implicit_initiate(gateway: &str) -> Args {
    let word = crate::run::traffic::words::WORDS.iter().find(|w| w.name == "initiate");
    word.map(|w| super::defaults::defaults(w.params)).unwrap_or_default().with("gateway", Value::Text(gateway.to_owned()))
}

fn expect(checked: &CheckedExpect, must: Must) -> Expect {
    Expect { symptom: checked.symptom.clone(), args: checked.args.clone(), must, line: checked.line }
}

fn capability(word: &str) -> Option<Capability> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// A failure is a failure and a control is a control.
fn whole(walker: &mut Walker<'_>, checked: &Checked, control: bool) {
    let at = checked.scenario_span.clone();
    if control {
        if let Some(span) = &checked.fault_span {
            let help = "remove it, or remove `kind = \"control\"`".to_owned();
            walker.mistake("control-with-fault", span.clone(), "a control has no fault", "", [help]);
        }
        if let Some(fix) = &checked.fix {
            walker.mistake("control-with-fix", fix.span.clone(), "a control has nothing to fix", "", ["remove `[fix]`".to_owned()]);
        }
        return;
    }
    if checked.fault_span.is_none() {
        let help = "add `[[fault]]`, or `kind = \"control\"` if everything must work".to_owned();
        walker.mistake("no-fault", at.clone(), "a failure needs at least one `[[fault]]`", "", [help]);
    }
    if !checked.has_fix {
        let help = "add `[fix]` with `about` and what it changes".to_owned();
        walker.mistake("no-fix", at.clone(), "a failure needs a `[fix]`: without the healthy twin it proves nothing", "", [help]);
    }
    if !checked.has_expects {
        let help = "add `[[expect]]` with the symptom that shows the fault".to_owned();
        walker.mistake("no-expectation", at, "a failure needs at least one `[[expect]]`", "", [help]);
    }
}

/// Every gateway has an address in the family and somebody to talk to; who initiates knows towards whom.
fn reachable(walker: &mut Walker<'_>, checked: &Checked, peers: &Peers, v6: bool) {
    let gateways = checked.layout.network.nodes.iter().filter(|n| n.role == Role::Gateway);
    for node in gateways {
        let at = checked.network_span.clone();
        if peers::outside_address(node, v6).is_none() {
            let family = if v6 { "IPv6" } else { "IPv4" };
            let message = format!("gateway {} has no outside {family} address in layout `{}`", node.name, checked.layout.network.layout);
            walker.mistake("no-address", at.clone(), message, "", ["choose another `ip`".to_owned()]);
        }
        if peers.get(&node.name).is_none_or(Vec::is_empty) {
            let help = format!("add `peer` to [gateway.{}]", node.name);
            walker.mistake("no-peer", at, format!("gateway {} has no peer", node.name), "", [help]);
        }
    }
    let several = |gateway: &str| peers.get(gateway).is_some_and(|p| p.len() > 1);
    for step in checked.steps.iter().filter(|s| s.action == "initiate") {
        let (gateway, peer) = (step.args.text("gateway").unwrap_or_default(), step.args.text("peer"));
        let at = walker.line_span(step.line);
        let list = || peers.get(gateway).map(|p| super::diag::listed(p.iter().map(String::as_str))).unwrap_or_default();
        match peer {
            None if several(gateway) => {
                let message = format!("gateway {gateway} has several peers");
                walker.mistake("which-peer", at, message, "", [format!("add `peer`: {}", list())]);
            }
            Some(peer) if peers.get(gateway).is_some_and(|p| !p.iter().any(|x| x == peer)) => {
                walker.mistake(
                    "which-peer",
                    at,
                    format!("{peer} is not a peer of gateway {gateway}"),
                    "",
                    [format!("its peers: {}", list())],
                );
            }
            _ => {}
        }
    }
    if let Some(gateway) = checked.initiator.as_deref().filter(|g| several(g)) {
        let help = "write `initiator = \"\"` and an `initiate` step that names the `peer`".to_owned();
        walker.mistake("which-peer", checked.network_span.clone(), format!("the initiator {gateway} has several peers"), "", [help]);
    }
}

fn health(walker: &mut Walker<'_>, checked: &Checked, peers: &Peers) -> Health {
    let bulk = checked.health.int("bulk").and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let off = Health { from: String::new(), to: String::new(), must: Must::Whatever, bulk };
    if !checked.health.flag("probes") {
        return off;
    }
    let network = &checked.layout.network;
    let stated = checked.steps.iter().find(|s| s.action == "initiate").and_then(|s| s.args.text("gateway"));
    let first = || network.nodes.iter().find(|n| n.role == Role::Gateway).map(|n| n.name.as_str());
    let initiator = checked.initiator.as_deref().or(stated).or_else(first).unwrap_or_default();
    let peer = peers.get(initiator).and_then(|p| p.first()).map(String::as_str).unwrap_or_default();
    let from = checked.health.text("from").map(str::to_owned).or_else(|| host_behind(network, initiator));
    let to = checked.health.text("to").map(str::to_owned).or_else(|| host_behind(network, peer));
    match (from, to) {
        (Some(from), Some(to)) if from != to => Health { from, to, ..off },
        _ => {
            let help = "add `[health]` with `from` and `to`, or `probes = false`".to_owned();
            let at = checked.network_span.clone();
            walker.mistake("no-health-probe", at, "there are no two hosts to probe health between", "", [help]);
            off
        }
    }
}

fn host_behind(network: &Network, gateway: &str) -> Option<String> {
    let ifaces = &network.node(gateway)?.ifaces;
    let neighbours = ifaces.iter().filter_map(|i| network.opposite(gateway, &i.name)).filter_map(|(node, _)| network.node(node));
    neighbours.filter(|n| n.role == Role::Host).map(|n| n.name.clone()).next()
}
