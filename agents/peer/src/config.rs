//! Neutral settings of a gateway.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Authentication, Child, DriverError, HalfOpen, Misbehave, Options, Secret};

/// IKE version and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IkeMode {
    /// IKEv1 main mode (RFC 2409 §5, identity protection).
    V1Main,
    /// IKEv1 aggressive mode.
    V1Aggressive,
    /// IKEv2 (RFC 7296).
    V2,
}

/// What to do for a child SA, by itself, at some occasion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChildAction {
    /// Nothing; drop the SA.
    None,
    /// Install a trap policy: the first matching packet brings the SA up.
    Trap,
    /// Bring it up (again) at once.
    Start,
}

/// Encapsulation mode (RFC 4301 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EspMode {
    /// Tunnel mode.
    Tunnel,
    /// Transport mode.
    Transport,
}

/// IKE retransmission: copy n+1 follows copy n after `timeout · base^(n-1)`; after `tries` copies beyond the first
/// and one more gap, the sender gives up (RFC 7296 §2.4 leaves the figures open).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Retransmit {
    /// First gap.
    pub timeout: Duration,
    /// Factor between gaps.
    pub base: f64,
    /// Copies after the first.
    pub tries: u32,
}

impl Retransmit {
    /// The gaps between copies, in order: `tries` of them.
    pub fn gaps(&self) -> Vec<Duration> {
        (0..self.tries).map(|n| self.timeout.mul_f64(self.base.powi(n as i32))).collect()
    }

    /// From the first copy until the sender gives up.
    pub fn give_up(&self) -> Duration {
        (0..=self.tries).map(|n| self.timeout.mul_f64(self.base.powi(n as i32))).sum()
    }
}

impl Default for Retransmit {
    /// The lab's fast profile: copies at 0, 0.3, 0.84 and 1.81 s; gives up at 3.56 s.
    fn default() -> Self {
        Retransmit { timeout: Duration::from_millis(300), base: 1.8, tries: 3 }
    }
}

/// One gateway, completely resolved: no setting is left to an implementation's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GatewayConfig {
    /// The node's name; also the gateway's.
    pub name: String,
    /// Retransmission of IKE requests.
    pub retransmit: Retransmit,
    /// NAT keepalive interval (RFC 3948 §4); `None`: never sent.
    pub nat_keepalive: Option<Duration>,
    /// One entry per peer.
    pub connections: Vec<Connection>,
    /// How far the gateway's idea of the date is from the world's, seconds; only certificates care.
    pub clock_offset: i64,
    /// Limits for IKE SAs that are not authenticated yet.
    pub half_open: HalfOpen,
    /// Deliberate misbehaviour.
    pub misbehave: Misbehave,
}

impl GatewayConfig {
    /// The same for people to look at: with digests in the place of secrets, and without the private key.
    pub fn without_secrets(&self) -> GatewayConfig {
        let mut shown = self.clone();
        for c in &mut shown.connections {
            c.psk = c.psk.to_string().into();
            c.auth.private_key = Secret::default();
            if let Some(login) = &mut c.auth.eap {
                login.password = login.password.to_string().into();
            }
        }
        shown
    }

    /// Returns a text, such as a line of a log, with digests in the place of pre-shared keys and passwords.
    pub fn hide_secrets(&self, text: &str) -> String {
        let secrets = self.connections.iter().flat_map(|c| [Some(&c.psk), c.auth.eap.as_ref().map(|login| &login.password)]);
        secrets.flatten().filter(|s| !s.expose().is_empty()).fold(text.to_owned(), |text, secret| {
            let hex: String = secret.expose().bytes().map(|b| format!("{b:02x}")).collect();
            let digest = secret.to_string();
            text.replace(&hex, &digest).replace(secret.expose(), &digest)
        })
    }

    /// A connection by name.
    pub fn connection(&self, name: &str) -> Result<&Connection, DriverError> {
        self.connections.iter().find(|c| c.name == name).ok_or_else(|| DriverError::Refused {
            gateway: self.name.clone(),
            setting: format!("connection {name}"),
            reason: "there is no such connection".into(),
        })
    }
}

