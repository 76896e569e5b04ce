//! Keys recovered from a gateway, in the terms that Wireshark's tables use.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Everything known so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// IKEv2 SAs.
    pub ikev2: Vec<Ikev2Keys>,
    /// IKEv1 (ISAKMP) SAs.
    pub ikev1: Vec<Ikev1Keys>,
    /// ESP SAs, one per direction.
    pub esp: Vec<EspKeys>,
}

impl Keys {
    /// Adds what is new in `other`; returns whether anything was.
    pub fn merge(&mut self, other: Keys) -> bool {
        self.take_in(other) != Keys::default()
    }

    /// Names the SAs, without their keys.
    pub fn names(&self) -> Vec<String> {
        let v2 = self.ikev2.iter().map(|k| format!("IKEv2 {:016x}/{:016x}", k.spi_i, k.spi_r));
        let v1 = self.ikev1.iter().map(|k| format!("IKEv1 {:016x}/{:016x}", k.cookie_i, k.cookie_r));
        let esp = self.esp.iter().map(|k| format!("ESP {:08x}", k.spi));
        v2.chain(v1).chain(esp).collect()
    }

    /// Adds what is new in `other`, and returns just that.
    pub fn take_in(&mut self, other: Keys) -> Keys {
        fn add<T: PartialEq + Clone>(to: &mut Vec<T>, from: Vec<T>) -> Vec<T> {
            let before = to.len();
            for item in from {
                if !to.contains(&item) {
                    to.push(item);
                }
            }
            to[before..].to_vec()
        }
        Keys { ikev2: add(&mut self.ikev2, other.ikev2), ikev1: add(&mut self.ikev1, other.ikev1), esp: add(&mut self.esp, other.esp) }
    }
}

/// Keys of one IKEv2 SA (RFC 7296 §2.14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ikev2Keys {
    /// Initiator's SPI.
    pub spi_i: u64,
    /// Responder's SPI.
    pub spi_r: u64,
    /// Encryption.
    pub encryption: Cipher,
    /// Integrity; [`Integrity::None`] with an AEAD.
    pub integrity: Integrity,
    /// SK_ei (with an AEAD including its salt).
    pub sk_ei: Vec<u8>,
    /// SK_er.
    pub sk_er: Vec<u8>,
    /// SK_ai; empty with an AEAD.
    pub sk_ai: Vec<u8>,
    /// SK_ar.
    pub sk_ar: Vec<u8>,
}

/// Keys of one ISAKMP SA (RFC 2409 §5, appendix B).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ikev1Keys {
    /// Initiator's cookie.
    pub cookie_i: u64,
    /// Responder's cookie; 0 when not known.
    pub cookie_r: u64,
    /// Encryption (a CBC cipher).
    pub encryption: Cipher,
    /// Hash of the SA, needed for the IVs.
    pub hash: Hash,
    /// The encryption key as used by the cipher.
    pub key: Vec<u8>,
}

/// Key of one ESP SA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EspKeys {
    /// Outer source, when known.
    pub src: Option<IpAddr>,
    /// Outer destination, when known.
    pub dst: Option<IpAddr>,
    /// SPI.
    pub spi: u32,
    /// Encryption.
    pub encryption: Cipher,
    /// Encryption key (with an AEAD or CTR including its salt).
    pub key: Vec<u8>,
    /// Integrity.
    pub integrity: Integrity,
    /// Integrity key.
    pub integrity_key: Vec<u8>,
}

pub use wire::crypto::{Cipher, Hash, Integrity};
