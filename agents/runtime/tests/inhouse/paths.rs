//! What is on the wire, and what comes back from it.

use std::net::IpAddr;

use gateway::Command;

use crate::fake::{RAW, Seen, UDP};
use crate::lab::{Lab, log};

const ESP: u8 = 50;

#[tokio::test]
async fn inner_packets_pass_in_every_way() {
    for (v6, manner) in [(false, RAW), (false, UDP), (true, RAW), (true, UDP)] {
        let Some(lab) = Lab::new().await else { return };
        let (west, east) = lab.pair(v6, manner, |_| {}).await;
        for (from, to) in [("west", "10.2.0.1"), ("east", "10.1.0.1"), ("west", "fd02::1"), ("east", "fd01::1")] {
            assert!(lab.ping(from, to).await, "{from} to {to}, {manner:?}, IPv6 outside: {v6}\n{}", log(&west.dir));
        }
        let (a, b): (IpAddr, IpAddr) = if v6 {
            ("fd09:1::1".parse().unwrap(), "fd09:2::2".parse().unwrap())
        } else {
            ("10.9.1.1".parse().unwrap(), "10.9.2.2".parse().unwrap())
        };
        let known = east.diary.all().into_iter().all(|s| match s {
            Seen::Udp { from, to, .. } => manner.udp && (from.ip(), to.ip(), to.port()) == (a, b, 4500),
            Seen::Esp { from, to, .. } => !manner.udp && (from, to) == (a, b),
            _ => true,
        });
        assert!(known, "{:?}", east.diary.all());
        assert!(west.diary.all().iter().any(|s| matches!(s, Seen::Udp { .. } | Seen::Esp { .. })));
    }
}

#[tokio::test]
async fn the_outer_header_is_as_the_machine_says() {
    for manner in [RAW, UDP] {
        for (tos, df) in [(0xb9, true), (0x02, false)] {
            let Some(lab) = Lab::new().await else { return };
            let (_west, east) = lab.pair(false, crate::fake::Manner { tos, df, ..manner }, |_| {}).await;
            let capture = lab.capture("east", "wan");
            assert!(lab.ping("west", "10.2.0.1").await);
            let told = |s: &Seen| matches!(s, Seen::Udp { tos: t, .. } | Seen::Esp { tos: t, .. } if *t == tos);
            assert!(east.diary.all().iter().any(told), "{:?}", east.diary.all());
            let protocol = if manner.udp { 17 } else { ESP };
            let carriers = capture.wait(2, |p| p[0] == 0x45 && p[9] == protocol);
            assert_eq!(carriers.len(), 2, "{carriers:?}");
            for p in carriers {
                assert_eq!((p[1], p[6] & 0x40 != 0), (tos, df));
                // RFC 3948 §2.1
                assert!(!manner.udp || p[26..28] == [0, 0], "UDP checksum {:?}", &p[26..28]);
            }
        }
    }
}

#[tokio::test]
async fn without_df_a_large_packet_is_sent_in_fragments() {
    for (v6, manner) in [(false, RAW), (false, UDP), (true, RAW), (true, UDP)] {
        let Some(lab) = Lab::new().await else { return };
        let (_west, _east) = lab.pair(v6, crate::fake::Manner { df: false, ..manner }, |_| {}).await;
        assert!(lab.ping_of("west", "10.2.0.1", 1472, true).await, "{manner:?}");
    }
}

#[tokio::test]
async fn the_links_mtu_is_known_and_what_is_larger_with_df_is_refused() {
    let Some(lab) = Lab::new().await else { return };
    lab.run("west", &["ip", "link", "set", "wan", "mtu", "1400"]);
    let (west, _east) = lab.pair(false, UDP, |_| {}).await;
    west.diary.until("the link's MTU", |s| *s == Seen::Command(Command::LinkMtu(1400))).await;
    lab.run("west", &["ip", "link", "set", "wan", "mtu", "1300"]);
    west.diary.until("the change", |s| *s == Seen::Command(Command::LinkMtu(1300))).await;
    assert!(!lab.ping_of("west", "10.2.0.1", 1350, false).await);
    let said = "the kernel says that packets to 10.9.2.2 of more than 1300 octets do not pass";
    assert!(log(&west.dir).contains(said), "{}", log(&west.dir));
}

#[tokio::test]
async fn icmp_packet_too_big_reaches_the_machine() {
    for (v6, manner) in [(false, RAW), (false, UDP), (true, RAW), (true, UDP)] {
        let Some(lab) = Lab::new().await else { return };
        let (west, _east) = lab.pair(v6, manner, |_| {}).await;
        lab.run("mid", &["ip", "link", "set", "to2", "mtu", "1320"]);
        assert!(!lab.ping_of("west", "10.2.0.1", 1350, false).await);
        let to = if v6 { "fd09:2::2" } else { "10.9.2.2" }.parse().unwrap();
        west.diary.until("packet too big", |s| *s == Seen::Command(Command::PathMtu { to, mtu: 1320 })).await;
        assert!(log(&west.dir).contains(if v6 { "fd09:1::254 says" } else { "10.9.1.254 says" }), "{}", log(&west.dir));
        // An error does not stop what comes after it.
        assert!(lab.ping("west", "10.2.0.1").await);
    }
}

#[tokio::test]
async fn a_refusal_is_logged_and_stops_nothing() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, mut east) = lab.pair(false, UDP, |_| {}).await;
    east.gateway.stop(true).await.unwrap();
    assert!(!lab.ping("west", "10.2.0.1").await);
    assert!(!lab.ping("west", "10.2.0.1").await);
    assert!(log(&west.dir).contains("10.9.2.2 says about a packet to 10.9.2.2: Connection refused"), "{}", log(&west.dir));
    east.gateway.restart().await.unwrap();
    east.gateway.initiate("east-west", crate::lab::LONG).await.unwrap();
    assert!(lab.ping("west", "10.2.0.1").await, "{}", west.gateway.describe().await.unwrap());
}

#[tokio::test]
async fn any_octets_from_outside_and_inside_are_survived() {
    let Some(lab) = Lab::new().await else { return };
    let (mut west, east) = lab.pair(false, RAW, |_| {}).await;
    lab.within("east", || {
        let udp = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let esp = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(50.into())).unwrap();
        let inner = |octets: &[u8]| [&[0, 0, 0, 1, 0, 0, 0, 1], octets].concat();
        // Nothing, half a header, inner packets that are none.
        for octets in [vec![], vec![0xff], vec![0, 0, 0, 1], inner(&[]), inner(&[0x45]), inner(&[0x60; 1000]), inner(&[0x99; 60_000])] {
            udp.send_to(&octets, "10.9.1.1:500").unwrap();
            udp.send_to(&octets, "10.9.1.1:4500").unwrap();
            esp.send_to(&octets, &"10.9.1.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        }
        udp.send_to(b"the last", "10.9.1.1:500").unwrap();
    });
    west.diary.until("the last datagram", |s| matches!(s, Seen::Udp { data, .. } if data == b"the last")).await;
    assert!(lab.ping("west", "10.2.0.1").await, "{}", west.gateway.describe().await.unwrap());
    drop(east);
}
