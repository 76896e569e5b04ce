//! The one face of every IKE gateway that the lab can drive.
//!
//! The harness speaks only the types of this crate: neutral [`GatewayConfig`] in, [`GatewayEvent`]s, keys and
//! [`Outcome`]s out. A driver crate (`agents/strongswan` …) translates; nothing else knows an implementation by name.

mod authentication;
mod children;
mod config;
mod ending;
mod kernel;
mod keys;
mod misbehave;
mod options;
mod private;
mod program;
mod roots;
mod secret;
mod shortage;
mod special;

pub use authentication::*;
pub use children::*;
pub use config::*;
pub use ending::*;
pub use kernel::*;
pub use keys::*;
pub use misbehave::*;
pub use options::*;
pub use private::*;
pub use program::*;
pub use roots::*;
pub use secret::*;
pub use shortage::*;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// What one implementation can do, asked before a run is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// IKEv1 main mode.
    Ikev1,
    /// IKEv1 aggressive mode.
    Aggressive,
    /// IKEv2.
    Ikev2,
    /// ESP as IP protocol 50 on the wire.
    RawEsp,
    /// ESP in UDP (RFC 3948).
    UdpEsp,
    /// AH, IP protocol 51.
    Ah,
    /// Transport mode.
    Transport,
    /// MOBIKE (RFC 4555).
    Mobike,
    /// Extended sequence numbers (RFC 4304).
    Esn,
    /// IP payload compression (RFC 3173).
    Ipcomp,
    /// NAT traversal can be switched off.
    NattOff,
    /// MOBIKE where NAT traversal is off: UNEXPECTED_NAT_DETECTED (RFC 4555 §3.9).
    NatProhibition,
    /// X.509 certificates.
    Certificates,
    /// Certificates of intermediate authorities, sent along and taken.
    CertificateChains,
    /// EAP, as client and as server.
    Eap,
    /// Additional key exchanges: IKE_INTERMEDIATE and IKE_FOLLOWUP_KE (RFC 9370).
    AdditionalKe,
    /// ML-KEM as a key exchange (FIPS 203).
    MlKem,
    /// Several child SAs under one IKE SA ([`Connection::more_children`]).
    MoreChildren,
    /// Deliberate misbehaviour ([`Misbehave`]).
    Misbehave,
}

/// Why an implementation cannot be used on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{what}; {hint}")]
pub struct Missing {
    /// What is missing, e.g. `strongSwan's charon is not installed`.
    pub what: String,
    /// What to type or do, e.g. `apt-get install strongswan-charon …`.
    pub hint: String,
}

/// A driver's failure. Says whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The machine lacks something.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The implementation refused a setting: the scenario asks for what it does not do.
    #[error("{gateway}: refused {setting}: {reason}")]
    Refused {
        /// Gateway's node name.
        gateway: String,
        /// What was refused.
        setting: String,
        /// The daemon's own words.
        reason: String,
    },
    /// A named condition did not come true in time.
    #[error("{gateway}: waited {} ms for {condition}; last seen: {last}", waited.as_millis())]
    Timeout {
        /// Gateway's node name.
        gateway: String,
        /// The condition.
        condition: String,
        /// How long.
        waited: Duration,
        /// What was seen last (a log line, a state).
        last: String,
    },
    /// The daemon ended by itself.
    #[error("{gateway}: daemon ended: {}; last log line: {last}", ending.status)]
    Died {
        /// Gateway's node name.
        gateway: String,
        /// Its end.
        ending: Ending,
        /// The log's last line.
        last: String,
    },
    /// An I/O error of ours.
    #[error("{gateway}: {doing}: {source}")]
    Io {
        /// Gateway's node name.
        gateway: String,
        /// What was being done.
        doing: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// Makes commands that run inside a gateway's node: its network namespace and a private mount namespace.
pub trait Spawner: Send + Sync {
    /// A command that will run `program` inside the node, with each `(source, target)` directory of `binds` bind-mounted
    /// privately before it starts. The process dies with its parent. Standard streams are the caller's to set.
    fn command(&self, program: &str, args: &[OsString], binds: &[(PathBuf, PathBuf)]) -> tokio::process::Command;
}

/// The inside of a gateway's node, for implementations that run in our own process.
pub trait Inside: Send + Sync {
    /// Runs `work` on a thread that is in the node's network namespace. What is opened there stays there. It must not block for
    /// long, and nothing may be awaited in it.
    fn inside(&self, work: &mut (dyn FnMut() -> std::io::Result<()> + Send)) -> std::io::Result<()>;
}

/// For drivers that only start processes.
#[derive(Debug, Clone, Copy)]
pub struct NoInside;

impl Inside for NoInside {
    fn inside(&self, _: &mut (dyn FnMut() -> std::io::Result<()> + Send)) -> std::io::Result<()> {
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "this node has no inside"))
    }
}

