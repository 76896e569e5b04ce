//! Algorithms, and encryption, decryption and integrity with them. Primitives come from RustCrypto, never from us
//! (AES-XCBC is a mode over one of them).

mod apply;
mod cipher;
mod integrity;
#[cfg(test)]
pub(crate) mod tests;
mod transforms;
mod xcbc;

use serde::{Deserialize, Serialize};
use sha2::Digest;

pub use apply::{decrypt, decrypt_unverified, encrypt};
pub use cipher::Cipher;
pub use integrity::Integrity;
pub use xcbc::aes_xcbc;

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

/// Why something could not be opened, or not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not even room for IV and ICV, or no whole number of blocks.
    #[error("{0} octets are no valid ciphertext for this cipher")]
    Length(usize),
    /// The key has the wrong length for the algorithm.
    #[error("a key of {0} octets does not fit the algorithm")]
    Key(usize),
    /// What is sealed does not fit into so many octets.
    #[error("it does not fit into {0} octets")]
    Room(usize),
    /// Integrity check failed: wrong key, or altered on the way.
    #[error("the integrity check value does not match")]
    Icv,
    /// Padding or trailer make no sense: wrong key.
    #[error("the padding is not valid; the key is probably wrong")]
    Padding,
}
