//! Key exchange methods (transform type 4, RFC 9370 §4.1): Diffie-Hellman and key encapsulation through one face.
//!
//! ```text
//!  initiator                              responder
//!  Initiator::new ── public ────────────▶ respond
//!  finish ◀──────── own public or ciphertext ──┘ └─▶ secret
//!    └─▶ secret
//! ```
//!
//! Public values are what a KE payload carries, secrets are g^ir of RFC 7296 §2.14.

mod ecp;
mod group;
mod mlkem;
mod modp;
mod montgomery;
mod primes;
#[cfg(test)]
mod tests;

use thiserror::Error;

use super::rng::Rng;
use group::Family;
pub use group::Group;

/// Why a peer's public value is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KexError {
    /// The KE payload does not have the method's length.
    #[error("the peer's public value for {group} has {got} octets, not {want}")]
    Length {
        /// Method.
        group: Group,
        /// Octets that came.
        got: usize,
        /// Octets that it must have.
        want: usize,
    },
    /// MODP: not in 2 … p-2 (RFC 6989 §2.1).
    #[error("the peer's public value is outside 2 … p-2")]
    OutOfRange,
    /// MODP with a small subgroup: not in it (RFC 6989 §2.2).
    #[error("the peer's public value is not in the subgroup")]
    NotInSubgroup,
    /// Elliptic curve: not a point of it (RFC 6989 §2.3).
    #[error("the peer's public value is not a point on the curve")]
    NotOnCurve,
    /// Curve25519, Curve448: the secret would be zero (RFC 8031 §3).
    #[error("the peer's public value leads to an all-zero secret")]
    ZeroSecret,
    /// ML-KEM: not an encapsulation key (FIPS 203 §7.2).
    #[error("the peer's public value is not an encapsulation key")]
    NotAKey,
}

/// The side that sends its public value first.
pub struct Initiator {
    group: Group,
    secret: Vec<u8>,
    public: Vec<u8>,
}

impl Initiator {
    /// A fresh key pair.
    pub fn new(group: Group, rng: &mut Rng) -> Initiator {
        let secret = secret(group, rng);
        Initiator { group, public: public(group, &secret), secret }
    }

    /// What goes into the KE payload.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Method.
    pub fn group(&self) -> Group {
        self.group
    }

    /// The shared secret, left-padded to the method's length; `peer` is the responder's public value, or its ciphertext.
    pub fn finish(&self, peer: &[u8]) -> Result<Vec<u8>, KexError> {
        check_len(self.group, peer, self.group.responder_len())?;
        agree(self.group, &self.secret, peer)
    }
}

impl std::fmt::Debug for Initiator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Initiator({})", self.group)
    }
}

/// The other side: own public value (or ciphertext) for the KE payload, and the shared secret.
pub fn respond(group: Group, peer: &[u8], rng: &mut Rng) -> Result<(Vec<u8>, Vec<u8>), KexError> {
    check_len(group, peer, group.initiator_len())?;
    if let Family::MlKem(kem) = group.family() {
        return kem.encapsulate(peer, rng);
    }
    let secret = secret(group, rng);
    let shared = agree(group, &secret, peer)?;
    Ok((public(group, &secret), shared))
}

fn check_len(group: Group, value: &[u8], want: usize) -> Result<(), KexError> {
    if value.len() == want { Ok(()) } else { Err(KexError::Length { group, got: value.len(), want }) }
}

/// A fresh secret: an exponent, a scalar, a seed.
fn secret(group: Group, rng: &mut Rng) -> Vec<u8> {
    match group.family() {
        Family::Modp(modp) => modp.secret(rng),
        Family::Ecp(curve) => curve.secret(rng),
        Family::X25519 => rng.bytes(32),
        Family::X448 => rng.bytes(56),
        Family::MlKem(_) => rng.bytes(64),
    }
}

/// The public value that belongs to a secret.
fn public(group: Group, secret: &[u8]) -> Vec<u8> {
    match group.family() {
        Family::Modp(modp) => modp.public(secret),
        Family::Ecp(curve) => curve.public(secret),
        Family::X25519 => montgomery::public_25519(secret),
        Family::X448 => montgomery::public_448(secret),
        Family::MlKem(kem) => kem.public(secret),
    }
}

/// The shared secret from the own secret and the other side's value, which has the right length.
fn agree(group: Group, secret: &[u8], peer: &[u8]) -> Result<Vec<u8>, KexError> {
    match group.family() {
        Family::Modp(modp) => modp.agree(secret, peer),
        Family::Ecp(curve) => curve.agree(secret, peer),
        Family::X25519 => montgomery::agree_25519(secret, peer),
        Family::X448 => montgomery::agree_448(secret, peer),
        Family::MlKem(kem) => kem.decapsulate(secret, peer),
    }
}
