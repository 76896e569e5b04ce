//! Issuing certificates.

use std::str::FromStr;
use std::time::Duration;

use rsa::pkcs1v15;
use sha1::Sha1;
use sha2::Sha256;
use x509_cert::Certificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::Encode;
use x509_cert::der::asn1::{GeneralizedTime, Ia5String, ObjectIdentifier, OctetString};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoRef;
use x509_cert::time::Time;

use crate::{AltName, Key, KeyPurpose, Rng, Template, Validity};

/// A certificate with its private key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Key,
}

/// Someone who issues certificates.
#[derive(Debug, Clone)]
pub struct Authority {
    subject: Name,
    issued: Issued,
}

impl Authority {
    /// A root: it signs its own certificate.
    ///
    /// # Panics
    ///
    /// As [`Authority::issue`].
    pub fn root(template: &Template, rng: &mut Rng) -> Authority {
        let key = Key::generate(template.key, rng);
        let subject = name(&template.subject);
        let certificate = sign(template, &key, &subject, &key, rng);
        Authority { subject, issued: Issued { certificate, key } }
    }

    /// An authority below this one.
    ///
    /// # Panics
    ///
    /// As [`Authority::issue`].
    pub fn subordinate(&self, template: &Template, rng: &mut Rng) -> Authority {
        Authority { subject: name(&template.subject), issued: self.issue(template, rng) }
    }

    /// A certificate with a fresh key.
    ///
    /// # Panics
    ///
    /// If a name of the template cannot be encoded: a subject that is none, or letters that are no ASCII in a domain name.
    pub fn issue(&self, template: &Template, rng: &mut Rng) -> Issued {
        let key = Key::generate(template.key, rng);
        let certificate = sign(template, &key, &self.subject, &self.issued.key, rng);
        Issued { certificate, key }
    }

    /// Its own certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.issued.certificate
    }
}

fn sign(template: &Template, key: &Key, issuer: &Name, issuer_key: &Key, rng: &mut Rng) -> Vec<u8> {
    let mut serial = [0; 16];
    rng.fill(&mut serial);
    serial[0] = serial[0] & 0x7f | 0x40; // positive, and always as long
    let profile = Profile { template, issuer };
    let serial = SerialNumber::new(&serial).expect("16 octets");
    let builder = CertificateBuilder::new(profile, serial, validity(template.validity), key.public()).expect("valid times");
    let certificate: builder::Result<Certificate> = match issuer_key {
        Key::Rsa(key) if template.sha1 => builder.build::<_, pkcs1v15::Signature>(&pkcs1v15::SigningKey::<Sha1>::new(key.as_ref().clone())),
        Key::Rsa(key) => builder.build::<_, pkcs1v15::Signature>(&pkcs1v15::SigningKey::<Sha256>::new(key.as_ref().clone())),
        Key::EcdsaP256(key) => builder.build::<_, p256::ecdsa::DerSignature>(key),
        Key::EcdsaP384(key) => builder.build::<_, p384::ecdsa::DerSignature>(key),
    };
    certificate.and_then(|certificate| Ok(certificate.to_der()?)).expect("encodable")
}

fn name(subject: &str) -> Name {
    Name::from_str(subject).unwrap_or_else(|e| panic!("`{subject}` is no distinguished name: {e}"))
}

fn validity(validity: Validity) -> x509_cert::time::Validity {
    let time = |seconds: i64| {
        let since_1970 = Duration::from_secs(seconds.try_into().unwrap_or(0));
        Time::from(GeneralizedTime::from_unix_duration(since_1970).expect("before the year 10000"))
    };
    x509_cert::time::Validity::new(time(validity.not_before), time(validity.not_after))
}

struct Profile<'a> {
    template: &'a Template,
    issuer: &'a Name,
}

impl BuilderProfile for Profile<'_> {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        name(&self.template.subject)
    }

    fn build_extensions(
        &self,
        spk: SubjectPublicKeyInfoRef<'_>,
        issuer_spk: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let Template { ca, names, purposes, .. } = self.template;
        let mut extensions = Vec::new();
        let mut add = |extension: Result<Extension, x509_cert::der::Error>| {
            extensions.push(extension?);
            builder::Result::Ok(())
        };
        let usages = if *ca { KeyUsages::KeyCertSign | KeyUsages::CRLSign } else { KeyUsages::DigitalSignature.into() };
        add(SubjectKeyIdentifier::try_from(spk)?.to_extension(tbs.subject(), &[]))?;
        add(AuthorityKeyIdentifier::try_from(issuer_spk)?.to_extension(tbs.subject(), &[]))?;
        add(BasicConstraints { ca: *ca, path_len_constraint: None }.to_extension(tbs.subject(), &[]))?;
        add(KeyUsage(usages).to_extension(tbs.subject(), &[]))?;
        if !purposes.is_empty() {
            let oids = purposes.iter().map(|purpose| purpose_oid(*purpose)).collect();
            add(ExtendedKeyUsage(oids).to_extension(tbs.subject(), &[]))?;
        }
        if !names.is_empty() {
            let names = names.iter().map(general_name).collect::<Result<_, _>>()?;
            add(SubjectAltName(names).to_extension(tbs.subject(), &[]))?;
        }
        Ok(extensions)
    }
}

fn general_name(name: &AltName) -> Result<GeneralName, x509_cert::der::Error> {
    Ok(match name {
        AltName::Dns(name) => GeneralName::DnsName(Ia5String::new(name)?),
        AltName::Email(name) => GeneralName::Rfc822Name(Ia5String::new(name)?),
        AltName::Ip(std::net::IpAddr::V4(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
        AltName::Ip(std::net::IpAddr::V6(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
    })
}

fn purpose_oid(purpose: KeyPurpose) -> ObjectIdentifier {
    match purpose {
        KeyPurpose::ServerAuth => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
        KeyPurpose::ClientAuth => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
        KeyPurpose::CodeSigning => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3"),
        KeyPurpose::IpsecIke => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.17"),
    }
}
