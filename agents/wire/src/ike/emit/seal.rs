//! Protected messages: one SK payload (RFC 7296 §3.14, RFC 5282) or several SKF payloads (RFC 7383 §2.5).

use super::super::parse::HEADER_LEN;
use super::{GENERIC_LEN, Header, SK, SKF, head};
use crate::crypto::{self, Cipher, Integrity, OpenError};

/// Octets of Fragment Number and Total Fragments (RFC 7383 §2.5).
const FRAGMENT_FIELDS: usize = 4;

/// What protects one direction of an IKE SA.
#[derive(Debug, Clone, Copy)]
pub struct Protection<'a> {
    /// Encryption.
    pub cipher: Cipher,
    /// Integrity; [`Integrity::None`] with an AEAD.
    pub integrity: Integrity,
    /// SK_ei or SK_er, salt included.
    pub sk_e: &'a [u8],
    /// SK_ai or SK_ar; empty with an AEAD.
    pub sk_a: &'a [u8],
}

/// Octets of a message whose SK payload has a chain of `chain_len` octets inside, as [`seal`] makes it.
pub fn sealed_len(cipher: Cipher, integrity: Integrity, chain_len: usize) -> usize {
    HEADER_LEN + GENERIC_LEN + cipher.iv_len() + padded_len(cipher, chain_len) + icv_len(cipher, integrity)
}

/// A message with one SK payload around `chain`, which begins with a payload of type `first`. `iv` has [`Cipher::iv_len`] octets.
/// There is no more padding than the cipher needs, and it is zeros.
///
/// # Errors
///
/// A key or the IV has the wrong length, or the SK payload would be longer than 65,535 octets.
pub fn seal(header: &Header, first: u8, chain: &[u8], p: &Protection<'_>, iv: &[u8]) -> Result<Vec<u8>, OpenError> {
    protect(header, first, None, chain, p, iv)
}

/// Messages with one SKF payload each, together around `chain`, none longer than `max_message` octets (IP and UDP headers and the
/// non-ESP marker excluded). All but the last are as long as can be. `iv` is asked for the IV of each and told how many octets.
///
/// A chain that fits into one message still gets an SKF payload (1 of 1): [`sealed_len`] tells who should [`seal`] instead.
///
/// # Errors
///
/// As [`seal`]; or `max_message` has no room for a single octet of the chain, or there would be more than 65,535 fragments.
pub fn seal_fragments(
    header: &Header,
    first: u8,
    chain: &[u8],
    p: &Protection<'_>,
    iv: &mut dyn FnMut(usize) -> Vec<u8>,
    max_message: usize,
) -> Result<Vec<Vec<u8>>, OpenError> {
    let room = OpenError::Room(max_message);
    // An SKF payload is no longer than its length field can say, whatever the message might be.
    let max = max_message.min(HEADER_LEN + usize::from(u16::MAX));
    let fixed = HEADER_LEN + GENERIC_LEN + FRAGMENT_FIELDS + p.cipher.iv_len() + icv_len(p.cipher, p.integrity);
    let block = p.cipher.cipher_block_len();
    let text = max.checked_sub(fixed).ok_or(room)? / block * block;
    // The octet that is taken off is Pad Length.
    let each = text.checked_sub(1).filter(|n| *n > 0).ok_or(room)?;
    let total = u16::try_from(chain.len().div_ceil(each).max(1)).map_err(|_| room)?;
    (1..=total)
        .map(|number| {
            let start = usize::from(number - 1) * each;
            let part = chain.get(start..chain.len().min(start + each)).unwrap_or_default();
            // Only the first fragment tells what the chain begins with (RFC 7383 §2.5).
            let next = if number == 1 { first } else { 0 };
            protect(header, next, Some((number, total)), part, p, &iv(p.cipher.iv_len()))
        })
        .collect()
}

fn protect(
    header: &Header,
    first: u8,
    fragment: Option<(u16, u16)>,
    content: &[u8],
    p: &Protection<'_>,
    iv: &[u8],
) -> Result<Vec<u8>, OpenError> {
    if iv.len() != p.cipher.iv_len() {
        return Err(OpenError::Length(iv.len()));
    }
    if p.sk_a.len() != icv_key_len(p) {
        return Err(OpenError::Key(p.sk_a.len()));
    }
    let icv_len = icv_len(p.cipher, p.integrity);
    let text_len = padded_len(p.cipher, content.len());
    let fields = if fragment.is_some() { FRAGMENT_FIELDS } else { 0 };
    let payload_len = GENERIC_LEN + fields + iv.len() + text_len + icv_len;
    let length = u16::try_from(payload_len).map_err(|_| OpenError::Room(u16::MAX.into()))?;

    let mut raw = head(header, if fragment.is_some() { SKF } else { SK }, payload_len);
    raw.extend([first, 0]);
    raw.extend(length.to_be_bytes());
    if let Some((number, total)) = fragment {
        raw.extend(number.to_be_bytes());
        raw.extend(total.to_be_bytes());
    }
    let mut text = content.to_vec();
    text.resize(text_len, 0);
    if let Some(pad_len) = text.last_mut() {
        *pad_len = (text_len - content.len() - 1) as u8;
    }
    // RFC 5282 §5.1: all from the IKE header up to the payload's own header, fragment fields included (RFC 7383 §2.5).
    let tag = crypto::encrypt(p.cipher, p.sk_e, iv, &raw, &mut text)?;
    raw.extend(iv);
    raw.extend(text);
    let icv = if p.cipher.is_aead() { tag } else { p.integrity.sign(p.sk_a, &[&raw]) };
    raw.extend(icv);
    Ok(raw)
}

/// With Pad Length and the least padding in front of it.
fn padded_len(cipher: Cipher, content: usize) -> usize {
    (content + 1).next_multiple_of(cipher.cipher_block_len())
}

fn icv_len(cipher: Cipher, integrity: Integrity) -> usize {
    if cipher.is_aead() { cipher.icv_len() } else { integrity.icv_len() }
}

fn icv_key_len(p: &Protection<'_>) -> usize {
    if p.cipher.is_aead() { p.sk_a.len() } else { p.integrity.key_len() }
}
