//! Messages made by hand, encrypted here, bent, and any bytes at all.

use aes_gcm::aead::AeadInOut;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt, KeyInit, KeyIvInit};
use hmac::{Hmac, Mac};
use proptest::prelude::*;
use proptest::sample::select;

use super::fragments::Fragments;
use super::v1::{Chains, Secrets};
use super::*;
use crate::crypto::tests::every_suite;
use crate::crypto::{Cipher, Hash, Integrity};

const KEY: [u8; 16] = [0x11; 16];
const MAC_KEY: [u8; 32] = [0x22; 32];
const GCM_KEY: [u8; 20] = [0x33; 20];

fn payload(next: u8, body: &[u8]) -> Vec<u8> {
    [&[next, 0], &(body.len() as u16 + 4).to_be_bytes()[..], body].concat()
}

fn message(first: u8, version: u8, exchange: u8, flags: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let mut m = vec![0xaa; 8];
    m.extend([0xbb; 8]);
    m.extend([first, version, exchange, flags]);
    m.extend(id.to_be_bytes());
    m.extend((28 + body.len() as u32).to_be_bytes());
    m.extend(body);
    m
}

/// SA (one proposal, AES-CBC-256 and group 14), KE, Nonce, one notify.
fn sa_init() -> Vec<u8> {
    let encr = [3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0];
    let dh = [0, 0, 0, 8, 4, 0, 0, 14];
    let proposal = [&[0, 0, 0, 28, 1, 1, 0, 2][..], &encr, &dh].concat();
    let body = [
        payload(34, &proposal),
        payload(40, &[&[0, 14, 0, 0][..], &[9; 256]].concat()),
        payload(41, &[7; 32]),
        payload(0, &[&[0, 0, 0x40, 4][..], &[5; 20]].concat()),
    ];
    message(33, 0x20, 34, 0x08, 0, &body.concat())
}

fn cbc_encrypt(iv: &[u8], data: &mut [u8]) {
    let len = data.len();
    cbc::Encryptor::<aes::Aes128>::new_from_slices(&KEY, iv).unwrap().encrypt_padded::<NoPadding>(data, len).unwrap();
}

/// An SK (or SKF, with its numbers) payload around `inner`, AES-CBC-128 and HMAC-SHA2-256-128.
fn protected(exchange: u8, flags: u8, id: u32, first: u8, skf: Option<(u16, u16)>, inner: &[u8]) -> Vec<u8> {
    let mut data = inner.to_vec();
    let pad = 15 - data.len() % 16;
    data.extend(vec![0; pad]);
    data.push(pad as u8);
    let iv = [0x44; 16];
    cbc_encrypt(&iv, &mut data);
    let mut body = Vec::new();
    if let Some((number, total)) = skf {
        body.extend(number.to_be_bytes());
        body.extend(total.to_be_bytes());
    }
    body.extend(iv);
    body.extend(data);
    body.extend([0; 16]);
    let kind = if skf.is_some() { 53 } else { 46 };
    let mut m = message(kind, 0x20, exchange, flags, id, &payload(first, &body));
    let end = m.len() - 16;
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&MAC_KEY).unwrap();
    mac.update(&m[..end]);
    m[end..].copy_from_slice(&mac.finalize().into_bytes()[..16]);
    m
}

fn open(raw: &[u8]) -> Message {
    let mut m = parse(raw);
    decrypt_v2(&mut m, raw, Cipher::AesCbc(128), Integrity::HmacSha2_256_128, &KEY, &MAC_KEY);
    m
}

