//! What has changed since another time: cells that both matrices planned, one by one; those that only one planned, in a sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::plan::{CellId, Shard};
use super::results::{CellResult, Results};
use super::store::Header;
use crate::run::worlds::WorldKind;

/// Names that a sentence lists; the rest is counted.
const MOST_NAMES: usize = 8;

/// What is different from the previous results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// How many cells both have.
    pub common: usize,
    /// Those of them that say something else.
    pub cells: Vec<Difference>,
    /// Cells that only one of the two has.
    pub absent: Vec<Absence>,
}

/// A cell that says something else than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Which cell.
    pub cell: CellId,
    /// What it said.
    pub before: String,
    /// What it says.
    pub now: String,
}

/// Cells of one matrix that the other does not have, and what the other lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Which matrix has them.
    pub of: Which,
    /// How many there are.
    pub cells: usize,
    /// Pairings that the other matrix does not have.
    pub pairings: Vec<String>,
    /// Its missing worlds.
    pub worlds: Vec<WorldKind>,
    /// Its missing scenarios.
    pub scenarios: Vec<String>,
    /// The other matrix's shard, when it has these pairings, worlds and scenarios, but is only a part.
    pub shard: Option<Shard>,
}

/// One of two matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The one to compare with.
    Previous,
    /// This one.
    This,
}

