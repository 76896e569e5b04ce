//! What the thread runs: the pure gateway, or what stands in for it in tests.

use std::net::{IpAddr, SocketAddr};

use gateway::{Command, Effect, Gateway, Time, Verdict};
use peer::GatewayConfig;

/// A gateway without input or output of its own; see [`Gateway`] for what each method means.
pub trait Machine: Send {
    /// A UDP datagram.
    fn handle_udp(&mut self, now: Time, from: SocketAddr, to: SocketAddr, tos: u8, data: &mut [u8], out: &mut Vec<u8>) -> Verdict;
    /// A packet of IP protocol 50, without its IP header.
    fn handle_esp(&mut self, now: Time, from: IpAddr, to: IpAddr, tos: u8, packet: &mut [u8], out: &mut Vec<u8>) -> Verdict;
    /// An IP packet from the inside.
    fn handle_inner(&mut self, now: Time, packet: &[u8], out: &mut Vec<u8>) -> Verdict;
    /// What the operator wants.
    fn command(&mut self, now: Time, command: Command) -> Result<(), String>;
    /// Are all child SAs of this connection up?
    fn is_up(&self, connection: &str) -> bool;
    /// Time has come.
    fn handle_timeout(&mut self, now: Time);
    /// When, and what for.
    fn poll_timeout(&self) -> Option<(Time, &'static str)>;
    /// What must be done next.
    fn poll_effect(&mut self) -> Option<Effect>;
    /// All of it has been done.
    fn sent(&mut self, _now: Time) {}
    /// SAs and counters, for people.
    fn describe(&self) -> String;
}

/// What a new life begins with.
#[derive(Debug, Clone)]
pub struct Birth {
    /// Settings.
    pub config: GatewayConfig,
    /// All randomness comes from this.
    pub seed: [u8; 32],
    /// The date, seconds since 1970.
    pub wall: i64,
    /// The node's own addresses, those inside its traffic selectors first.
    pub inside: Vec<IpAddr>,
}

/// A machine, or the setting that it does not do, and why.
pub type Made = Result<Box<dyn Machine>, String>;

/// Makes a machine.
pub type Maker = dyn Fn(Birth) -> Made + Send + Sync;

/// The in-house gateway.
pub(crate) fn in_house(birth: Birth) -> Made {
    Ok(Box::new(Gateway::new(birth.config, birth.seed, birth.wall, &birth.inside)?))
}

impl Machine for Gateway {
    fn handle_udp(&mut self, now: Time, from: SocketAddr, to: SocketAddr, tos: u8, data: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        Gateway::handle_udp(self, now, from, to, tos, data, out)
    }

    fn handle_esp(&mut self, now: Time, from: IpAddr, to: IpAddr, tos: u8, packet: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        Gateway::handle_esp(self, now, from, to, tos, packet, out)
    }

    fn handle_inner(&mut self, now: Time, packet: &[u8], out: &mut Vec<u8>) -> Verdict {
        Gateway::handle_inner(self, now, packet, out)
    }

    fn command(&mut self, now: Time, command: Command) -> Result<(), String> {
        Gateway::command(self, now, command)
    }

    fn is_up(&self, connection: &str) -> bool {
        Gateway::is_up(self, connection)
    }

    fn handle_timeout(&mut self, now: Time) {
        Gateway::handle_timeout(self, now);
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        Gateway::poll_timeout(self)
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        Gateway::poll_effect(self)
    }

    fn sent(&mut self, now: Time) {
        Gateway::sent(self, now);
    }

    fn describe(&self) -> String {
        Gateway::describe(self)
    }
}
