//! Against the real charon: what comes up, what is refused, and what the daemon says then.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::time::{Duration, Instant};

use lab::Lab;
use peer::*;

const LONG: Duration = Duration::from_secs(15);

async fn comes_up(ike: IkeMode) {
    let Some(lab) = Lab::new().await else { return };
    let begun = Instant::now();
    let (mut west, mut east) = lab.pair(ike, |_, _| {}).await;
    let ready = begun.elapsed();
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    eprintln!("{ike:?}: both daemons ready after {ready:?}, child up after {:?}", begun.elapsed());
    let up = |e: &GatewayEventKind| matches!(e, GatewayEventKind::ChildUp { .. });
    let (at_west, at_east) = (west.until("child up", up).await, east.until("child up", up).await);
    let GatewayEventKind::ChildUp { spi_in, spi_out, .. } = at_west else { panic!("{at_west:?}") };
    let mirrored =
        GatewayEventKind::ChildUp { connection: "east-west".into(), child: "east-west".into(), spi_in: spi_out, spi_out: spi_in };
    assert_eq!(at_east, mirrored);
    assert!(west.gateway.describe().await.unwrap().contains("INSTALLED"));
    assert!(west.gateway.accepted().iter().any(|a| a.what == "connection west-east"));
    // A second request finds it there.
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    let (a, b) = (west.gateway.keys().await, east.gateway.keys().await);
    assert_eq!(a.esp.len(), 2, "{a:?}");
    assert!(a.esp.iter().all(|k| b.esp.contains(k)), "{a:?} {b:?}");
    assert_eq!((&a.ikev1, &a.ikev2), (&b.ikev1, &b.ikev2));
    assert_eq!(a.ikev1.len() + a.ikev2.len(), 1);
    west.gateway.stop(false).await.unwrap();
    east.until("child down", |e| matches!(e, GatewayEventKind::ChildDown { .. })).await;
    east.gateway.stop(true).await.unwrap();
    assert_eq!(east.gateway.pid(), None);
    assert!(east.gateway.initiate("east-west", LONG).await.is_err());
}

/// A second child, between other networks.
fn with_dmz(config: &mut GatewayConfig, near: &str, far: &str) {
    let c = &mut config.connections[0];
    let (local_ts, remote_ts) = (vec![near.parse().unwrap()], vec![far.parse().unwrap()]);
    let (name, esp_proposals) = (format!("{}-dmz", c.name), vec!["aes256-sha256".into()]);
    c.more_children = vec![Child { name, esp_proposals, local_ts, remote_ts, ..Child::default() }];
}

#[tokio::test]
async fn two_children_come_up_under_one_ike_sa() {
    let Some(lab) = Lab::new().await else { return };
    // kernel-libipsec has no policy for a network without an own address.
    for (side, address) in [("west", "10.1.1.1/24"), ("east", "10.2.1.1/24")] {
        assert!(lab.run(side, &["ip", "addr", "add", address, "dev", "lo"]).status.success());
    }
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let tweak = |w: &mut GatewayConfig, e: &mut GatewayConfig| {
            with_dmz(w, "10.1.1.0/24", "10.2.1.0/24");
            with_dmz(e, "10.2.1.0/24", "10.1.1.0/24");
        };
        let (mut west, mut east) = lab.pair(ike, tweak).await;
        for _ in 0..2 {
            assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
        }
        for name in ["east-west", "east-west-dmz"] {
            let up = |e: &GatewayEventKind| matches!(e, GatewayEventKind::ChildUp { connection, child, .. } if connection == "east-west" && child == name);
            east.until(name, up).await;
        }
        let keys = west.gateway.keys().await;
        let mut bits: Vec<usize> = keys.esp.iter().map(|k| k.key.len() * 8).collect();
        bits.sort_unstable();
        assert_eq!((bits, keys.ikev1.len() + keys.ikev2.len()), (vec![128, 128, 256, 256], 1), "{keys:?}");
        west.gateway.stop(true).await.unwrap();
        east.gateway.stop(true).await.unwrap();
    }
}

#[tokio::test]
async fn a_second_child_is_refused_by_name() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, _east) = lab.pair(IkeMode::V2, |w, _| with_dmz(w, "10.1.1.0/24", "10.2.1.0/24")).await;
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.starts_with("west-east-dmz: ") && reason.contains("TS_UNACCEPTABLE"), "{reason}");
    assert!(west.gateway.describe().await.unwrap().contains("INSTALLED"), "the first one stays");
}

