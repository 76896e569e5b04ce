//! Messages and packets that strongSwan has sent: read, opened, written and sealed again, octet for octet.

use std::collections::BTreeSet;

use super::bend::Chain;
use super::emit::{self, Header, Part, Protection, seal, seal_fragments, sealed_len};
use super::fragments::Fragments;
use super::{Body, Encryption, Message, parse};
use crate::crypto::{Cipher, Integrity};
use crate::esp;

const MESSAGES: &str = include_str!("samples/strongswan.txt");
const SUITES: &str = include_str!("samples/suites.txt");

/// The lines that begin with this word, split into the others.
fn lines<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    text.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter(move |words| words[0] == word).map(|words| words[1..].to_vec())
}

fn hex(digits: &str) -> Vec<u8> {
    if digits == "-" {
        return Vec::new();
    }
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

fn suite(encr: &str, key_len: &str, integ: &str) -> (Cipher, Integrity) {
    let cipher = Cipher::from_transform(encr.parse().unwrap(), key_len.parse().ok()).unwrap();
    (cipher, Integrity::from_transform(integ.parse().unwrap()).unwrap())
}

/// One direction of an IKE SA.
struct Keys {
    spis: (u64, u64),
    from_initiator: bool,
    cipher: Cipher,
    integrity: Integrity,
    sk_e: Vec<u8>,
    sk_a: Vec<u8>,
}

impl Keys {
    fn protection(&self) -> Protection<'_> {
        Protection { cipher: self.cipher, integrity: self.integrity, sk_e: &self.sk_e, sk_a: &self.sk_a }
    }
}

fn keys() -> Vec<Keys> {
    let spi = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let sas = lines(MESSAGES, "sa").flat_map(|words| {
        let &[spi_i, spi_r, encr, key_len, integ, ei, er, ai, ar] = &words[..] else { panic!("{words:?}") };
        let (cipher, integrity) = suite(encr, key_len, integ);
        [(true, ei, ai), (false, er, ar)].map(|(from_initiator, e, a)| {
            let spis = (spi(spi_i), spi(spi_r));
            Keys { spis, from_initiator, cipher, integrity, sk_e: hex(e), sk_a: hex(a) }
        })
    });
    sas.collect()
}

fn header(m: &Message) -> Header {
    Header { spi_i: m.spi_i, spi_r: m.spi_r, version: m.version, exchange: m.exchange, flags: m.flags, message_id: m.message_id }
}

fn parts(m: &Message) -> Vec<Part> {
    m.payloads.iter().filter(|p| p.inner == (m.encryption == Encryption::Decrypted)).map(Part::from).collect()
}

/// The IV of a message with an SK or SKF payload and nothing before it.
fn iv(raw: &[u8], cipher: Cipher) -> Vec<u8> {
    let start = if raw[16] == 53 { 36 } else { 32 };
    raw[start..start + cipher.iv_len()].to_vec()
}

/// Where padding has no room to be random, sealing again must give the same octets; else as many.
fn assert_same(again: &[u8], raw: &[u8], cipher: Cipher) {
    if cipher.cipher_block_len() == 1 {
        assert_eq!(again, raw, "{cipher:?}");
    }
    assert_eq!(again.len(), raw.len(), "{cipher:?}");
}

