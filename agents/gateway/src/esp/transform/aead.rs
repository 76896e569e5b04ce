//! Combined algorithms: AES-GCM (RFC 4106) and ChaCha20-Poly1305 (RFC 7634).

use aes_gcm::aead::{AeadInOut, KeyInit, Nonce};

use super::{Head, Keyed, same};

/// An AEAD with its key and salt.
pub(super) struct Aead<A> {
    aead: A,
    salt: [u8; 4],
}

impl<A: AeadInOut + KeyInit> Aead<A> {
    pub fn new(key: &[u8], salt: &[u8]) -> Option<Aead<A>> {
        Some(Aead { aead: A::new_from_slice(key).ok()?, salt: salt.try_into().ok()? })
    }

    fn nonce(&self, iv: &[u8]) -> Nonce<A> {
        let mut nonce = Nonce::<A>::default();
        self.salt.iter().chain(iv).zip(nonce.iter_mut()).for_each(|(from, to)| *to = *from);
        nonce
    }

    /// Encrypts (or, these being stream ciphers, decrypts) and writes the tag of the result as far as there is room.
    fn apply(&self, nonce: &Nonce<A>, aad: &[u8], text: &mut [u8], icv: &mut [u8]) {
        // An IP packet is far below the cipher's limit.
        if let Ok(tag) = self.aead.encrypt_inout_detached(nonce, aad, text.into()) {
            icv.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
        }
    }

    /// With an ICV that is not as long as the algorithm's (misbehaviour): what is there is compared with what it must begin with.
    fn open_odd(&self, nonce: &Nonce<A>, aad: &[u8], text: &mut [u8], icv: &[u8]) -> bool {
        let mut expected = [0; super::MAX_ICV];
        let Some(expected) = expected.get_mut(..icv.len()) else { return false };
        self.apply(nonce, aad, text, &mut []);
        self.apply(nonce, aad, text, expected);
        self.apply(nonce, aad, text, &mut []);
        same(expected, icv)
    }
}

impl<A: AeadInOut + KeyInit + Send + Sync> Keyed for Aead<A> {
    fn seal(&self, head: &Head, iv: &[u8], text: &mut [u8], icv: &mut [u8]) {
        let (aad, len) = head.aad();
        self.apply(&self.nonce(iv), &aad[..len], text, icv);
    }

    fn open(&self, head: &Head, iv: &[u8], text: &mut [u8], icv: &[u8]) -> bool {
        let ((aad, len), nonce) = (head.aad(), self.nonce(iv));
        match icv.try_into() {
            Ok(tag) => self.aead.decrypt_inout_detached(&nonce, &aad[..len], text.into(), tag).is_ok(),
            Err(_) => self.open_odd(&nonce, &aad[..len], text, icv),
        }
    }
}
