//! tshark as the oracle: with the key files written here it must see inside the same packets as the dissector.

use std::process::Command;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, KeyInit};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, Mac};
use peer::{Cipher, EspKeys, Hash, Ikev1Keys, Ikev2Keys, Integrity, Keys};
use wire::ike::Encryption;

use super::tests::{ipv4, udp};
use super::*;
use crate::filter::{Analysis, Filter};
use crate::time::Timestamp;

const KEY: [u8; 16] = [0x11; 16];
const MAC_KEY: [u8; 32] = [0x22; 32];
const GCM_KEY: [u8; 20] = [0x33; 20];
const COOKIES: (u64, u64) = (0x0101_0101_0101_0101, 0x0202_0202_0202_0202);

fn payload(next: u8, body: &[u8]) -> Vec<u8> {
    [&[next, 0], &(body.len() as u16 + 4).to_be_bytes()[..], body].concat()
}

fn message(spis: (u64, u64), first: u8, version: u8, exchange: u8, flags: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let mut m = [spis.0.to_be_bytes(), spis.1.to_be_bytes()].concat();
    m.extend([first, version, exchange, flags]);
    m.extend(id.to_be_bytes());
    m.extend((28 + body.len() as u32).to_be_bytes());
    m.extend(body);
    m
}

fn cbc_encrypt(iv: &[u8], data: &mut [u8]) {
    let len = data.len();
    cbc::Encryptor::<aes::Aes128>::new_from_slices(&KEY, &iv[..16]).unwrap().encrypt_padded::<NoPadding>(data, len).unwrap();
}

fn mac(data: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&MAC_KEY).unwrap();
    mac.update(data);
    mac.finalize().into_bytes()[..16].to_vec()
}

/// Encrypts `text`, which `head` precedes: IV, ciphertext and ICV, with AES-GCM-16 or with AES-CBC and HMAC-SHA2-256-128.
fn seal(gcm: bool, head: &[u8], mut text: Vec<u8>) -> Vec<u8> {
    if gcm {
        let nonce = [&GCM_KEY[16..], &[0x55; 8]].concat();
        let cipher = Aes128Gcm::new_from_slice(&GCM_KEY[..16]).unwrap();
        let icv = cipher.encrypt_inout_detached(nonce[..].try_into().unwrap(), head, text.as_mut_slice().into()).unwrap();
        return [&[0x55; 8][..], &text, &icv].concat();
    }
    let iv = [0x44; 16];
    cbc_encrypt(&iv, &mut text);
    let body = [&iv[..], &text].concat();
    let icv = mac(&[head, &body].concat());
    [body, icv].concat()
}

/// An IKE_AUTH response that only says AUTHENTICATION_FAILED.
fn refusal(gcm: bool, spis: (u64, u64)) -> Vec<u8> {
    let mut inner = payload(0, &[0, 0, 0, 24]);
    let pad = if gcm { 0 } else { 15 - inner.len() % 16 };
    inner.extend(vec![0; pad]);
    inner.push(pad as u8);
    let len = if gcm { 8 + inner.len() + 16 } else { 16 + inner.len() + 16 };
    let head = message(spis, 46, 0x20, 35, 0x20, 1, &payload(41, &vec![0; len]));
    let head = &head[..32];
    [head, &seal(gcm, head, inner)].concat()
}

fn esp(gcm: bool, spi: u32) -> Vec<u8> {
    let mut inner = ipv4(17, 5, 0, &udp(1000, 2000, b"inner"));
    let block = if gcm { 4 } else { 16 };
    let pad = (block - (inner.len() + 2) % block) % block;
    inner.extend((1..=pad as u8).collect::<Vec<_>>());
    inner.extend([pad as u8, 4]);
    let head = [spi.to_be_bytes(), 1u32.to_be_bytes()].concat();
    let sealed = seal(gcm, &head, inner);
    [head, sealed].concat()
}

