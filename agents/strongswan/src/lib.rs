//! IO: drives a real strongSwan `charon` over VICI.
//!
//! One gateway is one daemon in its own network namespace and with its own `/run`, which is the gateway's evidence folder:
//!
//! - `charon.conf`: what the daemon was started with (`conf.rs`);
//! - `charon.log`: appended to by every life of the daemon; keys are read from it (`keylog.rs`);
//! - `charon.vici`: the control socket (`vici.rs`, used by `load.rs`, `initiate.rs`, `events.rs`, `traps.rs`);
//! - `charon.out`: standard output and error.
//!
//! `daemon.rs` is one life of the process, `gateway.rs` the driver's face of all of them; `probe.rs` finds the daemon, `answers.rs` asks
//! it what it can do.

mod algorithms;
mod answers;
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

use async_trait::async_trait;
use peer::{Driver, DriverError, Gateway, Launch, Place, Probe};
use tokio::sync::OnceCell;

use probe::Found;
pub use probe::tun;

/// Driver of strongSwan's `charon`.
#[derive(Debug, Default)]
pub struct StrongSwan {
    found: OnceCell<Found>,
}

impl StrongSwan {
    /// A driver that looks for the daemon when first asked, until it has found it.
    pub fn new() -> StrongSwan {
        StrongSwan::default()
    }

    async fn found(&self, place: &Place) -> Result<&Found, DriverError> {
        self.found.get_or_try_init(|| probe::find(place)).await
    }
}

#[async_trait]
impl Driver for StrongSwan {
    fn name(&self) -> &'static str {
        "strongswan"
    }

    async fn probe(&self, place: &Place) -> Result<Probe, DriverError> {
        let found = self.found(place).await?;
        Ok(found.probe(&probe::ask(found, place).await?))
    }

    fn remember(&self, probe: &Probe) {
        if let Ok(found) = serde_json::from_str(&probe.found) {
            // What was found here already is as good.
            let _ = self.found.set(found);
        }
    }

    async fn start(&self, launch: Launch) -> Result<Box<dyn Gateway>, DriverError> {
        let found = self.found(&launch.place()).await?.clone();
        Ok(Box::new(gateway::Charon::start(found, launch).await?))
    }
}
