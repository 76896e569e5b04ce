//! The front door: everything that arrives is sorted here; everything that leaves is queued here.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use peer::{GatewayConfig, GatewayEvent, Keys};

use crate::esp::DataPath;
use crate::time::Time;

/// What the gateway wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this UDP datagram (on port 4500 the non-ESP marker is there already).
    Datagram {
        /// Own address and port.
        from: SocketAddr,
        /// Where to.
        to: SocketAddr,
        /// Payload.
        data: Vec<u8>,
    },
    /// Hand this packet to the inside.
    Inner(Vec<u8>),
    /// From now on exactly the inner packets to these prefixes must come to [`Gateway::handle_inner`].
    Routes(Vec<IpNet>),
    /// From now on the inside has exactly these addresses (RFC 7296 §3.15).
    Addresses(Vec<IpAddr>),
    /// Something that the lab wants to know.
    Event(GatewayEvent),
    /// An attempt that [`Command::Initiate`] asked for has ended without a child SA, after all its tries. (What became of one that
    /// succeeded is told by [`GatewayEventKind::ChildUp`](peer::GatewayEventKind::ChildUp).)
    Failed {
        /// Connection.
        connection: String,
        /// Why, in words: the peer's notify, `no answer after 4 copies of IKE_SA_INIT` …
        reason: String,
    },
    /// New keys.
    Keys(Keys),
    /// A line for the log.
    Log(LogEntry),
}

/// A line of the gateway's log: what changed, and why.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LogEntry {
    /// Since the gateway was made, seconds.
    pub at: f64,
    /// Connection, when it is about one.
    pub connection: Option<String>,
    /// SPIs of the IKE SA, hexadecimal, initiator's first.
    pub ike_sa: Option<String>,
    /// What, in words.
    pub text: String,
}

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Bring a connection's child SA up, and its IKE SA when there is none.
    Initiate(String),
    /// Re-key a connection's child SA.
    RekeyChild(String),
    /// Re-key a connection's IKE SA.
    RekeyIke(String),
    /// Close a connection's IKE SA, with DELETE.
    Close(String),
    /// Close everything, with DELETEs.
    Shutdown,
    /// An own address has changed (RFC 4555 §3.5).
    Moved {
        /// What it was.
        from: IpAddr,
        /// What it is.
        to: IpAddr,
    },
    /// Packets to `to` of more than `mtu` octets do not pass.
    PathMtu {
        /// The peer's address.
        to: IpAddr,
        /// Octets, outer IP header included.
        mtu: u16,
    },
}

/// Outer header of an ESP packet that must be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer {
    /// Own address.
    pub from: IpAddr,
    /// The peer's address.
    pub to: IpAddr,
    /// Own and peer's UDP port; `None`: IP protocol 50.
    pub ports: Option<(u16, u16)>,
    /// TOS or Traffic Class octet: DSCP and ECN.
    pub tos: u8,
    /// Set IPv4's DF bit.
    pub df: bool,
}

/// What became of a packet. Its octets are in the `out` that was passed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `out` is an ESP packet (from the SPI on): send it.
    Send(Outer),
    /// `out` is an inner packet: hand it to the inside.
    Deliver,
    /// Nothing to do for this packet.
    Nothing,
}

/// One gateway.
pub struct Gateway {
    path: DataPath,
}

impl Gateway {
    /// A gateway that knows nothing yet. The same `seed` and inputs give the same octets. `wall` is the date at [`Time::ZERO`], seconds
    /// since 1970; only certificates need it. `inside` are the node's own addresses, the first of each family being the
    /// source of ICMP errors.
    pub fn new(config: GatewayConfig, seed: [u8; 32], wall: i64, inside: Vec<IpAddr>) -> Gateway {
        let _ = (config, seed, wall, inside);
        Gateway { path: DataPath::default() }
    }

    /// A datagram that arrived on one of its UDP ports: IKE, ESP in UDP, or a NAT keepalive. `tos` is the outer TOS octet.
    pub fn handle_udp(&mut self, now: Time, from: SocketAddr, to: SocketAddr, tos: u8, data: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        let _ = (now, from, to, tos, data, out, &mut self.path);
        Verdict::Nothing
    }

    /// A packet of IP protocol 50, without its IP header.
    pub fn handle_esp(&mut self, now: Time, from: IpAddr, to: IpAddr, tos: u8, packet: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        let _ = (now, from, to, tos, packet, out);
        Verdict::Nothing
    }

    /// An IP packet from the inside.
    pub fn handle_inner(&mut self, now: Time, packet: &[u8], out: &mut Vec<u8>) -> Verdict {
        let _ = (now, packet, out);
        Verdict::Nothing
    }

    /// What the operator wants. `Err`: it knows no such connection.
    pub fn command(&mut self, now: Time, command: Command) -> Result<(), String> {
        let _ = (now, command);
        Ok(())
    }

    /// Time has come to what [`Gateway::poll_timeout`] said.
    pub fn handle_timeout(&mut self, now: Time) {
        let _ = now;
    }

    /// When [`Gateway::handle_timeout`] wants to be called, and what for.
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        None
    }

    /// What must be done next; to be called until there is nothing.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        None
    }

    /// SAD, SPD, IKE SAs and counters, for people.
    pub fn describe(&self) -> String {
        String::new()
    }
}
