//! Runs of the program during which a process of theirs is killed or stopped, or something runs out: whatever happens, a verdict is
//! earned or there is none, the exit code is one of the README's table, and nothing is left behind. The number of a case says all of it.
//!
//! `FAULTLAB_CHAOS_CASES=500` says how many; `FAULTLAB_CHAOS_FIRST=17` with which to begin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::{Deserialize, Serialize};

use case::{Accident, Case, Subject};

mod case;
mod judge;
#[path = "../processes/mod.rs"]
mod processes;
mod run;

/// The word that makes this program carry out one case.
const CASE: &str = "__case";
/// How many cases every test run has.
const SHORT: u64 = 12;

/// What carrying out a case has found.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    role: Option<String>,
    told: String,
    mistakes: Vec<String>,
}

/// Endings by kind of accident.
type Table = Mutex<BTreeMap<String, BTreeMap<String, usize>>>;

fn main() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|a| a == CASE) {
        let text: Vec<String> = args.map(|a| a.to_string_lossy().into_owned()).collect();
        std::process::exit(match one(&text) {
            Ok(()) => 0,
            Err(e) => {
                eprintln!("{}", e.message().unwrap_or_default());
                1
            }
        });
    }
    let mut arguments = Arguments::from_args();
    // Two cells of a run are two threads or so; what waits for timers leaves room for more.
    arguments.test_threads.get_or_insert(3);
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (first, count) = (number("FAULTLAB_CHAOS_FIRST", 1), number("FAULTLAB_CHAOS_CASES", SHORT));
    let able = able();
    if let (Err(reason), false) = (&able, arguments.list) {
        eprintln!("chaos: skipped({reason})");
    }
    let (table, pace) = (Arc::new(Table::default()), Arc::new(Pace::default()));
    let trials = (first..first.saturating_add(count)).map(|n| {
        let (case, table, pace) = (Case::of(n), Arc::clone(&table), Arc::clone(&pace));
        Trial::test(case.to_string(), move || trial(&case, &table, &pace)).with_kind("chaos").with_ignored_flag(able.is_err())
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    print(&table);
    conclusion.exit();
}

fn able() -> Result<(), String> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err("needs root, for mounts of its own".into());
    }
    let doctor = Command::new(processes::binary()).arg("doctor").output();
    if doctor.is_ok_and(|o| o.status.success()) { Ok(()) } else { Err("this machine cannot run everything; see `faultlab doctor`".into()) }
}

/// What each subject takes when nothing happens to it.
#[derive(Default)]
struct Pace {
    takes: Mutex<BTreeMap<String, Arc<Takes>>>,
}

/// Found out by the first case that needs it.
type Takes = OnceLock<Result<Duration, String>>;

impl Pace {
    fn of(&self, subject: &Subject) -> Result<Duration, String> {
        let cell = Arc::clone(self.takes.lock().unwrap_or_else(PoisonError::into_inner).entry(subject.to_string()).or_default());
        cell.get_or_init(|| undisturbed(subject)).clone()
    }
}

fn undisturbed(subject: &Subject) -> Result<Duration, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut command = Command::new(processes::binary());
    run::arguments(&mut command, subject, folder.path());
    let begun = Instant::now();
    let output = command.current_dir(folder.path()).stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(begun.elapsed());
    }
    Err(format!("without any accident, {subject} ends with {}: {}", run::words(output.status), String::from_utf8_lossy(&output.stderr)))
}

fn trial(case: &Case, table: &Table, pace: &Pace) -> Result<(), Failed> {
    let takes = pace.of(&case.subject)?;
    let folder = tempfile::tempdir()?;
    // For the user who owns nothing.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([CASE, &case.number.to_string(), &takes.as_millis().to_string()]).arg(folder.path());
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(format!("{}\n{}", run::words(output.status), String::from_utf8_lossy(&output.stderr)).into());
    }
    let found: Found = serde_json::from_slice(&output.stdout)?;
    let kind = match (&case.accident, &found.role) {
        (Accident::Scarce(_), _) => case.accident.kind(),
        (_, Some(role)) => format!("{} {}", role, case.accident.kind()),
        (_, None) => "over before".to_owned(),
    };
    let ending = if found.mistakes.is_empty() { found.told.clone() } else { format!("WRONG ({})", found.told) };
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    *table.entry(kind.clone()).or_default().entry(ending).or_default() += 1;
    if found.mistakes.is_empty() { Ok(()) } else { Err(format!("{kind}: {}: {}", found.told, found.mistakes.join("\n")).into()) }
}

/// `__case NUMBER MILLISECONDS FOLDER`
fn one(text: &[String]) -> Result<(), Failed> {
    let [number, takes, base] = text else { return Err("usage: NUMBER MILLISECONDS FOLDER".into()) };
    let (case, takes) = (Case::of(number.parse()?), Duration::from_millis(takes.parse()?));
    let program: PathBuf = processes::binary();
    let ending = run::carry_out(&case, &program, Path::new(base), takes)?;
    let mut mistakes = judge::mistakes(&case, &ending);
    if case.subject.matrix && !matches!(case.accident, Accident::Scarce(_)) {
        mistakes.extend(judge::unresumed(&case, &run::resume(&case, &program, &ending)?));
    }
    let found = Found { role: ending.hit.as_ref().map(|h| h.role.clone()), told: judge::told(&case, &ending), mistakes };
    if !found.mistakes.is_empty()
        && let Ok(keep) = std::env::var("FAULTLAB_CHAOS_KEEP")
    {
        let to = Path::new(&keep).join(number);
        Command::new("cp").arg("-a").arg(base).arg(to).status()?;
    }
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

fn print(table: &Table) {
    let table = table.lock().unwrap_or_else(PoisonError::into_inner);
    for (kind, endings) in &*table {
        let endings: Vec<String> = endings.iter().map(|(ending, n)| format!("{n} × {ending}")).collect();
        println!("{kind:<28} {}", endings.join(" · "));
    }
}
