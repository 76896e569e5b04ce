//! The pocket world as a whole: it repeats itself, costs little, needs no privilege, and ends when it hangs.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultlab::capture::read;
use faultlab::cli;
use faultlab::dissect::{Dissector, Layer};
use faultlab::event::Event;
use faultlab::report::{Reporter, RunInfo, ScenarioResult};
use faultlab::run::artefacts;
use faultlab::run::drivers::Pairing;
use faultlab::run::orchestrate::{self, Limits, Options, Places};
use faultlab::run::outcome::{SideReport, Verdict};
use faultlab::run::worlds::WorldChoice;
use faultlab::scenario::model::Side;
use faultlab::world::cell::{self, CellError, CellHandle};
use faultlab::world::pocket::{self, Pocket};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

mod processes;

/// One trial's work.
type Check = fn() -> Result<(), Failed>;

fn main() {
    cell::entry(faultlab::run::lab::cell_main);
    let mut arguments = Arguments::from_args();
    // Costs are those of the processes below this one: one trial at a time.
    arguments.test_threads = Some(1);
    let missing = pocket::find().err().map(|m| m.to_string());
    if let (Some(missing), false) = (&missing, arguments.list) {
        eprintln!("pocket: skipped({missing})");
    }
    let all: [(&str, Check); 7] = [
        ("repeats_have_the_same_timings", same_timings),
        ("hours_cost_seconds", hours),
        ("an_ordinary_user_needs_no_privilege", unprivileged),
        ("half_allowed_namespaces_leave_the_pocket_world", half_allowed),
        ("a_pocket_that_hangs_is_ended_and_its_console_kept", hangs),
        ("a_pocket_that_takes_too_long_is_ended", takes_too_long),
        ("a_kernel_that_never_greets_is_ended", never_greets),
    ];
    let trials = all.map(|(name, trial)| Trial::test(name, trial).with_ignored_flag(missing.is_some()));
    libtest_mimic::run(&arguments, trials.into()).exit();
}

