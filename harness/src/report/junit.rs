//! JUnit XML on stdout at the end, one test case per scenario.

use std::io;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Reporter, RunInfo, ScenarioResult, to_stdout};
use crate::event::Event;
use crate::run::outcome::{SideReport, Verdict};
use crate::scenario::model::Side;
use crate::text::lines;

/// Collects, then prints.
pub struct Junit {
    pairing: String,
    written: io::Result<()>,
}

impl Default for Junit {
    fn default() -> Junit {
        Junit { pairing: String::new(), written: Ok(()) }
    }
}

impl Reporter for Junit {
    fn begin(&mut self, run: &RunInfo<'_>) {
        self.pairing = run.pairing.to_owned();
    }
    fn side_started(&mut self, _: &str, _: Side) {}
    fn event(&mut self, _: &str, _: Side, _: &Event) {}
    fn side_ended(&mut self, _: &SideReport) {}
    fn scenario_ended(&mut self, _: &ScenarioResult) {}
    fn end(&mut self, results: &[ScenarioResult], elapsed: Duration) {
        self.written = report(&self.pairing, results, elapsed).to_string().map_err(io::Error::other).and_then(|text| to_stdout(&text));
    }
    fn written(&mut self) -> io::Result<()> {
        std::mem::replace(&mut self.written, Ok(()))
    }
}

fn report(pairing: &str, results: &[ScenarioResult], elapsed: Duration) -> Report {
    let mut suite = TestSuite::new(format!("faultlab {pairing}"));
    for r in results {
        let mut case = TestCase::new(r.scenario.as_str(), status(&r.verdict));
        case.set_classname("faultlab").set_time(r.elapsed);
        case.set_system_out(super::human::explain(r, false));
        suite.add_test_case(case);
    }
    suite.set_time(elapsed);
    let mut report = Report::new("faultlab");
    report.set_time(elapsed);
    report.add_test_suite(suite);
    report
}

fn status(verdict: &Verdict) -> TestCaseStatus {
    match verdict {
        Verdict::Reproduced => TestCaseStatus::success(),
        Verdict::Skipped(skip) => {
            let mut s = TestCaseStatus::skipped();
            s.set_message(lines(&skip.text));
            s
        }
        Verdict::NotReproduced(reason) | Verdict::FixFailed(reason) => failure(NonSuccessKind::Failure, verdict.word(), reason),
        Verdict::FaultNotInForce(reason) | Verdict::Inconclusive(reason) => failure(NonSuccessKind::Error, verdict.word(), reason),
    }
}

fn failure(kind: NonSuccessKind, word: &str, reason: &str) -> TestCaseStatus {
    let mut s = TestCaseStatus::non_success(kind);
    s.set_type(word).set_message(lines(reason));
    s
}
