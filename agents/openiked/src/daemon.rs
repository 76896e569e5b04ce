//! One life of the iked processes: a parent and three children in process groups of their own.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peer::{DriverError, Ending, GatewayEvent, Launch, append_private, last_lines};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::etc::ETC;
use crate::log::Tracker;
use crate::probe::Found;

/// Name of the log in the gateway's folder.
pub(crate) const LOG: &str = "iked.log";
/// Where the gateway's folder is mounted for the daemon.
const MOUNT: &str = "/run";
/// The control socket, as the daemon sees it.
const SOCKET: &str = "/run/iked.sock";

/// From spawn to open sockets; about 100 ms on an idle machine.
const READY: Duration = Duration::from_secs(20);
/// For programs that answer by themselves.
const ANSWER: Duration = Duration::from_secs(10);
/// From TERM to the end.
const GOODBYE: Duration = Duration::from_secs(10);

/// What the daemon says within this time is read together: it writes its dumps byte by byte, some thousand writes for an exchange, and
/// a reader that ran after each would slow it down, by how much is up to the scheduler.
const TOGETHER: Duration = Duration::from_millis(1);
/// How much is read at once: all that a pipe holds.
const PIECE: usize = 64 << 10;

/// What the log has told so far, and a way to wait for more.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    tracker: Arc<Mutex<Tracker>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Books {
    pub(crate) fn new() -> Books {
        Books { tracker: Arc::default(), changed: Arc::new(watch::Sender::new(0)) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Tracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change that others may wait for.
    fn change(&self, change: impl FnOnce(&mut Tracker)) {
        change(&mut self.lock());
        self.changed.send_modify(|n| *n += 1);
    }

    /// Waits until `wanted` finds something in the books.
    pub(crate) async fn until<T>(&self, mut wanted: impl FnMut(&mut Tracker) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = wanted(&mut self.lock()) {
                return found;
            }
            // Its sender is ours: it cannot be gone.
            let _ = changes.changed().await;
        }
    }
}

/// A running iked, or one that has ended.
pub(crate) struct Daemon {
    launch: Arc<Launch>,
    found: Found,
    pub(crate) books: Books,
    pid: Option<Pid>,
    /// The status in words once the parent process has ended and everything that it said was read.
    ended: watch::Receiver<Option<Ending>>,
    /// Set when the end is our wish.
    expected: watch::Sender<bool>,
}

impl Daemon {
    /// Spawns iked and waits until its IKE process has read the configuration and opened its sockets.
    pub(crate) async fn spawn(found: &Found, launch: &Arc<Launch>, books: Books) -> Result<Daemon, DriverError> {
        let name = launch.config.name.clone();
        books.lock().restart();
        let log = append_private(&launch.dir.join(LOG)).map_err(|e| io_error(&name, "opening iked.log", e))?;
        let mut args = vec!["-d", "-vvvv", "-f", crate::conf::FILE, "-s", SOCKET];
        if launch.config.connections.iter().any(|c| !c.nat_traversal) {
            // One switch for all connections; `conf` has refused those that differ.
            args.push("-T");
        }
        let mut command = command(found, launch, &found.iked, &args);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| io_error(&name, "starting iked", e))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let said = child.stderr.take().map(|said| said.into_owned_fd().map(File::from)).transpose();
        let said = said.map_err(|e| io_error(&name, "taking iked's messages", e))?;
        let (tell_all_read, all_read) = oneshot::channel();
        if let Some(said) = said {
            let (books, launch) = (books.clone(), launch.clone());
            let thread = std::thread::Builder::new().name("iked-log".into()).spawn(move || {
                read(said, log, &books, &launch);
                // Nobody waits for it any more when the cell ends.
                let _ = tell_all_read.send(());
            });
            thread.map_err(|e| io_error(&name, "starting a thread that reads its messages", e))?;
        }
        let (tell_end, ended) = watch::channel(None);
        let (expected, is_expected) = watch::channel(false);
        let launched = Arc::clone(launch);
        tokio::spawn(async move {
            let ending = Ending::of(child.wait().await);
            // The children notice the end and close the log.
            let _ = timeout_at(Instant::now() + ANSWER, all_read).await;
            let asked = *is_expected.borrow();
            let last = || last_lines(&launched.dir.join(LOG), &launched.config, |_| true);
            ending.tell(&launched.events, &launched.config.name, asked, last);
            let _ = tell_end.send(Some(ending));
        });
        let daemon = Daemon { launch: launch.clone(), found: found.clone(), books, pid, ended, expected };
        let ready = daemon.within(READY, "iked to read its configuration and open its sockets", |t| t.ready.then_some(())).await;
        let complaint = daemon.books.lock().complaint.clone();
        match (ready, complaint) {
            (Err(DriverError::Died { .. }), Some(reason)) => {
                Err(DriverError::Refused { gateway: daemon.name().to_owned(), setting: crate::conf::FILE.into(), reason })
            }
            (ready, _) => ready.map(|()| daemon),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.launch.config.name
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        let pid = self.pid.filter(|_| self.is_running())?;
        u32::try_from(pid.as_raw_nonzero().get()).ok()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Becomes ready when the daemon has ended.
    pub(crate) fn end(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            let _ = ended.wait_for(Option::is_some).await;
        }
    }

