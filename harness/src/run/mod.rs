//! Runs: from a plan to a verdict.

pub mod traffic;
