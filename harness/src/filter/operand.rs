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
            Some(Function::Len | Function::Count) => Kind::Uint(32),
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
            T::Text(_) | T::Char(_) => value_on_the_left(token.span.clone()),
            _ => parser.unexpected(token),
        });
    };
    if calls {
        return function(parser, word, token.span.clone());
    }
    let Some(field) = Field::by_name(word) else {
        let literal = literal::integer(word).is_some() || matches!(word.as_str(), "true" | "false");
        return Err(if literal { value_on_the_left(token.span.clone()) } else { unknown(word, token.span.clone()) });
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

fn value_on_the_left(span: Range<usize>) -> FilterError {
    FilterError::new(span, "Wireshark 4.0 expects a field on the left side, not a value")
        .help("write the value on the right: udp.port == 500")
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
    if !operand.slices.is_empty() {
        return Err(FilterError::new(inner, format!("Wireshark 4.0 takes no slice in {name}()"))
            .help(format!("write {name}({}), and compare the slice on its own", operand.field.info().name)));
    }
    let right = match function {
        Function::Count => true,
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
    let wrong = |message: String| FilterError::new(token.span.clone(), message);
    match &token.kind {
        T::Char(c) => Err(wrong("Wireshark 4.0 takes no character after &".into()).help(format!("write {c:#x}"))),
        T::Word(w) => match (literal::integer(w), operand.kind()) {
            (Some(n), Kind::Uint(bits)) if n > literal::most(bits) => {
                let name = operand.field.info().name;
                Err(wrong(format!("{w} is too big for {name}, which goes up to {}", literal::most(bits))))
            }
            (Some(n), _) => Ok(n),
            (None, _) => Err(wrong("a number is expected after &".into())),
        },
        _ => Err(wrong("a number is expected after &".into())),
    }
}

/// `i:length`, `i-last`, `i`, `:length`, `i:`.
fn slice(part: &str, span: &Range<usize>) -> Result<Slice, FilterError> {
    let part = part.trim();
    let wrong = || {
        FilterError::new(span.clone(), "this is not a slice")
            .help("[i:n] n octets from i on; [i-j] from i to j; [i] one; [:n] the first n; [i:] from i on")
    };
    // Wireshark reads 010 as octal, and 08 not at all.
    let octal = |text: &str| text.trim_start_matches(['-', '+']).len() > 1 && text.trim_start_matches(['-', '+']).starts_with('0');
    let decimal = |text: &str| text.trim().parse::<i32>().ok().filter(|_| !octal(text.trim())).ok_or_else(wrong);
    let int = |text: &str| decimal(text).map(i64::from);
    let count = |text: &str| decimal(text).ok().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0).ok_or_else(wrong);
    if let Some((from, length)) = part.split_once(':') {
        let from = if from.trim().is_empty() { 0 } else { int(from)? };
        let length = if length.trim().is_empty() { Length::Rest } else { Length::Octets(count(length)?) };
        return Ok(Slice { from, length });
    }
    // The first character may be the sign of a negative position.
    match part.get(1..).and_then(|rest| rest.find('-')).map(|at| at + 1) {
        Some(at) => match (int(&part[..at])?, int(&part[at + 1..])?) {
            (from, last) if from < last && (from < 0) == (last < 0) => Ok(Slice { from, length: Length::To(last) }),
            _ => Err(FilterError::new(span.clone(), "the range of a slice goes up, and has both ends on the same side of 0")
                .help("write [i] for one octet, [i:n] for n octets from i on")),
        },
        None => Ok(Slice { from: int(part)?, length: Length::Octets(1) }),
    }
}
