//! Results as JUnit XML: a suite per pairing and world, a test case per scenario.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::results::{CellResult, Results, Status};
use crate::text::{lines, shown};

/// The report.
pub fn report(results: &Results) -> Report {
    let mut suites: BTreeMap<(usize, &str), TestSuite> = BTreeMap::new();
    for cell in &results.cells {
        let place = results.header.pairings.iter().position(|p| *p == cell.cell.pairing).unwrap_or(usize::MAX);
        let new = || TestSuite::new(format!("faultlab {} {}", cell.cell.pairing, cell.cell.world.name()));
        suites.entry((place, cell.cell.world.name())).or_insert_with(new).add_test_case(case(cell));
    }
    let mut report = Report::new("faultlab matrix");
    report.set_time(Duration::from_millis(results.elapsed_ms));
    report.add_test_suites(suites.into_values());
    report
}

fn case(cell: &CellResult) -> TestCase {
    let mut case = TestCase::new(cell.cell.scenario.as_str(), status(cell));
    let elapsed = cell.runs.iter().map(|r| r.elapsed_ms).sum();
    // Services that show JUnit tell cases apart by class and name.
    case.set_classname(format!("{}.{}", cell.cell.pairing, cell.cell.world.name())).set_time(Duration::from_millis(elapsed));
    let versions = cell.versions();
    if !versions.is_empty() {
        case.add_property(Property::new("played-by", shown(&versions.join("; "))));
    }
    let mut out = String::new();
    for run in &cell.runs {
        let reason = run.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        let evidence = run.evidence.as_ref().map(|e| format!("\n  evidence {e}")).unwrap_or_default();
        out.push_str(&format!("run {}: {}{reason}{evidence}\n  again    {}\n", run.attempt, run.verdict, run.again));
    }
    if let Some(d) = &cell.deviation {
        out.push_str(&format!("known deviation: {}: {} ({})\n", d.verdict, d.reason, d.link));
    }
    case.set_system_out(lines(&out));
    case
}

fn status(cell: &CellResult) -> TestCaseStatus {
    let text = cell.text.clone().unwrap_or_default();
    let mut status = match cell.status {
        Status::Expected | Status::KnownDeviation => return TestCaseStatus::success(),
        Status::Skipped => TestCaseStatus::skipped(),
        Status::Unexpected | Status::StoppedDeviating | Status::DeviatesOtherwise | Status::Flaky => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
        Status::Accident | Status::Bug | Status::Missing => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    status.set_message(lines(&text));
    if cell.status.failed() {
        status.set_type(cell.saying());
    }
    status
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::{header, record};
    use super::super::store::{Record, Store};
    use super::*;
    use crate::run::versions::Versions;

    #[test]
    fn every_cell_is_a_case() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), header()).unwrap();
        let cells = store.header.cells();
        store.write(&record(&cells[0], 1, "reproduced")).unwrap();
        store.write(&record(&cells[1], 1, "skipped")).unwrap();
        let versions = Versions { first: Some("4.10".into()), others: Some("5.9.8".into()) };
        let known = |r: Record| Record { versions: versions.clone(), ..r };
        store.write(&known(record(&cells[2], 1, "not-reproduced"))).unwrap();
        let xml = report(&Results::of(&store, 1).unwrap()).to_string().unwrap();
        assert_eq!(xml.matches("<property name=\"played-by\" value=\"a 4.10, b 5.9.8\"/>").count(), 1, "{xml}");
        for part in ["tests=\"4\"", "failures=\"1\"", "errors=\"1\"", "faultlab a:b pocket", "because skipped", "classname=\"a:b.host\""] {
            assert!(xml.contains(part), "no `{part}` in {xml}");
        }
    }
}