#[test]
fn the_payloads_of_a_first_message_are_read() {
    let m = parse(&sa_init());
    assert_eq!((m.malformed.clone(), m.encryption, m.from_initiator(), m.is_response()), (None, Encryption::Clear, true, false));
    let Body::Sa(proposals) = &m.payloads[0].body else { panic!("{m:?}") };
    assert_eq!(proposals[0].transforms[0], Transform { kind: 1, id: 12, attributes: vec![(14, vec![1, 0])] });
    assert_eq!(proposals[0].transforms[1], Transform { kind: 4, id: 14, attributes: vec![] });
    assert_eq!(m.payloads[1].body, Body::Ke { group: Some(14), data: vec![9; 256] });
    assert_eq!(m.notifies().collect::<Vec<_>>(), [(16388, false)]);
}

#[test]
fn lengths_that_lie_leave_a_marked_part() {
    let whole = sa_init();
    let cut = parse(&whole[..100]);
    let kinds: Vec<_> = cut.payloads.iter().map(|p| (p.kind, p.body == Body::Cut)).collect();
    assert_eq!(kinds, [(33, false), (34, true)]);
    assert!(cut.malformed.unwrap().contains("only 100 octets"));
    let mut zero = whole.clone();
    zero[30..32].copy_from_slice(&[0, 0]);
    assert!(parse(&zero).malformed.unwrap().contains("below 4"));
    assert_eq!(parse(&zero).payloads.last().unwrap().body, Body::Cut);
    assert!(parse(&whole[..20]).malformed.is_some());
    let endless = message(43, 0x20, 37, 0, 0, &payload(43, &[]).repeat(4000));
    assert!(parse(&endless).malformed.unwrap().contains("more than"));
}

#[test]
fn an_encrypted_payload_opens_with_the_right_keys_only() {
    let inner = payload(0, &[0, 0, 0, 24]);
    let raw = protected(35, 0x20, 1, 41, None, &inner);
    assert_eq!(raw.len(), 80, "the length class of an error-only answer");
    let m = open(&raw);
    assert_eq!((m.encryption, m.malformed.clone()), (Encryption::Decrypted, None));
    assert_eq!(m.notifies().collect::<Vec<_>>(), [(24, true)]);
    let mut bent = raw.clone();
    bent[50] ^= 1;
    assert_eq!(open(&bent).encryption, Encryption::Failed);
    assert_eq!(parse(&raw).encryption, Encryption::Opaque);
}

#[test]
fn aead_ciphers_open_with_every_icv_length() {
    fn sealed<A: AeadInOut + KeyInit>(key: &[u8], icv_len: usize) -> Vec<u8> {
        let inner = [payload(0, &[0, 0, 0x40, 0]), vec![0]].concat();
        let iv = [0x55; 8];
        let body = [&iv[..], &inner, &vec![0; icv_len]].concat();
        let mut m = message(46, 0x20, 37, 0x08, 2, &payload(41, &body));
        let (aad, rest) = m.split_at_mut(32);
        let (text, tag) = rest[8..].split_at_mut(inner.len());
        let (key, salt) = key.split_at(key.len() - 4);
        let nonce = [salt, &iv].concat();
        let cipher = A::new_from_slice(key).unwrap();
        let icv = cipher.encrypt_inout_detached(nonce[..].try_into().unwrap(), aad, text.into()).unwrap();
        tag.copy_from_slice(&icv);
        m
    }
    use aes_gcm::AesGcm;
    use aes_gcm::aead::consts::{U8, U12, U16};
    let cases = [
        (Cipher::AesGcm(128, 8), &GCM_KEY[..], sealed::<AesGcm<aes::Aes128, U12, U8>>(&GCM_KEY, 8)),
        (Cipher::AesGcm(128, 12), &GCM_KEY, sealed::<AesGcm<aes::Aes128, U12, U12>>(&GCM_KEY, 12)),
        (Cipher::AesGcm(128, 16), &GCM_KEY, sealed::<AesGcm<aes::Aes128, U12, U16>>(&GCM_KEY, 16)),
        (Cipher::ChaCha20Poly1305, &[0x66; 36], sealed::<chacha20poly1305::ChaCha20Poly1305>(&[0x66; 36], 16)),
    ];
    for (cipher, key, raw) in cases {
        let mut m = parse(&raw);
        decrypt_v2(&mut m, &raw, cipher, Integrity::None, key, &[]);
        assert_eq!(m.notifies().collect::<Vec<_>>(), [(16384, true)], "{cipher:?}");
        let mut m = parse(&raw);
        decrypt_v2(&mut m, &raw, cipher, Integrity::None, &vec![0; key.len()], &[]);
        assert_eq!(m.encryption, Encryption::Failed, "{cipher:?}");
    }
}

