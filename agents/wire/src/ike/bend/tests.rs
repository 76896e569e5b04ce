//! Each bend does what it says and nothing else; any octets are survived.

use proptest::prelude::*;

use super::*;
use crate::crypto::{Cipher, Integrity};
use crate::ike::emit::{Header, Protection, message, seal, seal_fragments, sealed_len};
use crate::ike::{Body, Encryption, Message, decrypt_v2, parse};

const HEADER: Header = Header { spi_i: 1, spi_r: 2, version: 0x20, exchange: 35, flags: 0x08, message_id: 1 };
const KEY: [u8; 20] = [7; 20];

/// Nonce, notify, empty Vendor ID, notify.
fn chain() -> Chain {
    Chain::new(&[
        Part::new(40, Body::Nonce(vec![1, 2, 3])),
        Part::notify(0, &[], 16384, &[]),
        Part::new(43, Body::Vendor(vec![])),
        Part::notify(0, &[], 16430, &[9]),
    ])
}

/// The result of `bend`, read as a message.
fn bent(bend: impl FnOnce(&mut Chain) -> bool) -> Message {
    let mut chain = chain();
    assert!(bend(&mut chain), "something is altered");
    let m = parse(&message(&HEADER, chain.first, &chain.octets));
    assert_eq!(m.malformed, None);
    m
}

fn kinds(m: &Message) -> Vec<u8> {
    m.payloads.iter().map(|p| p.kind).collect()
}

fn vendor(m: &Message) -> usize {
    m.payloads.iter().rev().find_map(|p| if let Body::Vendor(data) = &p.body { Some(data.len()) } else { None }).unwrap()
}

#[test]
fn reserved_bits_are_set_and_the_critical_bit_is_left_alone() {
    let mut all = chain();
    assert!(all.set_reserved());
    let flags = [1, 8, 16, 20].map(|at| all.octets[at]);
    assert_eq!(flags, [0x7f; 4]);
    assert_eq!(bent(Chain::set_reserved).payloads, parse(&message(&HEADER, 40, &chain().octets)).payloads);
    assert!(!all.set_reserved(), "they are set");
}

#[test]
fn payloads_are_left_out_doubled_reversed_and_put_first() {
    assert_eq!(kinds(&bent(|c| c.omit(41))), [40, 43]);
    assert_eq!(kinds(&bent(|c| c.omit(40))), [41, 43, 41]);
    assert_eq!(kinds(&bent(|c| c.double(41))), [40, 41, 41, 43, 41]);
    assert_eq!(kinds(&bent(Chain::reverse)), [41, 43, 41, 40]);
    let unknown = bent(|c| c.unknown_first(200, true, 5));
    assert_eq!((kinds(&unknown), unknown.payloads[0].critical), (vec![200, 40, 41, 43, 41], true));
    assert_eq!(unknown.payloads[0].body, Body::Other(vec![0; 5]));
    assert!(!bent(|c| c.unknown_first(200, false, 0)).payloads[0].critical);
    let mut chain = chain();
    assert!(!chain.omit(33) && !chain.double(33));
}

#[test]
fn only_the_first_payload_of_a_type_is_altered() {
    let nonce = |m: Message| m.payloads[0].body.clone();
    assert_eq!(nonce(bent(|c| c.corrupt(40))), Body::Nonce(vec![1, 2, 0xfc]));
    assert_eq!(nonce(bent(|c| c.empty(40))), Body::Nonce(vec![]));
    assert_eq!(nonce(bent(|c| c.resize(40, 2))), Body::Nonce(vec![1, 2, 3, 0, 0]));
    assert_eq!(nonce(bent(|c| c.resize(40, -2))), Body::Nonce(vec![1]));
    assert_eq!(nonce(bent(|c| c.resize(40, i32::MIN))), Body::Nonce(vec![]));
    assert_eq!(nonce(bent(|c| c.set_octets(40, 5, &[8, 9, 10]))), Body::Nonce(vec![1, 8, 9]));
    assert!(bent(|c| c.set_octets(40, 1, &[0x80])).payloads[0].critical);
    assert!(![0, 4, 7, u16::MAX].map(|at| chain().set_octets(40, at, &[1])).contains(&true), "right in the end, the same, or beyond");
    let longest = bent(|c| c.resize(40, i32::MAX));
    assert_eq!(longest.payloads[0].length, u16::MAX);
    let corrupt = bent(|c| c.corrupt(41));
    assert_eq!(corrupt.notifies().map(|(kind, _)| kind).collect::<Vec<_>>(), [16384 ^ 0xff, 16430]);
    let mut chain = chain();
    assert!(!chain.corrupt(43) && !chain.empty(43) && !chain.resize(43, 0) && !chain.corrupt(33), "nothing there to alter");
    // A notify whose fixed fields are gone is malformed, but what follows is still found.
    assert!(chain.empty(41));
    let m = parse(&message(&HEADER, chain.first, &chain.octets));
    assert!(m.malformed.is_some());
    assert_eq!(kinds(&m), [40, 41, 43, 41]);
}

