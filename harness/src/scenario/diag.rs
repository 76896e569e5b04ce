//! Mistakes in scenario and layout files: where, what, and what to write instead.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use super::Source;
use crate::text::{is_hidden, lines, shown, wrap};

/// Columns of a remark; the renderer indents its lines.
const HELP_WIDTH: usize = 84;

/// Mistakes that are shown.
const MOST: usize = 50;
/// Letters of a name that is compared with others.
const MOST_LETTERS: usize = 64;
/// Octets of lines with a mistake that are given to the renderer.
const EXCERPT: usize = 8192;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Kind of mistake, kebab-case: `unknown-key`, `wrong-type` …
    pub code: &'static str,
    /// The file it is in.
    pub source: Arc<Source>,
    /// Offending octets of the file's text.
    pub span: Range<usize>,
    /// What is wrong, one line.
    pub message: String,
    /// Short remark at the underlined text.
    pub label: String,
    /// What to do: accepted forms, nearest valid word.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// Line, from 1.
    pub fn line(&self) -> u32 {
        line_of(&self.source.text, self.span.start)
    }

    /// Column in characters, from 1.
    pub fn column(&self) -> u32 {
        let start = floor(&self.source.text, self.span.start);
        let before = &self.source.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        u32::try_from(before[line_start..].chars().count()).unwrap_or(u32::MAX - 1) + 1
    }

    /// The offending text.
    pub fn text(&self) -> &str {
        let text = &self.source.text;
        let start = floor(text, self.span.start);
        &text[start..floor(text, self.span.end).max(start)]
    }

    /// The lines that the mistake is in, as far as they are not too long: the renderer reads all that it is given.
    fn excerpt(&self) -> Range<usize> {
        let text = &self.source.text;
        let (start, end) = (floor(text, self.span.start), floor(text, self.span.end.max(self.span.start)));
        let first = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let last = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
        let first = if start - first > EXCERPT / 2 { floor(text, start - EXCERPT / 2) } else { first };
        first..floor(text, last.min(start + EXCERPT / 2))
    }

    fn render(&self, renderer: &Renderer) -> String {
        let excerpt = self.excerpt();
        let text = stand_ins(&self.source.text[excerpt.clone()]);
        let start = floor(&text, self.span.start.saturating_sub(excerpt.start));
        // A range that ends at a line's end must not take in the next line.
        let end = floor(&text, self.span.end.saturating_sub(excerpt.start)).max(start);
        let mut annotation = AnnotationKind::Primary.span(start..end);
        if !self.label.is_empty() {
            annotation = annotation.label(lines(&self.label));
        }
        let mut help: Vec<String> = self.help.iter().map(|help| wrap(&lines(help), HELP_WIDTH)).collect();
        if !self.source.text[..excerpt.start].is_empty() && !self.source.text[..excerpt.start].ends_with('\n') {
            help.push(format!("the line is long; this is at column {}", self.column()));
        }
        let group = Level::ERROR
            .primary_title(lines(&self.message))
            .id(self.code)
            .element(Snippet::source(text.as_ref()).line_start(self.line() as usize).path(shown(&self.source.name)).annotation(annotation))
            .elements(help.iter().map(|help| Level::HELP.message(help.as_str())));
        renderer.render(&[group])
    }
}

/// The text with as many octets, in which nothing is hidden that the renderer would let through: it knows some of that itself.
fn stand_ins(text: &str) -> Cow<'_, str> {
    let goes = |c: char| is_hidden(c) && c.len_utf8() > 1;
    if !text.contains(goes) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if goes(c) { ['·', '\u{fffd}', '\u{1fbc4}'][c.len_utf8() - 2] } else { c }).collect())
}

/// The 1-based line of an offset.
pub fn line_of(text: &str, offset: usize) -> u32 {
    let end = offset.min(text.len());
    u32::try_from(text.as_bytes()[..end].iter().filter(|b| **b == b'\n').count()).unwrap_or(u32::MAX - 1) + 1
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// All mistakes of a load, in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// The mistakes.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// For people; coloured on request.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for diagnostic in self.list.iter().take(MOST) {
            out.push_str(&diagnostic.render(&renderer));
            out.push_str("\n\n");
        }
        if self.list.len() > MOST {
            out.push_str(&format!("… and {} more\n\n", self.list.len() - MOST));
        }
        let mut files: Vec<&str> = self.list.iter().map(|d| d.source.name.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        let mistakes = if self.list.len() == 1 { "1 mistake".to_owned() } else { format!("{} mistakes", self.list.len()) };
        out.push_str(&format!("{mistakes} in {}\n", shown(&files.join(", "))));
        out
    }

    /// For machines.
    pub fn machine(&self) -> Vec<MachineDiagnostic> {
        self.list
            .iter()
            .map(|d| MachineDiagnostic {
                code: d.code,
                file: d.source.name.clone(),
                line: d.line(),
                column: d.column(),
                text: d.text().to_owned(),
                message: d.message.clone(),
                label: d.label.clone(),
                help: d.help.clone(),
            })
            .collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// A mistake as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineDiagnostic {
    /// Kind of mistake.
    pub code: &'static str,
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The offending text.
    pub text: String,
    /// What is wrong.
    pub message: String,
    /// Remark at the text.
    pub label: String,
    /// What to do.
    pub help: Vec<String>,
}

