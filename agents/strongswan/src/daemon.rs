//! One life of the charon process.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peer::{DriverError, Ending, GatewayConfig, Launch, append_private, last_lines};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::conf::{FILE, LOG, MOUNT};
use crate::keylog;
use crate::probe::Found;
use crate::vici::{Node, SOCKET, Vici};

/// From spawn to an open control socket; 20 ms on an idle machine.
const READY: Duration = Duration::from_secs(20);
/// For any answer that the daemon gives without asking its peer.
const ANSWER: Duration = Duration::from_secs(10);
/// From TERM to the end.
const GOODBYE: Duration = Duration::from_secs(10);

/// A running charon, or one that has ended.
pub(crate) struct Daemon {
    name: String,
    dir: PathBuf,
    pid: Option<Pid>,
    /// The status in words once the process has ended.
    ended: watch::Receiver<Option<Ending>>,
    /// Set when the end is our wish.
    expected: watch::Sender<bool>,
}

impl Daemon {
    /// Spawns charon and waits until its control socket answers.
    pub(crate) async fn spawn(found: &Found, launch: &Launch) -> Result<Daemon, DriverError> {
        let name = launch.config.name.clone();
        let doing = |what: &str| {
            let (name, what) = (name.clone(), what.to_owned());
            move |e| io_error(&name, &what, e)
        };
        // A killed daemon leaves both; the pid file would make the next one refuse to start if the number were in use again.
        for stale in [SOCKET, "charon.pid"] {
            match std::fs::remove_file(launch.dir.join(stale)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error(&name, &format!("removing {stale}"), e)),
                _ => {}
            }
        }
        let out = append_private(&launch.dir.join("charon.out")).map_err(doing("opening charon.out"))?;
        let err = out.try_clone().map_err(doing("opening charon.out"))?;
        let program = found.program.to_string_lossy();
        let mut binds = vec![(launch.dir.clone(), PathBuf::from(MOUNT))];
        binds.extend(found.home.binds());
        let mut command = launch.spawner.command(&program, &[], &binds);
        command
            .env("STRONGSWAN_CONF", format!("{MOUNT}/{FILE}"))
            .stdin(std::process::Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(doing("starting charon"))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let (tell_end, ended) = watch::channel(None);
        let (expected, is_expected) = watch::channel(false);
        let (events, dir, config) = (launch.events.clone(), launch.dir.clone(), launch.config.clone());
        tokio::spawn(async move {
            let ending = Ending::of(child.wait().await);
            let asked = *is_expected.borrow();
            ending.tell(&events, &config.name, asked, || last_words(&dir, &config));
            let _ = tell_end.send(Some(ending));
        });
        let daemon = Daemon { name, dir: launch.dir.clone(), pid, ended, expected };
        daemon.connect(READY).await?;
        Ok(daemon)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        let pid = self.pid.filter(|_| self.is_running())?;
        u32::try_from(pid.as_raw_nonzero().get()).ok()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// A new control connection. While the daemon starts there is nothing to watch but the socket itself: ask every 2 ms.
    async fn connect(&self, within: Duration) -> Result<Vici, DriverError> {
        let begun = Instant::now();
        let mut tick = interval(Duration::from_millis(2));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let attempts = async {
            loop {
                tick.tick().await;
                match Vici::connect(&self.dir).await {
                    Ok(vici) => return Ok(vici),
                    Err(_) if begun.elapsed() < within => {}
                    Err(e) => {
                        return Err(DriverError::Timeout {
                            gateway: self.name.clone(),
                            condition: "charon's VICI socket to accept a connection".into(),
                            waited: begun.elapsed(),
                            last: format!("{e}; log: {}", last_line(&self.dir)),
                        });
                    }
                }
            }
        };
        self.alive(attempts).await?
    }

    /// A connection of its own for a conversation that goes on for a while.
    pub(crate) async fn vici(&self) -> Result<Vici, DriverError> {
        if !self.is_running() {
            return Err(self.died());
        }
        self.connect(ANSWER).await
    }

    /// One request that the daemon answers by itself.
    pub(crate) async fn call(&self, command: &str, message: &impl Serialize) -> Result<Node, DriverError> {
        let mut vici = self.vici().await?;
        self.answer(command, vici.call(command, message)).await
    }

    /// Waits for something that the daemon answers by itself, unless it ends or hangs.
    pub(crate) async fn answer<T>(&self, to: &str, work: impl Future<Output = io::Result<T>>) -> Result<T, DriverError> {
        match timeout_at(Instant::now() + ANSWER, self.alive(work)).await {
            Ok(answer) => answer?.map_err(|e| io_error(&self.name, &format!("VICI {to}"), e)),
            Err(_) => Err(DriverError::Timeout {
                gateway: self.name.clone(),
                condition: format!("charon's answer to VICI {to}"),
                waited: ANSWER,
                last: last_line(&self.dir),
            }),
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
        DriverError::Died { gateway: self.name.clone(), ending, last: last_line(&self.dir) }
    }

    /// Ends the process and waits for that.
    pub(crate) async fn stop(&self, kill: bool) -> Result<(), DriverError> {
        let _ = self.expected.send(true);
        if kill {
            self.signal_group(Signal::KILL)?;
        } else {
            self.signal(Signal::TERM)?;
            // A paused process would not see it.
            self.signal(Signal::CONT)?;
        }
        let mut ended = self.ended.clone();
        if timeout_at(Instant::now() + GOODBYE, ended.wait_for(Option::is_some)).await.is_ok() {
            return Ok(());
        }
        let last = last_line(&self.dir);
        self.signal_group(Signal::KILL)?;
        let condition = if kill { "charon to end after KILL" } else { "charon to end after TERM (killed now)" };
        Err(DriverError::Timeout { gateway: self.name.clone(), condition: condition.into(), waited: GOODBYE, last })
    }

    /// Freezes the process or lets it go on.
    pub(crate) fn pause(&self, paused: bool) -> Result<(), DriverError> {
        if !self.is_running() {
            return Err(self.died());
        }
        self.signal(if paused { Signal::STOP } else { Signal::CONT })
    }

    fn signal(&self, signal: Signal) -> Result<(), DriverError> {
        self.send(signal, kill_process)
    }

    fn signal_group(&self, signal: Signal) -> Result<(), DriverError> {
        self.send(signal, kill_process_group)
    }

    fn send(&self, signal: Signal, how: fn(Pid, Signal) -> rustix::io::Result<()>) -> Result<(), DriverError> {
        let Some(pid) = self.pid.filter(|_| self.is_running()) else { return Ok(()) };
        match how(pid, signal) {
            // It ended between the question and the signal.
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(e) => Err(io_error(&self.name, &format!("sending {signal:?} to charon"), e.into())),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.expected.send(true);
        let _ = self.signal_group(Signal::KILL);
    }
}

pub(crate) fn io_error(gateway: &str, doing: &str, source: io::Error) -> DriverError {
    DriverError::Io { gateway: gateway.into(), doing: doing.into(), source }
}

/// Returns the log's last lines, or those said before there was one, without dumps of octets.
fn last_words(dir: &Path, config: &GatewayConfig) -> Vec<String> {
    let logged = last_lines(&dir.join(LOG), config, |line| !keylog::is_dump(line));
    if logged.is_empty() { last_lines(&dir.join("charon.out"), config, |_| true) } else { logged }
}

/// The last line that the daemon logged, or said before it could log.
pub(crate) fn last_line(dir: &Path) -> String {
    let line_of = |file: &str| {
        let text = std::fs::read(dir.join(file)).ok()?;
        let text = String::from_utf8_lossy(&text);
        text.lines().rev().find(|l| !l.trim().is_empty()).map(str::to_owned)
    };
    line_of(LOG).or_else(|| line_of("charon.out")).unwrap_or_else(|| "nothing logged".into())
}
