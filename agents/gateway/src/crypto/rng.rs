//! Randomness from a seed.

use std::convert::Infallible;

use chacha20::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng, TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};

/// Randomness that is the same for the same seed on every machine: the key stream of ChaCha20.
///
/// Whoever calls [`Rng::fork`] once per purpose keeps the purposes apart: drawing more for one does not move another.
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// From a seed, which must be unpredictable where the keys matter.
    pub fn new(seed: [u8; 32]) -> Rng {
        Rng(ChaCha20Rng::from_seed(seed))
    }

    /// The next `n` octets.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A generator of its own for the purpose `label`. It draws from this one, so that two forks with one label differ.
    pub fn fork(&mut self, label: &str) -> Rng {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        Rng::new(Sha256::new().chain_update(seed).chain_update(label).finalize().into())
    }
}

impl std::fmt::Debug for Rng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rng")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::unhex;

    /// RFC 8439 appendix A.1, test vectors 1 and 2: key stream of the zero key and nonce, blocks 0 and 1.
    #[test]
    fn it_is_chacha20s_key_stream() {
        let stream = unhex(
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586
             9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
        );
        assert_eq!(Rng::new([0; 32]).bytes(128), stream);
        assert_eq!(Rng::new([0; 32]).u32(), 0xade0_b876);
        assert_eq!(Rng::new([0; 32]).u64(), 0x903d_f1a0_ade0_b876);
    }

    #[test]
    fn forks_differ_and_repeat() {
        let run = || {
            let mut root = Rng::new([7; 32]);
            [root.fork("a").u64(), root.fork("a").u64(), root.fork("b").u64(), root.u64()]
        };
        let first = run();
        assert_eq!(first, run());
        for (i, a) in first.iter().enumerate() {
            assert!(first[i + 1..].iter().all(|b| a != b));
        }
        // Frozen: a change here changes every recorded run.
        assert_eq!(first[0], 9_977_710_378_915_185_787);
    }
}
