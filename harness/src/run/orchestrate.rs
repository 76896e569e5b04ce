//! The parent side of a run: schedules cells, hears what they say, combines reports into verdicts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::artefacts;
use super::drivers::{Pairing, runnable};
use super::lab::Job;
use super::ledger::Message;
use super::outcome::{SideReport, Trouble, Verdict, Whose, verdict};
use crate::event::Event;
use crate::report::{Reporter, RunInfo, ScenarioResult};
use crate::scenario::model::{Plan, Scenario, Side};
use crate::time::Timestamp;
use crate::world::cell::{CellError, CellHandle};

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who plays whom.
    pub pairing: Pairing,
    /// Cells at once.
    pub jobs: usize,
    /// Keep the cells alive after their reports until told to stop.
    pub keep: bool,
    /// Only this side (for `--keep` and for looking around; there is no verdict without both).
    pub only: Option<Side>,
    /// Parent folder of all runs.
    pub root: PathBuf,
    /// Name of this run.
    pub run: String,
}

/// What a side's task says.
enum Heard {
    Started(usize, Side),
    Event(usize, Side, Box<Event>),
    Ended(usize, Box<SideReport>),
    Kept(CellHandle),
}

/// Results, and cells that are still alive because of `--keep`.
pub struct Finished {
    /// One per scenario, in order.
    pub results: Vec<ScenarioResult>,
    /// Kept cells; they end when dropped.
    pub kept: Vec<CellHandle>,
}

/// Runs scenarios. Dropping the future ends all cells.
pub async fn run(scenarios: &[Scenario], options: &Options, reporter: &mut dyn Reporter) -> Finished {
    let begun = Instant::now();
    let dir = options.root.join(&options.run);
    let pairing = options.pairing.to_string();
    reporter.begin(&RunInfo { scenarios, pairing: &pairing, dir: &dir, jobs: options.jobs });
    let slots = Arc::new(Semaphore::new(options.jobs.max(1)));
    let (say, mut hear) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let mut results: Vec<Option<ScenarioResult>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for (i, scenario) in scenarios.iter().enumerate() {
        if let Err(reason) = runnable(scenario, &options.pairing) {
            let r = result(scenario, options, Verdict::Skipped(reason), Vec::new());
            reporter.scenario_ended(&r);
            results.push(Some(r));
            open.push(0);
            continue;
        }
        results.push(None);
        let plans: Vec<&Plan> = std::iter::once(&scenario.broken)
            .chain(scenario.fixed.as_ref())
            .filter(|p| options.only.is_none_or(|only| only == p.side))
            .collect();
        open.push(plans.len());
        for plan in plans {
            tasks.spawn(side(i, job(scenario, plan, options), Arc::clone(&slots), say.clone()));
        }
    }
    drop(say);
    let mut sides: BTreeMap<usize, Vec<SideReport>> = BTreeMap::new();
    let mut kept = Vec::new();
    while let Some(heard) = hear.recv().await {
        match heard {
            Heard::Started(i, side) => reporter.side_started(&scenarios[i].id, side),
            Heard::Event(i, side, event) => reporter.event(&scenarios[i].id, side, &event),
            Heard::Kept(cell) => kept.push(cell),
            Heard::Ended(i, report) => {
                reporter.side_ended(&report);
                let reports = sides.entry(i).or_default();
                reports.push(*report);
                if reports.len() == open[i] {
                    let mut reports = std::mem::take(reports);
                    reports.sort_by_key(|r| r.side);
                    let r = result(&scenarios[i], options, judge(&scenarios[i], &reports), reports);
                    reporter.scenario_ended(&r);
                    results[i] = Some(r);
                }
            }
        }
    }
    let results: Vec<ScenarioResult> = results.into_iter().flatten().collect();
    reporter.end(&results, begun.elapsed());
    Finished { results, kept }
}

fn judge(scenario: &Scenario, reports: &[SideReport]) -> Verdict {
    let of = |side: Side| reports.iter().find(|r| r.side == side);
    match (of(Side::Broken), of(Side::Fixed)) {
        (Some(broken), fixed) => verdict(scenario.kind, broken, fixed),
        (None, _) => Verdict::Inconclusive("the broken side was not run".to_owned()),
    }
}

fn result(scenario: &Scenario, options: &Options, verdict: Verdict, sides: Vec<SideReport>) -> ScenarioResult {
    let start = sides.iter().map(|s| s.started).min();
    let end = sides.iter().map(|s| s.started + s.elapsed).max();
    let elapsed = start.zip(end).map_or(Duration::ZERO, |(s, e)| e.since(s));
    ScenarioResult {
        scenario: scenario.id.clone(),
        kind: scenario.kind,
        title: scenario.title.clone(),
        ticket: scenario.ticket.clone(),
        diagnosis: scenario.diagnosis.clone(),
        fix: scenario.fix_about.clone(),
        file: scenario.file.clone(),
        rfc: scenario.rfc.clone(),
        slides: scenario.slides.clone(),
        pairing: options.pairing.to_string(),
        verdict,
        sides,
        again: again(scenario, options),
        dir: options.root.join(&options.run).join(&scenario.id),
        elapsed,
    }
}

