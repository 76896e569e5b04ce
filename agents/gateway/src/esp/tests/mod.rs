//! The whole data path: two of them, back to back.

mod hostile;
mod limits;
mod open;
mod pair;
mod policies;
mod sizes;

use std::time::Duration;

use etherparse::PacketBuilder;
use ipnet::IpNet;
use peer::DfBit;
use wire::crypto::{Cipher, Integrity};

use super::*;
use crate::gateway::{Outer, Verdict};

/// Every algorithm at least once; those of the second half have no keyed state and go the slow way.
const CIPHERS: [(Cipher, Integrity); 29] = [
    (Cipher::AesGcm(128, 8), Integrity::None),
    (Cipher::AesGcm(192, 12), Integrity::None),
    (Cipher::AesGcm(256, 16), Integrity::None),
    (Cipher::ChaCha20Poly1305, Integrity::None),
    (Cipher::AesCbc(128), Integrity::HmacSha2_256_128),
    (Cipher::AesCbc(192), Integrity::HmacSha2_384_192),
    (Cipher::AesCbc(256), Integrity::HmacSha2_512_256),
    (Cipher::AesCtr(128), Integrity::HmacSha1_96),
    (Cipher::AesCtr(192), Integrity::HmacMd5_96),
    (Cipher::AesCtr(256), Integrity::HmacSha2_256_128),
    (Cipher::TripleDes, Integrity::HmacMd5_96),
    (Cipher::Des, Integrity::HmacSha1_96),
    (Cipher::Null, Integrity::HmacSha1_96),
    (Cipher::AesCbc(128), Integrity::None),
    (Cipher::AesCbc(128), Integrity::HmacMd5_128),
    (Cipher::AesCbc(128), Integrity::HmacSha1_160),
    (Cipher::AesCbc(128), Integrity::HmacSha2_256_96),
    (Cipher::AesCbc(128), Integrity::AesXcbc96),
    (Cipher::TripleDes, Integrity::AesCmac96),
    (Cipher::AesCcm(128, 8), Integrity::None),
    (Cipher::AesCcm(192, 12), Integrity::None),
    (Cipher::AesCcm(256, 16), Integrity::None),
    (Cipher::NullAesGmac(128), Integrity::None),
    (Cipher::NullAesGmac(256), Integrity::None),
    (Cipher::CamelliaCbc(256), Integrity::HmacSha2_256_128),
    (Cipher::CamelliaCtr(128), Integrity::HmacSha1_96),
    (Cipher::CamelliaCcm(192, 16), Integrity::None),
    (Cipher::BlowfishCbc(128), Integrity::HmacSha1_96),
    (Cipher::CastCbc(128), Integrity::HmacMd5_96),
];

const WEST: [u8; 4] = [10, 9, 0, 1];
const EAST: [u8; 4] = [10, 9, 0, 2];
/// West's SPI for what it sends, and east's.
const TO_EAST: u32 = 0x1001;
const TO_WEST: u32 = 0x2001;

fn at(ms: u64) -> Time {
    Time(Duration::from_millis(ms))
}

fn net(text: &str) -> Selector {
    text.parse::<IpNet>().unwrap().into()
}

/// West's outbound SA.
fn sa(cipher: Cipher, integrity: Integrity) -> SaParams {
    SaParams {
        spi: TO_EAST,
        policy: 1,
        cipher,
        key: (1..=cipher.key_len() as u8).collect(),
        integrity,
        integrity_key: (100..100 + integrity.key_len() as u8).collect(),
        esn: false,
        local: WEST.into(),
        remote: EAST.into(),
        ports: None,
        local_ts: vec![net("10.1.0.0/16"), net("fd01::/48")],
        remote_ts: vec![net("10.2.0.0/16"), net("fd02::/48")],
        replay_window: 64,
        df: DfBit::Copy,
        limits: Limits::default(),
        icv_len: None,
        reset_sequence_after: None,
    }
}

fn gcm() -> SaParams {
    sa(Cipher::AesGcm(128, 16), Integrity::None)
}

/// The same SA as the other side sees it.
fn mirrored(sa: &SaParams) -> SaParams {
    let ports = sa.ports.map(|(own, peers)| (peers, own));
    let sa = sa.clone();
    SaParams { local: sa.remote, remote: sa.local, ports, local_ts: sa.remote_ts, remote_ts: sa.local_ts, ..sa }
}

fn policy(sa: &SaParams) -> PolicyParams {
    PolicyParams {
        name: "west-east".to_owned(),
        local_ts: sa.local_ts.clone(),
        remote_ts: sa.remote_ts.clone(),
        trap: true,
        yields_until: None,
    }
}

/// West and east, with both SAs.
fn pair(to_east: &SaParams) -> (DataPath, DataPath) {
    let to_west = SaParams { spi: TO_WEST, key: to_east.key.iter().map(|k| k ^ 0x55).collect(), ..to_east.clone() };
    let side = |inside: [&str; 2], out: &SaParams, into: &SaParams| {
        let mut path = DataPath::new(&inside.map(|a| a.parse().unwrap()));
        path.set_policy(1, policy(out));
        path.install(at(0), out.clone(), true).unwrap();
        path.install(at(0), into.clone(), false).unwrap();
        path
    };
    let west = side(["10.1.0.1", "fd01::1"], to_east, &to_west);
    (west, side(["10.2.0.1", "fd02::1"], &mirrored(&to_west), &mirrored(to_east)))
}

/// A UDP packet of `len` octets from west's inside to east's.
fn udp_v4(len: usize, df: bool) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([10, 1, 0, 7], [10, 2, 0, 7], 64).udp(4000, 80).write(&mut packet, &vec![0xab; len - 28]).unwrap();
    packet[6] = if df { 0x40 } else { 0 };
    let sum = etherparse::Ipv4Header::from_slice(&packet).unwrap().0.calc_header_checksum();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn udp_v6(len: usize) -> Vec<u8> {
    let (mut src, mut dst) = ([0; 16], [0; 16]);
    (src[0], src[1], src[15], dst[0], dst[1], dst[15]) = (0xfd, 1, 7, 0xfd, 2, 7);
    let mut packet = Vec::new();
    PacketBuilder::ipv6(src, dst, 64).udp(4000, 80).write(&mut packet, &vec![0xab; len - 48]).unwrap();
    packet
}

fn send(path: &mut DataPath, ms: u64, packet: &[u8]) -> Option<(Outer, Vec<u8>)> {
    let mut out = Vec::new();
    match path.outbound(at(ms), packet, &mut out) {
        Verdict::Send(outer) => Some((outer, out)),
        _ => None,
    }
}

fn receive(path: &mut DataPath, ms: u64, outer: Outer, packet: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut packet = packet.to_vec();
    (path.inbound(at(ms), outer, &mut packet, &mut out) == Verdict::Deliver).then_some(out)
}

fn events(path: &mut DataPath) -> Vec<PathEvent> {
    std::iter::from_fn(|| path.poll_event()).collect()
}

/// Everything but packets that passed.
fn faults(path: &DataPath) -> Vec<(&'static str, u64)> {
    path.counters().iter().filter(|(name, n)| *n > 0 && !["sent", "delivered"].contains(name)).collect()
}
