//! ML-KEM (FIPS 203): draft-ietf-ipsecme-ikev2-mlkem. The initiator sends its encapsulation key, the responder a ciphertext.

use ml_kem::kem::{Ciphertext, FromSeed, Seed};
use ml_kem::{Decapsulate, Encapsulate, Kem, KeyExport, MlKem512, MlKem768, MlKem1024, TryKeyInit};

use super::KexError;
use crate::crypto::rng::Rng;

/// A parameter set.
#[derive(Debug, Clone, Copy)]
pub enum MlKem {
    MlKem512,
    MlKem768,
    MlKem1024,
}

impl MlKem {
    /// The encapsulation key that belongs to a seed (d | z of FIPS 203 §7.1).
    pub fn public(self, seed: &[u8]) -> Vec<u8> {
        match self {
            MlKem::MlKem512 => public::<MlKem512>(seed),
            MlKem::MlKem768 => public::<MlKem768>(seed),
            MlKem::MlKem1024 => public::<MlKem1024>(seed),
        }
    }

    /// Ciphertext and shared secret for the peer's encapsulation key.
    pub fn encapsulate(self, peer: &[u8], rng: &mut Rng) -> Result<(Vec<u8>, Vec<u8>), KexError> {
        match self {
            MlKem::MlKem512 => encapsulate::<MlKem512>(peer, rng),
            MlKem::MlKem768 => encapsulate::<MlKem768>(peer, rng),
            MlKem::MlKem1024 => encapsulate::<MlKem1024>(peer, rng),
        }
    }

    /// The shared secret of a ciphertext. A wrong ciphertext gives another secret, not an error (FIPS 203 §6.3).
    pub fn decapsulate(self, seed: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, KexError> {
        match self {
            MlKem::MlKem512 => decapsulate::<MlKem512>(seed, ciphertext),
            MlKem::MlKem768 => decapsulate::<MlKem768>(seed, ciphertext),
            MlKem::MlKem1024 => decapsulate::<MlKem1024>(seed, ciphertext),
        }
    }
}

fn public<K: FromSeed>(seed: &[u8]) -> Vec<u8> {
    let (_, public) = K::from_seed(&own::<K>(seed));
    public.to_bytes().to_vec()
}

fn encapsulate<K: Kem>(peer: &[u8], rng: &mut Rng) -> Result<(Vec<u8>, Vec<u8>), KexError> {
    let key = K::EncapsulationKey::new_from_slice(peer).map_err(|_| KexError::NotAKey)?;
    let (ciphertext, secret) = key.encapsulate_with_rng(rng);
    Ok((ciphertext.to_vec(), secret.to_vec()))
}

fn decapsulate<K>(seed: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, KexError>
where
    K: FromSeed,
    K::DecapsulationKey: Decapsulate<Kem = K>,
{
    let ciphertext = Ciphertext::<K>::try_from(ciphertext).map_err(|_| KexError::NotAKey)?;
    let (key, _) = K::from_seed(&own::<K>(seed));
    Ok(key.decapsulate(&ciphertext).to_vec())
}

fn own<K: FromSeed>(seed: &[u8]) -> Seed<K> {
    seed.try_into().expect("made by `secret`")
}
