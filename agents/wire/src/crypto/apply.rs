//! Encryption and decryption in place: one table of algorithms for both directions.

use ::cbc::cipher::block_padding::NoPadding;
use ::cbc::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, KeyInit, KeyIvInit, StreamCipher,
};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::{U8, U11, U12, U16};
use camellia::{Camellia128, Camellia192, Camellia256};
use ccm::Ccm;

use super::{Cipher, OpenError};

/// Encrypts in place and returns the AEAD's tag (empty otherwise). `iv` is the IV that goes on the wire; `key` includes the salt.
///
/// # Errors
///
/// The lengths of key, IV or data do not fit the algorithm.
pub fn encrypt(cipher: Cipher, key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8]) -> Result<Vec<u8>, OpenError> {
    apply(cipher, key, iv, aad, data, Direction::Encrypt)
}

/// Decrypts in place. `iv` is the IV from the wire, `icv` the AEAD's tag (empty otherwise), `key` includes the salt.
///
/// # Errors
///
/// The lengths of key, IV or data do not fit the algorithm, or the tag does not match.
pub fn decrypt(cipher: Cipher, key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], icv: &[u8]) -> Result<(), OpenError> {
    apply(cipher, key, iv, aad, data, Direction::Decrypt { icv }).map(|_| ())
}

/// Decrypts in place without any look at integrity: what an altered message would have said.
///
/// # Errors
///
/// The lengths of key, IV or data do not fit the algorithm.
pub fn decrypt_unverified(cipher: Cipher, key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<(), OpenError> {
    // All AEADs here add a key stream that does not depend on the text, so that encrypting again gives the text back.
    let direction = if cipher.is_aead() { Direction::Encrypt } else { Direction::Decrypt { icv: &[] } };
    apply(cipher, key, iv, &[], data, direction).map(|_| ())
}

#[derive(Clone, Copy)]
enum Direction<'a> {
    Encrypt,
    Decrypt { icv: &'a [u8] },
}

fn apply(cipher: Cipher, key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], direction: Direction<'_>) -> Result<Vec<u8>, OpenError> {
    if key.len() != cipher.key_len() {
        return Err(OpenError::Key(key.len()));
    }
    if iv.len() != cipher.iv_len() {
        return Err(OpenError::Length(iv.len()));
    }
    let (secret, salt) = key.split_at(key.len() - cipher.salt_len());
    let nonce = [salt, iv].concat();
    let unknown_size = Err(OpenError::Key(key.len()));
    match cipher {
        Cipher::Null => Ok(Vec::new()),
        Cipher::Des => cbc::<des::Des>(secret, iv, data, direction),
        Cipher::TripleDes => cbc::<des::TdesEde3>(secret, iv, data, direction),
        Cipher::BlowfishCbc(_) => cbc::<blowfish::Blowfish>(secret, iv, data, direction),
        Cipher::CastCbc(_) => cbc::<cast5::Cast5>(secret, iv, data, direction),
        Cipher::AesCbc(128) => cbc::<Aes128>(secret, iv, data, direction),
        Cipher::AesCbc(192) => cbc::<Aes192>(secret, iv, data, direction),
        Cipher::AesCbc(256) => cbc::<Aes256>(secret, iv, data, direction),
        Cipher::CamelliaCbc(128) => cbc::<Camellia128>(secret, iv, data, direction),
        Cipher::CamelliaCbc(192) => cbc::<Camellia192>(secret, iv, data, direction),
        Cipher::CamelliaCbc(256) => cbc::<Camellia256>(secret, iv, data, direction),
        Cipher::AesCtr(128) => ctr::<Aes128>(secret, &nonce, data),
        Cipher::AesCtr(192) => ctr::<Aes192>(secret, &nonce, data),
        Cipher::AesCtr(256) => ctr::<Aes256>(secret, &nonce, data),
        Cipher::CamelliaCtr(128) => ctr::<Camellia128>(secret, &nonce, data),
        Cipher::CamelliaCtr(192) => ctr::<Camellia192>(secret, &nonce, data),
        Cipher::CamelliaCtr(256) => ctr::<Camellia256>(secret, &nonce, data),
        Cipher::AesGcm(128, n) => gcm::<Aes128>(n, secret, &nonce, aad, data, direction),
        Cipher::AesGcm(192, n) => gcm::<Aes192>(n, secret, &nonce, aad, data, direction),
        Cipher::AesGcm(256, n) => gcm::<Aes256>(n, secret, &nonce, aad, data, direction),
        Cipher::AesCcm(128, n) => ccm::<Aes128>(n, secret, &nonce, aad, data, direction),
        Cipher::AesCcm(192, n) => ccm::<Aes192>(n, secret, &nonce, aad, data, direction),
        Cipher::AesCcm(256, n) => ccm::<Aes256>(n, secret, &nonce, aad, data, direction),
        Cipher::CamelliaCcm(128, n) => ccm::<Camellia128>(n, secret, &nonce, aad, data, direction),
        Cipher::CamelliaCcm(192, n) => ccm::<Camellia192>(n, secret, &nonce, aad, data, direction),
        Cipher::CamelliaCcm(256, n) => ccm::<Camellia256>(n, secret, &nonce, aad, data, direction),
        // RFC 4543 §3.3: IV and data are authenticated only, behind the rest of the AAD.
        Cipher::NullAesGmac(128) => gcm::<Aes128>(16, secret, &nonce, &[aad, iv, data].concat(), &mut [], direction),
        Cipher::NullAesGmac(192) => gcm::<Aes192>(16, secret, &nonce, &[aad, iv, data].concat(), &mut [], direction),
        Cipher::NullAesGmac(256) => gcm::<Aes256>(16, secret, &nonce, &[aad, iv, data].concat(), &mut [], direction),
        Cipher::ChaCha20Poly1305 => aead::<chacha20poly1305::ChaCha20Poly1305>(secret, &nonce, aad, data, direction),
        Cipher::AesCbc(_) | Cipher::AesCtr(_) | Cipher::AesGcm(..) | Cipher::AesCcm(..) | Cipher::NullAesGmac(_) => unknown_size,
        Cipher::CamelliaCbc(_) | Cipher::CamelliaCtr(_) | Cipher::CamelliaCcm(..) => unknown_size,
    }
}

