//! A whole in-house gateway with an established IKE SA and child SA, and its peer. The input is a list of deeds: any octets on UDP
//! 500 or 4500, on protocol 50 or from the inside, a bent copy of something that was said before, an operator's command, or time.
//! Nothing may panic, and what comes out must come to an end.
#![no_main]

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gateway::{Command, Effect, Gateway, Time};
use libfuzzer_sys::fuzz_target;
use peer::{Authentication, Child, ChildAction, Connection, EspMode, GatewayConfig, IkeMode, Options};

/// Deeds of one input.
const DEEDS: usize = 24;
/// Messages that one deed may lead to.
const TALK: usize = 200;

fuzz_target!(|bytes: &[u8]| {
    let mut pair = Pair::new();
    pair.command(0, Command::Initiate("west-east".into()));
    let mut rest = bytes;
    for _ in 0..DEEDS {
        let [kind, a, b, tail @ ..] = rest else { return };
        let (data, after) = tail.split_at(usize::from(*b).min(tail.len()));
        rest = after;
        match kind % 8 {
            0 => pair.datagram(500, data.to_vec()),
            1 => pair.datagram(4500, data.to_vec()),
            2 => pair.esp(data.to_vec()),
            3 => pair.inner(data),
            4 | 5 => pair.bent(usize::from(*a), data),
            6 => pair.command(usize::from(a % 2), command(*a)),
            _ => pair.pass(Duration::from_millis(u64::from(*a) * 50)),
        }
    }
});

fn command(which: u8) -> Command {
    let name = || if which.is_multiple_of(2) { "west-east".to_owned() } else { "east-west".to_owned() };
    match which / 2 % 6 {
        0 => Command::RekeyChild(name()),
        1 => Command::RekeyIke(name()),
        2 => Command::Close(name()),
        3 => Command::PathMtu { to: address(1), mtu: u16::from(which) * 8 },
        4 => Command::LinkMtu(u16::from(which) * 8),
        _ => Command::Initiate(name()),
    }
}

fn address(side: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, 1 + side as u8])
}

struct Pair {
    now: Time,
    sides: [Gateway; 2],
    said: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Pair {
    fn new() -> Pair {
        let side = |side: usize| Gateway::new(config(side), [side as u8 + 1; 32], 0, &[]).expect("these settings are fine");
        Pair { now: Time::ZERO, sides: [side(0), side(1)], said: Vec::new() }
    }

    /// Carries what both say to each other.
    fn talk(&mut self) {
        let mut flights = VecDeque::new();
        for _ in 0..TALK {
            for side in &mut self.sides {
                while let Some(effect) = side.poll_effect() {
                    if let Effect::Datagram { from, to, data } = effect {
                        flights.push_back((from, to, data));
                    }
                }
                side.sent(self.now);
            }
            let Some((from, to, data)) = flights.pop_front() else { return };
            self.said.push((from, to, data.clone()));
            self.arrive(from, to, data);
        }
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, mut data: Vec<u8>) {
        let side = usize::from(to.ip() == address(1));
        self.sides[side].handle_udp(self.now, from, to, 0, &mut data, &mut Vec::new());
    }

    fn datagram(&mut self, port: u16, data: Vec<u8>) {
        self.arrive(SocketAddr::new(address(0), port), SocketAddr::new(address(1), port), data);
        self.talk();
    }

    fn esp(&mut self, mut data: Vec<u8>) {
        self.sides[1].handle_esp(self.now, address(0), address(1), 0, &mut data, &mut Vec::new());
        self.talk();
    }

    fn inner(&mut self, data: &[u8]) {
        self.sides[0].handle_inner(self.now, data, &mut Vec::new());
        self.talk();
    }

    /// Something that was said, with some octets replaced: pairs of place and value.
    fn bent(&mut self, which: usize, changes: &[u8]) {
        let Some((from, to, mut data)) = self.said.get(which % self.said.len().max(1)).cloned() else { return };
        for change in changes.chunks_exact(2) {
            let at = usize::from(change[0]) * data.len() / 256;
            if let Some(octet) = data.get_mut(at) {
                *octet = change[1];
            }
        }
        self.arrive(from, to, data);
        self.talk();
    }

    fn command(&mut self, side: usize, command: Command) {
        // An unknown connection is refused.
        let _ = self.sides[side].command(self.now, command);
        self.talk();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for side in &mut self.sides {
            side.handle_timeout(self.now);
        }
        self.talk();
    }
}

/// Settings of one side that fit the other's.
fn config(side: usize) -> GatewayConfig {
    let (names, nets) = (["west", "east"], ["10.1.0.0/16", "10.2.0.0/16"]);
    let (here, there) = (names[side], names[1 - side]);
    let others = ["10.3.0.0/16", "10.4.0.0/16"];
    let second = Child {
        name: format!("{here}-{there}-2"),
        esp_proposals: vec!["aes128-sha256-x25519".into()],
        local_ts: vec![others[side].parse().expect("a prefix")],
        remote_ts: vec![others[1 - side].parse().expect("a prefix")],
        child_rekey: Some(Duration::from_secs(15)),
        ..Child::default()
    };
    let connection = Connection {
        name: format!("{here}-{there}"),
        peer: there.into(),
        ike: IkeMode::V2,
        local: address(side),
        remote: Some(address(1 - side)),
        local_id: format!("{here}.example"),
        remote_id: format!("{there}.example"),
        psk: "correct horse".into(),
        auth: Authentication::default(),
        ike_proposals: vec!["aes128gcm16-prfsha256-x25519".into()],
        esp_proposals: vec!["aes128gcm16".into()],
        ah_proposals: vec![],
        mode: EspMode::Tunnel,
        local_ts: vec![nets[side].parse().expect("a prefix")],
        remote_ts: vec![nets[1 - side].parse().expect("a prefix")],
        ike_rekey: Some(Duration::from_secs(60)),
        child_rekey: Some(Duration::from_secs(20)),
        child_life: Some(Duration::from_secs(30)),
        inactivity: None,
        dpd_delay: Some(Duration::from_secs(3)),
        dpd_action: ChildAction::Start,
        start_action: ChildAction::None,
        close_action: ChildAction::None,
        mobike: true,
        nat_traversal: true,
        force_encap: false,
        keying_tries: 1,
        more_children: vec![second],
        options: Options::default(),
    };
    GatewayConfig { name: here.into(), connections: vec![connection], ..GatewayConfig::default() }
}
