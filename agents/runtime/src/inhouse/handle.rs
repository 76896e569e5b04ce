//! The driver's face of one gateway: all its lives.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use peer::{Accepted, DriverError, Gateway, Keys, Launch, Outcome};
use tokio::time::{Instant, interval};

use super::engine::Duty;
use super::life::{LOG, Life, last_line};
use super::log::Log;
use super::machine::{Birth, Maker};
use super::orders::{Desk, KeyRing, Order};
use super::outlook::Outlook;
use super::settings;

/// For a port to be free that is about to be: longer than a process needs to become another program on a busy machine.
const FREE: Duration = Duration::from_secs(2);
/// Name of the settings in the gateway's folder.
const SETTINGS: &str = "gateway.json";

/// A gateway played by ourselves.
pub(crate) struct InHouseGateway {
    launch: Launch,
    maker: Arc<Maker>,
    life: Life,
    accepted: Vec<Accepted>,
    keys: KeyRing,
}

impl InHouseGateway {
    pub(crate) async fn start(maker: Arc<Maker>, launch: Launch) -> Result<InHouseGateway, DriverError> {
        let accepted = settings::accepted(&launch.config);
        let (name, dir) = (&launch.config.name, &launch.dir);
        std::fs::create_dir_all(dir).map_err(|e| io_error(name, "creating the gateway's folder", e))?;
        std::fs::write(dir.join(SETTINGS), settings::shown(&launch.config)).map_err(|e| io_error(name, "writing gateway.json", e))?;
        // A folder that is used again must not tell of another run.
        match std::fs::remove_file(dir.join(LOG)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error(name, "removing an old log", e)),
            _ => {}
        }
        let keys = KeyRing::default();
        let life = begin(1, &maker, &launch, &keys).await?;
        Ok(InHouseGateway { launch, maker, life, accepted, keys })
    }

    fn dir(&self) -> &Path {
        &self.launch.dir
    }

    fn running(&self) -> Result<(), DriverError> {
        if self.life.is_running() { Ok(()) } else { Err(self.life.died(self.dir())) }
    }
}

async fn begin(number: u64, maker: &Arc<Maker>, launch: &Launch, keys: &KeyRing) -> Result<Life, DriverError> {
    let config = &launch.config;
    let doing = |what: &'static str| move |e| io_error(&config.name, what, e);
    let log = Log::open(&launch.dir.join(LOG)).map_err(doing("opening the log"))?;
    let outlook = open(launch).await.map_err(doing("opening its sockets and its TUN device"))?;
    let (desk, tray) = Desk::new().map_err(doing("making a bell"))?;
    let birth = Birth { config: config.clone(), seed: seed(launch.seed, number), wall: wall(), inside: outlook.own.clone() };
    let refused = |reason| DriverError::Refused { gateway: config.name.clone(), setting: "its settings".into(), reason };
    let machine = maker(birth).map_err(refused)?;
    let duty = Duty {
        name: config.name.clone(),
        machine,
        outlook,
        ends: config.connections.iter().map(|c| (c.local, c.remote)).collect(),
        tray,
        keys: keys.clone(),
        log,
        events: launch.events.clone(),
    };
    Life::begin(number, desk, duty, &launch.dir, config).map_err(doing("starting its thread"))
}

/// Opens sockets and the TUN device, once the ports of a life before are free: a process that is just being started has copies of all
/// descriptors until it becomes another program, so that a socket may live on after it was closed.
async fn open(launch: &Launch) -> io::Result<Outlook> {
    let until = Instant::now() + FREE;
    let mut tick = interval(Duration::from_millis(2));
    loop {
        tick.tick().await;
        match Outlook::open(&*launch.inside, &launch.config) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {}
            opened => return opened,
        }
    }
}

/// Each life has its own seed.
fn seed(of: u64, life: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    // SplitMix64's increments, so that neighbours have nothing in common.
    let mut state = of ^ life.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for chunk in seed.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    seed
}

fn wall() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

fn io_error(gateway: &str, doing: &str, source: io::Error) -> DriverError {
    DriverError::Io { gateway: gateway.into(), doing: doing.into(), source }
}

#[async_trait]
impl Gateway for InHouseGateway {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn life(&self) -> Option<String> {
        self.life.is_running().then(|| format!("life {} of the in-house gateway", self.life.number()))
    }

    fn accepted(&self) -> Vec<Accepted> {
        self.accepted.clone()
    }

    async fn initiate(&mut self, connection: &str, deadline: Duration) -> Result<Outcome, DriverError> {
        self.running()?;
        match self.life.ask(|tell| Order::Initiate(connection.to_owned(), tell), deadline).await {
            Ok(Some(Ok(outcome))) => Ok(outcome),
            Ok(Some(Err(reason))) => {
                let setting = format!("to initiate {connection}");
                Err(DriverError::Refused { gateway: self.launch.config.name.clone(), setting, reason })
            }
            Ok(None) => Err(self.life.died(self.dir())),
            Err(_) => Ok(Outcome::Pending),
        }
    }

    async fn keys(&mut self) -> Keys {
        self.keys.get()
    }

    async fn stop(&mut self, kill: bool) -> Result<(), DriverError> {
        let dir = self.launch.dir.clone();
        self.life.stop(kill, &dir).await
    }

    async fn restart(&mut self) -> Result<(), DriverError> {
        if self.life.is_running() {
            self.stop(true).await?;
        }
        self.life = begin(self.life.number() + 1, &self.maker, &self.launch, &self.keys).await?;
        Ok(())
    }

    async fn pause(&mut self, paused: bool) -> Result<(), DriverError> {
        self.running()?;
        match self.life.answer(|tell| Order::Pause(paused, tell)).await? {
            Some(()) => Ok(()),
            None => Err(self.life.died(self.dir())),
        }
    }

    async fn describe(&mut self) -> Result<String, DriverError> {
        let stopped = || format!("{}: {}; last log line: {}\n", self.launch.config.name, self.life.status(), last_line(self.dir()));
        if !self.life.is_running() {
            return Ok(stopped());
        }
        Ok(self.life.answer(Order::Describe).await?.unwrap_or_else(stopped))
    }
}

#[cfg(test)]
mod tests {
    use super::seed;

    #[test]
    fn each_life_of_each_gateway_has_its_own_seed_and_always_the_same() {
        let all = [seed(7, 1), seed(7, 2), seed(8, 1), seed(8, 2)];
        for (i, a) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|b| a == b), Some(i));
        }
        assert_eq!(seed(7, 1), all[0]);
    }
}
