//! IKE messages: RFC 2408/2409 (version 1) and RFC 7296 (version 2).

pub mod bend;
#[cfg(test)]
mod captured;
pub mod decrypt;
pub mod emit;
pub mod fragments;
pub mod names;
mod parse;
mod payload;
mod sa;
#[cfg(test)]
mod tests;
pub mod v1;

pub use decrypt::{Unverified, decrypt_v2, open_unverified};
pub use parse::{parse, parse_captured};

use serde::{Deserialize, Serialize};

/// One ISAKMP/IKE message, parsed as far as its bytes allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Initiator's SPI or cookie.
    pub spi_i: u64,
    /// Responder's SPI or cookie; 0 in a first message.
    pub spi_r: u64,
    /// First payload's type.
    pub next_payload: u8,
    /// Version octet: 0x10 or 0x20.
    pub version: u8,
    /// Exchange type.
    pub exchange: u8,
    /// Flags octet.
    pub flags: u8,
    /// Message ID.
    pub message_id: u32,
    /// Length field of the header.
    pub length: u32,
    /// Payloads in wire order; those found inside an encrypted part follow their container with `inner` set.
    pub payloads: Vec<Payload>,
    /// State of the encrypted part.
    pub encryption: Encryption,
    /// Why parsing stopped early, if it did.
    pub malformed: Option<String>,
}

/// State of a message's encrypted part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encryption {
    /// Nothing is encrypted.
    Clear,
    /// Encrypted, no key known.
    Opaque,
    /// Decrypted; integrity held where it can be checked.
    Decrypted,
    /// A key is known, but the result is not sound (wrong key, or altered).
    Failed,
}

/// One payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Payload type.
    pub kind: u8,
    /// Type of the payload that follows.
    pub next: u8,
    /// Critical bit (IKEv2).
    pub critical: bool,
    /// Length field, with the generic header.
    pub length: u16,
    /// Came out of an encrypted part.
    pub inner: bool,
    /// Meaning.
    pub body: Body,
}

/// A payload's meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Security association.
    Sa(Vec<Proposal>),
    /// Key exchange; IKEv1 has no group field.
    Ke {
        /// DH group (IKEv2).
        group: Option<u16>,
        /// Public value.
        data: Vec<u8>,
    },
    /// Identification (v1 ID; v2 IDi, IDr).
    Id {
        /// ID type.
        id_type: u8,
        /// Protocol (v1).
        protocol: u8,
        /// Port (v1).
        port: u16,
        /// Identification data.
        data: Vec<u8>,
    },
    /// Certificate.
    Cert {
        /// Encoding.
        encoding: u8,
        /// Data.
        data: Vec<u8>,
    },
    /// Certificate request.
    CertReq {
        /// Encoding.
        encoding: u8,
        /// Authority.
        data: Vec<u8>,
    },
    /// Hash (v1).
    Hash(Vec<u8>),
    /// Signature (v1).
    Sig(Vec<u8>),
    /// Authentication (v2).
    Auth {
        /// Method.
        method: u8,
        /// Data.
        data: Vec<u8>,
    },
    /// Nonce.
    Nonce(Vec<u8>),
    /// Notification.
    Notify {
        /// Protocol ID.
        protocol: u8,
        /// SPI, perhaps empty.
        spi: Vec<u8>,
        /// Notify message type.
        kind: u16,
        /// Notification data.
        data: Vec<u8>,
    },
    /// Delete.
    Delete {
        /// Protocol ID.
        protocol: u8,
        /// SPI size field.
        spi_size: u8,
        /// SPIs.
        spis: Vec<Vec<u8>>,
    },
    /// Vendor ID.
    Vendor(Vec<u8>),
    /// Traffic selectors (v2).
    Ts(Vec<Selector>),
    /// Encrypted and authenticated (v2 SK).
    Sk {
        /// Octets of IV, ciphertext and ICV.
        len: usize,
    },
    /// Encrypted fragment (RFC 7383).
    Skf {
        /// Fragment number.
        number: u16,
        /// Total fragments.
        total: u16,
        /// Octets of IV, ciphertext and ICV.
        len: usize,
    },
    /// Configuration (v2) or attributes (v1 mode config).
    Cp {
        /// CFG type.
        kind: u8,
        /// Attributes: type and value.
        attributes: Vec<(u16, Vec<u8>)>,
    },
    /// EAP message.
    Eap(Vec<u8>),
    /// NAT discovery (v1, RFC 3947).
    NatD(Vec<u8>),
    /// NAT original address (v1, RFC 3947).
    NatOa(Vec<u8>),
    /// Vendor fragment (v1, type 132).
    Fragment {
        /// Fragment id.
        id: u16,
        /// Number.
        number: u8,
        /// Last flag.
        last: bool,
    },
    /// Anything else.
    Other(Vec<u8>),
    /// Its length field is wrong: of the payload only the generic header could be read, and nothing after it.
    Cut,
}

/// One proposal of an SA payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Proposal number.
    pub number: u8,
    /// Protocol: 1 IKE/ISAKMP, 2 AH, 3 ESP, 4 IPCOMP.
    pub protocol: u8,
    /// SPI.
    pub spi: Vec<u8>,
    /// Transforms.
    pub transforms: Vec<Transform>,
}

/// One transform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// v2: transform type. v1: transform number.
    pub kind: u8,
    /// v2: transform ID. v1: transform id octet.
    pub id: u16,
    /// Attributes: type (without the format bit) and value.
    pub attributes: Vec<(u16, Vec<u8>)>,
}

/// One IKEv2 traffic selector (RFC 7296 §3.13.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// TS type: 7 IPv4, 8 IPv6.
    pub kind: u8,
    /// IP protocol, 0 any.
    pub protocol: u8,
    /// Port range.
    pub ports: (u16, u16),
    /// First address.
    pub start: Option<std::net::IpAddr>,
    /// Last address.
    pub end: Option<std::net::IpAddr>,
}

impl Message {
    /// Major version: 1 or 2.
    pub fn major(&self) -> u8 {
        self.version >> 4
    }

    /// IKEv2: the Response flag. IKEv1 has none.
    pub fn is_response(&self) -> bool {
        self.major() == 2 && self.flags & 0x20 != 0
    }

    /// IKEv2: the Initiator flag (sent by the original initiator).
    pub fn from_initiator(&self) -> bool {
        self.flags & 0x08 != 0
    }

    /// All notifies with `(kind, inner)`.
    pub fn notifies(&self) -> impl Iterator<Item = (u16, bool)> + '_ {
        self.payloads.iter().filter_map(|p| match &p.body {
            Body::Notify { kind, .. } => Some((*kind, p.inner)),
            _ => None,
        })
    }
}
