//! From records to results: what each cell says, and what has changed since another time. Pure: records in, results out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::judge::{judged, verdicts};
use super::plan::{CellId, Shard};
use super::store::{FORMAT, Header, Record, Store, StoreError};
use crate::cli::exit::{Exit, Says};
use crate::run::lack::Lack;
use crate::run::outcome::Whose;
use crate::run::versions::Version;
use crate::scenario::deviations::Deviation;

/// All results of a matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of this form.
    pub format: u32,
    /// What the matrix is about.
    pub header: Header,
    /// How long the last run of the program took, milliseconds; of merged shards the longest.
    pub elapsed_ms: u64,
    /// How many cells have which status.
    pub counts: BTreeMap<Status, usize>,
    /// Every cell, in order.
    pub cells: Vec<CellResult>,
    /// What is different from the previous results, when these were given. Results of format 1 have it in another form, which nobody
    /// reads again.
    #[serde(default)]
    pub changes: Option<Changes>,
}

/// What a cell says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// Which cell.
    pub cell: CellId,
    /// In one word.
    pub status: Status,
    /// Why, when there is something to say.
    pub text: Option<String>,
    /// The entry of the list of known deviations that is about it.
    pub deviation: Option<Deviation>,
    /// Its runs.
    pub runs: Vec<Record>,
}

/// A cell in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Reproduced, as it must be.
    Expected,
    /// Not reproduced, as is known.
    KnownDeviation,
    /// Cannot run here.
    Skipped,
    /// Not reproduced, and nobody knew.
    Unexpected,
    /// Listed as deviating, but it reproduces.
    StoppedDeviating,
    /// Listed as deviating, but it deviates in another way.
    DeviatesOtherwise,
    /// Its runs say different things.
    Flaky,
    /// Nobody can judge it: the machine ran short of something, or something from outside ended a process.
    Accident,
    /// The program itself failed.
    Bug,
    /// There is no result: a shard is missing, or was interrupted.
    Missing,
}

impl Status {
    /// All, the good ones first.
    pub const ALL: [Status; 10] = [
        Status::Expected,
        Status::KnownDeviation,
        Status::Skipped,
        Status::Unexpected,
        Status::StoppedDeviating,
        Status::DeviatesOtherwise,
        Status::Flaky,
        Status::Accident,
        Status::Bug,
        Status::Missing,
    ];

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Status::Expected => "as expected",
            Status::KnownDeviation => "known deviation",
            Status::Skipped => "skipped",
            Status::Unexpected => "unexpected",
            Status::StoppedDeviating => "stopped deviating",
            Status::DeviatesOtherwise => "deviates otherwise",
            Status::Flaky => "flaky",
            Status::Accident => "accident",
            Status::Bug => "bug of faultlab",
            Status::Missing => "no result",
        }
    }

    /// One character, so that nothing depends on colours.
    pub fn mark(self) -> char {
        match self {
            Status::Expected => '✓',
            Status::KnownDeviation => '≈',
            Status::Skipped => '–',
            Status::Unexpected => '✗',
            Status::StoppedDeviating => '↺',
            Status::DeviatesOtherwise => '≠',
            Status::Flaky => '~',
            Status::Accident => '#',
            Status::Bug => '!',
            Status::Missing => '?',
        }
    }

    /// Must somebody look at it?
    pub fn failed(self) -> bool {
        !matches!(self, Status::Expected | Status::KnownDeviation | Status::Skipped)
    }
}

impl Results {
    /// Judges what is in the store.
    pub fn of(store: &Store, elapsed_ms: u64) -> Result<Results, StoreError> {
        let header = &store.header;
        let read = |cell: CellId| {
            let runs = (1..=header.repeat).filter_map(|n| store.read(&cell, n).transpose()).collect::<Result<Vec<_>, _>>()?;
            Ok(judged(cell, runs, header))
        };
        let cells = header.cells().into_iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        let mut counts = BTreeMap::new();
        for cell in &cells {
            *counts.entry(cell.status).or_insert(0) += 1;
        }
        Ok(Results { format: FORMAT, header: header.clone(), elapsed_ms, counts, cells, changes: None })
    }

    /// The same results, with what has changed since the previous ones.
    pub fn since(self, previous: &Results) -> Results {
        Results { changes: Some(Changes::between(previous, &self)), ..self }
    }

    /// How many cells have this status.
    pub fn count(&self, status: Status) -> usize {
        self.counts.get(&status).copied().unwrap_or(0)
    }

    /// The implementations that have played, each with its versions, in order.
    pub fn played(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut played: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for run in self.cells.iter().flat_map(|c| &c.runs) {
            for (name, version) in run.versions.sides(&run.cell.pairing) {
                played.entry(name).or_default().push(version);
            }
        }
        for versions in played.values_mut() {
            versions.sort_by_key(|v| (Version::read(v), *v));
            versions.dedup();
        }
        played
    }

