//! Hand-made captures for the unit tests of symptoms: typed layers, a small plan, times in milliseconds.
//!
//! `alice — west — mid — east — bob`, and `carol` (a gateway behind `nat`, public side on the same `mid`).

pub mod plan;

use std::net::IpAddr;
use std::time::Duration;

use peer::GatewayEventKind;
use runtime::{ProbeOutcome, ProbeResult};
use wire::ike::{Body, Encryption, Message, Payload};

use super::{Evidence, Finding, Proof, find};
use crate::dissect::{Capture, Direction, Dns, Esp, Ethernet, Frame, Http, Icmp, Ike, Ip, Layer, Record, Tcp, Udp};
use crate::event::{Event, StepResult, What};
use crate::scenario::defaults::default_value;
use crate::scenario::model::Plan;
use crate::schema::{Args, Kind, Param};
use crate::time::Timestamp;

/// Time 0 of every story.
const EPOCH: i64 = 1_700_000_000_000_000_000;

/// Addresses of the plan.
pub const ALICE: &str = "10.1.0.10";
pub const WEST: &str = "192.0.2.1";
pub const EAST: &str = "198.51.100.2";
pub const BOB: &str = "10.2.0.10";
pub const CAROL: &str = "192.168.1.10";
pub const NAT: &str = "203.0.113.1";

/// A point in time.
pub fn ms(ms: i64) -> Timestamp {
    Timestamp(EPOCH + ms * 1_000_000)
}

fn whole_ms(t: Timestamp) -> i64 {
    (t.0 - EPOCH) / 1_000_000
}

/// What happened in a run, told in order.
pub struct Story {
    pub capture: Capture,
    pub events: Vec<Event>,
    pub plan: Plan,
    pub lost: u64,
}

impl Story {
    pub fn new() -> Story {
        let plan = plan::plan();
        Story { capture: Capture { taps: plan.taps(), records: Vec::new() }, events: Vec::new(), plan, lost: 0 }
    }

    /// Adds a packet; returns its frame number. Layers below IP are supplied; `upper` are the octets above IP.
    pub fn packet(&mut self, time: i64, tap: &str, ip: Ip, upper: &[u8], above: Vec<Layer>) -> u32 {
        let number = u32::try_from(self.capture.records.len()).unwrap() + 1;
        let mut data = vec![0; 14 + ip.header_len as usize];
        data.extend_from_slice(upper);
        let frame = Frame {
            number,
            tap: self.capture.tap(tap).unwrap_or_else(|| panic!("no tap {tap}")),
            time: ms(time),
            orig_len: u32::try_from(data.len()).unwrap(),
            direction: Direction::Unknown,
            link_type: 1,
            data: data.into(),
        };
        let mut layers = vec![Layer::Ethernet(Ethernet { dst: [0; 6], src: [0; 6], ether_type: 0x0800 }), Layer::Ip(ip)];
        layers.extend(above);
        let quoted_from = layers.len();
        self.capture.records.push(Record { frame, layers, quoted_from, esp_inner: Vec::new() });
        number
    }

    pub fn ike(&mut self, time: i64, tap: &str, src: &str, dst: &str, message: &Msg) -> u32 {
        self.ike_on(time, tap, (src, 500), (dst, 500), message)
    }

    pub fn ike_on(&mut self, time: i64, tap: &str, src: (&str, u16), dst: (&str, u16), message: &Msg) -> u32 {
        let marker = dst.1 == 4500 || src.1 == 4500;
        let message = message.0.clone();
        let raw = format!("{message:?}").into_bytes();
        let mut above = vec![udp(src.1, dst.1, &raw)];
        if marker {
            above.push(Layer::UdpEncap(true));
        }
        above.push(Layer::Ike(Box::new(Ike { message, raw: raw.clone(), marker, beyond: false, unverified: None })));
        self.packet(time, tap, ip(src.0, dst.0, 17, 200), &[&[0; 8], &raw[..]].concat(), above)
    }

