//! Whether a certificate is for an identity (RFC 4945 §3.1).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::{Any, Decode, Encode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use super::{CertError, printable};

/// A distinguished name as RFC 4514 writes it (`CN=west,O=faultlab`), in DER: the data of an ID payload of type ID_DER_ASN1_DN.
/// `None`: it is none.
pub fn distinguished_name(text: &str) -> Option<Vec<u8>> {
    Name::from_str(text).ok()?.to_der().ok()
}

/// Does the certificate bear out type and data of an ID payload?
pub(super) fn check(certificate: &Certificate, kind: u8, data: &[u8]) -> Result<(), CertError> {
    let subject = certificate.tbs_certificate().subject();
    let names = match certificate.tbs_certificate().get_extension::<SubjectAltName>() {
        Ok(Some((_, names))) => names.0,
        _ => Vec::new(),
    };
    let found = match kind {
        DER_ASN1_DN => Name::from_der(data).is_ok_and(|name| same_name(subject, &name)),
        DER_ASN1_GN => names.iter().any(|name| name.to_der().is_ok_and(|der| der == data)),
        _ => names.iter().any(|name| bears_out(name, kind, data)),
    };
    if found {
        return Ok(());
    }
    Err(CertError::OtherIdentity { subject: printable(subject), wanted: text(kind, data), has: names.iter().map(name_text).collect() })
}

const IPV4_ADDR: u8 = 1;
const FQDN: u8 = 2;
const RFC822_ADDR: u8 = 3;
const IPV6_ADDR: u8 = 5;
const DER_ASN1_DN: u8 = 9;
const DER_ASN1_GN: u8 = 10;

fn bears_out(name: &GeneralName, kind: u8, data: &[u8]) -> bool {
    match (name, kind) {
        (GeneralName::IpAddress(address), IPV4_ADDR | IPV6_ADDR) => address.as_bytes() == data,
        // Without wildcards (RFC 4945 §3.1.2 wants the names equal).
        (GeneralName::DnsName(name), FQDN) => name.as_bytes().eq_ignore_ascii_case(data),
        (GeneralName::Rfc822Name(name), RFC822_ADDR) => same_mailbox(name.as_bytes(), data),
        _ => false,
    }
}

/// Letters of the domain, but not of the local part, may differ in case.
fn same_mailbox(one: &[u8], other: &[u8]) -> bool {
    let split = |mailbox: &[u8]| mailbox.iter().rposition(|octet| *octet == b'@').unwrap_or(mailbox.len());
    let (one, other) = (one.split_at(split(one)), other.split_at(split(other)));
    one.0 == other.0 && one.1.eq_ignore_ascii_case(other.1)
}

/// RFC 5280 §7.1, roughly: strings are the same in any encoding, case and number of spaces.
fn same_name(one: &Name, other: &Name) -> bool {
    let rdns = |name: &Name| name.iter_rdn().map(|rdn| rdn.iter().cloned().collect::<Vec<_>>()).collect::<Vec<_>>();
    let (one, other) = (rdns(one), rdns(other));
    let same_rdn = |one: &Vec<AttributeTypeAndValue>, other: &Vec<AttributeTypeAndValue>| {
        one.len() == other.len() && one.iter().all(|a| other.iter().any(|b| same_attribute(a, b)))
    };
    one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| same_rdn(one, other))
}

fn same_attribute(one: &AttributeTypeAndValue, other: &AttributeTypeAndValue) -> bool {
    let same_value = match (string(&one.value), string(&other.value)) {
        (Some(one), Some(other)) => folded(&one) == folded(&other),
        _ => one.value == other.value,
    };
    one.oid == other.oid && same_value
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn string(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|s| s.as_str().to_owned()),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok().map(|s| s.as_str().to_owned()),
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok().map(|s| s.as_str().to_owned()),
        Tag::TeletexString => value.decode_as::<TeletexStringRef<'_>>().ok().map(|s| s.as_str().to_owned()),
        _ => None,
    }
}

/// An ID payload, for people.
fn text(kind: u8, data: &[u8]) -> String {
    match (kind, data.len()) {
        (IPV4_ADDR, 4) => <[u8; 4]>::try_from(data).map(|octets| Ipv4Addr::from(octets).to_string()).unwrap_or_default(),
        (IPV6_ADDR, 16) => <[u8; 16]>::try_from(data).map(|octets| Ipv6Addr::from(octets).to_string()).unwrap_or_default(),
        (FQDN | RFC822_ADDR, _) => String::from_utf8_lossy(data).escape_default().to_string(),
        (DER_ASN1_DN, _) => Name::from_der(data).map_or_else(|_| "an unreadable distinguished name".into(), |name| printable(&name)),
        _ => format!("an identity of type {kind}"),
    }
}

fn name_text(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) | GeneralName::Rfc822Name(name) | GeneralName::UniformResourceIdentifier(name) => {
            name.as_str().escape_default().to_string()
        }
        GeneralName::IpAddress(address) => match address.as_bytes().len() {
            4 => text(IPV4_ADDR, address.as_bytes()),
            16 => text(IPV6_ADDR, address.as_bytes()),
            n => format!("an address of {n} octets"),
        },
        GeneralName::DirectoryName(name) => printable(name),
        _ => "a name of another kind".into(),
    }
}
