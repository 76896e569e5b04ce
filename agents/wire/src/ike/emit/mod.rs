//! From meanings to octets: IKEv2 messages (RFC 7296 §3), protected ones included. What [`super::parse()`] reads back is what was given.
//!
//! This is the level whose results are well formed. What does not fit into a length field is cut to what does: 255 octets of an SPI,
//! 65,531 of a payload's body, 255 transforms of a proposal.

mod body;
mod seal;
#[cfg(test)]
mod tests;

pub use seal::{Protection, seal, seal_fragments, sealed_len};

use super::{Body, Payload};

/// Payload type of SK (RFC 7296 §3.14).
pub(crate) const SK: u8 = 46;
/// Payload type of SKF (RFC 7383 §2.5).
pub(crate) const SKF: u8 = 53;
const NOTIFY: u8 = 41;
/// Octets of the generic payload header (RFC 7296 §3.2).
pub(crate) const GENERIC_LEN: usize = 4;

/// The fields of the IKE header that do not follow from what comes after it (RFC 7296 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Initiator's SPI.
    pub spi_i: u64,
    /// Responder's SPI; 0 in a first message.
    pub spi_r: u64,
    /// Version octet: 0x20.
    pub version: u8,
    /// Exchange type.
    pub exchange: u8,
    /// Flags octet: 0x08 Initiator, 0x20 Response.
    pub flags: u8,
    /// Message ID.
    pub message_id: u32,
}

/// One payload to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Payload type; 0 is none and would end the chain.
    pub kind: u8,
    /// Critical bit.
    pub critical: bool,
    /// Meaning. SK and SKF are written as zeros: [`seal()`] makes those.
    pub body: Body,
}

impl Part {
    /// A payload without the critical bit, which all payloads of RFC 7296 leave clear (§2.5).
    pub fn new(kind: u8, body: Body) -> Part {
        Part { kind, critical: false, body }
    }

    /// A notification (RFC 7296 §3.10): `protocol` is 0 when it is about no particular SA, `spi` then empty.
    pub fn notify(protocol: u8, spi: &[u8], kind: u16, data: &[u8]) -> Part {
        Part::new(NOTIFY, Body::Notify { protocol, spi: spi.to_vec(), kind, data: data.to_vec() })
    }
}

impl From<&Payload> for Part {
    fn from(payload: &Payload) -> Part {
        Part { kind: payload.kind, critical: payload.critical, body: payload.body.clone() }
    }
}

/// First payload's type (0 when there is none) and the octets of the chain.
pub fn chain(parts: &[Part]) -> (u8, Vec<u8>) {
    let mut octets = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let next = parts.get(index + 1).map_or(0, |p| p.kind);
        let start = octets.len();
        octets.extend([next, if part.critical { 0x80 } else { 0 }, 0, 0]);
        body::emit(&part.body, &mut octets);
        close(&mut octets, start);
    }
    (parts.first().map_or(0, |p| p.kind), octets)
}

/// A whole message in clear: the header, then `chain`, which begins with a payload of type `first`.
pub fn message(header: &Header, first: u8, chain: &[u8]) -> Vec<u8> {
    let mut octets = head(header, first, chain.len());
    octets.extend(chain);
    octets
}

/// The IKE header of a message with `body` octets after it.
fn head(header: &Header, first: u8, body: usize) -> Vec<u8> {
    let length = u32::try_from(super::parse::HEADER_LEN + body).unwrap_or(u32::MAX);
    let mut octets = Vec::with_capacity(super::parse::HEADER_LEN + body);
    octets.extend(header.spi_i.to_be_bytes());
    octets.extend(header.spi_r.to_be_bytes());
    octets.extend([first, header.version, header.exchange, header.flags]);
    octets.extend(header.message_id.to_be_bytes());
    octets.extend(length.to_be_bytes());
    octets
}

/// Writes the length of the structure that begins at `start`, and ends where `octets` ends, into its third and fourth octet.
/// What is longer than the field can say is cut.
fn close(octets: &mut Vec<u8>, start: usize) {
    octets.truncate(start + usize::from(u16::MAX));
    let length = u16::try_from(octets.len() - start).unwrap_or(u16::MAX);
    if let Some(field) = octets.get_mut(start + 2..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}
