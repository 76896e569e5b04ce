//! Two gateways, one clock, and a network in memory that loses, doubles and delays datagrams as its seed says.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use faultlab_gateway::crypto::Rng;
use faultlab_gateway::{Command, Effect, Gateway, Outer, Time, Verdict};
use peer::*;

/// What the network does to datagrams.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// One way, milliseconds.
    pub delay_ms: u64,
    /// Up to this much more, drawn anew for each datagram: reordering.
    pub jitter_ms: u64,
    /// Of a hundred datagrams so many are lost.
    pub loss_pct: u32,
    /// Of a hundred so many come twice.
    pub double_pct: u32,
}

pub const FAIR: Weather = Weather { delay_ms: 10, jitter_ms: 0, loss_pct: 0, double_pct: 0 };

/// A datagram on its way.
#[derive(Debug, Clone)]
pub struct Flight {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub data: Vec<u8>,
}

/// One side.
pub struct Side {
    pub gateway: Gateway,
    pub address: IpAddr,
    pub events: Vec<(Time, GatewayEventKind)>,
    pub failures: Vec<String>,
    pub log: Vec<String>,
    pub keys: Keys,
    pub inner: Vec<Vec<u8>>,
    pub routes: Vec<ipnet::IpNet>,
    pub addresses: Vec<IpAddr>,
}

/// Says whether a datagram arrives, and may translate its addresses.
pub type Filter = Box<dyn FnMut(&mut Flight) -> bool>;

/// Both sides and what is between them.
pub struct Pair {
    pub now: Time,
    pub sides: [Side; 2],
    pub weather: Weather,
    rng: Rng,
    /// By arrival; the number keeps those of one moment in order.
    flights: BTreeMap<(Time, u64), Flight>,
    number: u64,
    /// Everything that was sent, with its time.
    pub sent: Vec<(Time, Flight)>,
    /// ESP sent, by outer header.
    pub esp: Vec<(Time, Outer, Vec<u8>)>,
    /// Sees what is sent: `false` is lost.
    pub filter: Option<Filter>,
}

pub const WEST: usize = 0;
pub const EAST: usize = 1;

/// Settings of one side that fit the other's.
pub fn config(side: usize) -> GatewayConfig {
    let names = ["west", "east"];
    let nets = ["10.1.0.0/16", "10.2.0.0/16"];
    let (here, there) = (names[side], names[1 - side]);
    let address = |side: usize| IpAddr::from([192, 0, 2, 1 + side as u8]);
    GatewayConfig {
        name: here.into(),
        connections: vec![Connection {
            ike_proposals: vec!["aes128-sha256-curve25519".into()],
            esp_proposals: vec!["aes128-sha256".into()],
            local_ts: vec![nets[side].parse().unwrap()],
            remote_ts: vec![nets[1 - side].parse().unwrap()],
            ..Connection::plain(here, there, address(side), Some(address(1 - side)))
        }],
        ..GatewayConfig::default()
    }
}

/// A side's networks: 10.1.0.0/24 and 10.1.1.0/24, 10.2.0.0/24 and 10.2.1.0/24.
pub const LAN: u8 = 0;
pub const DMZ: u8 = 1;

/// Names of each side's children, when it has both.
pub const NAMES: [[&str; 2]; 2] = [["west-east", "west-east-dmz"], ["east-west", "east-west-dmz"]];

pub fn net(side: usize, which: u8) -> ipnet::IpNet {
    format!("10.{}.{which}.0/24", side + 1).parse().unwrap()
}

/// A child for the LANs, and one with a longer key for the DMZs.
pub fn with_dmz(config: &mut GatewayConfig, side: usize) {
    let c = &mut config.connections[0];
    (c.local_ts, c.remote_ts) = (vec![net(side, LAN)], vec![net(1 - side, LAN)]);
    c.more_children = vec![Child {
        name: NAMES[side][1].into(),
        esp_proposals: vec!["aes256-sha256".into()],
        local_ts: vec![net(side, DMZ)],
        remote_ts: vec![net(1 - side, DMZ)],
        ..Child::default()
    }];
}