    /// `40 as expected, 4 skipped`.
    pub fn tally(&self) -> String {
        let counted = Status::ALL.iter().filter(|s| self.count(**s) > 0).map(|s| format!("{} {}", self.count(*s), s.words()));
        let text = counted.collect::<Vec<_>>().join(", ");
        if text.is_empty() { "no cells".to_owned() } else { text }
    }

    /// The exit code that a command ends with. `strict`: a cell that was skipped, or a world or an implementation that was left out, for
    /// want of something that could be installed is an error. A whole matrix of which nothing ran is one in any case: it would be a pass
    /// that proves nothing.
    pub fn exit(&self, strict: bool) -> Exit {
        let left_out = self.header.left_out.iter().map(|_| Says::SkippedForWant);
        let all: Vec<Says> = self.cells.iter().map(CellResult::says).chain(left_out).collect();
        Exit::of(&all, strict, self.header.shard == Shard::WHOLE)
    }
}

impl CellResult {
    /// What the cell says about the exit code. Of a skipped cell of an older format nobody knows whether something was missing.
    fn says(&self) -> Says {
        match self.status {
            Status::Bug => Says::Bug,
            Status::Skipped if self.runs.iter().all(|r| r.lack == Some(Lack::Design)) => Says::SkippedByDesign,
            Status::Skipped => Says::SkippedForWant,
            Status::Accident if self.runs.iter().any(|r| r.whose == Some(Whose::Outside)) => Says::Unexpected,
            Status::Accident => Says::Short,
            status if status.failed() => Says::Unexpected,
            _ => Says::Good,
        }
    }

    /// What the cell says, without times: equal for two runs that found the same.
    pub fn saying(&self) -> String {
        let verdicts = verdicts(&self.runs);
        let plain = matches!(self.status, Status::Expected | Status::Skipped) || verdicts.is_empty();
        if plain { self.status.words().to_owned() } else { format!("{}: {}", self.status.words(), verdicts.join(", ")) }
    }

    /// What its runs were played by: `strongswan 5.9.8, libreswan 4.10`; more than one when the gateways changed between runs.
    pub fn versions(&self) -> Vec<String> {
        let mut told: Vec<String> =
            self.runs.iter().map(|r| r.versions.told(&r.cell.pairing).join(", ")).filter(|t| !t.is_empty()).collect();
        told.sort();
        told.dedup();
        told
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::{header, record};
    use super::*;

    #[test]
    fn differences_and_exit_codes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), header()).unwrap();
        let cells = store.header.cells();
        let all = |verdict: &str| cells.iter().for_each(|c| store.write(&record(c, 1, verdict)).unwrap());
        all("skipped");
        let skipped = Results::of(&store, 0).unwrap();
        assert_eq!(skipped.exit(false), Exit::Machine);
        all("reproduced");
        let first = Results::of(&store, 5).unwrap();
        assert_eq!((first.exit(true), first.tally().as_str()), (Exit::Expected, "4 as expected"));
        store.write(&record(&cells[1], 1, "not-reproduced")).unwrap();
        store.write(&record(&cells[2], 1, "skipped")).unwrap();
        let second = Results::of(&store, 9).unwrap().since(&first);
        assert_eq!(second.exit(false), Exit::Unexpected);
        let told: Vec<(String, &str)> =
            second.changes.iter().flat_map(|c| &c.cells).map(|d| (d.cell.to_string(), d.now.as_str())).collect();
        assert_eq!(told, [("one/a:b/pocket".into(), "unexpected: not-reproduced"), ("two/a:b/host".into(), "skipped")]);
    }

    #[test]
    fn results_of_format_1_are_still_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), header()).unwrap();
        store.header.cells().iter().for_each(|c| store.write(&record(c, 1, "reproduced")).unwrap());
        let now = Results::of(&store, 5).unwrap();
        let mut old = serde_json::to_value(&now).unwrap();
        old["format"] = 1.into();
        old["header"]["format"] = 1.into();
        let object = old.as_object_mut().unwrap();
        object.remove("changes").unwrap();
        object.insert("differences".into(), serde_json::json!([{ "cell": now.cells[0].cell, "before": null, "now": "as expected" }]));
        for cell in old["cells"].as_array_mut().unwrap() {
            cell["runs"][0].as_object_mut().unwrap().remove("versions").unwrap();
        }
        let old: Results = serde_json::from_value(old).unwrap();
        assert!(old.played().is_empty());
        let changes = now.since(&old).changes.unwrap();
        assert_eq!((changes.common, changes.cells.len(), changes.absent.len()), (4, 0, 0));
    }
}
