//! Against the real pluto: killed, restarted, paused, dropped, re-keyed, left alone.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::time::Duration;

use lab::Lab;
use peer::*;

const LONG: Duration = Duration::from_secs(30);

fn is_up(e: &GatewayEventKind) -> bool {
    matches!(e, GatewayEventKind::ChildUp { .. })
}

fn is_down(e: &GatewayEventKind) -> bool {
    matches!(e, GatewayEventKind::ChildDown { .. })
}

fn exists(pid: u32) -> bool {
    // A zombie has no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| !c.is_empty())
}

#[tokio::test]
async fn a_killed_daemon_restarts_without_sas_and_keeps_the_keys_of_both_lives() {
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let Some(lab) = Lab::new().await else { return };
        let (mut west, mut east) = lab.pair(ike, |_, _| {}).await;
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
        east.until("child up", is_up).await;
        let first = west.gateway.pid().unwrap();
        west.gateway.stop(true).await.unwrap();
        assert!(!exists(first));
        assert_eq!(west.gateway.pid(), None);
        west.gateway.restart().await.unwrap();
        assert_eq!(lab.kernel("west"), "");
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established, "{}", west.log());
        east.until("child up again", is_up).await;
        assert!(lab.reaches("west", "10.2.0.1"), "{ike:?}\n{}\n{}\n{}", lab.kernel("west"), lab.kernel("east"), east.log());
        let keys = west.gateway.keys().await;
        assert_eq!(keys.esp.len(), 4, "{keys:?}");
        assert_eq!(keys.ikev2.len(), if ike == IkeMode::V2 { 2 } else { 0 }, "{keys:?}");
        // The wished-for end was no event.
        while let Ok(event) = west.events.try_recv() {
            assert!(!matches!(event.what, GatewayEventKind::Exited { .. }));
        }
    }
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_told() {
    let Some(lab) = Lab::new().await else { return };
    let mut west = lab.start(lab.config("west", IkeMode::V2)).await.unwrap();
    let pid = rustix::process::Pid::from_raw(west.gateway.pid().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let told = west.until("the daemon's end", |e| matches!(e, GatewayEventKind::Exited { .. })).await;
    let GatewayEventKind::Exited { status, last, .. } = told else { unreachable!() };
    assert!(!last.is_empty(), "what it said last is told");
    assert!(status.contains("signal"), "{status}");
    assert!(matches!(west.gateway.initiate("west-east", LONG).await, Err(DriverError::Died { .. })));
    assert!(west.gateway.describe().await.unwrap().contains("not running"));
}

#[tokio::test]
async fn a_paused_daemon_is_silent_and_can_still_be_stopped() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, mut east) = lab.pair(IkeMode::V2, |_, _| {}).await;
    east.gateway.pause(true).await.unwrap();
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("timeout exceeded after 3 retransmits"), "{reason}");
    east.gateway.pause(false).await.unwrap();
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established, "{}", west.log());
    east.gateway.pause(true).await.unwrap();
    assert!(matches!(east.gateway.describe().await, Err(DriverError::Timeout { .. })), "it hangs");
    east.gateway.stop(false).await.unwrap();
    // Asked while it is paused, it answers no request.
    west.gateway.stop(true).await.unwrap();
    west.gateway.restart().await.unwrap();
    west.gateway.pause(true).await.unwrap();
    assert_eq!(west.gateway.initiate("west-east", Duration::from_secs(1)).await.unwrap(), Outcome::Pending);
}

