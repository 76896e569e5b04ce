//! The world that carries the packets: cells, nodes, links, faults.

pub mod faults;
