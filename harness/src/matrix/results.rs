//! From records to results: what each cell says, judged with the known deviations, and what has changed since another time.
//! Pure: records in, results out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::{CellId, Shard};
use super::store::{FORMAT, Header, Record, Store, StoreError};
use crate::cli::exit::Exit;
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
    /// What is different from the previous results, when these were given.
    pub differences: Option<Vec<Difference>>,
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
    /// The program itself failed.
    Bug,
    /// There is no result: a shard is missing, or was interrupted.
    Missing,
}

impl Status {
    /// All, the good ones first.
    pub const ALL: [Status; 9] = [
        Status::Expected,
        Status::KnownDeviation,
        Status::Skipped,
        Status::Unexpected,
        Status::StoppedDeviating,
        Status::DeviatesOtherwise,
        Status::Flaky,
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
            Status::Bug => '!',
            Status::Missing => '?',
        }
    }

    /// Must somebody look at it?
    pub fn failed(self) -> bool {
        !matches!(self, Status::Expected | Status::KnownDeviation | Status::Skipped)
    }
}

/// A cell that says something else than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Which cell.
    pub cell: CellId,
    /// What it said; absent when there was no such cell.
    pub before: Option<String>,
    /// What it says; absent when there is no such cell any more.
    pub now: Option<String>,
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
        Ok(Results { format: FORMAT, header: header.clone(), elapsed_ms, counts, cells, differences: None })
    }

    /// The same results, with what has changed since the previous ones.
    pub fn since(self, previous: &Results) -> Results {
        let before: BTreeMap<&CellId, &CellResult> = previous.cells.iter().map(|c| (&c.cell, c)).collect();
        let now: BTreeMap<&CellId, &CellResult> = self.cells.iter().map(|c| (&c.cell, c)).collect();
        let mut differences: Vec<Difference> = Vec::new();
        for cell in &self.cells {
            let (was, is) = (before.get(&cell.cell).map(|c| c.saying()), cell.saying());
            if was.as_ref() != Some(&is) {
                differences.push(Difference { cell: cell.cell.clone(), before: was, now: Some(is) });
            }
        }
        for cell in previous.cells.iter().filter(|c| !now.contains_key(&c.cell)) {
            differences.push(Difference { cell: cell.cell.clone(), before: Some(cell.saying()), now: None });
        }
        Results { differences: Some(differences), ..self }
    }

    /// How many cells have this status.
    pub fn count(&self, status: Status) -> usize {
        self.counts.get(&status).copied().unwrap_or(0)
    }

    /// `40 as expected, 4 skipped`.
    pub fn tally(&self) -> String {
        let counted = Status::ALL.iter().filter(|s| self.count(**s) > 0).map(|s| format!("{} {}", self.count(*s), s.words()));
        let text = counted.collect::<Vec<_>>().join(", ");
        if text.is_empty() { "no cells".to_owned() } else { text }
    }

    /// The exit code that a command ends with. `strict`: a skipped cell is an error. A whole matrix of which nothing ran is
    /// one in any case: it would be a pass that proves nothing.
    pub fn exit(&self, strict: bool) -> Exit {
        let nothing_ran = self.header.shard == Shard::WHOLE && self.count(Status::Skipped) == self.cells.len();
        if self.count(Status::Bug) > 0 {
            Exit::Bug
        } else if self.cells.iter().any(|c| c.status.failed()) {
            Exit::Unexpected
        } else if nothing_ran || strict && self.count(Status::Skipped) > 0 {
            Exit::Machine
        } else {
            Exit::Expected
        }
    }
}

impl CellResult {
    /// What the cell says, without times: equal for two runs that found the same.
    pub fn saying(&self) -> String {
        let verdicts = verdicts(&self.runs);
        let plain = matches!(self.status, Status::Expected | Status::Skipped) || verdicts.is_empty();
        if plain { self.status.words().to_owned() } else { format!("{}: {}", self.status.words(), verdicts.join(", ")) }
    }
}

