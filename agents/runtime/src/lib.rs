//! IO: runs the pure agents on sockets that belong to a node of the lab: the probes and dialogues of `agents/traffic`, the
//! in-house gateway of `agents/gateway`, and floods.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Opens sockets inside one node's network namespace. A socket stays in the namespace it was created in.
pub trait Sockets: Send + Sync {
    /// A new socket of the node.
    fn open(&self, domain: socket2::Domain, kind: socket2::Type, protocol: Option<socket2::Protocol>) -> std::io::Result<socket2::Socket>;
}

/// How a probe ended, as its user would see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// In one word.
    pub outcome: ProbeOutcome,
    /// Requests, packets or octets sent.
    pub sent: u64,
    /// Answers, packets or octets that came back or were acknowledged by the other end.
    pub received: u64,
    /// From first send to last answer.
    pub elapsed: Duration,
    /// Details for people: round-trip times, the status line, the error.
    pub detail: String,
}

/// Outcome of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeOutcome {
    /// Complete.
    Ok,
    /// Some answers, not all.
    Partial,
    /// No answer in time.
    Timeout,
    /// Refused by the other end (RST, ICMP port unreachable).
    Refused,
    /// An ICMP error said so.
    Unreachable,
    /// The transport worked; the application denied (HTTP 4xx, DNS REFUSED).
    Denied,
    /// The name does not exist (DNS NXDOMAIN).
    NoSuchName,
    /// Nothing left the node: it has no route to the other end, or no address of its own to send from.
    NoRoute,
    /// Something else went wrong: octets were altered, a packet did not fit.
    Error,
    /// Could not be tried, or not to its end: this machine ran short of descriptors or memory. That says nothing about the network.
    Untried,
}

mod error;
mod flood;
mod inhouse;
mod ping;
mod services;
mod sys;
mod tcp;
mod udp;

pub use flood::{Flood, flood};
pub use inhouse::{Birth, InHouse, Machine, Made, Maker};
pub use ping::{Ping, ping};
pub use services::{DnsServer, HttpServer};
pub use tcp::{Http, Tcp, http, tcp};
pub use udp::{Dns, Udp, dns, udp};

impl ProbeResult {
    /// A probe that could not be tried.
    pub fn error(detail: impl Into<String>) -> ProbeResult {
        ProbeResult { outcome: ProbeOutcome::Error, sent: 0, received: 0, elapsed: Duration::ZERO, detail: detail.into() }
    }
}
