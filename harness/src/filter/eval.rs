//! Evaluates a filter on a record. No allocation, but for slices of several parts, `lower()` and `upper()`.

use std::cmp::Ordering;

use super::Analysis;
use super::literal::Const;
use super::program::{Function, Length, Node, Operand, Relation, Right, Slice, Test};
use super::value::{Sink, Value};
use crate::dissect::Record;

impl Node {
    pub(super) fn matches(&self, record: &Record, analysis: &Analysis) -> bool {
        match self {
            Node::All => true,
            Node::And(nodes) => nodes.iter().all(|n| n.matches(record, analysis)),
            Node::Or(nodes) => nodes.iter().any(|n| n.matches(record, analysis)),
            Node::Not(node) => !node.matches(record, analysis),
            // A slice that does not fit is no value to be there.
            Node::Present(operand) if !operand.slices.is_empty() => {
                operand.visit(record, analysis, &mut |value| octets(value).is_some_and(|o| !o.is_empty()))
            }
            Node::Present(operand) => operand.visit(record, analysis, &mut |_| true),
            Node::Test(test) => test.matches(record, analysis),
        }
    }
}

impl Test {
    fn matches(&self, record: &Record, analysis: &Analysis) -> bool {
        // "All" is: there are pairs, and none fails. Then the visit stops at the first pair that does.
        let mut pairs = false;
        let stopped = match &self.right {
            Right::Field(right) => self.left.visit(record, analysis, &mut |l| {
                right.visit(record, analysis, &mut |r| {
                    pairs = true;
                    self.decides(self.relation.holds(order(l, r), || contains(l, r)))
                })
            }),
            _ => self.left.visit(record, analysis, &mut |l| {
                pairs = true;
                self.decides(self.holds(l))
            }),
        };
        if self.all { pairs && !stopped } else { stopped }
    }

    fn decides(&self, held: bool) -> bool {
        held != self.all
    }

    fn holds(&self, left: Value<'_>) -> bool {
        match &self.right {
            Right::Const(c) => self.relation.holds(order_const(left, c), || contains_const(left, c)),
            Right::Set(ranges) => ranges.iter().any(|(from, to)| {
                order_const(left, from).is_some_and(Ordering::is_ge) && order_const(left, to).is_some_and(Ordering::is_le)
            }),
            Right::Regex(regex) => octets(left).is_some_and(|o| !o.is_empty() && regex.is_match(o)),
            Right::Nothing => matches!(left, Value::Uint(n) if n != 0),
            Right::Field(_) => false,
        }
    }
}

impl Relation {
    fn holds(self, order: Option<Ordering>, contains: impl FnOnce() -> bool) -> bool {
        match (self, order) {
            (Relation::Contains, _) => contains(),
            (Relation::Ne, None) => true,
            (_, None) => false,
            (Relation::Eq, Some(o)) => o.is_eq(),
            (Relation::Ne, Some(o)) => o.is_ne(),
            (Relation::Gt, Some(o)) => o.is_gt(),
            (Relation::Lt, Some(o)) => o.is_lt(),
            (Relation::Ge, Some(o)) => o.is_ge(),
            (Relation::Le, Some(o)) => o.is_le(),
            (Relation::Matches | Relation::In | Relation::NonZero, _) => false,
        }
    }
}

impl Operand {
    fn visit(&self, record: &Record, analysis: &Analysis, sink: &mut Sink<'_>) -> bool {
        if self.slices.is_empty() && self.function.is_none() && self.mask.is_none() {
            return self.field.visit(record, analysis, sink);
        }
        let mut count = 0;
        let stopped = self.field.visit(record, analysis, &mut |value| {
            count += 1;
            self.function != Some(Function::Count) && self.transform(value, sink)
        });
        match self.function {
            // A field that is not there makes the whole test false, rather than count 0.
            Some(Function::Count) => count > 0 && sink(Value::Uint(count)),
            _ => stopped,
        }
    }

    fn transform(&self, value: Value<'_>, sink: &mut Sink<'_>) -> bool {
        let text = matches!(value, Value::Text(_));
        match (self.slices.as_slice(), value) {
            ([], _) => self.apply(value, sink),
            (parts, Value::Ipv4(a)) => sliced(&a.to_be_bytes(), parts, text, &mut |v| self.apply(v, sink)),
            (parts, Value::Ipv6(a)) => sliced(&a.to_be_bytes(), parts, text, &mut |v| self.apply(v, sink)),
            (parts, Value::Bytes(b)) => sliced(b, parts, text, &mut |v| self.apply(v, sink)),
            (parts, Value::Text(t)) => sliced(t.as_bytes(), parts, text, &mut |v| self.apply(v, sink)),
            _ => false,
        }
    }

