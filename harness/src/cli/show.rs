//! `faultlab show`: one scenario on one page.

use std::fmt::Write;
use std::time::Duration;

use super::draw;
use crate::scenario::certificates::Certificates;
use crate::scenario::model::{Expect, Fault, Health, Must, Plan, Scenario, ScenarioKind, When};
use crate::scenario::{children, defaults, peers};
use crate::schema::{Args, Param, Value, Word};
use crate::text::shown;

/// The scenario for a reader: network, gateways, fault, expectations, fix.
pub fn show(scenario: &Scenario) -> String {
    let plan = &scenario.broken;
    let mut page = Page::default();
    let kind = if scenario.kind == ScenarioKind::Control { "control" } else { "failure" };
    page.line(&format!("{}   {}, {kind}, {}", scenario.id, scenario.group, scenario.level));
    page.text(&scenario.title, 0);
    if !scenario.ticket.is_empty() {
        page.blank();
        page.text(&format!("“{}”", scenario.ticket.trim()), 2);
    }
    let v6 = plan.gateways.iter().flat_map(|g| &g.config.connections).next().is_some_and(|c| c.local.is_ipv6());
    page.heading(&format!("Network   {}, {}", plan.network.layout, if v6 { "IPv6" } else { "IPv4" }));
    for row in draw::network(&plan.network, v6) {
        page.line(&row);
    }
    gateways(&mut page, plan);
    if !plan.services.is_empty() {
        page.heading("Services");
        for service in &plan.services {
            let words = crate::run::traffic::words::SERVICES;
            page.entry(&service.name, &action(&service.action, &service.args, words, ""));
        }
    }
    if !plan.faults.is_empty() {
        page.heading(if plan.faults.len() == 1 { "Fault" } else { "Faults" });
        plan.faults.iter().for_each(|f| fault(&mut page, f));
    }
    if !plan.steps.is_empty() {
        page.heading("Traffic");
        for step in &plan.steps {
            let background = if step.background { "   (in the background)" } else { "" };
            page.entry(&step.name, &action(&step.action, &step.args, crate::run::traffic::words::WORDS, background));
        }
    }
    expectations(&mut page, scenario);
    if let Some(fixed) = &scenario.fixed {
        fix(&mut page, scenario, fixed);
    }
    background(&mut page, scenario);
    page.out
}

fn gateways(page: &mut Page, plan: &Plan) {
    page.heading("Gateways");
    let all: Vec<(&str, Vec<String>)> = plan
        .gateways
        .iter()
        .map(|gateway| {
            let mut own =
                peers::unset(&plan.network, &gateway.config).map(|unset| differences(&unset.config, &gateway.config)).unwrap_or_default();
            own.extend(certificates(None, &gateway.certificates));
            own.extend(gateway.implementation.as_ref().map(|i| format!("implementation = {i:?}")));
            (gateway.config.name.as_str(), own)
        })
        .collect();
    // Gateways with the same settings share a line: a star has two hundred.
    let mut shown: Vec<&Vec<String>> = Vec::new();
    for (_, settings) in &all {
        if shown.contains(&settings) {
            continue;
        }
        shown.push(settings);
        let names: Vec<&str> = all.iter().filter(|(_, s)| s == settings).map(|(n, _)| *n).collect();
        let names = match names.as_slice() {
            [first, .., last] if names.len() > 4 => format!("{first} … {last}"),
            _ => names.join(", "),
        };
        page.entry(&names, &if settings.is_empty() { "all defaults".to_owned() } else { settings.join(", ") });
    }
}

fn fault(page: &mut Page, fault: &Fault) {
    let when = match &fault.when {
        When::Start => "from the start".to_owned(),
        When::After(d) => format!("{} after the first traffic step began", duration(*d)),
        When::Step(step) => format!("when step `{step}` has ended"),
        When::Packet { filter, tap } => format!("when `{filter}` has been seen at {tap}"),
    };
    page.entry(&fault.name, &action(&fault.action, &fault.args, crate::world::faults::words::WORDS, ""));
    page.entry("", &when);
}

