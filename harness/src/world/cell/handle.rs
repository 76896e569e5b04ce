//! A cell as its parent sees it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde::Serialize;
use tokio::sync::{mpsc as channel, watch};

use super::super::namespaces::Refusal;
use super::super::pocket::{EPOCH, Pocket};
use super::guest::{EXIT_WORDS, Orders};
use super::{Greeting, OUTER, POCKET_OUTER};

/// Lines of a cell's standard error that are kept.
const TAIL: usize = 60;

/// What a pocket's parent process is told when the guest has its orders.
const READ: &[u8] = b"\n";
/// Variables of the environment that cells get: whatever else is there, a token perhaps, is none of theirs. They find programs and private
/// roots by them, and say what they say as their user wants it.
const VARIABLES: [&str; 9] =
    ["PATH", "LD_LIBRARY_PATH", "HOME", "XDG_CACHE_HOME", "TMPDIR", "LANG", "TZ", "RUST_BACKTRACE", "RUST_LIB_BACKTRACE"];
/// And all that begin like this.
const PREFIXES: [&str; 2] = ["FAULTLAB_", "LC_"];

/// What cells get of this process's environment. Values that are no text are left out.
fn environment() -> impl Iterator<Item = (String, String)> {
    let needed = |name: &str| VARIABLES.contains(&name) || PREFIXES.iter().any(|p| name.starts_with(p));
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(move |v| needed(&v.0))
}

/// Why a cell cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The machine lacks privilege or a kernel feature.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It ended before it was ready.
    #[error("the cell ended before it was ready: {0}")]
    Died(CellExit),
    /// It said something that is no JSON: a bug.
    #[error("the cell said something that is no event: `{0}`")]
    Garbage(String),
    /// The job cannot be written as JSON.
    #[error("the cell's job cannot be written as JSON: {0}")]
    Job(#[from] serde_json::Error),
    /// Input or output failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: std::io::Error,
    },
}

/// How a cell ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CellExit {
    /// Exit status of its first process; 128 + signal when a signal ended it; `None`: killed together with its keeper.
    pub code: Option<i32>,
    /// The status is its first process's own. A pocket's, which ends inside of a kernel, has to be told before that ends.
    pub told: bool,
    /// Last lines of its standard error.
    pub stderr: String,
}

impl std::fmt::Display for CellExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code @ 129..=192) => write!(f, "ended by signal {}", code - 128)?,
            Some(101) => write!(f, "panicked")?,
            Some(code) => write!(f, "exit status {code}")?,
            None => write!(f, "killed")?,
        }
        if self.stderr.is_empty() { Ok(()) } else { write!(f, "; its last words:\n{}", self.stderr.trim_end()) }
    }
}

type Tail = Arc<Mutex<VecDeque<String>>>;

/// A running cell. Dropping it kills everything inside.
#[derive(Debug)]
pub struct CellHandle {
    first_pid: u32,
    first: Option<OwnedFd>,
    _lifeline: ChildStdin,
    events: channel::UnboundedReceiver<String>,
    exit: watch::Receiver<Option<CellExit>>,
}

impl CellHandle {
    /// Starts a cell and hands it its job. Blocks for the few milliseconds until the cell has its namespaces, so that a
    /// machine that cannot is known at once.
    pub fn spawn(job: &impl Serialize) -> Result<CellHandle, CellError> {
        let own = std::process::id().to_string();
        CellHandle::begin(serde_json::to_vec(job)?, vec![OUTER.into(), own], None)
    }

    /// The same in a pocket kernel, which must greet within `patience`.
    pub fn spawn_pocket(job: &impl Serialize, pocket: &Pocket, patience: Duration) -> Result<CellHandle, CellError> {
        let share = pocket.share.clone();
        let begins = (!pocket.real_time).then_some(EPOCH);
        let orders = Orders { env: environment().collect(), share, begins, job: serde_json::to_value(job)? };
        let own = std::process::id().to_string();
        CellHandle::begin(serde_json::to_vec(&orders)?, vec![POCKET_OUTER.into(), own, serde_json::to_string(pocket)?], Some(patience))
    }

