//! Settings of a connection or a gateway that few scenarios touch. `Default` is what a well-kept gateway does.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The outer header's DF bit in IPv4 tunnels (RFC 4301 §8.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DfBit {
    /// From the inner header.
    #[default]
    Copy,
    /// Always set.
    Set,
    /// Always clear: the outer packet may be fragmented.
    Clear,
}

/// Rarely used settings of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Fragmentation of encrypted IKEv2 messages (RFC 7383).
    pub fragmentation: bool,
    /// Largest IP datagram of a fragment, octets.
    pub fragment_size: u16,
    /// Set the IKE SA up without a child SA (RFC 6023); children follow in exchanges of their own.
    pub childless: bool,
    /// Begin the IKE SA anew, with authentication, after this long; `None`: never.
    pub reauth: Option<Duration>,
    /// Ask for an address inside the peer's network (RFC 7296 §3.15).
    pub virtual_ip: bool,
    /// Addresses that are given to peers who ask; `None`: none.
    pub pool: Option<IpNet>,
    /// Name servers that are told to peers who ask.
    pub dns: Vec<IpAddr>,
    /// Anti-replay window, packets; 0: off (RFC 4303 §3.4.3).
    pub replay_window: u32,
    /// The outer DF bit.
    pub df: DfBit,
    /// Re-key the child SA after this many octets in one direction.
    pub rekey_bytes: Option<u64>,
    /// Re-key the child SA after this many packets in one direction.
    pub rekey_packets: Option<u64>,
    /// The child SA's hard limit in octets.
    pub life_bytes: Option<u64>,
    /// The child SA's hard limit in packets.
    pub life_packets: Option<u64>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            fragmentation: true,
            fragment_size: 1280,
            childless: false,
            reauth: None,
            virtual_ip: false,
            pool: None,
            dns: Vec::new(),
            replay_window: 32,
            df: DfBit::Copy,
            rekey_bytes: None,
            rekey_packets: None,
            life_bytes: None,
            life_packets: None,
        }
    }
}

/// Limits for IKE SAs that are not authenticated yet (RFC 7296 §2.6, RFC 8019).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalfOpen {
    /// From this many half-open IKE SAs on, a COOKIE is demanded.
    pub cookie_threshold: u32,
    /// Half-open IKE SAs that one address may have; more requests from it are not answered.
    pub per_address: u32,
    /// How long one may stay half open.
    pub timeout: Duration,
}

impl Default for HalfOpen {
    /// strongSwan's figures.
    fn default() -> HalfOpen {
        HalfOpen { cookie_threshold: 30, per_address: 5, timeout: Duration::from_secs(30) }
    }
}
