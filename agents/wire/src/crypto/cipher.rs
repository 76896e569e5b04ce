//! Encryption algorithms and their sizes.

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
    /// Blowfish-CBC (RFC 2451); key bits, 40 to 448.
    BlowfishCbc(u16),
    /// CAST-128-CBC (RFC 2451); key bits, 40 to 128.
    CastCbc(u16),
    /// AES-CBC; key bits.
    AesCbc(u16),
    /// AES-CTR; key bits.
    AesCtr(u16),
    /// AES-GCM; key bits and ICV octets (8, 12, 16).
    AesGcm(u16, u8),
    /// AES-CCM (RFC 4309); key bits and ICV octets (8, 12, 16).
    AesCcm(u16, u8),
    /// AES-GMAC without encryption (RFC 4543); key bits.
    NullAesGmac(u16),
    /// Camellia-CBC (RFC 4312, 5529); key bits.
    CamelliaCbc(u16),
    /// Camellia-CTR (RFC 5529); key bits.
    CamelliaCtr(u16),
    /// Camellia-CCM (RFC 5529); key bits and ICV octets (8, 12, 16).
    CamelliaCcm(u16, u8),
    /// ChaCha20-Poly1305 (RFC 7634).
    ChaCha20Poly1305,
}

impl Cipher {
    /// Octets of the IV that travels with each packet (ESP) or message (IKEv2).
    pub const fn iv_len(self) -> usize {
        match self {
            Cipher::Null => 0,
            Cipher::AesCbc(_) | Cipher::CamelliaCbc(_) => 16,
            Cipher::Des | Cipher::TripleDes | Cipher::BlowfishCbc(_) | Cipher::CastCbc(_) => 8,
            Cipher::AesCtr(_) | Cipher::CamelliaCtr(_) | Cipher::AesGcm(..) | Cipher::NullAesGmac(_) => 8,
            Cipher::AesCcm(..) | Cipher::CamelliaCcm(..) | Cipher::ChaCha20Poly1305 => 8,
        }
    }

    /// Octets of the cipher's own ICV; 0 when it is not an AEAD.
    pub const fn icv_len(self) -> usize {
        match self {
            Cipher::AesGcm(_, icv) | Cipher::AesCcm(_, icv) | Cipher::CamelliaCcm(_, icv) => icv as usize,
            Cipher::NullAesGmac(_) | Cipher::ChaCha20Poly1305 => 16,
            _ => 0,
        }
    }

    /// Octets of the blocks that the cipher takes; 1 when it takes any number of octets. IKEv2 pads to these (RFC 7296 §3.14).
    pub const fn cipher_block_len(self) -> usize {
        match self {
            Cipher::AesCbc(_) | Cipher::CamelliaCbc(_) => 16,
            Cipher::Des | Cipher::TripleDes | Cipher::BlowfishCbc(_) | Cipher::CastCbc(_) => 8,
            _ => 1,
        }
    }

    /// Octets to which the plaintext of an ESP packet is padded (at least 4, RFC 4303 §2.4).
    pub const fn block_len(self) -> usize {
        let block = self.cipher_block_len();
        if block < 4 { 4 } else { block }
    }

    /// Octets of salt at the end of the key material (RFC 3686 §5.1, RFC 4106 §8.1, RFC 4309 §7.1, RFC 7634 §2).
    pub const fn salt_len(self) -> usize {
        match self {
            Cipher::AesCtr(_) | Cipher::CamelliaCtr(_) | Cipher::AesGcm(..) | Cipher::NullAesGmac(_) | Cipher::ChaCha20Poly1305 => 4,
            Cipher::AesCcm(..) | Cipher::CamelliaCcm(..) => 3,
            _ => 0,
        }
    }

    /// Octets of key material, salt included.
    pub const fn key_len(self) -> usize {
        let secret = match self {
            Cipher::Null => 0,
            Cipher::Des => 8,
            Cipher::TripleDes => 24,
            Cipher::BlowfishCbc(bits) | Cipher::CastCbc(bits) | Cipher::AesCbc(bits) | Cipher::AesCtr(bits) => bits as usize / 8,
            Cipher::AesGcm(bits, _) | Cipher::AesCcm(bits, _) | Cipher::NullAesGmac(bits) => bits as usize / 8,
            Cipher::CamelliaCbc(bits) | Cipher::CamelliaCtr(bits) | Cipher::CamelliaCcm(bits, _) => bits as usize / 8,
            Cipher::ChaCha20Poly1305 => 32,
        };
        secret + self.salt_len()
    }

    /// Integrity comes with the cipher.
    pub const fn is_aead(self) -> bool {
        matches!(
            self,
            Cipher::AesGcm(..) | Cipher::AesCcm(..) | Cipher::NullAesGmac(_) | Cipher::CamelliaCcm(..) | Cipher::ChaCha20Poly1305
        )
    }
}
