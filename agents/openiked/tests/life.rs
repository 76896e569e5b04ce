//! Against the real iked: killed, restarted, paused, dropped, left to itself for hours.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::time::Duration;

use lab::{Lab, Who};
use peer::*;

/// iked gives up after two minutes.
const LONG: Duration = Duration::from_secs(200);
const BOTH: (Who, Who) = (Who::OpenIked, Who::OpenIked);

fn exists(pid: u32) -> bool {
    // A zombie has no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| !c.is_empty())
}

fn up(e: &GatewayEventKind) -> bool {
    matches!(e, GatewayEventKind::ChildUp { .. })
}

#[tokio::test]
async fn a_killed_daemon_restarts_without_sas_and_keeps_the_keys_of_both_lives() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, _east) = lab.pair(BOTH, |_, _| {}).await;
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    let first = west.gateway.pid().unwrap();
    west.gateway.stop(true).await.unwrap();
    assert!(!exists(first));
    assert_eq!(west.gateway.pid(), None);
    assert_eq!(lab.carried("west").len(), 2, "the kernel keeps what a killed daemon leaves");
    west.gateway.restart().await.unwrap();
    assert!(west.gateway.describe().await.unwrap().contains("no SAs"));
    assert_eq!(lab.carried("west").len(), 0);
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    assert!(lab.echo());
    let keys = west.gateway.keys().await;
    assert_eq!((keys.ikev2.len(), keys.esp.len()), (2, 4), "{keys:?}");
    // The wished-for end was no event.
    while let Ok(event) = west.events.try_recv() {
        assert!(!matches!(event.what, GatewayEventKind::Exited { .. }));
    }
}

#[tokio::test]
async fn a_daemon_that_was_told_to_end_says_goodbye_and_comes_back() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, mut east) = lab.pair(BOTH, |_, _| {}).await;
    for _ in 0..3 {
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
        east.until("child up", up).await;
        west.gateway.stop(false).await.unwrap();
        east.until("child down", |e| matches!(e, GatewayEventKind::ChildDown { .. })).await;
        assert_eq!((lab.carried("west").len(), lab.carried("east").len()), (0, 0));
        west.gateway.restart().await.unwrap();
    }
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_told() {
    let Some(lab) = Lab::new().await else { return };
    let mut west = lab.start(Who::OpenIked, lab.config("west")).await.unwrap();
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
    let (mut west, mut east) = lab.pair(BOTH, |_, _| {}).await;
    east.gateway.pause(true).await.unwrap();
    assert!(east.gateway.describe().await.unwrap().starts_with("paused"));
    assert_eq!(west.gateway.initiate("west-east", Duration::from_secs(10)).await.unwrap(), Outcome::Pending);
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("retransmit limit"), "{reason}");
    east.gateway.pause(false).await.unwrap();
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    east.gateway.pause(true).await.unwrap();
    east.gateway.stop(false).await.unwrap();
    assert_eq!(east.gateway.pid(), None);
}

#[tokio::test]
async fn dropping_a_gateway_kills_its_daemon() {
    let Some(lab) = Lab::new().await else { return };
    let west = lab.start(Who::OpenIked, lab.config("west")).await.unwrap();
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
    for who in [BOTH, (Who::OpenIked, Who::StrongSwan), (Who::StrongSwan, Who::OpenIked)] {
        let (mut west, mut east) =
            lab.pair(who, |w, _| (w.child_rekey, w.ike_rekey) = (Some(Duration::from_secs(30)), Some(Duration::from_secs(100)))).await;
        assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established, "{}", west.log());
        let known = tokio::time::timeout(LONG, async {
            loop {
                // iked re-keys only what was used. While a responder loads the new SAs, a packet may be lost.
                lab.echo();
                let (w, e) = (west.gateway.keys().await, east.gateway.keys().await);
                if w.ikev2.len() > 1 && w.ikev2.get(1) == e.ikev2.get(1) && w.esp.len() > 5 && w.esp[..6].iter().all(|k| e.esp.contains(k))
                {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        });
        if known.await.is_err() {
            panic!("{who:?} {:?}\n{:?}\n{}", west.gateway.keys().await, east.gateway.keys().await, west.log());
        }
        for _ in 0..3 {
            west.until("a child", up).await;
            east.until("a child", up).await;
        }
        // Nobody missed the replaced ones.
        while let Ok(event) = west.events.try_recv() {
            assert!(!matches!(event.what, GatewayEventKind::ChildDown { .. } | GatewayEventKind::IkeDown { .. }), "{event:?}");
        }
        west.gateway.stop(false).await.unwrap();
        east.gateway.stop(false).await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_attempt_is_over_and_can_be_repeated() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, _east) = lab.pair(BOTH, |w, _| w.psk = "wrong".into()).await;
    for tries in 1..3 {
        let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
        assert_eq!(west.log().matches("ikev2_init_ike_sa: initiating").count(), tries);
        // iked would try again each minute.
        let passive = async {
            while !std::fs::read_to_string(west.dir.join("etc/iked.conf")).is_ok_and(|c| c.contains("passive")) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LONG, passive).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_starts_by_itself_comes_up_and_comes_back() {
    let Some(lab) = Lab::new().await else { return };
    let tweak = |w: &mut Connection, _: &mut Connection| (w.start_action, w.close_action) = (ChildAction::Start, ChildAction::Start);
    let (mut west, mut east) = lab.pair(BOTH, tweak).await;
    west.until("child up", up).await;
    east.gateway.stop(false).await.unwrap();
    west.until("child down", |e| matches!(e, GatewayEventKind::ChildDown { .. })).await;
    east.gateway.restart().await.unwrap();
    west.until("child up", up).await;
}
