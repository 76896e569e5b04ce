//! IO: drives a real strongSwan `charon` over VICI.
//!
//! One gateway is one daemon in its own network namespace and with its own `/run`, which is the gateway's evidence folder:
//!
//! - `strongswan.conf`: what the daemon was started with (`conf.rs`);
//! - `charon.log`: appended to by every life of the daemon; keys are read from it (`keylog.rs`);
//! - `charon.vici`: the control socket (`vici.rs`, used by `load.rs`, `initiate.rs`, `events.rs`, `traps.rs`);
//! - `charon.out`: standard output and error.
//!
//! `daemon.rs` is one life of the process, `gateway.rs` the driver's face of all of them.

mod algorithms;
mod auth;
mod conf;
mod daemon;
mod describe;
mod events;
mod gateway;
mod initiate;
mod keylog;
mod load;
mod probe;
mod refusals;
mod traps;
mod vici;

use std::sync::OnceLock;

use async_trait::async_trait;
use peer::{Driver, DriverError, Gateway, Launch, Missing, Probe};

use probe::Found;
pub use probe::{DataPath, tun};

/// Driver of strongSwan's `charon`.
#[derive(Debug, Default)]
pub struct StrongSwan {
    found: OnceLock<Result<Found, Missing>>,
}

impl StrongSwan {
    /// A driver that looks for the daemon when first asked, and once.
    pub fn new() -> StrongSwan {
        StrongSwan::default()
    }

    /// How this machine's daemon would carry ESP.
    pub fn data_path(&self) -> Result<DataPath, Missing> {
        Ok(self.found()?.data_path)
    }

    fn found(&self) -> Result<&Found, Missing> {
        self.found.get_or_init(probe::find).as_ref().map_err(Missing::clone)
    }
}

#[async_trait]
impl Driver for StrongSwan {
    fn name(&self) -> &'static str {
        "strongswan"
    }

    fn probe(&self) -> Result<Probe, Missing> {
        Ok(self.found()?.probe())
    }

    fn remember(&self, probe: &Probe) {
        if let Ok(found) = serde_json::from_str(&probe.found) {
            // What was found here already is as good.
            let _ = self.found.set(Ok(found));
        }
    }

    async fn start(&self, launch: Launch) -> Result<Box<dyn Gateway>, DriverError> {
        let found = self.found()?.clone();
        Ok(Box::new(gateway::Charon::start(found, launch).await?))
    }
}