fn expectations(page: &mut Page, scenario: &Scenario) {
    let fixed = scenario.fixed.as_ref();
    page.heading(if fixed.is_some() { "Expected while broken" } else { "Expected" });
    for (at, expect) in scenario.broken.expects.iter().enumerate() {
        let persists = fixed.and_then(|f| f.expects.get(at)).is_some_and(|e| e.must == Must::Whatever);
        expectation(page, expect, if persists { "   (may persist)" } else { "" });
    }
    health(page, &scenario.broken.health);
}

fn expectation(page: &mut Page, expect: &Expect, note: &str) {
    page.entry(&expect.symptom, &format!("{}{note}", arguments(&expect.args, &[])));
}

fn health(page: &mut Page, health: &Health) {
    if health.from.is_empty() {
        return;
    }
    let must = match health.must {
        Must::Hold => "must work",
        Must::Vanish => "must not work",
        Must::Whatever => "is not judged",
    };
    page.entry("health", &format!("ping and TCP between {} and {} {must}", health.from, health.to));
}

fn fix(page: &mut Page, scenario: &Scenario, fixed: &Plan) {
    page.heading("Fix");
    page.text(&scenario.fix_about, 2);
    let gone: Vec<&str> = scenario.broken.faults.iter().filter(|f| !fixed.faults.contains(f)).map(|f| f.name.as_str()).collect();
    if !gone.is_empty() {
        page.entry("without", &gone.join(", "));
    }
    for (before, after) in scenario.broken.gateways.iter().zip(&fixed.gateways) {
        let mut changed = differences(&before.config, &after.config);
        changed.extend(certificates(Some(&before.certificates), &after.certificates));
        if !changed.is_empty() {
            page.entry(&after.config.name, &changed.join(", "));
        }
    }
    fixed.faults.iter().filter(|f| f.remedy).for_each(|f| fault(page, f));
    for expect in fixed.expects.iter().filter(|e| e.must == Must::Hold) {
        expectation(page, expect, "");
    }
    health(page, &fixed.health);
}

fn background(page: &mut Page, scenario: &Scenario) {
    let slides: Vec<String> = scenario.slides.iter().map(u16::to_string).collect();
    let needs: Vec<String> = scenario.needs.iter().filter_map(|n| Some(serde_json::to_value(n).ok()?.as_str()?.to_owned())).collect();
    let lists =
        [("RFCs", scenario.rfc.join(", ")), ("slides", slides.join(", ")), ("tags", scenario.tags.join(", ")), ("needs", needs.join(", "))];
    page.heading("Background");
    for (name, text) in lists.iter().filter(|(_, text)| !text.is_empty()) {
        page.entry(name, text);
    }
    page.entry("file", &scenario.file);
}

/// Settings of `new` that differ from `old`, as a scenario would write them.
fn differences(old: &peer::GatewayConfig, new: &peer::GatewayConfig) -> Vec<String> {
    let mut out = Vec::new();
    let (Ok(before), Ok(after)) = (serde_json::to_value(old.without_secrets()), serde_json::to_value(new.without_secrets())) else {
        return out;
    };
    collect(&mut out, "", &before, &after);
    for (old, new) in old.connections.iter().zip(&new.connections) {
        let (old, new) = (children::toml(old), children::toml(new));
        out.extend((old != new).then(|| new.unwrap_or_else(|| "children = []".to_owned())));
    }
    let mut seen = Vec::new();
    out.retain(|line| {
        !seen.contains(line) && {
            seen.push(line.clone());
            true
        }
    });
    out
}

fn collect(out: &mut Vec<String>, key: &str, old: &serde_json::Value, new: &serde_json::Value) {
    use serde_json::Value as Json;
    if old == new || key == "more-children" {
        return;
    }
    match (old, new) {
        (Json::Object(a), Json::Object(b)) if !b.contains_key("secs") => {
            for (name, value) in b {
                collect(out, &setting(key, &name.replace('_', "-")), a.get(name).unwrap_or(&Json::Null), value);
            }
        }
        // One connection per peer, with the same settings in each.
        (Json::Array(a), Json::Array(b)) if key == "connections" => b.iter().zip(a).for_each(|(b, a)| collect(out, "", a, b)),
        (_, Json::Null) => out.push(format!("{key}: off")),
        (_, Json::Number(seconds)) if key == "clock" => {
            out.push(format!("{key} = \"{}\"", crate::text::offset(seconds.as_i64().unwrap_or(0))));
        }
        (_, Json::Object(d)) if d.contains_key("secs") => {
            let part = |name: &str| d.get(name).and_then(Json::as_u64).unwrap_or(0);
            let time = Duration::new(part("secs"), u32::try_from(part("nanos")).unwrap_or(0));
            out.push(format!("{key} = \"{}\"", duration(time)));
        }
        (Json::Null, Json::Object(b)) => b.iter().for_each(|(name, value)| collect(out, &setting(key, name), &Json::Null, value)),
        (_, value) => out.push(format!("{key} = {}", value.to_string().replace(',', ", "))),
    }
}