fn cbc<C: BlockCipherEncrypt + BlockCipherDecrypt + KeyInit>(
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
    direction: Direction<'_>,
) -> Result<Vec<u8>, OpenError> {
    let len = data.len();
    let done = match direction {
        Direction::Encrypt => {
            let mode = ::cbc::Encryptor::<C>::new_from_slices(key, iv).map_err(|_| OpenError::Key(key.len()))?;
            mode.encrypt_padded::<NoPadding>(data, len).is_ok()
        }
        Direction::Decrypt { .. } => {
            let mode = ::cbc::Decryptor::<C>::new_from_slices(key, iv).map_err(|_| OpenError::Key(key.len()))?;
            mode.decrypt_padded::<NoPadding>(data).is_ok()
        }
    };
    if done { Ok(Vec::new()) } else { Err(OpenError::Length(len)) }
}

fn ctr<C: BlockCipherEncrypt + KeyInit + BlockSizeUser<BlockSize = U16>>(
    key: &[u8],
    nonce: &[u8],
    data: &mut [u8],
) -> Result<Vec<u8>, OpenError> {
    // RFC 3686 §4: nonce, IV, then a block counter that begins at 1.
    let counter = [nonce, &[0, 0, 0, 1]].concat();
    let mut stream = ::ctr::Ctr32BE::<C>::new_from_slices(key, &counter).map_err(|_| OpenError::Key(key.len()))?;
    stream.try_apply_keystream(data).map_err(|_| OpenError::Length(data.len()))?;
    Ok(Vec::new())
}

fn gcm<C>(icv_len: u8, key: &[u8], nonce: &[u8], aad: &[u8], data: &mut [u8], direction: Direction<'_>) -> Result<Vec<u8>, OpenError>
where
    C: BlockCipherEncrypt + KeyInit + BlockSizeUser<BlockSize = U16>,
{
    match icv_len {
        8 => aead::<AesGcm<C, U12, U8>>(key, nonce, aad, data, direction),
        12 => aead::<AesGcm<C, U12, U12>>(key, nonce, aad, data, direction),
        16 => aead::<AesGcm<C, U12, U16>>(key, nonce, aad, data, direction),
        other => Err(OpenError::Length(other.into())),
    }
}

fn ccm<C>(icv_len: u8, key: &[u8], nonce: &[u8], aad: &[u8], data: &mut [u8], direction: Direction<'_>) -> Result<Vec<u8>, OpenError>
where
    C: BlockCipherEncrypt + KeyInit + BlockSizeUser<BlockSize = U16>,
{
    match icv_len {
        8 => aead::<Ccm<C, U8, U11>>(key, nonce, aad, data, direction),
        12 => aead::<Ccm<C, U12, U11>>(key, nonce, aad, data, direction),
        16 => aead::<Ccm<C, U16, U11>>(key, nonce, aad, data, direction),
        other => Err(OpenError::Length(other.into())),
    }
}

fn aead<A: AeadInOut + KeyInit>(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    data: &mut [u8],
    direction: Direction<'_>,
) -> Result<Vec<u8>, OpenError> {
    let len = data.len();
    let cipher = A::new_from_slice(key).map_err(|_| OpenError::Key(key.len()))?;
    let nonce = nonce.try_into().map_err(|_| OpenError::Length(nonce.len()))?;
    match direction {
        Direction::Encrypt => {
            let tag = cipher.encrypt_inout_detached(nonce, aad, data.into()).map_err(|_| OpenError::Length(len))?;
            Ok(tag.to_vec())
        }
        Direction::Decrypt { icv } => {
            let tag = icv.try_into().map_err(|_| OpenError::Icv)?;
            cipher.decrypt_inout_detached(nonce, aad, data.into(), tag).map_err(|_| OpenError::Icv)?;
            Ok(Vec::new())
        }
    }
}