#[test]
fn a_notify_and_filling_come_last() {
    let m = bent(|c| c.add_notify(16403, &[1, 2]));
    assert_eq!(m.notifies().last(), Some((16403, false)));
    let len = chain().octets.len();
    let filled = bent(|c| c.fill_to(1000));
    assert_eq!((filled.length, vendor(&filled)), (28 + 1000, 1000 - len - 4));
    // One octet is missing, but there is no payload of one octet.
    assert_eq!(bent(|c| c.fill_to(len as u16 + 1)).length as usize, 28 + len + 4);
    assert!(!chain().fill_to(len as u16));
    let mut empty = Chain::default();
    assert!(empty.fill_to(u16::MAX));
    assert_eq!((empty.first, empty.octets.len()), (43, 65_535));
}

#[test]
fn what_is_bent_is_sealed_like_anything() {
    let mut chain = chain();
    chain.fill_to(1500);
    let p = Protection { cipher: Cipher::AesGcm(128, 16), integrity: Integrity::None, sk_e: &KEY, sk_a: &[] };
    let raw = seal(&HEADER, chain.first, &chain.octets, &p, &[1; 8]).unwrap();
    assert_eq!(raw.len(), sealed_len(p.cipher, p.integrity, 1500));
    let mut m = parse(&raw);
    decrypt_v2(&mut m, &raw, p.cipher, p.integrity, &KEY, &[]);
    assert_eq!((m.encryption, kinds(&m)), (Encryption::Decrypted, vec![46, 40, 41, 43, 41, 43]));
}

#[test]
fn each_header_field_is_altered_alone() {
    type Bend = fn(&mut [u8]) -> bool;
    type Expected = fn(&mut Message);
    let cases: [(Bend, Expected); 7] = [
        (|m| set_spi_i(m, 77), |m| m.spi_i = 77),
        (|m| set_spi_r(m, 78), |m| m.spi_r = 78),
        (|m| set_version(m, 0x2f), |m| m.version = 0x2f),
        (|m| set_exchange(m, 99), |m| m.exchange = 99),
        (|m| flip_flags(m, 0x28), |m| m.flags = 0x20),
        (|m| set_message_id(m, 0x0102_0304), |m| m.message_id = 0x0102_0304),
        (|m| add_to_length(m, -1), |m| m.length -= 1),
    ];
    let whole = message(&HEADER, 0, &[0; 8]);
    for (bend, expected) in cases {
        let mut raw = whole.clone();
        let mut m = parse(&raw);
        assert!(bend(&mut raw));
        expected(&mut m);
        assert_eq!(parse(&raw), m);
        assert!(!bend(&mut []), "no such field");
    }
    let mut raw = whole;
    assert!(!set_spi_i(&mut raw, 1) && !flip_flags(&mut raw, 0) && !add_to_length(&mut raw, 0), "they are so already");
    assert!(add_to_length(&mut raw, i32::MIN) && parse(&raw).length == 0);
    assert!(add_to_length(&mut raw, i32::MAX) && add_to_length(&mut raw, i32::MAX) && add_to_length(&mut raw, 9));
    assert_eq!(parse(&raw).length, u32::MAX);
}

