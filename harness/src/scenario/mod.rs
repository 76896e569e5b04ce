//! Scenario files: TOML text → checked [`model::Scenario`], all mistakes reported at once.

pub mod gateway;
pub mod model;
