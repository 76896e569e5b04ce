//! Certificate authorities and certificates for scenarios: good ones, and ones with a flaw. The same seed gives the same octets.
//!
//! ```text
//!  Hierarchy::new ─▶ root ─▶ intermediate … ─▶ Hierarchy::issue ─▶ Credentials: chain, private key, anchors
//!                    Authority::root, ::subordinate, ::issue with a Template do the same step by step
//! ```
//!
//! It reads no clock and draws no randomness of its own. The keys are for a lab: whoever knows the seed knows them.

mod authority;
mod hierarchy;
mod key;
mod rng;
mod template;
#[cfg(test)]
mod tests;

pub use authority::{Authority, Issued};
pub use hierarchy::{Credentials, Flaw, Hierarchy};
pub use key::{Key, KeyType};
pub use rng::Rng;
pub use template::{AltName, KeyPurpose, Template, Validity};
