//! The reporter of a batch: keeps every result as soon as it is known, and tells the progress.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use tokio::sync::Notify;

use super::plan::CellId;
use super::store::{Record, Store, StoreError, evidence};
use super::story;
use crate::event::Event;
use crate::report::{Reporter, RunInfo, ScenarioResult};
use crate::run::outcome::{SideReport, Whose};
use crate::run::worlds::WorldKind;
use crate::scenario::model::Side;

/// What all batches of a matrix share.
pub struct Shared<'a> {
    /// Where results are kept.
    pub store: &'a Store,
    /// Hears about every result.
    pub progress: RefCell<&'a mut dyn FnMut(&Record)>,
    /// The first result that could not be kept; there is no point in going on then.
    pub failed: RefCell<Option<StoreError>>,
    /// Wakes whoever waits for `failed`.
    pub wake: Notify,
}

impl Shared<'_> {
    /// Keeps a result.
    pub fn keep(&self, record: &Record) {
        match self.store.write(record) {
            Ok(()) => (self.progress.borrow_mut())(record),
            Err(e) => {
                self.failed.borrow_mut().get_or_insert(e);
                self.wake.notify_one();
            }
        }
    }
}

/// Reporter of one batch.
pub struct Recorder<'r, 's> {
    pub shared: &'r Shared<'s>,
    pub world: WorldKind,
    pub attempt: u32,
}

impl Reporter for Recorder<'_, '_> {
    fn begin(&mut self, _: &RunInfo<'_>) {}
    fn side_started(&mut self, _: &str, _: Side) {}
    fn event(&mut self, _: &str, _: Side, _: &Event) {}
    fn side_ended(&mut self, _: &SideReport) {}

    fn scenario_ended(&mut self, result: &ScenarioResult) {
        let cell = CellId { scenario: result.scenario.clone(), pairing: result.pairing.clone(), world: self.world };
        let ran = !result.sides.is_empty();
        let evidence = evidence(&cell, self.attempt);
        let told = if ran { story::write(&self.shared.store.dir().join(&evidence), &cell, result) } else { Ok(()) };
        if let Err(e) = told {
            self.shared.failed.borrow_mut().get_or_insert(e);
            self.shared.wake.notify_one();
            return;
        }
        let evidence = ran.then_some(evidence);
        self.shared.keep(&record(cell, self.attempt, result, evidence));
    }

    fn end(&mut self, _: &[ScenarioResult], _: Duration) {}
}

fn record(cell: CellId, attempt: u32, result: &ScenarioResult, evidence: Option<String>) -> Record {
    let now = std::time::SystemTime::now();
    let started = now.checked_sub(result.elapsed).map(|t| humantime::format_rfc3339_millis(t).to_string());
    Record {
        cell,
        attempt,
        versions: result.versions.clone(),
        verdict: result.verdict.word().to_owned(),
        reason: result.verdict.reason().map(str::to_owned),
        bug: result.whose == Some(Whose::Us),
        whose: result.whose,
        lack: result.verdict.lack(),
        started: started.filter(|_| !result.sides.is_empty()),
        elapsed_ms: u64::try_from(result.elapsed.as_millis()).unwrap_or(u64::MAX),
        evidence,
        again: result.again.clone(),
    }
}

/// Removes what an interrupted run has left.
pub fn clear(dir: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(dir) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io { doing: "remove what an interrupted run left in", path: dir.to_owned(), source })
        }
        _ => Ok(()),
    }
}