/// Main mode, quick mode and an informational exchange with NO-PROPOSAL-CHOSEN.
fn ikev1() -> Vec<Vec<u8>> {
    let v1 = |first, exchange, flags, id, body: &[u8]| message(COOKIES, first, 0x10, exchange, flags, id, body);
    let attributes = [0x80, 1, 0, 7, 0x80, 14, 0, 128, 0x80, 2, 0, 2, 0x80, 3, 0, 1, 0x80, 4, 0, 14];
    let transform = [&[0, 0, 0, 28, 1, 1, 0, 0][..], &attributes].concat();
    let proposal = [&[0, 0, 0, 36, 1, 1, 0, 1][..], &transform].concat();
    let sa = payload(0, &[&[0, 0, 0, 1, 0, 0, 0, 1][..], &proposal].concat());
    let (ke_i, ke_r) = ([1; 256], [2; 256]);
    let ke = |ke: &[u8]| [payload(10, ke), payload(0, &[7; 32])].concat();
    let mut iv = Hash::Sha1.digest(&[ke_i, ke_r].concat());
    let encrypted = |iv: &mut Vec<u8>, first, exchange, id, inner: &[u8]| {
        let mut data = inner.to_vec();
        data.resize(data.len().next_multiple_of(16), 0);
        cbc_encrypt(iv, &mut data);
        *iv = data[data.len() - 16..].to_vec();
        v1(first, exchange, 1, id, &data)
    };
    let id = payload(8, &[1, 0, 0, 0, 192, 0, 2, 1]);
    let mm5 = encrypted(&mut iv, 5, 2, 0, &[id, payload(0, &[3; 20])].concat());
    let id = payload(8, &[1, 0, 0, 0, 198, 51, 100, 7]);
    let mm6 = encrypted(&mut iv, 5, 2, 0, &[id, payload(0, &[3; 20])].concat());
    let first = |id: u32, kind, inner: &[u8]| {
        let mut iv = Hash::Sha1.digest(&[&iv[..], &id.to_be_bytes()].concat());
        encrypted(&mut iv, 8, kind, id, inner)
    };
    let quick = first(7, 32, &[payload(10, &[4; 20]), payload(0, &[5; 16])].concat());
    let informational = first(99, 5, &[payload(11, &[4; 20]), payload(0, &[0, 0, 0, 1, 1, 0, 0, 14])].concat());
    let mut mm1 = v1(1, 2, 0, 0, &sa);
    mm1[8..16].fill(0);
    vec![mm1, v1(1, 2, 0, 0, &sa), v1(4, 2, 0, 0, &ke(&ke_i)), v1(4, 2, 0, 0, &ke(&ke_r)), mm5, mm6, quick, informational]
}

fn keys() -> Keys {
    let v2 = |n, encryption, integrity, key: &[u8], mac: &[u8]| Ikev2Keys {
        spi_i: n,
        spi_r: n + 1,
        encryption,
        integrity,
        sk_ei: key.to_vec(),
        sk_er: key.to_vec(),
        sk_ai: mac.to_vec(),
        sk_ar: mac.to_vec(),
    };
    let esp = |spi, encryption, integrity, key: &[u8], mac: &[u8]| EspKeys {
        src: None,
        dst: None,
        spi,
        encryption,
        key: key.to_vec(),
        integrity,
        integrity_key: mac.to_vec(),
    };
    let (cbc, gcm, hmac) = (Cipher::AesCbc(128), Cipher::AesGcm(128, 16), Integrity::HmacSha2_256_128);
    Keys {
        ikev2: vec![v2(10, cbc, hmac, &KEY, &MAC_KEY), v2(20, gcm, Integrity::None, &GCM_KEY, &[])],
        ikev1: vec![Ikev1Keys { cookie_i: COOKIES.0, cookie_r: COOKIES.1, encryption: cbc, hash: Hash::Sha1, key: KEY.to_vec() }],
        esp: vec![
            esp(0x111, cbc, hmac, &KEY, &MAC_KEY),
            esp(0x222, gcm, Integrity::None, &GCM_KEY, &[]),
            esp(0x333, Cipher::ChaCha20Poly1305, Integrity::None, &[1; 36], &[]),
        ],
    }
}

