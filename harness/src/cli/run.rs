//! `faultlab run`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{CliError, Exit, Says};
use super::{folder, scenarios, told};
use crate::report::human::Human;
use crate::report::json::Json;
use crate::report::junit::Junit;
use crate::report::{Reporter, ScenarioResult};
use crate::run::artefacts;
use crate::run::drivers::Pairing;
use crate::run::lack::Lack;
use crate::run::orchestrate::{self, Options};
use crate::run::outcome::{ExpectReport, HealthReport, SideReport, Verdict, Whose};
use crate::run::worlds::WorldChoice;
use crate::scenario::library::Library;
use crate::scenario::model::Side;
use crate::text;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Scenario files, ids, groups or tags; all scenarios when none is given.
    #[arg(value_name = "FILE|ID|TAG")]
    pub what: Vec<String>,
    /// Who plays whom: the first gateway's implementation, then the others'; default: in each scenario, the first implementation
    /// that can, on all sides.
    #[arg(long, value_name = "A:B")]
    pub pair: Option<Pairing>,
    /// Whose kernel carries the packets.
    #[arg(long, value_enum, default_value_t = WorldChoice::Auto)]
    pub world: WorldChoice,
    /// In the pocket world: let time pass as on the host.
    #[arg(long)]
    pub real_time: bool,
    /// Cells at once in the host world; default: four per core. In the pocket world it is one per core.
    #[arg(long, short, value_parser = jobs())]
    pub jobs: Option<u16>,
    /// Only one of the twins; without the other there is no verdict.
    #[arg(long)]
    pub only: Option<OnlySide>,
    /// Keep the networks alive afterwards, for `faultlab shell`, until Ctrl-C.
    #[arg(long)]
    pub keep: bool,
    /// Form of the result.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Explain every scenario, not only failures.
    #[arg(long, short)]
    pub verbose: bool,
    /// Exit with code 3 when a scenario was skipped for want of something that could be installed or allowed (package, kernel,
    /// privilege), as when nothing could run; what the pairing or the world cannot do by design stays skipped.
    #[arg(long)]
    pub strict: bool,
    /// Folder for evidence.
    #[arg(long, value_name = "DIR", default_value = artefacts::DEFAULT_ROOT)]
    pub evidence: PathBuf,
}

/// How many cells at once make sense.
pub(super) fn jobs() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=1000)
}

/// Form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, on stderr.
    Human,
    /// One JSON document on stdout.
    Json,
    /// JUnit XML on stdout.
    Junit,
}

/// One of the twins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnlySide {
    /// With the fault.
    Broken,
    /// With the fix.
    Fixed,
}

/// Runs scenarios and turns verdicts into an exit code.
pub fn run(args: &RunArgs, library: &Library) -> Result<Exit, CliError> {
    let scenarios = scenarios::select(library, &args.what)?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let options = Options {
        pairing: args.pair.clone(),
        world: if args.keep && args.world == WorldChoice::Auto { WorldChoice::Host } else { args.world },
        real_time: args.real_time,
        jobs: args.jobs.map_or(cores * 4, usize::from),
        keep: args.keep,
        only: args.only.map(|s| if s == OnlySide::Broken { Side::Broken } else { Side::Fixed }),
        root: args.evidence.clone(),
        run: run_name(),
    };
    if options.keep && scenarios.len() > 1 {
        return Err(CliError::wrong("--keep keeps one scenario at a time; name it"));
    }
    if options.keep && options.world == WorldChoice::Pocket {
        return Err(CliError::wrong("--keep works in the host world only: a pocket's nodes cannot be entered from outside"));
    }
    let folder = options.root.join(&options.run);
    folder::make(&folder, "--evidence")?;
    let mut reporter: Box<dyn Reporter> = match args.format {
        Format::Human => Box::new(Human::new(args.verbose)),
        Format::Json => Box::new(Json::default()),
        Format::Junit => Box::new(Junit::default()),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| CliError::machine(format!("cannot start: {e}")))?;
    runtime.block_on(async {
        let interrupted = interruption().map_err(|e| CliError::machine(format!("cannot listen to signals: {e}")))?;
        tokio::pin!(interrupted);
        let finished = tokio::select! {
            finished = orchestrate::run(&scenarios, &options, reporter.as_mut()) => finished,
            name = &mut interrupted => {
                return Err(CliError { exit: Exit::Unexpected, message: format!("interrupted by {name}; all cells were ended, nothing is left behind") });
            }
        };
        // Still empty when everything was skipped.
        let _ = std::fs::remove_dir(&folder);
        told(reporter.written())?;
        if !finished.kept.is_empty() {
            kept(&options, &finished.results);
            interrupted.await;
            for side in finished.results.iter().flat_map(|r| &r.sides) {
                // Gone or not, the cell ends now; the file only tells how to enter it.
                let _ = std::fs::remove_file(side.dir.join(artefacts::CELL));
            }
        }
        Ok(exit_code(&finished.results, args))
    })
}

/// Resolves when the user or the system wants us to stop.
pub(super) fn interruption() -> std::io::Result<impl Future<Output = &'static str>> {
    let (mut int, mut term, mut hup) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! {
            _ = int.recv() => "SIGINT",
            _ = term.recv() => "SIGTERM",
            _ = hup.recv() => "SIGHUP",
        }
    })
}

fn kept(options: &Options, results: &[ScenarioResult]) {
    let mut err = std::io::stderr().lock();
    for side in results.iter().flat_map(|r| &r.sides) {
        let dir = text::path(&side.dir);
        // A closed stderr only loses the hint.
        let _ = writeln!(err, "kept: the {} side; in another terminal: faultlab shell {dir} NODE", side.side.name());
    }
    let _ = writeln!(err, "run {}; press Ctrl-C to tear it down{}", options.run, if err.is_terminal() { "" } else { " (or send SIGTERM)" });
}

/// Unique and sortable by time.
pub(super) fn run_name() -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let digits: String = now.chars().filter(char::is_ascii_digit).collect();
    let (day, time) = digits.split_at(8.min(digits.len()));
    format!("{day}-{time}-{}", std::process::id())
}

fn exit_code(results: &[ScenarioResult], args: &RunArgs) -> Exit {
    let says = |r: &ScenarioResult| match (&r.verdict, r.whose) {
        (_, Some(Whose::Us)) => Says::Bug,
        (_, Some(Whose::Machine)) => Says::Short,
        (Verdict::Reproduced, _) => Says::Good,
        (Verdict::Skipped(skip), _) if skip.lack == Lack::Design => Says::SkippedByDesign,
        (Verdict::Skipped(_), _) => Says::SkippedForWant,
        _ if args.only.is_some() && one_side_is_good(r) => Says::Good,
        _ => Says::Unexpected,
    };
    Exit::of(&results.iter().map(says).collect::<Vec<_>>(), args.strict, true)
}

/// One side was asked for; it is as good as it can be when nothing on it is wrong.
fn one_side_is_good(r: &ScenarioResult) -> bool {
    let good = |s: &SideReport| {
        s.trouble.is_none() && s.expects.iter().all(ExpectReport::good) && s.health.as_ref().is_none_or(HealthReport::good)
    };
    !r.sides.is_empty() && r.sides.iter().all(good)
}
