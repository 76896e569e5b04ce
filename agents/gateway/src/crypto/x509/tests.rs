use pki::{Authority, Flaw, Hierarchy, KeyType, Template};

use super::*;
use crate::crypto::rng::Rng;
use crate::crypto::sign::{PrivateKey, schemes_for};

mod hostile;
mod identities;

/// 2026-01-01.
const NOW: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

fn hierarchy(intermediates: usize) -> Hierarchy {
    Hierarchy::new([7; 32], NOW, KeyType::EcdsaP256, intermediates)
}

fn west() -> Option<(u8, &'static [u8])> {
    Some((2, b"west.example"))
}

fn flawed(flaw: Flaw) -> CertError {
    let hierarchy = hierarchy(2);
    let chain = hierarchy.issue("west.example", Some(flaw)).certificates;
    validate(&chain, &[hierarchy.anchor()], &[], NOW, west()).unwrap_err()
}

#[test]
fn good_chains() {
    for key in [KeyType::Rsa2048, KeyType::EcdsaP256, KeyType::EcdsaP384] {
        for intermediates in [0, 1, 3] {
            let hierarchy = Hierarchy::new([1; 32], NOW, key, if key == KeyType::Rsa2048 { 0 } else { intermediates });
            let credentials = hierarchy.issue("west.example", None);
            let anchors = [Hierarchy::new([2; 32], NOW, KeyType::EcdsaP256, 0).anchor(), hierarchy.anchor()];
            let valid = validate(&credentials.certificates, &anchors, &[], NOW, west()).unwrap();
            assert_eq!(valid.subject, "CN=west.example,O=faultlab");
            // The key is the one that signs.
            let private = PrivateKey::from_pkcs8_der(&credentials.private_key).unwrap();
            assert_eq!(valid.public_key, private.public());
            let scheme = schemes_for(&valid.public_key, &[2]);
            let signature = private.sign(scheme, b"octets", &mut Rng::new([0; 32])).unwrap();
            assert!(valid.public_key.verify(scheme, b"octets", &signature));
        }
    }
}

#[test]
fn intermediates_may_come_from_anywhere() {
    let hierarchy = hierarchy(2);
    let chain = hierarchy.issue("west.example", None).certificates;
    let anchors = [hierarchy.anchor()];
    let shuffled = [chain[0].clone(), chain[2].clone(), hierarchy.anchor(), b"no certificate".to_vec(), chain[1].clone()];
    assert!(validate(&shuffled, &anchors, &[], NOW, west()).is_ok());
    assert!(validate(&chain[..1], &anchors, &chain[1..], NOW, west()).is_ok());
    assert!(validate(&chain[..2], &anchors, &chain[2..], NOW, None).is_ok());
    // An intermediate authority may be an anchor.
    assert!(validate(&chain[..1], &chain[1..2], &[], NOW, west()).is_ok());
}

#[test]
fn every_flaw_has_its_words() {
    let text = |flaw| flawed(flaw).to_string();
    assert_eq!(text(Flaw::Expired), "the certificate of `CN=west.example,O=faultlab` expired on 2025-12-31T00:00:00Z");
    assert_eq!(text(Flaw::NotYetValid), "the certificate of `CN=west.example,O=faultlab` is not valid before 2026-01-02T00:00:00Z");
    assert_eq!(
        text(Flaw::UnknownAuthority),
        "`CN=unknown root,O=elsewhere`, who issued the certificate of `CN=faultlab intermediate 1,O=faultlab`, is not known"
    );
    assert_eq!(
        text(Flaw::ImpostorAuthority),
        "a certificate between `CN=west.example,O=faultlab` and the trusted authority was not signed by the issuer that it names"
    );
    assert_eq!(
        text(Flaw::OtherIdentity),
        "the certificate of `CN=somebody-else.example,O=faultlab` is not for `west.example`, but for `somebody-else.example`"
    );
    assert_eq!(
        text(Flaw::NoSubjectAltName),
        "the certificate of `CN=west.example,O=faultlab` is not for `west.example`, but for no name at all"
    );
    assert_eq!(text(Flaw::NotForIke), "the certificate of `CN=west.example,O=faultlab` is not meant for IKE");
    assert_eq!(
        text(Flaw::IntermediateExpired),
        "the certificate of `CN=faultlab intermediate 2,O=faultlab` expired on 2025-12-31T00:00:00Z"
    );
    assert_eq!(
        text(Flaw::IntermediateNotAuthority),
        "`CN=faultlab intermediate 2,O=faultlab` is not an authority, but issued a certificate"
    );
    assert_eq!(
        text(Flaw::IntermediatesMissing),
        "`CN=faultlab intermediate 2,O=faultlab`, who issued the certificate of `CN=west.example,O=faultlab`, is not known"
    );
    // Old, but not refused.
    let old = Hierarchy::new([7; 32], NOW, KeyType::Rsa1024, 0);
    let chain = old.issue("west.example", Some(Flaw::Sha1)).certificates;
    assert!(validate(&chain, &[old.anchor()], &[], NOW, west()).is_ok());
}