/// The nearest of the valid words, if any is near.
pub fn nearest<'a>(word: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A distance takes as many steps as both lengths multiplied; nobody mistypes such names.
    let length = word.chars().count();
    if length > MOST_LETTERS {
        return None;
    }
    let limit = length.max(3) / 3;
    valid
        .into_iter()
        .filter(|v| v.len() <= 4 * MOST_LETTERS)
        .map(|v| (strsim::damerau_levenshtein(&word.to_lowercase(), &v.to_lowercase()), v))
        .filter(|(distance, v)| {
            *distance <= limit.max(1) || (word.len() >= 4 && (v.starts_with(word) || word.starts_with(*v) && v.len() >= 4))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, v)| v)
}

/// "`a`, `b` or `c`"; long lists are cut.
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 30;
    let all: Vec<&str> = words.into_iter().collect();
    let shown: Vec<String> = all.iter().take(MOST).map(|w| format!("`{w}`")).collect();
    match shown.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => last.clone(),
        Some(_) if all.len() > MOST => format!("{} and {} more", shown.join(", "), all.len() - MOST),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_words_are_near() {
        assert_eq!(nearest("rigth", ["left", "right"]), Some("right"));
        assert_eq!(nearest("hnts", ["hints", "ticket"]), Some("hints"));
        assert_eq!(nearest("zebra", ["hints", "ticket"]), None);
    }

    #[test]
    fn columns_count_characters() {
        let source = Arc::new(Source::new("a/x.toml", "a = 1\nü = é\n"));
        let d = Diagnostic { code: "x", source, span: 11..13, message: "m".into(), label: String::new(), help: vec![] };
        assert_eq!((d.line(), d.column(), d.text()), (2, 5, "é"));
    }

    fn at(source: &Arc<Source>, span: Range<usize>) -> Diagnostic {
        Diagnostic { code: "x", source: Arc::clone(source), span, message: "m".into(), label: String::new(), help: vec![] }
    }

    #[test]
    fn the_first_of_many_are_shown_and_the_rest_counted() {
        let source = Arc::new(Source::new("a/x.toml", "a = 1\n".repeat(4000)));
        let list: Vec<Diagnostic> = (0..4000).map(|n| at(&source, 6 * n..6 * n + 1)).collect();
        let text = Diagnostics { list }.render(false);
        assert_eq!(text.matches("error[x]").count(), MOST);
        for part in ["x.toml:1:1", "x.toml:50:1", "… and 3950 more", "4000 mistakes in a/x.toml"] {
            assert!(text.contains(part), "{part} not in {text}");
        }
        assert!(!text.contains("x.toml:51:1"));
    }

    #[test]
    fn the_renderer_gets_a_part_of_what_is_long() {
        let long = Arc::new(Source::new("a/x.toml", format!("b = 2\na = [{}]\nc = 3\n", "12345, ".repeat(100_000))));
        let middle = at(&long, 350_000..350_005);
        assert!(middle.excerpt().len() <= EXCERPT && middle.excerpt().contains(&350_000));
        let text = Diagnostics { list: vec![middle] }.render(false);
        assert!(text.contains("x.toml:2:") && text.contains("column 349995") && text.len() < EXCERPT, "{text}");
        assert_eq!(at(&long, 0..1).excerpt(), 0..6, "just its line");
        let whole = at(&long, 0..long.text.len());
        assert!(whole.excerpt().len() <= EXCERPT);
    }

    #[test]
    fn any_range_renders() {
        for span in [0..0, 0..99, 7..7, 6..8, 98..99] {
            let source = Arc::new(Source::new("a/x.toml", "a = 1\nü = é\n"));
            let d = Diagnostic { code: "x", source, span, message: "m".into(), label: String::new(), help: vec![] };
            assert!(Diagnostics { list: vec![d] }.render(false).contains("a/x.toml"));
        }
    }
}
