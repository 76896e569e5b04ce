//! Filter text to tokens.

use std::ops::Range;

use super::FilterError;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub span: Range<usize>,
}

/// Kinds of token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A field name, a keyword, or a literal without quotes.
    Word(String),
    /// A quoted string, decoded.
    Text(Vec<u8>),
    /// A character constant.
    Char(u8),
    /// An operator or a bracket.
    Sign(&'static str),
    /// What stands between `[` and `]`.
    Slice(String),
}

/// Longest first.
const SIGNS: &[&str] = &["===", "!==", "==", "!=", "~=", "<=", ">=", "&&", "||", "..", "<", ">", "~", "!", "&", "(", ")", "{", "}", ","];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (kind, end) = one(text, at, c)?;
        tokens.push(Token { kind, span: at..end });
        at = end;
    }
    Ok(tokens)
}

fn one(text: &str, at: usize, c: char) -> Result<(Kind, usize), FilterError> {
    let rest = &text[at..];
    if c == '"' {
        return quoted(text, at, at + 1, false);
    }
    if rest.starts_with("r\"") || rest.starts_with("R\"") {
        return quoted(text, at, at + 2, true);
    }
    if c == '\'' {
        return character(text, at);
    }
    if c == '[' {
        let Some(length) = rest.find(']') else {
            return Err(FilterError::new(at..text.len(), "the closing ] of this slice is missing"));
        };
        return Ok((Kind::Slice(rest[1..length].to_owned()), at + length + 1));
    }
    if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
        return Ok((Kind::Sign(sign), at + sign.len()));
    }
    let length = word(rest);
    if length == 0 {
        let end = at + c.len_utf8();
        let error = FilterError::new(at..end, format!("{c:?} has no meaning here"));
        return Err(match c {
            '#' => error.help("the layer operator # is not part of this subset"),
            '=' => error.help("write == to compare"),
            '|' => error.help("write || or the word or"),
            '$' | '@' => error.help("macros and raw fields are not part of this subset"),
            _ => error,
        });
    }
    Ok((Kind::Word(rest[..length].to_owned()), at + length))
}

/// Length of a word; `..` ends it, so that `500..600` is three tokens.
fn word(rest: &str) -> usize {
    let mut end = 0;
    for (i, c) in rest.char_indices() {
        let of_word = c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '/' | '-' | '+');
        if !of_word || rest[i..].starts_with("..") {
            break;
        }
        end = i + 1;
    }
    end
}

fn quoted(text: &str, start: usize, mut at: usize, raw: bool) -> Result<(Kind, usize), FilterError> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    loop {
        match bytes.get(at) {
            None => return Err(FilterError::new(start..text.len(), "the closing quote of this string is missing")),
            Some(b'"') => return Ok((Kind::Text(out), at + 1)),
            // A raw string keeps its backslashes, also before a quote.
            Some(b'\\') if raw => {
                out.push(b'\\');
                out.extend(bytes.get(at + 1));
                at += 2;
            }
            Some(b'\\') => at = escape(text, at, &mut out)?,
            Some(b) => {
                out.push(*b);
                at += 1;
            }
        }
    }
}

fn character(text: &str, start: usize) -> Result<(Kind, usize), FilterError> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let at = match bytes.get(start + 1) {
        Some(b'\\') => escape(text, start + 1, &mut out)?,
        Some(b) => {
            out.push(*b);
            start + 2
        }
        None => start + 1,
    };
    match (out.as_slice(), bytes.get(at)) {
        ([one], Some(b'\'')) if matches!(&text[start + 1..at], "\\n" | "'") => {
            Err(FilterError::new(start..at + 1, "Wireshark does not take this character constant").help(format!("write '\\x{one:02x}'")))
        }
        ([one], Some(b'\'')) => Ok((Kind::Char(*one), at + 1)),
        _ => Err(FilterError::new(start..at.min(text.len()).max(start + 1), "a character constant is one octet in single quotes")
            .help("strings are written in double quotes")),
    }
}

/// Decodes the escape sequence at `at`; returns where the text goes on.
fn escape(text: &str, at: usize, out: &mut Vec<u8>) -> Result<usize, FilterError> {
    let bytes = text.as_bytes();
    let simple = match bytes.get(at + 1) {
        Some(b'a') => 7,
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'v') => 11,
        Some(c @ (b'\'' | b'"' | b'\\')) => *c,
        Some(b'x') => return number(text, at, at + 2, 2, 16, out),
        Some(b'0'..=b'7') => return number(text, at, at + 1, 3, 8, out),
        _ => {
            let end = text[at + 1..].chars().next().map_or(text.len(), |c| at + 1 + c.len_utf8());
            return Err(FilterError::new(at..end, format!("{} is not an escape sequence", &text[at..end]))
                .help("a regular expression is easier as a raw string: r\"…\""));
        }
    };
    out.push(simple);
    Ok(at + 2)
}

fn number(text: &str, at: usize, from: usize, most: usize, radix: u32, out: &mut Vec<u8>) -> Result<usize, FilterError> {
    let digits = text.as_bytes()[from..].iter().take(most).take_while(|b| char::from(**b).is_digit(radix)).count();
    match u8::from_str_radix(&text[from..from + digits], radix) {
        Ok(octet) => {
            out.push(octet);
            Ok(from + digits)
        }
        Err(_) => Err(FilterError::new(at..from + digits, "this escape sequence is not an octet")),
    }
}
