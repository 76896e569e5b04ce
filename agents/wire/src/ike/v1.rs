//! Decryption of IKEv1, whose IVs depend on what went before: RFC 2409 §5 and appendix B.

use std::collections::{HashMap, VecDeque};

use super::decrypt::fail;
use super::parse::{HEADER_LEN, chain};
use super::{Body, Encryption, Message};
use crate::crypto::{self, Cipher, Hash};

/// ISAKMP SAs remembered; the oldest is forgotten first. Large, because a flood of first messages must not push out a live SA.
const MAX_SAS: usize = 8192;
/// Exchanges (message IDs) remembered per SA.
const MAX_EXCHANGES: usize = 256;
/// Ciphertext blocks remembered per exchange as possible next IVs.
const MAX_IVS: usize = 16;
/// Largest block of the ciphers in use.
const MAX_BLOCK: usize = 16;

/// What decryption of one ISAKMP SA needs.
#[derive(Debug, Clone, Copy)]
pub struct Secrets<'a> {
    /// Encryption (a CBC cipher).
    pub cipher: Cipher,
    /// Hash of the SA.
    pub hash: Hash,
    /// Key as used by the cipher.
    pub key: &'a [u8],
}

/// IV chains of all ISAKMP SAs seen. Feed every IKEv1 message in the order of capture, also those in the clear.
#[derive(Debug, Clone, Default)]
pub struct Chains {
    sas: HashMap<u64, Sa>,
    order: VecDeque<u64>,
}

/// State of one SA, found by its initiator's cookie.
#[derive(Debug, Clone, Default)]
struct Sa {
    ke_i: Vec<u8>,
    ke_r: Vec<u8>,
    exchanges: HashMap<u32, Exchange>,
    order: VecDeque<u32>,
}

/// Ends of the ciphertexts of an exchange's messages, in order. The last block of any may turn out to be the IV of the next
/// message. Which one it is, is found by trying, newest first; so neither a retransmission nor a lost or forged message can break
/// the chain.
#[derive(Debug, Clone, Default)]
struct Exchange {
    ivs: VecDeque<Vec<u8>>,
}

impl Chains {
    /// Takes note of `message` and, when it is encrypted and `secrets` are known, decrypts it.
    pub fn handle(&mut self, message: &mut Message, raw: &[u8], secrets: Option<Secrets<'_>>) {
        if message.major() != 1 {
            return;
        }
        if message.encryption == Encryption::Clear {
            if message.payloads.iter().any(|p| matches!(p.body, Body::Ke { .. })) {
                self.sa(message.spi_i).note_key_exchange(message);
            }
            return;
        }
        let sa = self.sa(message.spi_i);
        match secrets {
            Some(secrets) => sa.decrypt(message, raw, secrets),
            // Keys may come in the middle of an exchange.
            None => sa.note_block(message.message_id, ciphertext(message, raw)),
        }
    }

    fn sa(&mut self, cookie_i: u64) -> &mut Sa {
        if !self.sas.contains_key(&cookie_i) {
            if self.order.len() == MAX_SAS
                && let Some(oldest) = self.order.pop_front()
            {
                self.sas.remove(&oldest);
            }
            self.order.push_back(cookie_i);
        }
        self.sas.entry(cookie_i).or_default()
    }
}

impl Sa {
    /// The first public value is the initiator's, the next different one the responder's.
    fn note_key_exchange(&mut self, message: &Message) {
        for payload in &message.payloads {
            let Body::Ke { data, .. } = &payload.body else { continue };
            if self.ke_i.is_empty() {
                self.ke_i.clone_from(data);
            } else if *data != self.ke_i {
                self.ke_r.clone_from(data);
            }
        }
    }

