//! Pseudo-random functions (transform type 2) and prf+ (RFC 7296 §2.13).

use aes::Aes128;
use cmac::Cmac;
use hmac::digest::block_api::EagerHash;
use hmac::{Hmac, KeyInit, Mac};

use super::xcbc::aes_xcbc;

/// A pseudo-random function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prf {
    /// PRF_HMAC_MD5 (RFC 2104).
    HmacMd5,
    /// PRF_HMAC_SHA1 (RFC 2104).
    HmacSha1,
    /// PRF_HMAC_SHA2_256 (RFC 4868).
    HmacSha2_256,
    /// PRF_HMAC_SHA2_384 (RFC 4868).
    HmacSha2_384,
    /// PRF_HMAC_SHA2_512 (RFC 4868).
    HmacSha2_512,
    /// PRF_AES128_XCBC (RFC 4434).
    AesXcbc,
    /// PRF_AES128_CMAC (RFC 4615).
    AesCmac,
}

impl Prf {
    /// Transform number of type 2.
    pub fn transform_id(self) -> u16 {
        match self {
            Prf::HmacMd5 => 1,
            Prf::HmacSha1 => 2,
            Prf::AesXcbc => 4,
            Prf::HmacSha2_256 => 5,
            Prf::HmacSha2_384 => 6,
            Prf::HmacSha2_512 => 7,
            Prf::AesCmac => 8,
        }
    }

    /// By transform number; `None`: not known here.
    pub fn from_transform_id(id: u16) -> Option<Prf> {
        Some(match id {
            1 => Prf::HmacMd5,
            2 => Prf::HmacSha1,
            4 => Prf::AesXcbc,
            5 => Prf::HmacSha2_256,
            6 => Prf::HmacSha2_384,
            7 => Prf::HmacSha2_512,
            8 => Prf::AesCmac,
            _ => return None,
        })
    }

    /// Octets of its output.
    pub fn output_len(self) -> usize {
        match self {
            Prf::HmacMd5 | Prf::AesXcbc | Prf::AesCmac => 16,
            Prf::HmacSha1 => 20,
            Prf::HmacSha2_256 => 32,
            Prf::HmacSha2_384 => 48,
            Prf::HmacSha2_512 => 64,
        }
    }

    /// Octets of its preferred key: of SK_d, SK_pi and SK_pr (RFC 7296 §2.14).
    pub fn key_len(self) -> usize {
        self.output_len()
    }

    /// prf(key, parts one after the other). The key may have any length.
    pub fn compute(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Prf::HmacMd5 => hmac::<md5::Md5>(key, parts),
            Prf::HmacSha1 => hmac::<sha1::Sha1>(key, parts),
            Prf::HmacSha2_256 => hmac::<sha2::Sha256>(key, parts),
            Prf::HmacSha2_384 => hmac::<sha2::Sha384>(key, parts),
            Prf::HmacSha2_512 => hmac::<sha2::Sha512>(key, parts),
            Prf::AesXcbc => aes_xcbc(xcbc_key(key), parts).to_vec(),
            Prf::AesCmac => aes_cmac(cmac_key(key), parts).to_vec(),
        }
    }

    /// The first `len` octets of prf+(key, seed), RFC 7296 §2.13.
    ///
    /// # Panics
    ///
    /// If `len` is more than 255 times the output, where prf+ is not defined.
    pub fn plus(self, key: &[u8], seed: &[u8], len: usize) -> Vec<u8> {
        assert!(len <= 255 * self.output_len(), "prf+ is not defined for {len} octets");
        let mut stream = Vec::with_capacity(len + self.output_len());
        let mut block = Vec::new();
        for n in 1..=255 {
            if stream.len() >= len {
                break;
            }
            block = self.compute(key, &[&block, seed, &[n]]);
            stream.extend_from_slice(&block);
        }
        stream.truncate(len);
        stream
    }

    /// Key of the prf that computes SKEYSEED from both nonces: `Ni | Nr`, but the first 8 octets of each for the two AES functions
    /// (RFC 7296 §2.14).
    pub fn nonces_as_key(self, ni: &[u8], nr: &[u8]) -> Vec<u8> {
        let first = |nonce: &[u8]| match self {
            Prf::AesXcbc | Prf::AesCmac => nonce[..nonce.len().min(8)].to_vec(),
            _ => nonce.to_vec(),
        };
        [first(ni), first(nr)].concat()
    }
}

fn hmac<D: EagerHash>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <Hmac<D> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn aes_cmac(key: [u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Cmac::<Aes128>::new(&key.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// RFC 4434 §2: a short key is padded with zeros, a long one goes through the function with the zero key.
fn xcbc_key(key: &[u8]) -> [u8; 16] {
    match key.len() {
        0..=16 => {
            let mut padded = [0; 16];
            padded[..key.len()].copy_from_slice(key);
            padded
        }
        _ => aes_xcbc([0; 16], &[key]),
    }
}

/// RFC 4615 §3: a key of any other length, short or long, goes through the function with the zero key.
fn cmac_key(key: &[u8]) -> [u8; 16] {
    key.try_into().unwrap_or_else(|_| aes_cmac([0; 16], &[key]))
}

#[cfg(test)]
mod tests;
