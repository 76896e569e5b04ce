//! Anything at all instead of certificates.

use proptest::prelude::*;

use super::*;

#[test]
fn nothing() {
    assert_eq!(validate(&[], &[hierarchy(0).anchor()], &[], NOW, None), Err(CertError::None));
    let chain = hierarchy(0).issue("west.example", None).certificates;
    assert!(matches!(validate(&chain, &[], &[], NOW, None), Err(CertError::UnknownIssuer { .. })));
    assert!(matches!(validate(&[Vec::new()], &[hierarchy(0).anchor()], &[], NOW, None), Err(CertError::Unreadable { .. })));
    let error = validate(&chain, &[hierarchy(0).anchor(), b"x".to_vec()], &[], NOW, None).unwrap_err();
    assert!(error.to_string().starts_with("trusted authority 2 is unreadable"), "{error}");
}

/// Authorities that issue each other: no end, and no answer.
#[test]
fn a_circle() {
    let hold = (NOW - DAY, NOW + DAY);
    let mut rng = pki::Rng::new(&[5; 32], "circle");
    let a = Authority::root(&template("CN=a", hold, true), &mut rng);
    let b = Authority::root(&template("CN=b", hold, true), &mut rng);
    let (a_by_b, b_by_a) = (b.subordinate(&template("CN=a", hold, true), &mut rng), a.subordinate(&template("CN=b", hold, true), &mut rng));
    let leaf = a_by_b.issue(&template("CN=leaf", hold, false), &mut rng).certificate;
    let chain = [leaf, a_by_b.certificate().to_vec(), b_by_a.certificate().to_vec()];
    assert!(validate(&chain, &[hierarchy(0).anchor()], &[], NOW, None).is_err());
}

/// Many certificates of the same names, as an attacker would send them: the work has a limit.
#[test]
fn many_candidates() {
    let hold = (NOW - DAY, NOW + DAY);
    let mut rng = pki::Rng::new(&[6; 32], "many");
    let root = Authority::root(&template("CN=a", hold, true), &mut rng);
    let others: Vec<Vec<u8>> = (0..150).map(|_| root.subordinate(&template("CN=a", hold, true), &mut rng).certificate().to_vec()).collect();
    let leaf = root.issue(&template("CN=leaf", hold, false), &mut rng).certificate;
    let chain: Vec<Vec<u8>> = std::iter::once(leaf).chain(others).collect();
    assert!(validate(&chain, &[hierarchy(0).anchor()], &[], NOW, None).is_err());
}

/// What a terminal would obey is not printed.
#[test]
fn names_with_escape_sequences() {
    let mut rng = pki::Rng::new(&[8; 32], "names");
    let root = Authority::root(&template("CN=\u{1b}[1mroot", (NOW - DAY, NOW - 1), true), &mut rng);
    let chain = [root.issue(&template("CN=\u{9b}2Jleaf", (NOW - DAY, NOW + DAY), false), &mut rng).certificate];
    let expired = validate(&chain, &[root.certificate().to_vec()], &[], NOW, None).unwrap_err().to_string();
    let unknown = validate(&chain, &[], &[], NOW, None).unwrap_err().to_string();
    let other = validate(&chain, &chain, &[], NOW, west()).unwrap_err().to_string();
    for text in [expired, unknown, other] {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_octets(der in proptest::collection::vec(any::<u8>(), 0..400), kind: u8, id in proptest::collection::vec(any::<u8>(), 0..40)) {
        let hierarchy = hierarchy(0);
        prop_assert!(validate(std::slice::from_ref(&der), &[hierarchy.anchor()], &[], NOW, Some((kind, &id))).is_err());
        let chain = hierarchy.issue("west.example", None).certificates;
        let _ = validate(&chain, &[hierarchy.anchor()], std::slice::from_ref(&der), NOW, Some((kind, &id)));
        let _ = validate(&chain, &[der], &[], NOW, None);
    }

    /// One octet of one certificate is another: the chain breaks, unless the octet does not matter to anybody.
    #[test]
    fn bent_chains(which in 0..3usize, at: proptest::sample::Index, to: u8) {
        let hierarchy = hierarchy(1);
        let mut all = hierarchy.issue("west.example", None).certificates;
        all.push(hierarchy.anchor());
        let at = at.index(all[which].len());
        let changed = all[which][at] != to;
        all[which][at] = to;
        let anchor = all.pop().unwrap();
        let result = validate(&all, &[anchor], &[], NOW, west());
        // Nothing but the anchor's own signature is unprotected: it is trusted as it is.
        prop_assert!(result.is_err() || which == 2 || !changed, "{result:?}");
    }
}
