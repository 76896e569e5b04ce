use std::sync::LazyLock;

use proptest::prelude::*;

use super::ecdsa::Encoding;
use super::*;
use crate::crypto::rng::Rng;
use crate::crypto::unhex;

mod known;
mod openssl;

/// Made with OpenSSL 3.0.19.
const P521: &str = "3081ee020100301006072a8648ce3d020106052b810400230481d63081d302010104420113defd89a77349d5a8ea467094e5126f69c36df9811ce9847fb8dfca916a8a80d45f591899c594750add74b6747ed02a245fe47553c43483091e4d131884fa07f6a18189038186000401ad1ee4fb5cf04b639f4b250a5058a7e8a6601fd010f561c5e157d49f609e3b3e2d0ebb60eebc4dc2650499d221c42fb256940bbfb010d8af3aa6cb1670d875e110009ba9383bf65226cf9de61798d1923359b19f55f25899f452546d827073249c0277cf0473ade86287ac40b2a19c0b35fc4d2c785d5d5b0e8efc98894eff4de18d58";
const ED25519: &str = "302e020100300506032b6570042204203d7e9bab6bc5008757a6801efd3317a41ec9d78739299d90e906fc0e7a5cfe2a";

/// One key of every kind, PKCS#8: RSA-1024, RSA-2048, P-256, P-384, P-521, Ed25519.
static KEYS: LazyLock<[Vec<u8>; 6]> = LazyLock::new(|| {
    let make = |kind| pki::Key::generate(kind, &mut pki::Rng::new(&[1; 32], "key")).to_pkcs8_der();
    let [rsa1024, rsa2048] = [pki::KeyType::Rsa1024, pki::KeyType::Rsa2048].map(make);
    let [p256, p384] = [pki::KeyType::EcdsaP256, pki::KeyType::EcdsaP384].map(make);
    [rsa1024, rsa2048, p256, p384, unhex(P521), unhex(ED25519)]
});

fn private_keys() -> Vec<PrivateKey> {
    KEYS.iter().map(|der| PrivateKey::from_pkcs8_der(der).unwrap()).collect()
}

fn all_hashes() -> Vec<u16> {
    (1..=5).collect()
}

#[test]
fn sign_and_verify() {
    let mut rng = Rng::new([1; 32]);
    let keys = private_keys();
    for key in &keys {
        for scheme in all_schemes_for(&key.public(), &all_hashes()) {
            let signature = key.sign(scheme, b"data", &mut rng).unwrap();
            let auth = scheme.auth_data(&signature);
            let (read, same) = Scheme::from_auth_data(scheme.method(), &auth).unwrap();
            assert_eq!((read, same), (scheme, &signature[..]));
            assert!(key.public().verify(scheme, b"data", &signature), "{key:?} {scheme}");
            assert!(!key.public().verify(scheme, b"date", &signature));
            let mut broken = signature.clone();
            broken[signature.len() / 2] ^= 1;
            assert!(!key.public().verify(scheme, b"data", &broken));
            assert!(!key.public().verify(scheme, b"data", &signature[1..]));
            for other in &keys {
                assert_eq!(other.public().verify(scheme, b"data", &signature), other.public() == key.public());
            }
        }
    }
}

#[test]
fn same_seed_same_signature() {
    for der in KEYS.iter() {
        let key = PrivateKey::from_pkcs8_der(der).unwrap();
        for scheme in all_schemes_for(&key.public(), &all_hashes()) {
            let once = || key.sign(scheme, b"data", &mut Rng::new([2; 32])).unwrap();
            assert_eq!(once(), once());
        }
    }
}

