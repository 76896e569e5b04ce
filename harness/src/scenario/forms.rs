//! How values are written: the accepted forms in messages, and positions inside TOML strings.

use std::ops::Range;

use super::Source;
use super::diag::listed;
use crate::schema::{Kind, Param};

/// The accepted form of a kind, as in "must be …".
pub(crate) fn form_of(kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::Secret => "text".into(),
        Kind::Bool => "`true` or `false`".into(),
        Kind::Int(low, i64::MAX) => format!("a whole number from {low}"),
        Kind::Int(low, high) => format!("a whole number, {low} to {high}"),
        Kind::Float => "a number".into(),
        Kind::Duration => "a duration such as `\"2s\"`, `\"300ms\"` or `\"2m\"`".into(),
        Kind::Seconds => "a duration in whole seconds such as `\"2s\"` or `\"2m\"`".into(),
        Kind::Lifespan => "a duration in whole seconds such as `\"365d\"`".into(),
        Kind::Offset => "whole seconds with a sign, such as `\"-2d\"`, `\"+90m\"` or `\"0s\"`".into(),
        Kind::Number(numbers) => {
            format!("{} such as `\"{}\"`, or a number up to {}", numbers.what, numbers.names().next().unwrap_or_default(), numbers.most)
        }
        Kind::Hex => "octets in hexadecimal such as `\"00ff\"`".into(),
        Kind::Tagged(words) => format!("a table with one of {}", listed(words.iter().map(|w| w.name))),
        Kind::Count => "a count: `\"0\"`, `\"3\"`, `\">= 1\"`, `\"<= 4\"` or `\"2..5\"`".into(),
        Kind::Filter => "a display filter".into(),
        Kind::Tap => "a tap, `\"node.interface\"`".into(),
        Kind::Node => "a node's name".into(),
        Kind::Gateway => "a gateway's name".into(),
        Kind::Host => "a node's name or an IP address".into(),
        Kind::Addr => "an IP address such as `\"10.1.0.10\"` or `\"fd01::10\"`".into(),
        Kind::Prefix => "an IP prefix such as `\"10.1.0.0/16\"` or `\"fd01::/48\"`".into(),
        Kind::Port => "a port, 1 to 65535".into(),
        Kind::Ports => "a range of ports such as `\"1024-2000\"`".into(),
        Kind::Step => "a traffic step's name".into(),
        Kind::Fault => "a fault's name".into(),
        Kind::Word(words) => listed(words.iter().copied()),
        Kind::List(item) => format!("a list; each item: {}", form_of(*item)),
        Kind::Table(params) => format!("a table with {}", listed(params.iter().map(|p| p.name))),
    }
}

/// What a value could look like.
pub(super) fn example(kind: Kind) -> String {
    match kind {
        Kind::Bool => "true".into(),
        Kind::Int(low, _) => low.max(1).to_string(),
        Kind::Float => "1.5".into(),
        Kind::Duration | Kind::Seconds => "\"2s\"".into(),
        Kind::Lifespan => "\"365d\"".into(),
        Kind::Offset => "\"-1d\"".into(),
        Kind::Number(numbers) => format!("\"{}\"", numbers.names().next().unwrap_or_default()),
        Kind::Hex => "\"00ff\"".into(),
        Kind::Tagged(words) => format!("{{ {} = {{ … }} }}", words.first().map(|w| w.name).unwrap_or_default()),
        Kind::Count => "\">= 1\"".into(),
        Kind::Filter => "\"udp.dstport == 500\"".into(),
        Kind::Tap => "\"<node>.<interface>\"".into(),
        Kind::Addr => "\"10.1.0.10\"".into(),
        Kind::Prefix => "\"10.1.0.0/16\"".into(),
        Kind::Port => "5001".into(),
        Kind::Ports => "\"1024-2000\"".into(),
        Kind::Word(words) => format!("\"{}\"", words.first().copied().unwrap_or_default()),
        Kind::List(item) => format!("[{}]", example(*item)),
        Kind::Table(_) => "{ … }".into(),
        Kind::Text | Kind::Secret => "\"…\"".into(),
        Kind::Node | Kind::Host => "\"<node>\"".into(),
        Kind::Gateway => "\"<gateway>\"".into(),
        Kind::Step => "\"<step>\"".into(),
        Kind::Fault => "\"<fault>\"".into(),
    }
}

/// `word = { key = …, … }` with the required keys, or all when none is.
pub(super) fn form(word: &str, params: &[Param]) -> String {
    let required: Vec<String> = params.iter().filter(|p| p.required).map(|p| format!("{} = {}", p.name, example(p.kind))).collect();
    if required.is_empty() { format!("write `{word} = {{}}`") } else { format!("write `{word} = {{ {} }}`", required.join(", ")) }
}

/// Where octet `at` of a string's value is in its TOML spelling; `None` when that cannot be told.
pub(super) fn raw_offset(raw: &str, value: &str, at: usize) -> Option<usize> {
    let at = at.min(value.len());
    let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { 1 };
    let literal = raw.starts_with('\'');
    let mut body = quotes;
    if quotes == 3 {
        let rest = raw.get(3..)?;
        body += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
    }
    let end = raw.len().checked_sub(quotes)?;
    let inner = raw.get(body..end)?;
    if literal || !inner.contains('\\') {
        return (inner == value).then_some(body + at);
    }
    let (mut decoded, mut chars) = (0, inner.char_indices().peekable());
    while decoded < at {
        let (_, c) = chars.next()?;
        decoded += match (c, chars.peek().copied()) {
            ('\\', Some((_, escape))) => {
                chars.next();
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    '\n' | '\r' | ' ' | '\t' => return None, // a line-ending backslash swallows an unknown stretch
                    _ => 0,
                };
                let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                if digits == 0 { 1 } else { char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?.len_utf8() }
            }
            _ => c.len_utf8(),
        };
    }
    Some(body + chars.peek().map_or(inner.len(), |(i, _)| *i))
}

/// Where some octets of a string's value are in the file; the whole string when that cannot be told. `span`: the string with its quotes.
pub(super) fn within(source: &Source, span: Range<usize>, value: &str, at: Range<usize>) -> Range<usize> {
    let raw = source.text.get(span.clone()).unwrap_or_default();
    match (raw_offset(raw, value, at.start), raw_offset(raw, value, at.end)) {
        (Some(start), Some(end)) => span.start + start..span.start + end.max(start),
        _ => span,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_inside_strings() {
        let cases: &[(&str, &str, usize, Option<usize>)] = &[
            (r#""ab""#, "ab", 1, Some(2)),
            (r#""ab""#, "ab", 9, Some(3)),
            ("'ab'", "ab", 0, Some(1)),
            ("\"\"\"\nab\"\"\"", "ab", 1, Some(5)),
            ("'''\r\nab'''", "ab", 0, Some(5)),
            (r#""\tab""#, "\tab", 2, Some(4)),
            (r#""\u00e9b""#, "éb", 2, Some(7)),
            (r#""\x41b""#, "Ab", 1, Some(5)),
            ("\"\"\"a\\\n  b\"\"\"", "ab", 1, Some(4)),
            ("\"\"\"a\\\n  b\"\"\"", "ab", 2, None),
            ("", "ab", 1, None),
            ("plain", "ab", 1, None),
        ];
        for (raw, value, at, expected) in cases {
            assert_eq!(raw_offset(raw, value, *at), *expected, "{raw} {at}");
        }
    }
}