#[test]
fn fragments_yield_the_message_when_the_last_one_comes() {
    let inner = [payload(41, &[1; 30]), payload(0, &[0, 0, 0x40, 0])].concat();
    let (a, b) = inner.split_at(20);
    let mut fragments = Fragments::default();
    let mut feed = |raw: &[u8]| {
        let mut m = parse(raw);
        fragments.decrypt(0, &mut m, raw, Cipher::AesCbc(128), Integrity::HmacSha2_256_128, &KEY, &MAC_KEY);
        m
    };
    let second = protected(35, 0x08, 1, 0, Some((2, 2)), b);
    let early = feed(&second);
    assert_eq!((early.encryption, early.payloads.len()), (Encryption::Decrypted, 1));
    feed(&second); // a retransmission changes nothing
    let whole = feed(&protected(35, 0x08, 1, 43, Some((1, 2)), a));
    assert_eq!(whole.payloads.iter().map(|p| (p.kind, p.inner)).collect::<Vec<_>>(), [(53, false), (43, true), (41, true)]);
    assert_eq!(whole.malformed, None);
    assert!(feed(&protected(35, 0x08, 2, 43, Some((3, 2)), a)).malformed.is_some());
}

/// Encrypts an IKEv1 body and returns the message and the next IV.
fn v1_encrypted(first: u8, exchange: u8, id: u32, iv: &[u8], inner: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut data = inner.to_vec();
    data.resize(data.len().next_multiple_of(16), 0);
    cbc_encrypt(&iv[..16], &mut data);
    let next = data[data.len() - 16..].to_vec();
    (message(first, 0x10, exchange, 1, id, &data), next)
}

