//! From octets to a [`Message`]: the header and the chain of payloads.

use super::payload;
use super::{Body, Encryption, Message, Payload};
use crate::reader::Reader;

/// Octets of the ISAKMP header (RFC 2408 §3.1, RFC 7296 §3.1).
pub const HEADER_LEN: usize = 28;

/// Payloads read from one chain; a longer one is marked, and the rest is not read.
const MAX_PAYLOADS: usize = 512;

/// IKEv1's Encryption flag.
const FLAG_V1_ENCRYPTED: u8 = 0x01;

/// Reads one message. Never fails: what cannot be read is missing, and [`Message::malformed`] says why.
pub fn parse(bytes: &[u8]) -> Message {
    read(bytes, false)
}

/// Reads one message like Wireshark, for people: a payload that begins before the end that the header gives may go beyond it, and of
/// unknown versions the chain of payloads is followed, too. What is odd is marked as malformed.
pub fn parse_captured(bytes: &[u8]) -> Message {
    read(bytes, true)
}

fn read(bytes: &[u8], leniently: bool) -> Message {
    let mut message = Message {
        spi_i: 0,
        spi_r: 0,
        next_payload: 0,
        version: 0,
        exchange: 0,
        flags: 0,
        message_id: 0,
        length: 0,
        payloads: Vec::new(),
        encryption: Encryption::Clear,
        malformed: None,
    };
    if header(bytes, &mut message).is_none() {
        message.malformed = Some(format!("{} octets, an ISAKMP header has {HEADER_LEN}", bytes.len()));
        return message;
    }
    let length = usize::try_from(message.length).unwrap_or(usize::MAX);
    if length < HEADER_LEN {
        message.malformed = Some(format!("length field {length} is below the {HEADER_LEN} octets of the header"));
        return message;
    }
    if length > bytes.len() {
        message.malformed = Some(format!("length field {length}, but only {} octets are here", bytes.len()));
    }
    let end = if leniently { bytes.len() } else { length.min(bytes.len()) };
    let body = &bytes[HEADER_LEN..end];
    match message.major() {
        1 if message.flags & FLAG_V1_ENCRYPTED != 0 => message.encryption = Encryption::Opaque,
        // The layout of any other major version is not known (RFC 7296 §2.5).
        major if leniently || matches!(major, 1 | 2) => {
            let chain = chain_until(body, length - HEADER_LEN, message.next_payload, major, false);
            if chain.payloads.iter().any(|p| matches!(p.body, Body::Sk { .. } | Body::Skf { .. })) {
                message.encryption = Encryption::Opaque;
            }
            message.payloads = chain.payloads;
            // The header's complaint is the cause of what the chain then misses.
            message.malformed = message.malformed.take().or(chain.malformed);
        }
        _ => {}
    }
    message
}

fn header(bytes: &[u8], m: &mut Message) -> Option<()> {
    let mut r = Reader::new(bytes);
    m.spi_i = r.u64()?;
    m.spi_r = r.u64()?;
    m.next_payload = r.u8()?;
    m.version = r.u8()?;
    m.exchange = r.u8()?;
    m.flags = r.u8()?;
    m.message_id = r.u32()?;
    m.length = r.u32()?;
    Some(())
}

/// A chain of payloads as far as it could be followed.
pub(crate) struct Chain {
    pub(crate) payloads: Vec<Payload>,
    /// Octets after the payload whose Next Payload field was 0.
    pub(crate) rest: usize,
    /// A generic header could not be believed, so the chain ends early.
    pub(crate) broken: bool,
    /// First complaint.
    pub(crate) malformed: Option<String>,
}

/// Follows the chain of generic payload headers (RFC 2408 §3.2, RFC 7296 §3.2) that begins with type `next`.
pub(crate) fn chain(bytes: &[u8], next: u8, major: u8, inner: bool) -> Chain {
    chain_until(bytes, bytes.len(), next, major, inner)
}

/// Like [`chain`]; no payload begins at `end` or behind.
fn chain_until(bytes: &[u8], end: usize, mut next: u8, major: u8, inner: bool) -> Chain {
    let mut chain = Chain { payloads: Vec::new(), rest: bytes.len(), broken: false, malformed: None };
    let mut r = Reader::new(bytes);
    while next != 0 {
        let at = bytes.len() - r.len();
        let broken = |why: String| Some(format!("payload {next} at octet {at}: {why}"));
        let mut complaint = None;
        if at >= end && end < bytes.len() {
            complaint = broken("begins behind the end that the header gives".to_owned());
        } else if chain.payloads.len() == MAX_PAYLOADS {
            complaint = Some(format!("more than {MAX_PAYLOADS} payloads"));
        } else if let Some((following, flags, length)) = generic_header(&mut r) {
            let body = match usize::from(length).checked_sub(4).map(|n| r.take(n)) {
                None => {
                    complaint = broken(format!("length {length} is below 4"));
                    Body::Cut
                }
                Some(None) => {
                    complaint = broken(format!("length {length}, but {} octets are left", r.len() + 4));
                    Body::Cut
                }
                Some(Some(data)) => {
                    let (body, why) = payload::body(major, next, data);
                    chain.malformed = chain.malformed.take().or_else(|| broken(why?));
                    body
                }
            };
            // What follows an encrypted payload is inside it.
            let last = matches!(body, Body::Sk { .. } | Body::Skf { .. });
            let critical = major == 2 && flags & 0x80 != 0;
            chain.payloads.push(Payload { kind: next, next: following, critical, length, inner, body });
            next = if last { 0 } else { following };
        } else {
            complaint = broken("its header is cut short".to_owned());
        }
        if let Some(why) = complaint {
            chain.malformed.get_or_insert(why);
            chain.broken = true;
            break;
        }
    }
    chain.rest = r.len();
    if bytes.len() - chain.rest > end {
        chain.malformed.get_or_insert_with(|| format!("the payloads go beyond the end that the header gives, {end} octets"));
    }
    chain
}

fn generic_header(r: &mut Reader<'_>) -> Option<(u8, u8, u16)> {
    Some((r.u8()?, r.u8()?, r.u16()?))
}
