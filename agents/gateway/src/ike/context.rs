//! What an IKE SA may use of its gateway.

use std::collections::VecDeque;
use std::time::Duration;

use peer::{Child, Connection, GatewayConfig, GatewayEvent, GatewayEventKind, Keys};

use super::proposal::Suite;
use super::sa::IkeSa;
use crate::crypto::Rng;
use crate::esp::DataPath;
use crate::gateway::{Effect, LogEntry};
use crate::time::Time;

/// A connection's settings, read once.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) ike: Vec<Suite>,
    /// At least one.
    pub(crate) children: Vec<ChildProfile>,
}

/// The same of one of its children.
#[derive(Debug, Clone)]
pub(crate) struct ChildProfile {
    pub(crate) settings: Child,
    pub(crate) esp: Vec<Suite>,
}

/// Something that only the whole gateway can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Bring children of the connection up (again), this much later; the number is the attempt's, from 1.
    Initiate { connection: usize, children: Vec<usize>, after: Duration, attempt: u32 },
    /// Set an IKE SA up beside the old one, which goes when the new one has a child (RFC 7296 §2.8.3).
    Reauthenticate { connection: usize, old: u64 },
    /// The IKE SA with this SPI of ours has a successor.
    GiveWay { old: u64 },
    /// Let trap policies bring them up.
    Trap { connection: usize, children: Vec<usize> },
    /// Forget all other IKE SAs with this peer's identity (RFC 7296 §2.4, INITIAL_CONTACT).
    OnlyOne { connection: usize, keep: u64 },
    /// Which inner packets are wanted has changed.
    Routes,
}

/// See the module.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) config: &'a GatewayConfig,
    pub(crate) profiles: &'a [Profile],
    pub(crate) rng: &'a mut Rng,
    pub(crate) path: &'a mut DataPath,
    pub(crate) effects: &'a mut VecDeque<Effect>,
    /// What is to be done later.
    pub(crate) later: &'a mut Vec<(Time, Effect)>,
    /// The gateway's idea of the date, seconds since 1970.
    pub(crate) wall: i64,
    /// IKE SAs that came into being.
    pub(crate) born: &'a mut Vec<IkeSa>,
    pub(crate) orders: &'a mut Vec<Order>,
    pub(crate) unsent: &'a mut Vec<(u64, Duration)>,
    /// Number of the next policy.
    pub(crate) next_policy: &'a mut u32,
    /// Leases of the address pools: connection, address, and the identity that has it.
    pub(crate) leases: &'a mut Vec<(usize, std::net::IpAddr, String)>,
    /// Is there no other IKE SA with this connection's peer?
    pub(crate) first_contact: bool,
}

impl<'a> Context<'a> {
    pub(crate) fn connection(&self, index: usize) -> &Connection {
        &self.config.connections[index]
    }

    /// A connection's child, by its index among those.
    pub(crate) fn child(&self, connection: usize, index: usize) -> &'a ChildProfile {
        &self.profiles[connection].children[index]
    }

    pub(crate) fn event(&mut self, what: GatewayEventKind) {
        self.effects.push_back(Effect::Event(GatewayEvent { gateway: self.config.name.clone(), what }));
    }

    /// Now, or after a while.
    pub(crate) fn send(&mut self, effect: Effect, delay: Duration) {
        if delay.is_zero() {
            self.effects.push_back(effect);
        } else {
            self.later.push((self.now + delay, effect));
        }
    }

    pub(crate) fn keys(&mut self, keys: Keys) {
        self.effects.push_back(Effect::Keys(keys));
    }

    pub(crate) fn log(&mut self, connection: Option<usize>, ike_sa: Option<(u64, u64)>, text: impl Into<String>) {
        self.effects.push_back(Effect::Log(LogEntry {
            at: self.now.0.as_secs_f64(),
            connection: connection.and_then(|c| self.config.connections.get(c)).map(|c| c.name.clone()),
            ike_sa: ike_sa.map(|(i, r)| format!("{i:016x}_{r:016x}")),
            text: text.into(),
        }));
    }

    /// An SPI for an inbound SA (RFC 4303 §2.1: below 256 is reserved).
    pub(crate) fn new_spi(&mut self) -> u32 {
        loop {
            let spi = self.rng.u32();
            if spi >= 256 && !self.path.sas().iter().any(|sa| !sa.outbound && sa.spi == spi) {
                return spi;
            }
        }
    }

    /// SPI of an IKE SA: anything but 0.
    pub(crate) fn new_ike_spi(&mut self) -> u64 {
        self.rng.u64().max(1)
    }
}
