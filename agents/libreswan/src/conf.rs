//! `ipsec.conf` and `ipsec.secrets` of one gateway. Paths in them are the daemon's: its `/run` is the gateway's folder.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use peer::{AuthMethod, ChildAction, Connection, DriverError, EspMode, GatewayConfig, IkeMode, Retransmit};

use crate::nss::{self, KeyKind};
use crate::probe::{Dialect, Found};
use crate::proposals;

/// Names of files in the gateway's folder.
pub(crate) const FILE: &str = "ipsec.conf";
pub(crate) const SECRETS: &str = "ipsec.secrets";
pub(crate) const LOG: &str = "pluto.log";
pub(crate) const NSS: &str = "nss";
pub(crate) const POLICIES: &str = "ipsec.d";
/// Where the gateway's folder is mounted for the daemon.
pub(crate) const MOUNT: &str = "/run";

/// The daemon's longest lifetime of any SA; stands for "never".
const LONGEST: u64 = 24 * 3600;
/// The daemon never sends more copies of a request than this.
const MOST_COPIES: u32 = 12;

/// The configuration, and what has to be said about each connection's settings.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) conf: String,
    pub(crate) secrets: String,
    /// One entry per connection: settings that could only be met nearly.
    pub(crate) notes: Vec<Vec<String>>,
}

