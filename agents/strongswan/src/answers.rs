//! Asks a daemon what it can do: versions do not tell, since distributions leave parts out.

use std::time::Duration;

use peer::{DriverError, IkeMode, Launch, Place};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::conf::{FILE, render};
use crate::daemon::{Daemon, io_error};
use crate::initiate::Initiate;
use crate::load;
use crate::probe::Found;
use crate::vici::{Node, Packet};

const IKEV1: IkeMode = IkeMode::V1Main;
/// For the log to show how an initiation begins, which takes milliseconds.
const BEGINNING: Duration = Duration::from_secs(5);

/// The daemon's answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answers {
    /// Plugins that were loaded.
    pub(crate) plugins: Vec<String>,
    /// IKEv1 is compiled in. Debian's 6.1 loads connections of IKEv1 without it, and fails only when one is initiated.
    pub(crate) ikev1: bool,
    /// Additional key exchanges (RFC 9370). Since these, charon calls what it lists key exchanges, not DH groups.
    pub(crate) additional_ke: bool,
    /// ML-KEM can be computed. Debian's 6.0.1 accepts proposals with it, even selects it, and cannot.
    pub(crate) ml_kem: bool,
}

/// Starts a daemon in `place`, loads a connection of each IKE version, asks, and ends it.
pub(crate) async fn ask(found: &Found, place: &Place) -> Result<Answers, DriverError> {
    let launch = place.trial(&[IkeMode::V2, IKEV1], "aes128-sha256-ecp256", "aes128-sha256");
    let doing = |what: &'static str| move |e| io_error("probe", what, e);
    std::fs::create_dir_all(&launch.dir).map_err(doing("creating a folder"))?;
    std::fs::write(launch.dir.join(FILE), render(found, &launch.config)).map_err(doing("writing charon.conf"))?;
    let daemon = Daemon::spawn(found, &launch).await?;
    let answers = answers(&daemon, found, &launch).await;
    daemon.stop(true).await?;
    answers
}

async fn answers(daemon: &Daemon, found: &Found, launch: &Launch) -> Result<Answers, DriverError> {
    load::load(daemon, &launch.config, found.data_path).await?;
    let stats = daemon.call("stats", &()).await?;
    let plugins = match stats.at(&["plugins"]) {
        Some(Node::List(names)) => names.clone(),
        _ => Vec::new(),
    };
    let algorithms = daemon.call("get-algorithms", &()).await?;
    let exchanges = algorithms.at(&["ke"]);
    Ok(Answers {
        plugins,
        ikev1: match launch.config.connections.iter().find(|c| c.ike == IKEV1) {
            Some(c) => begins(daemon, &c.name).await?,
            None => false,
        },
        additional_ke: exchanges.is_some(),
        ml_kem: exchanges.is_some_and(|ke| ke.entries().any(|(name, _)| name.starts_with("ML_KEM_"))),
    })
}

/// Returns whether the daemon begins to speak IKEv1 when it is told to. Nobody is at the other end.
async fn begins(daemon: &Daemon, connection: &str) -> Result<bool, DriverError> {
    let failed = |e| io_error("probe", "VICI initiate", e);
    let mut vici = daemon.vici().await?;
    daemon.answer("register control-log", vici.register("control-log")).await?;
    let request = Initiate { ike: connection, child: connection, timeout: BEGINNING.as_millis().to_string(), loglevel: "1" };
    daemon.answer("initiate", vici.send("initiate", &request)).await?;
    let until = Instant::now() + BEGINNING;
    while let Ok(packet) = timeout_at(until, daemon.alive(vici.next())).await {
        match packet?.map_err(failed)? {
            Packet::Event { body, .. } if body.text(&["msg"]).is_some_and(|m| m.starts_with("initiating Main Mode")) => return Ok(true),
            Packet::Event { .. } => {}
            _ => return Ok(false),
        }
    }
    let condition = "charon to begin Main Mode or to say why not".into();
    Err(DriverError::Timeout { gateway: "probe".into(), condition, waited: BEGINNING, last: "neither".into() })
}