#[test]
fn preference() {
    let schemes = |der: &[u8], hashes: &[u16]| {
        let all = all_schemes_for(&PrivateKey::from_pkcs8_der(der).unwrap().public(), hashes);
        assert_eq!(schemes_for(&PrivateKey::from_pkcs8_der(der).unwrap().public(), hashes), all[0]);
        all.iter().map(Scheme::to_string).collect::<Vec<_>>().join(", ")
    };
    let [rsa1024, rsa2048, p256, p384, p521, ed25519] = &*KEYS;
    assert_eq!(schemes(rsa2048, &[]), "RSA with SHA-1 (method 1)");
    assert_eq!(schemes(rsa2048, &[99]), "RSA with SHA-1 (method 1)");
    assert_eq!(
        schemes(rsa2048, &[3, 2]),
        "RSA-PSS with SHA2-256, RSA-PSS with SHA2-384, RSA with SHA2-256, RSA with SHA2-384, RSA with SHA-1 (method 1)"
    );
    assert_eq!(schemes(rsa1024, &[4]), "RSA with SHA2-512, RSA with SHA-1 (method 1)");
    assert_eq!(schemes(p256, &[]), "ECDSA with SHA2-256 (method 9)");
    assert_eq!(schemes(p384, &[2, 3, 4]), "ECDSA with SHA2-384, ECDSA with SHA2-256, ECDSA with SHA2-512, ECDSA with SHA2-384 (method 10)");
    assert_eq!(schemes(p521, &[2]), "ECDSA with SHA2-256, ECDSA with SHA2-512 (method 11)");
    assert_eq!(schemes(ed25519, &[]), "Ed25519");
}

#[test]
fn what_does_not_fit() {
    let mut rng = Rng::new([1; 32]);
    let [rsa1024, _, p256, p384, _, ed25519] = private_keys().try_into().unwrap();
    assert_eq!(rsa1024.sign(Scheme::EcdsaP256, b"", &mut rng), Err(SignError::WrongKey));
    assert_eq!(p256.sign(Scheme::EcdsaP384, b"", &mut rng), Err(SignError::WrongKey));
    assert_eq!(p384.sign(Scheme::Rsa, b"", &mut rng), Err(SignError::WrongKey));
    assert_eq!(ed25519.sign(Scheme::Digital(Algorithm::Ecdsa(Hash::Sha1)), b"", &mut rng), Err(SignError::WrongKey));
    assert_eq!(rsa1024.sign(Scheme::Digital(Algorithm::rsa_pss(Hash::Sha2_512)), b"", &mut rng), Err(SignError::TooShort));
}

proptest! {
    #[test]
    fn any_auth_data(method: u8, data in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Scheme::from_auth_data(method, &data);
        let _ = Scheme::from_auth_data(14, &data);
    }

    /// A real AlgorithmIdentifier with something else in one place.
    #[test]
    fn bent_algorithms(which in 0..13usize, at: proptest::sample::Index, to: u8, cut: proptest::sample::Index) {
        let algorithms = Hash::ALL.iter().flat_map(|hash| [Algorithm::RsaPkcs1(*hash), Algorithm::rsa_pss(*hash), Algorithm::Ecdsa(*hash)]);
        let mut der = algorithms.chain([Algorithm::Ed25519]).nth(which).unwrap().to_der();
        let at = at.index(der.len());
        der[at] = to;
        let _ = Algorithm::from_der(&der);
        let _ = Algorithm::from_der(&der[..cut.index(der.len())]);
    }

    #[test]
    fn any_keys(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = PrivateKey::from_pkcs8_der(&data);
        let _ = PublicKey::from_spki_der(&data);
    }

    #[test]
    fn bent_keys(which in 2..6usize, at: proptest::sample::Index, to: u8) {
        let mut der = KEYS[which].clone();
        let at = at.index(der.len());
        der[at] = to;
        if let Ok(key) = PrivateKey::from_pkcs8_der(&der) {
            let _ = key.sign(schemes_for(&key.public(), &[]), b"data", &mut Rng::new([1; 32]));
        }
    }

    #[test]
    fn any_signature(which in 2..6usize, signature in proptest::collection::vec(any::<u8>(), 0..140), raw: bool) {
        let key = PrivateKey::from_pkcs8_der(&KEYS[which]).unwrap().public();
        let encoding = if raw { Encoding::Raw } else { Encoding::Der };
        for algorithm in [Algorithm::Ecdsa(Hash::Sha2_256), Algorithm::Ed25519] {
            prop_assert!(!key.verify_with(algorithm, encoding, b"data", &signature));
        }
    }
}