    pub fn esp(&mut self, time: i64, tap: &str, src: &str, dst: &str, spi: u32, seq: u32) -> u32 {
        self.esp_of(time, tap, src, dst, (spi, seq), 120)
    }

    pub fn esp_of(&mut self, time: i64, tap: &str, src: &str, dst: &str, (spi, seq): (u32, u32), total_len: u32) -> u32 {
        let esp = Esp { spi, seq, udp: false, len: total_len - 20, tail: [7; 12], icv_ok: None };
        let mut packet = ip(src, dst, 50, total_len);
        packet.dont_fragment = true;
        self.packet(time, tap, packet, &[], vec![Layer::Esp(esp)])
    }

    /// UDP-encapsulated ESP.
    pub fn esp_udp(&mut self, time: i64, tap: &str, src: (&str, u16), dst: (&str, u16), spi: u32, seq: u32) -> u32 {
        let esp = Esp { spi, seq, udp: true, len: 100, tail: [7; 12], icv_ok: None };
        let above = vec![udp(src.1, dst.1, &[1; 100]), Layer::UdpEncap(false), Layer::Esp(esp)];
        self.packet(time, tap, ip(src.0, dst.0, 17, 128), &[0; 108], above)
    }

    pub fn keepalive(&mut self, time: i64, tap: &str, src: &str, dst: &str) -> u32 {
        self.packet(time, tap, ip(src, dst, 17, 29), &[0; 9], vec![udp(4500, 4500, &[0xff]), Layer::NatKeepalive])
    }

    pub fn udp(&mut self, time: i64, tap: &str, src: (&str, u16), dst: (&str, u16), payload: &[u8]) -> u32 {
        let octets = [&[0; 8], payload].concat();
        self.packet(time, tap, ip(src.0, dst.0, 17, 20 + octets.len() as u32), &octets, vec![udp(src.1, dst.1, payload)])
    }

    /// ICMP echo request or reply.
    pub fn echo(&mut self, time: i64, tap: &str, src: &str, dst: &str, request: bool, seq: u16) -> u32 {
        let kind = if request { 8 } else { 0 };
        let icmp = Icmp { v6: false, kind, code: 0, mtu: None, echo: Some((1, seq)), checksum_ok: None };
        self.packet(time, tap, ip(src, dst, 1, 84), &[kind, 0, 0, seq as u8], vec![Layer::Icmp(icmp)])
    }

    pub fn frag_needed(&mut self, time: i64, tap: &str, src: &str, dst: &str, mtu: u32) -> u32 {
        let icmp = Icmp { v6: false, kind: 3, code: 4, mtu: Some(mtu), echo: None, checksum_ok: None };
        self.packet(time, tap, ip(src, dst, 1, 56), &[3, 4], vec![Layer::Icmp(icmp)])
    }

    /// `(flags, seq, ack, payload octets)`.
    pub fn tcp(&mut self, time: i64, tap: &str, src: (&str, u16), dst: (&str, u16), t: (u8, u32, u32, u32)) -> u32 {
        let tcp = tcp(src.1, dst.1, t);
        let mut octets = [src.1.to_be_bytes(), dst.1.to_be_bytes()].concat();
        octets.extend(t.1.to_be_bytes());
        octets.extend(t.2.to_be_bytes());
        octets.extend([0x50, t.0, 0, 0]);
        // A checksum that depends on the addresses, as the real one does.
        octets.extend([src.0.len() as u8, dst.0.len() as u8, 0, 0]);
        octets.resize(20 + t.3 as usize, 0xaa);
        self.packet(time, tap, ip(src.0, dst.0, 6, 40 + t.3), &octets, vec![Layer::Tcp(tcp)])
    }

    pub fn http(&mut self, time: i64, tap: &str, src: (&str, u16), dst: (&str, u16), status: u16) -> u32 {
        let http = Http { method: String::new(), uri: String::new(), status: Some(status) };
        let above = vec![Layer::Tcp(tcp(src.1, dst.1, (0x18, 1, 1, 100))), Layer::Http(Box::new(http))];
        self.packet(time, tap, ip(src.0, dst.0, 6, 140), &[0; 120], above)
    }