/// Raw IP packets; every second one goes back.
fn packets() -> Vec<Vec<u8>> {
    let ike = ikev1().into_iter().chain([refusal(false, (10, 11)), refusal(true, (20, 21))]);
    let ike = ike.enumerate().map(|(n, m)| {
        let mut packet = ipv4(17, n as u16, 0, &udp(500, 500, &m));
        if n % 2 == 1 {
            let (src, dst) = ([192, 0, 2, 1], [198, 51, 100, 7]);
            packet[12..16].copy_from_slice(&dst);
            packet[16..20].copy_from_slice(&src);
        }
        packet
    });
    let esp = [ipv4(50, 90, 0, &esp(false, 0x111)), ipv4(17, 91, 0, &udp(4500, 4500, &esp(true, 0x222)))];
    ike.chain(esp).collect()
}

/// What was found inside: payload types, notify types and the inner destination port.
fn found(record: &Record) -> (Vec<u16>, Option<u16>) {
    let notifies = record.ike().map(|i| i.message.notifies().map(|(kind, _)| kind).collect()).unwrap_or_default();
    let port = record.esp_inner.iter().find_map(|l| if let Layer::Udp(u) = l { Some(u.dst) } else { None });
    (notifies, port)
}

fn captured(dissector: &mut Dissector, packets: Vec<Vec<u8>>) -> Capture {
    let records = packets.into_iter().zip(1..).map(|(packet, number)| {
        dissector.dissect(Frame {
            number,
            tap: 0,
            time: Timestamp(number.into()),
            orig_len: packet.len() as u32,
            direction: Direction::Unknown,
            link_type: 101,
            data: packet[..].into(),
        })
    });
    Capture { taps: vec!["wan".to_owned()], records: records.collect() }
}

/// As after IKE_INTERMEDIATE (RFC 9370 §2.2.2), an SA has several sets.
fn several() -> Keys {
    let other = |k: &Ikev2Keys| {
        let mut other = k.clone();
        [&mut other.sk_ei, &mut other.sk_er, &mut other.sk_ai, &mut other.sk_ar].into_iter().flatten().for_each(|octet| *octet ^= 0x55);
        other
    };
    let mut several = keys();
    several.ikev2 = several.ikev2.iter().flat_map(|k| [other(k), k.clone(), other(k)]).collect();
    several
}

#[test]
fn of_several_sets_of_keys_integrity_shows_which() {
    let mut dissector = Dissector::new();
    let mut capture = captured(&mut dissector, packets());
    dissector.set_keys(&several());
    dissector.redissect(&mut capture);
    let opened = capture.records[8..10].iter().map(|r| r.ike().unwrap().message.encryption);
    assert_eq!(opened.collect::<Vec<_>>(), [Encryption::Decrypted; 2]);
}

/// The right set of keys shows what is inside a message that was altered; it is kept apart from what was said.
#[test]
fn what_fails_its_integrity_check_is_shown_and_marked() {
    let mut altered = packets();
    altered[8..10].iter_mut().for_each(|packet| *packet.last_mut().unwrap() ^= 1);
    for keys in [keys(), several()] {
        let mut dissector = Dissector::new();
        dissector.set_keys(&keys);
        let capture = captured(&mut dissector, altered.clone());
        let filter = Filter::parse("isakmp.notify.msgtype == 24 && isakmp.enc.decrypted").unwrap();
        for record in &capture.records[8..10] {
            let ike = record.ike().unwrap();
            assert_eq!((ike.message.encryption, ike.message.notifies().count()), (Encryption::Failed, 0));
            assert!(filter.matches(record, &Analysis::of(&capture)), "{}", summary(record));
            assert!(summary(record).ends_with("(integrity check failed: N(AUTHENTICATION_FAILED))"), "{}", summary(record));
        }
    }
}

