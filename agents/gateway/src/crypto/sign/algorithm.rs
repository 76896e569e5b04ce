//! Signature algorithms and their AlgorithmIdentifiers (RFC 7427 appendix A, RFC 8420).

use rsa::pkcs1::RsaPssParams;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};
use x509_cert::der::asn1::{Any, AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::AuthDataError;

/// A hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA2-256.
    Sha2_256,
    /// SHA2-384.
    Sha2_384,
    /// SHA2-512.
    Sha2_512,
}

impl Hash {
    /// Weakest first.
    pub const ALL: [Hash; 4] = [Hash::Sha1, Hash::Sha2_256, Hash::Sha2_384, Hash::Sha2_512];

    /// Number in SIGNATURE_HASH_ALGORITHMS (RFC 7427 §7).
    pub fn number(self) -> u16 {
        match self {
            Hash::Sha1 => 1,
            Hash::Sha2_256 => 2,
            Hash::Sha2_384 => 3,
            Hash::Sha2_512 => 4,
        }
    }

    /// Octets of its output.
    pub fn output_len(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha2_256 => 32,
            Hash::Sha2_384 => 48,
            Hash::Sha2_512 => 64,
        }
    }

    /// The hash of `data`.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => Sha1::digest(data).to_vec(),
            Hash::Sha2_256 => Sha256::digest(data).to_vec(),
            Hash::Sha2_384 => Sha384::digest(data).to_vec(),
            Hash::Sha2_512 => Sha512::digest(data).to_vec(),
        }
    }

    /// OBJECT IDENTIFIER, with tag and length.
    fn oid(self) -> Vec<u8> {
        let nist = |last: u8| [&[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02][..], &[last]].concat();
        match self {
            Hash::Sha1 => vec![0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a],
            Hash::Sha2_256 => nist(1),
            Hash::Sha2_384 => nist(2),
            Hash::Sha2_512 => nist(3),
        }
    }

    fn from_oid(oid: ObjectIdentifier) -> Option<Hash> {
        Hash::ALL.into_iter().find(|hash| hash.oid()[2..] == *oid.as_bytes())
    }
}

/// Hash number "Identity" of RFC 8420: the signature algorithm hashes for itself.
pub const IDENTITY_HASH: u16 = 5;

/// A signature algorithm of certificates and of the digital signature method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(Hash),
    /// RSASSA-PSS with MGF1 over the same hash.
    RsaPss {
        /// Hash of the message and of MGF1.
        hash: Hash,
        /// Octets of salt.
        salt_len: u8,
    },
    /// ECDSA; the signature is DER.
    Ecdsa(Hash),
    /// Ed25519 (RFC 8420).
    Ed25519,
}

const NULL: [u8; 2] = [0x05, 0x00];
const RSA_OIDS: [u8; 10] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ID_RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ID_MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");

impl Algorithm {
    /// RSASSA-PSS with as much salt as hash, as everybody uses it.
    pub fn rsa_pss(hash: Hash) -> Algorithm {
        Algorithm::RsaPss { hash, salt_len: hash.output_len() as u8 }
    }

    /// Number in SIGNATURE_HASH_ALGORITHMS that stands for its hash.
    pub fn hash_number(self) -> u16 {
        match self {
            Algorithm::RsaPkcs1(hash) | Algorithm::RsaPss { hash, .. } | Algorithm::Ecdsa(hash) => hash.number(),
            Algorithm::Ed25519 => IDENTITY_HASH,
        }
    }

    /// Its AlgorithmIdentifier, DER.
    pub fn to_der(self) -> Vec<u8> {
        tlv(0x30, &self.contents())
    }