/// A node and a folder: where a driver tries its daemon before it is used.
#[derive(Clone)]
pub struct Place {
    /// Folder for configuration, logs and sockets. It need not exist.
    pub dir: PathBuf,
    /// Starts processes inside the node.
    pub spawner: Arc<dyn Spawner>,
    /// The node's inside.
    pub inside: Arc<dyn Inside>,
}

impl Place {
    /// Returns what starts a gateway here, of whose events nobody hears, with a connection of each of these IKE versions. They protect
    /// something, and lead to nobody.
    pub fn trial(&self, versions: &[IkeMode], ike_proposal: &str, esp_proposal: &str) -> Launch {
        let connections = (2..).zip(versions).map(|(n, ike)| Connection {
            ike: *ike,
            ike_proposals: vec![ike_proposal.to_owned()],
            esp_proposals: vec![esp_proposal.to_owned()],
            local_ts: ["192.0.2.0/25".parse()].into_iter().flatten().collect(),
            remote_ts: ["192.0.2.128/25".parse()].into_iter().flatten().collect(),
            ..Connection::plain("probe", &format!("peer-{n}"), [127, 0, 0, 1].into(), Some([127, 0, 0, n].into()))
        });
        let config = GatewayConfig { name: "probe".into(), connections: connections.collect(), ..GatewayConfig::default() };
        let Place { dir, spawner, inside } = self.clone();
        let (events, _) = tokio::sync::mpsc::unbounded_channel();
        Launch { config, dir, spawner, inside, seed: 0, events }
    }
}

/// Everything a driver needs to start one gateway.
pub struct Launch {
    /// Neutral settings.
    pub config: GatewayConfig,
    /// Folder for configuration, logs and sockets; it is kept as evidence.
    pub dir: PathBuf,
    /// Starts processes inside the node.
    pub spawner: Arc<dyn Spawner>,
    /// The node's inside.
    pub inside: Arc<dyn Inside>,
    /// For implementations that draw all their randomness from a seed: the same seed and the same inputs give the same octets.
    pub seed: u64,
    /// Where to send what happens in the daemon.
    pub events: tokio::sync::mpsc::UnboundedSender<GatewayEvent>,
}

impl Launch {
    /// Returns where a driver may try its daemon that has not been probed yet.
    pub fn place(&self) -> Place {
        Place { dir: self.dir.join("probe"), spawner: Arc::clone(&self.spawner), inside: Arc::clone(&self.inside) }
    }
}

/// Something that happened in a gateway, told by the daemon itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayEvent {
    /// Gateway's node name.
    pub gateway: String,
    /// What happened.
    pub what: GatewayEventKind,
}

/// Kinds of [`GatewayEvent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayEventKind {
    /// An IKE SA is up.
    IkeUp {
        /// Connection name.
        connection: String,
    },
    /// An IKE SA is gone.
    IkeDown {
        /// Connection name.
        connection: String,
    },
    /// A child SA is up.
    ChildUp {
        /// Connection name.
        connection: String,
        /// Child name.
        child: String,
        /// SPI of inbound packets.
        spi_in: u32,
        /// SPI of outbound packets.
        spi_out: u32,
    },
    /// A child SA is gone.
    ChildDown {
        /// Connection name.
        connection: String,
        /// Child name.
        child: String,
    },
    /// The daemon ended, and nobody has asked it to; or it crashed when it was asked to.
    Exited {
        /// Its status in words.
        status: String,
        /// A signal ended it that no process gets for its own mistakes.
        #[serde(default)]
        killed: bool,
        /// Its last words.
        #[serde(default)]
        last: Vec<String>,
    },
}

/// How an initiation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All child SAs are up.
    Established,
    /// The daemon gave up or was refused.
    Failed {
        /// The daemon's own words.
        reason: String,
    },
    /// Still trying when the caller's deadline passed.
    Pending,
}

impl DriverError {
    /// Returns whether it says nothing about what the implementation can do: the daemon crashed or was killed, or hung.
    pub fn is_accident(&self) -> bool {
        match self {
            DriverError::Died { ending, .. } => ending.by_signal(),
            DriverError::Timeout { .. } => true,
            DriverError::Io { source, .. } => self.is_broken_connection() || is_shortage_at_start(source),
            DriverError::Missing(_) | DriverError::Refused { .. } => false,
        }
    }

