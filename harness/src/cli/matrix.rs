//! `faultlab matrix` and `faultlab matrix merge`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::exit::{CliError, Exit};
use super::run::{Format, interruption, jobs, run_name};
use super::{folder, here, print, scenarios};
use crate::matrix::plan::Shard;
use crate::matrix::results::{Results, Status};
use crate::matrix::run::Request;
use crate::matrix::store::{FORMAT, Header, Record, Row, Store, StoreError, content_hash, read, replace, write};
use crate::matrix::{html, judge, junit, merge, run};
use crate::report::to_stderr;
use crate::run::artefacts;
use crate::run::drivers::{self, Pairing};
use crate::run::orchestrate::Places;
use crate::run::worlds::WorldKind;
use crate::scenario::deviations::{self, Deviation};
use crate::scenario::library::Library;
use crate::text;

/// Arguments of `matrix`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct MatrixArgs {
    #[command(subcommand)]
    command: Option<MatrixCommand>,
    /// Scenario files, ids, groups or tags; all scenarios when none is given.
    #[arg(value_name = "FILE|ID|TAG")]
    what: Vec<String>,
    /// Who plays whom: `A:B,C:D`, or `all` for every ordered pair that faultlab knows; default: of those that are here.
    #[arg(long, value_name = "A:B,…|all")]
    pairs: Option<Several<Pairing>>,
    /// Whose kernels: `host,pocket`, or `all`; default: those that are here.
    #[arg(long, value_name = "WORLD,…|all")]
    worlds: Option<Several<WorldKind>>,
    /// Folder for results and evidence; when it holds results of the same matrix, that is resumed. Default: a new one.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only one of n parts of the cells, from 1/n to n/n; see `faultlab matrix merge`.
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE)]
    shard: Shard,
    /// Run each cell so often; different verdicts are marked as flaky.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Cells at once in the host world; default: two per core, so that they stay punctual beside the pocket
    /// cells, of which there is one per core.
    #[arg(long, short, value_parser = jobs())]
    jobs: Option<u16>,
    #[command(flatten)]
    report: ReportArgs,
}