#[tokio::test]
async fn dropping_a_gateway_kills_its_daemon() {
    let Some(lab) = Lab::new().await else { return };
    let west = lab.start(lab.config("west", IkeMode::V2)).await.unwrap();
    let pid = west.gateway.pid().unwrap();
    drop(west);
    tokio::time::timeout(LONG, async {
        while exists(pid) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn rekeying_tells_the_new_keys() {
    for (ike, proposal) in
        [(IkeMode::V2, "aes128-sha256-modp2048"), (IkeMode::V2, "aes256gcm16-prfsha384-ecp384"), (IkeMode::V1Main, "aes128-sha1-modp2048")]
    {
        let Some(lab) = Lab::new().await else { return };
        let tweak = |w: &mut GatewayConfig, e: &mut GatewayConfig| {
            w.connections[0].child_rekey = Some(Duration::from_secs(10));
            w.connections[0].ike_rekey = Some(Duration::from_secs(25));
            w.connections[0].ike_proposals = vec![proposal.into()];
            e.connections[0].ike_proposals = vec![proposal.into()];
        };
        let (mut west, mut east) = lab.pair(ike, tweak).await;
        let one_by_one = async {
            assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established, "{}", west.log());
            for what in ["the first child", "the second", "the third", "the fourth"] {
                let GatewayEventKind::ChildUp { spi_in, spi_out, .. } = west.until(what, is_up).await else { unreachable!() };
                east.until(what, is_up).await;
                let (w, e) = (west.gateway.keys().await, east.gateway.keys().await);
                for spi in [spi_in, spi_out] {
                    let find = |keys: &Keys| keys.esp.iter().find(|k| k.spi == spi).cloned();
                    assert!(find(&w).is_some() && find(&w) == find(&e), "{what}: {w:?} {e:?}");
                }
            }
        };
        one_by_one.await;
        let (w, e) = (west.gateway.keys().await, east.gateway.keys().await);
        assert_eq!(w.ikev2, e.ikev2);
        assert_eq!(w.ikev2.len(), if ike == IkeMode::V2 { 2 } else { 0 }, "{w:?}\n{}", west.log());
        assert!(lab.reaches("west", "10.2.0.1"));
    }
}

#[tokio::test]
async fn a_dead_peer_is_found() {
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let Some(lab) = Lab::new().await else { return };
        let tweak = |w: &mut GatewayConfig, _: &mut GatewayConfig| {
            w.connections[0].dpd_delay = Some(Duration::from_secs(2));
        };
        let (mut west, mut east) = lab.pair(ike, tweak).await;
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
        east.gateway.stop(true).await.unwrap();
        west.until("child down", is_down).await;
    }
}

#[tokio::test]
async fn a_dead_peer_is_called_again_when_asked_for() {
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let Some(lab) = Lab::new().await else { return };
        let tweak = |w: &mut GatewayConfig, _: &mut GatewayConfig| {
            w.connections[0].dpd_delay = Some(Duration::from_secs(1));
            w.connections[0].dpd_action = ChildAction::Start;
            w.connections[0].keying_tries = 0;
        };
        let (mut west, mut east) = lab.pair(ike, tweak).await;
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
        west.until("child up", is_up).await;
        east.gateway.stop(true).await.unwrap();
        east.gateway.restart().await.unwrap();
        west.until("child up again", is_up).await;
        assert!(lab.reaches("west", "10.2.0.1"));
    }
}

#[tokio::test]
async fn what_starts_by_itself_leaves_no_trap_when_the_peer_closes_it() {
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let Some(lab) = Lab::new().await else { return };
        let mut east = lab.start(lab.config("east", ike)).await.unwrap();
        let mut config = lab.config("west", ike);
        config.connections[0].start_action = ChildAction::Start;
        let mut west = lab.start(config).await.unwrap();
        west.until("child up", is_up).await;
        east.until("child up", is_up).await;
        assert!(lab.reaches("west", "10.2.0.1"));
        east.gateway.stop(false).await.unwrap();
        west.until("child down", is_down).await;
        west.until("IKE down", |e| matches!(e, GatewayEventKind::IkeDown { .. })).await;
        let gone = async {
            while lab.policies("west").contains("dst 10.2.0.0/24") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(LONG, gone).await.is_ok(), "{}\n{}", lab.policies("west"), west.log());
        east.gateway.restart().await.unwrap();
        // In clear, and nobody is called.
        assert!(lab.reaches("west", "10.2.0.1"));
        assert_eq!(west.log().matches("initiating IKEv").count(), 1, "{}", west.log());
    }
}

#[tokio::test]
async fn a_packet_brings_a_trapped_child_up_and_a_closed_one_stays_closed() {
    let Some(lab) = Lab::new().await else { return };
    let tweak = |w: &mut GatewayConfig, _: &mut GatewayConfig| w.connections[0].start_action = ChildAction::Trap;
    let (mut west, mut east) = lab.pair(IkeMode::V2, tweak).await;
    // The first packet may be lost.
    let _ = lab.reaches("west", "10.2.0.1");
    west.until("child up", is_up).await;
    assert!(lab.reaches("west", "10.2.0.1"));
    // The east only answered and has no trap; once the west says goodbye, its packets call nobody.
    east.until("child up", is_up).await;
    west.gateway.stop(false).await.unwrap();
    east.until("child down", is_down).await;
    east.until("IKE down", |e| matches!(e, GatewayEventKind::IkeDown { .. })).await;
}
