//! What is emitted is what is parsed; lengths of protected messages; hostile and impossible arguments.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::fragments::Fragments;
use super::super::{Encryption, Proposal, Selector, Transform, decrypt_v2, parse};
use super::*;
use crate::crypto::tests::every_suite;
use crate::crypto::{Cipher, Integrity, OpenError};

const HEADER: Header = Header { spi_i: 1, spi_r: 2, version: 0x20, exchange: 37, flags: 0x08, message_id: 7 };

fn octets(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..max)
}

fn attributes() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    vec((0..0x8000u16, octets(6)), 0..4)
}

fn sa() -> impl Strategy<Value = Body> {
    let transform = (any::<u8>(), any::<u16>(), attributes()).prop_map(|(kind, id, attributes)| Transform { kind, id, attributes });
    let proposal = (any::<u8>(), any::<u8>(), octets(9), vec(transform, 0..5));
    let proposal = proposal.prop_map(|(number, protocol, spi, transforms)| Proposal { number, protocol, spi, transforms });
    vec(proposal, 0..4).prop_map(Body::Sa)
}

fn selector() -> impl Strategy<Value = Selector> {
    fn of<A: Into<std::net::IpAddr>>(kind: u8, protocol: u8, ports: (u16, u16), a: A, b: A) -> Selector {
        Selector { kind, protocol, ports, start: Some(a.into()), end: Some(b.into()) }
    }
    prop_oneof![
        any::<(u8, (u16, u16), [u8; 4], [u8; 4])>().prop_map(|(protocol, ports, a, b)| of(7, protocol, ports, a, b)),
        any::<(u8, (u16, u16), [u8; 16], [u8; 16])>().prop_map(|(protocol, ports, a, b)| of(8, protocol, ports, a, b)),
        any::<u8>().prop_map(|protocol| Selector { kind: 9, protocol, ports: (0, 0), start: None, end: None }),
    ]
}

fn delete() -> impl Strategy<Value = Body> {
    (any::<u8>(), 0usize..9, 0usize..9).prop_flat_map(|(protocol, size, count)| {
        let count = if size == 0 { 0 } else { count };
        vec(vec(any::<u8>(), size), count).prop_map(move |spis| Body::Delete { protocol, spi_size: size as u8, spis })
    })
}

/// A payload of every type that has a meaning in IKEv2.
fn part() -> impl Strategy<Value = Part> {
    let body = prop_oneof![
        sa().prop_map(|body| (33, body)),
        (any::<u16>(), octets(80)).prop_map(|(group, data)| (34, Body::Ke { group: Some(group), data })),
        (35u8..=36, any::<u8>(), octets(40)).prop_map(|(k, id_type, data)| (k, Body::Id { id_type, protocol: 0, port: 0, data })),
        (any::<u8>(), octets(80)).prop_map(|(encoding, data)| (37, Body::Cert { encoding, data })),
        (any::<u8>(), octets(80)).prop_map(|(encoding, data)| (38, Body::CertReq { encoding, data })),
        (any::<u8>(), octets(80)).prop_map(|(method, data)| (39, Body::Auth { method, data })),
        octets(80).prop_map(|data| (40, Body::Nonce(data))),
        (any::<u8>(), octets(9), any::<u16>(), octets(40))
            .prop_map(|(protocol, spi, kind, data)| (41, Body::Notify { protocol, spi, kind, data })),
        delete().prop_map(|body| (42, body)),
        octets(40).prop_map(|data| (43, Body::Vendor(data))),
        (44u8..=45, vec(selector(), 0..5)).prop_map(|(kind, selectors)| (kind, Body::Ts(selectors))),
        (any::<u8>(), attributes()).prop_map(|(kind, attributes)| (47, Body::Cp { kind, attributes })),
        octets(40).prop_map(|data| (48, Body::Eap(data))),
        (54u8.., octets(40)).prop_map(|(kind, data)| (kind, Body::Other(data))),
    ];
    (body, any::<bool>()).prop_map(|((kind, body), critical)| Part { kind, critical, body })
}

fn header() -> impl Strategy<Value = Header> {
    any::<(u64, u64, u8, u8, u32)>().prop_map(|(spi_i, spi_r, exchange, flags, message_id)| Header {
        spi_i,
        spi_r,
        version: 0x20,
        exchange,
        flags,
        message_id,
    })
}

fn parts_of(message: &super::super::Message, inner: bool) -> Vec<Part> {
    // A wrong length cannot be written.
    message.payloads.iter().filter(|p| p.inner == inner && p.body != Body::Cut).map(Part::from).collect()
}

