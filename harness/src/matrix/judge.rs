//! What a cell says: the verdicts of its runs, against the known deviations of the versions that played.

use super::plan::CellId;
use super::results::{CellResult, Status};
use super::store::{Header, Record};
use crate::run::versions::Versions;
use crate::scenario::deviations::Deviation;
use crate::scenario::pairs::Coverage;

/// What some runs of a cell say.
struct Judgement<'h> {
    status: Status,
    text: Option<String>,
    deviation: Option<&'h Deviation>,
}

/// Judges a cell.
pub fn judged(cell: CellId, runs: Vec<Record>, header: &Header) -> CellResult {
    let Judgement { status, text, deviation } = judge(&cell, &runs, header.repeat, header);
    CellResult { cell, status, text, deviation: deviation.cloned(), runs }
}

/// What a single run says about its cell.
pub fn alone(run: &Record, header: &Header) -> Status {
    judge(&run.cell, std::slice::from_ref(run), 1, header).status
}

/// The different verdicts of some runs.
pub fn verdicts<'r>(runs: impl IntoIterator<Item = &'r Record>) -> Vec<&'r str> {
    let mut words: Vec<&str> = runs.into_iter().map(|r| r.verdict.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn judge<'h>(cell: &CellId, runs: &[Record], repeat: u32, header: &'h Header) -> Judgement<'h> {
    if let Some(bug) = runs.iter().find(|r| r.bug) {
        return Judgement { status: Status::Bug, text: bug.reason.clone(), deviation: None };
    }
    if let Some(accident) = runs.iter().find(|r| r.accident()) {
        return Judgement { status: Status::Accident, text: accident.reason.clone(), deviation: None };
    }
    if runs.len() < repeat as usize {
        let text = format!("{} of {repeat} runs have a result: interrupted, or a shard is missing", runs.len());
        return Judgement { status: Status::Missing, text: Some(text), deviation: None };
    }
    let groups = by_versions(runs);
    let one = |(versions, runs): &(Versions, Vec<&Record>)| same_versions(cell, versions, runs, header);
    if let [group] = groups.as_slice() {
        return one(group);
    }
    // Before and after an upgrade of the gateways: each is judged by what is known of its versions, and the worst counts.
    let all: Vec<(&Versions, Judgement<'h>)> = groups.iter().map(|g| (&g.0, one(g))).collect();
    let line = |(versions, j): &(&Versions, Judgement<'_>)| {
        let told = versions.told(&cell.pairing).join(", ");
        let who = if told.is_empty() { "unknown versions" } else { &told };
        let text = j.text.as_ref().map(|t| format!(": {t}")).unwrap_or_default();
        format!("{who}: {}{text}", j.status.words())
    };
    let text = all.iter().map(line).collect::<Vec<_>>().join("\n");
    let worst = all.into_iter().map(|(_, j)| j).max_by_key(|j| j.status);
    let (status, deviation) = worst.map_or((Status::Missing, None), |j| (j.status, j.deviation));
    Judgement { status, text: Some(text), deviation }
}

/// Runs by the versions that played; those that were skipped have none, and count with all.
fn by_versions(runs: &[Record]) -> Vec<(Versions, Vec<&Record>)> {
    let mut versions: Vec<Versions> = runs.iter().filter(|r| !r.skipped()).map(|r| r.versions.clone()).collect();
    versions.sort();
    versions.dedup();
    if versions.is_empty() {
        versions.push(Versions::default());
    }
    let of = |v: &Versions| runs.iter().filter(|r| r.skipped() || r.versions == *v).collect();
    versions.into_iter().map(|v| (v.clone(), of(&v))).collect()
}

