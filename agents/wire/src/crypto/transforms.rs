//! Algorithms as IKEv2 numbers them (RFC 7296 §3.3.2 and the IANA registry), with the Key Length attribute where it belongs.

use super::{Cipher, Integrity};
use crate::ike::names;

/// strongSwan's number, of the range for private use: it speaks it with its own kind only.
const HMAC_SHA2_256_96: u16 = 1026;

impl Cipher {
    /// The cipher of a transform of type 1 (ENCR). `None`: unknown, or the Key Length attribute (bits) is missing, out of range, or
    /// there though the algorithm has but one length (RFC 7296 §3.3.5).
    ///
    /// Without the attribute, Blowfish and CAST have their default of 128 bits (RFC 2451 §2.5).
    pub fn from_transform(id: u16, key_len: Option<u16>) -> Option<Cipher> {
        let fixed = |cipher| key_len.is_none().then_some(cipher);
        let block128 = || key_len.filter(|bits| matches!(bits, 128 | 192 | 256));
        let variable = |max| Some(key_len.unwrap_or(128)).filter(|bits| (40..=max).contains(bits) && bits.is_multiple_of(8));
        Some(match id {
            2 => fixed(Cipher::Des)?,
            3 => fixed(Cipher::TripleDes)?,
            6 => Cipher::CastCbc(variable(128)?),
            7 => Cipher::BlowfishCbc(variable(448)?),
            11 => fixed(Cipher::Null)?,
            12 => Cipher::AesCbc(block128()?),
            13 => Cipher::AesCtr(block128()?),
            14 => Cipher::AesCcm(block128()?, 8),
            15 => Cipher::AesCcm(block128()?, 12),
            16 => Cipher::AesCcm(block128()?, 16),
            18 => Cipher::AesGcm(block128()?, 8),
            19 => Cipher::AesGcm(block128()?, 12),
            20 => Cipher::AesGcm(block128()?, 16),
            21 => Cipher::NullAesGmac(block128()?),
            23 => Cipher::CamelliaCbc(block128()?),
            24 => Cipher::CamelliaCtr(block128()?),
            25 => Cipher::CamelliaCcm(block128()?, 8),
            26 => Cipher::CamelliaCcm(block128()?, 12),
            27 => Cipher::CamelliaCcm(block128()?, 16),
            28 => fixed(Cipher::ChaCha20Poly1305)?,
            _ => return None,
        })
    }

    /// Transform ID and Key Length attribute (bits). An AEAD's ICV length that has no number is given the next shorter one's.
    pub const fn to_transform(self) -> (u16, Option<u16>) {
        /// The first of three numbers is for 8 octets of ICV, the others for 12 and 16.
        const fn by_icv(first: u16, icv: u8) -> u16 {
            match icv {
                ..12 => first,
                12..16 => first + 1,
                16.. => first + 2,
            }
        }
        match self {
            Cipher::Des => (2, None),
            Cipher::TripleDes => (3, None),
            Cipher::CastCbc(bits) => (6, Some(bits)),
            Cipher::BlowfishCbc(bits) => (7, Some(bits)),
            Cipher::Null => (11, None),
            Cipher::AesCbc(bits) => (12, Some(bits)),
            Cipher::AesCtr(bits) => (13, Some(bits)),
            Cipher::AesCcm(bits, icv) => (by_icv(14, icv), Some(bits)),
            Cipher::AesGcm(bits, icv) => (by_icv(18, icv), Some(bits)),
            Cipher::NullAesGmac(bits) => (21, Some(bits)),
            Cipher::CamelliaCbc(bits) => (23, Some(bits)),
            Cipher::CamelliaCtr(bits) => (24, Some(bits)),
            Cipher::CamelliaCcm(bits, icv) => (by_icv(25, icv), Some(bits)),
            Cipher::ChaCha20Poly1305 => (28, None),
        }
    }

    /// The cipher of a name as logs print it ([`names::encryption_number`]) and a key length in bits, which is not looked at where
    /// the algorithm has but one.
    pub fn from_name(name: &str, bits: Option<u16>) -> Option<Cipher> {
        let id = names::encryption_number(name)?;
        let fixed = Cipher::from_transform(id, None).filter(|c| c.to_transform().1.is_none());
        fixed.or_else(|| Cipher::from_transform(id, bits))
    }

