//! The driver's face of one gateway.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peer::{Accepted, ChildAction, DriverError, Gateway, Keys, Launch, Outcome};
use tokio::time::{Instant, timeout_at};

use crate::conf::deviations;
use crate::control::{Control, accepted, at_start, is_over, write_configuration};
use crate::daemon::{Books, Daemon, LOG, io_error, ip, last_line};
use crate::probe::Found;
use crate::{etc, traps};

/// How long a daemon that is told to end waits for its peers' answers to its DELETEs.
const FAREWELLS: Duration = Duration::from_secs(1);
/// For the log to tell what the control socket has answered.
const ANSWERED: Duration = Duration::from_secs(10);

/// A gateway played by iked.
pub(crate) struct Iked {
    found: Found,
    launch: Arc<Launch>,
    control: Arc<Control>,
    accepted: Vec<Accepted>,
}

impl Iked {
    pub(crate) async fn start(found: Found, launch: Launch) -> Result<Iked, DriverError> {
        let name = &launch.config.name;
        etc::prepare(&launch.dir, &launch.config).map_err(|e| io_error(name, "preparing the gateway's folder", e))?;
        // A folder that is used again must not give the keys of another run.
        match std::fs::remove_file(launch.dir.join(LOG)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io_error(name, "removing an old iked.log", e)),
            _ => {}
        }
        let launch = Arc::new(launch);
        let (control, accepted) = begin(&found, &launch, Books::new()).await?;
        Ok(Iked { found, launch, control, accepted })
    }

    fn daemon(&self) -> &Daemon {
        &self.control.daemon
    }

    fn is_paused(&self) -> bool {
        self.daemon().books.lock().paused
    }

    /// Says goodbye to all peers, which iked does not do when it is told to end.
    async fn farewell(&self) -> Result<(), DriverError> {
        let daemon = self.daemon();
        // Up to its answer the log has been read.
        let before = daemon.books.lock().asked;
        daemon.ikectl(&["show", "sa"]).await?;
        let condition = "iked to tell that it was asked for its SAs";
        let peers = daemon.within(ANSWERED, condition, |t| (t.asked > before).then(|| t.peers())).await?;
        for peer in &peers {
            daemon.ikectl(&["reset", "id", peer]).await?;
        }
        // A peer that does not answer is not waited for any longer.
        let gone = daemon.books.until(|t| t.peers().is_empty().then_some(()));
        let _ = timeout_at(Instant::now() + FAREWELLS, gone).await;
        Ok(())
    }
}

impl Drop for Iked {
    /// Somebody may still be looking after the daemon.
    fn drop(&mut self) {
        self.daemon().abandon();
    }
}

/// One life: configuration, processes, traps.
async fn begin(found: &Found, launch: &Arc<Launch>, books: Books) -> Result<(Arc<Control>, Vec<Accepted>), DriverError> {
    write_configuration(launch, &at_start(&launch.config))?;
    let daemon = Daemon::spawn(found, launch, books).await?;
    for c in launch.config.connections.iter().filter(|c| c.start_action == ChildAction::Trap) {
        traps::install(launch, c).await?;
    }
    let accepted = accepted(&daemon, &launch.config);
    Ok((Control::new(daemon, Arc::clone(launch)), accepted))
}

#[async_trait]
impl Gateway for Iked {
    fn pid(&self) -> Option<u32> {
        self.daemon().pid()
    }

    fn accepted(&self) -> Vec<Accepted> {
        self.accepted.clone()
    }

    async fn initiate(&mut self, connection: &str, deadline: Duration) -> Result<Outcome, DriverError> {
        let until = Instant::now() + deadline;
        let refused = |reason: &str| {
            let (gateway, setting) = (self.launch.config.name.clone(), format!("initiate {connection}"));
            Err(DriverError::Refused { gateway, setting, reason: reason.into() })
        };
        let c = self.launch.config.connection(connection)?;
        if c.remote.is_none() {
            return refused("iked cannot initiate to any address");
        }
        if !self.daemon().is_running() {
            return Err(self.daemon().died());
        }
        let trying = {
            let books = self.daemon().books.lock();
            if books.is_up(connection) {
                return Ok(Outcome::Established);
            }
            // An attempt that goes on is joined.
            books.active.contains(connection) && !is_over(&books, c)
        };
        if !trying {
            match timeout_at(until, self.control.activate(connection)).await {
                Ok(done) => done?,
                Err(_) => return Ok(Outcome::Pending),
            }
        }
        let ended = self.daemon().books.until(|t| {
            if t.is_up(connection) {
                return Some(Outcome::Established);
            }
            let failed = t.attempts.get(connection).and_then(|a| a.result.clone()?.err()).filter(|_| is_over(t, c));
            failed.map(|reason| Outcome::Failed { reason })
        });
        tokio::select! {
            biased;
            outcome = timeout_at(until, ended) => Ok(outcome.unwrap_or(Outcome::Pending)),
            () = self.daemon().end() => Err(self.daemon().died()),
        }
    }

    async fn keys(&mut self) -> Keys {
        self.daemon().books.lock().keys().clone()
    }

    async fn stop(&mut self, kill: bool) -> Result<(), DriverError> {
        if kill || !self.daemon().is_running() {
            return self.daemon().stop(kill).await;
        }
        // Paused processes would not hear it.
        self.daemon().pause(false)?;
        let said = self.farewell().await;
        self.daemon().stop(false).await?;
        said
    }

    async fn restart(&mut self) -> Result<(), DriverError> {
        if self.daemon().is_running() {
            self.daemon().stop(true).await?;
        }
        // A killed daemon leaves its SAs in the kernel.
        for what in ["state", "policy"] {
            ip(&self.launch, &["xfrm", what, "flush"]).await?;
        }
        let books = self.daemon().books.clone();
        (self.control, self.accepted) = begin(&self.found, &self.launch, books).await?;
        Ok(())
    }

    async fn pause(&mut self, paused: bool) -> Result<(), DriverError> {
        self.daemon().pause(paused)
    }

    async fn describe(&mut self) -> Result<String, DriverError> {
        let mut out = String::new();
        // Writing to a String cannot fail.
        if !self.daemon().is_running() {
            let _ = writeln!(out, "{}: not running; last log line: {}", self.launch.config.name, last_line(&self.launch.dir));
        } else if self.is_paused() {
            out += "paused\n";
        } else {
            let sas = self.daemon().ikectl(&["show", "sa"]).await?;
            out += if sas.trim().is_empty() { "no SAs\n" } else { &sas };
            if let Some(pid) = self.daemon().stopped() {
                let (gateway, last) = (self.launch.config.name.clone(), last_line(&self.launch.dir));
                let condition = format!("iked's process {} to go on, which a signal has stopped", pid.as_raw_nonzero());
                return Err(DriverError::Timeout { gateway, condition, waited: Duration::ZERO, last });
            }
        }
        let kernel = ip(&self.launch, &["-s", "xfrm", "state"]).await.unwrap_or_else(|e| format!("{e}\n"));
        let _ = write!(out, "\nkernel\n{kernel}\nnot as configured\n");
        for deviation in deviations(&self.launch.config) {
            let _ = writeln!(out, "{deviation}");
        }
        Ok(out)
    }
}