impl Pair {
    /// After `tweak` had its way with the settings.
    pub fn new(seed: u64, weather: Weather, tweak: impl FnOnce(&mut GatewayConfig, &mut GatewayConfig)) -> Pair {
        let (mut west, mut east) = (config(WEST), config(EAST));
        tweak(&mut west, &mut east);
        let side = |config: GatewayConfig, number: u8| {
            let mut key = [number; 32];
            key[..8].copy_from_slice(&seed.to_be_bytes());
            let address = config.connections[0].local;
            // 2026-01-01
            let gateway = Gateway::new(config, key, 1_767_225_600, &[IpAddr::from([10, number, 0, 1])]).unwrap();
            Side {
                gateway,
                address,
                events: vec![],
                failures: vec![],
                log: vec![],
                keys: Keys::default(),
                inner: vec![],
                routes: vec![],
                addresses: vec![],
            }
        };
        let mut key = [9; 32];
        key[..8].copy_from_slice(&seed.to_be_bytes());
        let mut pair = Pair {
            now: Time::ZERO,
            sides: [side(west, 1), side(east, 2)],
            weather,
            rng: Rng::new(key),
            flights: BTreeMap::new(),
            number: 0,
            sent: vec![],
            esp: vec![],
            filter: None,
        };
        pair.drain();
        pair
    }

    /// The first connection's name.
    pub fn name(&self, side: usize) -> String {
        let names = ["west-east", "east-west"];
        names[side].into()
    }

    pub fn command(&mut self, side: usize, command: Command) {
        let now = self.now;
        self.sides[side].gateway.command(now, command).unwrap();
        self.drain();
    }

    /// Whatever the answer is.
    pub fn try_command(&mut self, side: usize, command: Command) {
        let now = self.now;
        let _ = self.sides[side].gateway.command(now, command);
        self.drain();
    }

    /// West leaves its address for another one.
    pub fn move_west(&mut self, to: IpAddr) {
        let from = std::mem::replace(&mut self.sides[WEST].address, to);
        self.command(WEST, Command::Moved { from, to });
    }

    pub fn initiate(&mut self, side: usize) {
        self.command(side, Command::Initiate(self.name(side)));
    }

    /// A packet from the inside of a side.
    pub fn inner(&mut self, side: usize, packet: &[u8]) -> Verdict {
        let mut out = Vec::new();
        let verdict = self.sides[side].gateway.handle_inner(self.now, packet, &mut out);
        self.act(side, verdict, out);
        self.drain();
        verdict
    }

    fn act(&mut self, side: usize, verdict: Verdict, out: Vec<u8>) {
        match verdict {
            Verdict::Send(outer) => {
                self.esp.push((self.now, outer, out.clone()));
                // Port 0 stands for IP protocol 50.
                let (sport, dport) = outer.ports.unwrap_or((0, 0));
                self.fly(Flight { from: SocketAddr::new(outer.from, sport), to: SocketAddr::new(outer.to, dport), data: out });
            }
            Verdict::Deliver => self.sides[side].inner.push(out),
            Verdict::Nothing => {}
        }
    }

    fn fly(&mut self, mut flight: Flight) {
        self.sent.push((self.now, flight.clone()));
        if self.filter.as_mut().is_some_and(|f| !f(&mut flight)) {
            return;
        }
        let copies = if self.rng.u32() % 100 < self.weather.double_pct { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = if self.weather.jitter_ms == 0 { 0 } else { u64::from(self.rng.u32()) % self.weather.jitter_ms };
            if self.rng.u32() % 100 >= self.weather.loss_pct {
                let at = self.now + Duration::from_millis(self.weather.delay_ms + jitter);
                self.number += 1;
                self.flights.insert((at, self.number), flight.clone());
            }
        }
    }

    /// Puts a datagram on its way that nobody has sent.
    pub fn inject(&mut self, flight: Flight) {
        self.number += 1;
        self.flights.insert((self.now, self.number), flight);
    }

    fn drain(&mut self) {
        for side in [WEST, EAST] {
            while let Some(effect) = self.sides[side].gateway.poll_effect() {
                let s = &mut self.sides[side];
                match effect {
                    Effect::Datagram { from, to, data } => self.fly(Flight { from, to, data }),
                    Effect::Inner(packet) => s.inner.push(packet),
                    Effect::Routes(routes) => s.routes = routes,
                    Effect::Addresses(addresses) => s.addresses = addresses,
                    Effect::Event(event) => s.events.push((self.now, event.what)),
                    Effect::Failed { reason, .. } => s.failures.push(reason),
                    Effect::Keys(keys) => {
                        s.keys.merge(keys);
                    }
                    Effect::Log(entry) => s.log.push(format!("{:9.3} {} {}", entry.at, entry.ike_sa.unwrap_or_default(), entry.text)),
                }
            }
            self.sides[side].gateway.sent(self.now);
        }
    }

