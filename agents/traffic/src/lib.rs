//! Pure probes and application dialogues: octets in, octets out. No socket, no clock, no randomness of its own.

pub mod dns;
pub mod echo;
pub mod http;
pub mod pattern;
