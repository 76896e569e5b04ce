//! `iked.conf` of one gateway, and what of the neutral settings it cannot say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use peer::{AuthMethod, ChildAction, Connection, EspMode, GatewayConfig, IkeMode};

use crate::algorithms::{For, transforms};

/// The configuration's name, as the daemon sees it.
pub(crate) const FILE: &str = "/etc/iked.conf";
/// A setting that iked does not have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) setting: String,
    pub(crate) reason: String,
}

fn refuse<T>(setting: impl Into<String>, reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { setting: setting.into(), reason: reason.into() })
}

/// The file's text. Connections named in `active` are initiated by the daemon, two seconds after it has read this.
pub(crate) fn render(config: &GatewayConfig, active: &BTreeSet<String>) -> Result<String, Refusal> {
    let mobike = alike(config, "mobike", |c| c.mobike)?.unwrap_or(false);
    let dpd = alike(config, "dpd_delay", |c| c.dpd_delay)?.flatten();
    alike(config, "nat_traversal", |c| c.nat_traversal)?;
    let fragmentation = alike(config, "fragmentation", |c| c.options.fragmentation)?.unwrap_or(true);
    let mut out = format!(
        "set {}mobike\nset {}fragmentation\nset noenforcesingleikesa\nset dpd_check_interval {}\n",
        if mobike { "" } else { "no" },
        if fragmentation { "" } else { "no" },
        dpd.map_or(0, whole_seconds),
    );
    let logins: BTreeMap<_, _> =
        config.connections.iter().filter_map(|c| c.auth.eap.as_ref()).map(|l| (&l.user, l.password.expose())).collect();
    for (user, password) in logins {
        let [user, password] = [user, password].map(|text| quoted(text, || "auth: EAP login".into()));
        let _ = writeln!(out, "user {} {}", user?, password?);
    }
    // As is its private key.
    alike(config, "private key", |c| c.auth.private_key.clone())?;
    for c in &config.connections {
        let mode = if active.contains(&c.name) { "active" } else { "passive" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", policy(c, mode)?);
    }
    Ok(out)
}

/// iked knows some settings only once for all peers.
fn alike<T: PartialEq>(config: &GatewayConfig, setting: &str, of: impl Fn(&Connection) -> T) -> Result<Option<T>, Refusal> {
    let mut values = config.connections.iter().map(of);
    let first = values.next();
    if first.as_ref().is_some_and(|first| values.any(|v| v != *first)) {
        return refuse(setting, "iked has one value for all connections, and they differ");
    }
    Ok(first)
}

fn policy(c: &Connection, mode: &str) -> Result<String, Refusal> {
    let setting = |what: &str| format!("{what} of {}", c.name);
    if c.ike != IkeMode::V2 {
        return refuse(setting("ike"), "OpenIKED does IKEv2 only");
    }
    if c.force_encap {
        return refuse(setting("force_encap"), "iked either detects a NAT or leaves port 500 alone altogether; it cannot pretend one");
    }
    if !c.ah_proposals.is_empty() {
        return refuse(setting("ah_proposals"), "AH is not translated");
    }
    if c.inactivity.is_some() {
        return refuse(setting("inactivity"), "iked does not close idle child SAs");
    }
    if c.child_life.is_some() && c.child_rekey.is_none() {
        return refuse(setting("child_life"), "iked re-keys every child SA that has a lifetime");
    }
    if !c.more_children.is_empty() {
        return refuse(setting("more_children"), "iked makes one child SA of all selectors towards a peer");
    }
    let uses = |action| [c.start_action, c.dpd_action, c.close_action].contains(&action);
    if c.remote.is_none() && (uses(ChildAction::Start) || uses(ChildAction::Trap)) {
        return refuse(setting("remote"), "iked cannot initiate to any address");
    }
    let mut out = format!("ikev2 {} {mode}", quoted(&c.name, || setting("name"))?);
    out += match c.mode {
        EspMode::Tunnel => " tunnel esp",
        EspMode::Transport => " transport esp",
    };
    out += if c.local.is_ipv4() { " inet" } else { " inet6" };
    for near in &c.local_ts {
        for far in &c.remote_ts {
            out += &format!(" from {near} to {far}");
        }
    }
    let remote = c.remote.map_or_else(|| "any".to_owned(), |a| a.to_string());
    out += &format!(" local {} peer {remote}", c.local);
    for proposal in &c.ike_proposals {
        let words = transforms(proposal, For::Ike);
        out += &format!(" ikesa {}", words.or_else(|reason| refuse(setting(&format!("ike_proposals {proposal}")), reason))?);
    }
    // Of several, those that the kernel interface cannot do are left out: the gateway offers what it can.
    let offers: Vec<_> = c.esp_proposals.iter().map(|p| (p, transforms(p, For::Child))).collect();
    if let Some((proposal, Err(reason))) = offers.first()
        && offers.iter().all(|(_, words)| words.is_err())
    {
        return refuse(setting(&format!("esp_proposals {proposal}")), reason.clone());
    }
    for words in offers.iter().filter_map(|(_, words)| words.as_ref().ok()) {
        out += &format!(" childsa {words}");
    }
    out += &format!(" srcid {} dstid {}", identity(&c.local_id, || setting("local_id"))?, identity(&c.remote_id, || setting("remote_id"))?);
    out += &format!(" ikelifetime {} lifetime {}", c.ike_rekey.map_or(0, whole_seconds), c.child_rekey.map_or(0, whole_seconds));
    out += &authentication(c).or_else(|(what, reason)| refuse(setting(what), reason))?;
    Ok(out)
}

/// Who proves himself how. Without a word about it, iked takes any kind of signature.
fn authentication(c: &Connection) -> Result<String, (&'static str, &'static str)> {
    match (c.auth.own, c.auth.peer) {
        (AuthMethod::Psk, AuthMethod::Psk) if c.psk.expose().is_empty() => Err(("psk", "iked takes an empty pre-shared key for none")),
        (AuthMethod::Psk, AuthMethod::Psk) => {
            // In hex, so that nothing in it means anything to the parser.
            let psk: String = c.psk.expose().bytes().map(|b| format!("{b:02x}")).collect();
            Ok(format!(" psk \"0x{psk}\""))
        }
        (AuthMethod::Certificate, AuthMethod::Certificate) => Ok(String::new()),
        (AuthMethod::Certificate, AuthMethod::EapMschapv2) => Ok(" eap \"mschap-v2\"".into()),
        (own, peer) if own.is_eap() || peer.is_eap() => Err(("auth", "of EAP, iked has the server of EAP-MSCHAPv2, with a certificate")),
        _ => Err(("auth", "both sides of a policy of iked prove themselves in the same way")),
    }
}

fn identity(id: &str, setting: impl Fn() -> String) -> Result<String, Refusal> {
    if id.contains('=') {
        return refuse(setting(), "distinguished names are not translated");
    }
    quoted(id, setting)
}

fn quoted(text: &str, setting: impl Fn() -> String) -> Result<String, Refusal> {
    if text.is_empty() || text.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
        return refuse(setting(), format!("{text:?} cannot be written in iked.conf"));
    }
    Ok(format!("\"{text}\""))
}

