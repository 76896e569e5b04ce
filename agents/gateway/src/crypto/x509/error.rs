//! What can be wrong with a chain, in words.

use std::time::Duration;

use thiserror::Error;
use x509_cert::der::DateTime;

/// Why a peer's certificates are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertError {
    /// The peer sent no certificate.
    #[error("the peer sent no certificate")]
    None,
    /// Not a certificate.
    #[error("{which} is unreadable: {reason}")]
    Unreadable {
        /// Which one, in words.
        which: String,
        /// What the parser says.
        reason: String,
    },
    /// Its time is over.
    #[error("the certificate of `{subject}` expired on {}", date(.not_after))]
    Expired {
        /// Whose.
        subject: String,
        /// Seconds since 1970.
        not_after: i64,
    },
    /// Its time has not come.
    #[error("the certificate of `{subject}` is not valid before {}", date(.not_before))]
    NotYetValid {
        /// Whose.
        subject: String,
        /// Seconds since 1970.
        not_before: i64,
    },
    /// No way to an authority that is trusted.
    #[error("`{issuer}`, who issued the certificate of `{subject}`, is not known")]
    UnknownIssuer {
        /// Last certificate that there was.
        subject: String,
        /// Who should have come next.
        issuer: String,
    },
    /// Someone of the right name did not sign it.
    #[error("a certificate between `{subject}` and the trusted authority was not signed by the issuer that it names")]
    BadSignature {
        /// The peer's subject.
        subject: String,
    },
    /// A certificate issued another, which it must not (RFC 5280 §4.2.1.9).
    #[error("`{subject}` is not an authority, but issued a certificate")]
    NotAnAuthority {
        /// Whose certificate.
        subject: String,
    },
    /// keyUsage or extKeyUsage forbid it (RFC 4945 §5.1.3).
    #[error("the certificate of `{subject}` is not meant for IKE")]
    Purpose {
        /// The peer's subject.
        subject: String,
    },
    /// The certificate is good, but someone else's (RFC 4945 §3.1).
    #[error("the certificate of `{subject}` is not for `{wanted}`, but for {}", list(.has))]
    OtherIdentity {
        /// The peer's subject.
        subject: String,
        /// The identity, in words.
        wanted: String,
        /// Names in subjectAltName.
        has: Vec<String>,
    },
    /// Key or signature algorithm that nobody here can use.
    #[error("the certificate of `{subject}` cannot be used: {reason}")]
    KeyUnsupported {
        /// Whose.
        subject: String,
        /// What is not supported.
        reason: String,
    },
    /// Another rule of RFC 5280.
    #[error("the certificate chain of `{subject}` breaks a rule: {rule}")]
    Refused {
        /// The peer's subject.
        subject: String,
        /// Which rule.
        rule: String,
    },
}

fn date(seconds: &i64) -> String {
    let since_1970 = Duration::from_secs((*seconds).try_into().unwrap_or(0));
    DateTime::from_unix_duration(since_1970).map_or_else(|_| format!("second {seconds} since 1970"), |date| date.to_string())
}

fn list(names: &[String]) -> String {
    match names {
        [] => "no name at all".into(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}
