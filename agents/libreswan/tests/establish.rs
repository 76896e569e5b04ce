//! Against the real pluto: what comes up, what is refused, and what the daemon says then.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::time::Duration;

use lab::Lab;
use peer::*;

const LONG: Duration = Duration::from_secs(30);

fn is_up(e: &GatewayEventKind) -> bool {
    matches!(e, GatewayEventKind::ChildUp { .. })
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

async fn comes_up(ike: IkeMode) {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, mut east) = lab.pair(ike, |_, _| {}).await;
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established, "{}", west.log());
    let (at_west, at_east) = (west.until("child up", is_up).await, east.until("child up", is_up).await);
    let GatewayEventKind::ChildUp { spi_in, spi_out, .. } = at_west else { panic!("{at_west:?}") };
    let mirrored =
        GatewayEventKind::ChildUp { connection: "east-west".into(), child: "east-west".into(), spi_in: spi_out, spi_out: spi_in };
    assert_eq!(at_east, mirrored);
    assert!(lab.reaches("west", "10.2.0.1") && lab.reaches("east", "10.1.0.1"), "{}", lab.kernel("west"));
    // Through the tunnel, not beside it.
    assert!(!lab.kernel("west").contains("0(bytes), 0(packets)"), "{}", lab.kernel("west"));
    let description = west.gateway.describe().await.unwrap();
    assert!(description.contains("ESPin="), "{description}");
    assert!(west.gateway.accepted().iter().any(|a| a.what == "connection west-east" && a.answer.contains("added IKEv")));
    // A second request finds it there.
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    let (a, b) = (west.gateway.keys().await, east.gateway.keys().await);
    assert_eq!(a.esp.len(), 2, "{a:?}");
    assert!(a.esp.iter().all(|k| b.esp.contains(k)), "{a:?} {b:?}");
    assert_eq!((&a.ikev1, &a.ikev2), (&b.ikev1, &b.ikev2));
    // ISAKMP keys stay inside NSS.
    assert_eq!((a.ikev1.len(), a.ikev2.len()), (0, usize::from(ike == IkeMode::V2)));
    let kernel = lab.kernel("west");
    for key in &a.esp {
        for part in [hex(&key.key), hex(&key.integrity_key), format!("0x{:08x}", key.spi)] {
            assert!(kernel.contains(&part), "{part} in {kernel}");
        }
    }
    west.gateway.stop(false).await.unwrap();
    east.until("child down", |e| matches!(e, GatewayEventKind::ChildDown { .. })).await;
    east.until("IKE down", |e| matches!(e, GatewayEventKind::IkeDown { .. })).await;
    east.gateway.stop(true).await.unwrap();
    assert_eq!(east.gateway.pid(), None);
    assert!(east.gateway.initiate("east-west", LONG).await.is_err());
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

#[tokio::test]
async fn transport_mode_and_forced_encapsulation_come_up() {
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let Some(lab) = Lab::new().await else { return };
        let tweak = |w: &mut GatewayConfig, e: &mut GatewayConfig| {
            for side in [w, e] {
                let c = &mut side.connections[0];
                (c.mode, c.force_encap) = (EspMode::Transport, ike == IkeMode::V2);
                c.local_ts = vec![c.local.into()];
                c.remote_ts = vec![c.remote.unwrap().into()];
            }
        };
        let (mut west, _east) = lab.pair(ike, tweak).await;
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established, "{}", west.log());
        let kernel = lab.kernel("west");
        assert!(kernel.contains("mode transport"), "{kernel}");
        assert_eq!(kernel.contains("espinudp"), ike == IkeMode::V2, "{kernel}");
        assert!(lab.reaches("west", "10.9.0.2"));
    }
}

#[tokio::test]
async fn a_responder_for_anybody() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, mut east) = lab.pair(IkeMode::V2, |_, e| e.connections[0].remote = None).await;
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established, "{}", west.log());
    let told = east.until("child up", is_up).await;
    assert!(matches!(told, GatewayEventKind::ChildUp { connection, .. } if connection == "east-west"));
    let reason = east.gateway.initiate("nobody", LONG).await.unwrap_err().to_string();
    assert!(reason.contains("no such connection"), "{reason}");
}

