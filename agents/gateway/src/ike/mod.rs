//! IKEv2: RFC 7296 and the extensions that the gateway knows.
//!
//! - `sa.rs`: an IKE SA and its states; `window.rs`: message IDs, retransmission, fragments; `timer.rs`, `lifecycle.rs`: time
//! - `receive.rs`, `send.rs`: messages in and out; `content.rs`, `parts.rs`: payloads read and made; `misbehave.rs`: bent on purpose
//! - one file per exchange: `init.rs`, `intermediate.rs`, `auth.rs` with `eap.rs`, `certificates.rs` and `configuration.rs`,
//!   `create_child.rs` with `child.rs` and `child_selectors.rs`, `rekey_ike.rs`, `followup.rs`, `informational.rs`
//! - `proposal.rs`, `keys.rs`: algorithms and keying material; `natt.rs`: NAT traversal; `mobike.rs`: other addresses

mod auth;
mod certificates;
pub(crate) mod child;
mod child_selectors;
mod configuration;
mod content;
pub(crate) mod context;
mod create_child;
mod eap;
mod followup;
mod informational;
pub(crate) mod init;
mod intermediate;
mod keys;
mod lifecycle;
mod misbehave;
mod mobike;
mod natt;
pub(crate) mod numbers;
mod parts;
pub(crate) mod proposal;
mod receive;
mod rekey_ike;
pub(crate) mod sa;
mod send;
mod timer;
mod window;

pub(crate) use misbehave::arrivals;
pub(crate) use natt::NATT_PORT;