    /// A DNS question, or an answer with a response code.
    pub fn dns(&mut self, time: i64, tap: &str, src: &str, dst: &str, name: &str, answer: Option<u8>) -> u32 {
        let (response, rcode) = (answer.is_some(), answer.unwrap_or(0));
        let answers = u16::from(answer == Some(0));
        let dns = Dns { id: 1, response, rcode, questions: vec![(name.into(), 1)], addresses: Vec::new(), answers };
        let ports = if response { (53, 4000) } else { (4000, 53) };
        let above = vec![udp(ports.0, ports.1, &[0; 30]), Layer::Dns(Box::new(dns))];
        self.packet(time, tap, ip(src, dst, 17, 58), &[0; 38], above)
    }

    pub fn event(&mut self, time: i64, what: What) {
        self.events.push(Event { time: ms(time), what });
    }

    pub fn fault(&mut self, time: i64, name: &str) {
        self.event(time, What::FaultSet { fault: name.into() });
    }

    pub fn script_ends(&mut self, time: i64) {
        self.event(time, What::ScriptEnded);
    }

    pub fn ike_up(&mut self, time: i64, gateway: &str) {
        let what = GatewayEventKind::IkeUp { connection: "c".into() };
        self.event(time, What::Gateway { gateway: gateway.into(), what });
    }

    pub fn step_ended(&mut self, time: i64, step: &str, outcome: ProbeOutcome) {
        let result = ProbeResult { outcome, sent: 1, received: 0, elapsed: Duration::ZERO, detail: "detail".into() };
        self.event(time, What::StepEnded { step: step.into(), result: StepResult::Probe(result) });
    }

    /// Asks a symptom when everything up to `now` has been captured. Values are written as in a scenario, without quotes.
    pub fn ask(&self, code: &str, args: &[(&str, &str)], now: i64) -> Finding {
        self.put(code, args, now, false)
    }

    /// Asks a symptom at the end of the run.
    pub fn ask_at_end(&self, code: &str, args: &[(&str, &str)], now: i64) -> Finding {
        self.put(code, args, now, true)
    }

    fn put(&self, code: &str, args: &[(&str, &str)], now: i64, complete: bool) -> Finding {
        let symptom = find(code).unwrap_or_else(|| panic!("no symptom {code}"));
        let args = arguments(symptom.params, args);
        let Story { capture, events, plan, lost } = self;
        (symptom.judge)(&args, &Evidence { capture, events, plan, now: ms(now), complete, lost: *lost })
    }
}

fn arguments(params: &[Param], given: &[(&str, &str)]) -> Args {
    let mut args = Args::default();
    for param in params {
        let text = given.iter().find(|(key, _)| *key == param.name).map(|(_, text)| *text);
        let text = match (text, param.kind) {
            (None, _) if param.required => panic!("`{}` must be given", param.name),
            (None, _) => param.default.to_owned(),
            (Some(text), Kind::Bool | Kind::Int(..) | Kind::Float | Kind::List(_)) => text.to_owned(),
            (Some(text), _) => format!("'{text}'"),
        };
        if text.is_empty() {
            continue;
        }
        let value = default_value(Box::leak(Box::new(Param { default: Box::leak(text.into_boxed_str()), ..*param })));
        args.0.insert(param.name.to_owned(), value.unwrap_or_else(|| panic!("`{}` is not valid", param.name)));
    }
    for (key, _) in given {
        assert!(args.get(key).is_some(), "nobody knows `{key}`");
    }
    args
}

/// An IKE message under construction.
#[derive(Clone)]
pub struct Msg(pub Message);

impl Msg {
    /// IKEv2, request of the original initiator.
    pub fn v2(exchange: u8, message_id: u32) -> Msg {
        Msg::new(0x20, exchange, 0x08, message_id)
    }

    /// IKEv1, in clear.
    pub fn v1(exchange: u8, message_id: u32) -> Msg {
        Msg::new(0x10, exchange, 0, message_id)
    }

