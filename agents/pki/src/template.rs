//! What is to be in a certificate.

use std::net::IpAddr;

use crate::KeyType;

/// Everything that one can choose about a certificate. Nothing is checked: a certificate may be as wrong as a scenario wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Subject as RFC 4514 writes it, most specific first: `CN=west.example,O=faultlab`.
    pub subject: String,
    /// Kind of its key.
    pub key: KeyType,
    /// When it holds.
    pub validity: Validity,
    /// subjectAltName; empty: no such extension.
    pub names: Vec<AltName>,
    /// extKeyUsage; empty: no such extension.
    pub purposes: Vec<KeyPurpose>,
    /// basicConstraints CA with keyUsage keyCertSign and cRLSign; otherwise keyUsage is digitalSignature.
    pub ca: bool,
    /// An RSA issuer signs it with SHA-1 instead of SHA-256. ECDSA issuers always use the hash that suits their curve.
    pub sha1: bool,
}

/// First and last second of validity, seconds since 1970. Dates before 1970 become 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// notBefore.
    pub not_before: i64,
    /// notAfter.
    pub not_after: i64,
}

/// A name in subjectAltName (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AltName {
    /// dNSName, for ID_FQDN.
    Dns(String),
    /// rfc822Name, for ID_RFC822_ADDR.
    Email(String),
    /// iPAddress, for ID_IPV4_ADDR and ID_IPV6_ADDR.
    Ip(IpAddr),
}

impl AltName {
    /// What an identity in the lab's notation is: an address, something with `@`, or a domain name.
    pub fn of(identity: &str) -> AltName {
        match identity.parse() {
            Ok(address) => AltName::Ip(address),
            Err(_) if identity.contains('@') => AltName::Email(identity.into()),
            Err(_) => AltName::Dns(identity.into()),
        }
    }
}

/// A purpose in extKeyUsage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// id-kp-ipsecIKE (RFC 4945 §5.1.3.12).
    IpsecIke,
    /// id-kp-serverAuth; Windows clients insist on it.
    ServerAuth,
    /// id-kp-clientAuth.
    ClientAuth,
    /// id-kp-codeSigning: nothing for IKE.
    CodeSigning,
}
