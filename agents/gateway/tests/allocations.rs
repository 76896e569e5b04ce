//! The data path's promise: no memory is allocated for a packet.

use faultlab_gateway::esp::{DataPath, Limits, PolicyParams, SaParams};
use faultlab_gateway::{Selector, Time, Verdict};
use ipnet::IpNet;
use wire::crypto::{Cipher, Integrity};

fn net(text: &str) -> Selector {
    text.parse::<IpNet>().expect("a prefix").into()
}

fn sa(cipher: Cipher, integrity: Integrity, esn: bool) -> SaParams {
    SaParams {
        spi: 0x1001,
        policy: 1,
        cipher,
        key: (1..=cipher.key_len() as u8).collect(),
        integrity,
        integrity_key: vec![7; integrity.key_len()],
        esn,
        local: [10, 9, 0, 1].into(),
        remote: [10, 9, 0, 2].into(),
        ports: Some((4500, 4500)),
        local_ts: vec![net("10.1.0.0/16")],
        remote_ts: vec![net("10.2.0.0/16")],
        replay_window: 1024,
        df: peer::DfBit::Copy,
        limits: Limits::default(),
        icv_len: None,
        reset_sequence_after: None,
    }
}

fn path(sa: SaParams, outbound: bool) -> DataPath {
    let mut path = DataPath::new(&[[10, 1, 0, 1].into()]);
    path.set_policy(1, PolicyParams { local_ts: sa.local_ts.clone(), remote_ts: sa.remote_ts.clone(), ..PolicyParams::default() });
    path.install(Time::ZERO, sa, outbound).expect("keys that fit");
    path
}

/// UDP from 10.1.0.7 to 10.2.0.7, DF set.
fn packet(len: u16) -> Vec<u8> {
    let mut packet = vec![0; len.into()];
    packet[..20].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 1, 0, 7, 10, 2, 0, 7]);
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet
}

#[test]
fn none_for_a_packet() {
    let suites = [
        (Cipher::AesGcm(128, 8), Integrity::None),
        (Cipher::AesGcm(256, 16), Integrity::None),
        (Cipher::ChaCha20Poly1305, Integrity::None),
        (Cipher::AesCbc(128), Integrity::HmacSha1_96),
        (Cipher::AesCbc(256), Integrity::HmacSha2_512_256),
        (Cipher::AesCtr(128), Integrity::HmacSha2_256_128),
        (Cipher::TripleDes, Integrity::HmacMd5_96),
        (Cipher::Null, Integrity::HmacSha2_384_192),
    ];
    for ((cipher, integrity), esn) in suites.into_iter().flat_map(|suite| [(suite, false), (suite, true)]) {
        let there = sa(cipher, integrity, esn);
        let here = SaParams { local_ts: there.remote_ts.clone(), remote_ts: there.local_ts.clone(), ..there.clone() };
        let (mut west, mut east) = (path(there, true), path(here, false));
        let (mut esp, mut inner) = (Vec::with_capacity(2048), Vec::with_capacity(2048));
        let packets = [packet(28), packet(1400), packet(1500), vec![0x45]];
        let mut fates = [0; 3];
        let mut round = || {
            for packet in &packets {
                match west.outbound(Time::ZERO, packet, &mut esp) {
                    Verdict::Send(outer) => {
                        fates[0] += 1;
                        let again = &mut [0; 2048][..esp.len()];
                        again.copy_from_slice(&esp);
                        assert_eq!(east.inbound(Time::ZERO, outer, &mut esp, &mut inner), Verdict::Deliver);
                        assert_eq!(east.inbound(Time::ZERO, outer, again, &mut inner), Verdict::Nothing);
                    }
                    Verdict::Deliver => fates[1] += 1,
                    Verdict::Nothing => fates[2] += 1,
                }
            }
        };
        let first = allocation_counter::measure(&mut round);
        assert!(first.count_total > 0, "the first flow makes the cache");
        let measured = allocation_counter::measure(|| (0..10).for_each(|_| round()));
        assert_eq!(measured.count_total, 0, "{cipher:?} {integrity:?}");
        assert_eq!(fates, [22, 11, 11], "sent, too big, no packet at all");
    }
}
