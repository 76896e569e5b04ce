//! Whole ESP packets from RFCs.

use super::*;
use crate::esp::params::{Limits, SaParams};

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn params(cipher: Cipher, key: &str, esn: bool) -> SaParams {
    SaParams {
        spi: 0,
        policy: 1,
        cipher,
        key: hex(key),
        integrity: Integrity::None,
        integrity_key: Vec::new(),
        esn,
        local: [10, 0, 0, 1].into(),
        remote: [10, 0, 0, 2].into(),
        ports: None,
        local_ts: Vec::new(),
        remote_ts: Vec::new(),
        replay_window: 0,
        df: peer::DfBit::Copy,
        limits: Limits::default(),
        icv_len: None,
        reset_sequence_after: None,
    }
}

/// Opens the packet, then seals what was in it with the same IV: the same packet must come out.
fn both_ways(sa: &SaParams, high: u32, packet: &str, payload: &str, next_header: u8) {
    let transform = Transform::new(sa).unwrap();
    let packet = hex(packet);
    let header = wire::esp::parse(&packet).unwrap();
    let head = Head::new(header.spi, u64::from(high) << 32 | u64::from(header.seq), sa.esn);
    let mut opened = packet.clone();
    let text = transform.open(head, &mut opened).unwrap().to_vec();
    assert_eq!(without_trailer(&text), Some((&hex(payload)[..], next_header)));

    let mut sealed = Vec::new();
    transform.seal(head, 7, &hex(payload), next_header, &mut sealed);
    assert_eq!((sealed.len(), &sealed[..8]), (packet.len(), &packet[..8]));
    let Shape { iv, icv, .. } = transform.shape();
    let (mut text, mut sign) = (text, vec![0; icv]);
    transform.keyed.seal(&head, &packet[8..8 + iv], &mut text, &mut sign);
    assert_eq!([&packet[..8 + iv], &text, &sign].concat(), packet);
    let altered = |at: usize| {
        let mut packet = packet.clone();
        packet[at] ^= 1;
        transform.open(head, &mut packet).err()
    };
    if icv > 0 {
        assert_eq!((altered(8), altered(8 + iv), altered(packet.len() - 1)), (Some(Refused::Icv), Some(Refused::Icv), Some(Refused::Icv)));
    }
}

#[test]
fn rfc_3602_cases_7_and_8() {
    let sa = params(Cipher::AesCbc(128), "0123456789abcdef0123456789abcdef", false);
    both_ways(
        &sa,
        0,
        "0000876500000002f4e765244f6407adf13dc1380f673f37773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8
         e4ecaec78ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5
         a100b842f1c22f0d",
        "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a2040008090a0b0c0d0e0f101112131415161718191a1b
         1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
        4,
    );
    both_ways(
        &sa,
        0,
        "000087650000000585d47224b5f3dd5d2101d4ea8dffab2215b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb5
         0f980a08c9843fd3a1b06d5c07ff9639b7eb7dfb3512e5de435e7207ed971ef3d2726d9b5ef6affc6d17a0decbb13892",
        "45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083da3de0300ffffffffffffffffffffffffffffffffffffffff
         ffffffffffffffffffffffff",
        4,
    );
}

/// From draft-mcgrew-gcm-test-01: test cases for AES-GCM in ESP.
#[test]
fn gcm_with_short_and_extended_sequence_numbers() {
    both_ways(
        &params(Cipher::AesGcm(256, 16), "abbccddef00112233445566778899aababbccddef00112233445566778899aab11223344", false),
        0,
        "4a2cbfe3000000020102030405060708ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d34
         7f0545659f14e99def842d8eb335f4eecfdbf831824b4c4915956c96",
        "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000020405b401010402",
        1,
    );
    both_ways(
        &params(Cipher::AesGcm(128, 16), "4c80cdefbb5d10da906ac73c3613a6342e443b68", true),
        0x8765_4321,
        "00004321000000004956ed7e3b244cfefecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf
         65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732459018148f6cbe722fd04796562dfdb4",
        "45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f736970045f756470037369700963796265
         726369747902646b0000210001",
        1,
    );
}

