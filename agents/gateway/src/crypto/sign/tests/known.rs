//! Vectors of RFCs.

use super::*;

/// RFC 7427 appendix A, RFC 8420 §2.
#[test]
fn rfc_7427_identifiers() {
    for (algorithm, der) in [
        (Algorithm::RsaPkcs1(Hash::Sha1), "300d06092a864886f70d0101050500"),
        (Algorithm::RsaPkcs1(Hash::Sha2_256), "300d06092a864886f70d01010b0500"),
        (Algorithm::RsaPkcs1(Hash::Sha2_384), "300d06092a864886f70d01010c0500"),
        (Algorithm::RsaPkcs1(Hash::Sha2_512), "300d06092a864886f70d01010d0500"),
        (Algorithm::Ecdsa(Hash::Sha1), "300906072a8648ce3d0401"),
        (Algorithm::Ecdsa(Hash::Sha2_256), "300a06082a8648ce3d040302"),
        (Algorithm::Ecdsa(Hash::Sha2_384), "300a06082a8648ce3d040303"),
        (Algorithm::Ecdsa(Hash::Sha2_512), "300a06082a8648ce3d040304"),
        (Algorithm::rsa_pss(Hash::Sha1), "300d06092a864886f70d01010a3000"),
        (
            Algorithm::rsa_pss(Hash::Sha2_256),
            "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120",
        ),
        (
            Algorithm::rsa_pss(Hash::Sha2_384),
            "304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130",
        ),
        (
            Algorithm::rsa_pss(Hash::Sha2_512),
            "304106092a864886f70d01010a3034a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140",
        ),
        (Algorithm::Ed25519, "300506032b6570"),
    ] {
        assert_eq!(algorithm.to_der(), unhex(der), "{algorithm}");
        assert_eq!(Algorithm::from_der(&unhex(der)), Ok(algorithm));
    }
}

#[test]
fn other_spellings() {
    // NULL left out; NULL where there should be nothing.
    assert_eq!(Algorithm::from_der(&unhex("300b06092a864886f70d01010b")), Ok(Algorithm::RsaPkcs1(Hash::Sha2_256)));
    assert_eq!(Algorithm::from_der(&unhex("300c06082a8648ce3d0403020500")), Ok(Algorithm::Ecdsa(Hash::Sha2_256)));
    // PSS without any parameters; with another length of salt; with NULL left out in the hashes.
    assert_eq!(Algorithm::from_der(&unhex("300b06092a864886f70d01010a")), Ok(Algorithm::rsa_pss(Hash::Sha1)));
    let salt = Algorithm::RsaPss { hash: Hash::Sha2_256, salt_len: 200 };
    assert_eq!(Algorithm::from_der(&salt.to_der()), Ok(salt));
    assert_eq!(
        Algorithm::from_der(&unhex(
            "303d06092a864886f70d01010a3030a00d300b0609608648016503040201a11a301806092a864886f70d010108300b0609608648016503040201a203020120"
        )),
        Ok(Algorithm::rsa_pss(Hash::Sha2_256))
    );
}

#[test]
fn unknown_ones_are_named() {
    let text = |der: &str| Algorithm::from_der(&unhex(der)).unwrap_err().to_string();
    assert_eq!(text("300d06092a864886f70d0101040500"), "signature algorithm 1.2.840.113549.1.1.4 is not supported"); // MD5
    assert_eq!(text("300906072a8648ce3d0403"), "signature algorithm 1.2.840.10045.4.3 is not supported"); // the arc above
    assert_eq!(text("30"), "the AlgorithmIdentifier is unreadable");
    // SHA-256 with MGF1 over SHA-1.
    let mixed = "302306092a864886f70d01010a3016a00f300d06096086480165030402010500a203020120";
    assert_eq!(text(mixed), "signature algorithm RSASSA-PSS with different hashes for message and MGF1 is not supported");
    assert_eq!(Scheme::from_auth_data(14, &[5, 0x30]), Err(AuthDataError::Truncated));
    assert_eq!(Scheme::from_auth_data(14, &[]), Err(AuthDataError::Truncated));
    assert_eq!(Scheme::from_auth_data(2, b"x"), Err(AuthDataError::Method(2)));
}

fn p256_private(scalar: &str) -> PrivateKey {
    let pkcs8 = unhex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420");
    PrivateKey::from_pkcs8_der(&[pkcs8, unhex(scalar)].concat()).unwrap()
}

/// RFC 4754 §8.1.
#[test]
fn rfc_4754() {
    let key = p256_private("dc51d3866a15bacde33d96f992fca99da7e6ef0934e7097559c27f1614c88a7f").public();
    let spki = unhex(
        "3059301306072a8648ce3d020106082a8648ce3d03010703420004
         2442a5cc0ecd015fa3ca31dc8e2bbc70bf42d60cbca20085e0822cb04235e970
         6fc98bd7e50211a4a27102fa3549df79ebcb4bf246b80945cddfe7d509bbfd7d",
    );
    assert_eq!(PublicKey::from_spki_der(&spki), Ok(key.clone()));
    let signature = unhex(
        "cb28e0999b9c7715fd0a80d8e47a77079716cbbf917dd72e97566ea1c066957c
         86fa3bb4e26cad5bf90b7f81899256ce7594bb1ea0c89212748bff3b3d5b0315",
    );
    assert!(key.verify(Scheme::EcdsaP256, b"abc", &signature));
}

/// RFC 6979 §A.2.5: "sample" with SHA-256.
#[test]
fn rfc_6979() {
    let key = p256_private("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let signature = unhex(
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716
         f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    );
    assert_eq!(key.sign(Scheme::EcdsaP256, b"sample", &mut Rng::new([0; 32])), Ok(signature));
}

#[test]
fn foreign_keys_are_named() {
    // secp256k1, and X25519.
    let k1 = "3056301006072a8648ce3d020106052b8104000a0342000479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
    let text = |der: &str| PublicKey::from_spki_der(&unhex(der)).unwrap_err().to_string();
    assert_eq!(text(k1), "keys of type ECDSA over curve 1.3.132.0.10 are not supported");
    let x25519 = "302a300506032b656e0321000900000000000000000000000000000000000000000000000000000000000000";
    assert_eq!(text(x25519), "keys of type 1.3.101.110 are not supported");
    // Not on the curve.
    let off = "3059301306072a8648ce3d020106082a8648ce3d03010703420004".to_owned() + &"11".repeat(64);
    assert!(text(&off).starts_with("the public key is unreadable"));
}
