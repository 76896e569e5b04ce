//! The in-house gateway as an implementation beside the real daemons: the pure gateway of `agents/gateway`, run on sockets, a TUN
//! device and routes of a node. One thread per gateway owns everything, and waits in one place (`engine.rs`):
//!
//! ```text
//!  driver ──orders, bell──▶ ┌────────┐ ◀── UDP 500 and 4500, IP protocol 50 (`sockets.rs`)
//!  driver ◀─events, keys─── │ engine │ ◀── TUN device (`tun.rs`), fed by a routing table of its own (`kernel.rs`, `routes.rs`)
//!  gateway.jsonl ◀───────── └────────┘ ◀── changes of own addresses
//!                            machine.rs: the pure gateway
//! ```
//!
//! A gateway's folder has `gateway.json`, its settings without secrets, and `gateway.jsonl`, its log.

mod engine;
mod handle;
mod kernel;
mod life;
mod log;
mod machine;
mod orders;
mod outlook;
mod routes;
mod settings;
mod sockets;
mod tun;

use std::sync::Arc;

use async_trait::async_trait;
use peer::{Capability, Driver, DriverError, Gateway, Launch, Place, Probe};

pub use machine::{Birth, Machine, Made, Maker};

/// Driver of the in-house gateway.
pub struct InHouse {
    maker: Arc<Maker>,
}

impl Default for InHouse {
    fn default() -> InHouse {
        InHouse::new()
    }
}

impl InHouse {
    /// A driver of [`gateway::Gateway`].
    pub fn new() -> InHouse {
        InHouse::running(machine::in_house)
    }

    /// A driver that runs another machine in its place, for tests.
    pub fn running(maker: impl Fn(Birth) -> Made + Send + Sync + 'static) -> InHouse {
        InHouse { maker: Arc::new(maker) }
    }
}

#[async_trait]
impl Driver for InHouse {
    fn name(&self) -> &'static str {
        "inhouse"
    }

    async fn probe(&self, _place: &Place) -> Result<Probe, DriverError> {
        use Capability::*;
        if let Some(missing) = tun::missing() {
            return Err(missing.into());
        }
        Ok(Probe {
            version: env!("CARGO_PKG_VERSION").into(),
            found: String::new(),
            data_path: "ESP of its own on a TUN device (tunnel mode, raw or UDP-encapsulated)".into(),
            capabilities: vec![
                Ikev2,
                RawEsp,
                UdpEsp,
                Mobike,
                Esn,
                NattOff,
                NatProhibition,
                Certificates,
                CertificateChains,
                Eap,
                AdditionalKe,
                MlKem,
                MoreChildren,
                Misbehave,
            ],
        })
    }

    async fn start(&self, launch: Launch) -> Result<Box<dyn Gateway>, DriverError> {
        Ok(Box::new(handle::InHouseGateway::start(Arc::clone(&self.maker), launch).await?))
    }
}
