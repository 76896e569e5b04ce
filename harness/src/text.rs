//! Text for people.
//!
//! What comes from outside (names and comments in captures, titles of scenarios, what daemons and peers say, names of files) may hold
//! characters that a terminal obeys, or that make a line read otherwise than it is. None of them goes out as it is: [`shown`] for what
//! is part of a line, [`lines`] for what has lines of its own, [`json`] for JSON that may end on a terminal.

use std::borrow::Cow;
use std::path::Path;

/// Does this character do something instead of being seen? Control characters (C0, DEL, C1), what changes the direction of writing,
/// other ends of lines, marks that are not seen, and what XML and HTML do not allow.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// The text as a part of one line: what is hidden is written as in Rust, `\n`, `\u{1b}`.
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden, |c, out| out.extend(c.escape_default()))
}

/// The same for text of several lines, which it keeps, as tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_hidden(c) && !matches!(c, '\n' | '\t'), |c, out| out.extend(c.escape_default()))
}

/// The name of a file, as a part of one line.
pub fn path(path: &Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}

/// JSON that means the same: what is hidden and stands as it is in there, which JSON allows in strings, becomes an escape sequence.
pub fn json(text: &str) -> Cow<'_, str> {
    // Blanks between values.
    let goes = |c: char| is_hidden(c) && !matches!(c, '\n' | '\t' | '\r');
    escaped(text, goes, |c, out| out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))))
}

/// Has each character that `goes` written by `write` in its place.
fn escaped(text: &str, goes: impl Fn(char) -> bool, write: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(&goes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if goes(c) { write(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Octets as hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

/// Breaks lines between words so that they have at most `width` columns where words allow; keeps paragraphs.
pub fn wrap(text: &str, width: usize) -> String {
    let mut out = String::new();
    for (i, paragraph) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let mut column = 0;
        for word in paragraph.split_whitespace() {
            let len = word.chars().count();
            if column > 0 && column + 1 + len > width {
                out.push('\n');
                column = 0;
            } else if column > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += len;
        }
    }
    out
}

/// Seconds with a sign as scenarios write them: `-2d`.
pub fn offset(seconds: i64) -> String {
    // Beyond days, the words for spans of time have no whole number of seconds that a reader would expect.
    if seconds != 0 && seconds % 86_400 == 0 {
        return format!("{}d", seconds / 86_400);
    }
    let sign = if seconds < 0 { "-" } else { "" };
    let duration = humantime::format_duration(std::time::Duration::from_secs(seconds.unsigned_abs()));
    format!("{sign}{}", duration.to_string().replace(' ', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        let evil = "a\n\u{1b}[31mb\u{7f}\u{9b}31m\u{202e}c\t";
        assert_eq!(shown(evil), "a\\n\\u{1b}[31mb\\u{7f}\\u{9b}31m\\u{202e}c\\t");
        assert_eq!(lines(evil), "a\n\\u{1b}[31mb\\u{7f}\\u{9b}31m\\u{202e}c\t");
        assert!(matches!(shown("Größe → 5 µs, “α”\u{a0}!"), Cow::Borrowed(_)));
        assert!((0..0xffff_u32).filter_map(char::from_u32).all(|c| !shown(&c.to_string()).contains(is_hidden)));
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({ "\u{9b}": ["\u{1b}\u{7f}", "\u{202e}\u{e0041}", "\n plain"] });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = json(&text);
        assert!(text.contains(|c| is_hidden(c) && c != '\n') && !safe.contains(|c| is_hidden(c) && c != '\n'), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }

    #[test]
    fn offsets_have_signs() {
        assert_eq!((offset(-90_000).as_str(), offset(0).as_str(), offset(60).as_str()), ("-1day1h", "0s", "1m"));
        assert_eq!((offset(-172_800).as_str(), offset(31_536_000).as_str()), ("-2d", "365d"));
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three\n\nfour", 8), "one two\nthree\n\nfour");
        assert_eq!(wrap("unbreakable", 4), "unbreakable");
    }
}
