//! Carries out one case, in a process of its own that becomes the parent of all orphans and has mounts of its own.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use faultlab::world::pocket::Pocket;
use libtest_mimic::Failed;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::case::{Accident, Case, Scarce, Subject};
use super::processes::{self, Process, descendants, pid, state};

/// A run that takes longer hangs: longer than the time after which a silent pocket is given up.
const LIMIT: Duration = Duration::from_secs(400);
/// How long what was started may take to end after the program has.
const AFTERWARDS: Duration = Duration::from_secs(20);
/// How often processes are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Where named network namespaces are.
const NAMED: &str = "/run/netns";

/// What happened.
#[derive(Debug)]
pub struct Ending {
    pub status: ExitStatus,
    pub hit: Option<Hit>,
    pub output: PathBuf,
    pub errors: PathBuf,
    pub evidence: PathBuf,
    /// What is still there.
    pub left: Vec<String>,
}

/// What a process belongs to.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// A cell of the host world whose side has this event stream.
    Host(PathBuf),
    /// A pocket with this evidence folder.
    Pocket(PathBuf),
    /// A pocket without evidence, which is asked what it can do. When it has answered, nobody needs it.
    Probe,
    /// Nothing of these.
    Elsewhere,
}

/// The process that was hit.
#[derive(Debug)]
pub struct Hit {
    pub role: String,
    pub pid: u32,
    pub when: SystemTime,
    /// It ended of it.
    pub ended: bool,
    /// Where it belongs.
    pub place: Place,
}

/// Runs the case below `base`, an empty folder. `takes`: what the subject takes without an accident.
pub fn carry_out(case: &Case, program: &Path, base: &Path, takes: Duration) -> Result<Ending, Failed> {
    let user = matches!(case.accident, Accident::Scarce(Scarce::Processes(_)));
    let (evidence, temp, output, errors) = (base.join("evidence"), base.join("tmp"), base.join("stdout"), base.join("stderr"));
    for folder in [&evidence, &temp] {
        std::fs::create_dir(folder)?;
    }
    if user {
        for folder in [base, &evidence, &temp] {
            std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY))?;
        }
    }
    // Whatever else is done on this machine does not count.
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>)?;
    if Path::new(NAMED).exists() {
        mount(Some("tmpfs"), NAMED, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    }
    nix::sys::prctl::set_child_subreaper(true)?;
    if let Accident::Scarce(Scarce::Disk(size)) = case.accident {
        mount(Some("tmpfs"), &evidence, Some("tmpfs"), MsFlags::empty(), Some(format!("size={size}").as_str()))?;
    }
    let before = machine()?;
    let full = || File::options().write(true).open("/dev/full");
    let mut command = command(case, program, &evidence);
    command.env("TMPDIR", &temp).current_dir(base).stdin(Stdio::null());
    command.stdout(if case.accident == Accident::Scarce(Scarce::Output) { full()? } else { File::create(&output)? });
    command.stderr(if case.accident == Accident::Scarce(Scarce::Errors) { full()? } else { File::create(&errors)? });
    let mut child = command.spawn()?;
    let begun = Instant::now();
    let moment = takes.mul_f64(case.moment);
    let mut hit: Option<Hit> = None;
    let mut resume: Option<(Pid, Instant)> = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        reap(child.id())?;
        if hit.is_none() && begun.elapsed() >= moment && !matches!(case.accident, Accident::Scarce(_)) {
            hit = inflict(case, &child)?;
            if let (Some(h), Accident::Pause(time)) = (&hit, case.accident) {
                resume = Some((pid(h.pid), Instant::now() + time));
            }
            // Who presses Ctrl-Z and never returns closes the terminal at last.
            if let (Some(h), Accident::Stop, true) = (&hit, case.accident, hit.as_ref().is_some_and(|h| h.pid == child.id())) {
                kill(pid(h.pid), Signal::SIGKILL)?;
            }
        }
        if let Some((who, at)) = resume
            && Instant::now() >= at
        {
            // It may have ended.
            let _ = kill(who, Signal::SIGCONT);
            resume = None;
        }
        if begun.elapsed() > LIMIT {
            let left = descendants(std::process::id())?;
            end_all()?;
            let names = left.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(" ");
            return Err(format!("it hangs: not over after {} s; these run: {names}", LIMIT.as_secs()).into());
        }
        std::thread::park_timeout(LOOK);
    };
    let mut left = survivors()?;
    left.extend(machine()?.iter().filter(|m| !before.contains(m)).map(|m| format!("left: {m}")));
    left.extend(std::fs::read_dir(&temp)?.flatten().map(|e| format!("temporary file left: {}", e.file_name().to_string_lossy())));
    Ok(Ending { status, hit, output, errors, evidence, left })
}

