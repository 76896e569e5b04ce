//! Private and public keys.

use ed25519_dalek::pkcs8::spki::DecodePublicKey;
use ed25519_dalek::{Signer, Verifier};
use rsa::pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use rsa::{Pkcs1v15Sign, Pss};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use x509_cert::der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::ecdsa::{self, Encoding};
use super::{Algorithm, Hash, KeyError, Scheme, SignError};
use crate::crypto::rng::Rng;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// A key that signs.
#[derive(Clone)]
pub struct PrivateKey(Private);

#[derive(Clone)]
enum Private {
    Rsa(Box<rsa::PrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

/// A key that verifies.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicKey(Public);

#[derive(Debug, Clone, PartialEq)]
enum Public {
    Rsa(rsa::PublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl PrivateKey {
    /// From PKCS#8 (RFC 5208, RFC 5958), DER, not encrypted: RSA, ECDSA over P-256, P-384 and P-521, Ed25519.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<PrivateKey, KeyError> {
        let unreadable = |e: rsa::pkcs8::Error| KeyError::Unreadable { what: "private key", reason: e.to_string() };
        let info = PrivateKeyInfoRef::try_from(der).map_err(unreadable)?;
        Ok(PrivateKey(match kind(info.algorithm.oid, info.algorithm.parameters_oid().ok())? {
            Kind::Rsa => Private::Rsa(Box::new(info.try_into().map_err(unreadable)?)),
            Kind::P256 => Private::P256(info.try_into().map_err(unreadable)?),
            Kind::P384 => Private::P384(info.try_into().map_err(unreadable)?),
            Kind::P521 => Private::P521(info.try_into().map_err(unreadable)?),
            Kind::Ed25519 => Private::Ed25519(info.try_into().map_err(unreadable)?),
        }))
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(match &self.0 {
            Private::Rsa(key) => Public::Rsa(key.to_public_key()),
            Private::P256(key) => Public::P256(*key.verifying_key()),
            Private::P384(key) => Public::P384(*key.verifying_key()),
            Private::P521(key) => Public::P521(*key.verifying_key()),
            Private::Ed25519(key) => Public::Ed25519(key.verifying_key()),
        })
    }

    /// Signs `data` for an AUTH payload, without RFC 7427's prefix. Randomness blinds RSA and salts PSS.
    pub fn sign(&self, scheme: Scheme, data: &[u8], rng: &mut Rng) -> Result<Vec<u8>, SignError> {
        if !scheme.fits(&self.public()) {
            return Err(SignError::WrongKey);
        }
        self.sign_with(scheme.algorithm(), scheme.encoding(), data, rng)
    }

    fn sign_with(&self, algorithm: Algorithm, encoding: Encoding, data: &[u8], rng: &mut Rng) -> Result<Vec<u8>, SignError> {
        match (&self.0, algorithm) {
            (Private::Rsa(key), Algorithm::RsaPkcs1(hash)) => {
                key.sign_with_rng(rng, pkcs1(hash), &hash.digest(data)).map_err(|_| SignError::TooShort)
            }
            (Private::Rsa(key), Algorithm::RsaPss { hash, salt_len }) => {
                let (digest, salt_len) = (hash.digest(data), usize::from(salt_len));
                match hash {
                    Hash::Sha1 => key.sign_with_rng(rng, Pss::<Sha1>::new_with_salt(salt_len), &digest),
                    Hash::Sha2_256 => key.sign_with_rng(rng, Pss::<Sha256>::new_with_salt(salt_len), &digest),
                    Hash::Sha2_384 => key.sign_with_rng(rng, Pss::<Sha384>::new_with_salt(salt_len), &digest),
                    Hash::Sha2_512 => key.sign_with_rng(rng, Pss::<Sha512>::new_with_salt(salt_len), &digest),
                }
                .map_err(|_| SignError::TooShort)
            }
            (Private::P256(key), Algorithm::Ecdsa(hash)) => ecdsa::sign(key, &hash.digest(data), encoding).ok_or(SignError::WrongKey),
            (Private::P384(key), Algorithm::Ecdsa(hash)) => ecdsa::sign(key, &hash.digest(data), encoding).ok_or(SignError::WrongKey),
            (Private::P521(key), Algorithm::Ecdsa(hash)) => ecdsa::sign(key, &hash.digest(data), encoding).ok_or(SignError::WrongKey),
            (Private::Ed25519(key), Algorithm::Ed25519) => Ok(key.sign(data).to_bytes().to_vec()),
            _ => Err(SignError::WrongKey),
        }
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({})", self.public().name())
    }
}

impl PublicKey {
    /// From a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), DER.
    pub fn from_spki_der(der: &[u8]) -> Result<PublicKey, KeyError> {
        let unreadable = |reason: String| KeyError::Unreadable { what: "public key", reason };
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|e| unreadable(e.to_string()))?;
        let kind = kind(info.algorithm.oid, info.algorithm.parameters_oid().ok())?;
        let octets = info.subject_public_key.as_bytes().ok_or_else(|| unreadable("its bits are no octets".into()))?;
        let sec1 = |e: p256::ecdsa::Error| unreadable(e.to_string());
        Ok(PublicKey(match kind {
            Kind::Rsa => {
                let numbers = rsa::pkcs1::RsaPublicKeyRef::from_der(octets).map_err(|e| unreadable(e.to_string()))?;
                Public::Rsa(numbers.try_into().map_err(|e: rsa::pkcs1::Error| unreadable(e.to_string()))?)
            }
            Kind::P256 => Public::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(octets).map_err(sec1)?),
            Kind::P384 => Public::P384(p384::ecdsa::VerifyingKey::from_sec1_bytes(octets).map_err(sec1)?),
            Kind::P521 => Public::P521(p521::ecdsa::VerifyingKey::from_sec1_bytes(octets).map_err(sec1)?),
            Kind::Ed25519 => {
                Public::Ed25519(ed25519_dalek::VerifyingKey::from_public_key_der(der).map_err(|e| unreadable(e.to_string()))?)
            }
        }))
    }

    /// Is this the signature of `data` in an AUTH payload, RFC 7427's prefix taken off?
    pub fn verify(&self, scheme: Scheme, data: &[u8], signature: &[u8]) -> bool {
        scheme.fits(self) && self.verify_with(scheme.algorithm(), scheme.encoding(), data, signature)
    }

    /// The same for certificates, where ECDSA's signatures are DER.
    pub(crate) fn verify_with(&self, algorithm: Algorithm, encoding: Encoding, data: &[u8], signature: &[u8]) -> bool {
        match (&self.0, algorithm) {
            (Public::Rsa(key), Algorithm::RsaPkcs1(hash)) => key.verify(pkcs1(hash), &hash.digest(data), signature).is_ok(),
            (Public::Rsa(key), Algorithm::RsaPss { hash, salt_len }) => {
                let (digest, salt_len) = (hash.digest(data), usize::from(salt_len));
                match hash {
                    Hash::Sha1 => key.verify(Pss::<Sha1>::new_with_salt(salt_len), &digest, signature),
                    Hash::Sha2_256 => key.verify(Pss::<Sha256>::new_with_salt(salt_len), &digest, signature),
                    Hash::Sha2_384 => key.verify(Pss::<Sha384>::new_with_salt(salt_len), &digest, signature),
                    Hash::Sha2_512 => key.verify(Pss::<Sha512>::new_with_salt(salt_len), &digest, signature),
                }
                .is_ok()
            }
            (Public::P256(key), Algorithm::Ecdsa(hash)) => ecdsa::verify(key, &hash.digest(data), encoding, signature),
            (Public::P384(key), Algorithm::Ecdsa(hash)) => ecdsa::verify(key, &hash.digest(data), encoding, signature),
            (Public::P521(key), Algorithm::Ecdsa(hash)) => ecdsa::verify(key, &hash.digest(data), encoding, signature),
            (Public::Ed25519(key), Algorithm::Ed25519) => {
                signature.try_into().is_ok_and(|signature| key.verify(data, &signature).is_ok())
            }
            _ => false,
        }
    }

    /// Kind and size, for people: `RSA-2048`, `ECDSA P-256`.
    pub fn name(&self) -> String {
        match self.kind() {
            KeyKind::Rsa { octets } => format!("RSA-{}", 8 * octets),
            KeyKind::P256 => "ECDSA P-256".into(),
            KeyKind::P384 => "ECDSA P-384".into(),
            KeyKind::P521 => "ECDSA P-521".into(),
            KeyKind::Ed25519 => "Ed25519".into(),
        }
    }

    pub(super) fn kind(&self) -> KeyKind {
        use rsa::traits::PublicKeyParts;
        match &self.0 {
            Public::Rsa(key) => KeyKind::Rsa { octets: key.size() },
            Public::P256(_) => KeyKind::P256,
            Public::P384(_) => KeyKind::P384,
            Public::P521(_) => KeyKind::P521,
            Public::Ed25519(_) => KeyKind::Ed25519,
        }
    }
}

/// What schemes depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// With the length of its modulus.
    Rsa {
        octets: usize,
    },
    P256,
    P384,
    P521,
    Ed25519,
}

enum Kind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

/// By the OIDs of algorithm and curve.
fn kind(algorithm: ObjectIdentifier, curve: Option<ObjectIdentifier>) -> Result<Kind, KeyError> {
    match (algorithm, curve) {
        (RSA | RSA_PSS, _) => Ok(Kind::Rsa),
        (ED25519, _) => Ok(Kind::Ed25519),
        (EC, Some(P256)) => Ok(Kind::P256),
        (EC, Some(P384)) => Ok(Kind::P384),
        (EC, Some(P521)) => Ok(Kind::P521),
        (EC, Some(other)) => Err(KeyError::Unsupported(format!("ECDSA over curve {other}"))),
        (other, _) => Err(KeyError::Unsupported(other.to_string())),
    }
}

fn pkcs1(hash: Hash) -> Pkcs1v15Sign {
    match hash {
        Hash::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
        Hash::Sha2_256 => Pkcs1v15Sign::new::<Sha256>(),
        Hash::Sha2_384 => Pkcs1v15Sign::new::<Sha384>(),
        Hash::Sha2_512 => Pkcs1v15Sign::new::<Sha512>(),
    }
}
