//! Integrity algorithms: sizes, making and checking of ICVs.

use cmac::Cmac;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::xcbc::aes_xcbc;

/// Integrity algorithm (with its truncation on the wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Integrity {
    /// None: the cipher is an AEAD, or there is no protection.
    None,
    /// HMAC-MD5-96.
    HmacMd5_96,
    /// HMAC-MD5-128 (RFC 4595).
    HmacMd5_128,
    /// HMAC-SHA1-96.
    HmacSha1_96,
    /// HMAC-SHA1-160 (RFC 4595).
    HmacSha1_160,
    /// AES-XCBC-96 (RFC 3566).
    AesXcbc96,
    /// AES-CMAC-96 (RFC 4494).
    AesCmac96,
    /// HMAC-SHA2-256-96: the truncation of a draft, which old Linux kernels had.
    HmacSha2_256_96,
    /// HMAC-SHA2-256-128.
    HmacSha2_256_128,
    /// HMAC-SHA2-384-192.
    HmacSha2_384_192,
    /// HMAC-SHA2-512-256.
    HmacSha2_512_256,
}

impl Integrity {
    /// Octets of the ICV on the wire.
    pub const fn icv_len(self) -> usize {
        match self {
            Integrity::None => 0,
            Integrity::HmacMd5_96 | Integrity::HmacSha1_96 | Integrity::HmacSha2_256_96 => 12,
            Integrity::AesXcbc96 | Integrity::AesCmac96 => 12,
            Integrity::HmacMd5_128 | Integrity::HmacSha2_256_128 => 16,
            Integrity::HmacSha1_160 => 20,
            Integrity::HmacSha2_384_192 => 24,
            Integrity::HmacSha2_512_256 => 32,
        }
    }

    /// Octets of the key.
    pub const fn key_len(self) -> usize {
        match self {
            Integrity::None => 0,
            Integrity::HmacMd5_96 | Integrity::HmacMd5_128 | Integrity::AesXcbc96 | Integrity::AesCmac96 => 16,
            Integrity::HmacSha1_96 | Integrity::HmacSha1_160 => 20,
            Integrity::HmacSha2_256_96 | Integrity::HmacSha2_256_128 => 32,
            Integrity::HmacSha2_384_192 => 48,
            Integrity::HmacSha2_512_256 => 64,
        }
    }

    /// The truncated MAC of `parts` as it goes on the wire; empty for [`Integrity::None`], and when the algorithm cannot take the key.
    ///
    /// HMAC takes a key of any length (RFC 2104 §2), the AES modes one of 16 octets.
    pub fn sign(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
            let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
            parts.iter().for_each(|p| mac.update(p));
            mac.finalize().into_bytes().to_vec()
        }
        let mut icv = match self {
            Integrity::None => Vec::new(),
            Integrity::HmacMd5_96 | Integrity::HmacMd5_128 => mac::<Hmac<md5::Md5>>(key, parts),
            Integrity::HmacSha1_96 | Integrity::HmacSha1_160 => mac::<Hmac<sha1::Sha1>>(key, parts),
            Integrity::AesXcbc96 => key.try_into().map(|key| aes_xcbc(key, parts).to_vec()).unwrap_or_default(),
            Integrity::AesCmac96 => mac::<Cmac<aes::Aes128>>(key, parts),
            Integrity::HmacSha2_256_96 | Integrity::HmacSha2_256_128 => mac::<Hmac<sha2::Sha256>>(key, parts),
            Integrity::HmacSha2_384_192 => mac::<Hmac<sha2::Sha384>>(key, parts),
            Integrity::HmacSha2_512_256 => mac::<Hmac<sha2::Sha512>>(key, parts),
        };
        icv.truncate(self.icv_len());
        icv
    }

    /// Is `icv` the (truncated) MAC of `parts`? [`Integrity::None`] accepts the empty ICV only.
    pub fn verify(self, key: &[u8], parts: &[&[u8]], icv: &[u8]) -> bool {
        let own = self.sign(key, parts);
        own.len() == self.icv_len() && bool::from(own.ct_eq(icv))
    }
}
