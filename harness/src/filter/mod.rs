//! Display filters: a documented subset of Wireshark's language over our records (`docs/filters.md`).
//!
//! ```text
//! text ── lex ──► tokens ── parse, operand, literal ──► program ── eval ──► yes or no for a record
//!                                                         └────── kernel ──► clauses for packet-filter rules
//! ```
//!
//! `fields` is the table of names, and finds a field's values in a record; `analysis` computes once per capture what one
//! record alone cannot tell.

pub mod analysis;
pub mod fields;
pub mod kernel;

mod eval;
mod lex;
mod literal;
mod octets;
mod operand;
mod parse;
mod program;
mod value;
mod versions;

#[cfg(test)]
mod tests;

pub use analysis::Analysis;
pub use value::Value;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::dissect::Record;
use program::Node;

/// A parsed and checked filter.
#[derive(Clone)]
pub struct Filter {
    text: String,
    node: Node,
}

impl Filter {
    /// Parses and checks a filter. The empty text matches every frame, as in Wireshark.
    pub fn parse(text: &str) -> Result<Filter, FilterError> {
        Ok(Filter { text: text.to_owned(), node: parse::parse(text)? })
    }

    /// Does it select this record?
    pub fn matches(&self, record: &Record, analysis: &Analysis) -> bool {
        self.node.matches(record, analysis)
    }

    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Must the whole capture be analysed first? (`faultlab.lost` looks at later frames.)
    pub fn looks_ahead(&self) -> bool {
        self.node.uses(&|f| f == fields::Field::OwnLost)
    }

    /// Does it use a field that [`Analysis`] computes from other records?
    pub fn needs_analysis(&self) -> bool {
        use fields::Field as F;
        self.node.uses(&|f| matches!(f, F::OwnMessage | F::OwnRetransmission | F::OwnCopy | F::OwnTranslated | F::OwnLost))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.text).finish()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Filter) -> bool {
        self.text == other.text
    }
}

impl FromStr for Filter {
    type Err = FilterError;
    fn from_str(text: &str) -> Result<Filter, FilterError> {
        Filter::parse(text)
    }
}

impl Node {
    fn uses(&self, which: &dyn Fn(fields::Field) -> bool) -> bool {
        match self {
            Node::All => false,
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(|n| n.uses(which)),
            Node::Not(node) => node.uses(which),
            Node::Present(operand) => which(operand.field),
            Node::Test(test) => which(test.left.field) || matches!(&test.right, program::Right::Field(f) if which(f.field)),
        }
    }
}

/// A filter is wrong: where, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
pub struct FilterError {
    /// Octets of the filter's text that are wrong.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl FilterError {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> FilterError {
        FilterError { span, message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> FilterError {
        self.help = Some(help.into());
        self
    }
}
