//! Randomness from a seed and a label.

use std::convert::Infallible;

use chacha20::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng, TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};

/// The key stream of ChaCha20 under SHA-256(seed | label): the same on every machine, and what is drawn for one label moves no other.
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// For one purpose.
    pub fn new(seed: &[u8; 32], label: &str) -> Rng {
        Rng(ChaCha20Rng::from_seed(Sha256::new().chain_update(seed).chain_update(label).finalize().into()))
    }

    /// The next octets.
    pub fn fill(&mut self, to: &mut [u8]) {
        self.0.fill_bytes(to);
    }
}

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(to)
    }
}

impl TryCryptoRng for Rng {}
