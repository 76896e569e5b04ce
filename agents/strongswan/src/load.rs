//! The neutral settings in VICI's words (`load-conn`, `load-pool`).

use std::collections::BTreeMap;
use std::time::Duration;

use peer::{Accepted, ChildAction, Connection, DfBit, DriverError, EspMode, GatewayConfig, IkeMode};
use serde::Serialize;

use crate::auth::{self, Auth};
use crate::conf::whole_seconds;
use crate::daemon::{Daemon, io_error};
use crate::probe::DataPath;
use crate::refusals::refusal;
use crate::traps;
use crate::vici::Node;

#[derive(Serialize)]
struct Conn<'a> {
    version: &'static str,
    aggressive: bool,
    local_addrs: Vec<String>,
    remote_addrs: Vec<String>,
    proposals: Vec<String>,
    local: Auth<'a>,
    remote: Auth<'a>,
    send_cert: &'static str,
    fragmentation: bool,
    childless: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vips: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pools: Vec<String>,
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
struct Child {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    esp_proposals: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ah_proposals: Vec<String>,
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
    /// Absent: charon's own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy_df: Option<&'static str>,
    replay_window: String,
    rekey_bytes: String,
    rekey_packets: String,
    life_bytes: String,
    life_packets: String,
    rand_bytes: &'static str,
    rand_packets: &'static str,
}

/// Addresses for peers who ask.
#[derive(Serialize)]
struct Pool {
    addrs: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dns: Vec<String>,
}

/// Instead of an unlimited lifetime, where that means something else (kernel-libipsec then never asks for re-keying); no run lasts this
/// long.
const FOR_EVER: Duration = Duration::from_secs(30 * 24 * 3600);

fn seconds(d: Option<Duration>) -> String {
    format!("{}s", d.map_or(0, whole_seconds))
}

/// 0 is none, and nothing is added to make up for it.
fn limit(n: Option<u64>) -> String {
    n.unwrap_or(0).to_string()
}

/// The one child of a connection that has no other.
fn child(c: &Connection, reqid: usize) -> Child {
    let o = &c.options;
    // The peer's address in the tunnel, or our own, is not known before it is assigned.
    let selectors = |assigned: bool, nets: &[ipnet::IpNet]| {
        if assigned { vec!["dynamic".to_owned()] } else { nets.iter().map(ToString::to_string).collect() }
    };
    Child {
        esp_proposals: if c.ah_proposals.is_empty() { c.esp_proposals.clone() } else { Vec::new() },
        ah_proposals: c.ah_proposals.clone(),
        local_ts: selectors(o.virtual_ip, &c.local_ts),
        remote_ts: selectors(o.pool.is_some(), &c.remote_ts),
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
        reqid: traps::wants(c).then(|| reqid.to_string()),
        copy_df: (o.df == DfBit::Clear).then_some("no"),
        replay_window: o.replay_window.to_string(),
        rekey_bytes: limit(o.rekey_bytes),
        rekey_packets: limit(o.rekey_packets),
        life_bytes: limit(o.life_bytes),
        life_packets: limit(o.life_packets),
        rand_bytes: "0",
        rand_packets: "0",
    }
}

/// `first`: the number of its first child among all of the gateway's.
fn conn(first: usize, c: &Connection, give_up: Duration) -> Conn<'_> {
    let o = &c.options;
    let children = (first..).zip(c.children()).map(|(n, own)| (own.name.clone(), child(&c.alone(own), traps::reqid(n))));
    Conn {
        version: if c.ike == IkeMode::V2 { "2" } else { "1" },
        aggressive: c.ike == IkeMode::V1Aggressive,
        local_addrs: vec![c.local.to_string()],
        remote_addrs: vec![c.remote.map_or_else(|| "%any".into(), |a| a.to_string())],
        proposals: c.ike_proposals.clone(),
        local: auth::local(c),
        remote: auth::remote(c),
        send_cert: "always",
        fragmentation: o.fragmentation,
        childless: if o.childless { "force" } else { "allow" },
        vips: o.virtual_ip.then_some(if c.local.is_ipv4() { "0.0.0.0" } else { "::" }).into_iter().collect(),
        pools: o.pool.map(|_| pool_name(c)).into_iter().collect(),
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
        reauth_time: seconds(o.reauth),
        // 0 would end the IKE SA at the very moment at which its re-keying begins.
        over_time: seconds(c.ike_rekey.max(o.reauth).map(|d| (d / 10).max(give_up))),
        rand_time: "0s".into(),
        children: children.collect(),
    }
}

fn action(a: ChildAction) -> &'static str {
    match a {
        ChildAction::None => "none",
        ChildAction::Trap => "trap",
        ChildAction::Start => "start",
    }
}

fn pool_name(c: &Connection) -> String {
    format!("pool-{}", c.name)
}

/// Loads what connections need, then connections: one that starts by itself must find its secret.
pub(crate) async fn load(daemon: &Daemon, config: &GatewayConfig, data_path: DataPath) -> Result<Vec<Accepted>, DriverError> {
    refusal(config, data_path)?;
    let mut accepted = auth::load(daemon, config).await?;
    for c in &config.connections {
        let Some(pool) = c.options.pool else { continue };
        let pool = Pool { addrs: pool.to_string(), dns: c.options.dns.iter().map(ToString::to_string).collect() };
        let message = BTreeMap::from([(pool_name(c), pool)]);
        accepted.push(one(daemon, "load-pool", &format!("pool of {}", c.name), &message, String::new()).await?);
    }
    let mut first = 0;
    for c in &config.connections {
        let message = BTreeMap::from([(c.name.as_str(), conn(first, c, config.retransmit.give_up()))]);
        first += 1 + c.more_children.len();
        accepted.push(one(daemon, "load-conn", &format!("connection {}", c.name), &message, rounding(c)).await?);
    }
    Ok(accepted)
}

/// Loads one thing; the daemon must say that it has.
pub(crate) async fn one(
    daemon: &Daemon,
    command: &str,
    what: &str,
    message: &impl Serialize,
    note: String,
) -> Result<Accepted, DriverError> {
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
    let times = [("ike_rekey", c.ike_rekey), ("dpd_delay", c.dpd_delay), ("reauth", c.options.reauth)];
    let of_children = c
        .children()
        .into_iter()
        .flat_map(|own| [("child_rekey", own.child_rekey), ("child_life", own.child_life), ("inactivity", own.inactivity)]);
    times
        .into_iter()
        .chain(of_children)
        .filter_map(|(name, d)| Some((name, d.filter(|d| Duration::from_secs(whole_seconds(*d)) != *d)?)))
        .map(|(name, d)| format!("; {name} {d:?} rounded up to {} s", whole_seconds(d)))
        .collect()
}
