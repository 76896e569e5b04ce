//! Whatever ends a cell, nothing of it stays on the machine: no process, namespace, interface, mount, temporary file.
//!
//! Each trial starts this program again as a *victim*, which starts a cell that builds a network and a daemon that left its
//! process group and session. The trial ends the victim or the cell in its own way, then looks.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use faultlab::world::World;
use faultlab::world::cell::{CellHandle, EventSink};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use peer::Spawner;
use serde_json::{Value, json};

use crate::beliefs::Belief;
use crate::networks::translated;
use crate::probe::{Outcome, ensure, eventually, say};

/// All trials.
pub const ALL: &[(&str, Belief)] = &[
    ("nothing_stays_after_a_normal_end", || ended(None, "end")),
    ("nothing_stays_after_a_panic_in_the_cell", || ended(None, "panic")),
    ("nothing_stays_when_the_parent_is_interrupted", || ended(Some(Signal::SIGINT), "hold")),
    ("nothing_stays_when_the_parent_is_terminated", || ended(Some(Signal::SIGTERM), "hold")),
    ("nothing_stays_when_the_parent_is_killed", || ended(Some(Signal::SIGKILL), "hold")),
    ("nothing_stays_when_the_first_process_is_killed", first_process_killed),
    ("thirty_two_cells_at_once", thirty_two),
];

const VICTIM: &str = "FAULTLAB_TRIAL_VICTIM";
/// Of every process of a trial, through its environment.
const MARK: &str = "FAULTLAB_TRIAL_MARK";

/// Is this process to play the victim?
pub fn is_victim() -> bool {
    std::env::var_os(VICTIM).is_some()
}

/// Starts a cell and says what it says, as a harness would.
pub fn victim() {
    // A trial that fails half-way must not leave its victim.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
    let how = std::env::var(VICTIM).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut cell = CellHandle::spawn(&json!({ "leak": { "how": how } })).unwrap();
        println!("{}", json!({ "first": cell.first_pid() }));
        while let Some(Ok(event)) = cell.next().await {
            println!("{event}");
        }
        println!("{}", json!({ "exit": cell.wait().await.to_string() }));
    });
}

/// The inside of the victim's cell.
pub fn inside(job: &Value, events: &EventSink) -> i32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _world = runtime.block_on(async {
        let world = World::build(&translated()).unwrap();
        // A daemon that double-forks away: another session, another parent.
        let script = "setsid sh -c 'sleep 1000 > /dev/null 2>&1 & echo away' < /dev/null";
        let mut command = world.node("mid").unwrap().command("sh", &["-c".into(), script.into()], &[]);
        let said = command.output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "away\n", "{}", String::from_utf8_lossy(&said.stderr));
        world
    });
    events.emit(&json!("ready"));
    match job["how"].as_str() {
        Some("hold") => events.hold(),
        Some("panic") => panic!("as ordered"),
        _ => 0,
    }
}

struct Victim {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    mark: String,
    before: Vec<String>,
    /// Where everything of the trial keeps its temporary files.
    temp: tempfile::TempDir,
}

fn start(how: &str) -> Result<Victim, String> {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mark = format!("{}-{number}", std::process::id());
    let before = machine();
    let temp = tempfile::tempdir().map_err(say)?;
    // Who runs the tests in the background has them ignore SIGINT, and all that they start.
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(std::env::current_exe().map_err(say)?);
    command.env(VICTIM, how).env(MARK, &mark).env("TMPDIR", temp.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(say)?;
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Ok(Victim { child, lines, mark, before, temp })
}

impl Victim {
    fn line(&mut self) -> Result<Value, String> {
        let line = self.lines.next().ok_or("the victim ended")?.map_err(say)?;
        serde_json::from_str(&line).map_err(|e| format!("{line}: {e}"))
    }

    /// Waits until the cell is complete; returns its first process.
    fn ready(&mut self) -> Result<i32, String> {
        let first = self.line()?["first"].as_i64().and_then(|p| i32::try_from(p).ok()).ok_or("no first process")?;
        let ready = self.line()?;
        ensure(ready == "ready", || format!("{ready} instead of ready"))?;
        Ok(first)
    }

    fn gone(mut self) -> Outcome {
        self.child.wait().map_err(say)?;
        let mark = self.mark.clone();
        eventually(Duration::from_secs(5), "all processes of the cell to be gone", || Ok(marked(&mark).is_empty()))?;
        let before = self.before;
        let new = || machine().into_iter().filter(|l| !before.contains(l)).collect::<Vec<_>>();
        ensure(new().is_empty(), || format!("left on the machine: {:?}", new()))?;
        let files: Vec<_> = self.temp.path().read_dir().map_err(say)?.flatten().map(|e| e.path()).collect();
        ensure(files.is_empty(), || format!("temporary files are left: {files:?}"))
    }
}

fn ended(signal: Option<Signal>, how: &str) -> Outcome {
    let mut victim = start(how)?;
    victim.ready()?;
    if let Some(signal) = signal {
        // Victim, both cell processes and the daemon: what must go is there.
        ensure(marked(&victim.mark).len() >= 4, || format!("only {:?} belong to the trial", marked(&victim.mark)))?;
        let pid = i32::try_from(victim.child.id()).map_err(say)?;
        kill(Pid::from_raw(pid), signal).map_err(say)?;
    } else {
        let exit = victim.line()?["exit"].to_string();
        let expected = if how == "panic" { "panicked" } else { "exit status 0" };
        ensure(exit.contains(expected), || format!("{exit} instead of {expected}"))?;
        ensure(how != "panic" || exit.contains("as ordered"), || format!("the panic's message is missing: {exit}"))?;
    }
    victim.gone()
}

fn first_process_killed() -> Outcome {
    let mut victim = start("hold")?;
    let first = victim.ready()?;
    kill(Pid::from_raw(first), Signal::SIGKILL).map_err(say)?;
    let exit = victim.line()?["exit"].to_string();
    ensure(exit.contains("ended by signal 9"), || exit)?;
    victim.gone()
}

fn thirty_two() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(say)?;
    runtime.block_on(async {
        let cells: Result<Vec<_>, _> = (0..32).map(|_| CellHandle::spawn(&json!({ "leak": { "how": "end" } }))).collect();
        for mut cell in cells.map_err(say)? {
            let exit = cell.wait().await;
            ensure(exit.code == Some(0), || exit.to_string())?;
        }
        Ok(())
    })
}

/// Processes that carry a trial's mark.
fn marked(mark: &str) -> Vec<String> {
    let wanted = format!("{MARK}={mark}");
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let has = |environ: Vec<u8>| environ.split(|b| *b == 0).any(|v| v == wanted.as_bytes());
    all.filter(|p| std::fs::read(p.path().join("environ")).is_ok_and(has)).map(|p| p.file_name().to_string_lossy().into_owned()).collect()
}

/// What else a cell could leave: interfaces, mounts, named namespaces. Trials run side by side, but in cells.
fn machine() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let names = |path: &str| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|e| e.path().display().to_string()).collect::<Vec<_>>()
    };
    [read("/proc/self/mounts"), names("/sys/class/net"), names("/run/netns")].concat()
}
