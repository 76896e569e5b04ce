//! Against the real charon: traffic brings a trapped connection up, and each new packet tries again after a refusal.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::time::Duration;

use lab::Lab;
use peer::*;

/// One datagram from a host behind the west to one behind the east; waits shortly for the ICMP error that answers it.
fn knock(lab: &Lab) {
    let _ = lab.run("west", &["bash", "-c", "exec 3<>/dev/udp/10.2.0.1/9; echo hi >&3; read -t 0.05 -u 3"]);
}

#[tokio::test]
async fn traffic_brings_a_trapped_connection_up() {
    let Some(lab) = Lab::new().await else { return };
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let (mut west, _east) = lab.pair(ike, |w, _| w.connections[0].start_action = ChildAction::Trap).await;
        knock(&lab);
        west.until("child up", |e| matches!(e, GatewayEventKind::ChildUp { .. })).await;
    }
}

#[tokio::test]
async fn each_packet_after_a_refusal_begins_a_new_quick_mode() {
    let Some(lab) = Lab::new().await else { return };
    let tweak = |w: &mut GatewayConfig, _: &mut GatewayConfig| {
        w.connections[0].start_action = ChildAction::Trap;
        w.connections[0].esp_proposals = vec!["aes256-sha512".into()];
    };
    let (west, _east) = lab.pair(IkeMode::V1Main, tweak).await;
    let refused = tokio::time::timeout(Duration::from_secs(15), async {
        // A packet that comes before the attempt for the one before it has ended begins nothing: knock on.
        while west.log().matches("received NO_PROPOSAL_CHOSEN error notify").count() < 3 {
            knock(&lab);
            tokio::task::yield_now().await;
        }
    });
    assert!(refused.await.is_ok(), "{}", west.log());
    assert_eq!(west.log().matches("initiating Main Mode IKE_SA").count(), 1);
    assert!(west.log().matches("generating QUICK_MODE request").count() >= 3);
}

#[tokio::test]
async fn a_dead_peer_leaves_a_trap_that_works() {
    let Some(lab) = Lab::new().await else { return };
    let tweak = |w: &mut GatewayConfig, _: &mut GatewayConfig| {
        w.connections[0].dpd_delay = Some(Duration::from_secs(1));
        w.connections[0].dpd_action = ChildAction::Trap;
    };
    let (mut west, mut east) = lab.pair(IkeMode::V2, tweak).await;
    assert_eq!(west.gateway.initiate("west-east", Duration::from_secs(15)).await.unwrap(), Outcome::Established);
    let up = |e: &GatewayEventKind| matches!(e, GatewayEventKind::ChildUp { .. });
    west.until("child up", up).await;
    east.gateway.stop(true).await.unwrap();
    west.until("IKE SA down", |e| matches!(e, GatewayEventKind::IkeDown { .. })).await;
    east.gateway.restart().await.unwrap();
    knock(&lab);
    west.until("child up again", up).await;
}
