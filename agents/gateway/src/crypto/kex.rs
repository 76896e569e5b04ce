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
mod modp;
mod primes;
#[cfg(test)]
mod tests;
mod x25519;

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
        let (secret, public) = generate(group, rng);
        Initiator { group, secret, public }
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
    let (secret, public) = generate(group, rng);
    let shared = agree(group, &secret, peer)?;
    Ok((public, shared))
}

fn check_len(group: Group, value: &[u8], want: usize) -> Result<(), KexError> {
    if value.len() == want { Ok(()) } else { Err(KexError::Length { group, got: value.len(), want }) }
}

/// Own secret and public value.
fn generate(group: Group, rng: &mut Rng) -> (Vec<u8>, Vec<u8>) {
    match group.family() {
        Family::Modp(modp) => modp.generate(rng),
        Family::Ecp(curve) => curve.generate(rng),
        Family::X25519 => x25519::generate(rng),
    }
}

/// The shared secret of Diffie-Hellman; the peer's value has the right length.
fn agree(group: Group, secret: &[u8], peer: &[u8]) -> Result<Vec<u8>, KexError> {
    match group.family() {
        Family::Modp(modp) => modp.agree(secret, peer),
        Family::Ecp(curve) => curve.agree(secret, peer),
        Family::X25519 => x25519::agree(secret, peer),
    }
}
