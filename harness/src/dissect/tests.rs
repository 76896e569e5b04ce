//! Whole frames: hand-made ones, captures that others made (when present), and any bytes at all.

use std::io::BufReader;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::time::Timestamp;

/// Names the folder of captures made by others; they are not part of the project. A test that needs one is content without.
const FOREIGN: &str = "FAULTLAB_FOREIGN_CAPTURES";

fn frame(number: u32, link_type: u16, data: &[u8]) -> Frame {
    Frame {
        number,
        tap: 0,
        time: Timestamp(i64::from(number) * 1_000_000),
        orig_len: data.len() as u32,
        direction: Direction::Unknown,
        link_type,
        data: data.into(),
    }
}

fn foreign(name: &str) -> Option<Capture> {
    let Some(file) = std::env::var_os(FOREIGN).and_then(|folder| std::fs::File::open(Path::new(&folder).join(name)).ok()) else {
        eprintln!("skipped: {FOREIGN} does not name a folder with {name}");
        return None;
    };
    let mut reader = pcap_file::pcap::PcapReader::new(BufReader::new(file)).unwrap();
    let link_type = u32::from(reader.header().datalink) as u16;
    let mut dissector = Dissector::new();
    let mut capture = Capture { taps: vec!["foreign".to_owned()], records: Vec::new() };
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        let mut frame = frame(capture.records.len() as u32 + 1, link_type, packet.data());
        frame.orig_len = packet.orig_len();
        let record = dissector.dissect(frame);
        println!("{:3} {}", record.frame.number, summary(&record));
        capture.records.push(record);
    }
    Some(capture)
}

/// An IPv4 packet with a right checksum.
pub(super) fn ipv4(protocol: u8, id: u16, flags_and_offset: u16, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x45, 0];
    p.extend((20 + payload.len() as u16).to_be_bytes());
    p.extend(id.to_be_bytes());
    p.extend(flags_and_offset.to_be_bytes());
    p.extend([64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7]);
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&p).ones_complement();
    p[10..12].copy_from_slice(&sum.to_ne_bytes());
    p.extend(payload);
    p
}

pub(super) fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let mut p = Vec::new();
    p.extend(src.to_be_bytes());
    p.extend(dst.to_be_bytes());
    p.extend((8 + payload.len() as u16).to_be_bytes());
    p.extend([0, 0]);
    p.extend(payload);
    p
}

fn raw(packet: &[u8]) -> Record {
    Dissector::new().dissect(frame(1, 101, packet))
}

