//! Faults that become packet-filter rules: rules that could never match.

use toml::Spanned;

use super::check::inner;
use super::walk::{Table, Walker};
use crate::filter::Filter;
use crate::filter::kernel::{Clause, clauses};
use crate::schema::Args;

/// Reports a rule that no packet can meet.
pub(super) fn check(walker: &mut Walker<'_>, entry: &Table<'_>, action: &str, args: &Args) {
    if !matches!(action, "drop" | "reject") {
        return;
    }
    let table = entry.get("do").and_then(|d| inner(d, action));
    let span = |key: &str| table.and_then(|t| t.get(key)).map(Spanned::span).unwrap_or_default();
    if args.count("which").is_some_and(|c| c.max == Some(0)) {
        let help = "write `which = 1` for the first; without `which` it meets them all".to_owned();
        walker.mistake("no-such-packet", span("which"), "packets are numbered from 1, so this rule would meet none", "", [help]);
    }
    let clauses = args.text("match").and_then(|text| clauses(&Filter::parse(text).ok()?).ok()).unwrap_or_default();
    if args.text("hook") == Some("out") && !clauses.is_empty() && clauses.iter().all(Clause::wants_fragment) {
        let help = "put the rule where the fragments come in: at the next node".to_owned();
        let message = "a node's packet filter sees what it sends before it is cut into fragments";
        walker.mistake("fragments-go-out", span("match"), message, "no packet would match", [help]);
    }
}