    fn decrypt(&mut self, message: &mut Message, raw: &[u8], secrets: Secrets<'_>) {
        let block = secrets.cipher.block_len();
        let text = ciphertext(message, raw);
        if text.is_empty() || !text.len().is_multiple_of(block) {
            return fail(message);
        }
        let plain = self.ivs(message.message_id, secrets).iter().find_map(|iv| {
            let mut data = text.to_vec();
            crypto::decrypt(secrets.cipher, secrets.key, iv, &[], &mut data, &[]).ok()?;
            let inner = chain(&data, message.next_payload, 1, true);
            sound(message, &inner, &data).then_some(inner)
        });
        let Some(inner) = plain else { return fail(message) };
        message.payloads.extend(inner.payloads);
        message.encryption = Encryption::Decrypted;
        if let Some(why) = inner.malformed {
            message.malformed.get_or_insert_with(|| format!("inside the encrypted part: {why}"));
        }
        self.note_block(message.message_id, text);
    }

    /// IVs to try, the likeliest first.
    fn ivs(&self, message_id: u32, secrets: Secrets<'_>) -> Vec<Vec<u8>> {
        let cut = |mut iv: Vec<u8>| {
            iv.truncate(secrets.cipher.block_len());
            iv
        };
        let last_block = |iv: &Vec<u8>| iv[iv.len().saturating_sub(secrets.cipher.block_len())..].to_vec();
        let blocks = |id: u32| self.exchanges.get(&id).into_iter().flat_map(|e| e.ivs.iter().rev()).map(last_block);
        // Phase 1 begins with HASH(g^xi | g^xr).
        let phase1 = blocks(0).chain([cut(secrets.hash.digest(&[&self.ke_i[..], &self.ke_r].concat()))]);
        if message_id == 0 {
            return phase1.collect();
        }
        // Every other exchange begins with HASH(last phase 1 block | message ID).
        let first = phase1.map(|last| cut(secrets.hash.digest(&[&last[..], &message_id.to_be_bytes()].concat())));
        blocks(message_id).chain(first).collect()
    }

    fn note_block(&mut self, message_id: u32, text: &[u8]) {
        let block = &text[text.len().saturating_sub(MAX_BLOCK)..];
        if !self.exchanges.contains_key(&message_id) {
            if self.order.len() == MAX_EXCHANGES {
                // Phase 1 is needed as long as the SA lives.
                let oldest = self.order.iter().position(|id| *id != 0).and_then(|i| self.order.remove(i));
                oldest.and_then(|id| self.exchanges.remove(&id));
            }
            self.order.push_back(message_id);
        }
        let ivs = &mut self.exchanges.entry(message_id).or_default().ivs;
        if ivs.iter().any(|iv| iv == block) {
            return;
        }
        if ivs.len() == MAX_IVS {
            ivs.pop_front();
        }
        ivs.push_back(block.to_vec());
    }
}

fn ciphertext<'a>(message: &Message, raw: &'a [u8]) -> &'a [u8] {
    let end = usize::try_from(message.length).unwrap_or(usize::MAX).min(raw.len());
    raw.get(HEADER_LEN..end).unwrap_or_default()
}

/// Could this be what the sender wrote? Encryption in IKEv1 proves nothing by itself.
fn sound(message: &Message, inner: &super::parse::Chain, data: &[u8]) -> bool {
    const QUICK_MODE: u8 = 32;
    const INFORMATIONAL: u8 = 5;
    const TRANSACTION: u8 = 6;
    const HASH: u8 = 8;
    let known = |kind: u8| matches!(kind, 1 | 4..=14 | 20 | 21 | 130..=132);
    // RFC 2409 §5.5, §5.7: all but phase 1 begin with a HASH payload.
    let begins_well = match message.exchange {
        QUICK_MODE | INFORMATIONAL | TRANSACTION => message.next_payload == HASH,
        _ => true,
    };
    let mut at = 0;
    let reserved_is_zero = inner.payloads.iter().all(|p| {
        let octet = data.get(at + 1);
        at += usize::from(p.length);
        octet == Some(&0)
    });
    // Padding fills the last block; some implementations add a few more blocks (up to 255 octets).
    begins_well
        && !inner.broken
        && !inner.payloads.is_empty()
        && reserved_is_zero
        && inner.rest <= 255
        && inner.payloads.iter().all(|p| known(p.kind))
}
