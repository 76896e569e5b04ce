//! Talking to the kernel: netlink in its dialects, sysctl.

pub mod conntrack;
pub mod links;
pub mod nft;
pub mod ready;
pub mod routes;
pub mod sysctl;
pub mod xfrm;

pub use ::netlink;