/// Runs one scenario in the pocket world; the result, and where its evidence is.
fn run(what: &str, pairing: &str, into: &Path, real_time: bool, limits: Option<Limits>, meanwhile: fn()) -> Result<ScenarioResult, Failed> {
    let library = cli::scenarios::library(None).map_err(|e| e.message)?;
    let scenarios = cli::scenarios::select(&library, &[what.to_owned()]).map_err(|e| e.message)?;
    let mut places = Places::new(real_time, 1);
    places.limits = limits.unwrap_or_default();
    let options = Options {
        pairing: Some(pairing.parse::<Pairing>()?),
        world: WorldChoice::Pocket,
        real_time,
        jobs: 1,
        keep: false,
        only: None,
        root: into.to_owned(),
        run: "run".into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut reporter = Meanwhile(Some(meanwhile));
    let finished = runtime.block_on(orchestrate::run_at(&Arc::new(places), &scenarios, &options, &mut reporter));
    Ok(finished.results.into_iter().next().ok_or("no result")?)
}

/// Does something once, as soon as a cell says that something has happened.
struct Meanwhile(Option<fn()>);

impl Reporter for Meanwhile {
    fn begin(&mut self, _: &RunInfo<'_>) {}
    fn side_started(&mut self, _: &str, _: Side) {}
    fn event(&mut self, _: &str, _: Side, _: &Event) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
    fn side_ended(&mut self, _: &SideReport) {}
    fn scenario_ended(&mut self, _: &ScenarioResult) {}
    fn end(&mut self, _: &[ScenarioResult], _: Duration) {}
}

fn reproduced(result: &ScenarioResult) -> Result<(), Failed> {
    if result.verdict == Verdict::Reproduced { Ok(()) } else { Err(format!("{}: {:?}", result.scenario, result.verdict).into()) }
}

/// What the gateways said on each tap, and when: octets, nanoseconds of virtual time. By tap, since virtual time may stand still
/// while a packet passes several, which then have no order.
type Wire = BTreeMap<u16, Vec<(u32, i64)>>;

/// IKE of a capture. Probes are left out, since TCP draws numbers and the lab's own clock ticks in milliseconds, and so is address
/// resolution, for which the kernel draws delays.
fn wire(capture: &Path) -> Result<Wire, Failed> {
    let mut dissector = Dissector::new();
    let mut wire = Wire::new();
    for frame in read::open(capture).map_err(|e| e.to_string())? {
        let record = dissector.dissect(frame.map_err(|e| e.to_string())?);
        if record.layers.iter().any(|l| matches!(l, Layer::Ike(_))) {
            wire.entry(record.frame.tap).or_default().push((record.frame.orig_len, record.frame.time.0));
        }
    }
    Ok(wire)
}

/// Repeats, with another load of the machine each time, show the same messages at the same virtual time.
fn same_timings() -> Result<(), Failed> {
    const WHAT: [(&str, &str); 3] = [
        ("ike-udp500-silent-drop", "strongswan:strongswan"),
        ("ok-v2-psk", "libreswan:openiked"),
        ("dpd-off-dead-peer-blackhole", "strongswan:strongswan"),
    ];
    let mut wrong = Vec::new();
    for (what, pairing) in WHAT {
        let mut first: Option<Vec<Wire>> = None;
        for round in 0..3 {
            let folder = tempfile::tempdir()?;
            reproduced(&run(what, pairing, folder.path(), false, None, || {})?)?;
            let id = what.parse().map_err(|e| format!("{e}"))?;
            let sides = [Side::Broken, Side::Fixed].map(|side| artefacts::side_dir(folder.path(), "run", &id, side));
            let captures = sides.iter().map(|d| d.join(artefacts::CAPTURE)).filter(|c| c.exists());
            let wires: Vec<Wire> = captures.map(|c| wire(&c)).collect::<Result<_, _>>()?;
            match &first {
                None => first = Some(wires),
                Some(first) => wrong
                    .extend(first.iter().zip(&wires).filter_map(|(a, b)| difference(a, b)).map(|d| format!("{what}, round {round}: {d}"))),
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// What the first one of `b` is that is not in `a` at the same moment (or missing from it).
fn difference(a: &Wire, b: &Wire) -> Option<String> {
    let taps: BTreeSet<u16> = a.keys().chain(b.keys()).copied().collect();
    fn said(wire: &Wire, tap: u16) -> &[(u32, i64)] {
        wire.get(&tap).map_or(&[], Vec::as_slice)
    }
    if taps.is_empty() {
        return Some("no IKE at all".into());
    }
    taps.into_iter().find_map(|tap| differ(said(a, tap), said(b, tap)).map(|how| format!("tap {tap}: {how}")))
}

fn differ(a: &[(u32, i64)], b: &[(u32, i64)]) -> Option<String> {
    const TOLERANCE: u64 = 1_000_000; // ns
    let same = |x: &(u32, i64), y: &(u32, i64)| x.0 == y.0 && x.1.abs_diff(y.1) < TOLERANCE;
    let far = a.iter().zip(b).position(|(x, y)| !same(x, y));
    let at = far.or((a.len() != b.len()).then_some(a.len().min(b.len())))?;
    let around =
        |said: &[(u32, i64)]| said.iter().skip(at.saturating_sub(4)).take(8).map(|p| format!("{p:?}")).collect::<Vec<_>>().join(" ");
    Some(format!("{} packets and {}; from the {at}th on they differ:\n{}\n{}", a.len(), b.len(), around(a), around(b)))
}

/// Processor time that the processes below this one use while `work` is done. Looked up again and again, since a kernel that
/// is killed with its cell has nobody who waits for it, and then counts for nobody.
fn spent<T: Send>(work: impl FnOnce() -> T + Send) -> Result<(T, Duration), Failed> {
    const TICK: Duration = Duration::from_millis(10); // USER_HZ is 100 on every machine that has a pocket kernel
    let mut ticks = BTreeMap::new();
    let done = std::thread::scope(|scope| {
        let worker = scope.spawn(work);
        while !worker.is_finished() {
            for process in processes::descendants(std::process::id())? {
                if let Some(now) = processes::ticks(process.pid) {
                    ticks.insert((process.pid, process.started), now);
                }
            }
            std::thread::park_timeout(TICK);
        }
        worker.join().map_err(|_| Failed::from("panicked"))
    })?;
    Ok((done, TICK * u32::try_from(ticks.values().sum::<u64>())?))
}

/// An hour of an idle tunnel costs at most a second of one processor; measured as the difference between two idle times,
/// in processor time, which does not depend on what else the machine does.
fn hours() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut cost = Vec::new();
    for hours in [1, 13] {
        let file = folder.path().join(format!("idle-{hours}.toml"));
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("right/idle-hours.toml"))?;
        std::fs::write(&file, text.replace("HOURS", &hours.to_string()))?;
        let (result, spent) = spent(|| run(&file.to_string_lossy(), "strongswan:strongswan", folder.path(), false, None, || {}))?;
        reproduced(&result?)?;
        cost.push(spent);
    }
    let hour = cost[1].saturating_sub(cost[0]) / 12;
    eprintln!("an idle hour costs {hour:?}; the first, with everything around it, {:?}", cost[0]);
    if cost[0] > Duration::from_millis(100) && hour <= Duration::from_secs(1) { Ok(()) } else { Err(format!("{cost:?}").into()) }
}

/// Somebody who is nobody runs a scenario with kernel ESP.
fn unprivileged() -> Result<(), Failed> {
    let dropping = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all", "--no-new-privs"];
    let words = if nix::unistd::geteuid().is_root() { &dropping[..] } else { &[] };
    let (_, text) = as_somebody(words, &["run", "ok-v2-psk", "--world", "pocket", "--evidence", "evidence"])?;
    if text.contains("1 reproduced") { Ok(()) } else { Err(text.into()) }
}

/// A user namespace can be made, and its maps cannot be written, as with Ubuntu's AppArmor: here because its `/proc` is read-only.
fn half_allowed() -> Result<(), Failed> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("half_allowed_namespaces_leave_the_pocket_world: skipped(needs root to set the stage)");
        return Ok(());
    }
    let stage =
        "mount --bind /proc /proc && mount -o remount,bind,ro /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
    let words = ["unshare", "--mount", "sh", "-c", stage, "sh"];
    let (status, text) = as_somebody(&words, &["doctor"])?;
    if !status.success() || !text.contains("ready: pocket world only") || !text.contains("apparmor_restrict_unprivileged_userns") {
        return Err(format!("{status}: {text}").into());
    }
    let (_, text) = as_somebody(&words, &["run", "ok-v2-psk", "--evidence", "evidence"])?;
    if text.contains("1 reproduced") { Ok(()) } else { Err(text.into()) }
}

/// Runs the program, by way of some words before it, where everybody can read it and the kernel.
fn as_somebody(words: &[&str], arguments: &[&str]) -> Result<(std::process::ExitStatus, String), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))?;
    let program = folder.path().join("faultlab");
    std::fs::copy(processes::binary(), &program)?;
    let kernel = folder.path().join("linux");
    std::fs::copy(pocket::find().map_err(|m| m.to_string())?, &kernel)?;
    let program = program.to_string_lossy().into_owned();
    let all: Vec<&str> = words.iter().copied().chain([program.as_str()]).chain(arguments.iter().copied()).collect();
    let mut command = Command::new(all[0]);
    command.args(&all[1..]).env("HOME", folder.path()).env("TMPDIR", folder.path()).env(pocket::KERNEL_VARIABLE, &kernel);
    let out = command.current_dir(folder.path()).output()?;
    Ok((out.status, format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))))
}

