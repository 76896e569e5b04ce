//! Certificates as a scenario describes them. They come into being when a side begins: their dates count from there.

use std::collections::BTreeMap;

use peer::AuthMethod;
use serde::{Deserialize, Serialize};

use crate::schema::{Args, Kind, Param};

/// The authority of gateways that name none.
pub const COMMON_CA: &str = "lab";

const DAY: i64 = 86_400;

/// `certificate = { … }` of a gateway.
pub const CERTIFICATE: &[Param] = &[
    Param::optional(
        "key",
        Kind::Word(&["rsa1024", "rsa2048", "rsa3072", "rsa4096", "ecdsa256", "ecdsa384"]),
        "kind of its key, and of its authorities'; default `ecdsa256`",
    ),
    Param::optional("valid-from", Kind::Offset, "notBefore, counted from the beginning of the side; default `-1d`"),
    Param::optional("valid-for", Kind::Lifespan, "from notBefore to notAfter; default `365d`"),
    Param::optional(
        "id",
        Kind::Text,
        "subjectAltName (or, with `=` in it, subject): a domain name, `user@domain` or an address; default: the gateway's `id`",
    ),
    Param::optional("ca", Kind::Text, "the authority at the top, which comes into being by being named; default `lab`"),
    Param::optional("intermediates", Kind::Int(0, 3), "authorities between that one and the certificate; default 0"),
    Param::optional("send-intermediates", Kind::Bool, "their certificates are sent along; default true"),
];

/// Kind and size of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateKey {
    /// RSA, 1024 bits.
    Rsa1024,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// ECDSA over P-256.
    #[default]
    Ecdsa256,
    /// ECDSA over P-384.
    Ecdsa384,
}

impl CertificateKey {
    /// Its word in scenarios.
    pub fn word(self) -> &'static str {
        match self {
            CertificateKey::Rsa1024 => "rsa1024",
            CertificateKey::Rsa2048 => "rsa2048",
            CertificateKey::Rsa3072 => "rsa3072",
            CertificateKey::Rsa4096 => "rsa4096",
            CertificateKey::Ecdsa256 => "ecdsa256",
            CertificateKey::Ecdsa384 => "ecdsa384",
        }
    }

    fn of(word: &str) -> Option<CertificateKey> {
        use CertificateKey::*;
        [Rsa1024, Rsa2048, Rsa3072, Rsa4096, Ecdsa256, Ecdsa384].into_iter().find(|k| k.word() == word)
    }
}

/// A certificate that is to be issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Kind of its key and of its authorities'.
    pub key: CertificateKey,
    /// notBefore, seconds from the beginning of the side.
    pub valid_from: i64,
    /// From notBefore to notAfter, seconds.
    pub valid_for: i64,
    /// The identity that it names.
    pub id: String,
    /// Name of the authority at the top.
    pub ca: String,
    /// How many authorities there are in between.
    pub intermediates: u8,
    /// Their certificates are sent.
    pub send_intermediates: bool,
}

impl Certificate {
    /// From checked settings.
    pub(super) fn of(args: Option<&Args>, id: &str) -> Certificate {
        let none = Args::default();
        let args = args.unwrap_or(&none);
        Certificate {
            key: args.text("key").and_then(CertificateKey::of).unwrap_or_default(),
            valid_from: args.offset("valid-from").unwrap_or(-DAY),
            valid_for: args.offset("valid-for").unwrap_or(365 * DAY),
            id: args.text("id").unwrap_or(id).to_owned(),
            ca: ca(Some(args)),
            intermediates: args.int("intermediates").and_then(|n| u8::try_from(n).ok()).unwrap_or(0),
            send_intermediates: args.get("send-intermediates").is_none_or(|_| args.flag("send-intermediates")),
        }
    }
}

/// Name of the authority that `certificate` names.
pub(super) fn ca(certificate: Option<&Args>) -> String {
    certificate.and_then(|c| c.text("ca")).unwrap_or(COMMON_CA).to_owned()
}

/// What a gateway gets when a side begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// Its own certificate; `None`: it proves itself otherwise.
    pub own: Option<Certificate>,
    /// Names of the authorities that it trusts, by connection; absent: the peer proves itself otherwise.
    pub trust: BTreeMap<String, Vec<String>>,
}

/// Which certificates a gateway needs: `methods` are its own and, by connection and with the peer's settings, the peers'.
pub(super) fn certificates(own: &Args, id: &str, method: AuthMethod, peers: &[(String, AuthMethod, &Args)]) -> Certificates {
    let said: Option<Vec<String>> = own.get("trust").map(|_| own.texts("trust").into_iter().map(str::to_owned).collect());
    let trusted = |peer: &Args| said.clone().unwrap_or_else(|| vec![ca(peer.table("certificate"))]);
    Certificates {
        own: (method == AuthMethod::Certificate).then(|| Certificate::of(own.table("certificate"), id)),
        trust: peers
            .iter()
            .filter(|(_, method, _)| *method == AuthMethod::Certificate)
            .map(|(connection, _, peer)| (connection.clone(), trusted(peer)))
            .collect(),
    }
}
