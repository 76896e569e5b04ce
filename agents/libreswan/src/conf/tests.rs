use super::*;

fn timing(timeout: u64, tries: u32) -> Result<Vec<(&'static str, String)>, Refusal> {
    let mut lines = Vec::new();
    let profile = Retransmit { timeout: Duration::from_millis(timeout), base: 2.0, tries };
    retransmission(&profile, &mut lines, &mut Vec::new()).map(|()| lines)
}

#[test]
fn the_timeout_lies_between_the_last_copy_and_the_next() {
    // Copies at 300, 600 and 1200 ms; the next would be at 2400 ms.
    let lines = timing(300, 3).unwrap();
    assert_eq!(lines, [("retransmit-interval", "300".to_owned()), ("retransmit-timeout", "1800ms".to_owned())]);
    assert_eq!(timing(300, 0).unwrap_err().0, "retransmit");
    assert_eq!(timing(300, 13).unwrap_err().0, "retransmit");
}

#[test]
fn identities_and_secrets() {
    assert_eq!(identity("west.example"), "@west.example");
    assert_eq!(identity("10.9.0.1"), "10.9.0.1");
    assert_eq!(identity("user@west.example"), "user@west.example");
    assert_eq!(secret("correct horse"), "\"correct horse\"");
    assert_eq!(secret("a\"b"), "0x612262");
}

#[test]
fn selectors() {
    let net = |n: &str| -> IpNet { n.parse().unwrap() };
    let host = Some("10.9.0.1".parse().unwrap());
    assert_eq!(selector(EspMode::Tunnel, &[net("10.1.0.0/24")], host), Ok(Some("10.1.0.0/24".into())));
    assert_eq!(selector(EspMode::Tunnel, &[net("10.9.0.1/32")], host), Ok(None));
    assert_eq!(selector(EspMode::Transport, &[net("10.9.0.1/32")], host), Ok(None));
    assert!(selector(EspMode::Transport, &[net("10.1.0.0/24")], host).is_err());
    assert!(selector(EspMode::Tunnel, &[net("10.1.0.0/24"), net("10.3.0.0/24")], host).is_err());
}

fn settings() -> GatewayConfig {
    let connection = Connection {
        ike_proposals: vec!["aes128-sha256-modp2048".into()],
        esp_proposals: vec!["aes128-sha256-ecp256".into()],
        local_ts: vec!["10.1.0.0/24".parse().unwrap()],
        remote_ts: vec!["10.2.0.0/24".parse().unwrap()],
        keying_tries: 0,
        ..Connection::plain("west", "east", "10.9.0.1".parse().unwrap(), None)
    };
    GatewayConfig { name: "west".into(), connections: vec![connection], ..GatewayConfig::default() }
}

