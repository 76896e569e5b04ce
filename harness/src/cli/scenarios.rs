//! From words on the command line to checked scenarios.

use std::io::IsTerminal;
use std::path::Path;

use super::exit::CliError;
use crate::filter::{Filter, kernel};
use crate::scenario::library::{Library, LibraryError};
use crate::scenario::model::Scenario;
use crate::scenario::{Diagnostics, Vocabulary, load};
use crate::symptom;

/// The library: embedded scenarios, overlaid by those on disk.
pub fn library(dir: Option<&Path>) -> Result<Library, CliError> {
    Library::open(dir).map_err(|e| wrong(&e))
}

/// The vocabulary that this program knows.
pub fn vocabulary(library: &Library) -> Vocabulary {
    let symptoms = symptom::all().iter().map(|s| (s.code, s.params)).collect();
    let filter = |text: &str| Filter::parse(text).map(drop).map_err(|e| (e.span, e.message, e.help));
    let kernel_filter = |text: &str| {
        let filter = Filter::parse(text);
        filter.and_then(|f| kernel::clauses(&f)).map(drop).map_err(|e| (e.span, e.message, e.help))
    };
    let mut vocabulary = Vocabulary::new(symptoms, filter).with_kernel_filter(kernel_filter);
    vocabulary.layouts = library.layouts.clone();
    vocabulary
}

/// The scenarios that the words select, checked; all mistakes of all files at once.
pub fn select(library: &Library, words: &[String]) -> Result<Vec<Scenario>, CliError> {
    let sources = library.select(words).map_err(|e| wrong(&e))?;
    let vocabulary = vocabulary(library);
    let mut all = Diagnostics::default();
    let mut scenarios = Vec::new();
    for source in &sources {
        match load(source, &vocabulary) {
            Ok(scenario) => scenarios.push(scenario),
            Err(found) => all.list.extend(found.list),
        }
    }
    if !all.list.is_empty() {
        return Err(CliError::mistakes(&all, std::io::stderr().is_terminal()));
    }
    if scenarios.is_empty() {
        return Err(CliError::wrong("no scenarios; is the folder empty?"));
    }
    Ok(scenarios)
}

fn wrong(e: &LibraryError) -> CliError {
    CliError::wrong(e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Source;

    /// Codes of the mistakes of a scenario with this fault, and what they underline.
    fn mistakes(fault: &str) -> Vec<(&'static str, String)> {
        let text = format!(
            "[scenario]\ntitle = \"x\"\n[network]\nlayout = \"two-gateways-mid\"\n{fault}\n[[traffic]]\n\
             do.ping = {{ from = \"alice\", to = \"bob\" }}\n[[expect]]\nsymptom.probe = {{ step = \"ping-1\", outcome = [\"timeout\"] }}\n\
             [fix]\nabout = \"x\"\nwithout = [\"f\"]\n"
        );
        let library = library(None).unwrap_or_else(|e| panic!("{}", e.message));
        match load(&Source::new("x.toml", &text), &vocabulary(&library)) {
            Ok(_) => Vec::new(),
            Err(found) => found.list.iter().map(|d| (d.code, text[d.span.clone()].to_owned())).collect(),
        }
    }

    fn drop_at_mid(rest: &str) -> Vec<(&'static str, String)> {
        mistakes(&format!("[[fault]]\nname = \"f\"\ndo.drop = {{ at = \"mid\", {rest} }}"))
    }

    #[test]
    fn what_no_kernel_rule_can_test_is_a_mistake_of_the_file() {
        assert_eq!(drop_at_mid("match = \"udp.dstport == 500\""), []);
        for filter in ["isakmp.notify.msgtype == 14", "ip.flags.mf == 1", "ip.ttl < 9"] {
            let found = drop_at_mid(&format!("match = \"{filter}\""));
            assert!(matches!(&found[..], [("filter", at)] if at == filter), "{filter}: {found:?}");
        }
    }

    #[test]
    fn a_rule_that_no_packet_can_meet_is_one() {
        const FRAGMENTS: &str = "\"ip.flags.mf == 1 || ip.frag_offset > 0\"";
        for hook in ["any", "in", "forward"] {
            assert_eq!(drop_at_mid(&format!("match = {FRAGMENTS}, hook = \"{hook}\"")), []);
        }
        let found = drop_at_mid(&format!("match = {FRAGMENTS}, hook = \"out\""));
        assert_eq!(found, [("fragments-go-out", FRAGMENTS.to_owned())]);
        assert_eq!(drop_at_mid("match = \"udp\", which = 0"), [("no-such-packet", "0".to_owned())]);
    }
}
