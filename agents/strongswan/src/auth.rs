//! Who proves what to whom, in VICI's words (`load-conn`'s `local` and `remote`, `load-cert`, `load-key`, `load-shared`).

use std::collections::BTreeSet;

use peer::{Accepted, AuthMethod, Connection, DriverError, GatewayConfig};
use serde::{Serialize, Serializer};

use crate::daemon::Daemon;
use crate::load::one;

/// Octets as they are: VICI's values need not be text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Der<'a>(&'a [u8]);

impl Serialize for Der<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// `local` or `remote` of a connection.
#[derive(Serialize)]
pub(crate) struct Auth<'a> {
    auth: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    eap_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certs: Vec<Der<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cacerts: Vec<Der<'a>>,
}

/// How this side proves itself.
pub(crate) fn local(c: &Connection) -> Auth<'_> {
    let own = c.auth.own;
    Auth {
        auth: word(own),
        id: &c.local_id,
        eap_id: c.auth.eap.as_ref().filter(|_| own.is_eap()).map(|login| login.user.as_str()),
        certs: c.auth.certificates.first().filter(|_| own == AuthMethod::Certificate).map(|der| Der(der)).into_iter().collect(),
        cacerts: Vec::new(),
    }
}

/// How the peer must prove itself.
pub(crate) fn remote(c: &Connection) -> Auth<'_> {
    let peer = c.auth.peer;
    Auth {
        auth: word(peer),
        id: &c.remote_id,
        // Any user is asked for a name; only one has a password.
        eap_id: peer.is_eap().then_some("%any"),
        certs: Vec::new(),
        cacerts: c.auth.anchors.iter().filter(|_| peer == AuthMethod::Certificate).map(|der| Der(der)).collect(),
    }
}

fn word(method: AuthMethod) -> &'static str {
    match method {
        AuthMethod::Psk => "psk",
        AuthMethod::Certificate => "pubkey",
        AuthMethod::EapMschapv2 => "eap-mschapv2",
        AuthMethod::EapMd5 => "eap-md5",
    }
}

#[derive(Serialize)]
struct Shared<'a> {
    id: String,
    r#type: &'static str,
    data: &'a str,
    owners: Vec<&'a str>,
}

#[derive(Serialize)]
struct Certificate<'a> {
    r#type: &'static str,
    flag: &'static str,
    data: Der<'a>,
}

#[derive(Serialize)]
struct Key<'a> {
    r#type: &'static str,
    data: Der<'a>,
}

/// Loads everything that connections prove themselves with.
pub(crate) async fn load(daemon: &Daemon, config: &GatewayConfig) -> Result<Vec<Accepted>, DriverError> {
    let mut accepted = Vec::new();
    for c in &config.connections {
        let mut owners = vec![c.local_id.as_str()];
        if c.remote_id != c.local_id {
            owners.push(&c.remote_id);
        }
        let shared = Shared { id: format!("psk-{}", c.name), r#type: "IKE", data: c.psk.expose(), owners };
        accepted.push(one(daemon, "load-shared", &format!("secret of {}", c.name), &shared, String::new()).await?);
        if let Some(login) = &c.auth.eap {
            let shared = Shared { id: format!("eap-{}", c.name), r#type: "EAP", data: login.password.expose(), owners: vec![&login.user] };
            accepted.push(one(daemon, "load-shared", &format!("EAP password of {}", c.name), &shared, String::new()).await?);
        }
    }
    // charon keeps certificates and keys for all connections together.
    let auths = || config.connections.iter().map(|c| &c.auth);
    let anchors: BTreeSet<Der<'_>> = auths().flat_map(|a| &a.anchors).map(|der| Der(der)).collect();
    // A certificate that somebody else signed is no anchor by being there: charon trusts only what has signed itself.
    let others: BTreeSet<Der<'_>> = auths().flat_map(|a| a.certificates.iter().chain(&a.untrusted)).map(|der| Der(der)).collect();
    let keys: BTreeSet<Der<'_>> = auths().map(|a| a.private_key.expose()).filter(|der| !der.is_empty()).map(|der| Der(der)).collect();
    for (flag, what, certificates) in [("CA", "trusted authority", anchors), ("NONE", "certificate", others)] {
        for (n, data) in (1..).zip(certificates) {
            let certificate = Certificate { r#type: "X509", flag, data };
            accepted.push(one(daemon, "load-cert", &format!("{what} {n}"), &certificate, String::new()).await?);
        }
    }
    for (n, data) in (1..).zip(keys) {
        accepted.push(one(daemon, "load-key", &format!("private key {n}"), &Key { r#type: "any", data }, String::new()).await?);
    }
    Ok(accepted)
}
