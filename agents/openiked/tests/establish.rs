//! Against the real iked: what comes up, what is refused, and what the daemon says then.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::time::Duration;

use lab::{Lab, Who};
use peer::*;

/// iked initiates two seconds after it was told to.
const LONG: Duration = Duration::from_secs(30);
const BOTH: (Who, Who) = (Who::OpenIked, Who::OpenIked);

/// Brings a tunnel up from the west, checks what both sides tell, sends something through, says goodbye.
async fn comes_up(who: (Who, Who), tweak: impl FnOnce(&mut Connection, &mut Connection)) {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, mut east) = lab.pair(who, tweak).await;
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    assert_eq!(outcome, Outcome::Established, "west\n{}\neast\n{}", west.log(), east.log());
    let up = |e: &GatewayEventKind| matches!(e, GatewayEventKind::ChildUp { .. });
    let (at_west, at_east) = (west.until("child up", up).await, east.until("child up", up).await);
    let GatewayEventKind::ChildUp { spi_in, spi_out, .. } = at_west else { panic!("{at_west:?}") };
    let mirrored =
        GatewayEventKind::ChildUp { connection: "east-west".into(), child: "east-west".into(), spi_in: spi_out, spi_out: spi_in };
    assert_eq!(at_east, mirrored);
    assert!(west.gateway.accepted().iter().any(|a| a.what == "connection west-east"), "{:?}", west.gateway.accepted());
    // A second request finds it there.
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    assert!(lab.echo(), "nothing came back\n{}", west.gateway.describe().await.unwrap());
    for side in ["west", "east"] {
        let carried = lab.carried(side);
        assert!(carried.len() == 2 && carried.iter().all(|n| *n > 0), "{side}: {carried:?}");
    }
    let (a, b) = (west.gateway.keys().await, east.gateway.keys().await);
    assert_eq!(a.esp.len(), 2, "{a:?}");
    assert!(a.esp.iter().all(|k| b.esp.contains(k)), "{a:?} {b:?}");
    assert_eq!(a.ikev2, b.ikev2);
    assert_eq!(a.ikev2.len(), 1);
    assert_eq!(kernel_keys(&lab, "west"), sorted(a.esp.iter().map(|k| (k.spi, hex(&k.key), hex(&k.integrity_key)))));
    west.gateway.stop(false).await.unwrap();
    // strongSwan tells the end of the IKE SA first.
    for _ in 0..2 {
        east.until("an end", |e| matches!(e, GatewayEventKind::ChildDown { .. } | GatewayEventKind::IkeDown { .. })).await;
    }
    east.gateway.stop(true).await.unwrap();
    assert_eq!(east.gateway.pid(), None);
    assert!(east.gateway.initiate("east-west", LONG).await.is_err());
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

fn sorted(keys: impl Iterator<Item = (u32, String, String)>) -> Vec<(u32, String, String)> {
    let mut keys: Vec<_> = keys.collect();
    keys.sort();
    keys
}

/// SPI, encryption key and integrity key of the kernel's SAs: `auth-trunc hmac(sha1) 0x… 96`, `enc cbc(aes) 0x…`.
fn kernel_keys(lab: &Lab, side: &str) -> Vec<(u32, String, String)> {
    let listing = String::from_utf8(lab.run(side, &["ip", "xfrm", "state"]).stdout).unwrap();
    let sas = listing.split("\nsrc ").map(|sa| {
        let after = |word: &str, nth: usize| {
            let at = sa.split_whitespace().skip_while(|w| *w != word).nth(nth).unwrap_or_default();
            at.trim_start_matches("0x").to_owned()
        };
        (u32::from_str_radix(&after("spi", 1), 16).unwrap_or_default(), after("enc", 2), after("auth-trunc", 2))
    });
    sorted(sas)
}

#[tokio::test]
async fn two_ikeds_come_up() {
    comes_up(BOTH, |_, _| {}).await;
}

#[tokio::test]
async fn iked_initiates_to_strongswan() {
    comes_up((Who::OpenIked, Who::StrongSwan), |_, _| {}).await;
}

#[tokio::test]
async fn strongswan_initiates_to_iked() {
    comes_up((Who::StrongSwan, Who::OpenIked), |_, _| {}).await;
}