/// The different verdicts of some runs.
fn verdicts(runs: &[Record]) -> Vec<&str> {
    let mut words: Vec<&str> = runs.iter().map(|r| r.verdict.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn judged(cell: CellId, runs: Vec<Record>, header: &Header) -> CellResult {
    let deviation = header.deviation(&cell);
    let (status, text) = judge(&runs, header.repeat, deviation);
    CellResult { cell, status, text, deviation: deviation.cloned(), runs }
}

/// What a single run says about its cell.
pub fn alone(run: &Record, header: &Header) -> Status {
    judge(std::slice::from_ref(run), 1, header.deviation(&run.cell)).0
}

fn judge(runs: &[Record], repeat: u32, deviation: Option<&Deviation>) -> (Status, Option<String>) {
    let why = |r: &Record| r.reason.clone();
    if let Some(bug) = runs.iter().find(|r| r.bug) {
        return (Status::Bug, why(bug));
    }
    if runs.len() < repeat as usize {
        let text = format!("{} of {repeat} runs have a result: interrupted, or a shard is missing", runs.len());
        return (Status::Missing, Some(text));
    }
    let words = verdicts(runs);
    let (&[word], Some(first)) = (words.as_slice(), runs.first()) else {
        let of = |w: &str| {
            let mut such = runs.iter().filter(|r| r.verdict == w).peekable();
            let reason = such.peek().and_then(|r| r.reason.as_ref()).map(|r| format!(": {r}")).unwrap_or_default();
            format!("{} of {repeat} {w}{reason}", such.count())
        };
        return (Status::Flaky, Some(words.iter().map(|w| of(w)).collect::<Vec<_>>().join("\n")));
    };
    match (word, deviation) {
        ("skipped", _) => (Status::Skipped, why(first)),
        ("reproduced", None) => (Status::Expected, None),
        ("reproduced", Some(d)) => {
            let text = format!("line {} of the known deviations says {}, but it reproduces: remove the entry", d.line, d.verdict);
            (Status::StoppedDeviating, Some(text))
        }
        (_, None) => (Status::Unexpected, why(first)),
        (word, Some(d)) if word == d.verdict => (Status::KnownDeviation, Some(d.reason.clone())),
        (_, Some(d)) => {
            let text = format!("line {} of the known deviations says {}: {}", d.line, d.verdict, why(first).unwrap_or_default());
            (Status::DeviatesOtherwise, Some(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::{header, record};
    use super::*;

    fn deviation(verdict: &str) -> Deviation {
        let text = format!("[[deviation]]\nscenario='one'\npairing='a:*'\nverdict='{verdict}'\nreason='r'\nlink='l'\n");
        let source = crate::scenario::Source::new("known-deviations.toml", text);
        crate::scenario::deviations::load(&source, &["one"], &["a", "b"]).unwrap().remove(0)
    }

    fn status(verdicts: &[&str], repeat: u32, listed: Option<&str>) -> Status {
        let cell = header().cells().remove(0);
        let runs: Vec<Record> = verdicts.iter().zip(1..).map(|(v, n)| record(&cell, n, v)).collect();
        judge(&runs, repeat, listed.map(deviation).as_ref()).0
    }

    #[test]
    fn a_listed_cell_must_keep_deviating_and_an_unlisted_one_must_not() {
        assert_eq!(status(&["reproduced"], 1, None), Status::Expected);
        assert_eq!(status(&["not-reproduced"], 1, None), Status::Unexpected);
        assert_eq!(status(&["not-reproduced"], 1, Some("not-reproduced")), Status::KnownDeviation);
        assert_eq!(status(&["reproduced"], 1, Some("not-reproduced")), Status::StoppedDeviating);
        assert_eq!(status(&["fix-failed"], 1, Some("not-reproduced")), Status::DeviatesOtherwise);
        assert_eq!(status(&["skipped"], 1, Some("not-reproduced")), Status::Skipped);
        assert_eq!(status(&["skipped"], 1, None), Status::Skipped);
    }

    #[test]
    fn runs_that_disagree_are_flaky_and_missing_ones_are_told() {
        assert_eq!(status(&["reproduced", "reproduced"], 2, None), Status::Expected);
        assert_eq!(status(&["reproduced", "not-reproduced"], 2, None), Status::Flaky);
        assert_eq!(status(&["not-reproduced", "reproduced"], 2, Some("not-reproduced")), Status::Flaky);
        let cell = header().cells().remove(0);
        let told = judge(&[record(&cell, 1, "reproduced"), record(&cell, 2, "fix-failed")], 2, None).1;
        assert_eq!(told.as_deref(), Some("1 of 2 fix-failed: because fix-failed\n1 of 2 reproduced"));
        assert_eq!(status(&["reproduced"], 2, None), Status::Missing);
        assert_eq!(status(&[], 1, None), Status::Missing);
        let mut bug = record(&header().cells()[0], 1, "inconclusive");
        bug.bug = true;
        assert_eq!(judge(&[bug], 2, None).0, Status::Bug);
    }

    #[test]
    fn only_the_cells_of_the_list_are_covered() {
        let header = Header { deviations: vec![deviation("fix-failed")], ..header() };
        let of = |n: usize| judged(header.cells()[n].clone(), vec![record(&header.cells()[n], 1, "fix-failed")], &header);
        assert_eq!((of(0).status, of(1).status), (Status::KnownDeviation, Status::KnownDeviation));
        assert_eq!((of(2).status, of(3).status), (Status::Unexpected, Status::Unexpected));
    }

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
            second.differences.iter().flatten().map(|d| (d.cell.to_string(), d.now.as_deref().unwrap_or("gone"))).collect();
        assert_eq!(told, [("one/a:b/pocket".into(), "unexpected: not-reproduced"), ("two/a:b/host".into(), "skipped")]);
        assert_eq!(first.clone().since(&Results { elapsed_ms: 77, ..first }).differences, Some(vec![]));
    }
}
