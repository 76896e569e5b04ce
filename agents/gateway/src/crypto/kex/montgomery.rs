//! Curve25519 and Curve448: RFC 8031.

use super::{Group, KexError};

/// Curve25519: the public value.
pub fn public_25519(secret: &[u8]) -> Vec<u8> {
    x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(own::<32>(secret))).to_bytes().to_vec()
}

/// Curve25519: the shared secret, unless the peer's point has a small order.
pub fn agree_25519(secret: &[u8], peer: &[u8]) -> Result<Vec<u8>, KexError> {
    let secret = x25519_dalek::StaticSecret::from(own::<32>(secret));
    let peer = x25519_dalek::PublicKey::from(array(Group::Curve25519, peer)?);
    non_zero(secret.diffie_hellman(&peer).as_bytes())
}

/// Curve448: the public value.
pub fn public_448(secret: &[u8]) -> Vec<u8> {
    x448::x448_unchecked(own(secret), x448::X448_BASEPOINT_BYTES).to_vec()
}

/// Curve448: the shared secret, unless the peer's point has a small order.
pub fn agree_448(secret: &[u8], peer: &[u8]) -> Result<Vec<u8>, KexError> {
    non_zero(&x448::x448_unchecked(own(secret), array(Group::Curve448, peer)?))
}

fn array<const N: usize>(group: Group, octets: &[u8]) -> Result<[u8; N], KexError> {
    octets.try_into().map_err(|_| KexError::Length { group, got: octets.len(), want: N })
}

fn own<const N: usize>(secret: &[u8]) -> [u8; N] {
    secret.try_into().expect("made by `secret`")
}

fn non_zero(secret: &[u8]) -> Result<Vec<u8>, KexError> {
    if secret.iter().all(|octet| *octet == 0) { Err(KexError::ZeroSecret) } else { Ok(secret.to_vec()) }
}
