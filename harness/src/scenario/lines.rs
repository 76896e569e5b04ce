//! Where the lines of a text begin.

use std::ops::Range;

/// Made once for a text, so that each question is a short search.
pub(super) struct LineStarts(Vec<usize>);

impl LineStarts {
    pub fn of(text: &str) -> LineStarts {
        LineStarts(std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1)).collect())
    }

    /// The 1-based line of an offset.
    pub fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.0.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    /// A line without its end; nothing at the end of the text if there is no such line.
    pub fn span(&self, text: &str, line: u32) -> Range<usize> {
        let number = usize::try_from(line).ok().and_then(|n| n.checked_sub(1));
        let Some(start) = number.and_then(|n| self.0.get(n)).copied() else { return text.len()..text.len() };
        let end = number.and_then(|n| self.0.get(n + 1)).copied().unwrap_or(text.len());
        start..start + text[start..end].trim_end().len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::diag::line_of;
    use super::*;

    #[test]
    fn lines_are_those_that_counting_finds() {
        for text in ["", "\n", "a", "a\n", "a\nbc\r\n\nd"] {
            let starts = LineStarts::of(text);
            for offset in 0..=text.len() {
                assert_eq!(starts.line(offset), line_of(text, offset), "{text:?} {offset}");
            }
        }
        let text = "a\nbc \r\n\nd";
        let starts = LineStarts::of(text);
        let lines: Vec<&str> = (0..=5).map(|line| &text[starts.span(text, line)]).collect();
        assert_eq!(lines, ["", "a", "bc", "", "d", ""]);
    }
}