proptest! {
    #[test]
    fn parse_reads_what_is_emitted(header in header(), parts in vec(part(), 0..8)) {
        let (first, chain) = chain(&parts);
        let raw = message(&header, first, &chain);
        let m = parse(&raw);
        prop_assert_eq!(m.malformed.as_ref(), None);
        let fields = Header { spi_i: m.spi_i, spi_r: m.spi_r, version: m.version, exchange: m.exchange, flags: m.flags, message_id: m.message_id };
        prop_assert_eq!(fields, header);
        prop_assert_eq!(m.length as usize, raw.len());
        prop_assert_eq!(parts_of(&m, false), parts);
    }

    /// Also what is malformed, and what is not canonical: once it has been written, it stays.
    #[test]
    fn whatever_is_understood_of_any_octets_is_read_again(parts in vec(part(), 1..5), bits in vec((any::<usize>(), 0u8..8), 0..4), cut in 0usize..40) {
        let (first, mut octets) = chain(&parts);
        for (at, bit) in bits {
            let at = at % octets.len();
            octets[at] ^= 1 << bit;
        }
        octets.truncate(octets.len().saturating_sub(cut));
        let read = parts_of(&parse(&message(&HEADER, first, &octets)), false);
        let written = chain(&read);
        let again = parse(&message(&HEADER, written.0, &written.1));
        prop_assert_eq!(&parts_of(&again, false), &read);
        prop_assert_eq!(chain(&parts_of(&again, false)), written);
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_keys_only(header in header(), parts in vec(part(), 0..6), (cipher, integrity) in select(every_suite()), key in any::<u8>()) {
        let keys = Keys::new(cipher, integrity, key);
        let (first, chain) = chain(&parts);
        let raw = seal(&header, first, &chain, &keys.protection(), &vec![key; cipher.iv_len()]).unwrap();
        prop_assert_eq!(raw.len(), sealed_len(cipher, integrity, chain.len()));
        let mut m = parse(&raw);
        decrypt_v2(&mut m, &raw, cipher, integrity, &keys.e, &keys.a);
        prop_assert_eq!((m.encryption, m.malformed.as_ref()), (Encryption::Decrypted, None));
        prop_assert_eq!(parts_of(&m, true), parts);
        let other = Keys::new(cipher, integrity, !key);
        let mut m = parse(&raw);
        decrypt_v2(&mut m, &raw, cipher, integrity, &other.e, &other.a);
        prop_assert_eq!(m.encryption, Encryption::Failed);
    }

    #[test]
    fn fragments_are_collected_into_the_message(parts in vec(part(), 1..8), (cipher, integrity) in select(every_suite()), max in 80usize..400, from in any::<usize>()) {
        let keys = Keys::new(cipher, integrity, 9);
        let (first, chain) = chain(&parts);
        let mut asked = Vec::new();
        let mut iv = |n| { asked.push(n); vec![asked.len() as u8; n] };
        let pieces = seal_fragments(&HEADER, first, &chain, &keys.protection(), &mut iv, max);
        let Ok(pieces) = pieces else {
            prop_assert!(sealed_len(cipher, integrity, 1) + 4 > max);
            return Ok(());
        };
        prop_assert_eq!(asked, vec![cipher.iv_len(); pieces.len()]);
        prop_assert!(pieces.iter().all(|p| p.len() <= max));
        prop_assert!(pieces.len() == 1 || pieces[0].len() + cipher.cipher_block_len() > max, "the first is as long as can be");
        let mut fragments = Fragments::default();
        let mut whole = Vec::new();
        for i in 0..pieces.len() {
            let raw = &pieces[(from % pieces.len() + i) % pieces.len()];
            let mut m = parse(raw);
            // A receiver's way: it has keys, and has seen nothing of the SA before.
            if let Some(plain) = fragments.open(0, &mut m, raw, cipher, integrity, &keys.e, &keys.a).unwrap().unwrap() {
                prop_assert_eq!((plain.first, &plain.data), (first, &chain));
                m.append(&plain);
                prop_assert_eq!(m.encryption, Encryption::Decrypted);
            }
            prop_assert_eq!(m.malformed.as_ref(), None);
            whole = parts_of(&m, true);
            prop_assert_eq!(whole.is_empty(), i + 1 < pieces.len());
        }
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn any_arguments_are_survived(first in any::<u8>(), chain in octets(300), key in octets(70), iv in octets(20), max in 0usize..300, (cipher, integrity) in select(every_suite())) {
        let p = Protection { cipher, integrity, sk_e: &key, sk_a: &key };
        let _ = seal(&HEADER, first, &chain, &p, &iv);
        let _ = seal_fragments(&HEADER, first, &chain, &p, &mut |_| iv.clone(), max);
        let keys = Keys::new(cipher, integrity, 1);
        let _ = seal_fragments(&HEADER, first, &chain, &keys.protection(), &mut |n| vec![0; n], max);
    }
}

struct Keys {
    cipher: Cipher,
    integrity: Integrity,
    e: Vec<u8>,
    a: Vec<u8>,
}

impl Keys {
    fn new(cipher: Cipher, integrity: Integrity, octet: u8) -> Keys {
        Keys { cipher, integrity, e: vec![octet; cipher.key_len()], a: vec![octet; integrity.key_len()] }
    }

    fn protection(&self) -> Protection<'_> {
        Protection { cipher: self.cipher, integrity: self.integrity, sk_e: &self.e, sk_a: &self.a }
    }
}

/// The length classes by which a capture without keys tells an error-only answer.
#[test]
fn protected_messages_have_the_lengths_of_their_classes() {
    let contents = [vec![], vec![Part::notify(0, &[], 24, &[])], vec![Part::notify(0, &[], 17, &[0, 14])]];
    let cases = [
        (Cipher::AesCbc(128), Integrity::HmacSha2_256_128, [80, 80, 80]),
        (Cipher::AesCbc(256), Integrity::HmacSha1_96, [76, 76, 76]),
        (Cipher::AesGcm(128, 16), Integrity::None, [57, 65, 67]),
        (Cipher::AesGcm(256, 16), Integrity::None, [57, 65, 67]),
        (Cipher::ChaCha20Poly1305, Integrity::None, [57, 65, 67]),
    ];
    for (cipher, integrity, lengths) in cases {
        let keys = Keys::new(cipher, integrity, 3);
        let measured = contents.each_ref().map(|parts| {
            let (first, chain) = chain(parts);
            seal(&HEADER, first, &chain, &keys.protection(), &vec![4; cipher.iv_len()]).unwrap().len()
        });
        assert_eq!(measured, lengths, "{cipher:?} {integrity:?}");
    }
}

#[test]
fn clear_notifies_have_the_lengths_of_their_classes() {
    let len = |data: &[u8]| {
        let (first, chain) = chain(&[Part::notify(0, &[], 17, data)]);
        message(&HEADER, first, &chain).len()
    };
    assert_eq!([len(&[]), len(&[0, 14]), len(&[0; 24])], [36, 38, 60]);
}

#[test]
fn a_chain_with_the_critical_bit_and_a_key_length_is_written_as_the_rfc_draws_it() {
    let transform = |kind, id, attributes| Transform { kind, id, attributes };
    let transforms = vec![transform(1, 12, vec![(14, vec![1, 0])]), transform(4, 14, vec![])];
    let sa = Part::new(33, Body::Sa(vec![Proposal { number: 1, protocol: 1, spi: vec![], transforms }]));
    let unknown = Part { kind: 200, critical: true, body: Body::Other(vec![9]) };
    let expected = [
        &[200, 0, 0, 32][..],
        &[0, 0, 0, 28, 1, 1, 0, 2],
        &[3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0],
        &[0, 0, 0, 8, 4, 0, 0, 14],
        &[0, 0x80, 0, 5, 9],
    ];
    assert_eq!(chain(&[sa, unknown]), (33, expected.concat()));
    assert_eq!(chain(&[]), (0, vec![]));
}

#[test]
fn what_does_not_fit_into_its_length_field_is_cut() {
    let parts = [Part::new(43, Body::Vendor(vec![1; 70_000])), Part::notify(3, &[2; 300], 44, &[3])];
    let (first, chain) = chain(&parts);
    let m = parse(&message(&HEADER, first, &chain));
    assert_eq!(m.malformed, None);
    assert_eq!(m.payloads[0].body, Body::Vendor(vec![1; 65_531]));
    assert_eq!(m.payloads[1].body, Body::Notify { protocol: 3, spi: vec![2; 255], kind: 44, data: vec![3] });
}

#[test]
fn what_cannot_be_sealed_is_refused_with_its_reason() {
    let keys = Keys::new(Cipher::AesCbc(128), Integrity::HmacSha2_256_128, 1);
    let p = keys.protection();
    let iv = [0; 16];
    assert_eq!(seal(&HEADER, 0, &[], &p, &iv[1..]), Err(OpenError::Length(15)));
    assert_eq!(seal(&HEADER, 0, &[], &Protection { sk_e: &[1; 15], ..p }, &iv), Err(OpenError::Key(15)));
    assert_eq!(seal(&HEADER, 0, &[], &Protection { sk_a: &[1; 31], ..p }, &iv), Err(OpenError::Key(31)));
    assert_eq!(seal(&HEADER, 43, &vec![0; 65_535], &p, &iv), Err(OpenError::Room(65_535)));
    let mut ivs = |n| vec![0; n];
    // Header 28, payload header 8, IV 16, one block 16, ICV 16.
    assert_eq!(seal_fragments(&HEADER, 43, &[1; 30], &p, &mut ivs, 83), Err(OpenError::Room(83)));
    let pieces = seal_fragments(&HEADER, 43, &[1; 30], &p, &mut ivs, 84).unwrap();
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [84, 84]);
    let aead = Keys::new(Cipher::AesGcm(128, 16), Integrity::None, 1);
    assert_eq!(seal_fragments(&HEADER, 43, &vec![1; 65_536], &aead.protection(), &mut ivs, 62), Err(OpenError::Room(62)));
}