#[test]
fn dates_to_the_second() {
    let hierarchy = hierarchy(1);
    let chain = hierarchy.issue("west.example", None).certificates;
    let at = |wall| validate(&chain, &[hierarchy.anchor()], &[], wall, west());
    let subject = "CN=west.example,O=faultlab".to_owned();
    let (not_before, not_after) = (NOW - DAY, NOW + 365 * DAY);
    assert!(at(not_before).is_ok() && at(not_after).is_ok());
    assert_eq!(at(not_before - 1), Err(CertError::NotYetValid { subject: subject.clone(), not_before }));
    assert_eq!(at(not_after + 1), Err(CertError::Expired { subject: subject.clone(), not_after }));
    assert_eq!(at(i64::MIN), Err(CertError::NotYetValid { subject: subject.clone(), not_before }));
    assert_eq!(at(i64::MAX), Err(CertError::Expired { subject, not_after }));
}

fn template(subject: &str, validity: (i64, i64), ca: bool) -> Template {
    let validity = pki::Validity { not_before: validity.0, not_after: validity.1 };
    Template { subject: subject.into(), key: KeyType::EcdsaP256, validity, names: Vec::new(), purposes: Vec::new(), ca, sha1: false }
}

#[test]
fn anchors_expire_and_must_be_authorities() {
    let leaf = template("CN=leaf", (NOW - DAY, NOW + DAY), false);
    let check = |root: Template| {
        let mut rng = pki::Rng::new(&[3; 32], "anchors");
        let root = Authority::root(&root, &mut rng);
        validate(&[root.issue(&leaf, &mut rng).certificate], &[root.certificate().to_vec()], &[], NOW, None)
    };
    assert!(check(template("CN=root", (NOW - DAY, NOW + DAY), true)).is_ok());
    let subject = "CN=root".to_owned();
    assert_eq!(
        check(template("CN=root", (NOW - 9 * DAY, NOW - 5), true)),
        Err(CertError::Expired { subject: subject.clone(), not_after: NOW - 5 })
    );
    assert_eq!(
        check(template("CN=root", (NOW + 5, NOW + DAY), true)),
        Err(CertError::NotYetValid { subject: subject.clone(), not_before: NOW + 5 })
    );
    assert_eq!(check(template("CN=root", (NOW - DAY, NOW + DAY), false)), Err(CertError::NotAnAuthority { subject }));
}

/// A peer's own certificate may be trusted itself, self-signed or not.
#[test]
fn pinned_certificates() {
    let mut rng = pki::Rng::new(&[4; 32], "pinned");
    let own = Authority::root(&template("CN=alone", (NOW - DAY, NOW + DAY), false), &mut rng).certificate().to_vec();
    let pinned = [own.clone()];
    assert_eq!(validate(&pinned, &pinned, &[], NOW, None).unwrap().subject, "CN=alone");
    assert!(matches!(validate(&pinned, &pinned, &[], NOW + 2 * DAY, None), Err(CertError::Expired { .. })));
    assert!(matches!(validate(&pinned, &pinned, &[], NOW, west()), Err(CertError::OtherIdentity { .. })));
    assert!(matches!(validate(&pinned, &[hierarchy(0).anchor()], &[], NOW, None), Err(CertError::UnknownIssuer { .. })));
}

#[test]
fn an_authority_is_no_gateway() {
    let hierarchy = hierarchy(1);
    let chain = hierarchy.issue("west.example", None).certificates;
    let error = validate(&chain[1..], &[hierarchy.anchor()], &[], NOW, None).unwrap_err();
    assert!(matches!(error, CertError::Refused { .. }), "{error}");
    // Not even if it is trusted: its key is for certificates only.
    assert!(matches!(validate(&[hierarchy.anchor()], &[hierarchy.anchor()], &[], NOW, None), Err(CertError::Purpose { .. })));
}

/// `openssl x509 -pubkey … | openssl dgst -sha1` of the root, and RFC 7296 §3.7.
#[test]
fn request_hashes() {
    let anchor = hierarchy(0).anchor();
    let hash = cert_request_hash(&anchor).unwrap();
    let certificate = Certificate::from_der(&anchor).unwrap();
    let key = certificate.tbs_certificate().subject_public_key_info().to_der().unwrap();
    // The same octets are in the certificate.
    assert!(anchor.windows(key.len()).any(|window| window == key));
    assert_eq!(hash, <[u8; 20]>::from(Sha1::digest(&key)));
    assert_eq!(cert_request_hash(b"no certificate"), None);
    assert_eq!(subject(&anchor), distinguished_name("CN=faultlab root,O=faultlab"));
}