#[tokio::test]
async fn ikev2_comes_up() {
    comes_up(IkeMode::V2).await;
}

#[tokio::test]
async fn main_mode_comes_up() {
    comes_up(IkeMode::V1Main).await;
}

#[tokio::test]
async fn aggressive_mode_comes_up() {
    comes_up(IkeMode::V1Aggressive).await;
}

/// Initiates from the west; expects failure within `within`; returns the daemon's reason.
async fn fails(ike: IkeMode, within: Duration, tweak: impl FnOnce(&mut Connection, &mut Connection)) -> Option<String> {
    let lab = Lab::new().await?;
    let (mut west, east) = lab.pair(ike, |w, e| tweak(&mut w.connections[0], &mut e.connections[0])).await;
    let begun = Instant::now();
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    let took = begun.elapsed();
    eprintln!("{ike:?}: {outcome:?} after {took:?}");
    if std::env::var_os("SHOW_LOGS").is_some() {
        eprintln!("west\n{}\neast\n{}", west.log(), east.log());
    }
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}\n{}", west.log()) };
    assert!(took < within, "{took:?}");
    Some(reason)
}

const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_wrong_psk_fails_ikev2_at_once() {
    let Some(reason) = fails(IkeMode::V2, SOON, |w, _| w.psk = "wrong".into()).await else { return };
    assert!(reason.contains("AUTHENTICATION_FAILED"), "{reason}");
}

#[tokio::test]
async fn a_wrong_psk_fails_main_mode() {
    let Some(reason) = fails(IkeMode::V1Main, LONG, |w, _| w.psk = "wrong".into()).await else { return };
    assert!(!reason.is_empty());
}

#[tokio::test]
async fn a_wrong_psk_fails_aggressive_mode() {
    let Some(reason) = fails(IkeMode::V1Aggressive, LONG, |w, _| w.psk = "wrong".into()).await else { return };
    assert!(!reason.is_empty());
}

#[tokio::test]
async fn ike_proposals_that_differ_are_refused() {
    for ike in [IkeMode::V2, IkeMode::V1Main, IkeMode::V1Aggressive] {
        let Some(reason) = fails(ike, SOON, |w, _| w.ike_proposals = vec!["aes256-sha512-ecp384".into()]).await else { return };
        assert!(reason.contains("NO_PROPOSAL_CHOSEN"), "{ike:?}: {reason}");
    }
}

#[tokio::test]
async fn esp_proposals_that_differ_are_refused() {
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let Some(reason) = fails(ike, SOON, |w, _| w.esp_proposals = vec!["aes256-sha512".into()]).await else { return };
        assert!(reason.contains("NO_PROPOSAL_CHOSEN"), "{ike:?}: {reason}");
    }
}

#[tokio::test]
async fn selectors_that_do_not_meet_are_refused() {
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let Some(reason) = fails(ike, SOON, |w, _| w.remote_ts = vec!["10.77.0.0/24".parse().unwrap()]).await else { return };
        let word = if ike == IkeMode::V2 { "TS_UNACCEPTABLE" } else { "INVALID_ID_INFORMATION" };
        assert!(reason.contains(word), "{ike:?}: {reason}");
    }
}

#[tokio::test]
async fn a_silent_peer_is_given_up_after_the_configured_copies() {
    let Some(lab) = Lab::new().await else { return };
    let config = lab.config("west", IkeMode::V2);
    let give_up = config.retransmit.give_up();
    let mut west = lab.start(config).await.unwrap();
    let begun = Instant::now();
    assert_eq!(west.gateway.initiate("west-east", Duration::from_millis(200)).await.unwrap(), Outcome::Pending);
    assert!(begun.elapsed() < Duration::from_secs(1));
    // The attempt goes on, and a second request joins it. Nobody listens at the peer, which charon does not care about.
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}\n{}", west.log()) };
    assert!(reason.contains("giving up after 3 retransmits"), "{reason}");
    let took = begun.elapsed();
    assert!(took > give_up - Duration::from_millis(100) && took < give_up + Duration::from_secs(2), "{took:?} {give_up:?}");
}

#[tokio::test]
async fn nonsense_is_refused_in_charons_words() {
    let Some(lab) = Lab::new().await else { return };
    let mut config = lab.config("west", IkeMode::V2);
    config.connections[0].ike_proposals = vec!["rot13-none".into()];
    match lab.start(config).await.err() {
        Some(DriverError::Refused { setting, reason, .. }) => {
            assert_eq!(setting, "connection west-east");
            assert!(reason.contains("proposals"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}
