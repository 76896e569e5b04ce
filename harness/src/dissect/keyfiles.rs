//! Keys as files of a Wireshark profile, so that Wireshark and tshark decrypt a run's capture.
//!
//! The algorithm names are those that tshark 4.0 accepts. What it cannot decrypt at all is left out, with a comment line.

use std::fmt::Write;

use peer::{Cipher, EspKeys, Integrity, Keys};

use crate::text::hex;

/// Preferences without which the tables do nothing.
pub const PREFERENCES: &str =
    "esp.enable_encryption_decode: TRUE\nesp.enable_authentication_check: TRUE\nesp.enable_null_encryption_decode_heuristic: FALSE\n";

/// File names of a Wireshark profile folder with their contents.
pub fn files(keys: &Keys) -> [(&'static str, String); 4] {
    [
        ("esp_sa", esp_sa(keys)),
        ("ikev2_decryption_table", ikev2_decryption_table(keys)),
        ("ikev1_decryption_table", ikev1_decryption_table(keys)),
        ("preferences", PREFERENCES.to_owned()),
    ]
}

/// Table `esp_sa`.
pub fn esp_sa(keys: &Keys) -> String {
    let mut text = String::new();
    for k in &keys.esp {
        let (Some(encryption), Some(integrity)) = (esp_cipher(k.encryption), esp_integrity(k)) else {
            let _ = writeln!(text, "# SPI 0x{:08x}: {:?} with {:?} is not known to Wireshark 4.0", k.spi, k.encryption, k.integrity);
            continue;
        };
        // Address translation changes addresses between captures, so they only count where an SPI stands for two SAs.
        let ambiguous = keys.esp.iter().filter(|other| other.spi == k.spi).count() > 1;
        let address = |ip: Option<std::net::IpAddr>| ip.filter(|_| ambiguous).map_or("*".to_owned(), |ip| ip.to_string());
        let versions: &[&str] = match k.src.or(k.dst) {
            Some(ip) if ip.is_ipv6() => &["IPv6"],
            Some(_) => &["IPv4"],
            None => &["IPv4", "IPv6"],
        };
        for version in versions {
            let _ = writeln!(
                text,
                "\"{version}\",\"{}\",\"{}\",\"0x{:08x}\",\"{encryption}\",\"{}\",\"{integrity}\",\"{}\"",
                address(k.src),
                address(k.dst),
                k.spi,
                prefixed_hex(&k.key),
                prefixed_hex(&k.integrity_key),
            );
        }
    }
    text
}

/// Table `ikev2_decryption_table`.
pub fn ikev2_decryption_table(keys: &Keys) -> String {
    let mut text = String::new();
    for k in &keys.ikev2 {
        let Some(encryption) = ikev2_cipher(k.encryption) else {
            let _ = writeln!(text, "# SPIs {:016x} {:016x}: {:?} is not known to Wireshark 4.0", k.spi_i, k.spi_r, k.encryption);
            continue;
        };
        let integrity = ikev2_integrity(k.integrity);
        // What is not checked there must have no key.
        let unchecked = matches!(k.integrity, Integrity::AesXcbc96 | Integrity::AesCmac96);
        let mac_key = |key: &[u8]| if unchecked { String::new() } else { hex(key) };
        let _ = writeln!(
            text,
            "{:016x},{:016x},{},{},\"{encryption}\",{},{},\"{integrity}\"",
            k.spi_i,
            k.spi_r,
            hex(&k.sk_ei),
            hex(&k.sk_er),
            mac_key(&k.sk_ai),
            mac_key(&k.sk_ar),
        );
    }
    text
}

/// Table `ikev1_decryption_table`.
pub fn ikev1_decryption_table(keys: &Keys) -> String {
    keys.ikev1.iter().map(|k| format!("{:016x},{}\n", k.cookie_i, hex(&k.key))).collect()
}

fn esp_cipher(cipher: Cipher) -> Option<&'static str> {
    Some(match cipher {
        Cipher::Null => "NULL",
        Cipher::Des => "DES-CBC [RFC2405]",
        Cipher::TripleDes => "TripleDES-CBC [RFC2451]",
        Cipher::AesCbc(_) => "AES-CBC [RFC3602]",
        Cipher::AesCtr(_) => "AES-CTR [RFC3686]",
        Cipher::AesGcm(_, 8) => "AES-GCM with 8 octet ICV [RFC4106]",
        Cipher::AesGcm(_, 12) => "AES-GCM with 12 octet ICV [RFC4106]",
        Cipher::AesGcm(_, 16) => "AES-GCM with 16 octet ICV [RFC4106]",
        Cipher::BlowfishCbc(_) => "BLOWFISH-CBC [RFC2451]",
        Cipher::CastCbc(_) => "CAST5-CBC [RFC2144]",
        Cipher::AesGcm(..) | Cipher::AesCcm(..) | Cipher::NullAesGmac(_) | Cipher::ChaCha20Poly1305 => return None,
        Cipher::CamelliaCbc(_) | Cipher::CamelliaCtr(_) | Cipher::CamelliaCcm(..) => return None,
    })
}

