//! What scenarios count on in charon 5.9.8 with kernel-libipsec. When one of these fails, charon has changed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::time::{Duration, Instant};

use lab::Lab;
use peer::*;

const LONG: Duration = Duration::from_secs(15);

/// One datagram to `to`; true when an ICMP error came back through the tunnel.
fn reaches(lab: &Lab, to: &str) -> bool {
    let script = format!("exec 3<>/dev/udp/{to}/9; echo hi >&3; read -t 1 -u 3");
    let out = lab.run("west", &["bash", "-c", &script]);
    String::from_utf8_lossy(&out.stderr).contains("refused")
}

#[tokio::test]
async fn ipv6_works_outside_and_inside() {
    let Some(lab) = Lab::new().await else { return };
    for (side, address) in [("west", "fd01::1/64"), ("east", "fd02::1/64")] {
        lab.run(side, &["ip", "addr", "add", address, "dev", "lo", "nodad"]);
    }
    for (outer, inner) in [(true, false), (false, true), (true, true)] {
        let tweak = |w: &mut GatewayConfig, e: &mut GatewayConfig| {
            let (w, e) = (&mut w.connections[0], &mut e.connections[0]);
            if outer {
                (w.local, e.local) = ("fd09::1".parse().unwrap(), "fd09::2".parse().unwrap());
                (w.remote, e.remote) = (Some(e.local), Some(w.local));
            }
            if inner {
                (w.local_ts, e.local_ts) = (vec!["fd01::/64".parse().unwrap()], vec!["fd02::/64".parse().unwrap()]);
                (w.remote_ts, e.remote_ts) = (e.local_ts.clone(), w.local_ts.clone());
            }
        };
        let (mut west, _east) = lab.pair(IkeMode::V2, tweak).await;
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
        assert!(reaches(&lab, if inner { "fd02::1" } else { "10.2.0.1" }), "outer {outer}, inner {inner}");
        assert_eq!(west.gateway.keys().await.esp[0].src.unwrap().is_ipv6(), outer);
    }
}

#[tokio::test]
async fn an_idle_child_is_closed_with_a_delete_and_the_ike_sa_stays() {
    let Some(lab) = Lab::new().await else { return };
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let tweak = |w: &mut GatewayConfig, _: &mut GatewayConfig| w.connections[0].inactivity = Some(Duration::from_secs(2));
        let (mut west, mut east) = lab.pair(ike, tweak).await;
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
        let begun = Instant::now();
        let down = |e: &GatewayEventKind| matches!(e, GatewayEventKind::ChildDown { .. });
        west.until("child down", down).await;
        east.until("child down", down).await;
        // charon counts whole seconds of use.
        assert!((1.0..4.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
        assert!(west.log().contains("deleting CHILD_SA after 2 seconds of inactivity"));
        assert!(east.log().contains("received DELETE for ESP CHILD_SA"));
        assert!(west.gateway.describe().await.unwrap().contains("state: ESTABLISHED"));
    }
}

#[tokio::test]
async fn esp_for_a_forgotten_sa_is_dropped_in_silence_until_initial_contact() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, mut east) = lab.pair(IkeMode::V2, |_, _| {}).await;
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    assert!(reaches(&lab, "10.2.0.1"));
    east.gateway.stop(true).await.unwrap();
    east.gateway.restart().await.unwrap();
    assert!(!reaches(&lab, "10.2.0.1"));
    assert!(east.log().contains("inbound ESP packet does not belong to an installed SA"));
    assert_eq!(east.gateway.initiate("east-west", LONG).await.unwrap(), Outcome::Established);
    west.until("the old child's end", |e| matches!(e, GatewayEventKind::ChildDown { .. })).await;
    assert!(west.log().contains("destroying duplicate IKE_SA for peer 'east.example', received INITIAL_CONTACT"));
    assert!(reaches(&lab, "10.2.0.1"));
}

#[tokio::test]
async fn a_dead_peer_is_found_and_the_child_begun_anew() {
    let Some(lab) = Lab::new().await else { return };
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let tweak = |w: &mut GatewayConfig, _: &mut GatewayConfig| {
            w.connections[0].dpd_delay = Some(Duration::from_secs(1));
            w.connections[0].dpd_action = ChildAction::Start;
        };
        let (mut west, mut east) = lab.pair(ike, tweak).await;
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
        east.gateway.stop(true).await.unwrap();
        east.gateway.restart().await.unwrap();
        let up = |e: &GatewayEventKind| matches!(e, GatewayEventKind::ChildUp { .. });
        west.until("child up", up).await;
        west.until("child up again", up).await;
        assert!(reaches(&lab, "10.2.0.1"));
    }
}