#[test]
fn keys_that_come_late_open_what_was_captured_before() {
    let mut dissector = Dissector::new();
    let mut capture = captured(&mut dissector, packets());
    assert!(capture.records[4..10].iter().all(|r| r.ike().unwrap().message.encryption == Encryption::Opaque));
    dissector.set_keys(&keys());
    assert_eq!(dissector.redissect(&mut capture), 8);
    assert_eq!(dissector.redissect(&mut capture), 0);
    for record in &capture.records[4..10] {
        assert_eq!(record.ike().unwrap().message.encryption, Encryption::Decrypted, "{}", summary(record));
        assert_eq!(record.ike().unwrap().message.malformed, None);
    }
    let all: Vec<_> = capture.records[7..].iter().map(found).collect();
    assert_eq!(all, [(vec![14], None), (vec![24], None), (vec![24], None), (vec![], Some(2000)), (vec![], Some(2000))]);
    assert!(capture.records[10..].iter().all(|r| r.esp().unwrap().icv_ok == Some(true)));
    let line = summary(&capture.records[11]);
    assert!(line.ends_with("in UDP {192.0.2.1→198.51.100.7 UDP 1000→2000 len=5}"), "{line}");
}

/// Runs tshark with our key files over `packets`; its standard output and error. `None`: not installed.
fn tshark(keys: &Keys, packets: &[Vec<u8>]) -> Option<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in keyfiles::files(keys) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut pcap = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for packet in packets {
        let len = (packet.len() as u32).to_le_bytes();
        pcap.extend([[0; 4], [0; 4], len, len].concat());
        pcap.extend(packet);
    }
    let file = folder.path().join("capture.pcap");
    std::fs::write(&file, pcap).unwrap();
    let mut tshark = Command::new("tshark");
    tshark.env("WIRESHARK_CONFIG_DIR", folder.path()).arg("-r").arg(&file).args(["-T", "fields", "-E", "separator=;"]);
    tshark.args(["-e", "isakmp.typepayload", "-e", "isakmp.notify.msgtype", "-e", "udp.dstport"]);
    let Ok(output) = tshark.output() else {
        eprintln!("skipped: tshark is not installed");
        return None;
    };
    Some((String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
fn tshark_decrypts_with_our_key_files() {
    let Some((text, errors)) = tshark(&keys(), &packets()) else { return };
    let lines: Vec<&str> = text.lines().collect();
    let expected = ["5,8;;500", "5,8;;500", "8,10;;500", "8,11;14;500", "46,41;24;500", "46,41;24;500", ";;2000", ";;4500,2000"];
    assert_eq!(lines[4..], expected, "{errors}");
}

#[test]
fn tshark_accepts_the_name_of_every_algorithm() {
    let lengths = || [None].into_iter().chain([64, 128, 192, 256].map(Some));
    let ciphers = (0..64).flat_map(|id| lengths().filter_map(move |bits| Cipher::from_transform(id, bits)));
    let integrities: Vec<Integrity> = (0..=u16::MAX).filter_map(Integrity::from_transform).collect();
    let mut all = Keys::default();
    for (n, cipher) in ciphers.enumerate() {
        for integrity in integrities.iter().copied().filter(|i| !cipher.is_aead() || *i == Integrity::None) {
            let (key, mac) = (vec![1; cipher.key_len()], vec![2; integrity.key_len()]);
            let spi = 0x1000 + n as u32 * 16 + all.esp.len() as u32;
            all.esp.push(EspKeys {
                src: None,
                dst: None,
                spi,
                encryption: cipher,
                key: key.clone(),
                integrity,
                integrity_key: mac.clone(),
            });
            if integrity != Integrity::None || cipher.is_aead() {
                let spis = (u64::from(spi), u64::from(spi));
                all.ikev2.push(Ikev2Keys {
                    spi_i: spis.0,
                    spi_r: spis.1,
                    encryption: cipher,
                    integrity,
                    sk_ei: key.clone(),
                    sk_er: key,
                    sk_ai: mac.clone(),
                    sk_ar: mac,
                });
            }
        }
    }
    let Some((_, errors)) = tshark(&all, &packets()) else { return };
    assert!(!errors.contains("Error loading table"), "{errors}");
}
