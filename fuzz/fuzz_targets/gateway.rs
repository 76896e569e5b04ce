//! A whole in-house gateway with an established IKE SA and child SA, and its peer. The input is a list of deeds: any octets on UDP
//! 500 or 4500, on protocol 50 or from the inside, a bent copy of something that was said before, an operator's command, or time.
//! Nothing may panic, and what comes out must come to an end (libFuzzer's own limit of time says if not).
#![no_main]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use faultlab_gateway::Command;
use libfuzzer_sys::fuzz_target;
use peer::{Child, ChildAction, GatewayConfig};

/// The pair of gateways of the tests in memory.
#[path = "../../agents/gateway/tests/sim/mod.rs"]
mod sim;
use sim::{EAST, FAIR, Flight, Pair, WEST};

/// Deeds of one input.
const DEEDS: usize = 24;
/// Long enough for all that one deed leads to.
const TALK: Duration = Duration::from_millis(100);
/// The port by which the pair knows IP protocol 50.
const PROTOCOL_50: u16 = 0;

fuzz_target!(|bytes: &[u8]| {
    let mut pair = Pair::new(1, FAIR, |west, east| [west, east].into_iter().for_each(hasten));
    pair.initiate(WEST);
    let mut rest = bytes;
    for _ in 0..DEEDS {
        pair.run(TALK);
        let [kind, a, b, tail @ ..] = rest else { return };
        let (data, after) = tail.split_at(usize::from(*b).min(tail.len()));
        rest = after;
        match kind % 8 {
            0 => datagram(&mut pair, 500, data),
            1 => datagram(&mut pair, 4500, data),
            2 => datagram(&mut pair, PROTOCOL_50, data),
            3 => _ = pair.inner(WEST, data),
            4 | 5 => bent(&mut pair, usize::from(*a), data),
            6 => pair.try_command(usize::from(a % 2), command(*a)),
            _ => pair.run(Duration::from_millis(u64::from(*a) * 50)),
        }
    }
});

/// Much happens within the seconds of one input.
fn hasten(side: &mut GatewayConfig) {
    for connection in &mut side.connections {
        connection.ike_proposals = vec!["aes128gcm16-prfsha256-x25519".into()];
        connection.esp_proposals = vec!["aes128gcm16-x25519-ke1_mlkem512".into()];
        connection.ike_rekey = Some(Duration::from_secs(60));
        connection.child_rekey = Some(Duration::from_secs(20));
        connection.child_life = Some(Duration::from_secs(30));
        connection.dpd_delay = Some(Duration::from_secs(3));
        connection.dpd_action = ChildAction::Start;
        connection.mobike = true;
        let [near, far] = if side.name == "west" { ["10.3.0.0/16", "10.4.0.0/16"] } else { ["10.4.0.0/16", "10.3.0.0/16"] };
        let net = |text: &str| text.parse().expect("a prefix");
        connection.more_children = vec![Child {
            name: format!("{}-2", connection.name),
            esp_proposals: vec!["aes128-sha256-x25519".into()],
            local_ts: vec![net(near)],
            remote_ts: vec![net(far)],
            child_rekey: Some(Duration::from_secs(15)),
            ..Child::default()
        }];
    }
}

fn command(which: u8) -> Command {
    let name = || if which.is_multiple_of(2) { "west-east".to_owned() } else { "east-west".to_owned() };
    match which / 2 % 6 {
        0 => Command::RekeyChild(name()),
        1 => Command::RekeyIke(name()),
        2 => Command::Close(name()),
        3 => Command::PathMtu { to: address(EAST), mtu: u16::from(which) * 8 },
        4 => Command::LinkMtu(u16::from(which) * 8),
        _ => Command::Initiate(name()),
    }
}

fn address(side: usize) -> IpAddr {
    sim::config(side).connections[0].local
}

fn datagram(pair: &mut Pair, port: u16, data: &[u8]) {
    let end = |side| SocketAddr::new(address(side), port);
    pair.inject(Flight { from: end(WEST), to: end(EAST), data: data.to_vec() });
}

/// Something that was said, with some octets replaced: pairs of place and value.
fn bent(pair: &mut Pair, which: usize, changes: &[u8]) {
    let Some((_, mut flight)) = pair.sent.get(which % pair.sent.len().max(1)).cloned() else { return };
    for change in changes.chunks_exact(2) {
        let at = usize::from(change[0]) * flight.data.len() / 256;
        if let Some(octet) = flight.data.get_mut(at) {
            *octet = change[1];
        }
    }
    pair.inject(flight);
}
