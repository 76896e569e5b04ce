//! Certificates: chain validation (RFC 5280 §6) as IKE wants it (RFC 4945), and what CERT and CERTREQ payloads need.
//!
//! rustls-webpki builds and checks the chain, with the signatures of [`super::sign`]; here are the rules of IKE, and the words for what
//! is wrong.

mod algorithms;
mod error;
mod explain;
mod identity;
#[cfg(test)]
mod tests;

use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha1::{Digest, Sha1};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::name::Name;

use super::sign::PublicKey;
pub use error::CertError;
pub use identity::distinguished_name;

/// What a good chain proves.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// The key that must have signed the AUTH payload.
    pub public_key: PublicKey,
    /// Subject of the first certificate, as RFC 4514 writes it.
    pub subject: String,
}

/// Checks the certificates that a peer sent, and whose they are.
///
/// `chain` has the peer's own certificate first; the others, and `untrusted`, may come in any order, and unneeded ones are ignored.
/// `anchors` are trusted: authorities, or the peer's very certificate. All are DER. `wall` is the date, seconds since 1970; anchors
/// expire, too. `want_id` is type and data of the ID payload that the certificate must bear out (RFC 4945 §3.1); `None`: any.
/// Revocation is not looked at.
pub fn validate(
    chain: &[Vec<u8>],
    anchors: &[Vec<u8>],
    untrusted: &[Vec<u8>],
    wall: i64,
    want_id: Option<(u8, &[u8])>,
) -> Result<Validated, CertError> {
    let (own, others) = chain.split_first().ok_or(CertError::None)?;
    let leaf = parse(own).map_err(|reason| CertError::Unreadable { which: "the peer's certificate".into(), reason })?;
    let path = Path { own, others: others.iter().chain(untrusted).collect(), anchors };
    if anchors.contains(own) {
        check_validity(&leaf, wall)?;
    } else {
        path.check(wall).map_err(|error| path.explain(&leaf, error))?;
    }
    let subject = printable(leaf.tbs_certificate().subject());
    if !may_sign(&leaf) {
        return Err(CertError::Purpose { subject });
    }
    if let Some((kind, data)) = want_id {
        identity::check(&leaf, kind, data)?;
    }
    let key = leaf.tbs_certificate().subject_public_key_info().to_der();
    let key = key.map_err(|e| CertError::Unreadable { which: "the peer's public key".into(), reason: e.to_string() })?;
    let public_key =
        PublicKey::from_spki_der(&key).map_err(|e| CertError::KeyUnsupported { subject: subject.clone(), reason: e.to_string() })?;
    Ok(Validated { public_key, subject })
}

/// Hash of an authority's public key for CERTREQ payloads (RFC 7296 §3.7): SHA-1 of the SubjectPublicKeyInfo. `None`: unreadable.
pub fn cert_request_hash(anchor: &[u8]) -> Option<[u8; 20]> {
    let key = parse(anchor).ok()?.tbs_certificate().subject_public_key_info().to_der().ok()?;
    Some(Sha1::digest(key).into())
}

/// A certificate's subject, DER: the data of an ID payload of type ID_DER_ASN1_DN. `None`: unreadable.
pub fn subject(certificate: &[u8]) -> Option<Vec<u8>> {
    parse(certificate).ok()?.tbs_certificate().subject().to_der().ok()
}

/// A name as RFC 4514 writes it, fit for a terminal.
fn printable(name: &Name) -> String {
    name.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn parse(certificate: &[u8]) -> Result<Certificate, String> {
    Certificate::from_der(certificate).map_err(|e| e.to_string())
}

/// What a chain is looked for in.
struct Path<'a> {
    own: &'a [u8],
    others: Vec<&'a Vec<u8>>,
    anchors: &'a [Vec<u8>],
}

/// An error, with the number of the anchor that cannot even be read.
enum PathError {
    Anchor(usize, webpki::Error),
    Path(webpki::Error),
}

