//! Packets sealed and opened with the keys of one SA: RFC 4303 §2, §3.3 and §3.4.
//!
//! Key schedules are computed once per SA. Packets are transformed in place; nothing is allocated, except by [`generic`].

mod aead;
mod generic;
mod iv;
mod separate;
#[cfg(test)]
mod tests;

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::AesGcm;
use aes_gcm::aead::consts::{U8, U12, U16};
use chacha20poly1305::ChaCha20Poly1305;
use des::{Des, TdesEde3};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use wire::crypto::{Cipher, Integrity};

use self::aead::Aead;
use self::generic::Generic;
use self::iv::Ivs;
use self::separate::{Cbc, CipherState, Ctr, HmacState, Mac, NoMac, Null, Separate};
use super::mtu::Shape;
use super::params::{InstallError, SaParams};

/// The longest ICV, octets: what a misbehaving peer may ask for.
const MAX_ICV: usize = 64;

/// SPI and sequence number of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    spi: u32,
    number: u64,
    esn: bool,
}

impl Head {
    pub fn new(spi: u32, number: u64, esn: bool) -> Head {
        Head { spi, number, esn }
    }

    /// As on the wire.
    fn wire(&self) -> [u8; 8] {
        let mut octets = [0; 8];
        octets[..4].copy_from_slice(&self.spi.to_be_bytes());
        octets[4..].copy_from_slice(&(self.number as u32).to_be_bytes());
        octets
    }

    /// The half of an extended sequence number that is authenticated but not sent; empty without.
    fn high(&self) -> ([u8; 4], usize) {
        (((self.number >> 32) as u32).to_be_bytes(), if self.esn { 4 } else { 0 })
    }

    /// Additional authenticated data of an AEAD (RFC 4106 §5, RFC 7634 §2.1): SPI and the whole sequence number.
    fn aad(&self) -> ([u8; 12], usize) {
        let mut octets = [0; 12];
        octets[..4].copy_from_slice(&self.spi.to_be_bytes());
        if self.esn {
            octets[4..].copy_from_slice(&self.number.to_be_bytes());
            (octets, 12)
        } else {
            octets[4..8].copy_from_slice(&(self.number as u32).to_be_bytes());
            (octets, 8)
        }
    }
}

/// Algorithms with their keys.
trait Keyed: Send + Sync {
    /// Encrypts `text` in place and fills `icv`.
    fn seal(&self, head: &Head, iv: &[u8], text: &mut [u8], icv: &mut [u8]);
    /// Is `icv` right? Then decrypts `text` in place; otherwise it may be left in any state.
    fn open(&self, head: &Head, iv: &[u8], text: &mut [u8], icv: &[u8]) -> bool;
}

/// Why a packet is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too short, or no whole number of blocks.
    Length,
    /// The ICV is wrong.
    Icv,
}

/// One SA's algorithms.
pub(super) struct Transform {
    keyed: Box<dyn Keyed>,
    ivs: Ivs,
    shape: Shape,
    /// Octets of the cipher's own block.
    cipher_block: usize,
}

impl std::fmt::Debug for Transform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transform").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Transform {
    pub fn new(sa: &SaParams) -> Result<Transform, InstallError> {
        let wrong = |algorithm: String, len| InstallError::Key { spi: sa.spi, algorithm, len };
        if sa.key.len() != sa.cipher.key_len() {
            return Err(wrong(format!("{:?}", sa.cipher), sa.key.len()));
        }
        if sa.integrity_key.len() != sa.integrity.key_len() {
            return Err(wrong(format!("{:?}", sa.integrity), sa.integrity_key.len()));
        }
        let keyed = match keyed(sa) {
            Some(keyed) => keyed,
            None => Box::new(Generic::new(sa).ok_or_else(|| wrong(format!("{:?}", sa.cipher), sa.key.len()))?),
        };
        let own_icv = if sa.cipher.is_aead() { sa.cipher.icv_len() } else { sa.integrity.icv_len() };
        let icv = sa.icv_len.map_or(own_icv, usize::from).min(MAX_ICV);
        let shape = Shape { iv: sa.cipher.iv_len(), block: sa.cipher.block_len(), icv };
        Ok(Transform { keyed, ivs: Ivs::new(sa), shape, cipher_block: sa.cipher.cipher_block_len() })
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// `out` becomes the ESP packet, from the SPI on. `count` must never be the same twice for an SA: the IV is made from it.
    pub fn seal(&self, head: Head, count: u64, payload: &[u8], next_header: u8, out: &mut Vec<u8>) {
        let Shape { iv: iv_len, block, icv: icv_len } = self.shape;
        out.clear();
        out.reserve(self.shape.esp_len(payload.len()));
        out.extend_from_slice(&head.wire());
        out.resize(8 + iv_len, 0);
        out.extend_from_slice(payload);
        // Padding counts 1, 2, 3 … (RFC 4303 §2.4).
        let pad_len = (payload.len() + 2).next_multiple_of(block) - payload.len() - 2;
        out.extend(1..=pad_len as u8);
        out.extend_from_slice(&[pad_len as u8, next_header]);
        let text_end = out.len();
        out.resize(text_end + icv_len, 0);

        let (iv, rest) = out[8..].split_at_mut(iv_len);
        let (text, icv) = rest.split_at_mut(text_end - 8 - iv_len);
        self.ivs.fill(count, iv);
        self.keyed.seal(&head, iv, text, icv);
    }

    /// Verifies a packet and decrypts it in place: the payload with padding and trailer.
    pub fn open<'p>(&self, head: Head, packet: &'p mut [u8]) -> Result<&'p mut [u8], Refused> {
        let Shape { iv: iv_len, icv: icv_len, .. } = self.shape;
        let text_len = packet.len().checked_sub(8 + iv_len + icv_len).ok_or(Refused::Length)?;
        if text_len < 2 || !text_len.is_multiple_of(self.cipher_block) {
            return Err(Refused::Length);
        }
        let (iv, rest) = packet[8..].split_at_mut(iv_len);
        let (text, icv) = rest.split_at_mut(text_len);
        if self.keyed.open(&head, iv, text, icv) { Ok(text) } else { Err(Refused::Icv) }
    }
}

