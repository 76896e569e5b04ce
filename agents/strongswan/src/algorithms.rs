//! strongSwan's names of algorithms, as its log prints them.

use peer::{Cipher, Hash, Integrity};

/// A cipher named by a word of a proposal (`AES_CBC_128`), key length included.
pub(crate) fn cipher_of_proposal(word: &str) -> Option<Cipher> {
    if word == "CHACHA20_POLY1305" || word.starts_with("CHACHA20_POLY1305_") {
        return Some(Cipher::ChaCha20Poly1305);
    }
    if matches!(word, "NULL" | "DES_CBC" | "3DES_CBC") {
        return cipher(word, 0);
    }
    let (name, bits) = word.rsplit_once('_')?;
    cipher(name, bits.parse().ok()?)
}

/// A cipher named by a sentence of the child's log (`using AES_CBC for encryption`) and the length of its key in octets.
pub(crate) fn cipher_of_key(name: &str, octets: usize) -> Option<Cipher> {
    // Counter modes carry a salt of four octets behind the key (RFC 3686 §5.1, RFC 4106 §8.1).
    let salted = name.starts_with("AES_GCM_") || name == "AES_CTR";
    let bits = octets.checked_sub(if salted { 4 } else { 0 })?.checked_mul(8)?;
    cipher(name, u16::try_from(bits).ok()?)
}

fn cipher(name: &str, bits: u16) -> Option<Cipher> {
    Some(match name {
        "NULL" => Cipher::Null,
        "DES_CBC" => Cipher::Des,
        "3DES_CBC" => Cipher::TripleDes,
        "AES_CBC" => Cipher::AesCbc(bits),
        "AES_CTR" => Cipher::AesCtr(bits),
        "AES_GCM_8" => Cipher::AesGcm(bits, 8),
        "AES_GCM_12" => Cipher::AesGcm(bits, 12),
        "AES_GCM_16" => Cipher::AesGcm(bits, 16),
        "CHACHA20_POLY1305" => Cipher::ChaCha20Poly1305,
        _ => return None,
    })
}

/// An integrity algorithm, in proposals and in the child's log alike.
pub(crate) fn integrity(name: &str) -> Option<Integrity> {
    Some(match name {
        "HMAC_MD5_96" => Integrity::HmacMd5_96,
        "HMAC_SHA1_96" => Integrity::HmacSha1_96,
        "HMAC_SHA2_256_128" => Integrity::HmacSha2_256_128,
        "HMAC_SHA2_384_192" => Integrity::HmacSha2_384_192,
        "HMAC_SHA2_512_256" => Integrity::HmacSha2_512_256,
        _ => return None,
    })
}

/// The hash behind a PRF; IKEv1 uses the same hash for its IVs (RFC 2409 appendix B).
pub(crate) fn hash(prf: &str) -> Option<Hash> {
    Some(match prf {
        "PRF_HMAC_MD5" => Hash::Md5,
        "PRF_HMAC_SHA1" => Hash::Sha1,
        "PRF_HMAC_SHA2_256" => Hash::Sha2_256,
        "PRF_HMAC_SHA2_384" => Hash::Sha2_384,
        "PRF_HMAC_SHA2_512" => Hash::Sha2_512,
        _ => return None,
    })
}

/// The algorithms of an IKE SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) cipher: Cipher,
    pub(crate) integrity: Integrity,
    pub(crate) hash: Option<Hash>,
}

/// Reads `AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256`.
pub(crate) fn suite(proposal: &str) -> Option<Suite> {
    let words = || proposal.split('/').map(str::trim);
    Some(Suite {
        cipher: words().find_map(cipher_of_proposal)?,
        integrity: words().find_map(integrity).unwrap_or(Integrity::None),
        hash: words().find_map(hash),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_become_suites() {
        let s = suite("AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024").unwrap();
        assert_eq!(s, Suite { cipher: Cipher::AesCbc(128), integrity: Integrity::HmacSha1_96, hash: Some(Hash::Sha1) });
        let s = suite("AES_GCM_16_256/PRF_HMAC_SHA2_384/ECP_384").unwrap();
        assert_eq!(s, Suite { cipher: Cipher::AesGcm(256, 16), integrity: Integrity::None, hash: Some(Hash::Sha2_384) });
        assert_eq!(suite("3DES_CBC/HMAC_MD5_96/PRF_HMAC_MD5/MODP_1024").unwrap().cipher, Cipher::TripleDes);
        assert!(suite("CAMELLIA_CBC_128/HMAC_SHA1_96").is_none());
    }

    #[test]
    fn salts_do_not_count_as_key_bits() {
        assert_eq!(cipher_of_key("AES_GCM_16", 20), Some(Cipher::AesGcm(128, 16)));
        assert_eq!(cipher_of_key("AES_CTR", 36), Some(Cipher::AesCtr(256)));
        assert_eq!(cipher_of_key("AES_CBC", 16), Some(Cipher::AesCbc(128)));
        assert_eq!(cipher_of_key("AES_GCM_16", 2), None);
    }
}
