//! The generated parts of `docs/scenario-reference.md`: one table per section and word, out of the vocabulary itself.

use std::fmt::Write;

use super::{Vocabulary, certificates, children, gateway, misbehaviour, sections};
use crate::schema::{Kind, Param, Word};

const DOCUMENT: &str = include_str!("../../../docs/scenario-reference.md");
const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

/// A document whose marked regions do not fit the vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// A region of this name cannot be generated.
    #[error("line {line}: no part of the reference is called `{name}`; use one of {known}")]
    Unknown {
        /// Name in the mark.
        name: String,
        /// Its line.
        line: usize,
        /// All names.
        known: String,
    },
    /// A region has no end mark.
    #[error("line {line}: the region has no `<!-- end -->`")]
    Open {
        /// Line of the begin mark.
        line: usize,
    },
}

/// The whole reference, with tables from this vocabulary.
pub fn markdown(vocabulary: &Vocabulary) -> String {
    // The marks of the built-in document are tested; with a broken one, the text as it is serves better than nothing.
    fill(DOCUMENT, vocabulary).unwrap_or_else(|_| DOCUMENT.to_owned())
}

/// Replaces what stands between `<!-- generated: name -->` and `<!-- end -->`.
pub fn fill(document: &str, vocabulary: &Vocabulary) -> Result<String, ReferenceError> {
    let regions = regions(vocabulary);
    let mut out = String::new();
    let mut open = None;
    for (number, line) in (1..).zip(document.lines()) {
        if line.trim() == END {
            open = None;
        }
        if open.is_none() {
            out.push_str(line);
            out.push('\n');
        }
        if let Some(name) = line.strip_prefix(BEGIN).and_then(|l| l.strip_suffix(" -->")) {
            let Some((_, text)) = regions.iter().find(|(n, _)| *n == name) else {
                let known = regions.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ");
                return Err(ReferenceError::Unknown { name: name.to_owned(), line: number, known });
            };
            let _ = write!(out, "\n{}\n\n", text.trim_end());
            open = Some(number);
        }
    }
    match open {
        Some(line) => Err(ReferenceError::Open { line }),
        None => Ok(out),
    }
}

fn regions(vocabulary: &Vocabulary) -> Vec<(&'static str, String)> {
    vec![
        ("scenario", table(sections::SCENARIO)),
        ("network", table(sections::NETWORK)),
        ("health", table(sections::HEALTH)),
        ("gateway", table(gateway::PARAMS)),
        ("child", table(children::CHILD)),
        ("certificate", table(certificates::CERTIFICATE)),
        ("misbehave", table(misbehaviour::MISBEHAVE)),
        ("message", table(misbehaviour::MESSAGE)),
        ("message-actions", message_actions()),
        ("service", table(sections::SERVICE)),
        ("services", words(vocabulary.services)),
        ("fault", table(sections::FAULT)),
        ("when", table(sections::WHEN)),
        ("faults", words(vocabulary.faults)),
        ("traffic", table(sections::TRAFFIC)),
        ("actions", words(vocabulary.traffic)),
        ("expect", table(sections::EXPECT)),
        ("fix", table(sections::FIX)),
        ("remedy", table(sections::REMEDY)),
    ]
}

fn words(words: &[Word]) -> String {
    let one = |w: &Word| {
        let keys = if w.params.is_empty() { "Takes `{}`.\n".to_owned() } else { table(w.params) };
        format!("### `do.{}`\n\n{}\n\n{keys}\n", w.name, w.doc)
    };
    words.iter().map(one).collect()
}

/// Short words: one row each.
fn message_actions() -> String {
    let mut out = String::from("| `do.` | keys | meaning |\n|---|---|---|\n");
    for word in misbehaviour::ACTIONS {
        let key = |p: &Param| {
            let default = if p.required { String::new() } else { format!(", default `{}`", p.default) };
            format!("`{}` ({}{default}): {}", p.name, kind(p.kind), p.doc)
        };
        let keys = word.params.iter().map(key).collect::<Vec<_>>().join("; ");
        let _ = writeln!(out, "| `{}` | {} | {} |", word.name, cell(if keys.is_empty() { "–" } else { &keys }), cell(word.doc));
    }
    out
}

/// A table of keys.
pub(crate) fn table(params: &[Param]) -> String {
    let mut out = String::from("| key | type | default | meaning |\n|---|---|---|---|\n");
    for param in params {
        let default = match (param.required, param.default) {
            (true, _) => "**required**".to_owned(),
            (false, "") => "–".to_owned(),
            (false, default) => format!("`{default}`"),
        };
        let _ = writeln!(out, "| `{}` | {} | {} | {} |", param.name, kind(param.kind), cell(&default), cell(param.doc));
    }
    out
}

