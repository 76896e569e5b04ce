//! A scenario file's sections, checked; hands over to `plan` when nothing is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::checked::{Checked, CheckedExpect, Fix, HostSpan};
use super::diag::Diagnostics;
use super::layout::{self, Layout, Size};
use super::model::{Fault, Role, Scenario, Service, Step, When};
use super::walk::{Names, Table, Walker, pairs};
use super::{Source, Vocabulary, children, gateway, hosts, plan, rules, sections, settings};
use crate::schema::{Args, Param, Value};

/// Reads and checks a scenario file; every mistake is reported.
pub fn load(source: &Source, vocabulary: &Vocabulary) -> Result<Scenario, Diagnostics> {
    let mut walker = Walker::new(source, vocabulary.filter);
    let Some(document) = walker.parse() else { return Err(walker.finish()) };
    let mut sections = Sections { walker, vocabulary, top: document.get_ref(), elsewhere: Vec::new() };
    let checked = sections.check();
    let Sections { mut walker, elsewhere, .. } = sections;
    let scenario = checked.and_then(|checked| plan::build(&mut walker, checked));
    let mut found = walker.finish();
    found.list.extend(elsewhere);
    match scenario {
        Some(scenario) if found.list.is_empty() => Ok(scenario),
        _ => Err(found),
    }
}

struct Sections<'a, 't> {
    walker: Walker<'a>,
    vocabulary: &'a Vocabulary,
    top: &'t Table<'a>,
    /// Mistakes in the layout's own file.
    elsewhere: Vec<super::Diagnostic>,
}

impl Sections<'_, '_> {
    fn check(&mut self) -> Option<Checked> {
        self.walker.unknown_keys("a scenario file", self.top, sections::TOP);
        let (scenario, scenario_span) = self.section("scenario", sections::SCENARIO, true);
        let (network, network_span) = self.section("network", sections::NETWORK, true);
        let layout = self.layout(&network);
        let steps = self.names("traffic");
        let faults = self.names("fault");
        self.walker.names = Names { steps: Some(steps), faults: Some(faults), ..Names::default() };
        if let Some(layout) = &layout {
            let nodes = &layout.network.nodes;
            let gateways = nodes.iter().filter(|n| n.role == Role::Gateway);
            let taps = nodes.iter().flat_map(|n| n.ifaces.iter().map(move |i| format!("{}.{}", n.name, i.name)));
            self.walker.names.taps = Some(taps.collect());
            self.walker.names.gateways = Some(gateways.map(|n| n.name.clone()).collect());
            self.walker.names.nodes = Some(nodes.iter().map(|n| n.name.clone()).collect());
        }
        let (health, _) = self.section("health", sections::HEALTH, false);
        let gateways = self.gateways(self.top);
        let services = self.services();
        let faults = self.faults(self.top, "fault", sections::FAULT, false);
        let (steps, host_spans) = self.steps();
        let initiator = self.initiator(&network, &steps, layout.as_ref());
        if initiator.is_some() && steps.iter().any(|s| s.name == "initiate") {
            let line_owner = self.walker.tables(self.top, "traffic").first().map(|t| t.span()).unwrap_or_default();
            let help = "choose another name, or write `initiator = \"\"` in [network]".to_owned();
            self.walker.mistake("duplicate-name", line_owner, "`initiate` is the name of the step that brings the tunnel up", "", [help]);
        }
        self.services_named(&faults, &services, "fault");
        let expects = self.expects(self.top, "expect", sections::EXPECT);
        let fix = self.fix();
        Some(Checked {
            scenario,
            network,
            network_span,
            layout: layout?,
            health,
            gateways,
            gateway_spans: self.gateway_spans(),
            child_spans: children::spans(self.top),
            services,
            fault_span: self.top.get("fault").map(|f| self.walker.head(f.span())),
            faults,
            steps,
            host_spans,
            initiator,
            expects,
            fix,
            scenario_span,
            has_expects: self.top.contains_key("expect"),
            has_fix: self.top.contains_key("fix"),
        })
    }

