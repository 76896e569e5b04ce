//! Collects the fragments of encrypted IKEv2 messages (RFC 7383 §2.6) in bounded memory.

use std::collections::VecDeque;

use super::decrypt::{self, Plaintext, append_inner, fail};
use super::{Body, Encryption, Message};
use crate::crypto::{Cipher, Integrity, OpenError};

/// Messages collected at the same time; the oldest is forgotten first.
const MAX_MESSAGES: usize = 64;
/// Fragments of one message; larger totals are not collected.
const MAX_FRAGMENTS: u16 = 512;
/// Plaintext octets of one message.
const MAX_OCTETS: usize = 1 << 18;

/// Messages of which some fragments are still missing.
#[derive(Debug, Clone, Default)]
pub struct Fragments {
    pending: VecDeque<Pending>,
}

/// Who sent which message, seen where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    place: u64,
    spi_i: u64,
    spi_r: u64,
    message_id: u32,
    flags: u8,
    total: u16,
}

#[derive(Debug, Clone)]
struct Pending {
    key: Key,
    first: u8,
    parts: Vec<Option<Vec<u8>>>,
    octets: usize,
}

impl Fragments {
    /// Decrypts `message` like [`decrypt::decrypt_v2`]. If it is the last missing fragment, the inner payloads of the whole message
    /// are appended to it. `place` keeps apart what was captured at different points.
    #[allow(clippy::too_many_arguments)] // five of them are one set of keys
    pub fn decrypt(
        &mut self,
        place: u64,
        message: &mut Message,
        raw: &[u8],
        cipher: Cipher,
        integrity: Integrity,
        sk_e: &[u8],
        sk_a: &[u8],
    ) {
        if !message.payloads.iter().any(|p| matches!(p.body, Body::Skf { .. })) {
            return decrypt::decrypt_v2(message, raw, cipher, integrity, sk_e, sk_a);
        }
        match self.open(place, message, raw, cipher, integrity, sk_e, sk_a) {
            Some(Ok(whole)) => {
                message.encryption = Encryption::Decrypted;
                if let Some(whole) = whole {
                    append_inner(message, &whole, false);
                }
            }
            _ => fail(message),
        }
    }

    /// Verifies and decrypts the SK or SKF payload of `message`, `None` when it has neither. Inside is the plaintext of the whole
    /// message, or nothing as long as fragments are missing; [`Message::append`] reads it.
    #[allow(clippy::too_many_arguments)] // five of them are one set of keys
    pub fn open(
        &mut self,
        place: u64,
        message: &mut Message,
        raw: &[u8],
        cipher: Cipher,
        integrity: Integrity,
        sk_e: &[u8],
        sk_a: &[u8],
    ) -> Option<Result<Option<Plaintext>, OpenError>> {
        let plain = match decrypt::open_v2(message, raw, cipher, integrity, sk_e, sk_a)? {
            Ok(plain) => plain,
            Err(e) => return Some(Err(e)),
        };
        let fragment = message.payloads.iter().find_map(|p| match p.body {
            Body::Skf { number, total, .. } => Some((number, total)),
            _ => None,
        });
        Some(Ok(match fragment {
            Some((number, total)) => self.add(place, message, number, total, plain),
            None => Some(plain),
        }))
    }

    fn add(&mut self, place: u64, message: &mut Message, number: u16, total: u16, plain: Plaintext) -> Option<Plaintext> {
        if number == 0 || number > total || total > MAX_FRAGMENTS {
            message.malformed.get_or_insert_with(|| format!("fragment {number} of {total} cannot be collected"));
            return None;
        }
        let key = Key { place, spi_i: message.spi_i, spi_r: message.spi_r, message_id: message.message_id, flags: message.flags, total };
        let index = match self.pending.iter().position(|p| p.key == key) {
            Some(index) => index,
            None => {
                if self.pending.len() == MAX_MESSAGES {
                    self.pending.pop_front();
                }
                self.pending.push_back(Pending { key, first: 0, parts: vec![None; total.into()], octets: 0 });
                self.pending.len() - 1
            }
        };
        let pending = self.pending.get_mut(index)?;
        if number == 1 {
            pending.first = plain.first;
        }
        let part = pending.parts.get_mut(usize::from(number) - 1)?;
        if part.is_none() {
            pending.octets += plain.data.len();
            *part = Some(plain.data);
        }
        let too_large = pending.octets > MAX_OCTETS;
        if too_large || pending.parts.iter().all(Option::is_some) {
            let done = self.pending.remove(index)?;
            return (!too_large).then(|| Plaintext { first: done.first, data: done.parts.into_iter().flatten().flatten().collect() });
        }
        None
    }
}
