//! A scenario file's sections after checking, before they become plans.

use std::collections::BTreeMap;
use std::ops::Range;

use super::children::Spans;
use super::layout::Layout;
use super::model::{Fault, Service, Step};
use crate::schema::Args;

/// Sections that are right one by one; whether they make sense together is for `plan` to say.
pub(super) struct Checked {
    pub scenario: Args,
    pub network: Args,
    pub network_span: Range<usize>,
    pub layout: Layout,
    pub health: Args,
    pub gateways: BTreeMap<String, Args>,
    /// Where each gateway's settings are in the file; absent: nowhere.
    pub gateway_spans: BTreeMap<String, Range<usize>>,
    /// Where children are named.
    pub child_spans: Spans,
    pub services: Vec<Service>,
    pub faults: Vec<Fault>,
    pub steps: Vec<Step>,
    /// Where steps name hosts.
    pub host_spans: Vec<HostSpan>,
    pub initiator: Option<String>,
    pub expects: Vec<CheckedExpect>,
    pub fix: Option<Fix>,
    /// Where the file's first fault is, for messages about its presence.
    pub fault_span: Option<Range<usize>>,
    pub scenario_span: Range<usize>,
    /// The file has an `expect`, right or wrong.
    pub has_expects: bool,
    /// The file has a `fix`, right or wrong.
    pub has_fix: bool,
}

/// Where a step names a host.
pub(super) struct HostSpan {
    /// Index of the step.
    pub step: usize,
    /// Its key: `to`, `server`.
    pub key: &'static str,
    pub span: Range<usize>,
}

/// An `[[expect]]`.
pub(super) struct CheckedExpect {
    pub symptom: String,
    pub args: Args,
    pub persists: bool,
    pub line: u32,
}

/// `[fix]`.
pub(super) struct Fix {
    pub about: String,
    pub without: Vec<String>,
    pub gateways: BTreeMap<String, Args>,
    pub also: Vec<Fault>,
    pub expects: Vec<CheckedExpect>,
    pub span: Range<usize>,
}