/// What of `wanted` is not a line of the configuration.
fn missing(config: &GatewayConfig, wanted: &[&'static str]) -> Vec<&'static str> {
    let rendered = render(&Found::sample(Dialect::Old), config).unwrap();
    wanted.iter().copied().filter(|w| rendered.conf.lines().all(|l| l.trim() != *w)).collect()
}

fn refused(tweak: impl FnOnce(&mut Connection)) -> String {
    let mut config = settings();
    tweak(&mut config.connections[0]);
    match render(&Found::sample(Dialect::Old), &config) {
        Err(DriverError::Refused { setting, .. }) => setting,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_refused_is_known_before_the_start() {
    use peer::Driver;
    let probe = Found::sample(Dialect::Old).probe(true);
    let driver = crate::Libreswan::new();
    driver.remember(&probe);
    let mut config = settings();
    assert!(driver.check(&config, &probe).is_ok());
    config.connections[0].inactivity = Some(Duration::from_secs(1));
    assert!(matches!(driver.check(&config, &probe), Err(DriverError::Refused { .. })));
    // Of another version of this program, perhaps.
    let strange = peer::Probe { found: "{}".into(), ..probe };
    assert!(driver.check(&config, &strange).is_ok());
}

#[test]
fn settings_are_written_out() {
    let mut config = settings();
    let plain =
        ["conn west-east", "ikev2=yes", "right=%any", "leftid=@west.example", "rekey=no", "nat-keepalive=no", "keyingtries=%forever"];
    assert_eq!(missing(&config, &plain), [""; 0]);
    assert_eq!(
        missing(&config, &["leftsubnet=10.1.0.0/24", "esp=aes128-sha2_256-dh19", "pfs=yes", "esn=no", "encapsulation=auto"]),
        [""; 0]
    );
    assert_eq!(render(&Found::sample(Dialect::Old), &config).unwrap().secrets, "@west.example @east.example : PSK \"correct horse\"\n");
    config.nat_keepalive = Some(Duration::from_millis(1500));
    let c = &mut config.connections[0];
    (c.ike, c.force_encap, c.keying_tries) = (IkeMode::V1Aggressive, true, 2);
    (c.dpd_delay, c.dpd_action) = (Some(Duration::from_secs(5)), ChildAction::Start);
    let other = ["ikev2=no", "aggressive=yes", "encapsulation=yes", "keyingtries=2", "keep-alive=2", "nat-keepalive=yes"];
    assert_eq!(missing(&config, &other), [""; 0]);
    // Gives up after 3.56 s, so 4 s; beginning anew is part of re-keying.
    assert_eq!(missing(&config, &["dpddelay=5s", "dpdtimeout=9s", "dpdaction=restart", "rekey=yes"]), [""; 0]);
}

#[test]
fn lifetimes_end_a_margin_after_the_time_of_rekeying() {
    let mut config = settings();
    let c = &mut config.connections[0];
    (c.child_rekey, c.child_life, c.ike_rekey) =
        (Some(Duration::from_secs(100)), Some(Duration::from_secs(120)), Some(Duration::from_secs(300)));
    let lines = ["rekey=yes", "rekeymargin=20s", "rekeyfuzz=0%", "salifetime=120s", "ikelifetime=320s"];
    assert_eq!(missing(&config, &lines), [""; 0]);
    assert!(render(&Found::sample(Dialect::Old), &config).unwrap().notes[0].iter().any(|n| n.starts_with("close_action none")));
    // libreswan 5.2 (Debian 5.2-2.2): "ipsec-lifetime=30 must be greater than rekeymargin=60s + rekeyfuzz=0%, setting to 60 seconds".
    let mut config = settings();
    config.connections[0].child_life = Some(Duration::from_secs(30));
    assert_eq!(missing(&config, &["rekey=no", "rekeymargin=3s", "salifetime=30s"]), [""; 0]);
}

#[test]
fn what_it_does_not_have_is_refused_by_name() {
    let second = Duration::from_secs(1);
    assert_eq!(refused(|c| c.inactivity = Some(second)), "inactivity of connection west-east");
    assert_eq!(refused(|c| c.name = "a b".into()), "name of connection a b");
    assert!(refused(|c| c.remote_id = "east\nauto=start".into()).starts_with("remote_id"));
    assert!(refused(|c| c.ike_rekey = Some(second * 90_000)).starts_with("ike_rekey"));
    assert!(refused(|c| (c.child_rekey, c.child_life) = (Some(second * 9), Some(second * 9))).starts_with("child_life"));
    assert!(refused(|c| (c.ike_rekey, c.child_life) = (Some(second * 9), Some(second * 9))).starts_with("child_life"));
    assert!(refused(|c| c.esp_proposals = vec!["aes128".into()]).starts_with("esp_proposals"));
    assert!(refused(|c| c.nat_traversal = false).starts_with("nat_traversal"));
}

#[test]
fn certificates_are_named_and_both_ends_say_how() {
    let (rsa, ecdsa) = (vec![6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5], vec![6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 3]);
    let mut config = settings();
    let auth = &mut config.connections[0].auth;
    (auth.own, auth.peer) = (AuthMethod::Certificate, AuthMethod::Certificate);
    (auth.certificates, auth.anchors) = (vec![ecdsa.clone()], vec![rsa.clone(), ecdsa.clone()]);
    assert_eq!(missing(&config, &["authby=ecdsa", "leftcert=own-1", "leftsendcert=always"]), [""; 0]);
    assert_eq!(render(&Found::sample(Dialect::Old), &config).unwrap().secrets, "");
    config.connections[0].auth.anchors = vec![rsa.clone()];
    assert_eq!(missing(&config, &["leftauth=ecdsa", "rightauth=rsasig"]), [""; 0]);
    config.connections[0].auth.own = AuthMethod::Psk;
    assert_eq!(missing(&config, &["leftauth=secret", "rightauth=rsasig"]), [""; 0]);
    assert!(!render(&Found::sample(Dialect::Old), &config).unwrap().conf.contains("leftcert"));
    assert!(refused(|c| (c.auth.peer, c.auth.anchors, c.ike) = (AuthMethod::Certificate, vec![rsa], IkeMode::V1Main)).starts_with("auth"));
    assert!(refused(|c| c.auth.peer = AuthMethod::EapMd5).starts_with("auth"));
}

#[test]
fn children_share_a_secret() {
    let mut config = settings();
    let first = &mut config.connections[0];
    let (local_ts, remote_ts) = (vec!["10.1.1.0/24".parse().unwrap()], vec!["10.2.1.0/24".parse().unwrap()]);
    let esp_proposals = vec!["aes256-sha256".into()];
    first.more_children = vec![peer::Child { name: "west-east-dmz".into(), esp_proposals, local_ts, remote_ts, ..Default::default() }];
    let first = first.clone();
    config.connections = first.children().into_iter().map(|child| first.alone(child)).collect();
    assert_eq!(missing(&config, &["conn west-east", "leftsubnet=10.1.0.0/24", "conn west-east-dmz", "leftsubnet=10.1.1.0/24"]), [""; 0]);
    assert_eq!(render(&Found::sample(Dialect::Old), &config).unwrap().secrets.lines().count(), 1);
}

#[test]
fn each_dialect_has_its_words() {
    let mut config = settings();
    config.connections[0].dpd_delay = Some(Duration::from_secs(2));
    let conf = |dialect| render(&Found::sample(dialect), &config).unwrap().conf;
    let (old, new) = (conf(Dialect::Old), conf(Dialect::New));
    for word in ["ikev2=yes", "keyingtries=", "dpdaction=", "dpdtimeout="] {
        // libreswan 5.2 (Debian 5.2-2.2): "obsolete keyword ignored", or takes it with a notice.
        assert!(old.contains(word) && !new.contains(word), "{word}");
    }
    // libreswan 4.10 (Debian 4.10-2): "keyword keyexchange, invalid value: ikev2".
    assert!(new.contains("keyexchange=ikev2") && !old.contains("keyexchange"));
    assert!(old.contains("dpddelay=2s") && new.contains("dpddelay=2s"));
}