/// Payload and next header of what [`Transform::open`] gave; `None`: the padding is not 1, 2, 3 … (RFC 4303 §2.4).
pub(super) fn without_trailer(text: &[u8]) -> Option<(&[u8], u8)> {
    let [rest @ .., pad_len, next_header] = text else { return None };
    let (payload, padding) = rest.split_at_checked(rest.len().checked_sub(usize::from(*pad_len))?)?;
    padding.iter().zip(1..).all(|(octet, n)| *octet == n).then_some((payload, *next_header))
}

/// Equal? Takes as long whatever the answer is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The fast ways; `None`: there is none for these algorithms.
fn keyed(sa: &SaParams) -> Option<Box<dyn Keyed>> {
    let (key, salt) = sa.key.split_at_checked(sa.cipher.key_len() - sa.cipher.salt_len())?;
    let keyed: Box<dyn Keyed> = match sa.cipher {
        Cipher::AesGcm(128, icv) => gcm::<Aes128>(key, salt, icv)?,
        Cipher::AesGcm(192, icv) => gcm::<Aes192>(key, salt, icv)?,
        Cipher::AesGcm(256, icv) => gcm::<Aes256>(key, salt, icv)?,
        Cipher::ChaCha20Poly1305 => Box::new(Aead::<ChaCha20Poly1305>::new(key, salt)?),
        _ => {
            let cipher: Box<dyn CipherState> = match sa.cipher {
                Cipher::Null => Box::new(Null),
                Cipher::Des => Box::new(Cbc::<Des>::new(key)?),
                Cipher::TripleDes => Box::new(Cbc::<TdesEde3>::new(key)?),
                Cipher::AesCbc(128) => Box::new(Cbc::<Aes128>::new(key)?),
                Cipher::AesCbc(192) => Box::new(Cbc::<Aes192>::new(key)?),
                Cipher::AesCbc(256) => Box::new(Cbc::<Aes256>::new(key)?),
                Cipher::AesCtr(128) => Box::new(Ctr::<Aes128>::new(key, salt)?),
                Cipher::AesCtr(192) => Box::new(Ctr::<Aes192>::new(key, salt)?),
                Cipher::AesCtr(256) => Box::new(Ctr::<Aes256>::new(key, salt)?),
                _ => return None,
            };
            Box::new(Separate { cipher, mac: mac(sa.integrity, &sa.integrity_key)? })
        }
    };
    Some(keyed)
}

fn gcm<C>(key: &[u8], salt: &[u8], icv_len: u8) -> Option<Box<dyn Keyed>>
where
    C: aes::cipher::BlockCipherEncrypt + aes::cipher::BlockSizeUser<BlockSize = U16> + aes::cipher::KeyInit + Send + Sync + 'static,
{
    Some(match icv_len {
        8 => Box::new(Aead::<AesGcm<C, U12, U8>>::new(key, salt)?),
        12 => Box::new(Aead::<AesGcm<C, U12, U12>>::new(key, salt)?),
        16 => Box::new(Aead::<AesGcm<C, U12, U16>>::new(key, salt)?),
        _ => return None,
    })
}

fn mac(integrity: Integrity, key: &[u8]) -> Option<Box<dyn Mac>> {
    Some(match integrity {
        Integrity::None => Box::new(NoMac),
        Integrity::HmacMd5_96 | Integrity::HmacMd5_128 => Box::new(HmacState::<Md5>::new(key)?),
        Integrity::HmacSha1_96 | Integrity::HmacSha1_160 => Box::new(HmacState::<Sha1>::new(key)?),
        Integrity::HmacSha2_256_96 | Integrity::HmacSha2_256_128 => Box::new(HmacState::<Sha256>::new(key)?),
        Integrity::HmacSha2_384_192 => Box::new(HmacState::<Sha384>::new(key)?),
        Integrity::HmacSha2_512_256 => Box::new(HmacState::<Sha512>::new(key)?),
        _ => return None,
    })
}
