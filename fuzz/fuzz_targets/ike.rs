//! Any octets as an IKE message: parsing, and decryption with fixed keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::crypto::{Cipher, Hash, Integrity};
use wire::ike::{self, fragments::Fragments, v1};

fuzz_target!(|bytes: &[u8]| {
    ike::parse_captured(bytes);
    let mut message = ike::parse(bytes);
    let secrets = v1::Secrets { cipher: Cipher::AesCbc(128), hash: Hash::Sha1, key: &[1; 16] };
    v1::Chains::default().handle(&mut message, bytes, Some(secrets));
    // NULL without integrity lets the fuzzer reach the payloads inside.
    for (cipher, integrity, key) in [(Cipher::Null, Integrity::None, &[][..]), (Cipher::AesCbc(128), Integrity::None, &[1; 16])] {
        let mut message = ike::parse(bytes);
        ike::open_unverified(&message, bytes, cipher, integrity, key);
        Fragments::default().decrypt(0, &mut message, bytes, cipher, integrity, key, &[]);
    }
});
