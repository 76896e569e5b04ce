//! The neutral settings in VICI's words (`load-conn`, `load-shared`).

use std::collections::BTreeMap;
use std::time::Duration;

use peer::{Accepted, ChildAction, Connection, DriverError, EspMode, GatewayConfig, IkeMode};
use serde::Serialize;

use crate::conf::whole_seconds;
use crate::daemon::{Daemon, io_error};
use crate::traps;
use crate::vici::Node;

#[derive(Serialize)]
struct Conn {
    version: &'static str,
    aggressive: bool,
    local_addrs: Vec<String>,
    remote_addrs: Vec<String>,
    proposals: Vec<String>,
    local: Auth,
    remote: Auth,
    mobike: bool,
    encap: bool,
    unique: &'static str,
    keyingtries: String,
    dpd_delay: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dpd_timeout: Option<String>,
    rekey_time: String,
    reauth_time: String,
    over_time: String,
    rand_time: String,
    children: BTreeMap<String, Child>,
}

#[derive(Serialize)]
struct Auth {
    auth: &'static str,
    id: String,
}

#[derive(Serialize)]
struct Child {
    esp_proposals: Vec<String>,
    local_ts: Vec<String>,
    remote_ts: Vec<String>,
    mode: &'static str,
    rekey_time: String,
    life_time: String,
    rand_time: String,
    inactivity: String,
    dpd_action: &'static str,
    start_action: &'static str,
    close_action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reqid: Option<String>,
}

#[derive(Serialize)]
struct Shared<'a> {
    id: String,
    r#type: &'static str,
    data: &'a str,
    owners: Vec<&'a str>,
}

/// Instead of an unlimited lifetime, where that means something else (kernel-libipsec then never asks for re-keying); no run lasts this
/// long.
const FOR_EVER: Duration = Duration::from_secs(30 * 24 * 3600);

fn seconds(d: Option<Duration>) -> String {
    format!("{}s", d.map_or(0, whole_seconds))
}

fn conn(index: usize, c: &Connection, give_up: Duration) -> Conn {
    let child = Child {
        esp_proposals: c.esp_proposals.clone(),
        local_ts: c.local_ts.iter().map(ToString::to_string).collect(),
        remote_ts: c.remote_ts.iter().map(ToString::to_string).collect(),
        mode: match c.mode {
            EspMode::Tunnel => "tunnel",
            EspMode::Transport => "transport",
        },
        rekey_time: seconds(c.child_rekey),
        life_time: seconds(c.child_life.or(c.child_rekey.map(|d| d + FOR_EVER))),
        rand_time: "0s".into(),
        inactivity: seconds(c.inactivity),
        dpd_action: match c.dpd_action {
            ChildAction::None => "clear",
            ChildAction::Trap => "trap",
            ChildAction::Start => "restart",
        },
        start_action: action(c.start_action),
        close_action: action(c.close_action),
        reqid: traps::wants(c).then(|| traps::reqid(index).to_string()),
    };
    Conn {
        version: if c.ike == IkeMode::V2 { "2" } else { "1" },
        aggressive: c.ike == IkeMode::V1Aggressive,
        local_addrs: vec![c.local.to_string()],
        remote_addrs: vec![c.remote.map_or_else(|| "%any".into(), |a| a.to_string())],
        proposals: c.ike_proposals.clone(),
        local: Auth { auth: "psk", id: c.local_id.clone() },
        remote: Auth { auth: "psk", id: c.remote_id.clone() },
        mobike: c.mobike,
        encap: c.force_encap,
        // Of two IKE SAs with one peer the old one goes only when the peer says INITIAL_CONTACT.
        unique: "no",
        keyingtries: c.keying_tries.to_string(),
        dpd_delay: seconds(c.dpd_delay),
        // IKEv1 has no retransmission of R-U-THERE: the peer is dead this long after its last word (RFC 3706 §6.3). As patient as IKEv2 would be.
        dpd_timeout: c.dpd_delay.filter(|_| c.ike != IkeMode::V2).map(|d| seconds(Some(d + give_up))),
        // IKEv1 tells the peer its lifetime (RFC 2409 appendix A), and of one that never ends charon says 0 s.
        rekey_time: seconds(c.ike_rekey.or((c.ike != IkeMode::V2).then_some(FOR_EVER))),
        reauth_time: "0s".into(),
        // 0 would end the IKE SA at the very moment at which its re-keying begins.
        over_time: seconds(c.ike_rekey.map(|d| (d / 10).max(give_up))),
        rand_time: "0s".into(),
        children: BTreeMap::from([(c.name.clone(), child)]),
    }
}

fn action(a: ChildAction) -> &'static str {
    match a {
        ChildAction::None => "none",
        ChildAction::Trap => "trap",
        ChildAction::Start => "start",
    }
}

/// Loads secrets, then connections: a connection that starts by itself must find its secret.
pub(crate) async fn load(daemon: &Daemon, config: &GatewayConfig) -> Result<Vec<Accepted>, DriverError> {
    let mut accepted = Vec::new();
    for c in &config.connections {
        let mut owners = vec![c.local_id.as_str()];
        if c.remote_id != c.local_id {
            owners.push(&c.remote_id);
        }
        let shared = Shared { id: format!("psk-{}", c.name), r#type: "IKE", data: &c.psk, owners };
        let what = format!("secret of {}", c.name);
        accepted.push(one(daemon, "load-shared", &what, &shared, String::new()).await?);
    }
    for (index, c) in config.connections.iter().enumerate() {
        let message = BTreeMap::from([(c.name.as_str(), conn(index, c, config.retransmit.give_up()))]);
        accepted.push(one(daemon, "load-conn", &format!("connection {}", c.name), &message, rounding(c)).await?);
    }
    Ok(accepted)
}

async fn one(daemon: &Daemon, command: &str, what: &str, message: &impl Serialize, note: String) -> Result<Accepted, DriverError> {
    let answer = daemon.call(command, message).await?;
    match answer.text(&["success"]) {
        Some("yes") => Ok(Accepted { what: what.into(), answer: format!("{command}: success{note}") }),
        Some(_) => Err(DriverError::Refused { gateway: daemon.name().into(), setting: what.into(), reason: reason(&answer) }),
        None => Err(io_error(daemon.name(), command, std::io::Error::other(format!("the daemon's answer has no `success`: {answer:?}")))),
    }
}

pub(crate) fn reason(answer: &Node) -> String {
    answer.text(&["errmsg"]).unwrap_or("no reason given").to_owned()
}

/// Says which times were rounded up, since charon counts whole seconds.
fn rounding(c: &Connection) -> String {
    let times = [
        ("ike_rekey", c.ike_rekey),
        ("child_rekey", c.child_rekey),
        ("child_life", c.child_life),
        ("inactivity", c.inactivity),
        ("dpd_delay", c.dpd_delay),
    ];
    times
        .into_iter()
        .filter_map(|(name, d)| Some((name, d.filter(|d| Duration::from_secs(whole_seconds(*d)) != *d)?)))
        .map(|(name, d)| format!("; {name} {d:?} rounded up to {} s", whole_seconds(d)))
        .collect()
}
