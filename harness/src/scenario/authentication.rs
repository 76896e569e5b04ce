//! Who proves what to whom: the neutral form of `auth` and the settings around it, and whether that can work.

use peer::{AuthMethod, Authentication, EapLogin, IkeMode};

use super::checked::Checked;
use super::model::Plan;
use super::walk::Walker;
use crate::schema::Args;

/// EAP password of every pair that has none of its own.
pub const COMMON_PASSWORD: &str = "faultlab-common-password";

/// A gateway's identity.
pub(super) fn default_id(settings: &Args, name: &str) -> String {
    settings.text("id").map_or_else(|| format!("{name}.example"), str::to_owned)
}

/// How a gateway proves itself.
pub(super) fn method(settings: &Args) -> AuthMethod {
    settings.text("auth").and_then(of).unwrap_or_default()
}

/// How a gateway wants its peer to prove itself.
pub(super) fn peer_method(own: &Args, peer: &Args) -> AuthMethod {
    own.text("peer-auth").and_then(of).unwrap_or_else(|| method(peer))
}

fn of(word: &str) -> Option<AuthMethod> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// Everything about authentication between two gateways, except certificates, which do not exist yet.
pub(super) fn authentication((own, name): (&Args, &str), (peer, peer_name): (&Args, &str)) -> Authentication {
    let methods = (method(own), peer_method(own, peer));
    let login = |client: &Args, client_name: &str| {
        let text = |key: &str| own.text(key).or(client.text(key)).map(str::to_owned);
        EapLogin {
            user: text("eap-user").unwrap_or_else(|| default_id(client, client_name)),
            password: own.secret("eap-password").or(client.secret("eap-password")).unwrap_or_else(|| COMMON_PASSWORD.into()),
        }
    };
    Authentication {
        own: methods.0,
        peer: methods.1,
        eap: match methods {
            (own_method, _) if own_method.is_eap() => Some(login(own, name)),
            (_, peer_method) if peer_method.is_eap() => Some(login(peer, peer_name)),
            _ => None,
        },
        ..Authentication::default()
    }
}

/// Reports what can never work, or cannot be made.
pub(super) fn doubts(walker: &mut Walker<'_>, checked: &Checked, plan: &Plan) {
    for gateway in &plan.gateways {
        let name = &gateway.config.name;
        let spans = &checked.gateway_spans;
        let at = || spans.get(name).or_else(|| spans.get("all")).unwrap_or(&checked.network_span).clone();
        for connection in &gateway.config.connections {
            let (own, peer) = (connection.auth.own, connection.auth.peer);
            if own.is_eap() && peer.is_eap() {
                let help = "the server of EAP uses \"certificate\" or \"psk\" (RFC 7296 §2.16)".to_owned();
                walker.once("eap-on-both-sides", at(), format!("{name} and {} both use EAP", connection.peer), help);
            }
            if (own.is_eap() || peer.is_eap()) && connection.ike != IkeMode::V2 {
                walker.once(
                    "eap-with-ikev1",
                    at(),
                    format!("{name} uses EAP, which IKEv1 does not have"),
                    "write `ike = \"v2\"`".to_owned(),
                );
            }
        }
        let certificate = gateway.certificates.own.as_ref();
        if let Some(certificate) = certificate.filter(|c| !encodable(&c.id)) {
            let message = format!("`{}` cannot be a name in a certificate", certificate.id.escape_debug());
            let help = "write a domain name, `user@domain`, an address, or `CN=…,O=…`, in plain letters".to_owned();
            walker.once("certificate-name", at(), message, help);
        }
        let cas = certificate.map(|c| &c.ca).into_iter().chain(gateway.certificates.trust.values().flatten());
        for ca in cas.filter(|ca| !plain(ca, "")) {
            let message = format!("`{}` cannot be an authority's name", ca.escape_debug());
            walker.once("certificate-name", at(), message, "write a word of plain letters, digits and hyphens".to_owned());
        }
    }
}

/// Can a certificate carry it without any escaping?
fn encodable(id: &str) -> bool {
    if !id.contains('=') {
        return plain(id, ".@:_");
    }
    id.split(',').all(|part| {
        let (key, value) = part.trim().split_once('=').unwrap_or_default();
        ["CN", "O", "OU"].contains(&key) && plain(value.trim(), ".@:_ ")
    })
}

fn plain(text: &str, also: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || also.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Value;

    fn args(pairs: &[(&str, &str)]) -> Args {
        Args(pairs.iter().map(|(k, v)| ((*k).to_owned(), Value::Text((*v).to_owned()))).collect())
    }

    #[test]
    fn a_server_knows_the_clients_login_unless_told_otherwise() {
        let client = args(&[("auth", "eap-md5"), ("eap-user", "carol")]);
        let server = args(&[("auth", "psk")]);
        let at_client = authentication((&client, "west"), (&server, "east"));
        let at_server = authentication((&server, "east"), (&client, "west"));
        assert_eq!((at_client.own, at_client.peer), (AuthMethod::EapMd5, AuthMethod::Psk));
        assert_eq!((at_server.own, at_server.peer), (AuthMethod::Psk, AuthMethod::EapMd5));
        assert_eq!(at_client.eap, at_server.eap);
        assert_eq!(at_client.eap.unwrap().user, "carol");
        let other = authentication((&Args::default().with("eap-password", Value::Secret("other".into())), "east"), (&client, "west"));
        assert_eq!(other.eap.unwrap(), EapLogin { user: "carol".into(), password: "other".into() });
    }

    #[test]
    fn names_that_need_escaping_are_not_encodable() {
        for id in ["west.example", "user@west.example", "192.0.2.1", "2001:db8::1", "CN=west, O=faultlab"] {
            assert!(encodable(id), "{id}");
        }
        for id in ["", "wést", "a,b", "X=1", "CN=", "CN=a\"b", "CN=a,"] {
            assert!(!encodable(id), "{id}");
        }
    }
}