/// Settings towards one peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// `west-east`: own name, then the peer's.
    pub name: String,
    /// The peer's node name.
    pub peer: String,
    /// IKE version and mode.
    pub ike: IkeMode,
    /// Own address.
    pub local: IpAddr,
    /// The peer's address; `None`: any (a responder for road warriors).
    pub remote: Option<IpAddr>,
    /// Own identity, e.g. `west.example`.
    pub local_id: String,
    /// The identity expected of the peer.
    pub remote_id: String,
    /// Pre-shared key.
    #[serde(with = "crate::secret_in_settings")]
    pub psk: Secret,
    /// How the two sides prove who they are.
    pub auth: Authentication,
    /// Proposals for the IKE SA in strongSwan's notation: `aes128-sha256-modp2048`.
    pub ike_proposals: Vec<String>,
    /// Proposals for ESP: `aes128-sha256`, `aes128gcm16-ecp256` (a DH group asks for PFS).
    pub esp_proposals: Vec<String>,
    /// Proposals for AH (`sha256`): if there are any, AH is used instead of ESP.
    pub ah_proposals: Vec<String>,
    /// Tunnel or transport.
    pub mode: EspMode,
    /// Own side's traffic selectors.
    pub local_ts: Vec<IpNet>,
    /// The peer side's traffic selectors.
    pub remote_ts: Vec<IpNet>,
    /// IKE SA lifetime before it is re-keyed; `None`: never.
    pub ike_rekey: Option<Duration>,
    /// Child SA lifetime before it is re-keyed; `None`: never.
    pub child_rekey: Option<Duration>,
    /// Child SA hard lifetime; `None`: unlimited.
    pub child_life: Option<Duration>,
    /// Close the child SA after this long without traffic.
    pub inactivity: Option<Duration>,
    /// Liveness check after this long without news of the peer (RFC 7296 §2.4, RFC 3706); `None`: off.
    pub dpd_delay: Option<Duration>,
    /// What to do with the child when the peer is dead.
    pub dpd_action: ChildAction,
    /// What to do at start-up.
    pub start_action: ChildAction,
    /// What to do when the peer closes the child.
    pub close_action: ChildAction,
    /// MOBIKE (RFC 4555).
    pub mobike: bool,
    /// NAT traversal (RFC 3947, RFC 7296 §2.23). Without it, a NAT is neither looked for nor told.
    pub nat_traversal: bool,
    /// Pretend a NAT so that ESP is always UDP-encapsulated.
    pub force_encap: bool,
    /// How often a failed set-up is begun anew; 0: for ever.
    pub keying_tries: u32,
    /// Rarely used settings.
    pub options: Options,
    /// Child SAs beside the first one, under the same IKE SA (RFC 7296 §1.3.1).
    pub more_children: Vec<Child>,
}

impl Connection {
    /// Settings of gateway `name` towards gateway `peer` with nothing that happens by itself: IKEv2, tunnel mode, a pre-shared key,
    /// identities `name.example`. What is protected, and how, is still to be said: there are no selectors and no proposals.
    pub fn plain(name: &str, peer: &str, local: IpAddr, remote: Option<IpAddr>) -> Connection {
        Connection {
            name: format!("{name}-{peer}"),
            peer: peer.to_owned(),
            ike: IkeMode::V2,
            local,
            remote,
            local_id: format!("{name}.example"),
            remote_id: format!("{peer}.example"),
            psk: "correct horse".into(),
            auth: Authentication::default(),
            ike_proposals: Vec::new(),
            esp_proposals: Vec::new(),
            ah_proposals: Vec::new(),
            mode: EspMode::Tunnel,
            local_ts: Vec::new(),
            remote_ts: Vec::new(),
            ike_rekey: None,
            child_rekey: None,
            child_life: None,
            inactivity: None,
            dpd_delay: None,
            dpd_action: ChildAction::None,
            start_action: ChildAction::None,
            close_action: ChildAction::None,
            mobike: false,
            nat_traversal: true,
            force_encap: false,
            keying_tries: 1,
            more_children: Vec::new(),
            options: Options::default(),
        }
    }
}
