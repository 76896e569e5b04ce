//! Started, stopped, killed, paused, panicking.

use std::time::Duration;

use faultlab_runtime::InHouse;
use peer::*;

use crate::fake::{Diary, Manner, RAW, SLOW, Seen};
use crate::lab::{LONG, Lab, log};

fn clean(lab: &Lab, node: &str) -> bool {
    let says = |args: &[&str]| lab.says(node, args);
    !says(&["ip", "link"]).contains("ipsec0") && !says(&["ip", "rule"]).contains("220") && !says(&["ip", "-6", "rule"]).contains("220")
}

#[tokio::test]
async fn an_initiation_ends_as_the_machine_says() {
    let Some(lab) = Lab::new().await else { return };
    for (psk, expected) in [
        ("right", Outcome::Established),
        ("wrong", Outcome::Failed { reason: "AUTHENTICATION_FAILED".into() }),
        ("never", Outcome::Pending),
        ("half", Outcome::Pending),
    ] {
        let mut config = lab.config("west", false);
        config.connections[0].psk = psk.into();
        let mut west = lab.start(config, RAW).await.unwrap();
        assert_eq!(west.gateway.initiate("west-east", Duration::from_millis(300)).await.unwrap(), expected);
        if psk == "right" {
            // It is up: nothing more is done.
            west.diary.clear();
            assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), expected);
            assert_eq!(west.diary.all(), []);
            // The keys are there before the news.
            assert_eq!(west.gateway.keys().await.esp.len(), 1);
        }
        assert!(matches!(west.gateway.initiate("west-mars", LONG).await, Err(DriverError::Refused { .. })));
        assert!(west.gateway.describe().await.unwrap().contains("a pipe"));
        assert_eq!(log(&west.dir).contains("as if it were tried"), psk == "never");
        let shown = std::fs::read_to_string(west.dir.join("gateway.json")).unwrap();
        assert!(shown.contains("west-east") && !shown.contains("\"right\""), "{shown}");
        west.gateway.stop(true).await.unwrap();
    }
}

#[tokio::test]
async fn what_it_cannot_do_is_refused() {
    let Some(lab) = Lab::new().await else { return };
    let tweaks: [fn(&mut Connection); 4] = [
        |c| c.ike = IkeMode::V1Main,
        |c| c.mode = EspMode::Transport,
        |c| c.ah_proposals = vec!["sha256".into()],
        |c| c.esp_proposals = vec!["rot13".into()],
    ];
    for tweak in tweaks {
        let mut config = lab.config("west", false);
        tweak(&mut config.connections[0]);
        let refused = lab.start_with(&InHouse::new(), config, Diary::default()).await;
        assert!(matches!(refused, Err(DriverError::Refused { .. })));
        assert!(clean(&lab, "west"));
    }
    let west = lab.start(lab.config("west", false), RAW).await.unwrap();
    assert_eq!(west.gateway.accepted().len(), 1);
    assert_eq!(west.gateway.accepted()[0].what, "connection west-east");
}

#[tokio::test]
async fn ended_in_good_order_it_says_goodbye_and_killed_it_does_not() {
    for kill in [false, true] {
        let Some(lab) = Lab::new().await else { return };
        let (mut west, east) = lab.pair(false, RAW, |_| {}).await;
        assert_eq!(west.gateway.life().as_deref(), Some("life 1 of the in-house gateway"));
        west.gateway.stop(kill).await.unwrap();
        assert_eq!((west.gateway.life(), west.gateway.pid()), (None, None));
        assert!(clean(&lab, "west"));
        assert!(matches!(west.gateway.initiate("west-east", LONG).await, Err(DriverError::Died { .. })));
        let bye = |s: &Seen| matches!(s, Seen::Udp { data, to, .. } if data == b"goodbye" && to.port() == 500);
        if kill {
            // Its silence shows when its next life says goodbye.
            west.gateway.restart().await.unwrap();
            assert!(!east.diary.all().iter().any(bye));
            west.gateway.stop(false).await.unwrap();
        } else {
            west.until("child down", |e| matches!(e, GatewayEventKind::ChildDown { .. })).await;
        }
        east.diary.until("the goodbye", bye).await;
        while let Ok(event) = west.events.try_recv() {
            assert!(!matches!(event.what, GatewayEventKind::Exited { .. }), "it was our wish");
        }
    }
}

