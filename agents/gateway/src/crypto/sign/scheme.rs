//! What an AUTH payload's method says about its signature.

use super::ecdsa::Encoding;
use super::key::{KeyKind, PublicKey};
use super::{Algorithm, AuthDataError, Hash};

/// How an AUTH payload is signed (RFC 7296 §3.8, RFC 4754, RFC 7427).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Method 1: RSASSA-PKCS1-v1_5 with SHA-1, as RFC 7296 §3.8 recommends.
    Rsa,
    /// Method 9: ECDSA with SHA-256 on P-256, raw.
    EcdsaP256,
    /// Method 10: ECDSA with SHA-384 on P-384, raw.
    EcdsaP384,
    /// Method 11: ECDSA with SHA-512 on P-521, raw.
    EcdsaP521,
    /// Method 14: the algorithm is named in the payload.
    Digital(Algorithm),
}

impl Scheme {
    /// Authentication method of the AUTH payload.
    pub fn method(self) -> u8 {
        match self {
            Scheme::Rsa => 1,
            Scheme::EcdsaP256 => 9,
            Scheme::EcdsaP384 => 10,
            Scheme::EcdsaP521 => 11,
            Scheme::Digital(_) => 14,
        }
    }

    /// The signature algorithm.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Scheme::Rsa => Algorithm::RsaPkcs1(Hash::Sha1),
            Scheme::EcdsaP256 => Algorithm::Ecdsa(Hash::Sha2_256),
            Scheme::EcdsaP384 => Algorithm::Ecdsa(Hash::Sha2_384),
            Scheme::EcdsaP521 => Algorithm::Ecdsa(Hash::Sha2_512),
            Scheme::Digital(algorithm) => algorithm,
        }
    }

    /// Authentication data of the AUTH payload for a signature: with method 14 the length and the AlgorithmIdentifier come first
    /// (RFC 7427 §3).
    pub fn auth_data(self, signature: &[u8]) -> Vec<u8> {
        match self {
            Scheme::Digital(algorithm) => {
                let identifier = algorithm.to_der();
                [&[identifier.len() as u8], &identifier[..], signature].concat()
            }
            _ => signature.to_vec(),
        }
    }

    /// Scheme and signature of an AUTH payload that came.
    pub fn from_auth_data(method: u8, data: &[u8]) -> Result<(Scheme, &[u8]), AuthDataError> {
        let scheme = match method {
            1 => Scheme::Rsa,
            9 => Scheme::EcdsaP256,
            10 => Scheme::EcdsaP384,
            11 => Scheme::EcdsaP521,
            14 => {
                let (len, rest) = data.split_first().ok_or(AuthDataError::Truncated)?;
                let (identifier, signature) = rest.split_at_checked(usize::from(*len)).ok_or(AuthDataError::Truncated)?;
                return Ok((Scheme::Digital(Algorithm::from_der(identifier)?), signature));
            }
            other => return Err(AuthDataError::Method(other)),
        };
        Ok((scheme, data))
    }

    /// Can the key sign like that at all?
    pub(super) fn fits(self, key: &PublicKey) -> bool {
        match (self, key.kind()) {
            (Scheme::Rsa, KeyKind::Rsa { .. })
            | (Scheme::EcdsaP256, KeyKind::P256)
            | (Scheme::EcdsaP384, KeyKind::P384)
            | (Scheme::EcdsaP521, KeyKind::P521) => true,
            (Scheme::Digital(algorithm), kind) => matches!(
                (algorithm, kind),
                (Algorithm::RsaPkcs1(_) | Algorithm::RsaPss { .. }, KeyKind::Rsa { .. })
                    | (Algorithm::Ecdsa(_), KeyKind::P256 | KeyKind::P384 | KeyKind::P521)
                    | (Algorithm::Ed25519, KeyKind::Ed25519)
            ),
            _ => false,
        }
    }

    pub(super) fn encoding(self) -> Encoding {
        match self {
            Scheme::EcdsaP256 | Scheme::EcdsaP384 | Scheme::EcdsaP521 => Encoding::Raw,
            Scheme::Rsa | Scheme::Digital(_) => Encoding::Der,
        }
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scheme::Digital(algorithm) => write!(f, "{algorithm}"),
            other => write!(f, "{} (method {})", other.algorithm(), other.method()),
        }
    }
}

/// The best of [`all_schemes_for`].
pub fn schemes_for(key: &PublicKey, peer_hashes: &[u16]) -> Scheme {
    all_schemes_for(key, peer_hashes)[0]
}

/// Everything that a key can do for a peer who sent these hashes in SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4; none: it did not send
/// the notify), best first; never empty. The hash that suits the key comes first, PSS before PKCS#1 v1.5 (RFC 8247 §3.2), and the
/// older methods come last.
pub fn all_schemes_for(key: &PublicKey, peer_hashes: &[u16]) -> Vec<Scheme> {
    let (suitable, old) = match key.kind() {
        KeyKind::Rsa { .. } => (Hash::Sha2_256, Some(Scheme::Rsa)),
        KeyKind::P256 => (Hash::Sha2_256, Some(Scheme::EcdsaP256)),
        KeyKind::P384 => (Hash::Sha2_384, Some(Scheme::EcdsaP384)),
        KeyKind::P521 => (Hash::Sha2_512, Some(Scheme::EcdsaP521)),
        // There is no other way for it, so it is tried even if the peer did not ask for it.
        KeyKind::Ed25519 => return vec![Scheme::Digital(Algorithm::Ed25519)],
    };
    let others = [Hash::Sha2_256, Hash::Sha2_384, Hash::Sha2_512, Hash::Sha1];
    let hashes: Vec<Hash> = std::iter::once(suitable)
        .chain(others.into_iter().filter(|hash| *hash != suitable))
        .filter(|hash| peer_hashes.contains(&hash.number()))
        .collect();
    let mut schemes = Vec::new();
    match key.kind() {
        KeyKind::Rsa { octets } => {
            // EMSA-PKCS1-v1_5 adds up to 30 octets, EMSA-PSS the salt and 2 (RFC 8017 §9).
            let pkcs1 = hashes.iter().filter(|hash| octets >= hash.output_len() + 30).map(|hash| Algorithm::RsaPkcs1(*hash));
            let pss = hashes.iter().filter(|hash| octets >= 2 * hash.output_len() + 2).map(|hash| Algorithm::rsa_pss(*hash));
            schemes.extend(pss.chain(pkcs1).map(Scheme::Digital));
        }
        _ => schemes.extend(hashes.into_iter().map(Algorithm::Ecdsa).map(Scheme::Digital)),
    }
    schemes.extend(old);
    schemes
}
