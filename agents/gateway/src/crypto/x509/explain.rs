//! Which certificate it was: webpki tells only what is wrong.

use webpki::Error;
use x509_cert::Certificate;

use super::{CertError, Path, PathError, dates, may_issue, parse, printable};

impl Path<'_> {
    pub(super) fn explain(&self, leaf: &Certificate, error: PathError) -> CertError {
        let error = match error {
            PathError::Anchor(n, error) => {
                return CertError::Unreadable { which: format!("trusted authority {}", n + 1), reason: error.to_string() };
            }
            PathError::Path(error) => error,
        };
        let subject = name(leaf);
        let issuers = self.issuers(leaf);
        // A certificate on the way for which something holds, or else the peer's.
        let whose = |holds: &dyn Fn(&Certificate) -> bool| {
            std::iter::once(leaf).chain(&issuers).find(|certificate| holds(certificate)).map_or_else(|| subject.clone(), name)
        };
        match error {
            Error::CertExpired { not_after, .. } => {
                let not_after = seconds(not_after.as_secs());
                CertError::Expired { subject: whose(&|certificate| dates(certificate).1 == not_after), not_after }
            }
            Error::CertNotValidYet { not_before, .. } => {
                let not_before = seconds(not_before.as_secs());
                CertError::NotYetValid { subject: whose(&|certificate| dates(certificate).0 == not_before), not_before }
            }
            Error::UnknownIssuer => {
                let last = issuers.last().unwrap_or(leaf);
                CertError::UnknownIssuer { subject: name(last), issuer: printable(last.tbs_certificate().issuer()) }
            }
            Error::InvalidSignatureForPublicKey => CertError::BadSignature { subject },
            Error::EndEntityUsedAsCa => {
                let culprit = issuers.iter().find(|certificate| !may_issue(certificate));
                CertError::NotAnAuthority { subject: culprit.map_or(subject, name) }
            }
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => CertError::Purpose { subject },
            Error::UnsupportedSignatureAlgorithmContext(_) => {
                CertError::KeyUnsupported { subject, reason: "it, or one above it, is signed with an unknown algorithm".into() }
            }
            Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                CertError::KeyUnsupported { subject, reason: "the issuer's key is of another kind than the signature, or unknown".into() }
            }
            Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => {
                CertError::Unreadable { which: format!("the certificate chain of `{subject}`"), reason: error.to_string() }
            }
            Error::CaUsedAsEndEntity => CertError::Refused { subject, rule: "an authority's certificate is no gateway's".into() },
            Error::PathLenConstraintViolated => CertError::Refused { subject, rule: "more intermediate authorities than allowed".into() },
            Error::NameConstraintViolation => CertError::Refused { subject, rule: "an authority must not issue for this name".into() },
            Error::UnsupportedCertVersion => CertError::Refused { subject, rule: "a certificate is not of version 3".into() },
            Error::UnsupportedCriticalExtension => CertError::Refused { subject, rule: "a critical extension is not known here".into() },
            other => CertError::Refused { subject, rule: other.to_string() },
        }
    }

    /// The certificates above `leaf`, by name only; at most one anchor, at the end.
    fn issuers(&self, leaf: &Certificate) -> Vec<Certificate> {
        let others: Vec<Certificate> = self.others.iter().filter_map(|der| parse(der).ok()).collect();
        let anchors: Vec<Certificate> = self.anchors.iter().filter_map(|der| parse(der).ok()).collect();
        let mut way: Vec<Certificate> = Vec::new();
        loop {
            let last = way.last().unwrap_or(leaf);
            let issued = |candidate: &&Certificate| candidate.tbs_certificate().subject() == last.tbs_certificate().issuer();
            if let Some(anchor) = anchors.iter().find(issued) {
                way.push(anchor.clone());
                return way;
            }
            match others.iter().find(|candidate| issued(candidate) && !way.contains(candidate) && *candidate != leaf) {
                Some(next) => way.push(next.clone()),
                None => return way,
            }
        }
    }
}

fn name(certificate: &Certificate) -> String {
    printable(certificate.tbs_certificate().subject())
}

fn seconds(seconds: u64) -> i64 {
    seconds.try_into().unwrap_or(i64::MAX)
}
