//! The parent side of a run: schedules cells, hears what they say, combines reports into verdicts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::artefacts;
use super::drivers::Pairing;
pub use super::ended::Limits;
use super::ended::{Ended, next};
use super::lab::{Job, Order};
use super::lack::NotRun;
use super::ledger::Message;
use super::outcome::{SideReport, Trouble, Verdict, Whose, verdict};
use super::versions::Versions;
use super::worlds::{Cores, WorldChoice, WorldKind, Worlds};
use crate::event::Event;
use crate::report::{Reporter, RunInfo, ScenarioResult};
use crate::scenario::model::{Plan, Scenario, Side};
use crate::time::Timestamp;
use crate::world::cell::{CellError, CellHandle, Kept};
use crate::world::pocket::Pocket;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who plays whom; `None`: in each scenario, on all sides, the first implementation of the table that can.
    pub pairing: Option<Pairing>,
    /// Whose kernel.
    pub world: WorldChoice,
    /// Pockets let time pass as on the host.
    pub real_time: bool,
    /// Cells at once in the host world; in the pocket world, it is one per core.
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

/// What stands for the pairing of a run that chooses one for each scenario.
pub const AUTO: &str = "auto";

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
    run_at(&Arc::new(Places::new(options.real_time, options.jobs)), scenarios, options, reporter).await
}