/// Initiates from the west; expects failure; returns the daemon's reason.
async fn fails(ike: IkeMode, tweak: impl FnOnce(&mut Connection, &mut Connection)) -> Option<String> {
    let lab = Lab::new().await?;
    let (mut west, _east) = lab.pair(ike, |w, e| tweak(&mut w.connections[0], &mut e.connections[0])).await;
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    eprintln!("{ike:?}: {outcome:?}");
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}\n{}", west.log()) };
    Some(reason)
}

#[tokio::test]
async fn a_wrong_psk_fails() {
    for (ike, words) in [
        (IkeMode::V2, "AUTHENTICATION_FAILED"),
        (IkeMode::V1Main, "Possible authentication failure"),
        (IkeMode::V1Aggressive, "received Hash Payload does not match computed value"),
    ] {
        let Some(reason) = fails(ike, |w, _| w.psk = "wrong".into()).await else { return };
        assert!(reason.contains(words), "{ike:?}: {reason}");
    }
}

#[tokio::test]
async fn proposals_that_differ_are_refused() {
    for ike in [IkeMode::V2, IkeMode::V1Main, IkeMode::V1Aggressive] {
        let Some(reason) = fails(ike, |w, _| w.ike_proposals = vec!["aes256-sha512-modp4096".into()]).await else { return };
        assert!(reason.contains("NO_PROPOSAL_CHOSEN") || reason.contains("timeout exceeded"), "{ike:?}: {reason}");
        let Some(reason) = fails(ike, |w, _| w.esp_proposals = vec!["aes256-sha512".into()]).await else { return };
        assert!(reason.contains("NO_PROPOSAL_CHOSEN"), "{ike:?}: {reason}");
    }
}

#[tokio::test]
async fn selectors_that_do_not_meet_are_refused() {
    for (ike, word) in [(IkeMode::V2, "TS_UNACCEPTABLE"), (IkeMode::V1Main, "INVALID_ID_INFORMATION")] {
        let Some(reason) = fails(ike, |w, _| w.remote_ts = vec!["10.77.0.0/24".parse().unwrap()]).await else { return };
        assert!(reason.contains(word), "{ike:?}: {reason}");
    }
}

#[tokio::test]
async fn a_silent_peer_is_given_up_after_the_configured_copies() {
    let Some(lab) = Lab::new().await else { return };
    let mut west = lab.start(lab.config("west", IkeMode::V2)).await.unwrap();
    // Nobody listens at the peer, which pluto does not care about.
    assert_eq!(west.gateway.initiate("west-east", Duration::from_millis(200)).await.unwrap(), Outcome::Pending);
    // The attempt goes on, and a second request joins it.
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}\n{}", west.log()) };
    assert!(reason.contains("timeout exceeded after 3 retransmits"), "{reason}");
    assert_eq!(west.log().matches("initiating IKEv2").count(), 1, "{}", west.log());
}

#[tokio::test]
async fn what_it_does_not_do_is_refused_by_name() {
    let Some(lab) = Lab::new().await else { return };
    type Case = (&'static str, &'static str, fn(&mut GatewayConfig));
    let cases: [Case; 6] = [
        ("inactivity", "idle", |c| c.connections[0].inactivity = Some(LONG)),
        ("ike_proposals", "rot13", |c| c.connections[0].ike_proposals = vec!["rot13-none".into()]),
        // Debian's build has no such group: the daemon's own words.
        ("connection", "modp1024", |c| c.connections[0].ike_proposals = vec!["3des-sha1-modp1024".into()]),
        ("connection", "IKEv1", |c| {
            c.connections[0].ike = IkeMode::V1Main;
            c.connections[0].esp_proposals = vec!["aes128-sha256-ecp256".into()];
        }),
        ("remote_ts", "one selector", |c| c.connections[0].remote_ts.push("10.78.0.0/24".parse().unwrap())),
        ("retransmit", "copies", |c| c.retransmit.tries = 20),
    ];
    for (name, why, tweak) in cases {
        let mut config = lab.config("west", IkeMode::V2);
        tweak(&mut config);
        match lab.start(config).await.err() {
            Some(DriverError::Refused { setting, reason, .. }) => {
                assert!(setting.contains(name) && setting.contains("west-east") || name == "retransmit", "{name}: {setting}");
                assert!(reason.contains(why), "{name}: {reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}