/// A setting that this daemon does not have, and why.
type Refusal = (&'static str, String);

pub(crate) fn render(found: &Found, config: &GatewayConfig) -> Result<Rendered, DriverError> {
    config.refuse_special(&["auth", "fragmentation", "replay_window"], "it is not translated for libreswan")?;
    let keepalive = config.nat_keepalive.map(|d| format!("    keep-alive={}\n", whole_seconds(d))).unwrap_or_default();
    // No helper threads: the statements of the log then come one after the other.
    let mut conf = format!(
        "config setup
    logfile={MOUNT}/{LOG}
    dumpdir={MOUNT}
    nssdir={MOUNT}/{NSS}
    dnssec-enable=no
    ikev1-policy=accept
    nhelpers=0
{keepalive}"
    );
    let mut secrets = String::new();
    let mut notes = Vec::new();
    for c in &config.connections {
        let (text, note) = connection(found, config, c).map_err(|(setting, reason)| DriverError::Refused {
            gateway: config.name.clone(),
            setting: format!("{setting} of connection {}", c.name),
            reason,
        })?;
        conf += &text;
        notes.push(note);
        if ![c.auth.own, c.auth.peer].contains(&AuthMethod::Psk) {
            continue;
        }
        let line = format!("{} {} : PSK {}\n", identity(&c.local_id), identity(&c.remote_id), secret(c.psk.expose()));
        // Connections that share an IKE SA share its secret.
        if !secrets.contains(&line) {
            secrets += &line;
        }
    }
    Ok(Rendered { conf, secrets, notes })
}

fn connection(found: &Found, config: &GatewayConfig, c: &Connection) -> Result<(String, Vec<String>), Refusal> {
    let plain = |text: &str| !text.is_empty() && text.chars().all(|ch| ch.is_ascii_alphanumeric() || "-_.".contains(ch));
    if !plain(&c.name) {
        return Err(("name", format!("`{}` is not a name that this daemon's configuration can hold", c.name)));
    }
    for (setting, id) in [("local_id", &c.local_id), ("remote_id", &c.remote_id)] {
        if id.is_empty() || id.chars().any(|ch| ch.is_control() || ch == '"') {
            return Err((setting, format!("{id:?} is not an identity that this daemon's configuration can hold")));
        }
    }
    if c.inactivity.is_some() {
        return Err(("inactivity", "this daemon does not close idle child SAs".into()));
    }
    let mut notes = Vec::new();
    if config.nat_keepalive.is_some() {
        notes.push(
            "nat_keepalive: 4.10 looks for due ones when an IKE SA comes up, and if none is due then, not again before the next does; 5.2 \
             sends one"
                .into(),
        );
    }
    let mut lines: Vec<(&str, String)> = vec![
        ("auto", "ignore".into()),
        match (found.dialect, c.ike) {
            (Dialect::Old, IkeMode::V2) => ("ikev2", "yes".into()),
            (Dialect::Old, _) => ("ikev2", "no".into()),
            (Dialect::New, IkeMode::V2) => ("keyexchange", "ikev2".into()),
            (Dialect::New, _) => ("keyexchange", "ikev1".into()),
        },
        ("aggressive", if c.ike == IkeMode::V1Aggressive { "yes" } else { "no" }.into()),
        ("type", if c.mode == EspMode::Tunnel { "tunnel" } else { "transport" }.into()),
        ("left", c.local.to_string()),
        ("leftid", identity(&c.local_id)),
        ("leftupdown", found.programs.join("_updown.xfrm").display().to_string()),
        ("right", c.remote.map_or_else(|| "%any".into(), |a| a.to_string())),
        ("rightid", identity(&c.remote_id)),
        ("mobike", yes(c.mobike).into()),
        (
            "encapsulation",
            if c.force_encap {
                "yes"
            } else if c.nat_traversal {
                "auto"
            } else {
                "no"
            }
            .into(),
        ),
        ("fragmentation", yes(c.options.fragmentation).into()),
        ("replay-window", c.options.replay_window.to_string()),
        ("nat-keepalive", yes(config.nat_keepalive.is_some()).into()),
    ];
    match found.dialect {
        Dialect::Old => lines.push(("keyingtries", if c.keying_tries == 0 { "%forever".into() } else { c.keying_tries.to_string() })),
        Dialect::New if c.keying_tries > 1 => notes.push("keying_tries: this daemon tries once, or for ever".into()),
        Dialect::New => {}
    }
    if c.local.is_ipv6() {
        lines.push(("hostaddrfamily", "ipv6".into()));
    }
    authentication(config, c, &mut lines)?;
    for (end, setting, selectors, host) in
        [("leftsubnet", "local_ts", &c.local_ts, Some(c.local)), ("rightsubnet", "remote_ts", &c.remote_ts, c.remote)]
    {
        if let Some(subnet) = selector(c.mode, selectors, host).map_err(|why| (setting, why))? {
            lines.push((end, subnet));
        }
    }
    lines.push(("ike", proposals::ike(&c.ike_proposals).map_err(|why| ("ike_proposals", why))?));
    match (c.nat_traversal, c.ike) {
        (true, _) => {}
        (false, IkeMode::V2) => return Err(("nat_traversal", "pluto sends NAT detection payloads in IKEv2 whatever is set".into())),
        (false, _) => lines.push(("nat-ikev1-method", "none".into())),
    }
    if c.ah_proposals.is_empty() {
        let esp = proposals::esp(&c.esp_proposals).map_err(|why| ("esp_proposals", why))?;
        lines.extend([("esp", esp.value), ("pfs", yes(esp.pfs).into()), ("esn", esp.esn.into())]);
    } else {
        let ah = proposals::ah(&c.ah_proposals).map_err(|why| ("ah_proposals", why))?;
        lines.extend([("phase2", "ah".into()), ("ah", ah.value), ("pfs", yes(ah.pfs).into())]);
    }
    retransmission(&config.retransmit, &mut lines, &mut notes)?;
    lifetimes(c, &mut lines, &mut notes)?;
    if let Some(delay) = c.dpd_delay {
        let delay = whole_seconds(delay);
        // IKEv1 has no retransmission of R-U-THERE: the peer is dead this long after its last word. As patient as IKEv2 would be.
        let timeout = delay + whole_seconds(config.retransmit.give_up());
        let action = match c.dpd_action {
            ChildAction::None => "clear",
            ChildAction::Trap => "hold",
            ChildAction::Start => "restart",
        };
        lines.push(("dpddelay", format!("{delay}s")));
        match (found.dialect, c.ike) {
            (Dialect::Old, _) => lines.extend([("dpdtimeout", format!("{timeout}s")), ("dpdaction", action.into())]),
            (Dialect::New, IkeMode::V2) => {}
            (Dialect::New, _) => lines.push(("dpdtimeout", format!("{timeout}s"))),
        }
    }
    let body = lines.iter().fold(String::new(), |text, (key, value)| text + &format!("    {key}={value}\n"));
    Ok((format!("\nconn {}\n{body}", c.name), notes))
}

/// Who proves himself how.
fn authentication(config: &GatewayConfig, c: &Connection, lines: &mut Vec<(&str, String)>) -> Result<(), Refusal> {
    let kind = |der: &Vec<u8>| KeyKind::of(der);
    let own_kind = c.auth.certificates.first().and_then(kind);
    // Nothing says which key the peer will have: the same as we, if there is an authority for such; otherwise what there is.
    let mut authorities: Vec<_> = c.auth.anchors.iter().filter_map(kind).collect();
    authorities.sort_by_key(|kind| own_kind != Some(*kind));
    let word = |method: AuthMethod, kind: Option<KeyKind>| match (method, kind) {
        (AuthMethod::Psk, _) => Ok("secret"),
        (AuthMethod::Certificate, Some(KeyKind::Rsa)) => Ok("rsasig"),
        (AuthMethod::Certificate, Some(KeyKind::Ecdsa)) => Ok("ecdsa"),
        (AuthMethod::Certificate, None) => Err(("auth", "this daemon's certificates have RSA or ECDSA keys".to_owned())),
        (AuthMethod::EapMschapv2 | AuthMethod::EapMd5, _) => Err(("auth", "this daemon has no EAP".to_owned())),
    };
    let (own, peer) = (word(c.auth.own, own_kind)?, word(c.auth.peer, authorities.first().copied())?);
    if own == peer {
        lines.push(("authby", own.into()));
    } else if c.ike == IkeMode::V2 {
        lines.extend([("leftauth", own.into()), ("rightauth", peer.into())]);
    } else {
        return Err(("auth", "in IKEv1 both sides prove themselves in the same way".into()));
    }
    if let Some(nickname) = nss::nickname(config, c) {
        // Intermediate authorities go with it; the root is the peer's own affair.
        lines.extend([("leftcert", nickname), ("leftsendcert", "always".into()), ("sendca", "all".into())]);
    }
    Ok(())
}

/// A selector; `None` when it is the host itself, which is the daemon's default and all that transport mode has.
fn selector(mode: EspMode, selectors: &[IpNet], host: Option<IpAddr>) -> Result<Option<String>, String> {
    let [one] = selectors else {
        return Err(format!("this daemon puts one selector into a child SA, not {}", selectors.len()));
    };
    let is_host = host.is_none_or(|h| one.addr() == h) && one.prefix_len() == one.max_prefix_len();
    match mode {
        EspMode::Transport if is_host => Ok(None),
        EspMode::Transport => Err(format!("transport mode is between the gateways themselves, not {one}")),
        EspMode::Tunnel if is_host && host.is_some() => Ok(None),
        EspMode::Tunnel => Ok(Some(one.trunc().to_string())),
    }
}

/// Copies leave after `g`, `2g`, `4g` … since the first: the first gap twice, then always doubled. The daemon gives up when it
/// finds the timeout passed at the time of the next copy.
fn retransmission(profile: &Retransmit, lines: &mut Vec<(&str, String)>, notes: &mut Vec<String>) -> Result<(), Refusal> {
    if profile.tries == 0 || profile.tries > MOST_COPIES {
        return Err(("retransmit", format!("this daemon sends between 1 and {MOST_COPIES} further copies, not {}", profile.tries)));
    }
    let gap = profile.timeout.as_millis().max(1);
    let last_copy = gap << (profile.tries - 1);
    // Half-way between the last wanted copy and the one after it.
    lines.extend([("retransmit-interval", gap.to_string()), ("retransmit-timeout", format!("{}ms", last_copy + last_copy / 2))]);
    notes.push(format!(
        "retransmission: copies {gap} ms after the first, then always at twice the time; {} of them; given up after {} ms",
        profile.tries,
        last_copy * 2
    ));
    Ok(())
}

/// Re-keying begins a margin before the end of a lifetime; both kinds of SA have the same margin.
fn lifetimes(c: &Connection, lines: &mut Vec<(&str, String)>, notes: &mut Vec<String>) -> Result<(), Refusal> {
    let [ike, child, life] = [c.ike_rekey, c.child_rekey, c.child_life].map(|d| d.map(whole_seconds));
    let again = c.dpd_action == ChildAction::Start && c.dpd_delay.is_some() || c.close_action == ChildAction::Start;
    let rekey = ike.is_some() || child.is_some() || again;
    let margin = match (child, life, ike) {
        (Some(r), Some(l), _) if l > r => l - r,
        (Some(_), Some(_), _) => return Err(("child_life", "must be longer than child_rekey".into())),
        (Some(r), None, _) | (None, None, Some(r)) => (r / 10).clamp(1, 540),
        (None, Some(_), _) if rekey => {
            return Err((
                "child_life",
                "without child_rekey this daemon would re-key the child SA as well when it re-keys anything".into(),
            ));
        }
        // 5.2 raises a lifetime that is shorter than the margin, also where nothing is re-keyed.
        (None, Some(l), _) => (l / 10).min(60),
        (None, None, None) => 60,
    };
    let salifetime = life.unwrap_or_else(|| child.map_or(LONGEST, |r| r + margin));
    let ikelifetime = ike.map_or(LONGEST, |r| r + margin);
    for (setting, seconds) in [("child_life", salifetime), ("ike_rekey", ikelifetime)] {
        if seconds > LONGEST {
            return Err((setting, format!("this daemon's longest lifetime is {LONGEST} s, not {seconds} s")));
        }
    }
    lines.extend([
        ("rekey", yes(rekey).into()),
        ("rekeymargin", format!("{margin}s")),
        ("rekeyfuzz", "0%".into()),
        ("salifetime", format!("{salifetime}s")),
        ("ikelifetime", format!("{ikelifetime}s")),
    ]);
    if c.close_action == ChildAction::None && (rekey || c.ike != IkeMode::V2) {
        notes.push("close_action none: an initiator of IKEv1, or one that re-keys, tries once more what its peer closes".into());
    }
    for (name, given) in
        [("ike_rekey", c.ike_rekey), ("child_rekey", c.child_rekey), ("child_life", c.child_life), ("dpd_delay", c.dpd_delay)]
    {
        if let Some(d) = given.filter(|d| Duration::from_secs(whole_seconds(*d)) != *d) {
            notes.push(format!("{name} {d:?} rounded up to {} s", whole_seconds(d)));
        }
    }
    Ok(())
}

/// Returns whether the daemon begins a connection anew by itself, whatever `keyingtries` says.
pub(crate) fn revives(dialect: Dialect, config: &GatewayConfig, c: &Connection) -> bool {
    match dialect {
        // With re-keying on.
        Dialect::Old => c.ike_rekey.is_some() || c.child_rekey.is_some() || wants_revival(c),
        Dialect::New => !is_kept_from_reviving(dialect, config),
    }
}

/// Returns whether the daemon must be told not to revive connections: the new dialect has no setting for it, and only a switch for all
/// connections.
pub(crate) fn is_kept_from_reviving(dialect: Dialect, config: &GatewayConfig) -> bool {
    dialect == Dialect::New && config.connections.iter().all(|c| c.keying_tries != 0 && !wants_revival(c))
}

/// Returns whether a connection is to be begun anew when it is lost.
fn wants_revival(c: &Connection) -> bool {
    c.close_action == ChildAction::Start || c.dpd_action == ChildAction::Start
}

fn yes(b: bool) -> &'static str {
    if b { "yes" } else { "no" }
}

/// The daemon counts in seconds; never less than asked for, and never 0, which means "off".
fn whole_seconds(d: Duration) -> u64 {
    (d.as_secs() + u64::from(d.subsec_nanos() > 0)).max(1)
}

/// An address, a user or distinguished name as they are; anything else is a domain name that must not be resolved.
fn identity(id: &str) -> String {
    if id.parse::<IpAddr>().is_ok() || id.contains('@') {
        id.to_owned()
    } else if id.contains('=') {
        format!("\"{id}\"")
    } else {
        format!("@{id}")
    }
}

/// In quotes where it is plain text, in hexadecimal otherwise: quotes cannot be escaped.
fn secret(psk: &str) -> String {
    if psk.chars().all(|c| c.is_ascii_graphic() && c != '"' || c == ' ') && !psk.is_empty() {
        return format!("\"{psk}\"");
    }
    psk.bytes().fold("0x".to_owned(), |text, b| text + &format!("{b:02x}"))
}

#[cfg(test)]
mod tests;