    /// Waits for something in the log, unless the daemon ends first.
    pub(crate) async fn within<T>(
        &self,
        patience: Duration,
        condition: &str,
        wanted: impl FnMut(&mut Tracker) -> Option<T>,
    ) -> Result<T, DriverError> {
        let found = async {
            tokio::select! {
                biased;
                found = self.books.until(wanted) => Ok(found),
                () = self.end() => Err(self.died()),
            }
        };
        timeout_at(Instant::now() + patience, found).await.unwrap_or_else(|_| {
            let last = last_line(&self.launch.dir);
            Err(DriverError::Timeout { gateway: self.name().to_owned(), condition: condition.into(), waited: patience, last })
        })
    }

    /// Asks the control socket.
    pub(crate) async fn ikectl(&self, words: &[&str]) -> Result<String, DriverError> {
        if !self.is_running() {
            return Err(self.died());
        }
        let words = [&["-s", SOCKET], words].concat();
        run(&self.found, &self.launch, &self.found.ikectl, &words).await
    }

    pub(crate) fn died(&self) -> DriverError {
        let ending = self.ended.borrow().clone().unwrap_or_else(|| Ending::in_words("not waited for"));
        DriverError::Died { gateway: self.name().to_owned(), ending, last: last_line(&self.launch.dir) }
    }

    /// Ends the processes and waits for that.
    pub(crate) async fn stop(&self, kill: bool) -> Result<(), DriverError> {
        let _ = self.expected.send(true);
        if kill {
            self.kill()?;
        } else {
            self.send(Signal::TERM)?;
        }
        if timeout_at(Instant::now() + GOODBYE, self.end()).await.is_ok() {
            return Ok(());
        }
        let last = last_line(&self.launch.dir);
        self.kill()?;
        let condition = if kill { "iked to end after KILL" } else { "iked to end after TERM (killed now)" };
        Err(DriverError::Timeout { gateway: self.name().to_owned(), condition: condition.into(), waited: GOODBYE, last })
    }

    /// Freezes all processes or lets them go on.
    pub(crate) fn pause(&self, paused: bool) -> Result<(), DriverError> {
        if !self.is_running() {
            return Err(self.died());
        }
        let signal = if paused { Signal::STOP } else { Signal::CONT };
        let children = self.children();
        self.send(signal)?;
        children.into_iter().try_for_each(|child| self.send_to(child, signal))?;
        self.books.change(|t| t.paused = paused);
        Ok(())
    }

    /// Which of the processes a signal has stopped: the control socket may answer without it.
    pub(crate) fn stopped(&self) -> Option<Pid> {
        let own = self.pid.filter(|_| self.is_running());
        self.children().into_iter().chain(own).find(|pid| state_of(pid.as_raw_nonzero().get()) == Some('T'))
    }

    /// Ends everything without waiting for it.
    pub(crate) fn abandon(&self) {
        let _ = self.expected.send(true);
        let _ = self.kill();
    }

    /// Nobody gets a chance to tidy up: the parent is frozen while its children are killed.
    fn kill(&self) -> Result<(), DriverError> {
        self.send(Signal::STOP)?;
        for child in self.children() {
            self.send_to(child, Signal::KILL)?;
        }
        self.send(Signal::KILL)
    }

