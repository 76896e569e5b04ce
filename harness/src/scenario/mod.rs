//! Scenario files: TOML text → checked [`model::Scenario`], all mistakes reported at once.
//!
//! [`load`] walks the TOML with positions (`walk`), checks every table against the vocabulary (`vocabulary`, `sections`),
//! resolves the network (`layout`) and builds the two sides (`plan`, `peers`). The rest of the program sees only the model.

mod authentication;
pub mod certificates;
mod check;
mod checked;
pub(crate) mod children;
pub(crate) mod defaults;
pub mod deviations;
pub mod diag;
mod floods;
mod forms;
pub mod gateway;
mod hosts;
pub mod layout;
pub mod library;
mod lines;
mod misbehaviour;
pub mod model;
mod moves;
mod needs;
mod options;
pub mod pairs;
pub(crate) mod peers;
mod plan;
mod prefixes;
pub mod reference;
mod rules;
pub mod sections;
mod settings;
mod source;
pub mod vocabulary;
pub(crate) mod walk;
mod wrong;

pub use check::load;
pub use diag::{Diagnostic, Diagnostics};
pub use misbehaviour::ACTIONS as MESSAGE_ACTIONS;
pub use source::Source;
pub use vocabulary::Vocabulary;
