//! One life of the pluto process, and the programs that speak to it.

use std::ffi::OsString;
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use peer::{DriverError, Ending, GatewayConfig, Launch, append_private, last_lines};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::conf::{FILE, LOG, MOUNT, NSS, POLICIES, SECRETS};
use crate::journal::Journal;
use crate::probe::Found;

/// From spawn to an open control socket; 0.1 s on an idle machine.
const READY: Duration = Duration::from_secs(20);
/// For any answer that the daemon gives without asking its peer.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);
/// From TERM to the end.
const GOODBYE: Duration = Duration::from_secs(10);
/// What the process says before it can log.
const OUT: &str = "pluto.out";

/// A running pluto, or one that has ended.
pub(crate) struct Daemon {
    name: String,
    dir: PathBuf,
    found: Found,
    journal: Journal,
    pid: Option<Pid>,
    /// The status in words once the process has ended.
    ended: watch::Receiver<Option<Ending>>,
    /// Set when the end is our wish.
    expected: watch::Sender<bool>,
}

/// What `whack` or `addconn` answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) success: bool,
    /// Everything it said, one line after the other.
    pub(crate) text: String,
}

impl Daemon {
    /// Spawns pluto and waits until its control socket answers.
    pub(crate) async fn spawn(found: &Found, launch: &Launch, journal: &Journal, debug: &str) -> Result<Daemon, DriverError> {
        let name = launch.config.name.clone();
        // A killed daemon leaves both, and the next one refuses to start beside them.
        for stale in ["pluto.ctl", "pluto.pid"] {
            match std::fs::remove_file(launch.dir.join(stale)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error(&name, &format!("removing {stale}"), e)),
                _ => {}
            }
        }
        let out = append_private(&launch.dir.join(OUT));
        let out = out.map_err(|e| io_error(&name, "opening pluto.out", e))?;
        let err = out.try_clone().map_err(|e| io_error(&name, "opening pluto.out", e))?;
        let mut binds = vec![(launch.dir.clone(), PathBuf::from(MOUNT))];
        binds.extend(found.home.binds());
        let inside = |file: &str| format!("{MOUNT}/{file}");
        let args: Vec<OsString> = [
            "--nofork".into(),
            "--config".into(),
            inside(FILE),
            "--secretsfile".into(),
            inside(SECRETS),
            "--ipsecdir".into(),
            inside(POLICIES),
            "--nssdir".into(),
            inside(NSS),
            "--rundir".into(),
            MOUNT.into(),
            "--logfile".into(),
            inside(LOG),
        ]
        .into_iter()
        .map(OsString::from)
        .collect();
        let program = found.programs.join("pluto");
        let mut command = launch.spawner.command(&program.to_string_lossy(), &args, &binds);
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| io_error(&name, "starting pluto", e))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let (tell_end, ended) = watch::channel(None);
        let (expected, is_expected) = watch::channel(false);
        let (events, dir, config, log) = (launch.events.clone(), launch.dir.clone(), launch.config.clone(), journal.clone());
        tokio::spawn(async move {
            let ending = Ending::of(child.wait().await);
            log.catch_up();
            let asked = *is_expected.borrow();
            ending.tell(&events, &config.name, asked, || last_words(&dir, &config));
            let _ = tell_end.send(Some(ending));
        });
        let daemon = Daemon { name, dir: launch.dir.clone(), found: found.clone(), journal: journal.clone(), pid, ended, expected };
        daemon.within(READY, "pluto to serve its control socket", daemon.until_served()).await?;
        // Otherwise `addconn`, which it starts by itself, would tell it, and nobody would if that failed.
        daemon.order(&["--listen"]).await?;
        daemon.within(ANSWER, "pluto to listen for IKE messages", journal.until_listening()).await?;
        // Its self-tests are not worth logging, so that this is asked for only now.
        daemon.order(&["--debug", debug]).await?;
        Ok(daemon)
    }

    /// While the daemon starts there is nothing to watch but the socket itself: asks every 2 ms.
    async fn until_served(&self) {
        let mut tick = interval(Duration::from_millis(2));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // By way of the folder: its path may be longer than a socket's name.
            let Ok(folder) = File::open(&self.dir) else { continue };
            if UnixStream::connect(format!("/proc/self/fd/{}/pluto.ctl", folder.as_raw_fd())).await.is_ok() {
                return;
            }
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        let pid = self.pid.filter(|_| self.is_running())?;
        u32::try_from(pid.as_raw_nonzero().get()).ok()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// One command of `whack`, answered by the daemon itself.
    pub(crate) async fn whack(&self, args: &[&str]) -> Result<Answer, DriverError> {
        let call = Caller::new(&self.found, &self.dir).whack(args);
        self.asked(&format!("whack {}", args.join(" ")), call).await
    }

    /// One command of `whack` that the daemon must not refuse; returns what it said.
    pub(crate) async fn order(&self, args: &[&str]) -> Result<String, DriverError> {
        let answer = self.whack(args).await?;
        let what = || format!("whack {}", args.join(" "));
        if answer.success { Ok(answer.text) } else { Err(io_error(&self.name, &what(), io::Error::other(answer.text))) }
    }

    /// Loads a connection of the configuration file.
    pub(crate) async fn add(&self, connection: &str) -> Result<Answer, DriverError> {
        let caller = Caller::new(&self.found, &self.dir);
        let args = ["--config", "./ipsec.conf", "--ctlsocket", "./pluto.ctl", connection];
        self.asked(&format!("addconn {connection}"), caller.call("addconn", &args)).await
    }

    async fn asked(&self, what: &str, call: impl Future<Output = io::Result<Answer>>) -> Result<Answer, DriverError> {
        if !self.is_running() {
            return Err(self.died());
        }
        self.within(ANSWER, &format!("pluto's answer to {what}"), call).await?.map_err(|e| io_error(&self.name, what, e))
    }

    /// A caller that may outlive this one's borrow.
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(&self.found, &self.dir)
    }

    /// Waits for something that the daemon does by itself, unless it ends or hangs.
    pub(crate) async fn within<T>(&self, limit: Duration, what: &str, work: impl Future<Output = T>) -> Result<T, DriverError> {
        match timeout_at(Instant::now() + limit, self.alive(work)).await {
            Ok(done) => done,
            Err(_) => {
                Err(DriverError::Timeout { gateway: self.name.clone(), condition: what.to_owned(), waited: limit, last: self.last_words() })
            }
        }
    }

    /// Runs `work` unless the daemon ends first.
    pub(crate) async fn alive<T>(&self, work: impl Future<Output = T>) -> Result<T, DriverError> {
        let mut ended = self.ended.clone();
        tokio::select! {
            biased;
            done = work => Ok(done),
            _ = ended.wait_for(Option::is_some) => Err(self.died()),
        }
    }

    fn died(&self) -> DriverError {
        let ending = self.ended.borrow().clone().unwrap_or_else(|| Ending::in_words("not waited for"));
        DriverError::Died { gateway: self.name.clone(), ending, last: self.last_words() }
    }

    /// The last line of the log, or of what was said before there was one.
    fn last_words(&self) -> String {
        let out = || {
            let text = std::fs::read_to_string(self.dir.join(OUT)).ok()?;
            text.lines().rev().find(|l| !l.trim().is_empty()).map(str::to_owned)
        };
        let last = self.journal.last();
        if last == "nothing logged" { out().unwrap_or(last) } else { last }
    }

    /// Ends the process and waits for that.
    pub(crate) async fn stop(&self, kill: bool) -> Result<(), DriverError> {
        let _ = self.expected.send(true);
        if kill {
            self.send(Signal::KILL, kill_process_group)?;
        } else {
            self.send(Signal::TERM, kill_process)?;
            // A paused process would not see it.
            self.send(Signal::CONT, kill_process)?;
        }
        let mut ended = self.ended.clone();
        if timeout_at(Instant::now() + GOODBYE, ended.wait_for(Option::is_some)).await.is_ok() {
            return Ok(());
        }
        let last = self.last_words();
        self.send(Signal::KILL, kill_process_group)?;
        let condition = if kill { "pluto to end after KILL" } else { "pluto to end after TERM (killed now)" };
        Err(DriverError::Timeout { gateway: self.name.clone(), condition: condition.into(), waited: GOODBYE, last })
    }

    /// Freezes the process or lets it go on.
    pub(crate) fn pause(&self, paused: bool) -> Result<(), DriverError> {
        if !self.is_running() {
            return Err(self.died());
        }
        self.send(if paused { Signal::STOP } else { Signal::CONT }, kill_process)
    }

    fn send(&self, signal: Signal, how: fn(Pid, Signal) -> rustix::io::Result<()>) -> Result<(), DriverError> {
        let Some(pid) = self.pid.filter(|_| self.is_running()) else { return Ok(()) };
        match how(pid, signal) {
            // It ended between the question and the signal.
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(e) => Err(io_error(&self.name, &format!("sending {signal:?} to pluto"), e.into())),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.expected.send(true);
        let _ = self.send(Signal::KILL, kill_process_group);
    }
}

