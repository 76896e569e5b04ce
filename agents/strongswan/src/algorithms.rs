//! strongSwan's names of algorithms, as its log prints them.

use peer::{Cipher, Hash, Integrity};

/// A cipher named by a word of a proposal (`AES_CBC_128`), key length included.
pub(crate) fn cipher_of_proposal(word: &str) -> Option<Cipher> {
    if word == "CHACHA20_POLY1305" || word.starts_with("CHACHA20_POLY1305_") {
        return Some(Cipher::ChaCha20Poly1305);
    }
    if matches!(word, "NULL" | "DES_CBC" | "3DES_CBC") {
        return Cipher::from_name(word, None);
    }
    let (name, bits) = word.rsplit_once('_')?;
    Cipher::from_name(name, Some(bits.parse().ok()?))
}

/// A cipher named by a sentence of the child's log (`using AES_CBC for encryption`) and the length of its key in octets.
pub(crate) fn cipher_of_key(name: &str, octets: usize) -> Option<Cipher> {
    Cipher::from_name_and_key_len(name, octets)
}

/// An integrity algorithm, in proposals and in the child's log alike.
pub(crate) fn integrity(name: &str) -> Option<Integrity> {
    Integrity::from_name(name)
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
        let s = suite("NULL_AES_GMAC_192/AES_XCBC_96").unwrap();
        assert_eq!((s.cipher, s.integrity), (Cipher::NullAesGmac(192), Integrity::AesXcbc96));
        assert_eq!(suite("CAMELLIA_CCM_12_256/PRF_AES128_XCBC").unwrap().cipher, Cipher::CamelliaCcm(256, 12));
        assert!(suite("SERPENT_CBC_128/HMAC_SHA1_96").is_none());
    }

    #[test]
    fn salts_do_not_count_as_key_bits() {
        assert_eq!(cipher_of_key("AES_GCM_16", 20), Some(Cipher::AesGcm(128, 16)));
        assert_eq!(cipher_of_key("AES_CTR", 36), Some(Cipher::AesCtr(256)));
        assert_eq!(cipher_of_key("AES_CBC", 16), Some(Cipher::AesCbc(128)));
        assert_eq!(cipher_of_key("AES_GCM_16", 2), None);
    }
}