    /// `patience`: a pocket, which wants its job before it greets, and is killed when it does not greet in time.
    fn begin(mut job: Vec<u8>, args: Vec<String>, patience: Option<Duration>) -> Result<CellHandle, CellError> {
        job.push(b'\n');
        let mut child = spawn_outer(args).map_err(|source| CellError::Io { doing: "starting a cell", source })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let keeper = Keeper { child, is_pocket: patience.is_some() };
        let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(CellError::Io { doing: "starting a cell", source: std::io::Error::other("no pipes") });
        };
        let tail = Tail::default();
        let reader = keep_tail(stderr, Arc::clone(&tail))?;
        let mut stdout = BufReader::new(stdout);
        let greeting = patience.map(|limit| Watchdog::start(keeper.child.id(), limit)).transpose()?;
        // A cell that died meanwhile is told by what it did not say, by `next` and by `wait`.
        let mut hand_over = |what: &[u8]| drop(stdin.write_all(what).and_then(|()| stdin.flush()));
        if patience.is_some() {
            hand_over(&job);
        }
        let greeted = greet(&mut stdout);
        drop(greeting);
        let (tell, exit) = watch::channel(None);
        let Greeted { pid: first_pid, early } = match greeted {
            Ok(Some(greeted)) => greeted,
            Ok(None) => {
                drop(stdin);
                return Err(CellError::Died(keeper.reap(reader, &tail)));
            }
            Err(error) => {
                drop(stdin);
                keeper.reap(reader, &tail);
                return Err(error);
            }
        };
        let first = i32::try_from(first_pid).ok().and_then(Pid::from_raw);
        let first = match first.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
            Some(Ok(first)) => Some(first),
            // On a busy machine a short job may be over already; what it said is in the pipe.
            None | Some(Err(rustix::io::Errno::SRCH)) => None,
            Some(Err(_)) => {
                drop(stdin);
                return Err(CellError::Died(keeper.reap(reader, &tail)));
            }
        };
        thread("cell-wait", move || {
            let exit = keeper.reap(reader, &tail);
            let _ = tell.send(Some(exit));
        })?;
        let (send, events) = channel::unbounded_channel();
        for line in early {
            // Its receiver is ours.
            let _ = send.send(line);
        }
        thread("cell-events", move || forward(stdout, &send))?;
        // A pocket that has greeted has read its orders.
        hand_over(if patience.is_some() { READ } else { &job });
        Ok(CellHandle { first_pid, first, _lifeline: stdin, events, exit })
    }

    /// Can cells be made here at all?
    pub fn try_out() -> Result<(), CellError> {
        CellHandle::spawn(&()).map(drop)
    }

    /// The next event; `None` when the cell has closed its stream.
    pub async fn next(&mut self) -> Option<Result<serde_json::Value, CellError>> {
        let line = self.events.recv().await?;
        Some(serde_json::from_str(&line).map_err(|_| CellError::Garbage(line)))
    }

    /// Waits until everything inside is gone.
    pub async fn wait(&mut self) -> CellExit {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or_default(),
            Err(_) => CellExit::default(),
        }
    }

    /// Kills the cell's first process, and with it everything inside.
    pub fn kill(&self) {
        if let Some(first) = &self.first {
            let _ = pidfd_send_signal(first, Signal::KILL);
        }
    }

    /// Process id of the cell's first process, as seen from here.
    pub fn first_pid(&self) -> u32 {
        self.first_pid
    }
}