impl Changes {
    /// Compares results with previous ones.
    pub fn between(previous: &Results, now: &Results) -> Changes {
        let before: BTreeMap<&CellId, &CellResult> = previous.cells.iter().map(|c| (&c.cell, c)).collect();
        let common: Vec<(&CellResult, &CellResult)> = now.cells.iter().filter_map(|c| Some((*before.get(&c.cell)?, c))).collect();
        let difference = |(was, is): &(&CellResult, &CellResult)| {
            let (before, now) = (was.saying(), is.saying());
            (before != now).then(|| Difference { cell: is.cell.clone(), before, now })
        };
        let both: BTreeSet<&CellId> = common.iter().map(|(_, c)| &c.cell).collect();
        let only = |results: &Results, of: Which, other: &Header| {
            let cells: Vec<CellId> = results.cells.iter().map(|c| &c.cell).filter(|c| !both.contains(c)).cloned().collect();
            (!cells.is_empty()).then(|| Absence::of(&cells, of, other))
        };
        Changes {
            common: common.len(),
            cells: common.iter().filter_map(difference).collect(),
            absent: [only(previous, Which::Previous, &now.header), only(now, Which::This, &previous.header)]
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    /// Says how many cells are compared, when none of them has changed.
    pub fn nothing_changed(&self) -> Option<String> {
        match (self.common, self.absent.is_empty(), self.cells.is_empty()) {
            (_, _, false) => None,
            (_, true, _) => Some("every cell says the same as before".to_owned()),
            (0, ..) => Some("the two matrices have no cell in common".to_owned()),
            (1, ..) => Some("the one cell that both have says the same as before".to_owned()),
            (n, ..) => Some(format!("all {n} cells that both have say the same as before")),
        }
    }
}

impl Absence {
    fn of(cells: &[CellId], of: Which, other: &Header) -> Absence {
        let lacks_pairing = |c: &CellId| !other.pairings.contains(&c.pairing);
        let lacks_world = |c: &CellId| !other.worlds.contains(&c.world);
        let known: BTreeSet<&str> = other.scenarios.iter().map(|s| s.id.as_str()).collect();
        let lacks_scenario = |c: &CellId| !known.contains(c.scenario.as_str());
        let part = cells.iter().any(|c| !lacks_pairing(c) && !lacks_world(c) && !lacks_scenario(c));
        Absence {
            of,
            cells: cells.len(),
            pairings: distinct(cells.iter().filter(|c| lacks_pairing(c)).map(|c| c.pairing.clone())),
            worlds: distinct(cells.iter().filter(|c| lacks_world(c)).map(|c| c.world)),
            scenarios: distinct(cells.iter().filter(|c| lacks_scenario(c)).map(|c| c.scenario.to_string())),
            shard: part.then_some(other.shard),
        }
    }
}

/// The different items, each where it comes first.
fn distinct<T: Clone + Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    items.filter(|item| seen.insert(item.clone())).collect()
}

/// `pairs a:b, a:c and 7 more`; nothing without names.
fn named(what: &str, names: Vec<&str>) -> Option<String> {
    let shown = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(MOST_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| format!("{what} {shown}{more}"))
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, s) = (self.cells == 1, if self.cells == 1 { "" } else { "s" });
        match self.of {
            Which::Previous if one => write!(f, "1 cell of the previous matrix is not part of this one")?,
            Which::Previous => write!(f, "{} cell{s} of the previous matrix are not part of this one", self.cells)?,
            Which::This => {
                let was = if one { "was" } else { "were" };
                write!(f, "{} cell{s} of this matrix {was} not part of the previous one", self.cells)?;
            }
        }
        let other = match self.of {
            Which::Previous => "this one",
            Which::This => "the previous one",
        };
        let why = [
            named("pairs", self.pairings.iter().map(String::as_str).collect()),
            named("worlds", self.worlds.iter().map(|w| w.name()).collect()),
            named("scenarios", self.scenarios.iter().map(String::as_str).collect()),
            self.shard.map(|shard| format!("{other} is shard {shard}")),
        ];
        write!(f, ": {}", why.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::Store;
    use super::super::store::tests::{header, record};
    use super::*;

    /// Results of a matrix in which every cell says the same.
    fn results(header: Header, verdict: &str) -> Results {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), header).unwrap();
        store.header.cells().iter().for_each(|c| store.write(&record(c, 1, verdict)).unwrap());
        Results::of(&store, 0).unwrap()
    }

    fn with(change: impl FnOnce(&mut Header)) -> Header {
        let mut header = header();
        change(&mut header);
        header
    }

    fn sentences(changes: &Changes) -> Vec<String> {
        changes.absent.iter().map(Absence::to_string).collect()
    }

    #[test]
    fn what_only_one_has_is_a_sentence_and_what_both_have_is_listed() {
        let wide = with(|h| h.pairings = ["a:a", "a:b", "b:a", "b:b"].map(str::to_owned).into());
        let narrow = with(|h| h.worlds = vec![WorldKind::Host]);
        let (wide, narrow) = (results(wide, "reproduced"), results(narrow, "fix-failed"));
        let changes = Changes::between(&wide, &narrow);
        let listed: Vec<String> = changes.cells.iter().map(|d| format!("{}: {}, before: {}", d.cell, d.now, d.before)).collect();
        assert_eq!(
            listed,
            ["one/a:b/host: unexpected: fix-failed, before: as expected", "two/a:b/host: unexpected: fix-failed, before: as expected"]
        );
        assert_eq!(sentences(&changes), ["14 cells of the previous matrix are not part of this one: pairs a:a, b:a, b:b; worlds pocket"]);
        assert_eq!((changes.common, changes.nothing_changed()), (2, None));
        let back = Changes::between(&narrow, &wide);
        assert_eq!(sentences(&back), ["14 cells of this matrix were not part of the previous one: pairs a:a, b:a, b:b; worlds pocket"]);
    }

    #[test]
    fn long_lists_are_cut_and_both_directions_are_told() {
        let many = with(|h| {
            let row = h.scenarios.remove(0);
            h.scenarios = (0..30).map(|n| super::super::store::Row { id: format!("s{n:02}").parse().unwrap(), ..row.clone() }).collect();
            h.worlds = vec![WorldKind::Host];
        });
        let changes = Changes::between(&results(many, "reproduced"), &results(header(), "reproduced"));
        assert_eq!(
            sentences(&changes),
            [
                "30 cells of the previous matrix are not part of this one: scenarios s00, s01, s02, s03, s04, s05, s06, s07 and 22 more",
                "4 cells of this matrix were not part of the previous one: worlds pocket; scenarios one, two"
            ]
        );
        assert_eq!(changes.nothing_changed().as_deref(), Some("the two matrices have no cell in common"));
    }

    #[test]
    fn shards_are_told() {
        let shard = |index| with(|h| h.shard = Shard { index, count: 2 });
        let (whole, part) = (results(header(), "reproduced"), results(shard(1), "reproduced"));
        let (here, gone) = (part.cells.len(), whole.cells.len() - part.cells.len());
        let changes = Changes::between(&whole, &part);
        let cells =
            if gone == 1 { "1 cell of the previous matrix is".to_owned() } else { format!("{gone} cells of the previous matrix are") };
        assert_eq!(sentences(&changes), [format!("{cells} not part of this one: this one is shard 1/2")]);
        assert_eq!((changes.common, changes.cells.len()), (here, 0));
    }

    #[test]
    fn the_same_matrix_has_no_changes() {
        let whole = results(header(), "reproduced");
        let changes = Changes::between(&whole, &Results { elapsed_ms: 77, ..whole.clone() });
        assert_eq!(changes, Changes { common: 4, cells: vec![], absent: vec![] });
        assert_eq!(changes.nothing_changed().as_deref(), Some("every cell says the same as before"));
        let narrow = results(with(|h| h.worlds = vec![WorldKind::Host]), "reproduced");
        let said = Changes::between(&whole, &narrow).nothing_changed();
        assert_eq!(said.as_deref(), Some("all 2 cells that both have say the same as before"));
    }
}