/// Runs scenarios where others may run at the same time: the worlds, slots and cores of `places` are shared.
pub async fn run_at(places: &Arc<Places>, scenarios: &[Scenario], options: &Options, reporter: &mut dyn Reporter) -> Finished {
    let begun = Instant::now();
    let dir = options.root.join(&options.run);
    let pairing = options.pairing.as_ref().map_or_else(|| AUTO.to_owned(), Pairing::to_string);
    reporter.begin(&RunInfo { scenarios, pairing: &pairing, dir: &dir, jobs: options.jobs });
    let (say, mut hear) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let mut results: Vec<Option<ScenarioResult>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut players: Vec<(Pairing, Versions)> = Vec::new();
    for (i, scenario) in scenarios.iter().enumerate() {
        let world = match places.worlds.cast(options.world, scenario, options.pairing.as_ref()).await {
            Ok((pairing, world)) => {
                let versions = places.worlds.versions(scenario, &pairing, world).await;
                players.push((pairing, versions));
                world
            }
            Err(not_run) => {
                players.push((options.pairing.clone().unwrap_or_default(), Versions::default()));
                let whose = if let NotRun::Failed(trouble) = &not_run { Some(trouble.whose) } else { None };
                let r = result(scenario, options, &players[i], not_run.into(), Vec::new(), Duration::ZERO);
                let r = ScenarioResult { whose, ..r };
                reporter.scenario_ended(&r);
                results.push(Some(r));
                open.push(0);
                continue;
            }
        };
        results.push(None);
        let plans: Vec<&Plan> = scenario.plans().filter(|p| options.only.is_none_or(|only| only == p.side)).collect();
        open.push(plans.len());
        for plan in plans {
            tasks.spawn(side(i, job(scenario, plan, options, &players[i].0, world), Arc::clone(places), say.clone()));
        }
    }
    drop(say);
    let mut sides: BTreeMap<usize, Vec<SideReport>> = BTreeMap::new();
    let mut kept = Vec::new();
    let mut starts: BTreeMap<usize, Instant> = BTreeMap::new();
    while let Some(heard) = hear.recv().await {
        match heard {
            Heard::Started(i, side) => {
                starts.entry(i).or_insert_with(Instant::now);
                reporter.side_started(&scenarios[i].id, side);
            }
            Heard::Event(i, side, event) => reporter.event(&scenarios[i].id, side, &event),
            Heard::Kept(cell) => kept.push(cell),
            Heard::Ended(i, report) => {
                reporter.side_ended(&report);
                let reports = sides.entry(i).or_default();
                reports.push(*report);
                if reports.len() == open[i] {
                    let mut reports = std::mem::take(reports);
                    reports.sort_by_key(|r| r.side);
                    let elapsed = starts.get(&i).map_or(Duration::ZERO, Instant::elapsed);
                    let r = result(&scenarios[i], options, &players[i], judge(&scenarios[i], &reports), reports, elapsed);
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

/// `elapsed`: as the clock on the wall says; the sides' own times may be virtual.
fn result(
    scenario: &Scenario,
    options: &Options,
    (pairing, versions): &(Pairing, Versions),
    verdict: Verdict,
    sides: Vec<SideReport>,
    elapsed: Duration,
) -> ScenarioResult {
    ScenarioResult {
        whose: sides.iter().find_map(|s| s.trouble.as_ref()).map(|t| t.whose),
        scenario: scenario.id.clone(),
        kind: scenario.kind,
        title: scenario.title.clone(),
        ticket: scenario.ticket.clone(),
        diagnosis: scenario.diagnosis.clone(),
        fix: scenario.fix_about.clone(),
        file: scenario.file.clone(),
        rfc: scenario.rfc.clone(),
        slides: scenario.slides.clone(),
        pairing: pairing.to_string(),
        versions: versions.clone(),
        verdict,
        sides,
        again: again(scenario, options, pairing),
        dir: options.root.join(&options.run).join(&scenario.id),
        elapsed,
    }
}

fn again(scenario: &Scenario, options: &Options, pairing: &Pairing) -> String {
    let what = if Path::new(&scenario.file).is_file() { scenario.file.as_str() } else { scenario.id.as_str() };
    let pair = if *pairing == Pairing::default() { String::new() } else { format!(" --pair {pairing}") };
    let world = match options.world {
        WorldChoice::Auto => "",
        WorldChoice::Host => " --world host",
        WorldChoice::Pocket => " --world pocket",
    };
    let real = if options.real_time { " --real-time" } else { "" };
    format!("faultlab run {what}{pair}{world}{real}")
}

fn job(scenario: &Scenario, plan: &Plan, options: &Options, pairing: &Pairing, world: WorldKind) -> Job {
    let implementations = plan.gateways.iter().enumerate().map(|(i, g)| (g.config.name.clone(), pairing.of(plan, i))).collect();
    Job {
        dir: artefacts::side_dir(&options.root, &options.run, &scenario.id, plan.side),
        title: format!("faultlab {} ({} side), {}: {}", scenario.id, plan.side.name(), pairing, scenario.title),
        plan: plan.clone(),
        implementations,
        probes: BTreeMap::new(),
        keep: options.keep,
        world,
    }
}

/// What all sides share: the worlds of this machine, and room for cells in them.
#[derive(Debug)]
pub struct Places {
    /// The worlds, each looked at when first needed.
    pub worlds: Worlds,
    /// When a pocket is given up.
    pub limits: Limits,
    slots: Semaphore,
    cores: Cores,
}

impl Places {
    /// `jobs`: cells at once in the host world.
    pub fn new(real_time: bool, jobs: usize) -> Places {
        Places { worlds: Worlds::new(real_time), limits: Limits::default(), slots: Semaphore::new(jobs.max(1)), cores: Cores::default() }
    }
}

async fn side(index: usize, mut job: Job, places: Arc<Places>, say: mpsc::UnboundedSender<Heard>) {
    let (mut _slot, mut _core, mut pocket) = (None, None, None);
    match job.world {
        WorldKind::Host => {
            let Ok(slot) = places.slots.acquire().await else { return };
            _slot = Some(slot);
        }
        WorldKind::Pocket => {
            let Some(core) = places.cores.take().await else { return };
            pocket = places.worlds.pocket_on(Some(core.cpu));
            _core = Some(core);
        }
    }
    job.probes = places.worlds.found(job.world).await;
    job.probes.retain(|name, _| job.implementations.values().any(|i| i == name));
    let side = job.plan.side;
    // The listener lives as long as any task; a failed send can only mean that everything is being torn down.
    let _ = say.send(Heard::Started(index, side));
    let started = Timestamp::now();
    let report = match cell(index, &mut job, pocket.map(|p| (p, places.limits)), &say).await {
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

async fn cell(
    index: usize,
    job: &mut Job,
    pocket: Option<(Pocket, Limits)>,
    say: &mpsc::UnboundedSender<Heard>,
) -> Result<(SideReport, Option<CellHandle>), Trouble> {
    let machine = |text: String| Trouble { whose: Whose::Machine, text };
    std::fs::create_dir_all(&job.dir).map_err(|e| machine(format!("cannot make the evidence folder {}: {e}", job.dir.display())))?;
    // The cell has other mounts, but sees the same folder under its absolute name.
    job.dir = std::fs::canonicalize(&job.dir).map_err(|e| machine(format!("{}: {e}", job.dir.display())))?;
    let order = Order::Side(Box::new(job.clone()));
    let begun = Instant::now();
    let limits = pocket.as_ref().map(|(_, limits)| *limits);
    let spawned = match pocket {
        None => CellHandle::spawn(&order),
        Some((pocket, limits)) => {
            let pocket = Pocket { share: Some(job.dir.clone()), ..pocket };
            aside(move || CellHandle::spawn_pocket(&order, &pocket, limits.silence)).await
        }
    };
    let mut cell = spawned.map_err(|e| Ended::unusable(e).keep(&job.dir, &[]))?;
    let mut report = None;
    let mut heard = Vec::new();
    while let Some(said) = next(&mut cell, limits, begun).await.map_err(|ended| ended.keep(&job.dir, &heard))? {
        if limits.is_some() {
            heard.push(said.clone());
        }
        match serde_json::from_value::<Message>(said) {
            Ok(Message::Event(event)) => {
                let _ = say.send(Heard::Event(index, job.plan.side, Box::new(event)));
            }
            Ok(Message::Report(r)) => {
                report = Some(*r);
                break;
            }
            Ok(Message::Probed(_)) => {}
            Err(e) => return Err(Trouble { whose: Whose::Us, text: format!("the cell said something that is no message: {e}") }),
        }
    }
    match report {
        Some(report) if job.keep => {
            let kept = Kept::of(cell.first_pid(), &nodes_of(&job.dir)).and_then(|kept| Ok(serde_json::to_string(&kept)?));
            let told = kept.and_then(|text| std::fs::write(job.dir.join(artefacts::CELL), text));
            told.map_err(|e| machine(format!("cannot tell how to enter the cell: {e}")))?;
            Ok((report, Some(cell)))
        }
        Some(report) => {
            cell.kill();
            Ok((report, None))
        }
        None => {
            let exit = cell.wait().await;
            Err(Ended::like(exit).keep(&job.dir, &heard))
        }
    }
}

/// Starts a pocket on a thread of its own: it takes a third of a second, in which the others must be heard.
async fn aside(start: impl FnOnce() -> Result<CellHandle, CellError> + Send + 'static) -> Result<CellHandle, CellError> {
    let doing = "starting a thread for a pocket";
    let (tell, told) = oneshot::channel();
    let begun = std::thread::Builder::new().name("pocket-start".into()).spawn(move || {
        // Nobody waits any more when everything is being torn down; the cell then ends with its handle.
        let _ = tell.send(start());
    });
    begun.map_err(|source| CellError::Io { doing, source })?;
    told.await.unwrap_or_else(|e| Err(CellError::Io { doing, source: std::io::Error::other(e) }))
}

/// Node names and the file descriptors of their namespaces, as the cell told them.
fn nodes_of(dir: &Path) -> BTreeMap<String, i32> {
    let text = std::fs::read_to_string(dir.join(artefacts::EVENTS)).unwrap_or_default();
    let events = text.lines().filter_map(|l| serde_json::from_str::<Event>(l).ok());
    events.filter_map(|e| if let crate::event::What::NodeUp { node, fd } = e.what { Some((node, fd)) } else { None }).collect()
}
