//! Pure codecs for what IPsec puts on the wire: IKEv1 and IKEv2 messages, ESP, AH, UDP encapsulation.
//!
//! IKEv2 messages are written on two levels: [`ike::emit`] makes well-formed ones out of meanings, [`ike::bend`] alters octets.
//!
//! Nothing here opens a socket, reads a clock or draws a random number. Any bytes at all may be fed to any parser:
//! the answer is a (perhaps partial, then marked) record, never a panic.

pub mod ah;
pub mod crypto;
pub mod esp;
pub mod ike;
pub mod natd;
mod reader;
