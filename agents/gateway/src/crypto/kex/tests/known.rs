//! Known answers.

use super::*;

/// SHA-256, cut to 8 octets, of the initiator's and the responder's value and of the shared secret, for the secrets of [`secret`].
///
/// MODP: computed with Python's integers from the primes' definition (2^n − 2^(n−64) − 1 + 2^64 · (⌊2^(n−130) π⌋ + c), RFC 2412
/// appendix E and RFC 3526) and from OpenSSL's copy of RFC 5114. The others: OpenSSL 4.0.0, which also decapsulated our ML-KEM
/// ciphertexts; no second implementation of ML-KEM-512 was at hand, so that row only says that nothing has changed.
const FINGERPRINTS: [(Group, &str, &str, &str); 23] = [
    (Group::Modp768, "abb3a007facfc3f5", "d4855f37264bb909", "370863dfa7cba409"),
    (Group::Modp1024, "330c52aac2a2df0d", "ec3aab98a87d8d31", "a45ca508ac444d10"),
    (Group::Modp1536, "ba596e55d11091f1", "e2c21fdfb7d5484f", "65250fdd9835ed77"),
    (Group::Modp2048, "853345236e621dfc", "8954397923c2dfd8", "b0f8f34d57d818d2"),
    (Group::Modp3072, "b2f75e78d626aefe", "0ee346f2f45d3690", "f54b2d82e90e509c"),
    (Group::Modp4096, "cfeb88616d6b950c", "08f6c236d2085235", "24170ad08f527f5f"),
    (Group::Modp6144, "ff1ab0d0f33181ab", "8a853cd72d907d18", "8ada18149dea76da"),
    (Group::Modp8192, "175891233eca7bbd", "842e6e92582b26f5", "df9d42ea7dcc2237"),
    (Group::Ecp256, "7f4118fd527f8b94", "c32ada297874fb5f", "3f5c95d4193dec8a"),
    (Group::Ecp384, "655cf8d2bc8118d5", "c4502ab89407a1f0", "8aba9029f7802cda"),
    (Group::Ecp521, "85a0d6ca82bb1ced", "6961a616b4dc046b", "b56f5ca4630e5384"),
    (Group::Modp1024s160, "bd96c564940c8d8e", "8a2a89ba228e8448", "54925494a43bbbae"),
    (Group::Modp2048s224, "fae1f93adaa717b2", "3a4d43c5e9f2049a", "5fd7ed39bd87464c"),
    (Group::Modp2048s256, "8b123974b144b2b7", "8ae9b61312fe0e47", "e422b1bfff71c243"),
    (Group::Ecp192, "e4988279180b736d", "857ee8b1ace72839", "6bfd16ca08379855"),
    (Group::Ecp224, "79b314bc28456405", "5257b8885d7f52bb", "33fbf62d452415c0"),
    (Group::Brainpool256, "f8e994763cf1108f", "a74aae8297a84cff", "1a4a9205bb562b84"),
    (Group::Brainpool384, "efb48368c2ee579d", "6e47a01b070c68d7", "69c8c61636e0d52b"),
    (Group::Curve25519, "17941a36a6b05773", "dbbe345e6df04022", "da46b44b3392c6d9"),
    (Group::Curve448, "d7c45e4241983ce0", "71da98b0b9e5b187", "0bc5bd1c2bceafcf"),
    (Group::MlKem512, "2a02a85f8c628638", "54937acccc3c3946", "f33c20b5dd6843d8"),
    (Group::MlKem768, "96ec631878463ef3", "e25ad22a7eda5508", "b3c00abfc024d90f"),
    (Group::MlKem1024, "f5e654d45cdd0a6f", "c1802656ef2720f7", "0af5a6802e8f0290"),
];

/// A secret of some length that anybody can compute: SHA-512 of the method's name and the side, cut or left-padded.
fn secret(group: Group, side: &str) -> Vec<u8> {
    let len = match group.family() {
        Family::Modp(_) | Family::X25519 => 32,
        Family::Ecp(_) => group.secret_len(),
        Family::X448 => 56,
        Family::MlKem(_) => 64,
    };
    let hash = Sha512::digest(format!("{group} {side}"));
    let cut = &hash[..len.min(64)];
    [vec![0; len - cut.len()], cut.to_vec()].concat()
}

#[test]
fn other_implementations_get_the_same() {
    let check = |octets: &[u8], fingerprint: &str, what: &str| {
        assert_eq!(Sha256::digest(octets)[..8], unhex(fingerprint), "{what}");
    };
    assert_eq!(FINGERPRINTS.map(|row| row.0), Group::ALL);
    for (group, initiator, responder, shared) in FINGERPRINTS {
        let (i, r) = (secret(group, "i"), secret(group, "r"));
        let from_initiator = public(group, &i);
        let (from_responder, responders_secret) = match group.family() {
            Family::MlKem(kem) => kem.encapsulate(&from_initiator, &mut Rng::new([0; 32])).unwrap(),
            _ => (public(group, &r), agree(group, &r, &from_initiator).unwrap()),
        };
        check(&from_initiator, initiator, group.name());
        check(&from_responder, responder, group.name());
        check(&responders_secret, shared, group.name());
        check(&agree(group, &i, &from_responder).unwrap(), shared, group.name());
    }
}

/// RFC 5903 §8.1.
#[test]
fn ecp_256() {
    let i = unhex("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433");
    let gi = unhex(
        "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180
         5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
    );
    let r = unhex("c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53");
    let gr = unhex(
        "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63
         56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
    );
    let girx = unhex("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de");
    assert_eq!((public(Group::Ecp256, &i), public(Group::Ecp256, &r)), (gi.clone(), gr.clone()));
    assert_eq!(agree(Group::Ecp256, &i, &gr), Ok(girx.clone()));
    assert_eq!(agree(Group::Ecp256, &r, &gi), Ok(girx));
}