    /// The other processes, which are in process groups of their own.
    fn children(&self) -> Vec<Pid> {
        let (Some(parent), Ok(all)) = (self.pid(), std::fs::read_dir("/proc")) else { return Vec::new() };
        let pids = all.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| parent_of(*pid) == Some(parent)).filter_map(Pid::from_raw).collect()
    }

    fn send(&self, signal: Signal) -> Result<(), DriverError> {
        match self.pid.filter(|_| self.is_running()) {
            Some(pid) => self.send_to(pid, signal),
            None => Ok(()),
        }
    }

    fn send_to(&self, pid: Pid, signal: Signal) -> Result<(), DriverError> {
        match kill_process(pid, signal) {
            // It ended between the question and the signal.
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(e) => Err(io_error(self.name(), &format!("sending {signal:?} to iked"), e.into())),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// The parent of a process.
fn parent_of(pid: i32) -> Option<u32> {
    field(pid, 1)?.parse().ok()
}

/// The state of a process in one letter.
fn state_of(pid: i32) -> Option<char> {
    field(pid, 0)?.chars().next()
}

/// A field behind the name in `/proc/PID/stat`: `12 (name) S 1 …`; the name may contain anything.
fn field(pid: i32, number: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(number).map(str::to_owned)
}

/// Copies what the daemon says to the log and to the books, until all processes have closed it. Works in a thread of its own,
/// since whoever waits for a pipe with epoll is woken by each write.
fn read(mut said: File, mut log: File, books: &Books, launch: &Launch) {
    let (mut piece, mut partial) = (vec![0; PIECE], Vec::new());
    loop {
        let n = match said.read(&mut piece) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other.unwrap_or_default(),
        };
        // Evidence only; a full disk shows elsewhere.
        let _ = log.write_all(&piece[..n]);
        partial.extend_from_slice(&piece[..n]);
        let whole = if n == 0 { partial.len() } else { partial.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1) };
        books.change(|t| {
            for line in partial[..whole].split_inclusive(|b| *b == b'\n') {
                for what in t.line(&String::from_utf8_lossy(line)) {
                    // The harness may have stopped listening.
                    let _ = launch.events.send(GatewayEvent { gateway: launch.config.name.clone(), what });
                }
            }
        });
        partial.drain(..whole);
        if n == 0 {
            return;
        }
        std::thread::sleep(TOGETHER);
    }
}

/// A command inside the node that sees the gateway's `/run` and `/etc`.
fn command(found: &Found, launch: &Launch, program: &Path, args: &[&str]) -> tokio::process::Command {
    let mut binds = vec![(launch.dir.clone(), MOUNT.into()), (launch.dir.join(ETC), "/etc".into())];
    // The gateway has an `/etc` of its own, whatever a private root has.
    binds.extend(found.home.binds().into_iter().filter(|(_, target)| *target != Path::new("/etc")));
    let args: Vec<_> = args.iter().map(Into::into).collect();
    let mut command = launch.spawner.command(&program.to_string_lossy(), &args, &binds);
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    command
}

/// Runs a program of the package to its end.
async fn run(found: &Found, launch: &Launch, program: &Path, args: &[&str]) -> Result<String, DriverError> {
    output(launch, &args.join(" "), command(found, launch, program, args)).await
}

/// Runs `ip` inside the node.
pub(crate) async fn ip(launch: &Launch, args: &[&str]) -> Result<String, DriverError> {
    let words: Vec<_> = args.iter().map(Into::into).collect();
    let mut command = launch.spawner.command("ip", &words, &[]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    output(launch, &format!("ip {}", args.join(" ")), command).await
}

async fn output(launch: &Launch, doing: &str, mut command: tokio::process::Command) -> Result<String, DriverError> {
    let name = &launch.config.name;
    let done = timeout_at(Instant::now() + ANSWER, command.output()).await.map_err(|_| DriverError::Timeout {
        gateway: name.clone(),
        condition: format!("`{doing}` to end"),
        waited: ANSWER,
        last: last_line(&launch.dir),
    })?;
    let done = done.map_err(|e| io_error(name, doing, e))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(text);
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(io_error(name, doing, io::Error::other(format!("{}: {} {}", done.status, said.trim(), text.trim()))))
}

pub(crate) fn io_error(gateway: &str, doing: &str, source: io::Error) -> DriverError {
    DriverError::Io { gateway: gateway.into(), doing: doing.into(), source }
}

/// The last line that the daemon logged.
pub(crate) fn last_line(dir: &Path) -> String {
    let text = std::fs::read(dir.join(LOG)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().find(|l| !l.trim().is_empty()).map_or_else(|| "nothing logged".into(), str::to_owned)
}
