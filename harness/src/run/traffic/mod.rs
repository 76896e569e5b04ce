//! Traffic steps and services of a plan, on the sockets of its nodes.

pub mod words;
