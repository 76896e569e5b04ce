//! Initialisation vectors. The same SA and packet number give the same IV: there is no randomness here.

use aes::Aes128;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::esp::params::SaParams;

/// Where a packet's IV comes from.
pub(super) enum Ivs {
    /// The packet's number: an AEAD and CTR want no more than that it never recurs (RFC 4106 §3.1, RFC 3686 §3.1, RFC 7634 §2).
    Counter,
    /// The packet's number, encrypted with a key of its own: CBC wants an IV that nobody can foresee (RFC 3602 §3; NIST SP
    /// 800-38A appendix C names this way).
    Secret(Box<Aes128>),
}

impl Ivs {
    pub fn new(sa: &SaParams) -> Ivs {
        if sa.cipher.cipher_block_len() == 1 {
            return Ivs::Counter;
        }
        let Ok(mut prf) = <Hmac<Sha256> as KeyInit>::new_from_slice(&sa.key) else { return Ivs::Counter };
        prf.update(b"ESP initialisation vectors");
        prf.update(&sa.spi.to_be_bytes());
        let digest = prf.finalize().into_bytes();
        match Aes128::new_from_slice(&digest[..16]) {
            Ok(aes) => Ivs::Secret(Box::new(aes)),
            Err(_) => Ivs::Counter,
        }
    }

    /// Fills `iv` for packet number `count`.
    pub fn fill(&self, count: u64, iv: &mut [u8]) {
        let mut block = Block::<Aes128>::default();
        block[8..].copy_from_slice(&count.to_be_bytes());
        let from = match self {
            Ivs::Counter => &block[16 - iv.len().min(16)..],
            Ivs::Secret(aes) => {
                aes.encrypt_block(&mut block);
                &block[..]
            }
        };
        iv.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_seen_and_a_secret_is_not() {
        let mut iv = [0; 8];
        Ivs::Counter.fill(0x0102, &mut iv);
        assert_eq!(iv, [0, 0, 0, 0, 0, 0, 1, 2]);
        let secret = Ivs::Secret(Box::new(Aes128::new(&[7; 16].into())));
        let (mut one, mut two, mut again) = ([0; 16], [0; 16], [0; 8]);
        secret.fill(1, &mut one);
        secret.fill(2, &mut two);
        secret.fill(1, &mut again);
        assert!(one.iter().zip(two).filter(|(a, b)| **a != *b).count() > 8);
        assert_eq!(one[..8], again);
    }
}