    /// Returns whether the daemon has broken off what it was asked.
    pub fn is_broken_connection(&self) -> bool {
        use std::io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, UnexpectedEof};
        let DriverError::Io { source, .. } = self else { return false };
        matches!(source.kind(), BrokenPipe | ConnectionRefused | ConnectionReset | UnexpectedEof)
    }

    /// The error of a probe: what is missing, unless it was an accident.
    pub fn of_probe(self, missing: impl FnOnce(&DriverError) -> Missing) -> DriverError {
        if self.is_accident() { self } else { missing(&self).into() }
    }
}

/// A setting that a gateway confirmed, as proof that a configuration fault is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// What was loaded, e.g. `connection west-east`.
    pub what: String,
    /// The daemon's answer.
    pub answer: String,
}

/// Drives one implementation.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Short name used in pairings: `strongswan`.
    fn name(&self) -> &'static str;
    /// Looks for the implementation, starts it, loads a connection, and asks it what it can do. Returns [`DriverError::Missing`] when
    /// it cannot be used here, any other error when the attempt met with an accident ([`DriverError::is_accident`]).
    async fn probe(&self, place: &Place) -> Result<Probe, DriverError>;
    /// Takes over what an earlier probe found in a world like this one, so that it is not looked for again: starting the daemon
    /// just to ask it is dear in a pocket. What it does not understand, it ignores.
    fn remember(&self, _probe: &Probe) {}
    /// Is there a setting that the daemon is known to refuse? Nothing is started, and `Ok` is no promise.
    fn check(&self, _config: &GatewayConfig, _probe: &Probe) -> Result<(), DriverError> {
        Ok(())
    }
    /// Starts a gateway; returns when it has loaded its configuration and answers.
    async fn start(&self, launch: Launch) -> Result<Box<dyn Gateway>, DriverError>;
}

/// Result of a driver's probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Version in the implementation's words.
    pub version: String,
    /// How ESP is done, in a few words: `kernel-libipsec (UDP-encapsulated tunnel mode)`.
    pub data_path: String,
    /// What it can do here.
    pub capabilities: Vec<Capability>,
    /// What the driver itself found, in its own words, for [`Driver::remember`].
    #[serde(default)]
    pub found: String,
}

/// One running gateway.
#[async_trait]
pub trait Gateway: Send {
    /// Process id as seen in the cell; `None`: nothing runs, or it has no process of its own.
    fn pid(&self) -> Option<u32>;
    /// What runs now, in words that no other life of this gateway has; `None`: nothing.
    fn life(&self) -> Option<String> {
        self.pid().map(|pid| format!("process {pid}"))
    }
    /// Settings that the daemon confirmed so far.
    fn accepted(&self) -> Vec<Accepted>;
    /// Brings all child SAs of a connection up (and the IKE SA when needed). Returns at the latest after `deadline`; the attempt goes on.
    async fn initiate(&mut self, connection: &str, deadline: Duration) -> Result<Outcome, DriverError>;
    /// Keys the daemon has used so far, complete at the time of the call.
    async fn keys(&mut self) -> Keys;
    /// Ends the daemon: `TERM` (says goodbye to its peers) or `KILL` (does not).
    async fn stop(&mut self, kill: bool) -> Result<(), DriverError>;
    /// Starts the daemon again after [`Gateway::stop`] with the same configuration, without any SA.
    async fn restart(&mut self) -> Result<(), DriverError>;
    /// Lets the daemon pass away after [`Gateway::stop`] is impossible (e.g. it is paused): SIGSTOP / SIGCONT.
    async fn pause(&mut self, paused: bool) -> Result<(), DriverError>;
    /// A last look for the evidence folder: SAs and counters in the daemon's words, or in ours that there is no daemon. A daemon that is
    /// there and does not answer is an error: it hangs.
    async fn describe(&mut self) -> Result<String, DriverError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn died(wait_status: i32) -> DriverError {
        let ending = Ending::of(Ok(std::os::unix::process::ExitStatusExt::from_raw(wait_status)));
        DriverError::Died { gateway: "probe".into(), ending, last: String::new() }
    }

    #[test]
    fn a_probe_that_was_killed_says_nothing_about_what_is_missing() {
        let missing = |e: &DriverError| Missing { what: e.to_string(), hint: String::new() };
        let of = |e: DriverError| e.of_probe(missing);
        // SIGKILL, SIGSEGV; exit status 66.
        assert!(matches!(of(died(9)), DriverError::Died { .. }) && matches!(of(died(11)), DriverError::Died { .. }));
        assert!(matches!(of(died(66 << 8)), DriverError::Missing(_)), "its own words say why");
        let io = |code| DriverError::Io { gateway: "probe".into(), doing: "VICI".into(), source: std::io::Error::from_raw_os_error(code) };
        // ECONNRESET, EMFILE; ENOENT.
        assert!(io(104).is_accident() && io(24).is_accident() && !io(2).is_accident());
    }
}
