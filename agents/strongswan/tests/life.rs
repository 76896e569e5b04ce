//! Against the real charon: killed, restarted, paused, dropped.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::time::Duration;

use lab::Lab;
use peer::*;

const LONG: Duration = Duration::from_secs(15);

fn exists(pid: u32) -> bool {
    // A zombie has no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| !c.is_empty())
}

#[tokio::test]
async fn a_killed_daemon_restarts_without_sas_and_keeps_the_keys_of_both_lives() {
    let Some(lab) = Lab::new().await else { return };
    for ike in [IkeMode::V2, IkeMode::V1Main] {
        let (mut west, mut east) = lab.pair(ike, |_, _| {}).await;
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
        // IKEv1's initiator is ready before its last message has left.
        east.until("child up", |e| matches!(e, GatewayEventKind::ChildUp { .. })).await;
        let first = west.gateway.pid().unwrap();
        west.gateway.stop(true).await.unwrap();
        assert!(!exists(first));
        assert_eq!(west.gateway.pid(), None);
        west.gateway.restart().await.unwrap();
        assert!(west.gateway.describe().await.unwrap().contains("no SAs"));
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
        let keys = west.gateway.keys().await;
        assert_eq!((keys.ikev1.len() + keys.ikev2.len(), keys.esp.len()), (2, 4), "{keys:?}");
        // INITIAL_CONTACT makes the peer drop what the killed daemon left.
        east.until("the old child's end", |e| matches!(e, GatewayEventKind::ChildDown { .. })).await;
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
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
    let told = west.until("the daemon's end", |e| matches!(e, GatewayEventKind::Exited { .. })).await;
    let GatewayEventKind::Exited { status, last, .. } = told else { unreachable!() };
    assert!(!last.is_empty(), "what it said last is told");
    assert!(status.contains("signal") || status.contains("exit"), "{status}");
    assert!(matches!(west.gateway.initiate("west-east", LONG).await, Err(DriverError::Died { .. })));
    assert!(west.gateway.describe().await.unwrap().contains("not running"));
}

#[tokio::test]
async fn a_request_ends_when_the_daemon_is_killed_under_it() {
    let Some(lab) = Lab::new().await else { return };
    let mut west = lab.start(lab.config("west", IkeMode::V2)).await.unwrap();
    let pid = rustix::process::Pid::from_raw(west.gateway.pid().unwrap() as i32).unwrap();
    let kill = async {
        while !west_is_initiating(&west.dir) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    let (outcome, ()) = tokio::join!(west.gateway.initiate("west-east", LONG), kill);
    assert!(outcome.is_err(), "{outcome:?}");
}

fn west_is_initiating(dir: &std::path::Path) -> bool {
    std::fs::read_to_string(dir.join("charon.log")).is_ok_and(|l| l.contains("generating IKE_SA_INIT"))
}

#[tokio::test]
async fn a_paused_daemon_is_silent_and_can_still_be_stopped() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, mut east) = lab.pair(IkeMode::V2, |_, _| {}).await;
    east.gateway.pause(true).await.unwrap();
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("peer not responding"), "{reason}");
    east.gateway.pause(false).await.unwrap();
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    east.gateway.pause(true).await.unwrap();
    assert!(matches!(east.gateway.describe().await, Err(DriverError::Timeout { .. })), "it hangs");
    east.gateway.stop(false).await.unwrap();
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
    let Some(lab) = Lab::new().await else { return };
    let tweak = |w: &mut GatewayConfig, _: &mut GatewayConfig| {
        w.connections[0].child_rekey = Some(Duration::from_secs(1));
        w.connections[0].ike_rekey = Some(Duration::from_secs(3));
    };
    let (mut west, mut east) = lab.pair(IkeMode::V2, tweak).await;
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    let up = |e: &GatewayEventKind| matches!(e, GatewayEventKind::ChildUp { .. });
    west.until("the first child", up).await;
    west.until("the re-keyed child", up).await;
    let known = tokio::time::timeout(LONG, async {
        loop {
            let (w, e) = (west.gateway.keys().await, east.gateway.keys().await);
            if w.ikev2.len() > 1 && w.ikev2.get(1) == e.ikev2.get(1) && w.esp.len() > 3 && w.esp[..4].iter().all(|k| e.esp.contains(k)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    if known.await.is_err() {
        panic!("{:?}\n{:?}\n{}", west.gateway.keys().await, east.gateway.keys().await, west.log());
    }
}
