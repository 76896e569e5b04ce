//! Machine-readable result: one JSON document on stdout at the end.

use std::io;
use std::time::Duration;

use serde::Serialize;

use super::{Reporter, RunInfo, ScenarioResult, to_stdout};
use crate::event::Event;
use crate::run::outcome::SideReport;
use crate::scenario::model::Side;
use crate::text::json;

/// Collects, then prints.
pub struct Json {
    pairing: String,
    dir: String,
    written: io::Result<()>,
}

impl Default for Json {
    fn default() -> Json {
        Json { pairing: String::new(), dir: String::new(), written: Ok(()) }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    pairing: &'a str,
    evidence: &'a str,
    elapsed_ms: u128,
    results: &'a [ScenarioResult],
}

impl Reporter for Json {
    fn begin(&mut self, run: &RunInfo<'_>) {
        self.pairing = run.pairing.to_owned();
        self.dir = run.dir.display().to_string();
    }
    fn side_started(&mut self, _: &str, _: Side) {}
    fn event(&mut self, _: &str, _: Side, _: &Event) {}
    fn side_ended(&mut self, _: &SideReport) {}
    fn scenario_ended(&mut self, _: &ScenarioResult) {}
    fn end(&mut self, results: &[ScenarioResult], elapsed: Duration) {
        let document = Document { format: 1, pairing: &self.pairing, evidence: &self.dir, elapsed_ms: elapsed.as_millis(), results };
        self.written = serde_json::to_string_pretty(&document).map_err(io::Error::from).and_then(|text| to_stdout(&json(&text)));
    }
    fn written(&mut self) -> io::Result<()> {
        std::mem::replace(&mut self.written, Ok(()))
    }
}
