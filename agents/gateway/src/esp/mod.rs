//! ESP: RFC 4303, its SAD and SPD as RFC 4301 names them.

use std::net::IpAddr;

use peer::DfBit;
use wire::crypto::{Cipher, Integrity};

use crate::Selector;
use crate::gateway::{Outer, Verdict};
use crate::time::Time;

/// One direction of a child SA.
#[derive(Debug, Clone, PartialEq)]
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
    /// Anti-replay window, packets; 0: off. Inbound only.
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

/// Limits that are counted (RFC 4301 §4.4.2.1).
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
    /// A packet met a policy that has no SA.
    Acquire {
        /// The policy.
        policy: u32,
    },
    /// A soft limit is reached (once per SA).
    Soft {
        /// SPI.
        spi: u32,
        /// Outbound SA.
        outbound: bool,
    },
    /// A hard limit is reached; the SA carries nothing any more.
    Hard {
        /// SPI.
        spi: u32,
        /// Outbound SA.
        outbound: bool,
    },
    /// The peer's address or port has changed (RFC 7296 §2.23: an authenticated packet came from elsewhere).
    PeerMoved {
        /// SPI of the inbound SA.
        spi: u32,
        /// Address and port that it came from.
        to: std::net::SocketAddr,
    },
}

/// SAD, SPD and everything that happens to single packets.
#[derive(Debug, Default)]
pub struct DataPath {}

impl DataPath {
    /// Takes a packet from the inside through the SPD and the SAD (RFC 4301 §5.1). `out` becomes the ESP packet, or an ICMP error for the
    /// inside.
    pub fn outbound(&mut self, now: Time, packet: &[u8], out: &mut Vec<u8>) -> Verdict {
        let _ = (now, packet, out);
        Verdict::Nothing
    }

    /// Takes an ESP packet (from the SPI on) through the SAD (RFC 4301 §5.2). It may be decrypted in place. `out` becomes the inner packet.
    pub fn inbound(&mut self, now: Time, outer: Outer, packet: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        let _ = (now, outer, packet, out);
        Verdict::Nothing
    }
}