/// How results are told.
#[derive(Debug, Args)]
struct ReportArgs {
    /// Results of another time (a folder, or its results.json): the page and the summary tell what has changed.
    #[arg(long, value_name = "DIR|FILE")]
    previous: Option<PathBuf>,
    /// Form of the result; the folder has all of them.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Exit with code 3 when a cell was skipped, or a world or an implementation left out, for want of something that could be installed
    /// or allowed (package, kernel, privilege); what the pairing or the world cannot do by design stays skipped.
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Subcommand)]
enum MatrixCommand {
    /// Put the results of shards together.
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
struct MergeArgs {
    /// Results folders of the shards.
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Folder for all results.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    report: ReportArgs,
}

/// A list, or everything there is.
#[derive(Debug, Clone)]
enum Several<T> {
    All,
    These(Vec<T>),
}

impl<T: FromStr<Err = String> + PartialEq> FromStr for Several<T> {
    type Err = String;
    fn from_str(text: &str) -> Result<Several<T>, String> {
        if text == "all" {
            return Ok(Several::All);
        }
        let mut list = Vec::new();
        for word in text.split(',') {
            let item = word.trim().parse()?;
            if !list.contains(&item) {
                list.push(item);
            }
        }
        Ok(Several::These(list))
    }
}

/// Runs a matrix, or merges shards.
pub fn matrix(args: &MatrixArgs, library: impl FnOnce() -> Result<Library, CliError>) -> Result<Exit, CliError> {
    match &args.command {
        Some(MatrixCommand::Merge(merging)) => {
            let previous = previous(&merging.report)?;
            folder::name(&merging.out, "--out")?;
            let results = merge::merge(&merging.dirs, &merging.out).map_err(fault)?;
            finish(results, &merging.out, previous, &merging.report)
        }
        None => start(args, &library()?),
    }
}

fn start(args: &MatrixArgs, library: &Library) -> Result<Exit, CliError> {
    let scenarios = scenarios::select(library, &args.what)?;
    if let Some(twice) = scenarios.iter().enumerate().find_map(|(i, s)| scenarios[..i].iter().find(|t| t.id == s.id)) {
        return Err(CliError::wrong(format!("two scenarios are called `{}`; a matrix needs different names", twice.id)));
    }
    let previous = previous(&args.report)?;
    let deviations = known_deviations(library, &scenarios)?;
    let jobs = args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(2, usize::from) * 2, usize::from);
    let places = Arc::new(Places::new(false, jobs));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| CliError::machine(format!("cannot start: {e}")))?;
    let dir = args.out.clone().unwrap_or_else(|| Path::new(artefacts::DEFAULT_ROOT).join(format!("matrix-{}", run_name())));
    folder::make(&dir, "--out")?;
    let results = runtime.block_on(async {
        let interrupted = interruption().map_err(|e| CliError::machine(format!("cannot listen to signals: {e}")))?;
        let going = async {
            let mut left_out = Vec::new();
            let worlds = match &args.worlds {
                Some(Several::These(list)) => list.clone(),
                Some(Several::All) => WorldKind::ALL.into(),
                None => here::worlds(&places.worlds, &mut left_out).await?,
            };
            let pairings = match &args.pairs {
                Some(Several::These(list)) => list.clone(),
                Some(Several::All) => Pairing::all_of(&drivers::names()),
                None => here::pairings(&worlds, &places.worlds, &mut left_out).await?,
            };
            let header = Header {
                format: FORMAT,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                content: content_hash(&scenarios).map_err(fault)?,
                scenarios: scenarios.iter().map(Row::from).collect(),
                pairings: pairings.iter().map(Pairing::to_string).collect(),
                worlds,
                repeat: args.repeat,
                shard: args.shard,
                deviations,
                left_out,
            };
            let store = Store::create(&dir, header).map_err(fault)?;
            let mut progress = Progress::new(&store, args.report.format == Format::Human)?;
            let request = Request { scenarios: &scenarios, pairings: &pairings, jobs };
            run::run(&store, &places, &request, &mut |record| progress.tell(record)).await.map_err(fault)
        };
        tokio::select! {
            results = going => results,
            name = interrupted => {
                let message = format!("interrupted by {name}; all cells were ended, results so far are kept; resume with:\n  {}", resume(args, &dir));
                Err(CliError { exit: Exit::Unexpected, message })
            }
        }
    });
    let results = results.inspect_err(|_| {
        // Only when it is still empty.
        let _ = std::fs::remove_dir(&dir);
    })?;
    finish(results, &dir, previous, &args.report)
}

/// The list of known deviations, checked against everything that has a name.
pub fn known_deviations(library: &Library, selected: &[crate::scenario::model::Scenario]) -> Result<Vec<Deviation>, CliError> {
    let Some(source) = &library.deviations else { return Ok(Vec::new()) };
    let mut ids: Vec<&str> = library.all().map(|s| s.id.as_str()).chain(selected.iter().map(|s| s.id.as_str())).collect();
    ids.sort_unstable();
    ids.dedup();
    deviations::load(source, &ids, &drivers::names()).map_err(|found| CliError::mistakes(&found, std::io::stderr().is_terminal()))
}

fn previous(args: &ReportArgs) -> Result<Option<Results>, CliError> {
    let Some(path) = &args.previous else { return Ok(None) };
    let file = if path.is_dir() { path.join(artefacts::RESULTS) } else { path.clone() };
    read(&file).map(Some).map_err(|e| CliError::wrong(e.to_string()))
}

/// Writes everything that follows from the results, and tells them.
fn finish(results: Results, dir: &Path, previous: Option<Results>, args: &ReportArgs) -> Result<Exit, CliError> {
    let results = match previous {
        Some(previous) => results.since(&previous),
        None => results,
    };
    let xml = junit::report(&results).to_string().map_err(|e| CliError::bug(format!("the results cannot be written as JUnit: {e}")))?;
    write(&dir.join(artefacts::RESULTS), &results).map_err(fault)?;
    replace(&dir.join(artefacts::JUNIT), xml.as_bytes()).map_err(fault)?;
    replace(&dir.join(artefacts::PAGE), html::page(&results).as_bytes()).map_err(fault)?;
    match args.format {
        Format::Human => summary(&results, dir),
        Format::Json => print(&text::json(&serde_json::to_string_pretty(&results).map_err(|e| CliError::bug(e.to_string()))?))?,
        Format::Junit => print(&xml)?,
    }
    Ok(results.exit(args.strict))
}

