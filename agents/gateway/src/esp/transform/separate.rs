//! Encryption and integrity by two algorithms: first encrypt, then sign (RFC 4303 §3.3.2.1).

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit, StreamCipher};
use aes_gcm::aead::consts::U16;
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit};
use hmac::digest::block_api::EagerHash;
use hmac::{Hmac, Mac as _};

use super::{Head, Keyed, MAX_ICV, same};

/// A cipher that has no ICV of its own, with its key. `text` is a whole number of its blocks.
pub(super) trait CipherState: Send + Sync {
    fn encrypt(&self, iv: &[u8], text: &mut [u8]);
    fn decrypt(&self, iv: &[u8], text: &mut [u8]);
}

/// An integrity algorithm with its key. Fills the beginning of `icv`, as far as the digest goes.
pub(super) trait Mac: Send + Sync {
    fn sign(&self, parts: [&[u8]; 4], icv: &mut [u8]);
}

pub(super) struct Separate {
    pub cipher: Box<dyn CipherState>,
    pub mac: Box<dyn Mac>,
}

impl Separate {
    fn sign(&self, head: &Head, iv: &[u8], text: &[u8], icv: &mut [u8]) {
        let (high, len) = head.high();
        self.mac.sign([&head.wire(), iv, text, &high[..len]], icv);
    }
}

impl Keyed for Separate {
    fn seal(&self, head: &Head, iv: &[u8], text: &mut [u8], icv: &mut [u8]) {
        self.cipher.encrypt(iv, text);
        self.sign(head, iv, text, icv);
    }

    fn open(&self, head: &Head, iv: &[u8], text: &mut [u8], icv: &[u8]) -> bool {
        let mut expected = [0; MAX_ICV];
        let Some(expected) = expected.get_mut(..icv.len()) else { return false };
        self.sign(head, iv, text, expected);
        let right = same(expected, icv);
        if right {
            self.cipher.decrypt(iv, text);
        }
        right
    }
}

/// NULL encryption (RFC 2410).
pub(super) struct Null;

impl CipherState for Null {
    fn encrypt(&self, _: &[u8], _: &mut [u8]) {}
    fn decrypt(&self, _: &[u8], _: &mut [u8]) {}
}

/// Cipher block chaining (RFC 2405, RFC 2451, RFC 3602).
pub(super) struct Cbc<C>(C);

impl<C: KeyInit> Cbc<C> {
    pub fn new(key: &[u8]) -> Option<Cbc<C>> {
        C::new_from_slice(key).ok().map(Cbc)
    }
}

impl<C: BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync> CipherState for Cbc<C> {
    fn encrypt(&self, iv: &[u8], text: &mut [u8]) {
        if let Ok(mut mode) = cbc::Encryptor::inner_iv_slice_init(&self.0, iv) {
            mode.encrypt_blocks(Array::slice_as_chunks_mut(text).0);
        }
    }

    fn decrypt(&self, iv: &[u8], text: &mut [u8]) {
        if let Ok(mut mode) = cbc::Decryptor::inner_iv_slice_init(&self.0, iv) {
            mode.decrypt_blocks(Array::slice_as_chunks_mut(text).0);
        }
    }
}

/// AES in counter mode (RFC 3686): salt, IV, then a block counter that begins at 1.
pub(super) struct Ctr<C> {
    cipher: C,
    salt: [u8; 4],
}

impl<C: KeyInit> Ctr<C> {
    pub fn new(key: &[u8], salt: &[u8]) -> Option<Ctr<C>> {
        Some(Ctr { cipher: C::new_from_slice(key).ok()?, salt: salt.try_into().ok()? })
    }
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Send + Sync> CipherState for Ctr<C> {
    fn encrypt(&self, iv: &[u8], text: &mut [u8]) {
        let mut counter = Array::<u8, U16>::default();
        self.salt.iter().chain(iv).zip(counter.iter_mut()).for_each(|(from, to)| *to = *from);
        counter[15] = 1;
        let core = ctr::CtrCore::<_, ctr::flavors::Ctr32BE>::inner_iv_init(&self.cipher, &counter);
        ctr::cipher::StreamCipherCoreWrapper::from_core(core).apply_keystream(text);
    }

    fn decrypt(&self, iv: &[u8], text: &mut [u8]) {
        self.encrypt(iv, text);
    }
}

/// No integrity (RFC 4303 §2.8 allows it, RFC 8221 §4 does not).
pub(super) struct NoMac;

impl Mac for NoMac {
    fn sign(&self, _: [&[u8]; 4], _: &mut [u8]) {}
}

/// HMAC with the state after its key (RFC 2403, RFC 2404, RFC 4868).
pub(super) struct HmacState<D: EagerHash>(Hmac<D>);

impl<D: EagerHash> HmacState<D> {
    pub fn new(key: &[u8]) -> Option<HmacState<D>> {
        <Hmac<D> as KeyInit>::new_from_slice(key).ok().map(HmacState)
    }
}

impl<D: EagerHash> Mac for HmacState<D>
where
    Hmac<D>: Clone + Send + Sync,
{
    fn sign(&self, parts: [&[u8]; 4], icv: &mut [u8]) {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        icv.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
    }
}
