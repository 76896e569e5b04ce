//! How fast is the data path? `cargo bench -p faultlab-gateway --bench esp`: one core, inner packets of 1400 octets, the whole way
//! through SPD and SAD. MB/s count inner octets.

use divan::Bencher;
use divan::counter::BytesCount;
use faultlab_gateway::esp::{DataPath, Limits, PolicyParams, SaParams};
use faultlab_gateway::{Outer, Selector, Time, Verdict};
use ipnet::IpNet;
use wire::crypto::{Cipher, Integrity};

const LEN: usize = 1400;
const SPI: u32 = 0x1001;

const SUITES: [(Cipher, Integrity); 11] = [
    (Cipher::AesGcm(128, 16), Integrity::None),
    (Cipher::AesGcm(256, 16), Integrity::None),
    (Cipher::ChaCha20Poly1305, Integrity::None),
    (Cipher::AesCbc(128), Integrity::HmacSha1_96),
    (Cipher::AesCbc(128), Integrity::HmacSha2_256_128),
    (Cipher::AesCbc(256), Integrity::HmacSha2_512_256),
    (Cipher::AesCtr(128), Integrity::HmacSha2_256_128),
    (Cipher::AesCbc(128), Integrity::HmacMd5_96),
    (Cipher::TripleDes, Integrity::HmacSha1_96),
    (Cipher::Null, Integrity::HmacSha1_96),
    (Cipher::Null, Integrity::None), // everything but cryptography
];

fn main() {
    divan::main();
}

fn net(text: &str) -> Selector {
    text.parse::<IpNet>().map(Selector::from).expect("a prefix")
}

fn sa((cipher, integrity): (Cipher, Integrity), policy: u32) -> SaParams {
    SaParams {
        spi: SPI,
        policy,
        cipher,
        key: (1..=cipher.key_len() as u8).collect(),
        integrity,
        integrity_key: vec![7; integrity.key_len()],
        esn: false,
        local: [10, 9, 0, 1].into(),
        remote: [10, 9, 0, 2].into(),
        ports: Some((4500, 4500)),
        local_ts: vec![net("10.1.0.0/16")],
        remote_ts: vec![net("10.2.0.0/16")],
        replay_window: 0, // the same packet again and again
        df: peer::DfBit::Copy,
        limits: Limits::default(),
        icv_len: None,
        reset_sequence_after: None,
    }
}

/// A gateway with this SA and many policies beside it.
fn path(sa: SaParams, outbound: bool) -> DataPath {
    let mut path = DataPath::new(&[]);
    for n in 0..200u8 {
        let other =
            PolicyParams { local_ts: sa.local_ts.clone(), remote_ts: vec![net(&format!("10.3.{n}.0/24"))], ..PolicyParams::default() };
        path.set_policy(1000 + u32::from(n), other);
    }
    path.set_policy(sa.policy, PolicyParams { local_ts: sa.local_ts.clone(), remote_ts: sa.remote_ts.clone(), ..PolicyParams::default() });
    path.install(Time::ZERO, sa, outbound).expect("keys that fit");
    path
}

/// UDP from 10.1.0.7 to 10.2.0.7.
fn inner(port: u16) -> Vec<u8> {
    let mut packet = vec![0; LEN];
    packet[..20].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 1, 0, 7, 10, 2, 0, 7]);
    packet[2..4].copy_from_slice(&(LEN as u16).to_be_bytes());
    packet[20..22].copy_from_slice(&port.to_be_bytes());
    packet
}

#[divan::bench(args = SUITES, sample_size = 50)]
fn outbound(bencher: Bencher, suite: &(Cipher, Integrity)) {
    let (mut path, packet, mut out) = (path(sa(*suite, 1), true), inner(1), Vec::with_capacity(2048));
    bencher.counter(BytesCount::new(LEN)).bench_local(|| {
        let verdict = path.outbound(Time::ZERO, divan::black_box(&packet), &mut out);
        assert!(matches!(verdict, Verdict::Send(_)));
    });
}

#[divan::bench(args = SUITES, sample_size = 50)]
fn inbound(bencher: Bencher, suite: &(Cipher, Integrity)) {
    let mut sealed = Vec::new();
    path(sa(*suite, 1), true).outbound(Time::ZERO, &inner(1), &mut sealed);
    let it = sa(*suite, 1);
    let mirrored = SaParams { local_ts: it.remote_ts.clone(), remote_ts: it.local_ts.clone(), local: it.remote, remote: it.local, ..it };
    let (mut path, mut out, mut packet) = (path(mirrored, false), Vec::with_capacity(2048), sealed.clone());
    let outer = Outer { from: [10, 9, 0, 1].into(), to: [10, 9, 0, 2].into(), ports: Some((4500, 4500)), tos: 0, df: false };
    bencher.counter(BytesCount::new(LEN)).bench_local(|| {
        packet.copy_from_slice(&sealed);
        let verdict = path.inbound(Time::ZERO, outer, divan::black_box(&mut packet), &mut out);
        assert!(matches!(verdict, Verdict::Deliver));
    });
}

/// Every packet is another flow: the cache is of no use, all of the SPD is searched.
#[divan::bench(sample_size = 50)]
fn outbound_search_of_201_policies(bencher: Bencher) {
    let (mut path, mut out) = (path(sa((Cipher::AesGcm(128, 16), Integrity::None), 1), true), Vec::with_capacity(2048));
    let (mut packet, mut port) = (inner(0), 0u16);
    bencher.counter(BytesCount::new(LEN)).bench_local(|| {
        port = port.wrapping_add(1);
        packet[20..22].copy_from_slice(&port.to_be_bytes());
        let verdict = path.outbound(Time::ZERO, divan::black_box(&packet), &mut out);
        assert!(matches!(verdict, Verdict::Send(_)));
    });
}