fn summary(results: &Results, dir: &Path) {
    let mut out = String::from("\n");
    for cell in results.cells.iter().filter(|c| c.status.failed()) {
        let text = cell.text.as_ref().map(|t| format!("\n    {}", t.replace('\n', "\n    "))).unwrap_or_default();
        out.push_str(&format!("{} {}: {}{text}\n", cell.status.mark(), cell.cell, cell.saying()));
    }
    if let Some(changes) = &results.changes {
        let cells = changes.cells.iter().map(|d| format!("Δ {}: {}, before: {}\n", d.cell, d.now, d.before));
        let absent = changes.absent.iter().map(|a| format!("Δ {a}\n"));
        out.extend(cells.chain(absent).chain(changes.nothing_changed().map(|text| text + "\n")));
    }
    let seconds = results.elapsed_ms as f64 / 1000.0;
    out.push_str(&format!("{} cells in {seconds:.1} s: {}\n", results.cells.len(), results.tally()));
    for l in &results.header.left_out {
        out.push_str(&format!("left out: {}: {}\n", l.what, l.why));
    }
    if results.cells.len() == results.count(Status::Skipped) {
        out.push_str("nothing ran, so nothing is proved\n");
    }
    out.push_str(&format!("page: {}", text::path(&dir.join(artefacts::PAGE))));
    to_stderr(&text::lines(&out));
}

/// Tells people about results as they come.
struct Progress<'s> {
    on: bool,
    header: &'s Header,
    done: usize,
    of: usize,
}

impl Progress<'_> {
    fn new(store: &Store, on: bool) -> Result<Progress<'_>, CliError> {
        let (cells, h) = (store.header.cells(), &store.header);
        let runs = || cells.iter().flat_map(|c| (1..=h.repeat).map(move |n| (c, n)));
        let mut there = 0;
        for (cell, n) in runs() {
            there += usize::from(store.read(cell, n).map_err(fault)?.is_some_and(|r| !r.not_run()));
        }
        let of = runs().count();
        if on {
            let known = if there > 0 { format!(", {there} of them with results already") } else { String::new() };
            let shard = if h.shard == Shard::WHOLE { String::new() } else { format!("shard {} of a matrix: ", h.shard) };
            to_stderr(&format!("faultlab: {shard}{of} runs{known}; results in {}", text::path(store.dir())));
            h.left_out.iter().for_each(|l| to_stderr(&text::shown(&format!("left out: {}: {}", l.what, l.why))));
        }
        Ok(Progress { on, header: h, done: there, of })
    }

    fn tell(&mut self, r: &Record) {
        self.done += 1;
        if !self.on {
            return;
        }
        let status = judge::alone(r, self.header);
        let mark = status.mark();
        let attempt = if r.attempt > 1 { format!(" (run {})", r.attempt) } else { String::new() };
        let reason = r.reason.as_deref().map(|t| format!(": {}", t.lines().next().unwrap_or_default())).unwrap_or_default();
        let known = if status == Status::KnownDeviation { " (known deviation)" } else { "" };
        let line = format!("{mark} {:>4}/{} {}{attempt} {}{known}{reason}", self.done, self.of, r.cell, r.verdict);
        to_stderr(&text::shown(&line));
    }
}

/// The command that goes on where this one was interrupted.
fn resume(args: &MatrixArgs, dir: &Path) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+@%".contains(c);
    let quoted = |word: &str| {
        if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    let mut words: Vec<String> = std::env::args_os().map(|w| quoted(&w.to_string_lossy())).collect();
    if args.out.is_none() {
        words.extend(["--out".to_owned(), quoted(&dir.to_string_lossy())]);
    }
    words.join(" ")
}

fn fault(e: StoreError) -> CliError {
    match e {
        StoreError::Io { doing: "read", .. } => CliError::wrong(e.to_string()),
        StoreError::Io { ref source, .. } => CliError { exit: folder::blame(source), message: e.to_string() },
        StoreError::Unfit(_) => CliError::wrong(e.to_string()),
        StoreError::Encode(_) => CliError::bug(e.to_string()),
    }
}
