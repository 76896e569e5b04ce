//! Checks TOML values against the vocabulary tables and collects every mistake.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Source;
use super::defaults::default_value;
use super::diag::{Diagnostic, Diagnostics, listed};
use super::forms::{example, form, form_of, within};
use super::lines::LineStarts;
use super::vocabulary::{FilterCheck, FilterMistake};
use super::wrong::{Budget, Wrong, known};
use crate::schema::{Args, Count, Kind, Param, Value, Word};

/// Longest duration a file may name. Keeps sums of retransmission gaps far from overflow.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Longest validity of a certificate, and the greatest shift of a clock, seconds.
const CENTURY: u64 = 100 * 365 * 24 * 3600;

/// Taps of a node that are named in a mistake.
const MOST_TAPS: usize = 30;

/// Syntax errors shown at once.
const MOST_SYNTAX: usize = 5;

/// A table's entries with positions.
pub(super) type Table<'i> = DeTable<'i>;

/// Names that values may refer to. Absent ones are not checked: what should define them is itself wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub nodes: Option<BTreeSet<String>>,
    pub gateways: Option<BTreeSet<String>>,
    pub taps: Option<BTreeSet<String>>,
    pub steps: Option<BTreeSet<String>>,
    pub faults: Option<BTreeSet<String>>,
}

/// Collects mistakes while values are checked.
pub(super) struct Walker<'a> {
    pub source: &'a Source,
    pub filter: FilterCheck,
    pub names: Names,
    pub found: Vec<Diagnostic>,
    /// For suggestions; a file full of mistakes gets some of them.
    pub budget: Budget,
    /// The same for mistakes, which outlive this.
    shared: Arc<Source>,
    lines: LineStarts,
    /// What [`Walker::once`] has reported.
    told: HashSet<(&'static str, Range<usize>, String)>,
}

impl<'a> Walker<'a> {
    pub fn new(source: &'a Source, filter: FilterCheck) -> Walker<'a> {
        let lines = LineStarts::of(&source.text);
        let (shared, names, budget) = (Arc::new(source.clone()), Names::default(), Budget::default());
        Walker { source, filter, names, found: Vec::new(), budget, shared, lines, told: HashSet::new() }
    }

    /// The 1-based line of an offset.
    pub fn line(&self, offset: usize) -> u32 {
        self.lines.line(offset)
    }

    /// A line without its end.
    pub fn line_span(&self, line: u32) -> Range<usize> {
        self.lines.span(&self.source.text, line)
    }

    /// Reports a mistake unless it has been reported: both sides, and every connection, may have the same.
    pub fn once(&mut self, code: &'static str, span: Range<usize>, message: String, help: String) {
        if self.told.insert((code, span.clone(), message.clone())) {
            self.mistake(code, span, message, "", [help]);
        }
    }

    /// Reports a mistake.
    pub fn mistake(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl IntoIterator<Item = String>,
    ) {
        let help = help.into_iter().collect();
        self.found.push(Diagnostic { code, source: Arc::clone(&self.shared), span, message: message.into(), label: label.into(), help });
    }

    /// A word that is not among the valid ones.
    pub fn unknown<'w>(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: String,
        word: &str,
        valid: impl Iterator<Item = &'w str>,
    ) {
        let (label, help) = self.budget.suggest(word, valid, "there is none here");
        self.mistake(code, span, message, label, help);
    }

    /// Everything found, in file order.
    pub fn finish(mut self) -> Diagnostics {
        self.found.sort_by_key(|d| (d.span.start, d.span.end));
        Diagnostics { list: self.found }
    }