    fn apply(&self, value: Value<'_>, sink: &mut Sink<'_>) -> bool {
        let value = match (self.mask, value) {
            (Some(mask), Value::Uint(n)) => Value::Uint(n & mask),
            (Some(mask), Value::Bool(b)) => Value::Uint(u64::from(b) & mask),
            _ => value,
        };
        match (self.function, value) {
            (Some(Function::Len), _) => sink(Value::Uint(octets(value).map_or(0, <[u8]>::len) as u64)),
            (Some(Function::Lower), Value::Text(t)) => sink(Value::Text(&t.to_ascii_lowercase())),
            (Some(Function::Upper), Value::Text(t)) => sink(Value::Text(&t.to_ascii_uppercase())),
            _ => sink(value),
        }
    }
}

/// Hands the slice to `sink`. It ends before the first part that does not fit into the octets, as in Wireshark.
fn sliced(octets: &[u8], parts: &[Slice], text: bool, sink: &mut Sink<'_>) -> bool {
    let mut whole = Vec::new();
    let result = match parts {
        [one] => one.of(octets).unwrap_or_default(),
        _ => {
            parts.iter().map_while(|part| part.of(octets)).for_each(|part| whole.extend_from_slice(part));
            whole.as_slice()
        }
    };
    match text {
        true => std::str::from_utf8(result).is_ok_and(|t| sink(Value::Text(t))),
        false => sink(Value::Bytes(result)),
    }
}

impl Slice {
    fn of(self, octets: &[u8]) -> Option<&[u8]> {
        let position = |p: i64| {
            let from_end = i64::try_from(octets.len()).ok()?.checked_add(p)?;
            usize::try_from(if p < 0 { from_end } else { p }).ok()
        };
        let from = position(self.from)?;
        let end = match self.length {
            Length::Octets(n) => from.checked_add(n as usize)?,
            Length::To(last) => position(last)?.checked_add(1)?,
            Length::Rest => octets.len(),
        };
        octets.get(from..end)
    }
}

fn order(l: Value<'_>, r: Value<'_>) -> Option<Ordering> {
    match (l, r) {
        (Value::Uint(l), Value::Uint(r)) => Some(l.cmp(&r)),
        (Value::Bool(l), Value::Bool(r)) => Some(l.cmp(&r)),
        (Value::Ipv4(l), Value::Ipv4(r)) => Some(l.cmp(&r)),
        (Value::Ipv6(l), Value::Ipv6(r)) => Some(l.cmp(&r)),
        (Value::Nanos(l), Value::Nanos(r)) => Some(l.cmp(&r)),
        _ => Some(octets(l)?.cmp(octets(r)?)),
    }
}

fn order_const(l: Value<'_>, r: &Const) -> Option<Ordering> {
    match (l, r) {
        (Value::Uint(l), Const::Uint(r)) => Some(l.cmp(r)),
        (Value::Bool(l), Const::Bool(r)) => Some(l.cmp(r)),
        (Value::Ipv4(l), Const::Ipv4(r, mask)) => Some((l & mask).cmp(&(r & mask))),
        (Value::Ipv6(l), Const::Ipv6(r, mask)) => Some((l & mask).cmp(&(r & mask))),
        (Value::Nanos(l), Const::Nanos(r)) => Some(l.cmp(r)),
        (_, Const::Bytes(r)) => Some(octets(l)?.cmp(r)),
        (_, Const::Text(r)) => Some(octets(l)?.cmp(r.as_bytes())),
        _ => None,
    }
}

fn contains(l: Value<'_>, r: Value<'_>) -> bool {
    match (l, r) {
        // As in Wireshark: an empty right side is in every left side that is not empty.
        (Value::Bytes(l), Value::Bytes([])) => !l.is_empty(),
        _ => matches!((octets(l), octets(r)), (Some(l), Some(r)) if find(l, r)),
    }
}

fn contains_const(l: Value<'_>, r: &Const) -> bool {
    match (octets(l), r) {
        (Some(l), Const::Bytes(r)) => find(l, r),
        (Some(l), Const::Text(r)) => find(l, r.as_bytes()),
        _ => false,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|w| w == needle)
}

fn octets(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Bytes(b) => Some(b),
        Value::Text(t) => Some(t.as_bytes()),
        _ => None,
    }
}
