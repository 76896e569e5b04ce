//! Whatever ends `faultlab run`, nothing is left behind: no process, mount, interface, named namespace or temporary file.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn main() {
    let mut arguments = Arguments::from_args();
    // Trials compare the whole machine before and after.
    arguments.test_threads = Some(1);
    let able = Command::new(binary()).arg("doctor").output().is_ok_and(|o| o.status.success());
    if !able && !arguments.list {
        eprintln!("kill: skipped(this machine cannot run cells or has no gateway; see `faultlab doctor`)");
    }
    let endings: [(&str, Ending); 6] = [
        ("pass", Ending::Wait(0)),
        ("fail", Ending::Wait(1)),
        ("sigint", Ending::Signal(Signal::SIGINT)),
        ("sigterm", Ending::Signal(Signal::SIGTERM)),
        ("sigkill", Ending::Signal(Signal::SIGKILL)),
        ("sigkill_of_the_cell", Ending::KillCell),
    ];
    let kernel = faultlab::world::pocket::find();
    if let (Err(missing), false) = (&kernel, arguments.list) {
        eprintln!("kill, pocket world: skipped({missing})");
    }
    let host =
        endings.map(|(name, ending)| Trial::test(name, move || trial(ending, World::Host)).with_kind("host").with_ignored_flag(!able));
    let pocket = endings.map(|(name, ending)| {
        Trial::test(name, move || trial(ending, World::Pocket)).with_kind("pocket").with_ignored_flag(!able || kernel.is_err())
    });
    libtest_mimic::run(&arguments, host.into_iter().chain(pocket).collect()).exit();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum World {
    Host,
    Pocket,
}

#[derive(Clone, Copy)]
enum Ending {
    /// Let it end; expect this exit code.
    Wait(i32),
    /// Send it a signal while gateways run.
    Signal(Signal),
    /// Kill the first process of one of its cells.
    KillCell,
}

fn binary() -> PathBuf {
    let mut path = std::env::current_exe().unwrap_or_default();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("faultlab")
}

fn trial(ending: Ending, world: World) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (evidence, temp) = (folder.path().join("evidence"), folder.path().join("tmp"));
    std::fs::create_dir(&temp)?;
    let before = machine(folder.path())?;
    let mut run = Command::new(binary());
    match ending {
        Ending::Wait(1) => run.arg("run").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("wrong/missing-symptom.toml")),
        Ending::Wait(_) => run.args(["run", "psk-mismatch-v2"]),
        _ => run.args(["run", "ike-udp500-silent-drop"]),
    };
    match (world, ending) {
        (World::Host, _) => run.args(["--world", "host"]),
        (World::Pocket, Ending::Wait(_)) => run.args(["--world", "pocket"]),
        // In virtual time it would be over before the signal.
        (World::Pocket, _) => run.args(["--world", "pocket", "--real-time"]),
    };
    let mut child = run.arg("--evidence").arg(&evidence).env("TMPDIR", &temp).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    if !matches!(ending, Ending::Wait(_)) {
        until("gateways run in both cells", || {
            Ok(match world {
                World::Host => below(child.id(), "charon")?.len() >= 4,
                // Every process inside is one of the host, named after the kernel: two of its own, ours, two gateways.
                World::Pocket => below(child.id(), "linux")?.len() >= 10,
            })
        })?;
    }
    // A check that finds nobody could not fail.
    if !matches!(ending, Ending::Wait(_)) && difference(&before, &machine(folder.path())?).is_empty() {
        return Err("the trial does not see its own processes".into());
    }
    match ending {
        Ending::Wait(_) => {}
        Ending::Signal(signal) => kill(pid(child.id()), signal)?,
        Ending::KillCell => {
            let outer = children(child.id())?.into_iter().next().ok_or("no cell")?;
            let first = children(outer)?.into_iter().next().ok_or("no first process")?;
            kill(pid(first), Signal::SIGKILL)?;
        }
    }
    let status = wait(&mut child)?;
    match ending {
        Ending::Wait(code) if status.code() != Some(code) => return Err(format!("{status}, not exit code {code}").into()),
        // A cell that was killed from outside is no bug of the scenario, and never a pass.
        Ending::KillCell if status.success() => return Err("a killed cell must not pass".into()),
        _ => {}
    }
    let mut last = String::new();
    until("the machine is as before", || {
        last = difference(&before, &machine(folder.path())?);
        Ok(last.is_empty())
    })
    .map_err(|e| format!("{}: {last}", e.message().unwrap_or_default()))?;
    let left: Vec<_> = std::fs::read_dir(&temp)?.flatten().map(|e| e.path()).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("temporary files are left: {left:?}").into()) }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap_or(0))
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus, Failed> {
    let mut status = None;
    until("faultlab has ended", || {
        status = child.try_wait()?;
        Ok(status.is_some())
    })?;
    status.ok_or_else(|| "no status".into())
}

/// Waits for a named condition.
fn until(what: &str, mut condition: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition()? {
        if Instant::now() > deadline {
            return Err(format!("waited in vain until {what}").into());
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Ok(())
}

/// What must be the same before and after, by kind. The processes of a trial have its folder in their environment, whatever they
/// are called and whoever their parent is; those of other runs on this machine do not concern us.
fn machine(folder: &Path) -> Result<Vec<(&'static str, BTreeSet<String>)>, Failed> {
    let lines =
        |path: &str| -> Result<BTreeSet<String>, Failed> { Ok(std::fs::read_to_string(path)?.lines().map(str::to_owned).collect()) };
    let names = |path: &str| -> BTreeSet<String> {
        std::fs::read_dir(path).map(|d| d.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()).unwrap_or_default()
    };
    let folder = folder.as_os_str().as_bytes();
    let ours = |pid: u32| {
        // It may have ended meanwhile.
        std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|e| e.windows(folder.len()).any(|part| part == folder))
    };
    let processes = all_processes()?.into_iter().filter(|p| ours(p.pid));
    Ok(vec![
        ("process", processes.map(|p| format!("{} {}", p.pid, p.name)).collect()),
        ("mount", lines("/proc/self/mounts")?),
        ("interface", names("/sys/class/net")),
        ("named namespace", names("/run/netns")),
    ])
}

fn difference(before: &[(&str, BTreeSet<String>)], after: &[(&str, BTreeSet<String>)]) -> String {
    let mut out = Vec::new();
    for ((kind, a), (_, b)) in before.iter().zip(after) {
        out.extend(b.difference(a).map(|x| format!("{kind} left: {x}")));
        out.extend(a.difference(b).map(|x| format!("{kind} gone: {x}")));
    }
    out.join("; ")
}

struct Process {
    pid: u32,
    parent: u32,
    name: String,
}

fn all_processes() -> Result<Vec<Process>, Failed> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        let parent = stat[close + 1..].split_whitespace().nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
        all.push(Process { pid, parent, name: stat[open + 1..close].to_owned() });
    }
    Ok(all)
}

fn children(of: u32) -> Result<Vec<u32>, Failed> {
    Ok(all_processes()?.into_iter().filter(|p| p.parent == of).map(|p| p.pid).collect())
}

fn below(root: u32, name: &str) -> Result<Vec<u32>, Failed> {
    let all = all_processes()?;
    let parent = |pid: u32| all.iter().find(|p| p.pid == pid).map(|p| p.parent);
    let is_below = |pid: u32| std::iter::successors(Some(pid), |p| parent(*p)).take(20).any(|p| p == root);
    Ok(all.iter().filter(|p| p.name == name && is_below(p.pid)).map(|p| p.pid).collect())
}