#[test]
fn rfc_7634_appendix_a() {
    both_ways(
        &params(Cipher::ChaCha20Poly1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3", false),
        0,
        "0102030400000005101112131415161724039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb
         61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7
         b11b369907e1ad43",
        "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f101112131415161718191a1b
         1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
        4,
    );
}

#[test]
fn the_slow_way_gives_the_same_packets() {
    let suites = [
        (Cipher::AesGcm(192, 12), Integrity::None),
        (Cipher::ChaCha20Poly1305, Integrity::None),
        (Cipher::AesCtr(256), Integrity::HmacSha2_256_128),
        (Cipher::AesCbc(192), Integrity::HmacSha1_96),
        (Cipher::TripleDes, Integrity::HmacMd5_96),
        (Cipher::Null, Integrity::HmacSha2_512_256),
    ];
    for ((cipher, integrity), esn) in suites.into_iter().flat_map(|suite| [(suite, false), (suite, true)]) {
        let key: Vec<u8> = (1..=cipher.key_len() as u8).collect();
        let sa = SaParams { key, integrity, integrity_key: vec![9; integrity.key_len()], ..params(cipher, "", esn) };
        let fast = Transform::new(&sa).unwrap();
        let slow = Transform { keyed: Box::new(Generic::new(&sa).unwrap()), ..Transform::new(&sa).unwrap() };
        let head = Head::new(0x1234_5678, 5 << 32 | 9, esn);
        let (mut one, mut two) = (Vec::new(), Vec::new());
        fast.seal(head, 3, b"what is inside", 4, &mut one);
        slow.seal(head, 3, b"what is inside", 4, &mut two);
        assert_eq!(one, two, "{cipher:?}");
        assert_eq!(without_trailer(slow.open(head, &mut one).unwrap()), Some((&b"what is inside"[..], 4)), "{cipher:?}");
        two[20] ^= 1;
        assert_eq!(slow.open(head, &mut two).err(), Some(Refused::Icv), "{cipher:?}");
    }
}

#[test]
fn an_icv_of_another_length() {
    let suites = [
        (Cipher::AesGcm(128, 16), Integrity::None),
        (Cipher::ChaCha20Poly1305, Integrity::None),
        (Cipher::AesCcm(128, 16), Integrity::None),
        (Cipher::NullAesGmac(128), Integrity::None),
        (Cipher::AesCbc(128), Integrity::HmacSha2_256_128),
        (Cipher::AesCbc(128), Integrity::AesCmac96),
    ];
    for ((cipher, integrity), icv_len) in suites.into_iter().flat_map(|suite| [0, 4, 12, 15, 20, 40, 255].map(|len| (suite, len))) {
        let sa = SaParams {
            key: vec![5; cipher.key_len()],
            integrity,
            integrity_key: vec![9; integrity.key_len()],
            icv_len: Some(icv_len),
            ..params(cipher, "", false)
        };
        let transform = Transform::new(&sa).unwrap();
        assert_eq!(transform.shape().icv, usize::from(icv_len).min(64));
        let (head, mut packet) = (Head::new(300, 1, false), Vec::new());
        transform.seal(head, 1, b"what is inside", 4, &mut packet);
        assert_eq!(packet.len(), transform.shape().esp_len(14));
        let mut altered = packet.clone();
        assert_eq!(without_trailer(transform.open(head, &mut packet).unwrap()), Some((&b"what is inside"[..], 4)), "{cipher:?} {icv_len}");
        altered[10] ^= 1;
        assert_eq!(transform.open(head, &mut altered).is_err(), icv_len > 0, "{cipher:?} {icv_len}");
    }
}

#[test]
fn keys_that_do_not_fit() {
    for (cipher, key, integrity, integrity_key) in [
        (Cipher::AesCbc(128), 15, Integrity::None, 0),
        (Cipher::AesGcm(128, 16), 16, Integrity::None, 0),
        (Cipher::AesCbc(64), 8, Integrity::None, 0),
        (Cipher::AesGcm(128, 9), 20, Integrity::None, 0),
        (Cipher::Null, 0, Integrity::HmacSha1_96, 16),
    ] {
        let sa = SaParams { key: vec![0; key], integrity, integrity_key: vec![0; integrity_key], ..params(cipher, "", false) };
        assert!(matches!(Transform::new(&sa), Err(InstallError::Key { .. })), "{cipher:?}");
    }
}
