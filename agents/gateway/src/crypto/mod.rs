//! Key exchange, pseudo-random functions, signatures, certificates, randomness.
//!
//! Primitives come from crates; here is what IKEv2 says about their use. Nothing draws randomness of its own: everything takes an
//! [`rng::Rng`].

pub mod kex;
pub mod mschap;
pub mod prf;
pub mod rng;
pub mod sign;
pub mod xcbc;

pub use kex::{Group, Initiator, KexError, respond};
pub use prf::Prf;
pub use rng::Rng;

/// Hexadecimal digits, white space ignored.
#[cfg(test)]
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap() as u8).collect();
    assert!(digits.len().is_multiple_of(2));
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