fn esp_integrity(k: &EspKeys) -> Option<&'static str> {
    Some(match k.integrity {
        Integrity::None => "NULL",
        Integrity::HmacMd5_96 => "HMAC-MD5-96 [RFC2403]",
        Integrity::HmacSha1_96 => "HMAC-SHA-1-96 [RFC2404]",
        Integrity::AesXcbc96 | Integrity::AesCmac96 => "ANY 96 bit authentication [no checking]",
        Integrity::HmacMd5_128 => "ANY 128 bit authentication [no checking]",
        Integrity::HmacSha1_160 => return None,
        Integrity::HmacSha2_256_96 => "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]",
        Integrity::HmacSha2_256_128 => "HMAC-SHA-256-128 [RFC4868]",
        Integrity::HmacSha2_384_192 => "HMAC-SHA-384-192 [RFC4868]",
        Integrity::HmacSha2_512_256 => "HMAC-SHA-512-256 [RFC4868]",
    })
}

fn ikev2_cipher(cipher: Cipher) -> Option<&'static str> {
    Some(match cipher {
        Cipher::Null => "NULL [RFC2410]",
        Cipher::TripleDes => "3DES [RFC2451]",
        Cipher::AesCbc(128) => "AES-CBC-128 [RFC3602]",
        Cipher::AesCbc(192) => "AES-CBC-192 [RFC3602]",
        Cipher::AesCbc(256) => "AES-CBC-256 [RFC3602]",
        Cipher::AesCtr(128) => "AES-CTR-128 [RFC5930]",
        Cipher::AesCtr(192) => "AES-CTR-192 [RFC5930]",
        Cipher::AesCtr(256) => "AES-CTR-256 [RFC5930]",
        Cipher::AesCcm(128, 8) => "AES-CCM-128 with 8 octet ICV [RFC5282]",
        Cipher::AesCcm(192, 8) => "AES-CCM-192 with 8 octet ICV [RFC5282]",
        Cipher::AesCcm(256, 8) => "AES-CCM-256 with 8 octet ICV [RFC5282]",
        Cipher::AesCcm(128, 12) => "AES-CCM-128 with 12 octet ICV [RFC5282]",
        Cipher::AesCcm(192, 12) => "AES-CCM-192 with 12 octet ICV [RFC5282]",
        Cipher::AesCcm(256, 12) => "AES-CCM-256 with 12 octet ICV [RFC5282]",
        Cipher::AesCcm(128, 16) => "AES-CCM-128 with 16 octet ICV [RFC5282]",
        Cipher::AesCcm(192, 16) => "AES-CCM-192 with 16 octet ICV [RFC5282]",
        Cipher::AesCcm(256, 16) => "AES-CCM-256 with 16 octet ICV [RFC5282]",
        Cipher::AesGcm(128, 8) => "AES-GCM-128 with 8 octet ICV [RFC5282]",
        Cipher::AesGcm(192, 8) => "AES-GCM-192 with 8 octet ICV [RFC5282]",
        Cipher::AesGcm(256, 8) => "AES-GCM-256 with 8 octet ICV [RFC5282]",
        Cipher::AesGcm(128, 12) => "AES-GCM-128 with 12 octet ICV [RFC5282]",
        Cipher::AesGcm(192, 12) => "AES-GCM-192 with 12 octet ICV [RFC5282]",
        Cipher::AesGcm(256, 12) => "AES-GCM-256 with 12 octet ICV [RFC5282]",
        Cipher::AesGcm(128, 16) => "AES-GCM-128 with 16 octet ICV [RFC5282]",
        Cipher::AesGcm(192, 16) => "AES-GCM-192 with 16 octet ICV [RFC5282]",
        Cipher::AesGcm(256, 16) => "AES-GCM-256 with 16 octet ICV [RFC5282]",
        _ => return None,
    })
}

fn ikev2_integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::None => "NONE [RFC4306]",
        Integrity::HmacMd5_96 => "HMAC_MD5_96 [RFC2403]",
        Integrity::HmacMd5_128 => "HMAC_MD5_128 [RFC4595]",
        Integrity::HmacSha1_96 => "HMAC_SHA1_96 [RFC2404]",
        Integrity::HmacSha1_160 => "HMAC_SHA1_160 [RFC4595]",
        Integrity::HmacSha2_256_96 => "HMAC_SHA2_256_96 [draft-ietf-ipsec-ciph-sha-256-00]",
        Integrity::HmacSha2_256_128 => "HMAC_SHA2_256_128 [RFC4868]",
        Integrity::HmacSha2_384_192 => "HMAC_SHA2_384_192 [RFC4868]",
        Integrity::HmacSha2_512_256 => "HMAC_SHA2_512_256 [RFC4868]",
        Integrity::AesXcbc96 | Integrity::AesCmac96 => "ANY 96-bits of Authentication [No Checking]",
    }
}

fn prefixed_hex(octets: &[u8]) -> String {
    if octets.is_empty() { String::new() } else { format!("0x{}", hex(octets)) }
}
