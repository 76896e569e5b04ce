//! Alterations of a whole message's octets: its header (RFC 7296 §3.1), and what is encrypted.

use super::set_octet;
use crate::ike::emit::{self, Header, Part};
use crate::ike::{decrypt, parse};

/// Another initiator's SPI.
pub fn set_spi_i(message: &mut [u8], spi: u64) -> bool {
    set(message, 0, spi.to_be_bytes())
}

/// Another responder's SPI.
pub fn set_spi_r(message: &mut [u8], spi: u64) -> bool {
    set(message, 8, spi.to_be_bytes())
}

/// Another version octet.
pub fn set_version(message: &mut [u8], version: u8) -> bool {
    set(message, 17, [version])
}

/// Another exchange type.
pub fn set_exchange(message: &mut [u8], exchange: u8) -> bool {
    set(message, 18, [exchange])
}

/// Inverts these flag bits.
pub fn flip_flags(message: &mut [u8], bits: u8) -> bool {
    set_octet(message, 19, |flags| flags ^ bits)
}

/// Another message ID.
pub fn set_message_id(message: &mut [u8], id: u32) -> bool {
    set(message, 20, id.to_be_bytes())
}

/// Makes the header's length field larger or smaller, down to 0; there are as many octets as before.
pub fn add_to_length(message: &mut [u8], by: i32) -> bool {
    let Some(field) = message.get_mut(24..).and_then(<[u8]>::first_chunk_mut::<4>) else { return false };
    let before = u32::from_be_bytes(*field);
    *field = before.saturating_add_signed(by).to_be_bytes();
    by != 0
}

/// Inverts an octet in the middle of the encrypted part (IV, ciphertext, ICV): whoever has the keys sees that the integrity check
/// fails.
pub fn corrupt_encrypted(message: &mut [u8]) -> bool {
    let Some(body) = decrypt::encrypted_body(&parse(message)) else { return false };
    set_octet(message, body.start + body.len() / 2, |octet| !octet)
}

/// A notification in clear, whatever the state of the IKE SA, to take a message's place.
pub fn notify_in_clear(header: &Header, kind: u16) -> Vec<u8> {
    let (first, chain) = emit::chain(&[Part::notify(0, &[], kind, &[])]);
    emit::message(header, first, &chain)
}

fn set<const N: usize>(message: &mut [u8], at: usize, value: [u8; N]) -> bool {
    let Some(field) = message.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<N>) else { return false };
    std::mem::replace(field, value) != value
}
