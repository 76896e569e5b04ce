//! The in-house gateway: IKEv2 (RFC 7296) and ESP (RFC 4303) without any input or output of its own.
//!
//! ```text
//!  UDP 500, 4500 ─▶ handle_udp ─┐                       ┌─▶ poll_effect: datagrams, events, routes, keys, log
//!  IP protocol 50 ─▶ handle_esp ─┼─▶ Gateway ─▶ IkeSa … ─┤
//!  inner packets ─▶ handle_inner ┘      └─▶ DataPath ────┴─▶ Verdict: what became of this packet, now
//!                                                           poll_timeout: when, and why, to call handle_timeout
//! ```
//!
//! It reads no clock and draws no randomness of its own: the same seed and the same inputs give the same octets. Feed it with
//! `handle_*`, then call [`Gateway::poll_effect`] until it is empty and [`Gateway::sent`] when all of that is done, and
//! [`Gateway::handle_timeout`] when [`Gateway::poll_timeout`] says so. Any bytes at all may be fed to it.

mod commands;
pub mod crypto;
pub mod esp;
mod front;
mod gateway;
mod ike;
mod selector;
mod time;

pub use gateway::{Command, Effect, Gateway, LogEntry, Outer, Verdict};
pub use selector::Selector;
pub use time::Time;
