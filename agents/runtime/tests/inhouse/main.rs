//! The in-house gateway's thread in real namespaces, with a machine in it that wraps inner packets without encrypting them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;
mod lab;
mod life;
mod paths;
mod routes;
