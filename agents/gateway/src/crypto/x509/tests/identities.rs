//! RFC 4945 §3.1.

use super::*;

/// Does a certificate for `certified` bear out type and data of an ID payload?
fn matches(certified: &str, kind: u8, data: &[u8]) -> bool {
    let hierarchy = hierarchy(0);
    let chain = hierarchy.issue(certified, None).certificates;
    match validate(&chain, &[hierarchy.anchor()], &[], NOW, Some((kind, data))) {
        Ok(_) => true,
        Err(CertError::OtherIdentity { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn domain_names() {
    assert!(matches("west.example", 2, b"west.example"));
    assert!(matches("west.example", 2, b"West.EXAMPLE"));
    assert!(!matches("west.example", 2, b"east.example"));
    assert!(!matches("west.example", 2, b"a.west.example"));
    assert!(!matches("west.example", 2, b""));
    assert!(!matches("*.example", 2, b"west.example"));
    // The type counts: the same octets as something else.
    assert!(!matches("west.example", 3, b"west.example"));
    assert!(!matches("west.example", 11, b"west.example"));
}

#[test]
fn mailboxes() {
    assert!(matches("User@west.example", 3, b"User@WEST.example"));
    assert!(!matches("User@west.example", 3, b"user@west.example"));
    assert!(!matches("User@west.example", 3, b"User"));
    assert!(!matches("User@west.example", 2, b"User@west.example"));
}

#[test]
fn addresses() {
    assert!(matches("192.0.2.1", 1, &[192, 0, 2, 1]));
    assert!(!matches("192.0.2.1", 1, &[192, 0, 2, 2]));
    assert!(!matches("192.0.2.1", 1, &[192, 0, 2]));
    assert!(!matches("192.0.2.1", 2, b"192.0.2.1"));
    let address: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
    assert!(matches("2001:db8::1", 5, &address.octets()));
    assert!(!matches("2001:db8::1", 5, &[0; 16]));
}

#[test]
fn distinguished_names() {
    let dn = |text: &str| distinguished_name(text).unwrap();
    assert!(matches("CN=west,O=faultlab", 9, &dn("CN=west,O=faultlab")));
    assert!(matches("CN=west,O=faultlab", 9, &dn("CN=WEST,O=Faultlab")));
    assert!(matches("CN=west gate,O=faultlab", 9, &dn("CN=west  gate,O=faultlab")));
    assert!(!matches("CN=west,O=faultlab", 9, &dn("O=faultlab,CN=west")));
    assert!(!matches("CN=west,O=faultlab", 9, &dn("CN=west")));
    assert!(!matches("CN=west,O=faultlab", 9, &dn("CN=west,OU=faultlab")));
    assert!(!matches("CN=west,O=faultlab", 9, b"CN=west,O=faultlab"));
    // The subject of a certificate with other names counts, too.
    assert!(matches("west.example", 9, &dn("CN=west.example,O=faultlab")));
    // PrintableString instead of UTF8String.
    let mut printable = dn("CN=west,O=faultlab");
    let tag = printable.windows(6).position(|window| window == b"\x0c\x04west").unwrap();
    printable[tag] = 0x13;
    assert!(matches("CN=west,O=faultlab", 9, &printable));
    assert_eq!(distinguished_name("west.example"), None);
}

#[test]
fn general_names() {
    assert!(matches("west.example", 10, b"\x82\x0cwest.example"));
    assert!(!matches("west.example", 10, b"\x81\x0cwest.example"));
}

#[test]
fn what_is_wanted_is_told() {
    let hierarchy = hierarchy(0);
    let chain = hierarchy.issue("192.0.2.1", None).certificates;
    let text = |kind, data: &[u8]| validate(&chain, &[hierarchy.anchor()], &[], NOW, Some((kind, data))).unwrap_err().to_string();
    let told = |wanted: &str| format!("the certificate of `CN=192.0.2.1,O=faultlab` is not for `{wanted}`, but for `192.0.2.1`");
    assert_eq!(text(1, &[192, 0, 2, 9]), told("192.0.2.9"));
    assert_eq!(text(2, b"a\x1b[1m"), told("a\\u{1b}[1m"));
    assert_eq!(text(9, &distinguished_name("CN=x").unwrap()), told("CN=x"));
    assert_eq!(text(11, b"x"), told("an identity of type 11"));
}
