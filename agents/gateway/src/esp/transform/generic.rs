//! The slow way, for algorithms without keyed state here: keys are scheduled for every packet, and a few octets are allocated.

use wire::crypto::{self, Cipher, Integrity};

use super::{Head, Keyed, MAX_ICV, same};
use crate::esp::params::SaParams;

/// Any algorithms that the wire crate knows.
pub(super) struct Generic {
    cipher: Cipher,
    key: Vec<u8>,
    integrity: Integrity,
    integrity_key: Vec<u8>,
}

impl Generic {
    /// `None`: the wire crate cannot use these keys.
    pub fn new(sa: &SaParams) -> Option<Generic> {
        let (iv, mut text) = (vec![0; sa.cipher.iv_len()], vec![0; sa.cipher.block_len()]);
        crypto::encrypt(sa.cipher, &sa.key, &iv, &[0; 8], &mut text).ok()?;
        (sa.integrity.sign(&sa.integrity_key, &[&text]).len() == sa.integrity.icv_len()).then(|| Generic {
            cipher: sa.cipher,
            key: sa.key.clone(),
            integrity: sa.integrity,
            integrity_key: sa.integrity_key.clone(),
        })
    }

    /// Encrypts and fills the beginning of `icv`.
    fn apply(&self, head: &Head, iv: &[u8], text: &mut [u8], icv: &mut [u8]) {
        let (aad, len) = head.aad();
        // The lengths have been tried by `new`.
        let Ok(tag) = crypto::encrypt(self.cipher, &self.key, iv, &aad[..len], text) else { return };
        let tag = if self.cipher.is_aead() { tag } else { self.sign(head, iv, text) };
        icv.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
    }

    fn sign(&self, head: &Head, iv: &[u8], text: &[u8]) -> Vec<u8> {
        let (high, len) = head.high();
        self.integrity.sign(&self.integrity_key, &[&head.wire(), iv, text, &high[..len]])
    }
}

impl Keyed for Generic {
    fn seal(&self, head: &Head, iv: &[u8], text: &mut [u8], icv: &mut [u8]) {
        self.apply(head, iv, text, icv);
    }

    fn open(&self, head: &Head, iv: &[u8], text: &mut [u8], icv: &[u8]) -> bool {
        let (aad, len) = head.aad();
        if self.cipher.is_aead() && icv.len() == self.cipher.icv_len() {
            return crypto::decrypt(self.cipher, &self.key, iv, &aad[..len], text, icv).is_ok();
        }
        let mut expected = [0; MAX_ICV];
        let Some(expected) = expected.get_mut(..icv.len()) else { return false };
        if self.cipher.is_aead() {
            // An ICV of another length (misbehaviour): as in `Aead::open_odd`.
            self.apply(head, iv, text, &mut []);
            self.apply(head, iv, text, expected);
            self.apply(head, iv, text, &mut []);
            return same(expected, icv);
        }
        expected.iter_mut().zip(self.sign(head, iv, text)).for_each(|(to, from)| *to = from);
        same(expected, icv) && crypto::decrypt(self.cipher, &self.key, iv, &aad[..len], text, &[]).is_ok()
    }
}