fn kind(kind_of: Kind) -> String {
    match kind_of {
        Kind::Text | Kind::Secret => "text".into(),
        Kind::Bool => "boolean".into(),
        Kind::Int(low, i64::MAX) => format!("integer from {low}"),
        Kind::Int(low, high) => format!("integer {low}–{high}"),
        Kind::Float => "number".into(),
        Kind::Duration => "duration".into(),
        Kind::Seconds => "whole seconds".into(),
        Kind::Lifespan => "whole seconds, up to 100 years".into(),
        Kind::Offset => "offset".into(),
        Kind::Number(numbers) => numbers.what.split_once(' ').map_or(numbers.what, |(_, what)| what).into(),
        Kind::Hex => "octets".into(),
        Kind::Tagged(words) if words.iter().map(|w| w.name).eq(misbehaviour::ACTIONS.iter().map(|w| w.name)) => {
            "table with one [action](#gatewaynamemisbehavemessage)".into()
        }
        Kind::Tagged(words) => {
            format!("table with one of {}", words.iter().map(|w| format!("`{}`", w.name)).collect::<Vec<_>>().join(", "))
        }
        Kind::Count => "count".into(),
        Kind::Filter => "filter".into(),
        Kind::Tap => "tap".into(),
        Kind::Node => "node".into(),
        Kind::Gateway => "gateway".into(),
        Kind::Host => "host".into(),
        Kind::Addr => "address".into(),
        Kind::Prefix => "prefix".into(),
        Kind::Port => "port".into(),
        Kind::Ports => "ports".into(),
        Kind::Step => "step".into(),
        Kind::Fault => "fault".into(),
        Kind::Word(words) => words.iter().map(|w| format!("`\"{w}\"`")).collect::<Vec<_>>().join(", "),
        Kind::List(item) => format!("list of {}", kind(*item)),
        Kind::Table(params) => match SECTIONS.iter().find(|(own, _)| same(own, params)) {
            Some((_, link)) => format!("table of {link}"),
            None => format!("table: {}", params.iter().map(|p| format!("`{}` ({})", p.name, kind(p.kind))).collect::<Vec<_>>().join(", ")),
        },
    }
}

/// Tables that have a section of their own.
const SECTIONS: &[(&[Param], &str)] = &[
    (gateway::PARAMS, "[gateway settings](#gatewayname)"),
    (children::CHILD, "[child settings](#gatewaynamechildren)"),
    (certificates::CERTIFICATE, "[certificate settings](#gatewaynamecertificate)"),
    (misbehaviour::MISBEHAVE, "[misbehaviour](#gatewaynamemisbehave)"),
    (misbehaviour::MESSAGE, "[message rules](#gatewaynamemisbehavemessage)"),
];

/// By names: constants have no identity.
fn same(a: &[Param], b: &[Param]) -> bool {
    a.iter().map(|p| p.name).eq(b.iter().map(|p| p.name))
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Kind;

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(vec![], |_| Ok(()))
    }

    #[test]
    fn the_built_in_document_names_every_word() {
        let text = markdown(&vocabulary());
        for word in vocabulary().faults.iter().chain(vocabulary().traffic).chain(vocabulary().services) {
            assert!(text.contains(&format!("### `do.{}`", word.name)), "{}", word.name);
        }
        for part in regions(&vocabulary()) {
            assert!(text.contains(&format!("{BEGIN}{} -->", part.0)), "{}", part.0);
        }
    }

    #[test]
    fn wrong_marks_are_refused() {
        assert!(matches!(fill("<!-- generated: nonsense -->", &vocabulary()), Err(ReferenceError::Unknown { line: 1, .. })));
        assert!(matches!(fill("x\n<!-- generated: fault -->\n", &vocabulary()), Err(ReferenceError::Open { line: 2 })));
    }

    /// The checker fills defaults in; a default that it would refuse would silently be none.
    #[test]
    fn every_default_is_valid() {
        fn check(params: &'static [Param]) {
            for param in params {
                assert!(param.default.is_empty() || super::super::defaults::default_value(param).is_some(), "{}", param.name);
                if let Kind::Table(inner) = param.kind {
                    check(inner);
                }
            }
        }
        for params in [
            sections::SCENARIO,
            sections::NETWORK,
            sections::HEALTH,
            sections::FAULT,
            sections::TRAFFIC,
            sections::EXPECT,
            sections::FIX,
            gateway::PARAMS,
            children::CHILD,
            misbehaviour::MISBEHAVE,
        ] {
            check(params);
        }
        let words = vocabulary();
        for word in words.faults.iter().chain(words.traffic).chain(words.services).chain(misbehaviour::ACTIONS) {
            check(word.params);
        }
    }
}
