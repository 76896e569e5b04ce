//! Private keys.

use p256::elliptic_curve::Generate;
use rsa::pkcs8::EncodePrivateKey;
use x509_cert::spki::{EncodePublicKey, SubjectPublicKeyInfo};

use crate::Rng;

/// Kind and size of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// RSA, 1024 bits: too short for today, not for old devices.
    Rsa1024,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// ECDSA over P-256.
    #[default]
    EcdsaP256,
    /// ECDSA over P-384.
    EcdsaP384,
}

/// A private key.
#[derive(Clone)]
pub enum Key {
    /// RSA.
    Rsa(Box<rsa::PrivateKey>),
    /// ECDSA over P-256.
    EcdsaP256(p256::ecdsa::SigningKey),
    /// ECDSA over P-384.
    EcdsaP384(p384::ecdsa::SigningKey),
}

impl Key {
    /// A fresh key. RSA takes some tenths of a second, the longer the more.
    pub fn generate(kind: KeyType, rng: &mut Rng) -> Key {
        let mut rsa = |bits| Key::Rsa(Box::new(rsa::PrivateKey::new(rng, bits).expect("supported sizes, infallible randomness")));
        match kind {
            KeyType::Rsa1024 => rsa(1024),
            KeyType::Rsa2048 => rsa(2048),
            KeyType::Rsa3072 => rsa(3072),
            KeyType::Rsa4096 => rsa(4096),
            KeyType::EcdsaP256 => Key::EcdsaP256(p256::ecdsa::SigningKey::generate_from_rng(rng)),
            KeyType::EcdsaP384 => Key::EcdsaP384(p384::ecdsa::SigningKey::generate_from_rng(rng)),
        }
    }

    /// PKCS#8 (RFC 5208), DER, not encrypted.
    pub fn to_pkcs8_der(&self) -> Vec<u8> {
        let document = match self {
            Key::Rsa(key) => key.to_pkcs8_der(),
            Key::EcdsaP256(key) => key.to_pkcs8_der(),
            Key::EcdsaP384(key) => key.to_pkcs8_der(),
        };
        document.expect("own keys have an encoding").as_bytes().to_vec()
    }

    /// The public key as certificates carry it.
    pub(crate) fn public(&self) -> SubjectPublicKeyInfo<x509_cert::der::Any, x509_cert::der::asn1::BitString> {
        let document = match self {
            Key::Rsa(key) => key.to_public_key().to_public_key_der(),
            Key::EcdsaP256(key) => key.verifying_key().to_public_key_der(),
            Key::EcdsaP384(key) => key.verifying_key().to_public_key_der(),
        };
        document.and_then(|document| Ok(document.decode_msg()?)).expect("own keys have an encoding")
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Key::Rsa(_) => "Key(RSA)",
            Key::EcdsaP256(_) => "Key(ECDSA P-256)",
            Key::EcdsaP384(_) => "Key(ECDSA P-384)",
        })
    }
}