    /// The cipher of a name as logs print it, whose key material, salt included, has `octets`.
    pub fn from_name_and_key_len(name: &str, octets: usize) -> Option<Cipher> {
        let id = names::encryption_number(name)?;
        let lengths = (40..=448).step_by(8).map(Some);
        [None].into_iter().chain(lengths).filter_map(|bits| Cipher::from_transform(id, bits)).find(|c| c.key_len() == octets)
    }
}

impl Integrity {
    /// The algorithm of a name as logs print it ([`names::integrity_number`]).
    pub fn from_name(name: &str) -> Option<Integrity> {
        match name {
            "HMAC_SHA2_256_96" => Some(Integrity::HmacSha2_256_96),
            _ => Integrity::from_transform(names::integrity_number(name)?),
        }
    }

    /// The algorithm of a transform of type 3 (INTEG); none of them takes a Key Length.
    pub fn from_transform(id: u16) -> Option<Integrity> {
        Some(match id {
            0 => Integrity::None,
            1 => Integrity::HmacMd5_96,
            2 => Integrity::HmacSha1_96,
            5 => Integrity::AesXcbc96,
            6 => Integrity::HmacMd5_128,
            7 => Integrity::HmacSha1_160,
            8 => Integrity::AesCmac96,
            12 => Integrity::HmacSha2_256_128,
            13 => Integrity::HmacSha2_384_192,
            14 => Integrity::HmacSha2_512_256,
            HMAC_SHA2_256_96 => Integrity::HmacSha2_256_96,
            _ => return None,
        })
    }

    /// Transform ID.
    pub const fn to_transform(self) -> u16 {
        match self {
            Integrity::None => 0,
            Integrity::HmacMd5_96 => 1,
            Integrity::HmacSha1_96 => 2,
            Integrity::AesXcbc96 => 5,
            Integrity::HmacMd5_128 => 6,
            Integrity::HmacSha1_160 => 7,
            Integrity::AesCmac96 => 8,
            Integrity::HmacSha2_256_128 => 12,
            Integrity::HmacSha2_384_192 => 13,
            Integrity::HmacSha2_512_256 => 14,
            Integrity::HmacSha2_256_96 => HMAC_SHA2_256_96,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cipher_has_one_transform() {
        let lengths = || [None].into_iter().chain((0..=512).map(Some));
        for id in 0..64 {
            for bits in lengths() {
                let Some(cipher) = Cipher::from_transform(id, bits) else { continue };
                // Only the two with a default length may be said in two ways.
                if bits.is_some() || !matches!(id, 6 | 7) {
                    assert_eq!(cipher.to_transform(), (id, bits));
                }
                let name = names::encryption(id).unwrap();
                assert_eq!(Cipher::from_name(name, bits), Some(cipher));
                assert_eq!(Cipher::from_name_and_key_len(name, cipher.key_len()), Some(cipher));
                assert_eq!(
                    crate::crypto::encrypt(cipher, &vec![1; cipher.key_len()], &vec![2; cipher.iv_len()], &[], &mut [3; 16])
                        .map(|tag| tag.len()),
                    Ok(cipher.icv_len())
                );
            }
        }
    }

    #[test]
    fn key_lengths_are_there_where_they_belong() {
        assert_eq!(Cipher::from_transform(12, None), None);
        assert_eq!(Cipher::from_transform(12, Some(129)), None);
        assert_eq!(Cipher::from_transform(3, Some(192)), None);
        assert_eq!(Cipher::from_transform(28, Some(256)), None);
        assert_eq!(Cipher::from_transform(7, None), Some(Cipher::BlowfishCbc(128)));
        assert_eq!(Cipher::from_transform(6, Some(136)), None);
        assert_eq!(Cipher::from_name("CHACHA20_POLY1305", Some(256)), Some(Cipher::ChaCha20Poly1305));
        assert_eq!(Cipher::from_name_and_key_len("AES_GCM_16", 36), Some(Cipher::AesGcm(256, 16)));
        assert_eq!(Cipher::from_name_and_key_len("AES_CCM_8", 19), Some(Cipher::AesCcm(128, 8)));
        assert_eq!(Cipher::from_name_and_key_len("AES_GCM_16", 16), None);
    }

    #[test]
    fn every_integrity_algorithm_has_one_transform() {
        for id in 0..=u16::MAX {
            let Some(integrity) = Integrity::from_transform(id) else { continue };
            assert_eq!(integrity.to_transform(), id);
            assert!(id >= 1024 || Integrity::from_name(names::integrity(id).unwrap()) == Some(integrity));
            assert_eq!(integrity.sign(&vec![1; integrity.key_len()], &[&[2; 20]]).len(), integrity.icv_len());
        }
    }
}