    /// A plain section with its defaults.
    fn section(&mut self, key: &str, params: &'static [Param], required: bool) -> (Args, Range<usize>) {
        let what = format!("[{key}]");
        match self.walker.subtable(self.top, key) {
            Some((span, table)) => (self.walker.table(&what, span.clone(), table, params, &[], true), span),
            None => {
                if required && !self.top.contains_key(key) {
                    let needed: Vec<&str> = params.iter().filter(|p| p.required).map(|p| p.name).collect();
                    let help = format!("add `{what}` with {}", super::diag::listed(needed));
                    self.walker.mistake("missing-section", 0..0, format!("the file has no `{what}`"), "", [help]);
                }
                (super::defaults::defaults(params), 0..0)
            }
        }
    }

    fn layout(&mut self, network: &Args) -> Option<Layout> {
        let name = network.text("layout")?;
        let table = self.top.get("network")?.get_ref().as_table()?;
        let span = table.get("layout")?.span();
        let Some(source) = self.vocabulary.layouts.get(name) else {
            let message = format!("there is no layout `{}`", name.escape_debug());
            self.walker.unknown("unknown-name", span, message, name, self.vocabulary.layouts.names());
            return None;
        };
        let number = |key: &str| network.int(key).and_then(|n| u32::try_from(n).ok());
        let size = Size { spokes: number("spokes").unwrap_or(Size::default().spokes), mtu: number("mtu") };
        match layout::load(source, size) {
            Ok(layout) => {
                if let (false, Some(spokes)) = (layout.repeats, table.get("spokes")) {
                    self.walker.mistake(
                        "spokes",
                        spokes.span(),
                        format!("layout `{name}` has no parts to repeat"),
                        "",
                        ["remove `spokes`".to_owned()],
                    );
                }
                Some(layout)
            }
            Err(mistakes) => {
                self.elsewhere = mistakes.list;
                None
            }
        }
    }

    /// Names of the entries of `[[traffic]]` or `[[fault]]`, default ones included; reports duplicates.
    fn names(&mut self, key: &str) -> BTreeSet<String> {
        let what = if key == "traffic" { "traffic step" } else { key };
        let mut names = BTreeSet::new();
        for (name, span) in self.named(self.top, key) {
            if !names.insert(name.clone()) {
                let message = format!("a second {what} is called `{}`", name.escape_debug());
                self.walker.mistake("duplicate-name", span, message, "", ["give each its own `name`".to_owned()]);
            }
        }
        names
    }

    /// Each entry's name, given or made from its word and number.
    fn named(&mut self, table: &Table<'_>, key: &str) -> Vec<(String, Range<usize>)> {
        let Some(items) = table.get(key).and_then(|v| v.get_ref().as_array()) else { return Vec::new() };
        let mut count: BTreeMap<String, u32> = BTreeMap::new();
        let mut out = Vec::new();
        for item in items.iter() {
            let Some(entry) = item.get_ref().as_table() else { continue };
            let word = entry.get("do").and_then(|d| d.get_ref().as_table()).and_then(|t| t.keys().next()).map(|k| k.get_ref().to_string());
            let word = word.unwrap_or_else(|| "unnamed".to_owned());
            let number = count.entry(word.clone()).and_modify(|n| *n += 1).or_insert(1);
            let given = entry.get("name").and_then(|n| Some((n.get_ref().as_str()?.to_owned(), n.span())));
            out.push(given.unwrap_or_else(|| (format!("{word}-{number}"), self.walker.head(item.span()))));
        }
        out
    }