#[tokio::test]
async fn each_life_has_other_keys_and_the_same_way_through() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, _east) = lab.pair(false, RAW, |_| {}).await;
    west.gateway.restart().await.unwrap();
    assert_eq!(west.gateway.life().as_deref(), Some("life 2 of the in-house gateway"));
    assert!(!lab.ping("west", "10.2.0.1").await, "it has no SA");
    assert_eq!(west.gateway.initiate("west-east", LONG).await.unwrap(), Outcome::Established);
    assert!(lab.ping("west", "10.2.0.1").await);
    assert_eq!(west.gateway.keys().await.esp.len(), 2);
}

#[tokio::test]
async fn paused_it_hears_and_sees_nothing_and_time_goes_on() {
    let Some(lab) = Lab::new().await else { return };
    let manner = Manner { tick: Some(Duration::from_millis(20)), ..RAW };
    let (mut west, mut east) = lab.pair(false, manner, |_| {}).await;
    east.diary.until("a tick", |s| matches!(s, Seen::Tick(_))).await;
    east.gateway.pause(true).await.unwrap();
    east.diary.clear();
    assert!(!lab.ping("west", "10.2.0.1").await);
    assert_eq!(east.diary.all(), []);
    assert_eq!(east.gateway.initiate("east-west", Duration::from_millis(50)).await.unwrap(), Outcome::Pending);
    assert!(east.gateway.describe().await.unwrap().contains("paused"));
    east.gateway.pause(false).await.unwrap();
    // What came meanwhile was waiting.
    east.diary.until("the ping", |s| matches!(s, Seen::Esp { .. })).await;
    assert!(lab.ping("west", "10.2.0.1").await);
    east.gateway.pause(true).await.unwrap();
    east.gateway.stop(false).await.unwrap();
    west.diary.until("the goodbye", |s| matches!(s, Seen::Udp { data, .. } if data == b"goodbye")).await;
    west.gateway.stop(true).await.unwrap();
}

#[tokio::test]
async fn timers_are_never_early_and_not_a_busy_loop() {
    let Some(lab) = Lab::new().await else { return };
    let every = Duration::from_millis(30);
    let west = lab.start(lab.config("west", false), Manner { tick: Some(every), ..RAW }).await.unwrap();
    let tenth = || west.diary.all().iter().filter_map(|s| if let Seen::Tick(at) = s { Some(at.0) } else { None }).nth(9);
    west.diary.until("ten ticks", |_| tenth().is_some()).await;
    assert!(tenth().unwrap() >= every * 10);
}

#[tokio::test]
async fn what_was_computed_for_long_counts_from_its_sending() {
    let Some(lab) = Lab::new().await else { return };
    let mut config = lab.config("west", false);
    config.connections[0].psk = "slow".into();
    let mut west = lab.start(config, RAW).await.unwrap();
    assert_eq!(west.gateway.initiate("west-east", SLOW * 2).await.unwrap(), Outcome::Pending);
    let Seen::Done(done) = west.diary.until("the sending", |s| matches!(s, Seen::Done(_))).await else { panic!() };
    let asked = west.diary.all().iter().find_map(|s| if let Seen::Tick(at) = s { Some(*at) } else { None });
    assert!(done.since(asked.unwrap()) >= SLOW);
}

#[tokio::test]
async fn a_panic_is_told_and_leaves_nothing() {
    let Some(lab) = Lab::new().await else { return };
    let mut west = lab.start(lab.config("west", false), RAW).await.unwrap();
    lab.within("east", || std::net::UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"panic", "10.9.1.1:500").unwrap());
    let told = west.until("the end", |e| matches!(e, GatewayEventKind::Exited { .. })).await;
    let GatewayEventKind::Exited { status, killed, .. } = told else { unreachable!() };
    assert_eq!((status.as_str(), killed), ("panicked: as asked for", false));
    assert!(clean(&lab, "west"));
    assert!(west.gateway.describe().await.unwrap().contains("as asked for"));
    assert!(matches!(west.gateway.pause(true).await, Err(DriverError::Died { .. })));
}

#[tokio::test]
async fn dropping_it_ends_it() {
    let Some(lab) = Lab::new().await else { return };
    let west = lab.start(lab.config("west", false), RAW).await.unwrap();
    assert!(!clean(&lab, "west"));
    drop(west);
    tokio::time::timeout(LONG, async {
        while !clean(&lab, "west") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap();
}