    /// What happens next; `false`: nothing ever.
    pub fn step(&mut self) -> bool {
        let wakes = [WEST, EAST].map(|s| self.sides[s].gateway.poll_timeout().map(|(at, _)| at));
        let arrival = self.flights.keys().next().map(|(at, _)| *at);
        let Some(next) = wakes.into_iter().flatten().chain(arrival).min() else { return false };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            let Some((_, flight)) = self.flights.pop_first() else { return false };
            self.arrive(flight);
        } else {
            for side in [WEST, EAST] {
                if wakes[side].is_some_and(|at| at <= self.now) {
                    self.sides[side].gateway.handle_timeout(self.now);
                }
            }
        }
        self.drain();
        true
    }

    fn arrive(&mut self, flight: Flight) {
        let Some(side) = [WEST, EAST].into_iter().find(|s| self.sides[*s].address == flight.to.ip()) else { return };
        let Flight { from, to, mut data } = flight;
        let mut out = Vec::new();
        let gateway = &mut self.sides[side].gateway;
        let verdict = match to.port() {
            0 => gateway.handle_esp(self.now, from.ip(), to.ip(), 0, &mut data, &mut out),
            _ => gateway.handle_udp(self.now, from, to, 0, &mut data, &mut out),
        };
        self.act(side, verdict, out);
    }

    /// Lets so much time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let wakes = [WEST, EAST].map(|s| self.sides[s].gateway.poll_timeout().map(|(at, _)| at));
            let arrival = self.flights.keys().next().map(|(at, _)| *at);
            match wakes.into_iter().flatten().chain(arrival).min() {
                Some(next) if next <= end => self.step(),
                _ => break,
            };
        }
        self.now = end;
    }

    pub fn run_s(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    /// Child SAs of a side, by its SAD: inbound SPIs that it would accept now.
    pub fn children(&self, side: usize) -> usize {
        self.sides[side].gateway.describe().lines().filter(|l| l.trim_start().starts_with("child ")).count()
    }

    /// IKE SAs of a side.
    pub fn ike_sas(&self, side: usize) -> usize {
        self.sides[side].gateway.describe().lines().filter(|l| l.contains(": established")).count()
    }

    /// How often an IKE SA has come up at a side.
    pub fn ike_ups(&self, side: usize) -> usize {
        self.sides[side].events.iter().filter(|(_, e)| matches!(e, GatewayEventKind::IkeUp { .. })).count()
    }

    /// Does a packet pass in both directions?
    pub fn passes(&mut self) -> bool {
        self.passes_in(LAN)
    }

    /// The same between networks of a kind.
    pub fn passes_in(&mut self, which: u8) -> bool {
        [WEST, EAST].into_iter().all(|side| {
            let before = self.sides[1 - side].inner.len();
            self.inner(side, &packet_in(side, which, b"hello"));
            self.run(Duration::from_millis(self.weather.delay_ms + self.weather.jitter_ms + 1));
            self.sides[1 - side].inner.len() == before + 1
        })
    }

    /// Both logs, for the message of a failed assertion.
    pub fn story(&self) -> String {
        let sides = self.sides.iter().zip(["west", "east"]);
        sides.map(|(s, name)| format!("{name}:\n{}\n{}", s.log.join("\n"), s.gateway.describe())).collect()
    }
}

/// An IPv4 and UDP packet from a side's network to the other's.
pub fn udp_packet(side: usize, payload: &[u8]) -> Vec<u8> {
    packet_in(side, LAN, payload)
}

/// The same between networks of a kind.
pub fn packet_in(side: usize, which: u8, payload: &[u8]) -> Vec<u8> {
    let (from, to) = ([10, 1 + side as u8, which, 10], [10, 2 - side as u8, which, 10]);
    let builder = etherparse::PacketBuilder::ipv4(from, to, 64).udp(1000, 2000);
    let mut packet = Vec::new();
    builder.write(&mut packet, payload).unwrap();
    packet
}
