//! Names of the algorithms that decryption needs. Primitives come from RustCrypto, never from us.

use serde::{Deserialize, Serialize};

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
