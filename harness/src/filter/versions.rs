//! Refuses comparisons that Wireshark 4.0, 4.4 and 4.6 understand differently, and says what to write instead.

use std::ops::Range;

use super::FilterError;
use super::fields::{Field, Kind};
use super::literal::Const;
use super::program::{Function, Length, Operand, Relation, Right, Test};

/// Refuses a test on which the versions do not agree; `left` and `right` are where its sides stand.
pub(super) fn check(test: &Test, left: &Range<usize>, right: &Range<usize>) -> Result<(), FilterError> {
    let error = |message: &str, help: String| Err(FilterError::new(left.start..right.end, message).help(help));
    let (operand, name) = (&test.left, test.left.field.info().name);
    if test.relation == Relation::In {
        if !operand.is_field() {
            return error("only a field can be tested for membership in a set", "compare with each value, joined by ||".into());
        }
        if test.all {
            return error(
                "Wireshark 4.0 asks here whether one element is equal to all values, 4.4 whether all values are elements",
                format!("write comparisons: all {name} >= 1 && all {name} <= 9"),
            );
        }
    }
    if matches!(test.relation, Relation::Contains | Relation::Matches) && operand.is_field() && beyond_its_end(operand.field) {
        return error(
            &format!("Wireshark also looks behind the octets of {name} here"),
            format!("write frame, udp.payload, or a slice of {name}"),
        );
    }
    let empty = match &test.right {
        Right::Const(Const::Text(text)) => text.is_empty(),
        Right::Const(Const::Bytes(octets)) => octets.is_empty(),
        _ => false,
    };
    if empty && test.relation == Relation::Contains {
        return error(
            "Wireshark finds an empty string in octets, but not in strings or protocols",
            format!("write {name}, which asks whether it is there"),
        );
    }
    let sliced_text = |o: &Operand| o.field.info().kind == Kind::Text && !o.slices.is_empty();
    if test.relation == Relation::Contains && other(test).is_some_and(sliced_text) {
        return error(
            "Wireshark 4.0 and 4.4 differ here when the slice on the right is empty",
            format!("write a string: {name} contains \"…\""),
        );
    }
    if let Some(other) = other(test) {
        if [operand, other].iter().any(|o| o.function == Some(Function::Count)) {
            return error("Wireshark 4.4 counts 0 values of a field that is not there, 4.0 none", "compare count() with a number".into());
        }
        if operand.kind() == Kind::Seconds && operand.field != other.field {
            return error(
                &format!("Wireshark 4.4 and later do not compare {name} with {}", other.field.info().name),
                "compare with a number of seconds".into(),
            );
        }
    }
    if test.all && [Some(operand), other(test)].into_iter().flatten().any(|o| matches!(o.function, Some(Function::Lower | Function::Upper)))
    {
        return error(
            "from Wireshark 4.4 on, this also holds for frames without the field",
            "compare for any value: any_eq, any_ne, or !(… == …)".into(),
        );
    }
    count(test, left.start..right.end)?;
    order(test, left.start..right.end)
}

/// The field on the right side.
fn other(test: &Test) -> Option<&Operand> {
    match &test.right {
        Right::Field(other) => Some(other),
        _ => None,
    }
}

/// Without its field, `count()` has no value in 4.0, and is 0 from 4.4 on: 0 must not fulfil the test.
fn count(test: &Test, span: Range<usize>) -> Result<(), FilterError> {
    let (Some(Function::Count), Right::Const(Const::Uint(n))) = (test.left.function, &test.right) else { return Ok(()) };
    let (fulfilled, opposite) = match test.relation {
        Relation::Eq => (*n == 0, "!="),
        Relation::Ne => (*n != 0, "=="),
        Relation::Lt => (*n > 0, ">="),
        Relation::Le => (true, ">"),
        Relation::Ge => (*n == 0, "<"),
        _ => return Ok(()),
    };
    if !fulfilled {
        return Ok(());
    }
    let name = test.left.field.info().name;
    let error = FilterError::new(span, format!("without {name}, this holds from Wireshark 4.4 on, but not in 4.0"));
    Err(error.help(match test.relation {
        Relation::Eq => format!("write !{name}"),
        Relation::Ge => format!("write {name}"),
        _ => format!("write !(count({name}) {opposite} {n})"),
    }))
}

/// Octets of different lengths: 4.0 orders them by their lengths, 4.4 and later by the first octet that differs.
fn order(test: &Test, span: Range<usize>) -> Result<(), FilterError> {
    let ordered = match (&test.right, test.relation) {
        (Right::Set(ranges), _) => ranges.iter().any(|(from, to)| from != to),
        (_, relation) => relation.orders(),
    };
    let octets = |o: &Operand| matches!(o.kind(), Kind::Bytes | Kind::Ether | Kind::Protocol) || !o.slices.is_empty();
    if !ordered || !(octets(&test.left) || other(test).is_some_and(octets)) {
        return Ok(());
    }
    let length = test.left.length();
    let equal = |c: &Const| match c {
        Const::Bytes(octets) => Some(octets.len()) == length,
        Const::Text(text) => Some(text.len()) == length,
        _ => false,
    };
    let right = match &test.right {
        Right::Const(c) => equal(c),
        Right::Set(ranges) => ranges.iter().all(|(from, to)| from == to || equal(from) && equal(to)),
        Right::Field(other) => length.is_some() && other.length() == length,
        Right::Regex(_) | Right::Nothing => true,
    };
    if right {
        return Ok(());
    }
    let name = test.left.field.info().name;
    let error = FilterError::new(span, "Wireshark's versions order octets of different lengths differently");
    Err(match length {
        Some(length) if !matches!(test.right, Right::Field(_)) => {
            error.help(format!("compare with {length} octet{}", if length == 1 { "" } else { "s" }))
        }
        _ => error.help(format!("compare a slice with as many octets, such as {name}[0:2] > 01:02")),
    })
}

/// Do `contains` and `matches` look at what follows the header in Wireshark, too?
fn beyond_its_end(field: Field) -> bool {
    matches!(field, Field::Eth | Field::Udp)
}

impl Operand {
    /// Returns whether it is a field as it is.
    pub(super) fn is_field(&self) -> bool {
        self.slices.is_empty() && self.function.is_none() && self.mask.is_none()
    }

    /// Number of its octets, where that is always the same. (A slice that does not fit into its field is empty: all versions put that
    /// first.)
    fn length(&self) -> Option<usize> {
        match (self.slices.as_slice(), self.field) {
            ([], Field::IsakmpIspi | Field::IsakmpRspi) => Some(8),
            ([], field) if field.info().kind == Kind::Ether => Some(6),
            ([one], _) => match one.length {
                Length::Octets(n) => usize::try_from(n).ok(),
                Length::To(last) => usize::try_from(last.checked_sub(one.from)?.checked_add(1)?).ok(),
                Length::Rest => None,
            },
            _ => None,
        }
    }
}

impl Relation {
    /// Returns whether it asks which of two values is the greater one.
    pub(super) fn orders(self) -> bool {
        matches!(self, Relation::Gt | Relation::Lt | Relation::Ge | Relation::Le)
    }
}