fn again(scenario: &Scenario, options: &Options) -> String {
    let what = if Path::new(&scenario.file).is_file() { scenario.file.as_str() } else { scenario.id.as_str() };
    let pair = if options.pairing == Pairing::default() { String::new() } else { format!(" --pair {}", options.pairing) };
    format!("faultlab run {what}{pair}")
}

fn job(scenario: &Scenario, plan: &Plan, options: &Options) -> Job {
    let implementations = plan.gateways.iter().enumerate().map(|(i, g)| (g.config.name.clone(), options.pairing.of(plan, i))).collect();
    Job {
        dir: artefacts::side_dir(&options.root, &options.run, &scenario.id, plan.side),
        title: format!("faultlab {} ({} side), {}: {}", scenario.id, plan.side.name(), options.pairing, scenario.title),
        plan: plan.clone(),
        implementations,
        keep: options.keep,
    }
}

async fn side(index: usize, mut job: Job, slots: Arc<Semaphore>, say: mpsc::UnboundedSender<Heard>) {
    let Ok(_slot) = slots.acquire().await else { return };
    let side = job.plan.side;
    // The listener lives as long as any task; a failed send can only mean that everything is being torn down.
    let _ = say.send(Heard::Started(index, side));
    let started = Timestamp::now();
    let report = match cell(index, &mut job, &say).await {
        Ok((report, cell)) => {
            if let Some(cell) = cell {
                let _ = say.send(Heard::Kept(cell));
            }
            report
        }
        Err(trouble) => SideReport {
            elapsed: Timestamp::now().since(started),
            trouble: Some(trouble),
            ..SideReport::begun(&job.plan, job.dir.clone(), started)
        },
    };
    let _ = say.send(Heard::Ended(index, Box::new(report)));
}

async fn cell(index: usize, job: &mut Job, say: &mpsc::UnboundedSender<Heard>) -> Result<(SideReport, Option<CellHandle>), Trouble> {
    let machine = |text: String| Trouble { whose: Whose::Machine, text };
    std::fs::create_dir_all(&job.dir).map_err(|e| machine(format!("cannot make the evidence folder {}: {e}", job.dir.display())))?;
    // The cell has other mounts, but sees the same folder under its absolute name.
    job.dir = std::fs::canonicalize(&job.dir).map_err(|e| machine(format!("{}: {e}", job.dir.display())))?;
    let mut cell = CellHandle::spawn(job).map_err(|e| match e {
        CellError::Refused(_) | CellError::Io { .. } => machine(e.to_string()),
        CellError::Died(_) | CellError::Garbage(_) | CellError::Job(_) => Trouble { whose: Whose::Us, text: e.to_string() },
    })?;
    let mut report = None;
    while let Some(said) = cell.next().await {
        let said = said.map_err(|e| Trouble { whose: Whose::Us, text: e.to_string() })?;
        match serde_json::from_value::<Message>(said) {
            Ok(Message::Event(event)) => {
                let _ = say.send(Heard::Event(index, job.plan.side, Box::new(event)));
            }
            Ok(Message::Report(r)) => {
                report = Some(*r);
                break;
            }
            Err(e) => return Err(Trouble { whose: Whose::Us, text: format!("the cell said something that is no message: {e}") }),
        }
    }
    match report {
        Some(report) if job.keep => {
            let pid = cell.first_pid();
            let text = serde_json::json!({ "pid": pid, "nodes": nodes_of(&job.dir) }).to_string();
            std::fs::write(job.dir.join(artefacts::CELL), text).map_err(|e| machine(e.to_string()))?;
            Ok((report, Some(cell)))
        }
        Some(report) => {
            cell.kill();
            Ok((report, None))
        }
        None => {
            let exit = cell.wait().await;
            Err(Trouble { whose: Whose::Us, text: exit.to_string() })
        }
    }
}

/// Node names and the file descriptors of their namespaces, as the cell told them.
fn nodes_of(dir: &Path) -> BTreeMap<String, i32> {
    let text = std::fs::read_to_string(dir.join(artefacts::EVENTS)).unwrap_or_default();
    let events = text.lines().filter_map(|l| serde_json::from_str::<Event>(l).ok());
    events.filter_map(|e| if let crate::event::What::NodeUp { node, fd } = e.what { Some((node, fd)) } else { None }).collect()
}
