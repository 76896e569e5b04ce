//! Traffic steps and services of a plan, on the sockets of its nodes.

pub mod health;
pub mod services;
pub mod steps;
pub mod words;

use std::sync::Arc;

use runtime::Sockets;

/// Gives access to the sockets of nodes.
pub trait Nodes {
    /// Sockets of a node.
    fn sockets(&self, node: &str) -> Option<Arc<dyn Sockets>>;
}
