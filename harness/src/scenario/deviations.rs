//! `known-deviations.toml`: cells of the matrix that are known not to reproduce. Data, never code: what one implementation does
//! differently is written down here with its reason, and must stay true.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeValue;

use super::diag::Diagnostics;
use super::forms::within;
use super::pairs::{self, ANY, Coverage, PairPattern};
use super::walk::{Table, Walker};
use super::{Source, diag::line_of};
use crate::run::versions::{FORMS, Versions};
use crate::run::worlds::WorldKind;
use crate::schema::{Args, Kind, Param};

/// Name of the file, in the folder of the scenarios.
pub const FILE: &str = "known-deviations.toml";

/// `[[deviation]]`.
pub const DEVIATION: &[Param] = &[
    Param::required("scenario", Kind::Text, "id of the scenario"),
    Param::required(
        "pairing",
        Kind::Text,
        "`A:B` as in `--pair`; `*` on a side: any implementation; `A@<5`: versions of A (docs/pairings.md)",
    ),
    Param::optional("world", Kind::Word(&["host", "pocket"]), "only in this world; default: in any"),
    Param::required(
        "verdict",
        Kind::Word(&["not-reproduced", "fault-not-in-force", "fix-failed", "inconclusive"]),
        "what the cell shows instead of `reproduced`",
    ),
    Param::required("reason", Kind::Text, "why, in one or two sentences"),
    Param::required("link", Kind::Text, "where it is discussed or documented"),
];

/// A known deviation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// Id of the scenario.
    pub scenario: String,
    /// Which pairings.
    pub pairing: PairPattern,
    /// Only in this world.
    pub world: Option<WorldKind>,
    /// The word of the verdict that must be seen.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// Where it is discussed.
    pub link: String,
    /// Line of the file, from 1.
    pub line: u32,
}

impl Deviation {
    /// Is it about this cell, when these versions play?
    pub fn covers(&self, scenario: &str, pairing: &str, world: WorldKind, versions: &Versions) -> Coverage {
        if self.scenario == scenario && self.world.is_none_or(|w| w == world) {
            self.pairing.covers(pairing, versions)
        } else {
            Coverage::Elsewhere
        }
    }
}

/// Reads and checks the file; all mistakes at once. `scenarios`: the known ids; `implementations`: the known names.
pub fn load(source: &Source, scenarios: &[&str], implementations: &[&str]) -> Result<Vec<Deviation>, Diagnostics> {
    let mut walker = Walker::new(source, |_| Ok(()));
    let mut list: Vec<Deviation> = Vec::new();
    if let Some(document) = walker.parse() {
        walker.unknown_keys("a list of known deviations", document.get_ref(), &["deviation"]);
        for item in walker.tables(document.get_ref(), "deviation") {
            let Some(table) = item.get_ref().as_table() else { continue };
            let args = walker.table("`[[deviation]]`", item.span(), table, DEVIATION, &[], true);
            let found = deviation(&mut walker, source, item, table, &args, [scenarios, implementations]);
            let Some(found) = found else { continue };
            let twice = |d: &&Deviation| d.scenario == found.scenario && d.pairing == found.pairing && d.world == found.world;
            match list.iter().find(twice) {
                Some(first) => {
                    let message = format!("this cell is listed already, in line {}", first.line);
                    let span = walker.head(item.span());
                    walker.mistake("duplicate-name", span, message, "", ["remove one of the two".to_owned()]);
                }
                None => list.push(found),
            }
        }
    }
    let found = walker.finish();
    if found.list.is_empty() { Ok(list) } else { Err(found) }
}

fn deviation(
    walker: &mut Walker<'_>,
    source: &Source,
    item: &Spanned<DeValue<'_>>,
    table: &Table<'_>,
    args: &Args,
    [scenarios, implementations]: [&[&str]; 2],
) -> Option<Deviation> {
    let span = |key: &str| table.get(key).map_or(item.span(), Spanned::span);
    let scenario = args.text("scenario")?;
    if !scenarios.contains(&scenario) {
        let message = format!("there is no scenario `{}`", scenario.escape_debug());
        walker.unknown("unknown-name", span("scenario"), message, scenario, scenarios.iter().copied());
    }
    let pairing = pairing(walker, span("pairing"), args.text("pairing")?, implementations)?;
    for key in ["reason", "link"] {
        if args.text(key).is_some_and(|t| t.trim().is_empty()) {
            walker.mistake(
                "empty",
                span(key),
                format!("`{key}` says nothing"),
                "",
                ["a deviation without it is a mystery to others".to_owned()],
            );
        }
    }
    Some(Deviation {
        scenario: scenario.to_owned(),
        pairing,
        world: match args.text("world") {
            Some("host") => Some(WorldKind::Host),
            Some("pocket") => Some(WorldKind::Pocket),
            _ => None,
        },
        verdict: args.text("verdict")?.to_owned(),
        reason: args.text("reason")?.trim().to_owned(),
        link: args.text("link")?.trim().to_owned(),
        line: line_of(&source.text, item.span().start),
    })
}

