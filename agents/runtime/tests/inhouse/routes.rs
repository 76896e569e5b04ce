//! What comes to the TUN, what does not, and what follows a change of addresses.

use gateway::Command;

use crate::fake::{RAW, Seen, UDP};
use crate::lab::{LONG, Lab, log};

#[tokio::test]
async fn the_gateways_own_packets_are_not_caught_by_its_selectors() {
    // The peer's address is among what goes through the tunnel.
    let everything = |c: &mut peer::GatewayConfig| {
        let all = vec!["0.0.0.0/0".parse().unwrap()];
        *(if c.name == "west" { &mut c.connections[0].remote_ts } else { &mut c.connections[0].local_ts }) = all;
    };
    for manner in [RAW, UDP] {
        let Some(lab) = Lab::new().await else { return };
        let (west, _east) = lab.pair(false, manner, everything).await;
        assert!(lab.ping("west", "10.2.0.1").await, "{}", log(&west.dir));
        // What is attached is reached directly.
        west.diary.clear();
        assert!(lab.ping("west", "10.9.1.254").await);
        assert!(!west.diary.all().iter().any(|s| matches!(s, Seen::Inner(_))));
    }
}

#[tokio::test]
async fn the_kernel_says_nothing_on_the_tun() {
    let Some(lab) = Lab::new().await else { return };
    let (west, _east) = lab.pair(true, RAW, |_| {}).await;
    assert!(lab.ping("west", "fd02::1").await);
    let inner = west.diary.all().into_iter().filter(|s| matches!(s, Seen::Inner(_))).count();
    assert_eq!(inner, 1, "{:?}", west.diary.all());
}

#[tokio::test]
async fn only_what_the_machine_wants_comes_to_the_tun() {
    let Some(lab) = Lab::new().await else { return };
    let mut west = lab.start(lab.config("west", false), RAW).await.unwrap();
    let table = |v: &str| lab.says("west", &["ip", v, "route", "show", "table", "220"]);
    // A table that nothing was ever put into does not exist.
    assert!(!table("-4").contains("dev") && !table("-6").contains("dev"));
    assert!(!lab.ping("west", "10.2.0.1").await);
    west.gateway.initiate("west-east", LONG).await.unwrap();
    assert!(table("-4").contains("10.2.0.0/24 dev ipsec0") && table("-4").contains("src 10.1.0.1"), "{}", table("-4"));
    assert!(table("-6").contains("fd02::/64 dev ipsec0") && table("-6").contains("src fd01::1"), "{}", table("-6"));
    lab.ping("west", "10.2.0.1").await;
    lab.ping("west", "10.3.0.1").await;
    let inner: Vec<Seen> = west.diary.all().into_iter().filter(|s| matches!(s, Seen::Inner(_))).collect();
    assert_eq!(inner.len(), 1, "{inner:?}");
    west.gateway.stop(false).await.unwrap();
    assert!(!lab.says("west", &["ip", "link"]).contains("ipsec0"));
    for v in ["-4", "-6"] {
        assert!(!table(v).contains("dev"));
        assert!(!lab.says("west", &["ip", v, "rule"]).contains("220"));
    }
}

#[tokio::test]
async fn a_moved_address_is_told_and_routes_are_mended() {
    let Some(lab) = Lab::new().await else { return };
    let (west, _east) = lab.pair(false, RAW, |_| {}).await;
    // Losing the source address of a route makes the kernel drop the route.
    for step in [
        "addr add 10.1.0.99/32 dev lo",
        "addr del 10.1.0.1/24 dev lo",
        "addr del 10.9.1.1/24 dev wan",
        "addr add 10.9.1.77/24 dev wan",
        "route add default via 10.9.1.254",
    ] {
        lab.run("west", &[&["ip"], step.split(' ').collect::<Vec<_>>().as_slice()].concat());
    }
    let (from, to) = ("10.9.1.1".parse().unwrap(), "10.9.1.77".parse().unwrap());
    west.diary.until("the move", |s| *s == Seen::Command(Command::Moved { from, to })).await;
    let table = lab.says("west", &["ip", "route", "show", "table", "220"]);
    assert!(table.contains("10.2.0.0/24 dev ipsec0") && table.contains("src 10.1.0.99"), "{table}");
}
