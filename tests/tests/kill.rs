//! Whatever ends `faultlab run`, nothing is left behind: no process, mount, interface, named namespace or temporary file.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::{Signal, kill};

mod processes;

use processes::{Process, all, below, binary, children, descendants, pid, until};

/// How long conditions are waited for.
const LIMIT: Duration = Duration::from_secs(60);

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

fn trial(ending: Ending, world: World) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (evidence, temp) = (folder.path().join("evidence"), folder.path().join("tmp"));
    std::fs::create_dir(&temp)?;
    let before = machine()?;
    let mut run = Command::new(binary());
    match ending {
        Ending::Wait(1) => run.arg("run").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("wrong/missing-symptom.toml")),
        Ending::Wait(_) => run.args(["run", "psk-mismatch-v2"]),
        // Gateways that are processes of their own.
        _ => run.args(["run", "ike-udp500-silent-drop", "--pair", "strongswan:strongswan"]),
    };
    match (world, ending) {
        (World::Host, _) => run.args(["--world", "host"]),
        (World::Pocket, Ending::Wait(_)) => run.args(["--world", "pocket"]),
        // In virtual time it would be over before the signal.
        (World::Pocket, _) => run.args(["--world", "pocket", "--real-time"]),
    };
    let mut cells = BTreeSet::new();
    let mut child = run.arg("--evidence").arg(&evidence).env("TMPDIR", &temp).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    if !matches!(ending, Ending::Wait(_)) {
        until(LIMIT, "gateways run in both cells", || {
            // Whatever it has started, in pockets too, must be gone afterwards.
            cells.extend(descendants(child.id())?);
            Ok(match world {
                World::Host => below(child.id(), "charon")?.len() >= 4,
                // Every process inside is one of the host: ours and two gateways in each. Traced, they are named after the kernel, which
                // has two more; under seccomp, they have a name of their own.
                World::Pocket => below(child.id(), "uml-userspace")?.len() >= 6 || below(child.id(), "linux")?.len() >= 10,
            })
        })?;
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
    let status = wait(&mut child, &mut cells)?;
    match ending {
        Ending::Wait(code) if status.code() != Some(code) => return Err(format!("{status}, not exit code {code}").into()),
        // A cell that was killed from outside is no bug, neither the scenario's nor ours, and never a pass or a skip.
        Ending::KillCell if status.code() != Some(1) => return Err(format!("{status} of a killed cell, not exit code 1").into()),
        _ => {}
    }
    let mut last = Vec::new();
    until(LIMIT, "the machine is as before", || {
        let alive = all()?;
        let survivors: Vec<&Process> = cells.iter().filter(|c| alive.iter().any(|p| p.pid == c.pid && p.started == c.started)).collect();
        last = difference(&before, &machine()?);
        if cells.is_empty() {
            return Err("it ran no process".into());
        }
        last.extend(survivors.iter().map(|p| format!("process left: {} {}", p.pid, p.name)));
        Ok(last.is_empty())
    })
    .map_err(|e| format!("{}: {}", e.message().unwrap_or_default(), last.join("; ")))?;
    let left: Vec<_> = std::fs::read_dir(&temp)?.flatten().map(|e| e.path()).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("temporary files are left: {left:?}").into()) }
}

fn wait(child: &mut Child, cells: &mut BTreeSet<Process>) -> Result<std::process::ExitStatus, Failed> {
    let mut status = None;
    until(LIMIT, "faultlab has ended", || {
        cells.extend(descendants(child.id())?);
        status = child.try_wait()?;
        Ok(status.is_some())
    })?;
    status.ok_or_else(|| "no status".into())
}

/// What must be the same before and after, by kind.
fn machine() -> Result<Vec<(&'static str, BTreeSet<String>)>, Failed> {
    let lines =
        |path: &str| -> Result<BTreeSet<String>, Failed> { Ok(std::fs::read_to_string(path)?.lines().map(str::to_owned).collect()) };
    let names = |path: &str| -> BTreeSet<String> {
        std::fs::read_dir(path).map(|d| d.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()).unwrap_or_default()
    };
    Ok(vec![("mount", lines("/proc/self/mounts")?), ("interface", names("/sys/class/net")), ("named namespace", names("/run/netns"))])
}

fn difference(before: &[(&str, BTreeSet<String>)], after: &[(&str, BTreeSet<String>)]) -> Vec<String> {
    let mut out = Vec::new();
    for ((kind, a), (_, b)) in before.iter().zip(after) {
        out.extend(b.difference(a).map(|x| format!("{kind} left: {x}")));
        out.extend(a.difference(b).map(|x| format!("{kind} gone: {x}")));
    }
    out
}
