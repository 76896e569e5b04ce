//! Runs a matrix: everything that has no result yet, as far as it can run here. All batches share the machine's slots and
//! cores; while cells of the host world wait for protocol timers, those of the pocket world use the processor.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::plan::{self, CellId};
use super::recorder::{Recorder, Shared, clear};
use super::results::Results;
use super::store::{Record, Store, StoreError, column, evidence};
use crate::run::artefacts;
use crate::run::drivers::Pairing;
use crate::run::lack::Lack;
use crate::run::orchestrate::{self, Options, Places};
use crate::run::outcome::Whose;
use crate::run::versions::Versions;
use crate::run::worlds::WorldKind;
use crate::scenario::model::Scenario;

/// What to run.
pub struct Request<'a> {
    /// The scenarios of the store's header, in its order.
    pub scenarios: &'a [Scenario],
    /// Its pairings.
    pub pairings: &'a [Pairing],
    /// Cells at once in the host world.
    pub jobs: usize,
}

/// Scenarios of one column that are to run once.
struct Batch {
    pairing: Pairing,
    world: WorldKind,
    attempt: u32,
    scenarios: Vec<Scenario>,
}

/// Runs what has no result yet. Dropping the future ends all cells; results so far are kept. An error: a result cannot be
/// kept.
pub async fn run(
    store: &Store,
    places: &Arc<Places>,
    request: &Request<'_>,
    progress: &mut dyn FnMut(&Record),
) -> Result<Results, StoreError> {
    let begun = Instant::now();
    let shared = Shared { store, progress: RefCell::new(progress), failed: RefCell::new(None), wake: Notify::new() };
    let batches = batches(store, request, &shared)?;
    let all = join_all(batches.iter().map(|b| batch(b, places, request.jobs, &shared)));
    tokio::select! {
        biased;
        () = shared.wake.notified() => {}
        _ = all => {}
    }
    if let Some(e) = shared.failed.take() {
        return Err(e);
    }
    nothing_lost(store, &batches, &shared)?;
    Results::of(store, u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// What has no result yet, by column. A cell that did not run is decided anew: what was missing may be here now.
fn batches(store: &Store, request: &Request<'_>, shared: &Shared<'_>) -> Result<Vec<Batch>, StoreError> {
    let by_id: BTreeMap<&str, &Scenario> = request.scenarios.iter().map(|s| (s.id.as_str(), s)).collect();
    let by_name: BTreeMap<String, &Pairing> = request.pairings.iter().map(|p| (p.to_string(), p)).collect();
    let mut columns: BTreeMap<(u32, usize, WorldKind), Batch> = BTreeMap::new();
    for cell in store.header.cells() {
        let (Some(scenario), Some(pairing)) = (by_id.get(cell.scenario.as_str()), by_name.get(&cell.pairing)) else { continue };
        let same = plan::repetitions(scenario, request.pairings);
        for attempt in 1..=store.header.repeat {
            if store.read(&cell, attempt)?.is_some_and(|r| !r.not_run()) {
                continue;
            }
            clear(&store.dir().join(evidence(&cell, attempt)))?;
            if let Some(earlier) = same.get(&cell.pairing) {
                let reason = format!("the scenario names its implementations: the same gateways as with {earlier}");
                shared.keep(&Record { lack: Some(Lack::Design), ..not_run(&cell, attempt, "skipped", reason) });
                continue;
            }
            let place = request.pairings.iter().position(|p| p == *pairing).unwrap_or(0);
            let new = || Batch { pairing: (*pairing).clone(), world: cell.world, attempt, scenarios: Vec::new() };
            columns.entry((attempt, place, cell.world)).or_insert_with(new).scenarios.push((*scenario).clone());
        }
    }
    Ok(columns.into_values().collect())
}

async fn batch(batch: &Batch, places: &Arc<Places>, jobs: usize, shared: &Shared<'_>) {
    let options = Options {
        pairing: Some(batch.pairing.clone()),
        world: batch.world.into(),
        real_time: false,
        jobs,
        keep: false,
        only: None,
        root: shared.store.dir().join(artefacts::EVIDENCE),
        run: column(&batch.pairing.to_string(), batch.world, batch.attempt),
    };
    let mut recorder = Recorder { shared, world: batch.world, attempt: batch.attempt };
    orchestrate::run_at(places, &batch.scenarios, &options, &mut recorder).await;
}

/// A run whose task ended without a word is a bug of ours, and must not look like a cell that was never asked for.
fn nothing_lost(store: &Store, batches: &[Batch], shared: &Shared<'_>) -> Result<(), StoreError> {
    for b in batches {
        for s in &b.scenarios {
            let cell = CellId { scenario: s.id.clone(), pairing: b.pairing.to_string(), world: b.world };
            if store.read(&cell, b.attempt)?.is_none() {
                let reason = "what ran it ended without a result".to_owned();
                shared.keep(&Record { bug: true, whose: Some(Whose::Us), ..not_run(&cell, b.attempt, "inconclusive", reason) });
            }
        }
    }
    shared.failed.take().map_or(Ok(()), Err)
}

fn not_run(cell: &CellId, attempt: u32, verdict: &str, reason: String) -> Record {
    let again = format!("faultlab run {} --pair {} --world {}", cell.scenario, cell.pairing, cell.world.name());
    Record {
        cell: cell.clone(),
        attempt,
        versions: Versions::default(),
        verdict: verdict.to_owned(),
        reason: Some(reason),
        bug: false,
        whose: None,
        lack: None,
        started: None,
        elapsed_ms: 0,
        evidence: None,
        again,
    }
}
