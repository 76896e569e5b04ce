//! Names and constants of the algorithms, and decryption with them. Primitives come from RustCrypto, never from us.

use ::cbc::cipher::block_padding::NoPadding;
use ::cbc::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockSizeUser, KeyInit, KeyIvInit, StreamCipher};
use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::{U8, U12, U16};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Digest;

/// Encryption algorithm with its key length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cipher {
    /// NULL (RFC 2410).
    Null,
    /// DES-CBC.
    Des,
    /// 3DES-CBC.
    TripleDes,
    /// AES-CBC; key bits.
    AesCbc(u16),
    /// AES-CTR; key bits.
    AesCtr(u16),
    /// AES-GCM; key bits and ICV octets (8, 12, 16).
    AesGcm(u16, u8),
    /// ChaCha20-Poly1305 (RFC 7634).
    ChaCha20Poly1305,
}

/// Integrity algorithm (with its truncation on the wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Integrity {
    /// None: the cipher is an AEAD, or there is no protection.
    None,
    /// HMAC-MD5-96.
    HmacMd5_96,
    /// HMAC-SHA1-96.
    HmacSha1_96,
    /// HMAC-SHA2-256-128.
    HmacSha2_256_128,
    /// HMAC-SHA2-384-192.
    HmacSha2_384_192,
    /// HMAC-SHA2-512-256.
    HmacSha2_512_256,
}

/// Hash algorithm of an ISAKMP SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA2-256.
    Sha2_256,
    /// SHA2-384.
    Sha2_384,
    /// SHA2-512.
    Sha2_512,
}

impl Cipher {
    /// Octets of the IV that travels with each packet (ESP) or message (IKEv2).
    pub const fn iv_len(self) -> usize {
        match self {
            Cipher::Null => 0,
            Cipher::Des | Cipher::TripleDes | Cipher::AesCtr(_) | Cipher::AesGcm(..) | Cipher::ChaCha20Poly1305 => 8,
            Cipher::AesCbc(_) => 16,
        }
    }

    /// Octets of the cipher's own ICV; 0 when it is not an AEAD.
    pub const fn icv_len(self) -> usize {
        match self {
            Cipher::AesGcm(_, icv) => icv as usize,
            Cipher::ChaCha20Poly1305 => 16,
            _ => 0,
        }
    }

    /// Octets to which the plaintext of an ESP packet is padded (at least 4, RFC 4303 §2.4).
    pub const fn block_len(self) -> usize {
        match self {
            Cipher::AesCbc(_) => 16,
            Cipher::Des | Cipher::TripleDes => 8,
            _ => 4,
        }
    }

    /// Octets of salt at the end of the key material (RFC 3686 §5.1, RFC 4106 §8.1, RFC 7634 §2).
    pub const fn salt_len(self) -> usize {
        match self {
            Cipher::AesCtr(_) | Cipher::AesGcm(..) | Cipher::ChaCha20Poly1305 => 4,
            _ => 0,
        }
    }

    /// Octets of key material, salt included.
    pub const fn key_len(self) -> usize {
        match self {
            Cipher::Null => 0,
            Cipher::Des => 8,
            Cipher::TripleDes => 24,
            Cipher::AesCbc(bits) => bits as usize / 8,
            Cipher::AesCtr(bits) | Cipher::AesGcm(bits, _) => bits as usize / 8 + 4,
            Cipher::ChaCha20Poly1305 => 36,
        }
    }

    /// Integrity comes with the cipher.
    pub const fn is_aead(self) -> bool {
        matches!(self, Cipher::AesGcm(..) | Cipher::ChaCha20Poly1305)
    }
}

impl Integrity {
    /// Octets of the ICV on the wire.
    pub const fn icv_len(self) -> usize {
        match self {
            Integrity::None => 0,
            Integrity::HmacMd5_96 | Integrity::HmacSha1_96 => 12,
            Integrity::HmacSha2_256_128 => 16,
            Integrity::HmacSha2_384_192 => 24,
            Integrity::HmacSha2_512_256 => 32,
        }
    }

    /// Octets of the key.
    pub const fn key_len(self) -> usize {
        match self {
            Integrity::None => 0,
            Integrity::HmacMd5_96 => 16,
            Integrity::HmacSha1_96 => 20,
            Integrity::HmacSha2_256_128 => 32,
            Integrity::HmacSha2_384_192 => 48,
            Integrity::HmacSha2_512_256 => 64,
        }
    }

