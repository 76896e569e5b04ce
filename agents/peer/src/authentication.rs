//! How the two sides of a connection prove who they are.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// A way of proving an identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMethod {
    /// Pre-shared key (RFC 7296 §2.15).
    #[default]
    Psk,
    /// X.509 certificate: RSA or ECDSA, with RFC 7427 signatures where both sides know them.
    Certificate,
    /// EAP-MSCHAPv2 (RFC 7296 §2.16); the other side must use a certificate or a pre-shared key.
    EapMschapv2,
    /// EAP-MD5 (RFC 3748 §5.4).
    EapMd5,
}

impl AuthMethod {
    /// Is it an EAP method?
    pub fn is_eap(self) -> bool {
        matches!(self, AuthMethod::EapMschapv2 | AuthMethod::EapMd5)
    }
}

/// Everything about authentication of one connection, beside identities and the pre-shared key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// How this side proves itself.
    pub own: AuthMethod,
    /// How the peer must prove itself.
    pub peer: AuthMethod,
    /// Own certificate first, then the intermediate ones that are sent with it; DER.
    pub certificates: Vec<Vec<u8>>,
    /// Private key of the own certificate; PKCS#8, DER.
    #[serde(with = "crate::secret_in_settings")]
    pub private_key: Secret<Vec<u8>>,
    /// Authorities that are trusted; DER.
    pub anchors: Vec<Vec<u8>>,
    /// Certificates, DER, that help to build a chain but are not trusted by themselves.
    pub untrusted: Vec<Vec<u8>>,
    /// EAP: own login as a client, or the only login that is accepted as a server.
    pub eap: Option<EapLogin>,
}

/// A user of EAP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EapLogin {
    /// EAP identity.
    pub user: String,
    /// Password.
    #[serde(with = "crate::secret_in_settings")]
    pub password: Secret,
}