#[test]
fn corruption_after_encryption_is_seen_by_whoever_has_the_keys() {
    for (cipher, integrity) in [(Cipher::AesGcm(128, 16), Integrity::None), (Cipher::AesCbc(128), Integrity::HmacSha1_96)] {
        let (e, a) = (vec![1; cipher.key_len()], vec![2; integrity.key_len()]);
        let p = Protection { cipher, integrity, sk_e: &e, sk_a: &a };
        let whole = seal(&HEADER, 0, &[], &p, &vec![3; cipher.iv_len()]).unwrap();
        let pieces = seal_fragments(&HEADER, 43, &[0, 0, 0, 9, 1, 1, 1, 1, 1], &p, &mut |n| vec![3; n], 100).unwrap();
        for mut raw in pieces.into_iter().chain([whole]) {
            let before = parse(&raw);
            assert!(corrupt_encrypted(&mut raw));
            let mut m = parse(&raw);
            assert_eq!(m, before, "nothing outside the encrypted part");
            decrypt_v2(&mut m, &raw, cipher, integrity, &e, &a);
            assert_eq!(m.encryption, Encryption::Failed);
        }
    }
    assert!(!corrupt_encrypted(&mut message(&HEADER, 40, &chain().octets)), "nothing is encrypted");
}

#[test]
fn a_notify_in_clear_takes_a_messages_place() {
    let raw = notify_in_clear(&HEADER, 24);
    let m = parse(&raw);
    assert_eq!((raw.len(), m.encryption, m.malformed.clone()), (36, Encryption::Clear, None));
    assert_eq!(m.notifies().collect::<Vec<_>>(), [(24, false)]);
}

proptest! {
    #[test]
    fn any_octets_are_survived(first in any::<u8>(), octets in proptest::collection::vec(any::<u8>(), 0..200), kind in any::<u8>(),
                               by in any::<i32>(), len in any::<u16>(), valid in any::<bool>()) {
        let kind = if valid { first } else { kind };
        let start = Chain { first, octets };
        let bends: [&dyn Fn(&mut Chain) -> bool; 11] = [
            &|c| c.set_reserved(), &|c| c.omit(kind), &|c| c.unknown_first(kind, valid, len), &|c| c.double(kind), &|c| c.corrupt(kind),
            &|c| c.empty(kind), &|c| c.resize(kind, by), &|c| c.set_octets(kind, len % 8, &[7; 9]),
            &|c| c.add_notify(len, &[1]), &|c| c.reverse(), &|c| c.fill_to(len),
        ];
        for bend in bends {
            let mut chain = start.clone();
            let altered = bend(&mut chain);
            // Reversing equal payloads is the one alteration that may show nothing.
            prop_assert!(altered || chain == start);
        }
        let mut raw = start.octets;
        let len_before = raw.len();
        set_spi_i(&mut raw, 5);
        set_spi_r(&mut raw, 6);
        set_version(&mut raw, 0x20);
        set_exchange(&mut raw, first);
        flip_flags(&mut raw, kind);
        set_message_id(&mut raw, 7);
        add_to_length(&mut raw, by);
        corrupt_encrypted(&mut raw);
        prop_assert_eq!(raw.len(), len_before);
    }

    #[test]
    fn a_valid_chain_stays_one(which in 0usize..10, kind in prop_oneof![Just(40u8), Just(41), Just(43), Just(33)], by in -20i32..20, len in 0u16..200) {
        let mut chain = chain();
        match which {
            0 => chain.set_reserved(),
            1 => chain.omit(kind),
            2 => chain.unknown_first(200, true, len),
            3 => chain.double(kind),
            4 => chain.corrupt(kind),
            5 => chain.resize(43, by),
            6 => chain.add_notify(len, &[1]),
            7 => chain.reverse(),
            8 => chain.fill_to(len),
            _ => chain.empty(40),
        };
        let m = parse(&message(&HEADER, chain.first, &chain.octets));
        prop_assert_eq!(m.malformed, None);
    }
}