#[test]
fn esp_in_udp_is_told_from_ike_and_keepalives() {
    let esp = raw(&ipv4(17, 1, 0x4000, &udp(4500, 61000, &[0, 0, 1, 2, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8])));
    let e = esp.esp().unwrap();
    assert_eq!((e.spi, e.seq, e.udp, e.len), (0x102, 9, true, 16));
    assert_eq!(e.tail, [0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(esp.ip().unwrap().checksum_ok, Some(true));
    assert!(esp.ip().unwrap().dont_fragment);
    assert_eq!(summary(&esp), "192.0.2.1→198.51.100.7 UDP 4500→61000 ESP SPI=0x00000102 seq=9 len=16 in UDP");
    assert!(raw(&ipv4(17, 1, 0, &udp(4500, 4500, &[0xff]))).is_keepalive());
    // On UDP/500 it is neither a keepalive nor IKE.
    let data = raw(&ipv4(17, 1, 0, &udp(500, 500, &[0xff])));
    assert!(!data.is_keepalive() && data.ike().is_none() && matches!(data.own().last(), Some(Layer::Data(_))), "{data:?}");
    let ike = raw(&ipv4(17, 1, 0, &udp(4500, 4500, &[0; 40])));
    assert!(ike.ike().unwrap().marker);
    assert!(ike.ike().unwrap().message.malformed.is_some());
}

#[test]
fn padding_of_short_ethernet_frames_belongs_to_nobody() {
    let mut f = vec![2; 12];
    f.extend([0x81, 0, 0, 5, 8, 0]);
    f.extend(ipv4(17, 1, 0, &udp(4500, 4500, &[0xff])));
    f.extend([0; 20]);
    let record = Dissector::new().dissect(frame(1, 1, &f));
    assert_eq!(&*record.udp().unwrap().payload, &[0xff]);
    assert!(record.is_keepalive());
}

#[test]
fn the_last_fragment_to_arrive_carries_the_upper_layers() {
    let datagram = udp(5000, 6000, &[7; 40]);
    let (a, b) = datagram.split_at(24);
    let mut d = Dissector::new();
    let last = d.dissect(frame(1, 101, &ipv4(17, 9, 3, b)));
    assert!(last.udp().is_none() && last.ip().unwrap().fragment_offset == 24);
    let first = d.dissect(frame(2, 101, &ipv4(17, 9, 0x2000, a)));
    assert!(first.ip().unwrap().reassembled);
    assert_eq!(&*first.udp().unwrap().payload, &[7; 40]);
    // Fragments that contradict each other are refused, duplicates are not.
    let waits = d.dissect(frame(3, 101, &ipv4(17, 10, 0x2000, a)));
    assert!(!waits.layers.iter().any(|l| matches!(l, Layer::Malformed { .. })));
    let duplicate = d.dissect(frame(4, 101, &ipv4(17, 10, 0x2000, a)));
    assert_eq!(waits.layers, duplicate.layers);
    let forged = d.dissect(frame(5, 101, &ipv4(17, 10, 0x2001, b)));
    assert!(forged.layers.iter().any(|l| matches!(l, Layer::Malformed { layer: "ip.fragment", .. })), "{forged:?}");
}

/// Each tap on its own, and the same again when keys have come.
#[test]
fn an_http_message_is_on_the_segment_that_completes_it() {
    let segment = |seq: u32, data: &[u8]| {
        let header = [&[0, 80, 0x10, 0][..], &seq.to_be_bytes(), &[0; 4], &[0x50, 0x10, 1, 0, 0, 0, 0, 0]].concat();
        ipv4(6, 1, 0, &[header, data.to_vec()].concat())
    };
    let [line, length, body] = [(1, &b"HTTP/1.1 200 OK\r\n"[..]), (18, b"Content-Length: 5\r\n\r\n"), (39, b"12345")];
    let seen = [(0, line), (0, body), (1, line), (0, length), (1, body), (1, length)];
    let mut dissector = Dissector::new();
    let frames = seen.into_iter().zip(1..).map(|((tap, (seq, data)), n)| Frame { tap, ..frame(n, 101, &segment(seq, data)) });
    let records: Vec<Record> = frames.map(|f| dissector.dissect(f)).collect();
    let status = |records: &[Record]| records.iter().map(|r| r.http().and_then(|h| h.status)).collect::<Vec<_>>();
    assert_eq!(status(&records), [None, None, None, Some(200), None, Some(200)]);
    assert!(records.iter().all(|r| !r.layers.iter().any(|l| matches!(l, Layer::Data(_)))));
    let mut capture = Capture { taps: vec!["a".into(), "b".into()], records };
    assert_eq!(dissector.redissect(&mut capture), 0);
}

#[test]
fn an_icmp_error_is_followed_by_what_it_quotes() {
    let mut inner = ipv4(50, 3, 0x4000, &[0, 0, 0xab, 0xcd, 0, 0, 0, 5]);
    inner[2..4].copy_from_slice(&1500u16.to_be_bytes());
    let mut icmp = vec![3, 4, 0, 0, 0, 0, 5, 0x78];
    icmp.extend(inner);
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&icmp).ones_complement();
    icmp[2..4].copy_from_slice(&sum.to_ne_bytes());
    let record = raw(&ipv4(1, 4, 0, &icmp));
    let message = record.icmp().unwrap();
    assert_eq!((message.mtu, message.checksum_ok), (Some(1400), Some(true)));
    assert!(record.esp().is_none(), "what is quoted is not the packet's own");
    assert!(matches!(record.quoted(), [Layer::Ip(ip), Layer::Esp(esp)] if ip.total_len == 1500 && esp.spi == 0xabcd), "{record:?}");
    let line = summary(&record);
    assert!(line.contains("ICMP 3/4 fragmentation needed mtu=1400 [quoting 192.0.2.1→198.51.100.7 ESP SPI=0x0000abcd"), "{line}");
}

#[test]
fn a_frame_cut_short_by_the_capture_says_so() {
    let packet = ipv4(17, 1, 0, &udp(1, 2, &[0; 400]));
    let mut cut = frame(1, 101, &packet[..60]);
    cut.orig_len = packet.len() as u32;
    let record = Dissector::new().dissect(cut);
    assert_eq!(record.udp().unwrap().length, 408);
    assert!(matches!(record.layers.last(), Some(Layer::Malformed { layer: "frame", .. })));
    // The header lies, the capture is complete.
    assert!(matches!(raw(&packet[..60]).layers.last(), Some(Layer::Malformed { layer: "ip", .. })));
}

#[test]
fn ipv6_extension_headers_lead_to_the_upper_layer() {
    let upper = udp(4500, 4500, &[0xff]);
    let mut p = vec![0x60, 0, 0, 0];
    p.extend((8 + 8 + upper.len() as u16).to_be_bytes());
    p.extend([60, 64]);
    p.extend([0x20; 16]);
    p.extend([0x21; 16]);
    p.extend([44, 0, 1, 4, 0, 0, 0, 0]); // destination options
    p.extend([17, 0, 0, 0, 0, 0, 0, 77]); // an atomic fragment
    p.extend(upper);
    let record = raw(&p);
    assert!(record.is_keepalive(), "{record:?}");
    let ip = record.ip().unwrap();
    assert_eq!((ip.protocol, ip.header_len, ip.id, ip.is_fragment()), (17, 56, 77, false));
}

#[test]
fn a_pointer_loop_in_isakmp_ends() {
    let Some(capture) = foreign("isakmp-pointer-loop.pcap") else { return };
    assert_eq!(capture.records.len(), 1);
}

#[test]
fn foreign_ikev2_is_read() {
    let Some(capture) = foreign("ikev2four.pcap") else { return };
    let exchanges: Vec<_> = capture.records.iter().filter_map(Record::ike).map(|i| (i.message.exchange, i.message.is_response())).collect();
    // The responder asks for a cookie first.
    assert_eq!(exchanges[..6], [(34, false), (34, true), (34, false), (34, true), (35, false), (35, true)]);
    assert!(capture.records.iter().filter_map(Record::ike).all(|i| i.message.malformed.is_none()));
}

#[test]
fn foreign_ikev1_is_read() {
    for name in ["ikev1-main-mode.pcap", "ikev1-certs.pcap", "isakmp4500.pcap", "espudp1.pcap"] {
        let Some(capture) = foreign(name) else { return };
        let known =
            |r: &Record| r.ike().is_some() || r.esp().is_some() || r.is_keepalive() || matches!(r.own().last(), Some(Layer::Arp(_)));
        assert!(capture.records.iter().all(known), "{name}");
        assert!(capture.records.iter().filter_map(Record::ike).all(|i| i.message.malformed.is_none()), "{name}");
    }
}

/// Not a check, a figure: `cargo test --release -p faultlab dissect::tests::figure -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn figure_time_per_plain_frame() {
    let esp = ipv4(17, 1, 0x4000, &udp(4500, 4500, &[9; 1400]));
    let mut segment = vec![0x30, 0x39, 0x13, 0x89, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0];
    segment.extend([1; 1400]);
    let tcp = ipv4(6, 1, 0x4000, &segment);
    for (name, packet) in [("ESP in UDP", esp), ("TCP", tcp)] {
        let mut data = vec![2; 12];
        data.extend([8, 0]);
        data.extend(packet);
        let (mut d, frame) = (Dissector::new(), frame(1, 1, &data));
        let rounds = 2_000_000u32;
        let before = std::time::Instant::now();
        for _ in 0..rounds {
            std::hint::black_box(d.dissect(std::hint::black_box(frame.clone())));
        }
        println!("{name}: {} ns per frame", before.elapsed().as_nanos() / u128::from(rounds));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        link_type in prop_oneof![Just(1u16), Just(101), Just(113), Just(276), Just(0), any::<u16>()],
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8),
    ) {
        let mut d = Dissector::new();
        for (n, f) in frames.iter().enumerate() {
            let _ = summary(&d.dissect(frame(n as u32 + 1, link_type, f)));
        }
    }

    #[test]
    fn any_upper_layer_is_survived(
        protocol in prop_oneof![Just(17u8), Just(6), Just(1), Just(50), Just(51), Just(4), Just(41), any::<u8>()],
        fragment in any::<u16>(),
        port in prop_oneof![Just(53u16), Just(500), Just(4500), Just(80)],
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8),
    ) {
        let mut d = Dissector::new();
        let mut capture = Capture::default();
        for (n, payload) in payloads.iter().enumerate() {
            let plain = ipv4(protocol, 1, fragment, payload);
            let ports = ipv4(17, 1, 0, &udp(port, 40000, payload));
            for packet in [plain, ports] {
                let record = d.dissect(frame(n as u32 + 1, 101, &packet));
                let _ = summary(&record);
                capture.records.push(record);
            }
        }
        d.redissect(&mut capture);
    }
}
