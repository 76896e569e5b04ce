//! Both ways with the `openssl` program, where there is one.

use std::path::Path;
use std::process::{Command, Output};

use super::*;

fn openssl(args: &[&str], dir: &Path) -> std::io::Result<Output> {
    Command::new("openssl").current_dir(dir).args(args).output()
}

/// What `openssl dgst` must be told.
fn options(algorithm: Algorithm) -> Option<(&'static str, Vec<String>)> {
    let digest = |hash| match hash {
        Hash::Sha1 => "-sha1",
        Hash::Sha2_256 => "-sha256",
        Hash::Sha2_384 => "-sha384",
        Hash::Sha2_512 => "-sha512",
    };
    match algorithm {
        Algorithm::RsaPkcs1(hash) | Algorithm::Ecdsa(hash) => Some((digest(hash), Vec::new())),
        Algorithm::RsaPss { hash, salt_len } => Some((
            digest(hash),
            ["-sigopt", "rsa_padding_mode:pss", "-sigopt", &format!("rsa_pss_saltlen:{salt_len}")].map(str::to_owned).to_vec(),
        )),
        Algorithm::Ed25519 => None, // `openssl dgst` cannot
    }
}

#[test]
fn both_ways() {
    let dir = tempfile::tempdir().unwrap();
    if !openssl(&["version"], dir.path()).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no `openssl` program");
        return;
    }
    std::fs::write(dir.path().join("data"), b"data").unwrap();
    let mut rng = Rng::new([3; 32]);
    let mut tried = 0;
    for der in KEYS.iter() {
        std::fs::write(dir.path().join("key"), der).unwrap();
        let public =
            openssl(&["pkey", "-inform", "DER", "-in", "key", "-pubout", "-outform", "DER", "-out", "public"], dir.path()).unwrap();
        assert!(public.status.success(), "{public:?}");
        let key = PrivateKey::from_pkcs8_der(der).unwrap();
        let spki = std::fs::read(dir.path().join("public")).unwrap();
        assert_eq!(PublicKey::from_spki_der(&spki), Ok(key.public()));

        for scheme in all_schemes_for(&key.public(), &all_hashes()) {
            let Some((digest, sigopts)) = options(scheme.algorithm()) else { continue };
            if scheme.encoding() == Encoding::Raw {
                continue; // the same signature as DER, which comes as well
            }
            let sigopts: Vec<&str> = sigopts.iter().map(String::as_str).collect();
            std::fs::write(dir.path().join("signature"), key.sign(scheme, b"data", &mut rng).unwrap()).unwrap();
            let verify = ["dgst", digest, "-keyform", "DER", "-verify", "public", "-signature", "signature"];
            let verified = openssl(&[&verify, &sigopts[..], &["data"]].concat(), dir.path()).unwrap();
            assert!(verified.status.success(), "{key:?} {scheme}: {verified:?}");

            let sign = ["dgst", digest, "-keyform", "DER", "-sign", "key", "-out", "theirs"];
            let signed = openssl(&[&sign, &sigopts[..], &["data"]].concat(), dir.path()).unwrap();
            assert!(signed.status.success(), "{key:?} {scheme}: {signed:?}");
            let theirs = std::fs::read(dir.path().join("theirs")).unwrap();
            assert!(key.public().verify(scheme, b"data", &theirs), "{key:?} {scheme}");
            tried += 1;
        }
    }
    assert_eq!(tried, 8 + 9 + 3 * 4, "RSA-1024, which is too short for PSS with SHA2-512; RSA-2048; three curves");
}
