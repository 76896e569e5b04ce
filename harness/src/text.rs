//! Text for people.

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
    use super::{offset, wrap};

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