impl Path<'_> {
    fn check(&self, wall: i64) -> Result<(), PathError> {
        let ders: Vec<CertificateDer> = self.anchors.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let mut anchors: Vec<TrustAnchor> = Vec::new();
        for (n, der) in ders.iter().enumerate() {
            anchors.push(webpki::anchor_from_trusted_cert(der).map_err(|e| PathError::Anchor(n, e))?);
        }
        let own = CertificateDer::from(self.own);
        let own = EndEntityCert::try_from(&own).map_err(PathError::Path)?;
        let others: Vec<CertificateDer> = self.others.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(wall.try_into().unwrap_or(0)));

        // What webpki leaves open: the anchor's dates, and who may issue.
        let also = |path: &VerifiedPath<'_>| -> Result<(), webpki::Error> {
            let anchor = anchors.iter().position(|anchor| std::ptr::eq(anchor, path.anchor()));
            let anchor = anchor.and_then(|n| parse(&self.anchors[n]).ok()).ok_or(webpki::Error::BadDer)?;
            let intermediates = path.intermediate_certificates().map(|cert| parse(&cert.der()).map_err(|_| webpki::Error::BadDer));
            for issuer in intermediates.chain([Ok(anchor.clone())]) {
                if !may_issue(&issuer?) {
                    return Err(webpki::Error::EndEntityUsedAsCa);
                }
            }
            check_validity(&anchor, wall).map_err(|error| match error {
                CertError::NotYetValid { not_before, .. } => webpki::Error::CertNotValidYet { time: now, not_before: unix(not_before) },
                CertError::Expired { not_after, .. } => webpki::Error::CertExpired { time: now, not_after: unix(not_after) },
                _ => webpki::Error::BadDerTime,
            })
        };
        own.verify_for_usage(&algorithms::ALL, &anchors, &others, now, ForIke, None, Some(&also)).map_err(PathError::Path)?;
        Ok(())
    }
}

fn unix(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap_or(0)))
}

/// Dates of a certificate, seconds since 1970.
fn dates(certificate: &Certificate) -> (i64, i64) {
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs().try_into().unwrap_or(i64::MAX);
    (seconds(validity.not_before), seconds(validity.not_after))
}

fn check_validity(certificate: &Certificate, wall: i64) -> Result<(), CertError> {
    let subject = || printable(certificate.tbs_certificate().subject());
    let (not_before, not_after) = dates(certificate);
    if wall < not_before {
        return Err(CertError::NotYetValid { subject: subject(), not_before });
    }
    if wall > not_after {
        return Err(CertError::Expired { subject: subject(), not_after });
    }
    Ok(())
}

/// RFC 5280 §6.1.4 (k) and (n). A version 1 certificate cannot say, and only anchors are of that version.
fn may_issue(certificate: &Certificate) -> bool {
    let tbs = certificate.tbs_certificate();
    let authority = match tbs.get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        Ok(None) => tbs.version() == x509_cert::certificate::Version::V1,
        Err(_) => false,
    };
    authority && usage_allows(certificate, KeyUsage::key_cert_sign)
}

/// RFC 4945 §5.1.3.2: digitalSignature or nonRepudiation, if anything is said.
fn may_sign(certificate: &Certificate) -> bool {
    usage_allows(certificate, |usage| usage.digital_signature() || usage.non_repudiation())
}

fn usage_allows(certificate: &Certificate, allows: impl Fn(&KeyUsage) -> bool) -> bool {
    match certificate.tbs_certificate().get_extension::<KeyUsage>() {
        Ok(Some((_, usage))) => allows(&usage),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Extended key usage, where there is one (RFC 4945 §5.1.3.12): IKE's own purposes or any; TLS's, too, since many products ask their
/// users for those instead.
struct ForIke;

const PURPOSES: [&[u8]; 5] = [
    &[0x2b, 6, 1, 5, 5, 7, 3, 17], // id-kp-ipsecIKE
    &[0x2b, 6, 1, 5, 5, 8, 2, 2],  // iKEIntermediate
    &[0x55, 0x1d, 0x25, 0],        // anyExtendedKeyUsage
    &[0x2b, 6, 1, 5, 5, 7, 3, 1],  // id-kp-serverAuth
    &[0x2b, 6, 1, 5, 5, 7, 3, 2],  // id-kp-clientAuth
];

impl ExtendedKeyUsageValidator for ForIke {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        for purpose in purposes {
            let purpose = purpose?;
            if PURPOSES.iter().any(|known| webpki::KeyPurposeId::new(known) == purpose) {
                return Ok(());
            }
            present.push(purpose.to_decoded_oid());
        }
        if present.is_empty() {
            return Ok(());
        }
        let required = webpki::KeyUsage::required(PURPOSES[0]);
        Err(webpki::Error::RequiredEkuNotFoundContext(webpki::RequiredEkuNotFoundContext { required, present }))
    }
}
