//! Any octets as an ESP packet, an AH header and a datagram on UDP/4500.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::crypto::{Cipher, Integrity};

fuzz_target!(|bytes: &[u8]| {
    let _ = wire::esp::encapsulated(bytes);
    let _ = wire::ah::parse(bytes);
    for cipher in [
        Cipher::Null,
        Cipher::TripleDes,
        Cipher::CastCbc(128),
        Cipher::AesCbc(128),
        Cipher::AesCtr(128),
        Cipher::AesGcm(128, 16),
        Cipher::AesCcm(128, 8),
        Cipher::NullAesGmac(128),
        Cipher::CamelliaCbc(128),
        Cipher::ChaCha20Poly1305,
    ] {
        let _ = wire::esp::decrypt(bytes, cipher, &vec![1; cipher.key_len()], Integrity::None, &[]);
    }
});
