//! A checked filter, ready to be evaluated.

use regex::bytes::Regex;

use super::fields::Field;
use super::literal::Const;

/// A node of the program.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// The empty filter.
    All,
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    /// The operand has a value.
    Present(Operand),
    Test(Box<Test>),
}

/// A comparison.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub left: Operand,
    pub relation: Relation,
    /// Must hold for every pair of values; otherwise one is enough.
    pub all: bool,
    pub right: Right,
}

/// A field, perhaps transformed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub field: Field,
    /// Parts of its octets, one after another; empty: the whole.
    pub slices: Vec<Slice>,
    pub function: Option<Function>,
    /// `field & mask`.
    pub mask: Option<u64>,
}

/// One part of a slice; negative positions count from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub from: i64,
    pub length: Length,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Octets(u32),
    /// Up to this position, included.
    To(i64),
    Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Len,
    Count,
    Lower,
    Upper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Contains,
    Matches,
    In,
    /// The masked value is not 0.
    NonZero,
}

/// What is compared with.
#[derive(Debug, Clone)]
pub(super) enum Right {
    Const(Const),
    Field(Operand),
    /// Ranges, both ends included; the bounds are equal for a single element.
    Set(Box<[(Const, Const)]>),
    Regex(Regex),
    Nothing,
}