impl Drop for CellHandle {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills a new cell unless dropped in time.
struct Watchdog {
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    /// `outer`: a child that has not been waited for, so that its number is its own.
    fn start(outer: u32, limit: Duration) -> Result<Watchdog, CellError> {
        let (alive, gone) = mpsc::channel::<()>();
        let pid = i32::try_from(outer).ok().and_then(Pid::from_raw);
        thread("cell-watchdog", move || {
            if let (Err(mpsc::RecvTimeoutError::Timeout), Some(pid)) = (gone.recv_timeout(limit), pid) {
                // Everything inside dies with it.
                let _ = kill_process(pid, Signal::KILL);
            }
        })?;
        Ok(Watchdog { _alive: alive })
    }
}

/// PDEATHSIG looks at the thread that spawned, not at the process: one thread spawns all cells and never ends.
fn spawn_outer(args: Vec<String>) -> std::io::Result<Child> {
    type Request = (Vec<String>, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: Mutex<Option<mpsc::Sender<Request>>> = Mutex::new(None);
    let (reply, answer) = mpsc::channel();
    let lost = || std::io::Error::other("the thread that starts cells is gone");
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    let requests = match spawner.take() {
        Some(requests) => requests,
        None => {
            let (requests, inbox) = mpsc::channel::<Request>();
            std::thread::Builder::new().name("cell-spawner".into()).spawn(move || {
                for (args, reply) in inbox {
                    let _ = reply.send(command(&args).spawn());
                }
            })?;
            requests
        }
    };
    spawner.insert(requests).send((args, reply)).map_err(|_| lost())?;
    drop(spawner);
    answer.recv().map_err(|_| lost())?
}

fn command(args: &[String]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(args).env_clear().envs(environment());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C is for us alone: we decide what happens to the cells.
    command.process_group(0);
    command
}

/// A new cell's first lines, before it can be used.
#[derive(Debug, PartialEq, Eq)]
struct Greeted {
    pid: u32,
    /// Events that came before the process id. Two processes write: the one that tells the id may not have run since it started the
    /// other, which has its job already in the pocket world.
    early: Vec<String>,
}

/// Reads until the cell has told its process id and that it is ready. `None`: it ended before.
fn greet(stdout: &mut impl BufRead) -> Result<Option<Greeted>, CellError> {
    let (mut pid, mut ready, mut early) = (None, false, Vec::new());
    loop {
        if let (Some(pid), true) = (pid, ready) {
            return Ok(Some(Greeted { pid, early }));
        }
        let mut line = String::new();
        match stdout.read_line(&mut line) {
            // Whoever is killed while it writes leaves a piece of a line.
            Ok(_) if !line.ends_with('\n') => return Ok(None),
            Ok(_) => {}
            Err(source) => return Err(CellError::Io { doing: "reading from a new cell", source }),
        }
        match serde_json::from_str(&line) {
            Ok(Greeting::Pid(p)) => pid = Some(p),
            Ok(Greeting::Ready) => ready = true,
            Ok(Greeting::Refused(refusal)) => return Err(refusal.into()),
            Err(_) if ready => early.push(line.trim_end_matches('\n').to_owned()),
            Err(_) => return Err(CellError::Garbage(line)),
        }
    }
}

/// Passes whole lines on. Whoever is killed while it writes leaves a piece of one, which says nothing.
fn forward(mut stdout: impl BufRead, send: &channel::UnboundedSender<String>) {
    let mut line = Vec::new();
    while stdout.read_until(b'\n', &mut line).is_ok() && line.pop() == Some(b'\n') {
        if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
        line.clear();
    }
}

fn keep_tail(stderr: ChildStderr, tail: Tail) -> Result<std::thread::JoinHandle<()>, CellError> {
    thread("cell-stderr", move || {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

/// The outer process of a cell. Whatever keeps us from waiting for it, it does not stay.
struct Keeper {
    child: Child,
    is_pocket: bool,
}

impl Keeper {
    fn reap(mut self, stderr: std::thread::JoinHandle<()>, tail: &Tail) -> CellExit {
        let status = self.child.wait().ok();
        let _ = stderr.join();
        let lines = tail.lock().unwrap_or_else(PoisonError::into_inner);
        let stderr = lines.iter().flat_map(|l| [l.as_str(), "\n"]).collect();
        // A pocket's first process says its status before the kernel switches off.
        let told = lines.iter().rev().find_map(|l| l.trim().strip_prefix(EXIT_WORDS)?.parse().ok());
        let code = told.or_else(|| status.and_then(|s| s.code().or_else(|| s.signal().map(|n| 128 + n))));
        CellExit { code, told: told.is_some() || !self.is_pocket, stderr }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It has been waited for already, or everything inside dies with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn thread<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> Result<std::thread::JoinHandle<T>, CellError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map_err(|source| CellError::Io { doing: "starting a thread for a cell", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeted(said: &str) -> Result<Option<Greeted>, CellError> {
        greet(&mut said.as_bytes())
    }

    #[test]
    fn the_two_processes_may_greet_in_any_order() {
        let early = |lines: &[&str]| Greeted { pid: 7, early: lines.iter().map(|l| (*l).to_owned()).collect() };
        assert_eq!(greeted("{\"pid\":7}\n\"ready\"\n{\"event\":1}\n").unwrap(), Some(early(&[])));
        assert_eq!(greeted("\"ready\"\n{\"pid\":7}\n").unwrap(), Some(early(&[])));
        // On a busy machine the id came after the first event of a pocket.
        assert_eq!(
            greeted("\"ready\"\n{\"event\":1}\n{\"event\":2}\n{\"pid\":7}\n").unwrap(),
            Some(early(&["{\"event\":1}", "{\"event\":2}"]))
        );
    }

    #[test]
    fn what_is_no_greeting_is_told_and_an_end_is_no_cell() {
        assert!(matches!(greeted("Killed\n"), Err(CellError::Garbage(_))));
        assert!(greeted("\"ready\"\n{\"pi").unwrap().is_none(), "killed while it wrote");
        assert!(greeted("\"ready\"\n{\"event\":1}\n").unwrap().is_none());
        assert!(greeted("").unwrap().is_none());
    }

    #[test]
    fn a_piece_of_a_line_is_no_event() {
        let (send, mut events) = channel::unbounded_channel();
        forward(&b"{\"event\":1}\n{\"ev"[..], &send);
        assert_eq!(events.try_recv().ok().as_deref(), Some("{\"event\":1}"));
        assert!(events.try_recv().is_err());
    }
}