    /// Is `icv` the (truncated) MAC of `parts`? [`Integrity::None`] accepts the empty ICV only.
    pub fn verify(self, key: &[u8], parts: &[&[u8]], icv: &[u8]) -> bool {
        fn check<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], icv: &[u8]) -> bool {
            let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return false };
            parts.iter().for_each(|p| mac.update(p));
            mac.verify_truncated_left(icv).is_ok()
        }
        icv.len() == self.icv_len()
            && match self {
                Integrity::None => true,
                Integrity::HmacMd5_96 => check::<Hmac<md5::Md5>>(key, parts, icv),
                Integrity::HmacSha1_96 => check::<Hmac<sha1::Sha1>>(key, parts, icv),
                Integrity::HmacSha2_256_128 => check::<Hmac<sha2::Sha256>>(key, parts, icv),
                Integrity::HmacSha2_384_192 => check::<Hmac<sha2::Sha384>>(key, parts, icv),
                Integrity::HmacSha2_512_256 => check::<Hmac<sha2::Sha512>>(key, parts, icv),
            }
    }
}

impl Hash {
    /// Digest of `data`.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Hash::Md5 => md5::Md5::digest(data).to_vec(),
            Hash::Sha1 => sha1::Sha1::digest(data).to_vec(),
            Hash::Sha2_256 => sha2::Sha256::digest(data).to_vec(),
            Hash::Sha2_384 => sha2::Sha384::digest(data).to_vec(),
            Hash::Sha2_512 => sha2::Sha512::digest(data).to_vec(),
        }
    }
}

/// Why a packet could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not even room for IV and ICV, or no whole number of blocks.
    #[error("{0} octets are no valid ciphertext for this cipher")]
    Length(usize),
    /// The key has the wrong length for the algorithm.
    #[error("a key of {0} octets does not fit the algorithm")]
    Key(usize),
    /// Integrity check failed: wrong key, or altered on the way.
    #[error("the integrity check value does not match")]
    Icv,
    /// Padding or trailer make no sense: wrong key.
    #[error("the padding is not valid; the key is probably wrong")]
    Padding,
}

/// Decrypts in place. `iv` is the IV from the wire, `icv` the AEAD's tag (empty otherwise), `key` includes the salt.
pub fn decrypt(cipher: Cipher, key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], icv: &[u8]) -> Result<(), OpenError> {
    if key.len() != cipher.key_len() {
        return Err(OpenError::Key(key.len()));
    }
    let (secret, salt) = key.split_at(key.len() - cipher.salt_len());
    let nonce = [salt, iv].concat();
    match cipher {
        Cipher::Null => Ok(()),
        Cipher::Des => cbc::<des::Des>(secret, iv, data),
        Cipher::TripleDes => cbc::<des::TdesEde3>(secret, iv, data),
        Cipher::AesCbc(128) => cbc::<aes::Aes128>(secret, iv, data),
        Cipher::AesCbc(192) => cbc::<aes::Aes192>(secret, iv, data),
        Cipher::AesCbc(256) => cbc::<aes::Aes256>(secret, iv, data),
        Cipher::AesCtr(128) => ctr::<aes::Aes128>(secret, &nonce, data),
        Cipher::AesCtr(192) => ctr::<aes::Aes192>(secret, &nonce, data),
        Cipher::AesCtr(256) => ctr::<aes::Aes256>(secret, &nonce, data),
        Cipher::AesGcm(128, n) => gcm::<aes::Aes128>(n, secret, &nonce, aad, data, icv),
        Cipher::AesGcm(192, n) => gcm::<aes::Aes192>(n, secret, &nonce, aad, data, icv),
        Cipher::AesGcm(256, n) => gcm::<aes::Aes256>(n, secret, &nonce, aad, data, icv),
        Cipher::ChaCha20Poly1305 => aead::<chacha20poly1305::ChaCha20Poly1305>(secret, &nonce, aad, data, icv),
        Cipher::AesCbc(_) | Cipher::AesCtr(_) | Cipher::AesGcm(..) => Err(OpenError::Key(key.len())),
    }
}

