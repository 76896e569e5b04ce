//! Signature algorithms of certificates, for webpki.

use std::sync::LazyLock;

use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use crate::crypto::sign::{Algorithm, Encoding, Hash, KeyId, PublicKey};

/// All that [`crate::crypto::sign`] knows, weak ones included.
pub static ALL: LazyLock<Vec<&'static dyn SignatureVerificationAlgorithm>> = LazyLock::new(|| {
    let mut all = vec![ForKey::made_once(Algorithm::Ed25519, KeyId::Ed25519, false)];
    for hash in Hash::ALL {
        all.push(ForKey::made_once(Algorithm::RsaPkcs1(hash), KeyId::Rsa, false));
        all.push(ForKey::made_once(Algorithm::RsaPkcs1(hash), KeyId::Rsa, true));
        all.push(ForKey::made_once(Algorithm::rsa_pss(hash), KeyId::Rsa, false));
        for curve in [KeyId::P256, KeyId::P384, KeyId::P521] {
            all.push(ForKey::made_once(Algorithm::Ecdsa(hash), curve, false));
        }
    }
    all
});

/// An algorithm together with the kind of key that it needs.
#[derive(Debug)]
struct ForKey {
    algorithm: Algorithm,
    key: KeyId,
    /// Contents of the signature's AlgorithmIdentifier, which webpki compares.
    signature_id: &'static [u8],
}

impl ForKey {
    /// Made once and for all, so that it may stay in memory. Some leave out the NULL of RSA's parameters: `without_null`.
    fn made_once(algorithm: Algorithm, key: KeyId, without_null: bool) -> &'static dyn SignatureVerificationAlgorithm {
        let mut contents = algorithm.contents();
        if without_null {
            contents.truncate(contents.len() - 2);
        }
        Box::leak(Box::new(ForKey { algorithm, key, signature_id: contents.leak() }))
    }
}

impl SignatureVerificationAlgorithm for ForKey {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = PublicKey::from_octets(self.key, public_key).map_err(|_| InvalidSignature)?;
        if key.verify_with(self.algorithm, Encoding::Der, message, signature) { Ok(()) } else { Err(InvalidSignature) }
    }

    /// Contents of the AlgorithmIdentifier of such keys (RFC 3279 §2.3, RFC 5480, RFC 8410).
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        AlgorithmIdentifier::from_slice(match self.key {
            KeyId::Rsa => &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0],
            KeyId::P256 => &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
            KeyId::P384 => &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 34],
            KeyId::P521 => &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 35],
            KeyId::Ed25519 => &[6, 3, 0x2b, 0x65, 0x70],
        })
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        AlgorithmIdentifier::from_slice(self.signature_id)
    }
}