    /// `[gateway.<name>]` by gateway, with `[gateway.all]` underneath.
    fn gateways(&mut self, table: &Table<'_>) -> BTreeMap<String, Args> {
        let Some((_, table)) = self.walker.subtable(table, "gateway") else { return BTreeMap::new() };
        let known = self.walker.names.gateways.clone();
        let mut out = BTreeMap::new();
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            if let Some(known) = known.as_ref().filter(|known| name != "all" && !known.contains(name)) {
                let message = format!("`{}` is not a gateway of this network", name.escape_debug());
                let valid = known.iter().map(String::as_str).chain(["all"]);
                self.walker.unknown("unknown-name", key.span(), message, name, valid);
                continue;
            }
            let Some(settings) = value.get_ref().as_table() else {
                let message = format!("`gateway.{name}` must be a table");
                self.walker.mistake("wrong-type", value.span(), message, "", [format!("write `[gateway.{name}]`")]);
                continue;
            };
            let args = self.settings(&format!("[gateway.{name}]"), key.span(), settings);
            out.insert(name.to_owned(), args);
        }
        let all = out.remove("all").unwrap_or_default();
        for name in known.unwrap_or_default() {
            let own = out.remove(&name).unwrap_or_default();
            out.insert(name, overlaid(&all, &own));
        }
        out
    }

    fn gateway_spans(&self) -> BTreeMap<String, Range<usize>> {
        let table = self.top.get("gateway").and_then(|g| g.get_ref().as_table());
        table.into_iter().flat_map(|t| t.keys()).map(|key| (key.get_ref().to_string(), key.span())).collect()
    }

    fn settings(&mut self, what: &str, span: Range<usize>, table: &Table<'_>) -> Args {
        let args = self.walker.table(what, span, table, gateway::PARAMS, &[], false);
        settings::check(&mut self.walker, table);
        args
    }

    fn services(&mut self) -> Vec<Service> {
        let mut out: Vec<Service> = Vec::new();
        let mut names = BTreeSet::new();
        for item in self.walker.tables(self.top, "service") {
            let Some(table) = item.get_ref().as_table() else { continue };
            let args = self.walker.table("[[service]]", item.span(), table, sections::SERVICE, &["do"], true);
            let action = self.action(item, table, "service", &pairs(self.vocabulary.services));
            let name = args.text("name").unwrap_or_default().to_owned();
            if !name.is_empty() && !names.insert(name.clone()) {
                let span = table.get("name").map(Spanned::span).unwrap_or_else(|| item.span());
                self.walker.mistake("duplicate-name", span, format!("a second service is called `{}`", name.escape_debug()), "", []);
            }
            let Some((action, args)) = action else { continue };
            let node = args.text("at").unwrap_or_default().to_owned();
            out.push(Service { name, node, action: action.to_owned(), args, line: self.line(item) });
        }
        out
    }

    fn faults(&mut self, table: &Table<'_>, key: &str, params: &'static [Param], remedy: bool) -> Vec<Fault> {
        let what = if remedy { format!("[[fix.{key}]]") } else { format!("[[{key}]]") };
        let names = self.named(table, key);
        let mut out = Vec::new();
        for (item, (name, _)) in self.walker.tables(table, key).into_iter().zip(names) {
            let Some(entry) = item.get_ref().as_table() else { continue };
            let args = self.walker.table(&what, item.span(), entry, params, &["do"], true);
            let when = self.when(entry, &args);
            // A fault's filter becomes a rule of the kernel, which cannot test everything.
            self.walker.filter = self.vocabulary.kernel_filter;
            let action = self.action(item, entry, "fault", &pairs(self.vocabulary.faults));
            self.walker.filter = self.vocabulary.filter;
            let Some((action, args)) = action else { continue };
            rules::check(&mut self.walker, entry, action, &args);
            if let Some(set) =
                entry.get("do").and_then(|d| inner(d, "config")).and_then(|c| c.get("set")).and_then(|s| s.get_ref().as_table())
            {
                settings::check(&mut self.walker, set);
            }
            out.push(Fault { name, action: action.to_owned(), args, when, remedy, line: self.line(item) });
        }
        out
    }

    fn when(&mut self, entry: &Table<'_>, args: &Args) -> When {
        let (Some(value), Some(when)) = (entry.get("when"), args.table("when")) else { return When::Start };
        if value.get_ref().as_table().is_some_and(|t| t.len() != 1) {
            let help = "write one of `{ after = \"2s\" }`, `{ step = \"…\" }`, `{ packet = { match = \"…\", at = \"…\" } }`".to_owned();
            self.walker.mistake("one-word", value.span(), "`when` takes exactly one of `after`, `step` and `packet`", "", [help]);
        }
        if let Some(after) = when.duration("after") {
            When::After(after)
        } else if let Some(step) = when.text("step") {
            When::Step(step.to_owned())
        } else if let Some(packet) = when.table("packet") {
            let text = |key: &str| packet.text(key).unwrap_or_default().to_owned();
            When::Packet { filter: text("match"), tap: text("at") }
        } else {
            When::Start
        }
    }

    fn steps(&mut self) -> (Vec<Step>, Vec<HostSpan>) {
        let names = self.named(self.top, "traffic");
        let (mut out, mut spans) = (Vec::new(), Vec::new());
        for (item, (name, _)) in self.walker.tables(self.top, "traffic").into_iter().zip(names) {
            let Some(table) = item.get_ref().as_table() else { continue };
            let args = self.walker.table("[[traffic]]", item.span(), table, sections::TRAFFIC, &["do"], true);
            let background = args.flag("background");
            let Some((action, args)) = self.action(item, table, "traffic action", &pairs(self.vocabulary.traffic)) else { continue };
            spans.extend(hosts::spans(table, action, out.len()));
            out.push(Step { name, action: action.to_owned(), args, background, line: self.line(item) });
        }
        (out, spans)
    }

    /// `do.<word> = { … }`.
    fn action(
        &mut self,
        item: &Spanned<DeValue<'_>>,
        table: &Table<'_>,
        kind: &str,
        words: &[(&'static str, &'static [Param])],
    ) -> Option<(&'static str, Args)> {
        if let Some(value) = table.get("do") {
            return self.walker.tagged("do", kind, value, words);
        }
        let help = format!("add `do.<word> = {{ … }}`; accepted: {}", super::diag::listed(words.iter().map(|w| w.0)));
        let span = self.walker.head(item.span());
        self.walker.mistake("missing-key", span, format!("this {kind} does nothing: it has no `do`"), "", [help]);
        None
    }

    fn initiator(&mut self, network: &Args, steps: &[Step], layout: Option<&Layout>) -> Option<String> {
        match network.text("initiator") {
            Some("") => None,
            Some(name) => {
                let gateways = self.walker.names.gateways.clone()?;
                if !gateways.contains(name) {
                    let span = self.top.get("network")?.get_ref().as_table()?.get("initiator")?.span();
                    let message = format!("`{}` is not a gateway of this network", name.escape_debug());
                    self.walker.unknown("unknown-name", span, message, name, gateways.iter().map(String::as_str));
                }
                Some(name.to_owned())
            }
            None if steps.iter().any(|s| s.action == "initiate") => None,
            None => {
                let layout = layout?;
                let gateways = layout.network.nodes.iter().filter(|n| n.role == Role::Gateway);
                gateways.map(|n| &n.name).find(|name| layout.hub.as_ref() != Some(*name)).cloned()
            }
        }
    }

    fn services_named(&mut self, faults: &[Fault], services: &[Service], key: &str) {
        let known: BTreeSet<&str> = services.iter().map(|s| s.name.as_str()).collect();
        let entries = self.top.get(key).and_then(|v| v.get_ref().as_array());
        let by_line: BTreeMap<u32, _> = entries.into_iter().flat_map(|items| items.iter()).map(|i| (self.line(i), i)).collect();
        let wanted = faults.iter().filter(|f| f.action == "service-stop").filter_map(|f| Some((f.line, f.args.text("service")?)));
        for (fault, name) in wanted.filter(|(_, name)| !known.contains(name)) {
            let entry = by_line.get(&fault);
            let value =
                entry.and_then(|e| e.get_ref().as_table()?.get("do")).and_then(|d| inner(d, "service-stop")).and_then(|t| t.get("service"));
            let span = value.map(Spanned::span).unwrap_or_default();
            let message = format!("no service is called `{}`", name.escape_debug());
            self.walker.unknown("unknown-name", span, message, name, services.iter().map(|s| s.name.as_str()));
        }
    }

    /// `symptom.<code> = { … }`, or the short form `packets = { … }`.
    fn expects(&mut self, table: &Table<'_>, key: &str, params: &'static [Param]) -> Vec<CheckedExpect> {
        let what = if params.is_empty() { format!("[[fix.{key}]]") } else { format!("[[{key}]]") };
        let vocabulary = self.vocabulary;
        let symptoms = &vocabulary.symptoms;
        let mut out = Vec::new();
        for item in self.walker.tables(table, key) {
            let Some(entry) = item.get_ref().as_table() else { continue };
            let args = self.walker.table(&what, item.span(), entry, params, &["symptom", "packets"], true);
            let found = match (entry.get("symptom"), entry.get_key_value("packets")) {
                (Some(value), None) => self.walker.tagged("symptom", "symptom", value, symptoms),
                (None, Some((word, value))) => self.walker.word("symptom", word, value, symptoms, ""),
                (Some(_), Some((word, _))) => {
                    let help = "write a second `[[expect]]`".to_owned();
                    self.walker.mistake("one-word", word.span(), "an expectation names one symptom", "", [help]);
                    None
                }
                (None, None) => {
                    let codes = super::diag::listed(symptoms.iter().map(|s| s.0));
                    let help = format!("add `symptom.<code> = {{ … }}` or `packets = {{ … }}`; codes: {codes}");
                    let span = self.walker.head(item.span());
                    self.walker.mistake("missing-key", span, "this expectation names no symptom", "", [help]);
                    None
                }
            };
            if let Some((symptom, symptom_args)) = found {
                let (symptom, persists) = (symptom.to_owned(), args.flag("persists"));
                out.push(CheckedExpect { symptom, args: symptom_args, persists, line: self.line(item) });
            }
        }
        out
    }

    fn fix(&mut self) -> Option<Fix> {
        let (span, table) = self.walker.subtable(self.top, "fix")?;
        let args = self.walker.table("[fix]", span.clone(), table, sections::FIX, &["gateway", "also", "expect"], true);
        Some(Fix {
            about: args.text("about").unwrap_or_default().to_owned(),
            without: args.texts("without").into_iter().map(str::to_owned).collect(),
            gateways: self.gateways(table),
            also: self.faults(table, "also", sections::REMEDY, true),
            expects: self.expects(table, "expect", sections::FIX_EXPECT),
            span,
        })
    }

    fn line(&self, item: &Spanned<DeValue<'_>>) -> u32 {
        self.walker.line(item.span().start)
    }
}

/// The table behind one key of a tagged table.
pub(super) fn inner<'t, 'i>(tagged: &'t Spanned<DeValue<'i>>, word: &str) -> Option<&'t Table<'i>> {
    tagged.get_ref().as_table()?.get(word)?.get_ref().as_table()
}

/// `over` on top of `under`; tables key by key.
pub(super) fn overlaid(under: &Args, over: &Args) -> Args {
    let mut out = under.clone();
    overlay(&mut out, over);
    out
}

/// Puts `over` on top.
pub(super) fn overlay(under: &mut Args, over: &Args) {
    for (key, value) in &over.0 {
        match (under.0.get_mut(key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => overlay(under, over),
            _ => drop(under.0.insert(key.clone(), value.clone())),
        }
    }
}
