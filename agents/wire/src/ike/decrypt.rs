//! Opening the encrypted payload of IKEv2: RFC 7296 §3.14, RFC 5282 (AEAD), RFC 7383 (fragments).

use std::ops::Range;

use super::parse::{HEADER_LEN, chain};
use super::{Body, Encryption, Message, Payload};
use crate::crypto::{self, Cipher, Integrity, OpenError};

/// What was inside an SK or SKF payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plaintext {
    /// Type of the first payload inside (in fragments after the first: 0).
    pub first: u8,
    /// Octets, padding removed.
    pub data: Vec<u8>,
}

/// Verifies and decrypts the SK payload of `message`, whose octets are `raw`, and appends the payloads inside it.
///
/// An SKF payload is verified, but yields nothing here: [`super::fragments::Fragments`] collects those.
pub fn decrypt_v2(message: &mut Message, raw: &[u8], cipher: Cipher, integrity: Integrity, sk_e: &[u8], sk_a: &[u8]) {
    match open_v2(message, raw, cipher, integrity, sk_e, sk_a) {
        None => {}
        Some(Err(_)) => fail(message),
        Some(Ok(plain)) => {
            message.encryption = Encryption::Decrypted;
            if message.payloads.iter().any(|p| matches!(p.body, Body::Sk { .. })) {
                append_inner(message, &plain, integrity == Integrity::None && !cipher.is_aead());
            }
        }
    }
}

/// Verifies and decrypts the SK or SKF payload; `None` when there is none.
pub fn open_v2(
    message: &Message,
    raw: &[u8],
    cipher: Cipher,
    integrity: Integrity,
    sk_e: &[u8],
    sk_a: &[u8],
) -> Option<Result<Plaintext, OpenError>> {
    let body = encrypted_body(message)?;
    let first = message.payloads.iter().find(|p| is_encrypted(&p.body))?.next;
    let parts = raw.get(..body.start).zip(raw.get(body));
    Some(match parts {
        None => Err(OpenError::Length(raw.len())),
        Some((aad, body)) => open_body(aad, body, cipher, integrity, sk_e, sk_a).map(|data| Plaintext { first, data }),
    })
}

/// Where IV, ciphertext and ICV are in the message's octets; these may be fewer.
pub(crate) fn encrypted_body(message: &Message) -> Option<Range<usize>> {
    // The encrypted payload is the last one outside, so all before it tell where it begins.
    let index = message.payloads.iter().position(|p| is_encrypted(&p.body))?;
    let before: usize = message.payloads[..index].iter().map(|p| usize::from(p.length)).sum();
    let payload = &message.payloads[index];
    let start = HEADER_LEN + before;
    let header = if matches!(payload.body, Body::Skf { .. }) { 8 } else { 4 };
    Some(start + header..start + usize::from(payload.length))
}

fn is_encrypted(body: &Body) -> bool {
    matches!(body, Body::Sk { .. } | Body::Skf { .. })
}

fn open_body(aad: &[u8], body: &[u8], cipher: Cipher, integrity: Integrity, sk_e: &[u8], sk_a: &[u8]) -> Result<Vec<u8>, OpenError> {
    let Sealed { iv, text, icv } = split(body, cipher, integrity)?;
    let mut data = text.to_vec();
    if cipher.is_aead() {
        crypto::decrypt(cipher, sk_e, iv, aad, &mut data, icv)?;
    } else {
        if !integrity.verify(sk_a, &[aad, iv, text], icv) {
            return Err(OpenError::Icv);
        }
        crypto::decrypt(cipher, sk_e, iv, aad, &mut data, &[])?;
    }
    unpad(data)
}

/// The parts of an encrypted body.
struct Sealed<'a> {
    iv: &'a [u8],
    text: &'a [u8],
    icv: &'a [u8],
}

fn split(body: &[u8], cipher: Cipher, integrity: Integrity) -> Result<Sealed<'_>, OpenError> {
    let short = OpenError::Length(body.len());
    let icv_len = if cipher.is_aead() { cipher.icv_len() } else { integrity.icv_len() };
    let (iv, rest) = body.split_at_checked(cipher.iv_len()).ok_or(short)?;
    let (text, icv) = rest.len().checked_sub(icv_len).and_then(|n| rest.split_at_checked(n)).ok_or(short)?;
    Ok(Sealed { iv, text, icv })
}

fn unpad(mut data: Vec<u8>) -> Result<Vec<u8>, OpenError> {
    let pad = usize::from(*data.last().ok_or(OpenError::Length(0))?);
    let len = data.len().checked_sub(pad + 1).ok_or(OpenError::Padding)?;
    data.truncate(len);
    Ok(data)
}

/// What an SK payload seems to say whose integrity check fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// Payloads, all `inner`. Nothing says that the peer has sent them.
    pub payloads: Vec<Payload>,
    /// Octets of the text that make up payloads: the most with the right key.
    pub read: usize,
}

/// Decrypts an SK payload without any look at integrity; `None`: there is none, or it is too short.
pub fn open_unverified(message: &Message, raw: &[u8], cipher: Cipher, integrity: Integrity, sk_e: &[u8]) -> Option<Unverified> {
    let sk = message.payloads.iter().find(|p| matches!(p.body, Body::Sk { .. }))?;
    let Sealed { iv, text, .. } = split(raw.get(encrypted_body(message)?)?, cipher, integrity).ok()?;
    let mut data = text.to_vec();
    crypto::decrypt_unverified(cipher, sk_e, iv, &mut data).ok()?;
    let data = unpad(data).ok()?;
    let inner = chain(&data, sk.next, message.major(), true);
    Some(Unverified { payloads: inner.payloads, read: data.len() - inner.rest })
}

impl Message {
    /// Appends the payloads in `plain`, marked as `inner`, as what the message's encrypted part has said.
    pub fn append(&mut self, plain: &Plaintext) {
        self.encryption = Encryption::Decrypted;
        append_inner(self, plain, false);
    }
}

/// Appends the payloads in `plain`. `unproven`: nothing but the content itself can show that the key was right.
pub(crate) fn append_inner(message: &mut Message, plain: &Plaintext, unproven: bool) {
    let inner = chain(&plain.data, plain.first, 2, true);
    if unproven && (inner.malformed.is_some() || inner.rest != 0) {
        return fail(message);
    }
    message.payloads.extend(inner.payloads);
    let rest = (inner.rest > 0 && !inner.broken).then(|| format!("{} octets after the last payload", inner.rest));
    if let Some(why) = inner.malformed.or(rest) {
        message.malformed.get_or_insert_with(|| format!("inside the encrypted part: {why}"));
    }
}

pub(crate) fn fail(message: &mut Message) {
    message.payloads.retain(|p| !p.inner);
    message.encryption = Encryption::Failed;
}