    fn new(version: u8, exchange: u8, flags: u8, message_id: u32) -> Msg {
        Msg(Message {
            spi_i: 0x11,
            spi_r: 0x22,
            next_payload: 0,
            version,
            exchange,
            flags,
            message_id,
            length: 200,
            payloads: Vec::new(),
            encryption: Encryption::Clear,
            malformed: None,
        })
    }

    pub fn response(mut self) -> Msg {
        self.0.flags = 0x20;
        self
    }

    pub fn length(mut self, length: u32) -> Msg {
        self.0.length = length;
        self
    }

    pub fn spis(mut self, spi_i: u64, spi_r: u64) -> Msg {
        (self.0.spi_i, self.0.spi_r) = (spi_i, spi_r);
        self
    }

    /// Encrypted, not readable.
    pub fn opaque(mut self) -> Msg {
        self.0.encryption = Encryption::Opaque;
        if self.0.version == 0x10 {
            self.0.flags |= 1;
        }
        self
    }

    /// With a payload, which came out of an encrypted part when `inner`.
    pub fn with(mut self, inner: bool, body: Body) -> Msg {
        if inner {
            self.0.encryption = Encryption::Decrypted;
        }
        self.0.payloads.push(Payload { kind: 0, next: 0, critical: false, length: 8, inner, body });
        self
    }

    pub fn notify(self, inner: bool, kind: u16, data: &[u8]) -> Msg {
        self.with(inner, Body::Notify { protocol: 0, spi: Vec::new(), kind, data: data.to_vec() })
    }

    pub fn delete(self) -> Msg {
        self.with(true, Body::Delete { protocol: 3, spi_size: 4, spis: vec![vec![0, 0, 0, 1]] })
    }
}

pub fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ip(src: &str, dst: &str, protocol: u8, total_len: u32) -> Ip {
    Ip {
        src: addr(src),
        dst: addr(dst),
        protocol,
        total_len,
        header_len: 20,
        ttl: 64,
        tos: 0,
        id: 0,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        reassembled: false,
        checksum_ok: None,
    }
}

fn udp(src: u16, dst: u16, payload: &[u8]) -> Layer {
    Layer::Udp(Udp { src, dst, length: u16::try_from(payload.len() + 8).unwrap(), checksum: 0, payload: payload.into() })
}

fn tcp(src: u16, dst: u16, (flags, seq, ack, payload_len): (u8, u32, u32, u32)) -> Tcp {
    Tcp { src, dst, seq, ack, flags, window: 1000, mss: None, payload_len, header_len: 20, checksum_ok: Some(true) }
}

/// Checks on findings, readable when they fail.
pub trait Check {
    /// Holds for good.
    fn holds(&self) -> &Proof;
    /// Fails for good.
    fn fails(&self) -> &Proof;
    /// Open until this many milliseconds (`None`: no deadline), and how it stands.
    fn open(&self, until: Option<i64>, so_far: bool) -> &Proof;
    /// Cannot be decided.
    fn inconclusive(&self) -> &str;
}

impl Check for Finding {
    #[track_caller]
    fn holds(&self) -> &Proof {
        match self {
            Finding::Holds(proof) => proof,
            other => panic!("does not hold: {other:?}"),
        }
    }

    #[track_caller]
    fn fails(&self) -> &Proof {
        match self {
            Finding::Fails(proof) => proof,
            other => panic!("does not fail: {other:?}"),
        }
    }

    #[track_caller]
    fn open(&self, until: Option<i64>, so_far: bool) -> &Proof {
        match self {
            Finding::Open { until: u, so_far: (s, proof) } if u.map(whole_ms) == until && *s == so_far => proof,
            Finding::Open { until: u, so_far } => panic!("open until {:?}: {so_far:?}", u.map(whole_ms)),
            other => panic!("not open: {other:?}"),
        }
    }

    #[track_caller]
    fn inconclusive(&self) -> &str {
        match self {
            Finding::Inconclusive(why) => why,
            other => panic!("not inconclusive: {other:?}"),
        }
    }
}