/// Runs a matrix once more, and nothing happens to it.
pub fn resume(case: &Case, program: &Path, ending: &Ending) -> Result<Output, Failed> {
    let mut command = Command::new(program);
    arguments(&mut command, &case.subject, &ending.evidence);
    Ok(command.stdin(Stdio::null()).output()?)
}

/// The program's name.
pub const PROGRAM: &str = "faultlab";
/// A user who owns nothing.
const NOBODY: u32 = 65_534;

fn command(case: &Case, program: &Path, evidence: &Path) -> Command {
    let limit = |option: String| {
        let mut command = Command::new("prlimit");
        command.arg(option).arg(program);
        command
    };
    let mut command = match case.accident {
        Accident::Scarce(Scarce::Descriptors(n)) => limit(format!("--nofile={n}:{n}")),
        Accident::Scarce(Scarce::FileSize(n)) => limit(format!("--fsize={n}:{n}")),
        Accident::Scarce(Scarce::Memory(n)) => limit(format!("--as={n}:{n}")),
        Accident::Scarce(Scarce::Processes(n)) => {
            let mut command = Command::new("setpriv");
            let user = NOBODY.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "prlimit"]).arg(format!("--nproc={n}:{n}")).arg(program);
            command
        }
        _ => Command::new(program),
    };
    arguments(&mut command, &case.subject, evidence);
    command
}

/// Adds the command line of a subject.
pub fn arguments(command: &mut Command, subject: &Subject, evidence: &Path) {
    command.arg(if subject.matrix { "matrix" } else { "run" }).args(subject.scenarios);
    if subject.matrix {
        command.args(["--pairs", subject.pairing, "--worlds", subject.world, "--out"]);
    } else {
        command.args(["--pair", subject.pairing, "--world", subject.world, "--evidence"]);
    }
    command.arg(evidence).args(["--format", "json"]);
}

