use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// 2026-01-01.
const NOW: i64 = 1_767_225_600;

fn hierarchy(key: KeyType, intermediates: usize) -> Hierarchy {
    Hierarchy::new([7; 32], NOW, key, intermediates)
}

#[test]
fn same_seed_same_octets() {
    for key in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa1024] {
        let (one, two) = (hierarchy(key, 1), hierarchy(key, 1));
        let west = one.issue("west.example", None);
        let east = one.issue("east.example", None);
        // In another order.
        let east_again = two.issue("east.example", None);
        let west_again = two.issue("west.example", None);
        assert_eq!(one.anchor(), two.anchor());
        assert_eq!((&west.certificates, &west.private_key), (&west_again.certificates, &west_again.private_key));
        assert_eq!((&east.certificates, &east.private_key), (&east_again.certificates, &east_again.private_key));
        assert_ne!(west.private_key, east.private_key);
        assert_ne!(Hierarchy::new([8; 32], NOW, key, 1).anchor(), one.anchor());
    }
}

#[test]
fn a_chain_has_every_intermediate_and_no_root() {
    let hierarchy = hierarchy(KeyType::EcdsaP256, 3);
    let chain = hierarchy.issue("west.example", None).certificates;
    assert_eq!(chain.len(), 4);
    assert!(!chain.contains(&hierarchy.anchor()));
    assert_eq!(hierarchy.issue("west.example", Some(Flaw::IntermediatesMissing)).certificates, chain[..1]);
}

#[test]
fn a_flaw_leaves_the_key_as_it_is() {
    let hierarchy = hierarchy(KeyType::EcdsaP256, 1);
    let good = hierarchy.issue("west.example", None);
    for flaw in [Flaw::Expired, Flaw::UnknownAuthority, Flaw::NotForIke, Flaw::OtherIdentity] {
        let bad = hierarchy.issue("west.example", Some(flaw));
        assert_eq!(good.private_key, bad.private_key);
        assert_ne!(good.certificates[0], bad.certificates[0]);
    }
}

/// OpenSSL, or why not.
fn openssl() -> Option<Command> {
    let found = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: no `openssl` program");
    }
    found.then(|| Command::new("openssl"))
}

fn pem(dir: &Path, name: &str, certificates: &[Vec<u8>]) -> PathBuf {
    let mut text = String::new();
    for (n, certificate) in certificates.iter().enumerate() {
        let der = dir.join(format!("{name}{n}.der"));
        std::fs::write(&der, certificate).unwrap();
        let output = openssl().unwrap().args(["x509", "-inform", "DER", "-in"]).arg(&der).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        text += &String::from_utf8(output.stdout).unwrap();
    }
    let path = dir.join(format!("{name}.pem"));
    std::fs::write(&path, text).unwrap();
    path
}

/// What `openssl verify` says to a chain: nothing, or the number of the error.
fn verify(anchor: &[u8], chain: &[Vec<u8>]) -> Option<u32> {
    let dir = tempfile::tempdir().unwrap();
    let mut command = openssl().unwrap();
    command.args(["verify", "-x509_strict", "-attime", &NOW.to_string(), "-CAfile"]).arg(pem(dir.path(), "anchor", &[anchor.to_vec()]));
    if chain.len() > 1 {
        command.arg("-untrusted").arg(pem(dir.path(), "untrusted", &chain[1..]));
    }
    let output = command.arg(pem(dir.path(), "leaf", &chain[..1])).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return None;
    }
    let number = said.split("error ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|number| number.parse().ok());
    Some(number.unwrap_or_else(|| panic!("no error number in {said}")))
}

#[test]
fn openssl_agrees() {
    if openssl().is_none() {
        return;
    }
    for key in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048] {
        let hierarchy = hierarchy(key, 1);
        for identity in ["west.example", "user@west.example", "192.0.2.1", "2001:db8::1", "CN=west,O=faultlab"] {
            let credentials = hierarchy.issue(identity, None);
            assert_eq!(verify(&hierarchy.anchor(), &credentials.certificates), None, "{key:?} {identity}");
        }
    }
}