#[tokio::test]
async fn all_kinds_of_algorithms_come_up() {
    for (ike, esp) in [
        ("3des-sha1-modp1024", "3des-md5"),
        ("aes256gcm16-prfsha384-ecp384", "aes256-sha384"),
        ("aes128gcm12-prfsha256-curve25519", "aes192-sha512"),
        ("aes192-sha512-modp2048", "aes128ctr-sha1"),
    ] {
        eprintln!("{ike} {esp}");
        for who in [BOTH, (Who::OpenIked, Who::StrongSwan)] {
            comes_up(who, |w, e| {
                for c in [w, e] {
                    (c.ike_proposals, c.esp_proposals) = (vec![ike.into()], vec![esp.into()]);
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn ipv6_and_transport_mode_come_up() {
    for who in [BOTH, (Who::StrongSwan, Who::OpenIked)] {
        let Some(lab) = Lab::new().await else { return };
        let (mut west, mut east) = lab
            .pair(who, |w, e| {
                for (c, near, far) in [(w, "fd09::1", "fd09::2"), (e, "fd09::2", "fd09::1")] {
                    (c.local, c.remote, c.mode) = (near.parse().unwrap(), far.parse().ok(), EspMode::Transport);
                    c.local_ts = vec![format!("{near}/128").parse().unwrap()];
                    c.remote_ts = vec![format!("{far}/128").parse().unwrap()];
                }
            })
            .await;
        let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
        assert_eq!(outcome, Outcome::Established, "{who:?}\n{}", west.log());
        let listing = lab.run("west", &["ip", "xfrm", "state"]);
        assert!(String::from_utf8_lossy(&listing.stdout).contains("mode transport"));
        assert!(west.gateway.keys().await.esp.iter().all(|k| k.dst.is_some_and(|d| d.is_ipv6())));
        east.gateway.stop(false).await.unwrap();
        west.until("child down", |e| matches!(e, GatewayEventKind::ChildDown { .. })).await;
    }
}

/// Initiates from the west; expects failure; returns the driver's reason.
async fn fails(who: (Who, Who), tweak: impl FnOnce(&mut Connection, &mut Connection)) -> Option<String> {
    let lab = Lab::new().await?;
    let (mut west, _east) = lab.pair(who, tweak).await;
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}\n{}", west.log()) };
    eprintln!("{who:?}: {reason}");
    Some(reason)
}

#[tokio::test]
async fn a_wrong_psk_fails_in_the_daemons_words() {
    for who in [BOTH, (Who::OpenIked, Who::StrongSwan)] {
        let Some(reason) = fails(who, |w, _| w.psk = "wrong".into()).await else { return };
        assert!(reason.contains("AUTHENTICATION_FAILED"), "{reason}");
    }
}

#[tokio::test]
async fn proposals_that_differ_fail() {
    for who in [BOTH, (Who::OpenIked, Who::StrongSwan)] {
        let Some(reason) = fails(who, |w, _| w.esp_proposals = vec!["aes256-sha512".into()]).await else { return };
        assert!(reason.contains("NO_PROPOSAL_CHOSEN"), "{reason}");
        let Some(reason) = fails(who, |w, _| w.ike_proposals = vec!["aes256-sha512-ecp384".into()]).await else { return };
        assert!(reason.contains("NO_PROPOSAL_CHOSEN"), "{reason}");
    }
}

#[tokio::test]
async fn selectors_that_do_not_meet_fail() {
    let who = (Who::OpenIked, Who::StrongSwan);
    let Some(reason) = fails(who, |w, _| w.remote_ts = vec!["10.77.0.0/24".parse().unwrap()]).await else { return };
    assert!(reason.contains("TS_UNACCEPTABLE"), "{reason}");
}

#[tokio::test]
async fn a_trap_brings_the_tunnel_up_and_comes_back() {
    let Some(lab) = Lab::new().await else { return };
    let tweak = |w: &mut Connection, _: &mut Connection| (w.start_action, w.close_action) = (ChildAction::Trap, ChildAction::Trap);
    let (mut west, mut east) = lab.pair(BOTH, tweak).await;
    let up = |e: &GatewayEventKind| matches!(e, GatewayEventKind::ChildUp { .. });
    lab.echo();
    west.until("child up", up).await;
    assert!(lab.echo());
    east.gateway.stop(false).await.unwrap();
    west.until("child down", |e| matches!(e, GatewayEventKind::ChildDown { .. })).await;
    east.gateway.restart().await.unwrap();
    // The trap is back soon after the child went down; packets before that do not wake it.
    let trapped = async {
        while !String::from_utf8_lossy(&lab.run("west", &["ip", "xfrm", "policy"]).stdout).contains("dst 10.2.0.0/24") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, trapped).await.unwrap();
    lab.echo();
    west.until("child up", up).await;
}

#[tokio::test]
async fn what_it_has_not_is_refused_before_it_starts() {
    let Some(lab) = Lab::new().await else { return };
    let mut config = lab.config("west");
    config.connections[0].esp_proposals = vec!["aes128gcm16".into()];
    match lab.start(Who::OpenIked, config).await.err() {
        Some(DriverError::Refused { setting, reason, .. }) => {
            assert!(setting.contains("aes128gcm16") && reason.contains("AEAD"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
}
