//! Curve25519: RFC 8031.

use x25519_dalek::{PublicKey, StaticSecret};

use super::KexError;
use crate::crypto::rng::Rng;

/// A secret scalar and the public value.
pub fn generate(rng: &mut Rng) -> (Vec<u8>, Vec<u8>) {
    let secret = StaticSecret::random_from_rng(rng);
    (secret.to_bytes().to_vec(), PublicKey::from(&secret).to_bytes().to_vec())
}

/// The shared secret, unless the peer's point has a small order.
pub fn agree(secret: &[u8], peer: &[u8]) -> Result<Vec<u8>, KexError> {
    let length = |got| KexError::Length { group: super::Group::Curve25519, got, want: 32 };
    let secret: [u8; 32] = secret.try_into().map_err(|_| length(secret.len()))?;
    let peer: [u8; 32] = peer.try_into().map_err(|_| length(peer.len()))?;
    let shared = StaticSecret::from(secret).diffie_hellman(&PublicKey::from(peer));
    if shared.was_contributory() { Ok(shared.to_bytes().to_vec()) } else { Err(KexError::ZeroSecret) }
}
