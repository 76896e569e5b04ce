//! Keying material: RFC 7296 §2.14 (IKE SA), §2.17 (child SAs), §2.18 (re-keyed IKE SAs), RFC 9370 §2.2 (additional key exchanges).
//!
//! `secrets` are SK(0) … SK(n): what the key exchange of CREATE_CHILD_SA gave, and those that followed it (RFC 9370 §2.2.4).

use peer::Ikev2Keys;
use wire::crypto::{Cipher, Integrity};

use super::proposal::Chosen;
use crate::crypto::Prf;

/// Both sides' nonces: the exchange's initiator's, then its responder's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Nonces {
    pub(crate) i: Vec<u8>,
    pub(crate) r: Vec<u8>,
}

impl Nonces {
    /// The lower of the two, for deciding collisions (RFC 7296 §2.8.1).
    pub(crate) fn lowest(&self) -> &[u8] {
        self.i.as_slice().min(&self.r)
    }
}

/// SK_d, SK_a, SK_e and SK_p of an IKE SA.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SaKeys {
    pub(crate) prf: Prf,
    pub(crate) cipher: Cipher,
    pub(crate) integrity: Integrity,
    pub(crate) d: Vec<u8>,
    pub(crate) ai: Vec<u8>,
    pub(crate) ar: Vec<u8>,
    pub(crate) ei: Vec<u8>,
    pub(crate) er: Vec<u8>,
    pub(crate) pi: Vec<u8>,
    pub(crate) pr: Vec<u8>,
}

impl SaKeys {
    /// Of a first IKE SA: `SKEYSEED = prf(Ni | Nr, g^ir)`.
    pub(crate) fn first(chosen: &Chosen, nonces: &Nonces, secret: &[u8], spis: (u64, u64)) -> Option<SaKeys> {
        let prf = chosen.prf?;
        let seed = prf.compute(&prf.nonces_as_key(&nonces.i, &nonces.r), &[secret]);
        Some(SaKeys::expand(prf, chosen.cipher, chosen.integrity, &seed, nonces, spis))
    }

    /// Of an IKE SA that replaces this one: `SKEYSEED = prf(SK_d (old), SK(0) | Ni | Nr | SK(1) | … | SK(n))`, with the old SA's PRF.
    pub(crate) fn rekeyed(&self, chosen: &Chosen, nonces: &Nonces, secrets: &[Vec<u8>], spis: (u64, u64)) -> Option<SaKeys> {
        let seed = self.prf.compute(&self.d, &[&seed(nonces, secrets)]);
        Some(SaKeys::expand(chosen.prf?, chosen.cipher, chosen.integrity, &seed, nonces, spis))
    }

    /// After an additional key exchange (RFC 9370 §2.2.2): `SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr)`.
    pub(crate) fn updated(&self, nonces: &Nonces, secret: &[u8], spis: (u64, u64)) -> SaKeys {
        let seed = self.prf.compute(&self.d, &[secret, &nonces.i, &nonces.r]);
        SaKeys::expand(self.prf, self.cipher, self.integrity, &seed, nonces, spis)
    }

    fn expand(prf: Prf, cipher: Cipher, integrity: Integrity, skeyseed: &[u8], nonces: &Nonces, (spi_i, spi_r): (u64, u64)) -> SaKeys {
        let seed = [nonces.i.as_slice(), &nonces.r, &spi_i.to_be_bytes(), &spi_r.to_be_bytes()].concat();
        let (p, a, e) = (prf.key_len(), if cipher.is_aead() { 0 } else { integrity.key_len() }, cipher.key_len());
        let material = prf.plus(skeyseed, &seed, 3 * p + 2 * a + 2 * e);
        let mut rest = material.as_slice();
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at(n.min(rest.len()));
            rest = tail;
            head.to_vec()
        };
        let (d, ai, ar, ei, er) = (take(p), take(a), take(a), take(e), take(e));
        SaKeys { prf, cipher, integrity, d, ai, ar, ei, er, pi: take(p), pr: take(p) }
    }

    /// For Wireshark.
    pub(crate) fn evidence(&self, spi_i: u64, spi_r: u64) -> Ikev2Keys {
        Ikev2Keys {
            spi_i,
            spi_r,
            encryption: self.cipher,
            integrity: self.integrity,
            sk_ei: self.ei.clone(),
            sk_er: self.er.clone(),
            sk_ai: self.ai.clone(),
            sk_ar: self.ar.clone(),
        }
    }

    /// `KEYMAT = prf+(SK_d, [SK(0) |] Ni | Nr [| SK(1) | … | SK(n)])`: encryption and integrity key of the exchange initiator's outbound SA,
    /// then of the responder's.
    pub(crate) fn child(&self, chosen: &Chosen, nonces: &Nonces, secrets: &[Vec<u8>]) -> [ChildKeys; 2] {
        let seed = seed(nonces, secrets);
        let (e, a) = (chosen.cipher.key_len(), if chosen.cipher.is_aead() { 0 } else { chosen.integrity.key_len() });
        let material = self.prf.plus(&self.d, &seed, 2 * (e + a));
        let half = |from: usize| {
            let part = material.get(from..from + e + a).unwrap_or_default();
            let (encryption, integrity) = part.split_at(e.min(part.len()));
            ChildKeys { encryption: encryption.to_vec(), integrity: integrity.to_vec() }
        };
        [half(0), half(e + a)]
    }
}

/// `[SK(0) |] Ni | Nr [| SK(1) | … | SK(n)]`.
fn seed(nonces: &Nonces, secrets: &[Vec<u8>]) -> Vec<u8> {
    let (first, others) = secrets.split_at(secrets.len().min(1));
    [first.concat().as_slice(), &nonces.i, &nonces.r, &others.concat()].concat()
}

/// Keys of one direction of a child SA.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ChildKeys {
    pub(crate) encryption: Vec<u8>,
    pub(crate) integrity: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_secret_goes_before_the_nonces_and_the_others_after_them() {
        let nonces = Nonces { i: b"Ni".to_vec(), r: b"Nr".to_vec() };
        let secrets = [b"0".to_vec(), b"1".to_vec(), b"2".to_vec()];
        let all = [&secrets[..0], &secrets[..1], &secrets].map(|s| String::from_utf8(seed(&nonces, s)).unwrap());
        assert_eq!(all, ["NiNr", "0NiNr", "0NiNr12"]);
    }
}
