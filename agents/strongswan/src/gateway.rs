//! The driver's face of one gateway.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use async_trait::async_trait;
use peer::{Accepted, DriverError, Gateway, Keys, Launch, Outcome, write_private};

use crate::conf::{FILE, LOG, render};
use crate::daemon::{Daemon, io_error, last_line};
use crate::events::{Spis, forward};
use crate::keylog::KeyLog;
use crate::probe::{DataPath, Found};
use crate::vici::Node;
use crate::{describe, initiate, load, traps};

/// A gateway played by charon.
pub(crate) struct Charon {
    found: Found,
    launch: Launch,
    daemon: Daemon,
    accepted: Vec<Accepted>,
    keys: KeyLog,
    /// How much of the log `keys` has seen.
    read: u64,
    spis: Spis,
}

impl Charon {
    pub(crate) async fn start(found: Found, launch: Launch) -> Result<Charon, DriverError> {
        let name = &launch.config.name;
        std::fs::create_dir_all(&launch.dir).map_err(|e| io_error(name, "creating the gateway's folder", e))?;
        std::fs::write(launch.dir.join(FILE), render(&found, &launch.config)).map_err(|e| io_error(name, "writing charon.conf", e))?;
        // A folder that is used again must not give the keys of another run, and nobody else is to read this one's.
        write_private(&launch.dir.join(LOG), "").map_err(|e| io_error(name, "beginning charon.log", e))?;
        let (daemon, spis, accepted) = begin(&found, &launch).await?;
        Ok(Charon { found, launch, daemon, accepted, keys: KeyLog::default(), read: 0, spis })
    }

    /// Feeds what was appended to the log since the last time.
    fn read_log(&mut self) -> std::io::Result<()> {
        let mut file = File::open(self.launch.dir.join(LOG))?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut new = Vec::new();
        self.read += file.read_to_end(&mut new)? as u64;
        self.keys.feed(&new);
        Ok(())
    }

    fn collect_keys(&mut self) {
        // No log yet, no keys yet.
        let _ = self.read_log();
        for (id, spis) in self.spis.all() {
            self.keys.set_spis(id, spis);
        }
    }
}

/// One life: process, events, settings.
async fn begin(found: &Found, launch: &Launch) -> Result<(Daemon, Spis, Vec<Accepted>), DriverError> {
    let daemon = Daemon::spawn(found, launch).await?;
    let spis = forward(&daemon, launch.events.clone()).await?;
    if found.data_path == DataPath::Libipsec {
        traps::serve(&daemon, &launch.config).await?;
    }
    let accepted = load::load(&daemon, &launch.config, found.data_path).await?;
    Ok((daemon, spis, accepted))
}

#[async_trait]
impl Gateway for Charon {
    fn pid(&self) -> Option<u32> {
        self.daemon.pid()
    }

    fn accepted(&self) -> Vec<Accepted> {
        self.accepted.clone()
    }

    async fn initiate(&mut self, connection: &str, deadline: Duration) -> Result<Outcome, DriverError> {
        initiate::initiate(&self.daemon, self.launch.config.connection(connection)?, deadline).await
    }

    async fn keys(&mut self) -> Keys {
        self.collect_keys();
        self.keys.keys().clone()
    }

    async fn stop(&mut self, kill: bool) -> Result<(), DriverError> {
        self.daemon.stop(kill).await
    }

    async fn restart(&mut self) -> Result<(), DriverError> {
        if self.daemon.is_running() {
            self.daemon.stop(true).await?;
        }
        // Unique ids start at 1 again in the next life: settle this one's first.
        self.collect_keys();
        (self.daemon, self.spis, self.accepted) = begin(&self.found, &self.launch).await?;
        Ok(())
    }

    async fn pause(&mut self, paused: bool) -> Result<(), DriverError> {
        self.daemon.pause(paused)
    }

    async fn describe(&mut self) -> Result<String, DriverError> {
        if !self.daemon.is_running() {
            return Ok(format!("{}: not running; last log line: {}\n", self.launch.config.name, last_line(&self.launch.dir)));
        }
        let sas = initiate::list_sas(&self.daemon, &()).await?;
        let sas: String = if sas.is_empty() { "no SAs\n".to_owned() } else { sas.iter().map(describe::text).collect() };
        let counters = self.daemon.call("get-counters", &()).await?;
        let counters = describe::text(counters.at(&["counters"]).unwrap_or(&Node::empty()));
        Ok(format!("{sas}\ncounters\n{counters}"))
    }
}
