//! IO: drives a real libreswan `pluto`.
//!
//! One gateway is one daemon in its own network namespace and with its own `/run`, which is the gateway's evidence folder:
//!
//! - `ipsec.conf`, `ipsec.secrets`, `nss/`: what the daemon was started with (`conf.rs`, `proposals.rs`, `nss.rs`);
//! - `pluto.log`: appended to by every life of the daemon; events (`track.rs`) and keys (`keylog.rs`) are read from it;
//! - `pluto.ctl`: the control socket, which `whack` and `addconn` speak to (`daemon.rs`);
//! - `pluto.out`: standard output and error.
//!
//! `daemon.rs` is one life of the process, `journal.rs` follows its log, `gateway.rs` is the driver's face of all lives; `families.rs`
//! knows which of the daemon's connections are children of one of ours.
//!
//! The daemon needs the kernel's ESP. Its package conflicts with strongSwan's, so that it usually comes from a private root.

mod conf;
mod daemon;
mod families;
mod gateway;
mod journal;
mod keylog;
mod nss;
mod probe;
mod proposals;
mod track;

use async_trait::async_trait;
use peer::{Driver, DriverError, Gateway, GatewayConfig, Launch, Place, Probe};
use tokio::sync::OnceCell;

use probe::Found;

/// Driver of libreswan's `pluto`.
#[derive(Debug, Default)]
pub struct Libreswan {
    found: OnceCell<Found>,
}

impl Libreswan {
    /// A driver that looks for the daemon when first asked, until it has found it.
    pub fn new() -> Libreswan {
        Libreswan::default()
    }

    async fn found(&self, place: &Place) -> Result<&Found, DriverError> {
        self.found.get_or_try_init(|| probe::find(place)).await
    }
}

#[async_trait]
impl Driver for Libreswan {
    fn name(&self) -> &'static str {
        "libreswan"
    }

    async fn probe(&self, place: &Place) -> Result<Probe, DriverError> {
        let found = self.found(place).await?;
        Ok(found.probe(probe::ask(found, place).await?))
    }

    fn remember(&self, probe: &Probe) {
        if let Ok(found) = serde_json::from_str(&probe.found) {
            // What was found here already is as good.
            let _ = self.found.set(found);
        }
    }

    fn check(&self, config: &GatewayConfig, probe: &Probe) -> Result<(), DriverError> {
        match serde_json::from_str(&probe.found) {
            Ok(found) => conf::render(&found, config).map(drop),
            Err(_) => Ok(()),
        }
    }

    async fn start(&self, launch: Launch) -> Result<Box<dyn Gateway>, DriverError> {
        let found = self.found(&launch.place()).await?.clone();
        Ok(Box::new(gateway::Pluto::start(found, launch).await?))
    }
}