#[test]
fn every_message_is_written_as_it_was_read() {
    let keys = keys();
    let mut fragments = Fragments::default();
    // Fragments of the message that is being collected.
    let mut collected: Vec<Vec<u8>> = Vec::new();
    let (mut kinds, mut clear, mut whole, mut split) = (BTreeSet::new(), 0, 0, 0);
    for raw in lines(MESSAGES, "message").map(|words| hex(words[0])) {
        let mut m = parse(&raw);
        assert_eq!(m.malformed, None);
        kinds.extend(m.payloads.iter().map(|p| p.kind));
        if m.encryption == Encryption::Clear {
            let (first, chain) = emit::chain(&parts(&m));
            assert_eq!(emit::message(&header(&m), first, &chain), raw);
            clear += 1;
            continue;
        }
        let k = keys.iter().find(|k| k.spis == (m.spi_i, m.spi_r) && k.from_initiator == m.from_initiator()).unwrap();
        let fragment = m.payloads.iter().any(|p| matches!(p.body, Body::Skf { .. }));
        if fragment {
            collected.push(raw.clone());
        }
        let opened = fragments.open(0, &mut m, &raw, k.cipher, k.integrity, &k.sk_e, &k.sk_a).unwrap();
        let Some(plain) = opened.unwrap() else { continue };
        m.append(&plain);
        assert_eq!(m.malformed, None);
        kinds.extend(m.payloads.iter().map(|p| p.kind));

        let (first, chain) = emit::chain(&parts(&m));
        assert_eq!((first, &chain), (plain.first, &plain.data));
        let mut bent = Chain { first, octets: chain.clone() };
        bent.reverse();
        bent.reverse();
        assert_eq!((bent.first, &bent.octets), (first, &chain));

        if fragment {
            let mut ivs = collected.iter().map(|raw| iv(raw, k.cipher));
            let again = seal_fragments(&header(&m), first, &chain, &k.protection(), &mut |_| ivs.next().unwrap(), collected[0].len());
            let again = again.unwrap();
            assert_eq!(again.len(), collected.len());
            again.iter().zip(&collected).for_each(|(again, raw)| assert_same(again, raw, k.cipher));
            collected.clear();
            split += 1;
        } else {
            assert_eq!(sealed_len(k.cipher, k.integrity, chain.len()), raw.len());
            assert_same(&seal(&header(&m), first, &chain, &k.protection(), &iv(&raw, k.cipher)).unwrap(), &raw, k.cipher);
            whole += 1;
        }
    }
    assert_eq!((clear, whole, split), CAPTURED);
    // All payload types of RFC 7296 and RFC 7383 but Vendor ID.
    let expected: BTreeSet<u8> = (33..=53).filter(|kind| !matches!(kind, 43 | 49..=52)).collect();
    assert_eq!(kinds, expected);
}

/// Messages in clear, in one SK payload, in fragments.
const CAPTURED: (usize, usize, usize) = (6, 37, 5);

#[test]
fn every_suite_of_strongswan_opens_and_seals() {
    let mut ciphers = BTreeSet::new();
    for words in lines(SUITES, "ike") {
        let &[encr, key_len, integ, e, a, raw] = &words[..] else { panic!("{words:?}") };
        let (cipher, integrity) = suite(encr, key_len, integ);
        let (e, a, raw) = (hex(e), hex(a), hex(raw));
        let mut m = parse(&raw);
        super::decrypt_v2(&mut m, &raw, cipher, integrity, &e, &a);
        assert_eq!((m.encryption, m.malformed.as_ref()), (Encryption::Decrypted, None), "{cipher:?} {integrity:?}");
        let (first, chain) = emit::chain(&parts(&m));
        let p = Protection { cipher, integrity, sk_e: &e, sk_a: &a };
        assert_same(&seal(&header(&m), first, &chain, &p, &iv(&raw, cipher)).unwrap(), &raw, cipher);
        ciphers.insert(cipher.to_transform());

        // Without a look at integrity the same payloads are inside, also when it fails.
        let mut altered = raw.clone();
        *altered.last_mut().unwrap() ^= 1;
        let mut forged = parse(&altered);
        super::decrypt_v2(&mut forged, &altered, cipher, integrity, &e, &a);
        assert_eq!(forged.encryption, Encryption::Failed, "{cipher:?} {integrity:?}");
        let unverified = super::open_unverified(&forged, &altered, cipher, integrity, &e).unwrap();
        assert!(m.payloads.iter().filter(|p| p.inner).eq(&unverified.payloads), "{cipher:?} {integrity:?}");
        assert_eq!(unverified.read, chain.len());
    }
    assert_eq!(ciphers.len(), 21);
}

#[test]
fn every_esp_packet_of_strongswan_is_opened_and_made_again() {
    let mut count = 0;
    for words in lines(SUITES, "esp") {
        let &[encr, key_len, integ, key, mac, raw] = &words[..] else { panic!("{words:?}") };
        let (cipher, integrity) = suite(encr, key_len, integ);
        let (key, mac, raw) = (hex(key), hex(mac), hex(raw));
        let opened = esp::decrypt(&raw, cipher, &key, integrity, &mac).unwrap_or_else(|e| panic!("{cipher:?} {integrity:?}: {e}"));
        // IPv4 with UDP inside, as long as its header says.
        assert_eq!((opened.next_header, opened.data[0], opened.data[9]), (4, 0x45, 17));
        assert_eq!(usize::from(u16::from_be_bytes([opened.data[2], opened.data[3]])), opened.data.len());
        let esp::Header { spi, seq } = esp::parse(&raw).unwrap();
        let iv = &raw[8..8 + cipher.iv_len()];
        let again = esp::encrypt(spi, seq.into(), 4, &opened.data, cipher, &key, integrity, &mac, iv, false).unwrap();
        assert_eq!(again, raw, "{cipher:?} {integrity:?}");
        count += 1;
    }
    assert_eq!(count, 22);
}
