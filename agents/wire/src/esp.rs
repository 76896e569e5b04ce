//! Encapsulating Security Payload, RFC 4303, and its encapsulation in UDP, RFC 3948.

use crate::crypto::{self, Cipher, Integrity, OpenError};
use crate::reader::Reader;

/// Octets of SPI and sequence number.
pub const HEADER_LEN: usize = 8;

/// SPI and sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// SPI.
    pub spi: u32,
    /// Sequence number.
    pub seq: u32,
}

/// What an ESP packet carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Protocol of the data: 4 or 41 in tunnel mode, 59 in dummy packets.
    pub next_header: u8,
    /// The data, padding and trailer removed.
    pub data: Vec<u8>,
}

/// What a datagram on UDP/4500 is (RFC 3948 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulated<'a> {
    /// One octet 0xFF.
    Keepalive,
    /// IKE after the non-ESP marker.
    Ike(&'a [u8]),
    /// An ESP packet.
    Esp(&'a [u8]),
    /// Too short for any of these.
    Short,
}

/// Sorts the payload of a datagram on UDP/4500.
pub fn encapsulated(payload: &[u8]) -> Encapsulated<'_> {
    match payload {
        [0xff] => Encapsulated::Keepalive,
        [0, 0, 0, 0, ike @ ..] => Encapsulated::Ike(ike),
        _ if payload.len() < HEADER_LEN => Encapsulated::Short,
        _ => Encapsulated::Esp(payload),
    }
}

/// Reads the header.
pub fn parse(packet: &[u8]) -> Option<Header> {
    let mut r = Reader::new(packet);
    Some(Header { spi: r.u32()?, seq: r.u32()? })
}

/// Verifies and decrypts a whole ESP packet. `key` includes the salt of an AEAD or of CTR.
///
/// Extended sequence numbers are tried with a high half of 0: that is what a captured packet does not tell.
pub fn decrypt(packet: &[u8], cipher: Cipher, key: &[u8], integrity: Integrity, integrity_key: &[u8]) -> Result<Opened, OpenError> {
    let short = OpenError::Length(packet.len());
    let (header, rest) = packet.split_at_checked(HEADER_LEN).ok_or(short)?;
    let (iv, rest) = rest.split_at_checked(cipher.iv_len()).ok_or(short)?;
    let icv_len = if cipher.is_aead() { cipher.icv_len() } else { integrity.icv_len() };
    let (text, icv) = rest.len().checked_sub(icv_len).and_then(|n| rest.split_at_checked(n)).ok_or(short)?;
    let mut data = text.to_vec();
    if cipher.is_aead() {
        if crypto::decrypt(cipher, key, iv, header, &mut data, icv) == Err(OpenError::Icv) {
            data.copy_from_slice(text);
            let (spi, seq) = header.split_at(4);
            crypto::decrypt(cipher, key, iv, &[spi, &[0; 4], seq].concat(), &mut data, icv)?;
        }
    } else {
        let signed = [header, iv, text];
        let extended = [header, iv, text, &[0; 4]];
        if !integrity.verify(integrity_key, &signed, icv) && !integrity.verify(integrity_key, &extended, icv) {
            return Err(OpenError::Icv);
        }
        crypto::decrypt(cipher, key, iv, &[], &mut data, &[])?;
    }
    open_trailer(data, icv_len == 0)
}

/// Padding, pad length, next header (RFC 4303 §2.4–2.6).
fn open_trailer(mut data: Vec<u8>, unproven: bool) -> Result<Opened, OpenError> {
    let &[.., pad_len, next_header] = &data[..] else { return Err(OpenError::Padding) };
    let end = data.len() - 2;
    let start = end.checked_sub(pad_len.into()).ok_or(OpenError::Padding)?;
    // The default padding counts 1, 2, 3 …; it is all that can show a wrong key when there is no ICV.
    if unproven && data[start..end].iter().zip(1u8..).any(|(octet, n)| *octet != n) {
        return Err(OpenError::Padding);
    }
    data.truncate(start);
    Ok(Opened { next_header, data })
}
