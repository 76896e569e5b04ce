//! Secrets: what is said in their place wherever people or other programs look.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A pre-shared key, a password, a private key. Whatever it is written into shows a digest, by which two can be told apart; a field of
/// settings that must reach a cell as it is says so: `#[serde(with = "secret_in_settings")]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// The secret itself, for who proves something with it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Secret {
        Secret(secret.to_owned())
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Secret {
        Secret(secret)
    }
}

impl From<Vec<u8>> for Secret<Vec<u8>> {
    fn from(secret: Vec<u8>) -> Secret<Vec<u8>> {
        Secret(secret)
    }
}

impl<T: AsRef<[u8]>> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        Sha256::digest(&self.0).iter().take(4).try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl<T: AsRef<[u8]>> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T: AsRef<[u8]>> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// For fields of settings that go into a cell: the secret as it is.
pub mod secret_in_settings {
    use serde::{Deserializer, Serializer};

    use super::{Deserialize, Secret, Serialize};

    /// Writes the secret itself.
    pub fn serialize<T: Serialize, S: Serializer>(secret: &Secret<T>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.0.serialize(serializer)
    }

    /// Reads it.
    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<T>, D::Error> {
        T::deserialize(deserializer).map(Secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Connection, EapLogin, GatewayConfig};

    #[test]
    fn only_a_digest_is_shown() {
        let secret = Secret::from("open sesame");
        let shown = [secret.to_string(), format!("{secret:?}"), format!("{:?}", Some(&secret))].join(" ");
        assert!(shown.matches("sha256:").count() == 3 && !shown.contains("sesame"), "{shown}");
        assert_ne!(secret.to_string(), Secret::from("open Sesame").to_string());
    }

    #[test]
    fn settings_are_shown_without_secrets() {
        let mut connection = Connection::plain("west", "east", [10, 9, 0, 1].into(), None);
        connection.psk = "open sesame".into();
        connection.auth.private_key = vec![5; 100].into();
        connection.auth.eap = Some(EapLogin { user: "ann".into(), password: "sesame".into() });
        let config = GatewayConfig { connections: vec![connection], ..GatewayConfig::default() };
        let shown = format!("{config:?} {:?}", config.without_secrets().connections[0].psk.expose());
        assert!(!shown.contains("sesame") && !shown.contains("5, 5") && shown.contains("ann"), "{shown}");
        let hidden = config.without_secrets();
        assert!(hidden.connections[0].auth.private_key.expose().is_empty());
        assert!(hidden.connections[0].auth.eap.as_ref().is_some_and(|login| login.password.expose().starts_with("sha256:")));
    }
}