#[test]
fn the_iv_chain_of_ikev1_survives_retransmissions_and_forgeries() {
    let (ke_i, ke_r) = ([1; 128], [2; 128]);
    let hash = Hash::Sha2_256;
    let iv0 = hash.digest(&[ke_i, ke_r].concat());
    let phase1 = payload(0, &[3; 20]);
    let (mm5, iv) = v1_encrypted(5, 2, 0, &iv0, &[payload(8, &[1, 0, 0, 0, 10, 0, 0, 1]), payload(0, &[3; 32])].concat());
    let (mm6, iv) = v1_encrypted(8, 2, 0, &iv, &phase1);
    let first = |id: u32| hash.digest(&[&iv[..], &id.to_be_bytes()].concat());
    let quick = [payload(10, &[4; 32]), payload(0, &[5; 16])].concat();
    let (qm1, q) = v1_encrypted(8, 32, 7, &first(7), &quick);
    let (qm2, q) = v1_encrypted(8, 32, 7, &q, &quick);
    let (qm3, _) = v1_encrypted(8, 32, 7, &q, &payload(0, &[6; 32]));
    let info = [payload(11, &[4; 32]), payload(0, &[0, 0, 0, 1, 1, 0, 0, 14])].concat();
    let (informational, _) = v1_encrypted(8, 5, 99, &first(99), &info);
    let mut forged = qm2.clone();
    *forged.last_mut().unwrap() ^= 0x80;
    forged[30] ^= 0x80;

    let mut chains = Chains::default();
    let mut feed = |raw: &[u8]| {
        let mut m = parse(raw);
        chains.handle(&mut m, raw, Some(Secrets { cipher: Cipher::AesCbc(128), hash, key: &KEY }));
        m
    };
    feed(&message(4, 0x10, 2, 0, 0, &payload(0, &ke_i)));
    feed(&message(4, 0x10, 2, 0, 0, &payload(0, &ke_r)));
    for raw in [&mm5, &mm5, &mm6, &qm1, &qm1, &qm2, &informational, &qm2, &qm3, &informational] {
        let m = feed(raw);
        assert_eq!((m.encryption, m.malformed), (Encryption::Decrypted, None));
    }
    assert_eq!(feed(&forged).encryption, Encryption::Failed);
    assert_eq!(feed(&informational).notifies().collect::<Vec<_>>(), [(14, true)]);
    // Keys that come after MM5 open MM6 all the same.
    let mut late = Chains::default();
    for raw in [&message(4, 0x10, 2, 0, 0, &payload(0, &ke_i)), &message(4, 0x10, 2, 0, 0, &payload(0, &ke_r)), &mm5] {
        late.handle(&mut parse(raw), raw, None);
    }
    let mut m = parse(&mm6);
    late.handle(&mut m, &mm6, Some(Secrets { cipher: Cipher::AesCbc(128), hash, key: &KEY }));
    assert_eq!(m.encryption, Encryption::Decrypted);
    let mut stranger = Chains::default();
    let mut m = parse(&qm1);
    stranger.handle(&mut m, &qm1, Some(Secrets { cipher: Cipher::AesCbc(128), hash, key: &[9; 16] }));
    assert!(m.encryption == Encryption::Failed && m.payloads.is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), version in prop_oneof![Just(0x10u8), Just(0x20)]) {
        let mut bytes = bytes;
        if bytes.len() > 17 { bytes[17] = version; }
        let _ = open(&bytes);
        let _ = parse_captured(&bytes);
        let mut m = parse(&bytes);
        Chains::default().handle(&mut m, &bytes, Some(Secrets { cipher: Cipher::AesCbc(128), hash: Hash::Sha1, key: &KEY }));
    }

    #[test]
    fn any_single_payload_is_survived(kind in any::<u8>(), version in prop_oneof![Just(0x10u8), Just(0x20)],
                                      body in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = parse(&message(kind, version, 35, 0, 0, &payload(0, &body)));
    }

    #[test]
    fn bent_messages_are_survived(at in 0usize..400, bit in 0u8..8, cut in 0usize..400) {
        for whole in [sa_init(), protected(35, 0x20, 1, 41, Some((1, 2)), &[7; 60])] {
            let mut bent = whole.clone();
            let at = at % bent.len();
            bent[at] ^= 1 << bit;
            bent.truncate(bent.len() - cut % bent.len());
            let _ = open(&bent);
            let _ = parse_captured(&bent);
        }
    }

    #[test]
    fn any_key_and_text_are_survived(raw in proptest::collection::vec(any::<u8>(), 0..120), key in proptest::collection::vec(any::<u8>(), 0..40),
                                     cipher in select(ciphers())) {
        let fitting: Vec<u8> = key.iter().copied().chain(std::iter::repeat(1)).take(cipher.key_len()).collect();
        for key in [&key, &fitting] {
            let _ = crate::esp::decrypt(&raw, cipher, key, Integrity::HmacSha1_96, key);
            let _ = crate::esp::decrypt(&raw, cipher, key, Integrity::None, &[]);
            let sealed = message(46, 0x20, 35, 0, 0, &payload(35, &raw));
            let _ = open_unverified(&parse(&sealed), &sealed, cipher, Integrity::HmacSha1_96, key);
        }
    }
}

/// All, and some that cannot be.
fn ciphers() -> Vec<Cipher> {
    let impossible = [Cipher::AesCbc(7), Cipher::AesGcm(128, 9), Cipher::AesCcm(128, 0), Cipher::CastCbc(8)];
    every_suite().into_iter().map(|(cipher, _)| cipher).chain(impossible).collect()
}