fn cbc<C: BlockCipherDecrypt + KeyInit>(key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<(), OpenError> {
    let len = data.len();
    let decryptor = ::cbc::Decryptor::<C>::new_from_slices(key, iv).map_err(|_| OpenError::Key(key.len()))?;
    decryptor.decrypt_padded::<NoPadding>(data).map(|_| ()).map_err(|_| OpenError::Length(len))
}

fn ctr<C: BlockCipherEncrypt + KeyInit + BlockSizeUser<BlockSize = U16>>(
    key: &[u8],
    nonce: &[u8],
    data: &mut [u8],
) -> Result<(), OpenError> {
    // RFC 3686 §4: nonce, IV, then a block counter that begins at 1.
    let counter = [nonce, &[0, 0, 0, 1]].concat();
    let mut stream = ::ctr::Ctr32BE::<C>::new_from_slices(key, &counter).map_err(|_| OpenError::Key(key.len()))?;
    stream.try_apply_keystream(data).map_err(|_| OpenError::Length(data.len()))
}

fn gcm<C>(icv_len: u8, key: &[u8], nonce: &[u8], aad: &[u8], data: &mut [u8], icv: &[u8]) -> Result<(), OpenError>
where
    C: BlockCipherEncrypt + KeyInit + BlockSizeUser<BlockSize = U16>,
{
    match icv_len {
        8 => aead::<AesGcm<C, U12, U8>>(key, nonce, aad, data, icv),
        12 => aead::<AesGcm<C, U12, U12>>(key, nonce, aad, data, icv),
        16 => aead::<AesGcm<C, U12, U16>>(key, nonce, aad, data, icv),
        other => Err(OpenError::Length(other.into())),
    }
}

fn aead<A: AeadInOut + KeyInit>(key: &[u8], nonce: &[u8], aad: &[u8], data: &mut [u8], icv: &[u8]) -> Result<(), OpenError> {
    let cipher = A::new_from_slice(key).map_err(|_| OpenError::Key(key.len()))?;
    let nonce = nonce.try_into().map_err(|_| OpenError::Length(nonce.len()))?;
    let tag = icv.try_into().map_err(|_| OpenError::Icv)?;
    cipher.decrypt_inout_detached(nonce, aad, data.into(), tag).map_err(|_| OpenError::Icv)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn aes_ctr_agrees_with_rfc_3686_vector_1() {
        let key = hex("ae6852f8121067cc4bf7a5765577f39e00000030");
        let mut data = hex("e4095d4fb7a7b3792d6175a3261311b8");
        decrypt(Cipher::AesCtr(128), &key, &[0; 8], &[], &mut data, &[]).unwrap();
        assert_eq!(data, b"Single block msg");
    }

    #[test]
    fn aes_cbc_agrees_with_rfc_3602_case_1() {
        let (key, iv) = (hex("06a9214036b8a15b512e03d534120006"), hex("3dafba429d9eb430b422da802c9fac41"));
        let mut data = hex("e353779c1079aeb82708942dbe77181a");
        decrypt(Cipher::AesCbc(128), &key, &iv, &[], &mut data, &[]).unwrap();
        assert_eq!(data, b"Single block msg");
    }

    #[test]
    fn des_and_triple_des_with_one_key_are_the_same() {
        let key = hex("133457799bbcdff1");
        for (cipher, key) in [(Cipher::Des, key.clone()), (Cipher::TripleDes, key.repeat(3))] {
            let mut data = hex("85e813540f0ab405");
            decrypt(cipher, &key, &[0; 8], &[], &mut data, &[]).unwrap();
            assert_eq!(data, hex("0123456789abcdef"));
        }
    }

    #[test]
    fn macs_agree_with_rfc_2202_and_rfc_4231_case_1() {
        let cases = [
            (Integrity::HmacMd5_96, 16, "9294727a3638bb1c13f48ef8"),
            (Integrity::HmacSha1_96, 20, "b617318655057264e28bc0b6"),
            (Integrity::HmacSha2_256_128, 20, "b0344c61d8db38535ca8afceaf0bf12b"),
            (Integrity::HmacSha2_384_192, 20, "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec6"),
            (Integrity::HmacSha2_512_256, 20, "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"),
        ];
        for (integrity, key_len, icv) in cases {
            let key = vec![0x0b; key_len];
            assert!(integrity.verify(&key, &[b"Hi ", b"There"], &hex(icv)), "{integrity:?}");
            assert!(!integrity.verify(&key, &[b"Hi there"], &hex(icv)), "{integrity:?}");
            assert!(!integrity.verify(&key, &[b"Hi There"], &hex(icv)[1..]), "{integrity:?}");
        }
    }
}