fn same_versions<'h>(cell: &CellId, versions: &Versions, runs: &[&Record], header: &'h Header) -> Judgement<'h> {
    let why = |r: &Record| r.reason.clone();
    let (deviation, others) = known(cell, versions, header);
    let told = |status: Status, text: Option<String>| Judgement { status, text, deviation };
    let words = verdicts(runs.iter().copied());
    let (&[word], Some(first)) = (words.as_slice(), runs.first()) else {
        let of = |w: &str| {
            let mut such = runs.iter().filter(|r| r.verdict == w).peekable();
            let reason = such.peek().and_then(|r| r.reason.as_ref()).map(|r| format!(": {r}")).unwrap_or_default();
            format!("{} of {} {w}{reason}", such.count(), runs.len())
        };
        return told(Status::Flaky, Some(words.iter().map(|w| of(w)).collect::<Vec<_>>().join("\n")));
    };
    let with_others = |text: Option<String>| {
        let all: Vec<String> = text.into_iter().chain(others).collect();
        (!all.is_empty()).then(|| all.join("\n"))
    };
    match (word, deviation) {
        ("skipped", _) => told(Status::Skipped, why(first)),
        ("reproduced", None) => told(Status::Expected, with_others(None)),
        ("reproduced", Some(d)) => {
            let played = versions.told(&cell.pairing).join(", ");
            let with = if played.is_empty() { String::new() } else { format!(" with {played}") };
            let text = format!(
                "line {} of the known deviations ({}) says {}, but it reproduces{with}: remove the entry, or narrow it to other versions",
                d.line, d.pairing, d.verdict
            );
            told(Status::StoppedDeviating, Some(text))
        }
        (_, None) => told(Status::Unexpected, with_others(why(first))),
        (word, Some(d)) if word == d.verdict => told(Status::KnownDeviation, Some(d.reason.clone())),
        (_, Some(d)) => {
            let text = format!("line {} of the known deviations says {}: {}", d.line, d.verdict, why(first).unwrap_or_default());
            told(Status::DeviatesOtherwise, Some(text))
        }
    }
}