/// Hits one process of the run: first a role is chosen, then one that has it. `None`: there is none to choose from.
fn inflict(case: &Case, child: &Child) -> Result<Option<Hit>, Failed> {
    let mut all: Vec<(String, Process)> = descendants(std::process::id())?.into_iter().map(|p| (role(&p), p)).collect();
    all.sort_by(|a, b| (&a.0, a.1.started, a.1.pid).cmp(&(&b.0, b.1.started, b.1.pid)));
    let mut roles: Vec<&String> = all.iter().map(|(role, _)| role).collect();
    roles.dedup();
    if roles.is_empty() {
        return Ok(None);
    }
    let at = |n: usize, pick: u64| usize::try_from(pick % n as u64).unwrap_or(0);
    // The program itself is there from the beginning to the end, and would be hit most.
    if roles.len() > 1 && !case.pick.is_multiple_of(5) {
        roles.retain(|role| *role != PROGRAM);
    }
    let role = roles[at(roles.len(), case.pick >> 8)].clone();
    let such: Vec<&Process> = all.iter().filter(|(r, _)| *r == role).map(|(_, p)| p).collect();
    let process = such[at(such.len(), case.pick >> 32)];
    let (signal, mortal) = match case.accident {
        Accident::Kill(signal) => (signal, true),
        _ => (Signal::SIGSTOP, false),
    };
    let place = place_of(process, child.id())?;
    let when = SystemTime::now();
    if kill(pid(process.pid), signal).is_err() {
        return Ok(None);
    }
    // The first process of a namespace ignores what it does not handle, and daemons end in good order.
    let deadline = Instant::now() + Duration::from_millis(200);
    let mut ended = false;
    let mortal = mortal && (signal == Signal::SIGKILL || role != "__cell");
    while mortal && !ended && Instant::now() < deadline {
        reap(child.id())?;
        ended = state(process.pid).is_none_or(|s| s == 'Z');
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Ok(Some(Hit { role, pid: process.pid, when, ended, place }))
}

/// The name of a process; of our own, what it is there for.
fn role(process: &Process) -> String {
    let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
    let word = line.split(|b| *b == 0).nth(1).map(|w| String::from_utf8_lossy(w).into_owned());
    match word {
        Some(word) if word.starts_with("__") => word,
        _ => process.name.clone(),
    }
}

/// By the event stream that is open in the process or in what has started it, or by the settings of the pocket that has.
fn place_of(process: &Process, top: u32) -> Result<Place, Failed> {
    let all = processes::all()?;
    let parent = |pid: &u32| all.iter().find(|p| p.pid == *pid).map(|p| p.parent);
    let line = std::iter::successors(Some(process.pid), parent).take(10).take_while(|p| *p != top);
    let of = |pid: u32| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let settings = command.split(|b| *b == 0).find_map(|word| serde_json::from_slice::<Pocket>(word).ok());
        if let Some(pocket) = settings {
            return Some(pocket.share.map_or(Place::Probe, Place::Pocket));
        }
        let mut fds = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten().filter_map(|f| std::fs::read_link(f.path()).ok());
        fds.find(|p| p.ends_with("events.jsonl")).map(Place::Host)
    };
    Ok(line.filter_map(of).next().unwrap_or(Place::Elsewhere))
}

/// Takes the exit statuses of orphans that have come to this process.
fn reap(child: u32) -> Result<(), Failed> {
    for orphan in processes::children(std::process::id())?.into_iter().filter(|p| *p != child) {
        let _ = waitpid(pid(orphan), Some(WaitPidFlag::WNOHANG));
    }
    Ok(())
}

/// What does not end although the run has.
fn survivors() -> Result<Vec<String>, Failed> {
    let deadline = Instant::now() + AFTERWARDS;
    loop {
        reap(0)?;
        let alive = descendants(std::process::id())?;
        if alive.is_empty() {
            return Ok(Vec::new());
        }
        if Instant::now() > deadline {
            let names = alive.iter().map(|p| format!("process left: {} {}", p.pid, role(p))).collect();
            end_all()?;
            return Ok(names);
        }
        std::thread::park_timeout(LOOK);
    }
}

/// Kills whatever this process has below it.
fn end_all() -> Result<(), Failed> {
    let deadline = Instant::now() + AFTERWARDS;
    loop {
        let alive = descendants(std::process::id())?;
        if alive.is_empty() || Instant::now() > deadline {
            return Ok(());
        }
        for p in alive {
            let _ = kill(pid(p.pid), Signal::SIGKILL);
        }
        reap(0)?;
        std::thread::park_timeout(LOOK);
    }
}

/// Mounts, interfaces and named namespaces.
fn machine() -> Result<Vec<String>, Failed> {
    let mut all: Vec<String> = std::fs::read_to_string("/proc/self/mounts")?.lines().map(|l| format!("mount {l}")).collect();
    for (kind, folder) in [("interface", "/sys/class/net"), ("namespace", NAMED)] {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        all.extend(names.map(|e| format!("{kind} {}", e.file_name().to_string_lossy())));
    }
    Ok(all)
}

/// The status in words.
pub fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |s| s.as_str().to_owned()),
        (None, None) => "no status".to_owned(),
    }
}