    /// Its AlgorithmIdentifier without the outer SEQUENCE: OID and parameters.
    pub(crate) fn contents(self) -> Vec<u8> {
        match self {
            Algorithm::RsaPkcs1(hash) => {
                let last = match hash {
                    Hash::Sha1 => 5,
                    Hash::Sha2_256 => 11,
                    Hash::Sha2_384 => 12,
                    Hash::Sha2_512 => 13,
                };
                [&RSA_OIDS[..], &[last], &NULL].concat()
            }
            Algorithm::RsaPss { hash, salt_len } => {
                let pss = [&RSA_OIDS[..], &[10]].concat();
                let mgf1 = [&RSA_OIDS[..], &[8]].concat();
                let hash_id = tlv(0x30, &[hash.oid(), NULL.to_vec()].concat());
                // The defaults are left out (RFC 4055 §3.1).
                let mut parameters = Vec::new();
                if hash != Hash::Sha1 {
                    parameters.extend(tlv(0xa0, &hash_id));
                    parameters.extend(tlv(0xa1, &tlv(0x30, &[mgf1, hash_id].concat())));
                }
                if salt_len != 20 {
                    let sign = if salt_len > 127 { &[0][..] } else { &[] };
                    parameters.extend(tlv(0xa2, &tlv(0x02, &[sign, &[salt_len]].concat())));
                }
                [pss, tlv(0x30, &parameters)].concat()
            }
            Algorithm::Ecdsa(Hash::Sha1) => vec![0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01],
            Algorithm::Ecdsa(hash) => vec![0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, hash.number() as u8],
            Algorithm::Ed25519 => vec![0x06, 0x03, 0x2b, 0x65, 0x70],
        }
    }

    /// From an AlgorithmIdentifier, DER. NULL for parameters is the same as none.
    pub fn from_der(der: &[u8]) -> Result<Algorithm, AuthDataError> {
        let id = AlgorithmIdentifierRef::from_der(der).map_err(|_| AuthDataError::Unreadable)?;
        if id.oid == ID_RSASSA_PSS {
            return pss(id.parameters);
        }
        let simple = [Algorithm::Ed25519]
            .into_iter()
            .chain(Hash::ALL.map(Algorithm::RsaPkcs1))
            .chain(Hash::ALL.map(Algorithm::Ecdsa))
            .find(|algorithm| algorithm.contents().starts_with(&tlv(0x06, id.oid.as_bytes())));
        match simple {
            Some(algorithm) if id.parameters.is_none_or(|any| any.tag() == Tag::Null) => Ok(algorithm),
            _ => Err(AuthDataError::Algorithm(id.oid.to_string())),
        }
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Hash::Sha1 => "SHA-1",
            Hash::Sha2_256 => "SHA2-256",
            Hash::Sha2_384 => "SHA2-384",
            Hash::Sha2_512 => "SHA2-512",
        })
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Algorithm::RsaPkcs1(hash) => write!(f, "RSA with {hash}"),
            Algorithm::RsaPss { hash, .. } => write!(f, "RSA-PSS with {hash}"),
            Algorithm::Ecdsa(hash) => write!(f, "ECDSA with {hash}"),
            Algorithm::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// RSASSA-PSS-params (RFC 4055 §3.1); no parameters mean the defaults.
fn pss(parameters: Option<AnyRef<'_>>) -> Result<Algorithm, AuthDataError> {
    let Some(parameters) = parameters else { return Ok(Algorithm::rsa_pss(Hash::Sha1)) };
    let parameters: RsaPssParams<Any> = parameters.decode_as().map_err(|_| AuthDataError::Unreadable)?;
    let unsupported = |what: String| AuthDataError::Algorithm(format!("RSASSA-PSS with {what}"));
    let hash = Hash::from_oid(parameters.hash.oid).ok_or_else(|| unsupported(format!("hash {}", parameters.hash.oid)))?;
    if parameters.mask_gen.oid != ID_MGF1 {
        return Err(unsupported(format!("mask generation function {}", parameters.mask_gen.oid)));
    }
    let mgf1_hash = parameters.mask_gen.parameters.map(|id| id.oid).and_then(Hash::from_oid);
    if mgf1_hash != Some(hash) {
        return Err(unsupported("different hashes for message and MGF1".into()));
    }
    Ok(Algorithm::RsaPss { hash, salt_len: parameters.salt_len })
}

/// One DER element of less than 128 octets.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    debug_assert!(value.len() < 128);
    [&[tag, value.len() as u8], value].concat()
}