/// iked counts in seconds; never less than asked for, and never 0, which means "off".
pub(crate) fn whole_seconds(d: Duration) -> u64 {
    (d.as_secs() + u64::from(d.subsec_nanos() > 0)).max(1)
}

/// Settings that iked has compiled in, or treats otherwise than asked, without preventing the run.
pub(crate) fn deviations(config: &GatewayConfig) -> Vec<String> {
    let mut told = vec![
        "retransmit: iked repeats a request after 2, 4, 8, 16, 32 s more each and gives up 64 s later (compiled in)".to_owned(),
        "nat_keepalive: every 20 s behind a NAT (compiled in)".to_owned(),
        "selectors: a responder whose selectors do not meet the initiator's says so to nobody: no TS_UNACCEPTABLE".to_owned(),
    ];
    for c in &config.connections {
        let mut tell = |text: &str| told.push(format!("{}: {text}", c.name));
        if c.child_rekey.is_some() {
            tell("child_rekey: a random moment at 85 to 95 % of it; hard lifetime: child_rekey itself");
        }
        if c.dpd_delay.is_some() {
            tell("dpd_delay: set, but peers are not asked: Linux's PF_KEY does not tell iked when an SA was last used");
        }
        if c.mobike {
            tell("mobike: only for a peer that moves");
        }
        if [c.dpd_action, c.close_action].contains(&ChildAction::Start) {
            tell("dpd_action, close_action: tried again up to 60 s later (compiled in), whichever of the two it was");
        }
        if c.keying_tries != 1 {
            tell("keying_tries: one try each 60 s (compiled in)");
        }
    }
    told
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config() -> GatewayConfig {
        let text = |s: &str| s.to_owned();
        GatewayConfig {
            name: text("west"),
            retransmit: peer::Retransmit::default(),
            nat_keepalive: None,
            connections: vec![Connection {
                psk: "k\"1".into(),
                ike_proposals: vec![text("aes128-sha256-ecp256")],
                esp_proposals: vec![text("aes128-sha1")],
                local_ts: vec!["10.1.0.0/24".parse().unwrap()],
                remote_ts: vec!["10.2.0.0/24".parse().unwrap(), "10.3.0.0/24".parse().unwrap()],
                ike_rekey: Some(Duration::from_millis(1500)),
                ..Connection::plain("west", "east", "10.9.0.1".parse().unwrap(), Some("10.9.0.2".parse().unwrap()))
            }],
            ..GatewayConfig::default()
        }
    }

    #[test]
    fn every_setting_is_written_out() {
        let text = render(&config(), &BTreeSet::from(["west-east".to_owned()])).unwrap();
        assert_eq!(
            text,
            "set nomobike\nset fragmentation\nset noenforcesingleikesa\nset dpd_check_interval 0\n\
             ikev2 \"west-east\" active tunnel esp inet from 10.1.0.0/24 to 10.2.0.0/24 from 10.1.0.0/24 to 10.3.0.0/24 \
             local 10.9.0.1 peer 10.9.0.2 ikesa enc aes-128 group ecp256 prf hmac-sha2-256 auth hmac-sha2-256 \
             childsa enc aes-128 auth hmac-sha1 srcid \"west.example\" dstid \"east.example\" ikelifetime 2 lifetime 0 psk \"0x6b2231\"\n"
        );
        assert!(render(&config(), &BTreeSet::new()).unwrap().contains("\"west-east\" passive tunnel"));
    }

    #[test]
    fn what_is_refused_is_known_before_the_start() {
        use peer::Driver;
        let probe = peer::Probe { version: "7.2".into(), data_path: String::new(), capabilities: vec![], found: String::new() };
        let mut config = config();
        let check = |config: &GatewayConfig| crate::OpenIked::new().check(config, &probe);
        assert!(check(&config).is_ok());
        config.connections[0].inactivity = Some(Duration::from_secs(1));
        assert!(matches!(check(&config), Err(peer::DriverError::Refused { setting, .. }) if setting.starts_with("inactivity")));
    }

    #[test]
    fn certificates_need_no_word_and_eap_needs_logins() {
        let mut config = config();
        let auth = &mut config.connections[0].auth;
        (auth.own, auth.peer) = (AuthMethod::Certificate, AuthMethod::Certificate);
        assert!(render(&config, &BTreeSet::new()).unwrap().ends_with("lifetime 0\n"));
        let auth = &mut config.connections[0].auth;
        auth.peer = AuthMethod::EapMschapv2;
        auth.eap = Some(peer::EapLogin { user: "ann".into(), password: "secret".into() });
        let text = render(&config, &BTreeSet::new()).unwrap();
        assert!(text.contains("\nuser \"ann\" \"secret\"\n") && text.ends_with("lifetime 0 eap \"mschap-v2\"\n"), "{text}");
        for (own, peer) in [(AuthMethod::Psk, AuthMethod::Certificate), (AuthMethod::EapMschapv2, AuthMethod::Certificate)] {
            let auth = &mut config.connections[0].auth;
            (auth.own, auth.peer) = (own, peer);
            assert!(render(&config, &BTreeSet::new()).unwrap_err().setting.starts_with("auth"));
        }
    }

    #[test]
    fn what_iked_has_not_is_refused_by_name() {
        type Tweak = fn(&mut Connection);
        let tweaks: [(&str, Tweak); 9] = [
            ("ike of", |c| c.ike = IkeMode::V1Main),
            ("force_encap", |c| c.force_encap = true),
            ("inactivity", |c| c.inactivity = Some(Duration::from_secs(9))),
            ("child_life", |c| c.child_life = Some(Duration::from_secs(9))),
            ("esp_proposals aes128gcm16", |c| c.esp_proposals = vec!["aes128gcm16".into()]),
            ("more_children", |c| c.more_children = vec![peer::Child::default()]),
            ("local_id", |c| c.local_id = "a\"b".into()),
            ("remote_id", |c| c.remote_id = "CN=east".into()),
            ("remote of", |c| (c.remote, c.start_action) = (None, ChildAction::Start)),
        ];
        for (setting, tweak) in tweaks {
            let mut config = config();
            tweak(&mut config.connections[0]);
            let refusal = render(&config, &BTreeSet::new()).unwrap_err();
            assert!(refusal.setting.contains(setting), "{refusal:?}");
        }
        let mut two = config();
        two.connections.push(Connection { mobike: true, ..two.connections[0].clone() });
        assert_eq!(render(&two, &BTreeSet::new()).unwrap_err().setting, "mobike");
    }
}