/// Returns the log's last lines, or those said before there was one, without debugging output.
fn last_words(dir: &Path, config: &GatewayConfig) -> Vec<String> {
    let logged = last_lines(&dir.join(LOG), config, |line| line.split_once(": ").is_some_and(|(_, text)| !text.starts_with('|')));
    if logged.is_empty() { last_lines(&dir.join(OUT), config, |_| true) } else { logged }
}

/// Runs the programs that speak to the control socket. They need not be in the node, and start in the gateway's folder, so that
/// its path may be longer than a socket's name (`sun_path` holds 108 octets).
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    found: Found,
    dir: PathBuf,
}

impl Caller {
    fn new(found: &Found, dir: &Path) -> Caller {
        Caller { found: found.clone(), dir: dir.to_owned() }
    }

    pub(crate) async fn whack(self, args: &[&str]) -> io::Result<Answer> {
        self.call("whack", &[&["--rundir", "."], args].concat()).await
    }

    async fn call(self, program: &str, args: &[&str]) -> io::Result<Answer> {
        run(self.found.command(program).args(args).current_dir(&self.dir)).await
    }
}

/// Runs a program to its end.
pub(crate) async fn run(command: &mut Command) -> io::Result<Answer> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    let text = [output.stdout, output.stderr].concat();
    Ok(Answer { success: output.status.success(), text: String::from_utf8_lossy(&text).trim().to_owned() })
}

pub(crate) fn io_error(gateway: &str, doing: &str, source: io::Error) -> DriverError {
    DriverError::Io { gateway: gateway.into(), doing: doing.into(), source }
}