    /// The whole document; `None` when it is not TOML.
    pub fn parse(&mut self) -> Option<Spanned<Table<'a>>> {
        let (table, errors) = DeTable::parse_recoverable(&self.source.text);
        if errors.is_empty() {
            return Some(table);
        }
        let end = self.source.text.len();
        let unclosed =
            errors.iter().map(toml::de::Error::message).find(|m| m.starts_with("unclosed array") || m.starts_with("unclosed inline"));
        // What follows an unclosed bracket is nonsense; otherwise one mistake per line, and not too many of them.
        let most = if unclosed.is_some() { 1 } else { MOST_SYNTAX };
        let help = unclosed.map(|m| format!("{m}: a bracket that was opened before is not closed"));
        let mut lines = BTreeSet::new();
        for error in &errors {
            let span = error.span().unwrap_or(end..end);
            if lines.len() < most && lines.insert(self.line(span.start)) {
                self.mistake("toml", span, error.message(), "", help.clone());
            }
        }
        None
    }

    /// Keys that nothing accepts.
    pub fn unknown_keys(&mut self, what: &str, table: &Table<'_>, valid: &[&str]) {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !valid.contains(&name) {
                let message = format!("`{}` is not a key of {what}", name.escape_debug());
                self.unknown("unknown-key", key.span(), message, name, valid.iter().copied());
            }
        }
    }

    /// Checks a table; `extra` keys are the caller's. With `fill`, absent keys get their defaults.
    pub fn table(
        &mut self,
        what: &str,
        span: Range<usize>,
        table: &Table<'_>,
        params: &'static [Param],
        extra: &[&str],
        fill: bool,
    ) -> Args {
        let valid: Vec<&str> = params.iter().map(|p| p.name).chain(extra.iter().copied()).collect();
        self.unknown_keys(what, table, &valid);
        let mut args = Args::default();
        for param in params {
            match table.get(param.name) {
                Some(value) => {
                    if let Some(value) = self.value(&format!("`{}`", param.name), param.kind, value, fill) {
                        args.0.insert(param.name.to_owned(), value);
                    }
                }
                None if param.required => self.mistake(
                    "missing-key",
                    self.head(span.clone()),
                    format!("{what} has no `{}`", param.name),
                    "",
                    [format!("add `{} = {}`: {}", param.name, example(param.kind), param.doc)],
                ),
                None if fill => {
                    if let Some(value) = default_value(param) {
                        args.0.insert(param.name.to_owned(), value);
                    }
                }
                None => {}
            }
        }
        args
    }

    /// The entries of an array of tables; none when the key is absent.
    pub fn tables<'t, 'i>(&mut self, table: &'t Table<'i>, key: &str) -> Vec<&'t Spanned<DeValue<'i>>> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let message = format!("`{key}` is a list of tables");
        let help = format!("write `[[{key}]]`");
        let Some(items) = value.get_ref().as_array() else {
            self.mistake("wrong-type", self.head(value.span()), message, "", [help]);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            if item.get_ref().is_table() {
                tables.push(item);
            } else {
                self.mistake("wrong-type", item.span(), message.clone(), "", [help.clone()]);
            }
        }
        tables
    }

    /// A table by key; reports when it is something else.
    pub fn subtable<'t, 'i>(&mut self, table: &'t Table<'i>, key: &str) -> Option<(Range<usize>, &'t Table<'i>)> {
        let value = table.get(key)?;
        let found = value.get_ref().as_table();
        if found.is_none() {
            let message = format!("`{key}` must be a table, not {}", type_name(value.get_ref()));
            self.mistake("wrong-type", self.head(value.span()), message, "", [format!("write `[{key}]`")]);
        }
        Some((self.head(value.span()), found?))
    }

    /// The first line of a range.
    pub fn head(&self, span: Range<usize>) -> Range<usize> {
        let text = self.source.text.get(span.clone()).unwrap_or_default();
        span.start..text.find('\n').map_or(span.end, |at| span.start + at)
    }

    /// `word = { … }`: the one key of a tagged table such as `do`.
    pub fn tagged(
        &mut self,
        key: &str,
        kind: &str,
        value: &Spanned<DeValue<'_>>,
        words: &[(&'static str, &'static [Param])],
    ) -> Option<(&'static str, Args)> {
        let form = format!("write `{key}.<{kind}> = {{ … }}`; accepted: {}", listed(words.iter().map(|w| w.0)));
        let Some(table) = value.get_ref().as_table() else {
            self.mistake("wrong-type", value.span(), format!("`{key}` must be a table, not {}", type_name(value.get_ref())), "", [form]);
            return None;
        };
        if table.len() != 1 {
            let mut keys: Vec<_> = table.keys().map(|k| k.span()).collect();
            keys.sort_by_key(|s| s.start);
            let span = keys.get(1).cloned().unwrap_or_else(|| value.span());
            let message = if table.is_empty() { format!("`{key}` names no {kind}") } else { format!("`{key}` names more than one {kind}") };
            self.mistake("one-word", span, message, "", [form]);
            return None;
        }
        let (word, value) = table.iter().next()?;
        self.word(kind, word, value, words, key)
    }

    /// A vocabulary word and its arguments.
    pub fn word(
        &mut self,
        kind: &str,
        word: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        words: &[(&'static str, &'static [Param])],
        key: &str,
    ) -> Option<(&'static str, Args)> {
        let text = word.get_ref().as_ref();
        let Some((name, params)) = words.iter().find(|w| w.0 == text).copied() else {
            let message = format!("`{}` is not a {kind}", text.escape_debug());
            self.unknown("unknown-word", word.span(), message, text, words.iter().map(|w| w.0));
            return None;
        };
        let what = if key.is_empty() { format!("`{name}`") } else { format!("`{key}.{name}`") };
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("{what} takes a table, not {}", type_name(value.get_ref()));
            self.mistake("wrong-type", value.span(), message, "", [form(name, params)]);
            return None;
        };
        // What a `config` fault sets must stay apart from the defaults of what it does not set.
        let fill = name != "config";
        Some((name, self.table(&what, word.span(), table, params, &[], fill)))
    }

    /// A value of the given kind; `name` is how messages call it: "`mtu`".
    pub fn value(&mut self, name: &str, kind: Kind, value: &Spanned<DeValue<'_>>, fill: bool) -> Option<Value> {
        let span = value.span();
        let found = match (kind, value.get_ref()) {
            (Kind::Bool, DeValue::Boolean(b)) => Ok(Value::Bool(*b)),
            (Kind::Int(low, high), DeValue::Integer(n)) => match integer(n) {
                Some(n) if (low..=high).contains(&n) => Ok(Value::Int(n)),
                _ => Err(Wrong::new("out-of-range", format!("{name} must be between {low} and {high}"))),
            },
            (Kind::Port, DeValue::Integer(n)) => match integer(n) {
                Some(n) if (1..=65535).contains(&n) => Ok(Value::Int(n)),
                _ => Err(Wrong::new("out-of-range", format!("{name} must be a port, 1 to 65535"))),
            },
            (Kind::Float, DeValue::Integer(n)) => integer(n).map(|n| Value::Float(n as f64)).ok_or_else(|| Wrong::kind(name, kind)),
            (Kind::Float, DeValue::Float(n)) => {
                n.as_str().parse().ok().filter(|n: &f64| n.is_finite()).map(Value::Float).ok_or_else(|| Wrong::kind(name, kind))
            }
            (Kind::Count, DeValue::Integer(n)) => match integer(n).and_then(|n| u64::try_from(n).ok()) {
                Some(n) => Ok(Value::Count(Count { min: n, max: Some(n) })),
                None => Err(Wrong::kind(name, kind)),
            },
            (Kind::List(item), DeValue::Array(items)) => {
                let each = format!("each of {name}");
                return Some(Value::List(items.iter().filter_map(|v| self.value(&each, *item, v, fill)).collect()));
            }
            (Kind::Table(params), DeValue::Table(table)) => {
                return Some(Value::Table(self.table(name, span, table, params, &[], fill)));
            }
            (Kind::Tagged(words), _) => {
                let key = name.trim_matches('`');
                let (word, args) = self.tagged(key, "message action", value, &pairs(words))?;
                return Some(Value::Table(Args::default().with(word, Value::Table(args))));
            }
            (Kind::Number(numbers), DeValue::Integer(n)) => match integer(n) {
                Some(n) if (0..=i64::from(numbers.most)).contains(&n) => Ok(Value::Int(n)),
                _ => Err(Wrong::new("out-of-range", format!("{name} must be between 0 and {}", numbers.most))),
            },
            (Kind::Filter, DeValue::String(text)) => {
                return match (self.filter)(text) {
                    Ok(()) => Some(Value::Text(text.to_string())),
                    Err(mistake) => {
                        self.filter_mistake(span, text, mistake);
                        None
                    }
                };
            }
            (Kind::Bool | Kind::Int(..) | Kind::Port | Kind::Float | Kind::List(_) | Kind::Table(_), _) => {
                let message = format!("{name} must be {}, not {}", form_of(kind), type_name(value.get_ref()));
                Err(Wrong { code: "wrong-type", message, label: String::new(), help: vec![] })
            }
            (_, DeValue::String(text)) => self.text(name, kind, text),
            (_, other) => Err(Wrong::new("wrong-type", format!("{name} must be {}, not {}", form_of(kind), type_name(other)))),
        };
        match found {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.mistake(wrong.code, span, wrong.message, wrong.label, wrong.help);
                None
            }
        }
    }

    /// A value that is written as text.
    fn text(&self, name: &str, kind: Kind, text: &str) -> Result<Value, Wrong> {
        let plain = || Value::Text(text.to_owned());
        let shown = text.escape_debug();
        match kind {
            Kind::Secret => Ok(Value::Secret(text.into())),
            Kind::Duration | Kind::Seconds => match humantime::parse_duration(text) {
                Ok(duration) if matches!(kind, Kind::Seconds) && duration.subsec_nanos() > 0 => Err(Wrong::kind(name, kind)),
                Ok(duration) if duration <= LONGEST => Ok(Value::Duration(duration)),
                Ok(_) => Err(Wrong::new("out-of-range", format!("{name} is longer than 30 days"))),
                Err(_) => Err(Wrong::kind(name, kind)),
            },
            Kind::Offset | Kind::Lifespan => match offset(text) {
                Some(seconds) if matches!(kind, Kind::Lifespan) && seconds <= 0 => Err(Wrong::kind(name, kind)),
                Some(seconds) if seconds.unsigned_abs() <= CENTURY => Ok(Value::Offset(seconds)),
                Some(_) => Err(Wrong::new("out-of-range", format!("{name} is longer than 100 years"))),
                None => Err(Wrong::kind(name, kind)),
            },
            Kind::Number(numbers) => {
                // As the RFCs write them; capitals and hyphens do not matter.
                let plain = |s: &str| s.replace('-', "_").to_ascii_lowercase();
                match numbers.names().find(|known| plain(known) == plain(text)) {
                    Some(known) => Ok(Value::Text(known.to_owned())),
                    None => Err(Wrong::name(&self.budget, format!("`{shown}` is not {}", numbers.what), text, numbers.names())),
                }
            }
            Kind::Hex if text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(plain()),
            Kind::Hex => Err(Wrong::kind(name, kind)),
            Kind::Count => Count::parse(text).map(Value::Count).ok_or_else(|| Wrong::kind(name, kind)),
            Kind::Addr => text.parse::<IpAddr>().map(|_| plain()).map_err(|_| Wrong::kind(name, kind)),
            Kind::Prefix => match text.parse::<IpNet>() {
                Ok(net) if net == net.trunc() => Ok(plain()),
                Ok(net) => Err(Wrong {
                    code: "host-bits",
                    message: format!("`{shown}` is an address in a prefix, not a prefix"),
                    label: format!("did you mean `{}`?", net.trunc()),
                    help: vec![],
                }),
                Err(_) => Err(Wrong::kind(name, kind)),
            },
            Kind::Ports => match text.split_once('-').map(|(a, b)| (a.trim().parse::<u16>(), b.trim().parse::<u16>())) {
                Some((Ok(low), Ok(high))) if 0 < low && low <= high => Ok(plain()),
                _ => Err(Wrong::kind(name, kind)),
            },
            Kind::Word(words) if words.contains(&text) => Ok(plain()),
            Kind::Word(words) => {
                Err(Wrong::name(&self.budget, format!("`{shown}` is not accepted for {name}"), text, words.iter().copied()))
            }
            Kind::Node => known(&self.budget, &self.names.nodes, "node of this network", text),
            Kind::Gateway => known(&self.budget, &self.names.gateways, "gateway of this network", text),
            Kind::Step => known(&self.budget, &self.names.steps, "traffic step of this scenario", text),
            Kind::Fault => known(&self.budget, &self.names.faults, "fault of this scenario", text),
            Kind::Host if text.parse::<IpAddr>().is_ok() => Ok(plain()),
            Kind::Host => known(&self.budget, &self.names.nodes, "node of this network, and not an IP address", text),
            Kind::Tap => self.tap(text),
            _ => Ok(plain()),
        }
    }

    fn tap(&self, text: &str) -> Result<Value, Wrong> {
        let Some(taps) = &self.names.taps else { return Ok(Value::Text(text.to_owned())) };
        if taps.contains(text) {
            return Ok(Value::Text(text.to_owned()));
        }
        let message = format!("no tap is called `{}`", text.escape_debug());
        // With a known node, only its own interfaces are of interest.
        let node = text.split('.').next().unwrap_or_default();
        let of_node = format!("{node}.");
        let own = taps.range(of_node.clone()..).map(String::as_str).take_while(|t| t.starts_with(&of_node)).take(MOST_TAPS);
        let own: Vec<&str> = own.collect();
        let mut wrong = Wrong::name(&self.budget, message, text, taps.iter().map(String::as_str));
        if !own.is_empty() {
            wrong.help = vec![format!("taps of `{node}`: {}", listed(own))];
        }
        Err(wrong)
    }

    fn filter_mistake(&mut self, span: Range<usize>, text: &str, (range, message, help): FilterMistake) {
        self.mistake("filter", within(self.source, span, text, range), message, "", help);
    }
}

/// A table of words as the walker takes it.
pub(super) fn pairs(words: &'static [Word]) -> Vec<(&'static str, &'static [Param])> {
    words.iter().map(|w| (w.name, w.params)).collect()
}

/// Whole seconds with a sign.
fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let duration = humantime::parse_duration(rest).ok().filter(|d| d.subsec_nanos() == 0)?;
    Some(sign * i64::try_from(duration.as_secs()).ok()?)
}

fn integer(n: &toml::de::DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(n.as_str(), n.radix()).ok()
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
