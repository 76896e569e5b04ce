//! Accidents inside of a cell: a thread beside the lab waits for a moment of its side and then does what no scenario asks for. The name
//! of the run says what.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use faultlab::event::{Event, What};
use faultlab::run::artefacts;
use faultlab::run::lab::{self, Order};
use faultlab::world::cell::EventSink;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes::{self, Process};

/// How long its moment is waited for.
const LATEST: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(2);

/// What happens to whom, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accident {
    pub what: Kind,
    pub gateway: &'static str,
    /// The phase or the step that must have begun.
    pub moment: &'static str,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The daemon gets a signal.
    Daemon(Signal),
    /// A process of the daemon's own gets one.
    Helper(Signal),
    /// The in-house gateway's TUN device is removed, without which its thread cannot go on.
    NoDevice,
    /// A thread of the lab's own process panics.
    Panic,
}

impl Accident {
    /// As the run is named.
    pub fn name(&self) -> String {
        let what = match self.what {
            Kind::Daemon(signal) => format!("daemon.{signal}"),
            Kind::Helper(signal) => format!("helper.{signal}"),
            Kind::NoDevice => "device.none".to_owned(),
            Kind::Panic => "thread.none".to_owned(),
        };
        format!("{what}.{}.{}", self.gateway, self.moment)
    }
}

/// The main function of the cell's first process.
pub fn cell_main(job: Vec<u8>, sink: EventSink) -> i32 {
    if let Ok(Order::Side(job)) = serde_json::from_slice(&job) {
        std::thread::spawn(move || {
            if let Err(e) = happen(&job.dir) {
                eprintln!("the accident did not happen: {e}");
            }
        });
    }
    lab::cell_main(job, sink)
}

/// `dir`: the evidence folder of the side, `RUNS/RUN/SCENARIO/SIDE`.
fn happen(dir: &Path) -> Result<(), String> {
    let run = dir.ancestors().nth(2).and_then(|d| d.file_name()).and_then(|n| n.to_str()).ok_or("no name")?;
    let words: Vec<&str> = run.split('.').collect();
    let [_, whom, what, gateway, moment] = words[..] else { return Err(format!("`{run}` says nothing")) };
    let signal = || what.parse::<Signal>().map_err(|e| e.to_string());
    until(&format!("`{moment}` has begun"), || begun(dir, moment).then_some(()))?;
    match whom {
        "device" => remove_device(dir, gateway),
        "thread" => panic!("as asked for"),
        _ => {
            let found = until("the process is there", || if whom == "daemon" { daemon(gateway) } else { helper(gateway) })?;
            kill(Pid::from_raw(i32::try_from(found.pid).unwrap_or(0)), signal()?).map_err(|e| e.to_string())
        }
    }
}

fn events(dir: &Path) -> Vec<What> {
    let text = std::fs::read_to_string(dir.join(artefacts::EVENTS)).unwrap_or_default();
    text.lines().filter_map(|l| serde_json::from_str::<Event>(l).ok()).map(|e| e.what).collect()
}

fn begun(dir: &Path, moment: &str) -> bool {
    events(dir).iter().any(|what| match what {
        What::Phase { name } => name == moment,
        What::StepStarted { step } => step == moment,
        _ => false,
    })
}

/// The gateway's daemon, which sees the gateway's folder as its own.
fn daemon(gateway: &str) -> Option<Process> {
    let folder = PathBuf::from(artefacts::GATEWAYS).join(gateway);
    let of_gateway = |p: &Process| {
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", p.pid)).unwrap_or_default();
        mounts.lines().filter_map(|l| l.split_whitespace().nth(3)).any(|root| Path::new(root).ends_with(&folder))
    };
    let known = |p: &Process| p.parent == std::process::id() && ["charon", "pluto", "iked"].contains(&p.name.as_str());
    processes::all().ok()?.into_iter().find(|p| known(p) && of_gateway(p))
}

/// A process that the daemon has started.
fn helper(gateway: &str) -> Option<Process> {
    let daemon = daemon(gateway)?;
    processes::all().ok()?.into_iter().find(|p| p.parent == daemon.pid)
}

fn remove_device(dir: &Path, gateway: &str) -> Result<(), String> {
    let fd = events(dir).into_iter().find_map(|what| match what {
        What::NodeUp { node, fd } if node == gateway => Some(fd),
        _ => None,
    });
    let net = format!("--net=/proc/{}/fd/{}", std::process::id(), fd.ok_or("no such node")?);
    let ended = Command::new("nsenter").arg(net).args(["ip", "link", "del", "ipsec0"]).stdin(Stdio::null()).output();
    let ended = ended.map_err(|e| e.to_string())?;
    if ended.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ended.stderr).into_owned()) }
}

/// Waits for a named condition.
fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> Result<T, String> {
    let deadline = Instant::now() + LATEST;
    loop {
        match condition() {
            Some(found) => return Ok(found),
            None if Instant::now() > deadline => return Err(format!("waited in vain until {what}")),
            None => std::thread::park_timeout(LOOK),
        }
    }
}
