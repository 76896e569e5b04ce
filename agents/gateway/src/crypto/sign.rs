//! Signatures: keys, the algorithms of certificates and of RFC 7427, and IKEv2's authentication methods 1, 9, 10, 11 and 14.

mod algorithm;
mod ecdsa;
mod key;
mod scheme;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use algorithm::{Algorithm, Hash};
pub use key::{PrivateKey, PublicKey};
pub use scheme::{Scheme, all_schemes_for, schemes_for};

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not the DER that it should be.
    #[error("the {what} is unreadable: {reason}")]
    Unreadable {
        /// Which kind of key.
        what: &'static str,
        /// What the parser says.
        reason: String,
    },
    /// Readable, but of a kind that is not known here.
    #[error("keys of type {0} are not supported")]
    Unsupported(String),
}

/// Why nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignError {
    /// For instance ECDSA with an RSA key.
    #[error("the scheme does not fit the key")]
    WrongKey,
    /// The RSA modulus is shorter than padding and hash.
    #[error("the key is too short for the scheme")]
    TooShort,
}

/// Why the data of an AUTH payload makes no sense (RFC 7427 §3).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuthDataError {
    /// The method is none with a signature.
    #[error("authentication method {0} is no signature that is supported")]
    Method(u8),
    /// Shorter than the length of its AlgorithmIdentifier says, or empty.
    #[error("AUTH data end within the AlgorithmIdentifier")]
    Truncated,
    /// The AlgorithmIdentifier is not DER.
    #[error("the AlgorithmIdentifier is unreadable")]
    Unreadable,
    /// Readable, but not known here.
    #[error("signature algorithm {0} is not supported")]
    Algorithm(String),
}