/// What a scenario calls the setting `name` inside of `table`.
fn setting(table: &str, name: &str) -> String {
    match (table, name) {
        ("auth", "own") => "auth".to_owned(),
        ("auth", "peer") => "peer-auth".to_owned(),
        ("half-open", "cookie-threshold") => name.to_owned(),
        ("misbehave", "messages") => "misbehave.message".to_owned(),
        ("misbehave", "switches") => "misbehave".to_owned(),
        ("misbehave", name) => format!("misbehave.{name}"),
        ("retransmit" | "eap" | "half-open", name) => format!("{table}-{name}"),
        (_, "local-id") => "id".to_owned(),
        (_, "remote-id") => "peer-id".to_owned(),
        (_, "clock-offset") => "clock".to_owned(),
        _ => name.to_owned(),
    }
}

/// What is said of certificates, as far as it differs.
fn certificates(old: Option<&Certificates>, new: &Certificates) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(c) = new.own.as_ref().filter(|c| old.and_then(|o| o.own.as_ref()) != Some(c)) {
        let between = if c.intermediates == 0 { String::new() } else { format!(", intermediates = {}", c.intermediates) };
        let kept = if c.send_intermediates { "" } else { ", send-intermediates = false" };
        out.push(format!(
            "certificate = {{ key = \"{}\", ca = \"{}\", id = \"{}\", valid-from = \"{}\", valid-for = \"{}\"{between}{kept} }}",
            c.key.word(),
            c.ca,
            c.id,
            crate::text::offset(c.valid_from),
            crate::text::offset(c.valid_for),
        ));
    }
    let mut trust: Vec<&String> = new.trust.values().flatten().collect();
    trust.sort();
    trust.dedup();
    if !new.trust.is_empty() && old.map(|o| &o.trust) != Some(&new.trust) {
        out.push(format!("trust = {trust:?}"));
    }
    out
}