fn pairing(walker: &mut Walker<'_>, span: Range<usize>, text: &str, implementations: &[&str]) -> Option<PairPattern> {
    let read = PairPattern::read(text);
    if text.contains(':') {
        for (name, at) in pairs::names(text) {
            if name.is_empty() || name == ANY || implementations.contains(&name) {
                continue;
            }
            let at = within(walker.source, span.clone(), text, at);
            let message = format!("no gateway implementation is called `{}`", name.escape_debug());
            walker.unknown("unknown-name", at, message, name, implementations.iter().copied().chain([ANY]));
        }
    }
    let example = implementations.first().copied().unwrap_or("a");
    for mistake in read.as_ref().err().into_iter().flatten() {
        let at = within(walker.source, span.clone(), text, mistake.at.clone());
        let help = [format!("write `\"A:B\"`, for instance `\"{example}:*\"` or `\"{example}@<5:*\"`"), format!("versions: {FORMS}")];
        walker.mistake("wrong-type", at, mistake.message.clone(), "", help);
    }
    read.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Deviation>, Diagnostics> {
        load(&Source::new("scenarios/known-deviations.toml", text), &["nat-timeout", "psk-mismatch"], &["strongswan", "libreswan"])
    }

    const ONE: &str =
        "[[deviation]]\nscenario = 'nat-timeout'\npairing = 'libreswan:*'\nverdict = 'fix-failed'\nreason = 'r'\nlink = 'l'\n";

    #[test]
    fn patterns_cover_cells() {
        let list = read(&format!("# list\n{ONE}")).unwrap();
        let d = &list[0];
        let of = |d: &Deviation, scenario, pairing, world| d.covers(scenario, pairing, world, &Versions::default()) == Coverage::Covered;
        assert_eq!((d.line, d.verdict.as_str(), d.world), (2, "fix-failed", None));
        assert!(of(d, "nat-timeout", "libreswan:strongswan", WorldKind::Host));
        assert!(of(d, "nat-timeout", "libreswan:libreswan", WorldKind::Pocket));
        assert!(!of(d, "nat-timeout", "strongswan:libreswan", WorldKind::Host));
        assert!(!of(d, "psk-mismatch", "libreswan:strongswan", WorldKind::Host));
        let host = read(&ONE.replace("reason", "world = 'host'\nreason")).unwrap();
        assert!(of(&host[0], "nat-timeout", "libreswan:libreswan", WorldKind::Host));
        assert!(!of(&host[0], "nat-timeout", "libreswan:libreswan", WorldKind::Pocket));
    }

    #[test]
    fn one_cell_may_have_an_entry_for_each_range_of_versions() {
        let of = |range: &str| ONE.replace("libreswan:*", &format!("libreswan@{range}:*"));
        let list = read(&format!("{}{}{ONE}", of("<5"), of(">=5"))).unwrap();
        let versions = |v: &str| Versions { first: Some(v.to_owned()), others: None };
        let covering = |v: &str| {
            let covers =
                |d: &&Deviation| d.covers("nat-timeout", "libreswan:strongswan", WorldKind::Host, &versions(v)) == Coverage::Covered;
            list.iter().filter(covers).map(|d| d.line).collect::<Vec<_>>()
        };
        assert_eq!((covering("4.10"), covering("5.2"), covering("none")), (vec![1, 13], vec![7, 13], vec![13]));
        let twice = read(&format!("{}{}", of(">=5,<5.3"), of("<5.3.0,>=5"))).unwrap_err();
        assert!(twice.to_string().contains("listed already, in line 1"), "{twice}");
    }

    #[test]
    fn mistakes_in_ranges_are_told_with_line_and_column() {
        let text = ONE.replace("'libreswan:*'", "'libreswam@<x:strongswan@5,<6'");
        let found = read(&text).unwrap_err();
        let places: Vec<(u32, u32, &str)> = found.list.iter().map(|d| (d.line(), d.column(), d.text())).collect();
        assert_eq!(places, [(3, 12, "libreswam"), (3, 22, "<x"), (3, 36, "5")], "{found}");
        assert!(found.to_string().contains("did you mean `libreswan`?") && found.to_string().contains(">=5,<5.3"), "{found}");
        assert!(read(&ONE.replace("libreswan:*", "*@<5:libreswan")).unwrap_err().to_string().contains("name one"));
    }

    #[test]
    fn it_survives_json() {
        let list = read(&ONE.replace("libreswan:*", "libreswan@>=5,<5.3:*")).unwrap();
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Deviation>>(&text).unwrap(), list);
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = "[[deviation]]\nscenario = 'nat-timout'\npairing = 'libreswan'\nverdict = 'reproduced'\nreason = 'r'\n\
                    [[deviation]]\nscenario = 'nat-timeout'\npairing = 'libreswam:*'\nverdict = 'fix-failed'\nreason = ' '\nlink = 'l'\nword = 1\n";
        let found = read(text).unwrap_err();
        let lines: Vec<(u32, &str)> = found.list.iter().map(|d| (d.line(), d.code)).collect();
        assert_eq!(
            lines,
            [
                (1, "missing-key"),
                (2, "unknown-name"),
                (3, "wrong-type"),
                (4, "unknown-name"),
                (8, "unknown-name"),
                (10, "empty"),
                (12, "unknown-key")
            ],
            "{found}"
        );
        assert!(found.to_string().contains("did you mean `nat-timeout`?"));
        let twice = read(&format!("{ONE}{ONE}")).unwrap_err();
        assert!(twice.to_string().contains("listed already, in line 1"), "{twice}");
    }

    #[test]
    fn the_list_that_comes_along_is_right() {
        let library = super::super::library::Library::open(None).unwrap();
        let ids: Vec<&str> = library.all().map(|s| s.id.as_str()).collect();
        let source = library.deviations.clone().unwrap();
        let list = load(&source, &ids, &crate::run::drivers::names());
        assert!(list.is_ok(), "{}", list.unwrap_err());
        assert!(!ids.contains(&"known-deviations"));
    }
}
