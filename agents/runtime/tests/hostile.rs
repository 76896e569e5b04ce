//! Any octets on UDP 500 and 4500, protocol 50 and the TUN device of a running gateway, and a flood of first requests: it goes on
//! working, and takes no more memory. A process of its own, whose memory is nobody else's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "the laboratory is another test's")]

#[path = "inhouse/fake.rs"]
mod fake;
#[path = "inhouse/lab.rs"]
mod lab;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use fake::Diary;
use faultlab_runtime::{Flood, InHouse, flood};
use lab::{LONG, Lab, Namespace, log};
use peer::Outcome;
use socket2::{Domain, Protocol, Socket, Type};

/// Packets of each kind.
const PACKETS: u32 = 10_000;
/// Less than a third of what the packets take, 700 octets each, if they are kept.
const MUCH: u64 = 8 << 20;

/// xorshift64: the same octets each time.
struct Octets(u64);

impl Octets {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Up to 1400 of them.
    fn some(&mut self) -> Vec<u8> {
        let length = self.next() as usize % 1400;
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// Of this process.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Sends what looks a little like IKE or ESP, and what looks like nothing.
fn throw(kind: Type, protocol: Option<Protocol>, to: SocketAddr, octets: &mut Octets, shape: impl Fn(u64, &mut Vec<u8>)) {
    let socket = Socket::new(Domain::IPV4, kind, protocol).unwrap();
    for _ in 0..PACKETS {
        let mut data = octets.some();
        shape(octets.next(), &mut data);
        // A full queue is no reason to stop, and some packets are too odd for the kernel itself.
        let _ = socket.send_to(&data, &to.into());
    }
}

/// Versions, exchanges and lengths that get past the first look, half of the time.
fn like_ike(marker: bool) -> impl Fn(u64, &mut Vec<u8>) {
    move |chance, data| {
        let at = if marker { 4 } else { 0 };
        if chance.is_multiple_of(2) && data.len() >= at + 28 {
            data[..at].fill(0);
            let length = (data.len() - at) as u32;
            data[at + 8..at + 16].fill(0);
            data[at + 16] = [33, 34, 35, 46, 53][(chance >> 8) as usize % 5];
            data[at + 17] = 0x20;
            data[at + 18] = 34 + (chance >> 16) as u8 % 6;
            data[at + 19] = [0x08, 0x20, 0x28, 0][(chance >> 24) as usize % 4];
            data[at + 20..at + 24].fill(0);
            data[at + 24..at + 28].copy_from_slice(&length.to_be_bytes());
        }
    }
}

#[tokio::test]
async fn a_gateway_survives_any_octets_and_a_flood() {
    let Some(lab) = Lab::new().await else { return };
    let driver = InHouse::new();
    let mut settings = lab.config("west", false);
    settings.connections[0].remote = None;
    let victim = settings.connections[0].clone();
    let mut west = lab.start_with(&driver, settings, Diary::default()).await.unwrap();
    let mut east = lab.start_with(&driver, lab.config("east", false), Diary::default()).await.unwrap();
    assert_eq!(east.gateway.initiate("east-west", LONG).await.unwrap(), Outcome::Established, "{}", log(&west.dir));
    assert!(lab.ping("east", "10.1.0.1").await);

    let before = resident();
    let to = |port| SocketAddr::from(([10, 9, 1, 1], port));
    let mut octets = Octets(0x2545_f491_4f6c_dd1d);
    lab.within("mid", || {
        throw(Type::DGRAM, None, to(500), &mut octets, like_ike(false));
        throw(Type::DGRAM, None, to(4500), &mut octets, like_ike(true));
        // ESP with an SPI of the SA or any other, and a datagram that is not even that.
        throw(Type::RAW, Some(Protocol::from(50)), to(0), &mut octets, |_, _| {});
    });
    // Into the TUN device: IP headers of any contents to an address inside the peer's selectors, and to one outside.
    lab.within("west", || {
        throw(Type::RAW, Some(Protocol::from(255)), SocketAddr::from(([10, 2, 0, 9], 0)), &mut octets, |chance, data| {
            data.resize(data.len().max(20), 0);
            data[0] = 0x45 + (chance % 11) as u8;
            data[16..20].copy_from_slice(&[10, 2, 0, chance as u8]);
        });
    });
    // Whole requests, each from another address.
    let sources: Vec<IpAddr> = (0..1000_u32).map(|n| Ipv4Addr::from(0xc612_0000 + n).into()).collect();
    let spec = Flood { victim, sources, count: 1000, interval: Duration::from_micros(100) };
    assert_eq!(flood(&Namespace(lab.mid.clone()), &spec).await.unwrap().len(), 1000);

    // It has read all of it when it answers, and is as ready as before.
    assert!(lab.ping("east", "10.1.0.1").await, "{}", west.gateway.describe().await.unwrap());
    east.gateway.restart().await.unwrap();
    assert_eq!(east.gateway.initiate("east-west", LONG).await.unwrap(), Outcome::Established, "{}", west.gateway.describe().await.unwrap());
    assert!(lab.ping("east", "10.1.0.1").await);
    let half_open = west.gateway.describe().await.unwrap().lines().filter(|l| l.contains("expects IKE_AUTH")).count();
    assert!(half_open <= 30, "{half_open} half-open IKE SAs");
    let grown = resident().saturating_sub(before);
    assert!(grown < MUCH, "{grown} octets more than before");
    west.gateway.stop(true).await.unwrap();
    east.gateway.stop(true).await.unwrap();
}
