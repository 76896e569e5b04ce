//! A machine that carries inner packets in something that looks like ESP: SPI 1, a sequence number, the packet.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faultlab_runtime::{Birth, Machine};
use gateway::{Command, Effect, LogEntry, Outer, Time, Verdict};
use peer::{EspKeys, GatewayEvent, GatewayEventKind, Keys};

/// How a machine sends.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// In UDP, not as IP protocol 50.
    pub udp: bool,
    pub tos: u8,
    pub df: bool,
    /// A timer that is due so often.
    pub tick: Option<Duration>,
}

/// How long a signature takes.
pub const SLOW: Duration = Duration::from_millis(50);

pub const RAW: Manner = Manner { udp: false, tos: 0, df: true, tick: None };
pub const UDP: Manner = Manner { udp: true, ..RAW };

/// What a machine was told.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    Udp {
        from: SocketAddr,
        to: SocketAddr,
        tos: u8,
        data: Vec<u8>,
    },
    Esp {
        from: IpAddr,
        to: IpAddr,
        tos: u8,
    },
    Inner(Vec<u8>),
    Command(Command),
    Tick(Time),
    /// What a command led to has been done.
    Done(Time),
}

/// Everything that the machines of one gateway were told, in all their lives.
#[derive(Clone, Default)]
pub struct Diary(Arc<Mutex<Vec<Seen>>>);

impl Diary {
    pub fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, seen: Seen) {
        self.0.lock().unwrap().push(seen);
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// Waits until something was told.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if let Some(seen) = self.all().into_iter().find(&wanted) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("waited for {what}; seen {:?}", self.all());
    }
}

pub struct Pipe {
    birth: Birth,
    manner: Manner,
    diary: Diary,
    effects: VecDeque<Effect>,
    sequence: u32,
    next_tick: Option<Time>,
    up: bool,
    /// A command whose effects have not been done.
    unsent: bool,
}

impl Pipe {
    pub fn new(birth: Birth, manner: Manner, diary: Diary) -> Pipe {
        let next_tick = manner.tick.map(|t| Time::ZERO + t);
        Pipe { birth, manner, diary, effects: VecDeque::new(), sequence: 0, next_tick, up: false, unsent: false }
    }

    fn event(&mut self, what: GatewayEventKind) {
        self.effects.push_back(Effect::Event(GatewayEvent { gateway: self.birth.config.name.clone(), what }));
    }

    fn unwrap(packet: &[u8], out: &mut Vec<u8>) -> Verdict {
        match packet.strip_prefix(&[0, 0, 0, 1]).and_then(|p| p.get(4..)) {
            Some(inner) => {
                out.extend_from_slice(inner);
                Verdict::Deliver
            }
            None => Verdict::Nothing,
        }
    }

    fn keys(&self) -> Keys {
        let spi = u32::from_le_bytes(*self.birth.seed.first_chunk().unwrap());
        let (encryption, integrity) = (wire::crypto::Cipher::Null, wire::crypto::Integrity::None);
        let key = EspKeys { src: None, dst: None, spi, encryption, key: vec![], integrity, integrity_key: vec![] };
        Keys { esp: vec![key], ..Keys::default() }
    }
}

impl Machine for Pipe {
    fn handle_udp(&mut self, _: Time, from: SocketAddr, to: SocketAddr, tos: u8, data: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        self.diary.add(Seen::Udp { from, to, tos, data: data.to_vec() });
        assert!(data != b"panic", "as asked for");
        Pipe::unwrap(data, out)
    }

    fn handle_esp(&mut self, _: Time, from: IpAddr, to: IpAddr, tos: u8, packet: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        self.diary.add(Seen::Esp { from, to, tos });
        Pipe::unwrap(packet, out)
    }

    fn handle_inner(&mut self, _: Time, packet: &[u8], out: &mut Vec<u8>) -> Verdict {
        assert!(out.is_empty());
        self.diary.add(Seen::Inner(packet.to_vec()));
        self.sequence += 1;
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(packet);
        let c = &self.birth.config.connections[0];
        let ports = self.manner.udp.then_some((4500, 4500));
        Verdict::Send(Outer { from: c.local, to: c.remote.unwrap(), ports, tos: self.manner.tos, df: self.manner.df })
    }

    fn command(&mut self, now: Time, command: Command) -> Result<(), String> {
        self.diary.add(Seen::Command(command.clone()));
        let c = self.birth.config.connections[0].clone();
        match command {
            Command::Initiate(name) if name != c.name => return Err(format!("there is no {name}")),
            Command::Initiate(name) if c.psk.expose() == "never" => {
                let text = "as if it were tried".to_owned();
                self.effects.push_back(Effect::Log(LogEntry { at: now.0.as_secs_f64(), connection: Some(name), ike_sa: None, text }));
            }
            Command::Initiate(_) if c.psk.expose() == "slow" => {
                // Stands for a signature on a busy machine.
                let begun = std::time::Instant::now();
                while begun.elapsed() < SLOW {}
                let (from, to) = (SocketAddr::new(c.local, 500), SocketAddr::new(c.remote.unwrap(), 500));
                self.effects.push_back(Effect::Datagram { from, to, data: b"signed".to_vec() });
                self.diary.add(Seen::Tick(now));
                self.unsent = true;
            }
            Command::Initiate(name) if c.psk.expose() == "wrong" => {
                self.effects.push_back(Effect::Failed { connection: name, reason: "AUTHENTICATION_FAILED".into() });
            }
            Command::Initiate(name) => {
                // Otherwise another child is still missing.
                self.up = c.psk.expose() != "half";
                self.event(GatewayEventKind::ChildUp { connection: name.clone(), child: name, spi_in: 1, spi_out: 1 });
                // On purpose after the news.
                self.effects.push_back(Effect::Keys(self.keys()));
                self.effects.push_back(Effect::Routes(c.remote_ts));
            }
            // Stands for whatever else a gateway may want.
            Command::Close(_) => self.effects.push_back(Effect::Routes(vec![])),
            Command::RekeyIke(_) => self.effects.push_back(Effect::Addresses(vec!["10.77.0.7".parse().unwrap()])),
            Command::Shutdown => {
                let (from, to) = (SocketAddr::new(c.local, 500), SocketAddr::new(c.remote.unwrap(), 500));
                self.effects.push_back(Effect::Datagram { from, to, data: b"goodbye".to_vec() });
                self.up = false;
                self.event(GatewayEventKind::ChildDown { connection: c.name.clone(), child: c.name });
            }
            Command::PathMtu { .. } | Command::LinkMtu(_) | Command::Moved { .. } | Command::RekeyChild(_) => {}
        }
        Ok(())
    }

    fn is_up(&self, connection: &str) -> bool {
        self.up && self.birth.config.connections[0].name == connection
    }

    fn handle_timeout(&mut self, now: Time) {
        self.diary.add(Seen::Tick(now));
        self.next_tick = self.manner.tick.map(|t| now + t);
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.next_tick.map(|at| (at, "tick"))
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn sent(&mut self, now: Time) {
        if std::mem::take(&mut self.unsent) {
            self.diary.add(Seen::Done(now));
        }
    }

    fn describe(&self) -> String {
        format!("a pipe; {} packets in", self.sequence)
    }
}
