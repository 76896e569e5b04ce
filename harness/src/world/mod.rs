//! The world that carries the packets: cells, nodes, links, faults.

pub mod build;
pub mod cell;
pub mod faults;
pub mod kernel;
pub mod namespaces;
pub mod node;
pub mod pocket;
pub mod probe;

pub use build::{World, WorldError};
pub use node::NodeHandle;