fn params(words: &'static [Word], name: &str) -> &'static [Param] {
    words.iter().find(|w| w.name == name).map(|w| w.params).unwrap_or_default()
}

/// `drop { at = "mid" }`.
fn action(word: &str, args: &Args, words: &'static [Word], note: &str) -> String {
    format!("{word} {{ {} }}{note}", arguments(args, params(words, word)))
}

/// Arguments as TOML, in the vocabulary's order, without those that are defaults.
fn arguments(args: &Args, params: &'static [Param]) -> String {
    let order = |key: &str| params.iter().position(|p| p.name == key).unwrap_or(usize::MAX);
    let mut said: Vec<(&String, &Value)> = args
        .0
        .iter()
        .filter(|(key, value)| !params.iter().any(|p| p.name == *key && defaults::default_value(p).as_ref() == Some(*value)))
        .collect();
    said.sort_by_key(|(key, _)| order(key));
    said.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect::<Vec<_>>().join(", ")
}

fn toml(value: &Value) -> String {
    match value {
        Value::Text(text) if text.contains('"') && !text.contains(['\'', '\n']) => format!("'{text}'"),
        Value::Text(text) => format!("{text:?}"),
        Value::Secret(secret) => format!("\"{secret}\""),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Duration(d) => format!("\"{}\"", duration(*d)),
        Value::Offset(seconds) => format!("\"{}\"", crate::text::offset(*seconds)),
        Value::Count(c) => match (c.min, c.max) {
            (min, Some(max)) if min == max => format!("\"{min}\""),
            (0, Some(max)) => format!("\"<= {max}\""),
            (min, Some(max)) => format!("\"{min}..{max}\""),
            (min, None) => format!("\">= {min}\""),
        },
        Value::List(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Table(args) => format!("{{ {} }}", arguments(args, &[])),
    }
}

fn duration(d: Duration) -> String {
    humantime::format_duration(d).to_string().replace(' ', "")
}

/// Collects lines no longer than a terminal is wide.
#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    const NAME: usize = 18;

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}", shown(text.trim_end()));
    }

    fn blank(&mut self) {
        self.out.push('\n');
    }

    fn heading(&mut self, text: &str) {
        self.blank();
        self.line(text);
    }

    /// Words wrapped, each line indented.
    fn text(&mut self, text: &str, indent: usize) {
        let mut line = " ".repeat(indent);
        for word in text.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > draw::WIDTH && line.trim() != "" {
                self.line(&line);
                line = " ".repeat(indent);
            }
            if line.trim() != "" {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&line);
    }

    /// A name and what belongs to it.
    fn entry(&mut self, name: &str, text: &str) {
        let before = self.out.len();
        self.text(text, 2 + Self::NAME + 2);
        // The first line's indentation makes room for the name.
        if !name.is_empty() {
            let name = shown(name);
            let long = name.chars().count() > Self::NAME;
            let line = if long { format!("  {name}\n") } else { format!("  {name:<width$}  ", width = Self::NAME) };
            let room = if long { 0 } else { 2 + Self::NAME + 2 };
            let room = room.min(self.out.len() - before);
            self.out.replace_range(before..before + room, &line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{self, Source, Vocabulary};

    fn page(text: &str) -> String {
        let vocabulary = Vocabulary::new(vec![("packets", &[])], |_| Ok(()));
        let scenario = scenario::load(&Source::new("scenarios/controls/x.toml", text), &vocabulary).unwrap_or_else(|e| panic!("{e}"));
        show(&scenario)
    }

    fn control(network: &str) -> String {
        page(&format!(
            "[scenario]\ntitle = \"x\"\nkind = \"control\"\n[network]\n{network}\n[gateway.all]\npsk = \"k\"\ndpd-delay = \"90s\"\nretransmit-tries = 5\n"
        ))
    }

    #[test]
    fn fits_a_terminal() {
        for layout in [
            "two-gateways",
            "two-gateways-mid",
            "road-warrior-nat",
            "roaming",
            "two-clients-nat",
            "two-gateways-stranger",
            "star\"\nspokes = \"200",
        ] {
            for ip in ["v4", "v6"] {
                let network = format!("layout = \"{layout}\"\nip = \"{ip}\"").replace("spokes = \"200\"", "spokes = 200");
                let page = control(&network);
                assert!(page.lines().all(|l| l.chars().count() <= draw::WIDTH), "{page}");
                assert!(page.lines().count() < 60, "{page}");
            }
        }
    }

    #[test]
    fn names_every_tap_of_a_chain() {
        let page = control("layout = \"road-warrior-nat\"");
        for text in ["wan 192.168.7.10", "in 192.168.7.1", "out 203.0.113.2", "right 198.51.100.1", "╞", "╡"] {
            assert!(page.contains(text), "{text} not in\n{page}");
        }
    }

    #[test]
    fn shows_settings_that_differ() {
        let page = control("layout = \"two-gateways\"");
        for text in ["west, east", "psk = \"sha256:8254c329\"", "dpd-delay = \"1m30s\"", "retransmit-tries = 5"] {
            assert!(page.contains(text), "{text} not in\n{page}");
        }
    }

    #[test]
    fn shows_all_children() {
        let settings = "[gateway.west]\nlocal-ts = [\"10.1.0.0/24\"]\nchild-rekey = \"1h\"\n\
            children = [{ name = \"dmz\", local-ts = [\"10.1.1.0/24\"], child-rekey = \"0s\" }]\n";
        let page = control(&format!("layout = \"two-gateways\"\n{settings}"));
        let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("children = [{ name = \"dmz\", local-ts = [\"10.1.1.0/24\"], child-rekey = \"0s\" }]"), "{page}");
    }

    #[test]
    fn sums_up_what_repeats() {
        let page = control("layout = \"star\"\nspokes = 50");
        assert!(page.contains("spoke-50") && page.contains("… 46 more …") && !page.contains("spoke-20 "), "{page}");
    }
}