/// The numbers are X509_V_ERR_… of OpenSSL's x509_vfy.h.
#[test]
fn openssl_sees_the_flaws() {
    if openssl().is_none() {
        return;
    }
    let hierarchy = hierarchy(KeyType::EcdsaP256, 2);
    for (flaw, errors) in [
        (Flaw::Expired, &[10][..]),
        (Flaw::NotYetValid, &[9]),
        (Flaw::UnknownAuthority, &[20]),
        // The key identifiers differ, so that OpenSSL does not come to the signature.
        (Flaw::ImpostorAuthority, &[7, 20]),
        (Flaw::IntermediateExpired, &[10]),
        (Flaw::IntermediateNotAuthority, &[24, 79]),
        (Flaw::IntermediatesMissing, &[20]),
    ] {
        let chain = hierarchy.issue("west.example", Some(flaw)).certificates;
        let error = verify(&hierarchy.anchor(), &chain);
        assert!(error.is_some_and(|error| errors.contains(&error)), "{flaw:?}: {error:?}");
    }
    for flaw in [Flaw::OtherIdentity, Flaw::NoSubjectAltName, Flaw::NotForIke] {
        assert_eq!(verify(&hierarchy.anchor(), &hierarchy.issue("west.example", Some(flaw)).certificates), None, "{flaw:?}");
    }
}

/// `openssl x509 -text` of a leaf, and `openssl pkey` of its key.
#[test]
fn openssl_reads_what_is_in_it() {
    if openssl().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let text = |key: KeyType, identity: &str, flaw: Option<Flaw>| {
        let credentials = hierarchy(key, 0).issue(identity, flaw);
        let path = dir.path().join("key.der");
        std::fs::write(&path, &credentials.private_key).unwrap();
        let public = openssl().unwrap().args(["pkey", "-inform", "DER", "-pubout", "-in"]).arg(&path).output().unwrap();
        let leaf = pem(dir.path(), "leaf", &credentials.certificates[..1]);
        let in_certificate = openssl().unwrap().args(["x509", "-noout", "-pubkey", "-in"]).arg(&leaf).output().unwrap();
        assert!(public.status.success() && !public.stdout.is_empty());
        assert_eq!(public.stdout, in_certificate.stdout);
        String::from_utf8(openssl().unwrap().args(["x509", "-noout", "-text", "-in"]).arg(&leaf).output().unwrap().stdout).unwrap()
    };
    let good = text(KeyType::Rsa2048, "west.example", None);
    for part in [
        "DNS:west.example",
        "ipsec Internet Key Exchange",
        "sha256WithRSAEncryption",
        "CA:FALSE",
        "Digital Signature",
        "Dec 31 00:00:00 2025 GMT",
    ] {
        assert!(good.contains(part), "{part} in {good}");
    }
    assert!(text(KeyType::Rsa1024, "west.example", Some(Flaw::Sha1)).contains("sha1WithRSAEncryption"));
    assert!(text(KeyType::EcdsaP256, "192.0.2.1", None).contains("IP Address:192.0.2.1"));
    assert!(text(KeyType::EcdsaP384, "a@example", None).contains("email:a@example"));
    assert!(text(KeyType::EcdsaP256, "west.example", Some(Flaw::OtherIdentity)).contains("DNS:somebody-else.example"));
    let named = text(KeyType::EcdsaP256, "CN=west,O=faultlab", None);
    // OpenSSL 3.0 writes `O = faultlab`, 3.5 `O=faultlab`.
    assert!(named.replace(" = ", "=").contains("Subject: O=faultlab, CN=west") && !named.contains("Alternative"), "{named}");
    assert!(text(KeyType::EcdsaP256, "west.example", Some(Flaw::NotForIke)).contains("Code Signing"));
}