/// Stops every kernel below this process.
fn stop_kernels() {
    for pid in processes::below(std::process::id(), "linux").unwrap_or_default() {
        let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap_or(0)), Signal::SIGSTOP);
    }
}

fn hangs() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let limits = Limits { silence: Duration::from_secs(5), ..Limits::default() };
    let begun = Instant::now();
    let result = run("ike-udp500-silent-drop", "strongswan:strongswan", folder.path(), true, Some(limits), stop_kernels)?;
    ended(&result, "was silent for 5 s")?;
    if begun.elapsed() > Duration::from_secs(60) {
        return Err(format!("it took {:?}", begun.elapsed()).into());
    }
    let kept = |file: &str, says: &str| {
        let texts: Vec<_> = result.sides.iter().map(|s| std::fs::read_to_string(s.dir.join(file)).unwrap_or_default()).collect();
        if texts.iter().any(|t| t.contains(says)) { Ok(()) } else { Err(format!("{file} says nothing of `{says}`: {texts:?}")) }
    };
    kept(artefacts::CONSOLE, "has its orders")?;
    Ok(kept(artefacts::EVENTS, "network")?)
}

fn takes_too_long() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let limits = Limits { whole: Duration::from_secs(4), ..Limits::default() };
    ended(&run("ike-udp500-silent-drop", "strongswan:strongswan", folder.path(), true, Some(limits), || {})?, "was not over after 4 s")
}

fn ended(result: &ScenarioResult, says: &str) -> Result<(), Failed> {
    let troubles: Vec<&str> = result.sides.iter().filter_map(|s| s.trouble.as_ref()).map(|t| t.text.as_str()).collect();
    let left = processes::below(std::process::id(), "linux")?;
    if result.verdict == Verdict::Reproduced || !troubles.iter().any(|t| t.contains(says)) || !left.is_empty() {
        return Err(format!("{:?}, {troubles:?}, left: {left:?}", result.verdict).into());
    }
    Ok(())
}

fn never_greets() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let kernel: PathBuf = folder.path().join("linux");
    std::fs::write(&kernel, "#!/bin/sh\necho is there anybody >&2\nexec sleep 1000\n")?;
    std::fs::set_permissions(&kernel, std::fs::Permissions::from_mode(0o755))?;
    match CellHandle::spawn_pocket(&(), &Pocket::new(kernel), Duration::from_secs(1)) {
        Err(CellError::Died(exit)) if exit.stderr.contains("is there anybody") => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}
