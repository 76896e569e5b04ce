//! `known-deviations.toml`: cells of the matrix that are known not to reproduce. Data, never code: what one implementation does
//! differently is written down here with its reason, and must stay true.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeValue;

use super::diag::Diagnostics;
use super::walk::{Table, Walker};
use super::{Source, diag::line_of};
use crate::run::worlds::WorldKind;
use crate::schema::{Args, Kind, Param};

/// Name of the file, in the folder of the scenarios.
pub const FILE: &str = "known-deviations.toml";

/// Any implementation.
const ANY: &str = "*";

/// `[[deviation]]`.
pub const DEVIATION: &[Param] = &[
    Param::required("scenario", Kind::Text, "id of the scenario"),
    Param::required("pairing", Kind::Text, "`A:B` as in `--pair`; `*` on a side: any implementation"),
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
    /// Is it about this cell?
    pub fn covers(&self, scenario: &str, pairing: &str, world: WorldKind) -> bool {
        self.scenario == scenario && self.world.is_none_or(|w| w == world) && self.pairing.covers(pairing)
    }
}

/// `A:B`, where `*` stands for any implementation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PairPattern {
    first: String,
    others: String,
}

impl PairPattern {
    /// Does the pairing `A:B` match?
    pub fn covers(&self, pairing: &str) -> bool {
        let same = |pattern: &str, name: &str| pattern == ANY || pattern == name;
        pairing.split_once(':').is_some_and(|(a, b)| same(&self.first, a) && same(&self.others, b))
    }

    fn sides(&self) -> [&str; 2] {
        [&self.first, &self.others]
    }
}

impl fmt::Display for PairPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.first, self.others)
    }
}

impl From<PairPattern> for String {
    fn from(p: PairPattern) -> String {
        p.to_string()
    }
}

impl TryFrom<String> for PairPattern {
    type Error = String;
    fn try_from(text: String) -> Result<PairPattern, String> {
        match text.split_once(':') {
            Some((a, b)) if !a.is_empty() && !b.is_empty() => Ok(PairPattern { first: a.to_owned(), others: b.to_owned() }),
            _ => Err(format!("`{}` is not a pairing", text.escape_debug())),
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
    match PairPattern::try_from(text.to_owned()) {
        Ok(pattern) => {
            for name in pattern.sides().into_iter().filter(|n| *n != ANY && !implementations.contains(n)) {
                let message = format!("no gateway implementation is called `{}`", name.escape_debug());
                walker.unknown("unknown-name", span.clone(), message, name, implementations.iter().copied().chain([ANY]));
            }
            Some(pattern)
        }
        Err(message) => {
            let example = implementations.first().copied().unwrap_or("a");
            walker.mistake("wrong-type", span, message, "", [format!("write `\"A:B\"`, for instance `\"{example}:*\"`")]);
            None
        }
    }
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
        assert_eq!((d.line, d.verdict.as_str(), d.world), (2, "fix-failed", None));
        assert!(d.covers("nat-timeout", "libreswan:strongswan", WorldKind::Host));
        assert!(d.covers("nat-timeout", "libreswan:libreswan", WorldKind::Pocket));
        assert!(!d.covers("nat-timeout", "strongswan:libreswan", WorldKind::Host));
        assert!(!d.covers("psk-mismatch", "libreswan:strongswan", WorldKind::Host));
        let host = read(&ONE.replace("reason", "world = 'host'\nreason")).unwrap();
        assert!(host[0].covers("nat-timeout", "libreswan:libreswan", WorldKind::Host));
        assert!(!host[0].covers("nat-timeout", "libreswan:libreswan", WorldKind::Pocket));
    }

    #[test]
    fn it_survives_json() {
        let list = read(ONE).unwrap();
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
