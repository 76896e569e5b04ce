//! What IKE tells the data path, and what the data path tells IKE.

use std::net::{IpAddr, SocketAddr};

use peer::DfBit;
use wire::crypto::{Cipher, Integrity};

use crate::Selector;
use crate::time::Time;

/// An entry of the SPD whose action is PROTECT (RFC 4301 §4.4.1): ESP in tunnel mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyParams {
    /// What people call it, e.g. the connection's name.
    pub name: String,
    /// Own side's selectors.
    pub local_ts: Vec<Selector>,
    /// The peer side's selectors.
    pub remote_ts: Vec<Selector>,
    /// A packet that finds no SA asks for one ([`PathEvent::Acquire`]); otherwise it is only dropped.
    pub trap: bool,
    /// Until then, or until the peer has sent something on it, a policy of the same selectors that does not yield is used instead, as
    /// long as it has an SA: the peer may not have that of this one yet (RFC 7296 §2.8).
    pub yields_until: Option<Time>,
}

/// One direction of a child SA.
#[derive(Clone, PartialEq)]
pub struct SaParams {
    /// SPI, chosen by the receiver.
    pub spi: u32,
    /// The policy that it belongs to.
    pub policy: u32,
    /// Encryption.
    pub cipher: Cipher,
    /// Encryption key, salt included.
    pub key: Vec<u8>,
    /// Integrity; [`Integrity::None`] with an AEAD.
    pub integrity: Integrity,
    /// Integrity key.
    pub integrity_key: Vec<u8>,
    /// Extended sequence numbers (RFC 4303 §2.2.1).
    pub esn: bool,
    /// Own outer address.
    pub local: IpAddr,
    /// The peer's outer address.
    pub remote: IpAddr,
    /// Own and peer's port when ESP goes in UDP (RFC 3948).
    pub ports: Option<(u16, u16)>,
    /// Own side's selectors.
    pub local_ts: Vec<Selector>,
    /// The peer side's selectors.
    pub remote_ts: Vec<Selector>,
    /// Anti-replay window, packets; 0: off. Inbound only. Larger ones are cut to [`super::MAX_REPLAY_WINDOW`].
    pub replay_window: u32,
    /// Outer DF bit. Outbound only.
    pub df: DfBit,
    /// Limits in octets and packets.
    pub limits: Limits,
    /// Octets of ICV instead of the algorithm's own (misbehaviour).
    pub icv_len: Option<u8>,
    /// The sequence number begins anew after so many packets (misbehaviour).
    pub reset_sequence_after: Option<u32>,
}

impl std::fmt::Debug for SaParams {
    /// Without keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SaParams")
            .field("spi", &self.spi)
            .field("policy", &self.policy)
            .field("cipher", &self.cipher)
            .field("integrity", &self.integrity)
            .field("esn", &self.esn)
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("ports", &self.ports)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Limits that are counted (RFC 4301 §4.4.2.1). Octets are those of inner packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Octets after which a new SA is wanted.
    pub soft_bytes: Option<u64>,
    /// Octets after which it is not used any more.
    pub hard_bytes: Option<u64>,
    /// Packets after which a new SA is wanted.
    pub soft_packets: Option<u64>,
    /// Packets after which it is not used any more.
    pub hard_packets: Option<u64>,
}

/// Something that IKE must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathEvent {
    /// A packet met a policy that has no SA for it.
    Acquire {
        /// The policy.
        policy: u32,
        /// The packet's own end, exactly: what RFC 7296 §2.9 wants as first traffic selector.
        local_ts: Selector,
        /// The packet's far end.
        remote_ts: Selector,
    },
    /// A soft limit is reached (once per SA).
    Soft {
        /// The policy that it belongs to: two peers may choose the same SPI.
        policy: u32,
        /// SPI.
        spi: u32,
        /// Outbound SA.
        outbound: bool,
    },
    /// A hard limit is reached, or the last sequence number is used (RFC 4303 §3.3.3); the SA carries nothing any more (once per SA).
    Hard {
        /// The policy that it belongs to.
        policy: u32,
        /// SPI.
        spi: u32,
        /// Outbound SA.
        outbound: bool,
    },
    /// The peer's address or port has changed (RFC 7296 §2.23: a new, authenticated packet came from elsewhere). Nothing is
    /// changed here before [`super::DataPath::repoint_policy`].
    PeerMoved {
        /// The policy that it belongs to.
        policy: u32,
        /// SPI of the inbound SA.
        spi: u32,
        /// Address and port that it came from.
        to: SocketAddr,
    },
}

/// Where the two ends of an SA are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Own outer address.
    pub local: IpAddr,
    /// The peer's outer address.
    pub remote: IpAddr,
    /// Own and peer's port when ESP goes in UDP (RFC 3948).
    pub ports: Option<(u16, u16)>,
}

/// Why an SA cannot be installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// The key has the wrong length.
    #[error("SA {spi:#010x}: a key of {len} octets does not fit {algorithm}")]
    Key {
        /// SPI.
        spi: u32,
        /// The algorithm.
        algorithm: String,
        /// Octets given.
        len: usize,
    },
    /// SPIs 0 to 255 are reserved (RFC 4303 §2.1).
    #[error("SPI {0} is reserved")]
    Reserved(u32),
    /// There is such an SA.
    #[error("SPI {0:#010x} is in use")]
    InUse(u32),
}

/// What a policy's SAs have carried, those that are gone included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// When the last authenticated packet came in.
    pub last_in: Option<Time>,
    /// When the last packet went out.
    pub last_out: Option<Time>,
    /// Octets of inner packets that came in.
    pub octets_in: u64,
    /// Octets of inner packets that went out.
    pub octets_out: u64,
    /// Packets that came in.
    pub packets_in: u64,
    /// Packets that went out.
    pub packets_out: u64,
}

/// An SA, for people and evidence (RFC 4301 §4.4.2.1), without its keys.
#[derive(Debug, Clone, PartialEq)]
pub struct SaInfo {
    /// SPI.
    pub spi: u32,
    /// The policy that it belongs to.
    pub policy: u32,
    /// Direction.
    pub outbound: bool,
    /// An outbound SA: the one that its policy uses now.
    pub current: bool,
    /// Encryption.
    pub cipher: Cipher,
    /// Integrity.
    pub integrity: Integrity,
    /// Extended sequence numbers.
    pub esn: bool,
    /// Outer addresses and ports.
    pub ends: Ends,
    /// Own side's selectors.
    pub local_ts: Vec<Selector>,
    /// The peer side's selectors.
    pub remote_ts: Vec<Selector>,
    /// Last sequence number sent, or highest received.
    pub sequence: u64,
    /// Anti-replay window, packets.
    pub replay_window: u32,
    /// When it was installed.
    pub installed: Time,
    /// When it carried its last packet.
    pub last: Option<Time>,
    /// Octets of inner packets.
    pub octets: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that the anti-replay window refused.
    pub replays: u64,
    /// Packets whose ICV was wrong.
    pub icv_fails: u64,
    /// A hard limit is reached.
    pub expired: bool,
    /// Outbound: the largest inner packet that fits the path, octets.
    pub max_inner: Option<u16>,
}

/// An entry of the SPD, for people and evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInfo {
    /// The policy.
    pub id: u32,
    /// What it says.
    pub params: PolicyParams,
    /// SPI of the outbound SA in use.
    pub outbound: Option<u32>,
    /// What it has carried.
    pub usage: Usage,
}
