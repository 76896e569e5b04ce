//! IO: drives a real OpenIKED, `iked`, on a kernel with PF_KEY and ESP. IKEv2 only.
//!
//! One gateway is one daemon in its own network namespace, with the gateway's evidence folder as `/run` and a generated
//! `/etc` (`etc.rs`), so that neither the user `_iked` nor `/etc/iked` must exist on the machine:
//!
//! - `etc/iked.conf`: the settings (`conf.rs`), written anew whenever a connection begins or ends to initiate;
//! - `iked.log`: appended to by every life of the daemon; events, failures and keys are read from it (`log`);
//! - `iked.sock`: the control socket, asked with `ikectl` (`control.rs`).
//!
//! `daemon.rs` is one life of the processes, `gateway.rs` the driver's face of all of them.

mod algorithms;
mod conf;
mod control;
mod daemon;
mod etc;
mod gateway;
mod log;
mod probe;
mod traps;

use async_trait::async_trait;
use peer::{Driver, DriverError, Gateway, GatewayConfig, Launch, Place, Probe};
use tokio::sync::OnceCell;

use probe::Found;

/// Driver of OpenIKED's `iked`.
#[derive(Debug, Default)]
pub struct OpenIked {
    found: OnceCell<Found>,
}

impl OpenIked {
    /// A driver that looks for the daemon when first asked, until it has found it.
    pub fn new() -> OpenIked {
        OpenIked::default()
    }

    async fn found(&self, place: &Place) -> Result<&Found, DriverError> {
        self.found.get_or_try_init(|| probe::find(place)).await
    }
}

#[async_trait]
impl Driver for OpenIked {
    fn name(&self) -> &'static str {
        "openiked"
    }

    async fn probe(&self, place: &Place) -> Result<Probe, DriverError> {
        let found = self.found(place).await?;
        probe::try_out(found, place).await?;
        Ok(found.probe())
    }

    fn remember(&self, probe: &Probe) {
        if let Ok(found) = serde_json::from_str(&probe.found) {
            // What was found here already is as good.
            let _ = self.found.set(found);
        }
    }

    fn check(&self, config: &GatewayConfig, _probe: &Probe) -> Result<(), DriverError> {
        control::configuration(config, &control::at_start(config)).map(drop)
    }

    async fn start(&self, launch: Launch) -> Result<Box<dyn Gateway>, DriverError> {
        let found = self.found(&launch.place()).await?.clone();
        Ok(Box::new(gateway::Iked::start(found, launch).await?))
    }
}