/// The first entry about a cell in these versions; without one, why those that are about the cell in other versions do not count.
fn known<'h>(cell: &CellId, versions: &Versions, header: &'h Header) -> (Option<&'h Deviation>, Vec<String>) {
    let mut others = Vec::new();
    for d in &header.deviations {
        match d.covers(&cell.scenario, &cell.pairing, cell.world, versions) {
            Coverage::Covered => return (Some(d), Vec::new()),
            Coverage::OtherVersion(why) => {
                others.push(format!("line {} of the known deviations is about {}, which does not count: {why}", d.line, d.pairing));
            }
            Coverage::Elsewhere => {}
        }
    }
    (None, others)
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::{header, record};
    use super::*;

    fn deviations(list: &[(&str, &str)]) -> Vec<Deviation> {
        let entry = |(pairing, verdict): &(&str, &str)| {
            format!("[[deviation]]\nscenario='one'\npairing='{pairing}'\nverdict='{verdict}'\nreason='r'\nlink='l'\n")
        };
        let text: String = list.iter().map(entry).collect();
        let source = crate::scenario::Source::new("known-deviations.toml", text);
        crate::scenario::deviations::load(&source, &["one"], &["a", "b"]).unwrap()
    }

    fn knowing(list: &[(&str, &str)], repeat: u32) -> Header {
        Header { deviations: deviations(list), repeat, ..header() }
    }

    fn status(verdicts: &[&str], repeat: u32, listed: Option<&str>) -> Status {
        let list: Vec<(&str, &str)> = listed.iter().map(|verdict| ("a:*", *verdict)).collect();
        let cell = header().cells().remove(0);
        let runs: Vec<Record> = verdicts.iter().zip(1..).map(|(v, n)| record(&cell, n, v)).collect();
        judged(cell, runs, &knowing(&list, repeat)).status
    }

    /// A run of the cell one/a:b/host, with the version of a.
    fn run(attempt: u32, verdict: &str, version: Option<&str>) -> Record {
        let first = version.map(str::to_owned);
        let others = first.as_ref().map(|_| "1".to_owned());
        Record { versions: Versions { first, others }, ..record(&header().cells()[0], attempt, verdict) }
    }

    /// What that cell says after one run.
    fn says(list: &[(&str, &str)], verdict: &str, version: Option<&str>) -> (Status, String) {
        let run = run(1, verdict, version);
        let found = judged(run.cell.clone(), vec![run], &knowing(list, 1));
        (found.status, found.text.unwrap_or_default())
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
        let runs = vec![record(&cell, 1, "reproduced"), record(&cell, 2, "fix-failed")];
        let told = judged(cell, runs, &knowing(&[], 2)).text;
        assert_eq!(told.as_deref(), Some("1 of 2 fix-failed: because fix-failed\n1 of 2 reproduced"));
        assert_eq!(status(&["reproduced"], 2, None), Status::Missing);
        assert_eq!(status(&[], 1, None), Status::Missing);
        let mut bug = record(&header().cells()[0], 1, "inconclusive");
        bug.bug = true;
        assert_eq!(judged(bug.cell.clone(), vec![bug], &knowing(&[], 2)).status, Status::Bug);
    }

    #[test]
    fn only_the_cells_of_the_list_are_covered() {
        let header = knowing(&[("a:*", "fix-failed")], 1);
        let of = |n: usize| judged(header.cells()[n].clone(), vec![record(&header.cells()[n], 1, "fix-failed")], &header);
        assert_eq!((of(0).status, of(1).status), (Status::KnownDeviation, Status::KnownDeviation));
        assert_eq!((of(2).status, of(3).status), (Status::Unexpected, Status::Unexpected));
    }

    #[test]
    fn an_entry_counts_for_the_versions_of_its_range_and_for_no_others() {
        let list = [("a@>=4,<5:b", "fix-failed")];
        assert_eq!(says(&list, "fix-failed", Some("4.10")).0, Status::KnownDeviation);
        let (stopped, text) = says(&list, "reproduced", Some("4.10"));
        assert_eq!(stopped, Status::StoppedDeviating);
        assert!(text.contains("line 1 ") && text.contains("with a 4.10, b 1") && text.contains("narrow"), "{text}");
        assert_eq!(says(&list, "reproduced", Some("5.2")).0, Status::Expected);
        let (unexpected, text) = says(&list, "fix-failed", Some("5.2"));
        assert_eq!(unexpected, Status::Unexpected);
        assert!(text.starts_with("because fix-failed\n") && text.contains("a@>=4,<5:b") && text.contains("a was 5.2"), "{text}");
        assert_eq!(alone(&run(1, "fix-failed", Some("4.10")), &knowing(&list, 1)), Status::KnownDeviation);
        assert_eq!(alone(&run(1, "fix-failed", Some("5.2")), &knowing(&list, 1)), Status::Unexpected);
        assert_eq!(says(&[("a:b@<2", "fix-failed")], "fix-failed", Some("9")).0, Status::KnownDeviation);
    }

    #[test]
    fn unknown_versions_are_in_no_range_and_that_is_said() {
        let list = [("a@<5:b", "fix-failed")];
        let (status, text) = says(&list, "fix-failed", None);
        assert_eq!(status, Status::Unexpected);
        assert!(text.contains("the version of a is not known"), "{text}");
        let (status, text) = says(&list, "reproduced", None);
        assert_eq!(status, Status::Expected);
        assert!(text.contains("the version of a is not known"), "{text}");
        assert_eq!(says(&[("a:*", "fix-failed")], "fix-failed", None), (Status::KnownDeviation, "r".to_owned()));
    }

    #[test]
    fn of_several_entries_the_first_that_has_the_version_counts() {
        let list = [("a@<5:*", "fix-failed"), ("a@>=5:*", "not-reproduced")];
        assert_eq!(says(&list, "fix-failed", Some("4.10")).0, Status::KnownDeviation);
        assert_eq!(says(&list, "not-reproduced", Some("5.2")).0, Status::KnownDeviation);
        assert_eq!(says(&list, "fix-failed", Some("5.2")).0, Status::DeviatesOtherwise);
    }

    #[test]
    fn runs_before_and_after_an_upgrade_are_judged_by_their_own_versions() {
        let judged = |list: &[(&str, &str)], runs: [Record; 2]| judged(runs[0].cell.clone(), runs.into(), &knowing(list, 2));
        let upgraded = || [run(1, "fix-failed", Some("4.10")), run(2, "reproduced", Some("5.2"))];
        let found = judged(&[("a@<5:*", "fix-failed")], upgraded());
        assert_eq!(found.status, Status::KnownDeviation);
        let text = found.text.unwrap_or_default();
        assert!(text.starts_with("a 4.10, b 1: known deviation: r\na 5.2, b 1: as expected"), "{text}");
        assert_eq!(judged(&[], upgraded()).status, Status::Unexpected);
        assert_eq!(judged(&[("a:*", "fix-failed")], upgraded()).status, Status::StoppedDeviating);
        // A run that was skipped says nothing about versions.
        let found = judged(&[("a@<5:*", "fix-failed")], [run(1, "fix-failed", Some("4.10")), run(2, "skipped", None)]);
        assert_eq!(found.status, Status::Flaky);
    }
}
