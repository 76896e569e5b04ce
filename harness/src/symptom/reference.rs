//! `docs/symptoms.md`, out of the registry.

use std::fmt::Write;

use super::{Level, Sign, all};
use crate::scenario::reference::table;

/// The whole document.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Symptoms\n\n\
         <!-- Generated from the registry in harness/src/symptom; `UPDATE=1 cargo test -p faultlab symptom::reference` rewrites it. -->\n\n\
         What a scenario can expect: `symptom.<code> = { … }` in `[[expect]]`. Each is a statement about the capture (and, where it says\n\
         so, about keys, the gateways' own reports or an application) that a machine can check. `faultlab explain <code>` prints the same.\n\n\
         A symptom is decided as soon as no later packet can change it. What speaks of absence is decided by a window of silence, and not\n\
         at all when the capture lost packets.\n\n\
         | code | meaning | rests on |\n|---|---|---|\n",
    );
    for s in all() {
        let _ = writeln!(out, "| [`{0}`](#{0}) | {1} | {2} |", s.code, s.meaning.replace('|', "\\|"), level(s.level));
    }
    for s in all() {
        let _ = write!(out, "\n## `{}`\n\n{}\n\n", s.code, s.meaning);
        for paragraph in s.explain.split('\n') {
            let _ = write!(out, "{}\n\n", paragraph.trim());
        }
        out.push_str(&table(s.params));
        let _ = write!(out, "\nRests on {}.", level(s.level));
        if !s.rfc.is_empty() {
            let _ = write!(out, " See {}.", s.rfc.join(", "));
        }
        out.push_str(sign(s.sign));
        out.push('\n');
    }
    out
}

fn sign(sign: Sign) -> &'static str {
    match sign {
        Sign::Failure => " A sign of a failure: with its default parameters it holds in no healthy tunnel.",
        Sign::Health => " A sign of health.",
        Sign::Either => "",
    }
}

/// A level of evidence in words.
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Wire => "the wire alone",
        Level::Keys => "the wire and keys",
        Level::State => "the wire and a gateway's own reports",
        Level::Application => "an application's view",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/symptoms.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == markdown(), "docs/symptoms.md is out of date; run `UPDATE=1 cargo test -p faultlab symptom::reference`");
    }
}
