//! Left (and sometimes right) sides of comparisons: fields, functions, slices, bit masks.

use std::ops::Range;

use super::FilterError;
use super::fields::{Field, Kind};
use super::lex::Kind as T;
use super::literal;
use super::parse::{Parser, unknown};
use super::program::{Function, Length, Operand, Slice};

impl Operand {
    /// Type of its values.
    pub(super) fn kind(&self) -> Kind {
        let whole = self.field.info().kind;
        match self.function {
            Some(Function::Len | Function::Count) => Kind::Uint(64),
            _ if self.slices.is_empty() || whole == Kind::Text => whole,
            _ => Kind::Bytes,
        }
    }
}

/// A field, perhaps inside a function, sliced and masked; and where it stands.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<(Operand, Range<usize>), FilterError> {
    let calls = parser.calls_function();
    let Some(token) = parser.next() else { return Err(parser.ended()) };
    let T::Word(word) = &token.kind else {
        return Err(match token.kind {
            T::Text(_) | T::Char(_) => FilterError::new(token.span.clone(), "a field is expected on the left side"),
            _ => parser.unexpected(token),
        });
    };
    if calls {
        return function(parser, word, token.span.clone());
    }
    let Some(field) = Field::by_name(word) else {
        let literal = literal::integer(word).is_some() || matches!(word.as_str(), "true" | "false");
        return Err(if literal {
            FilterError::new(token.span.clone(), "a field is expected on the left side, not a value")
        } else {
            unknown(word, token.span.clone())
        });
    };
    let mut operand = Operand { field, slices: Vec::new(), function: None, mask: None };
    let mut span = token.span.clone();
    if let Some(next) = parser.peek()
        && let T::Slice(text) = &next.kind
    {
        let info = field.info();
        if !info.kind.sliceable() {
            return Err(FilterError::new(span, format!("{} is of type {} and has no octets to slice", info.name, info.kind.describe())));
        }
        operand.slices = text.split(',').map(|part| slice(part, &next.span)).collect::<Result<_, _>>()?;
        span.end = next.span.end;
        parser.next();
    }
    if parser.take_sign("&") {
        operand.mask = Some(mask(parser, &operand, &span)?);
        span.end = parser.here().start;
    }
    Ok((operand, span))
}

fn function(parser: &mut Parser<'_>, name: &str, start: Range<usize>) -> Result<(Operand, Range<usize>), FilterError> {
    let function = match name {
        "len" => Function::Len,
        "count" => Function::Count,
        "lower" => Function::Lower,
        "upper" => Function::Upper,
        _ => {
            return Err(FilterError::new(start, format!("{name:?} is not a function that faultlab knows"))
                .help("there are len, count, lower and upper"));
        }
    };
    parser.expect_sign("(")?;
    if parser.calls_function() {
        return Err(FilterError::new(parser.here(), "functions cannot be nested"));
    }
    let (mut operand, inner) = parse(parser)?;
    let right = match function {
        Function::Count => operand.slices.is_empty(),
        Function::Len => matches!(operand.kind(), Kind::Bytes | Kind::Text | Kind::Protocol | Kind::Ether),
        Function::Lower | Function::Upper => operand.kind() == Kind::Text,
    };
    if !right || operand.function.is_some() || operand.mask.is_some() {
        return Err(FilterError::new(
            inner,
            format!("{name}() does not work on {}, which is of type {}", operand.field.info().name, operand.kind().describe()),
        ));
    }
    operand.function = Some(function);
    let end = parser.here().end;
    parser.expect_sign(")")?;
    Ok((operand, start.start..end))
}

fn mask(parser: &mut Parser<'_>, operand: &Operand, span: &Range<usize>) -> Result<u64, FilterError> {
    if !matches!(operand.kind(), Kind::Uint(_)) {
        return Err(FilterError::new(span.clone(), format!("& works on integers, and {} is none", operand.field.info().name)));
    }
    let Some(token) = parser.next() else { return Err(parser.ended()) };
    match &token.kind {
        T::Word(w) => literal::integer(w),
        T::Char(c) => Some((*c).into()),
        _ => None,
    }
    .ok_or_else(|| FilterError::new(token.span.clone(), "a number is expected after &"))
}

/// `i:length`, `i-last`, `i`, `:length`, `i:`.
fn slice(part: &str, span: &Range<usize>) -> Result<Slice, FilterError> {
    let part = part.trim();
    let wrong = || {
        FilterError::new(span.clone(), "this is not a slice")
            .help("[i:n] n octets from i on; [i-j] from i to j; [i] one; [:n] the first n; [i:] from i on")
    };
    let int = |text: &str| text.trim().parse::<i64>().map_err(|_| wrong());
    let count = |text: &str| text.trim().parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(wrong);
    if let Some((from, length)) = part.split_once(':') {
        let from = if from.trim().is_empty() { 0 } else { int(from)? };
        let length = if length.trim().is_empty() { Length::Rest } else { Length::Octets(count(length)?) };
        return Ok(Slice { from, length });
    }
    // The first character may be the sign of a negative position.
    match part.get(1..).and_then(|rest| rest.find('-')).map(|at| at + 1) {
        Some(at) => Ok(Slice { from: int(&part[..at])?, length: Length::To(int(&part[at + 1..])?) }),
        None => Ok(Slice { from: int(part)?, length: Length::Octets(1) }),
    }
}
