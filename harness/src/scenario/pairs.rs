//! Which pairings an entry is about: `A:B`, each side with the versions that are meant. docs/pairings.md has the grammar.

use std::fmt;
use std::ops::Range as Octets;

use serde::{Deserialize, Serialize};

use crate::run::versions::{Range, Version, Versions};

/// Any implementation.
pub const ANY: &str = "*";

/// `A:B`, where `*` stands for any implementation, and `A@<5` for those versions of A.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PairPattern {
    first: SidePattern,
    others: SidePattern,
}

/// One side of a pairing: `*`, `A`, `A@RANGE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SidePattern {
    name: String,
    range: Option<Range>,
}

/// What a pattern says about a pairing whose versions are known, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// It is meant.
    Covered,
    /// Other implementations are meant.
    Elsewhere,
    /// These implementations are meant, but not in these versions; why, in words.
    OtherVersion(String),
}

/// What is wrong with the text of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairMistake {
    /// Offending octets of the text.
    pub at: Octets<usize>,
    /// What is wrong.
    pub message: String,
}

impl PairMistake {
    fn new(at: Octets<usize>, message: impl Into<String>) -> PairMistake {
        PairMistake { at, message: message.into() }
    }
}

impl PairPattern {
    /// Reads a pattern; all mistakes at once.
    pub fn read(text: &str) -> Result<PairPattern, Vec<PairMistake>> {
        let Some((a, b)) = text.split_once(':') else {
            let message = format!("`{}` is not a pairing", text.escape_debug());
            return Err(vec![PairMistake::new(0..text.len(), message)]);
        };
        match (side(a, 0), side(b, a.len() + 1)) {
            (Ok(first), Ok(others)) => Ok(PairPattern { first, others }),
            (a, b) => Err([a.err(), b.err()].into_iter().flatten().collect()),
        }
    }

    /// Is the pairing `A:B` meant, in these versions?
    pub fn covers(&self, pairing: &str, versions: &Versions) -> Coverage {
        let Some((a, b)) = pairing.split_once(':') else { return Coverage::Elsewhere };
        if !(self.first.names(a) && self.others.names(b)) {
            return Coverage::Elsewhere;
        }
        let reasons: Vec<String> =
            [self.first.excludes(a, &versions.first), self.others.excludes(b, &versions.others)].into_iter().flatten().collect();
        if reasons.is_empty() { Coverage::Covered } else { Coverage::OtherVersion(reasons.join(", and ")) }
    }
}

impl SidePattern {
    fn names(&self, name: &str) -> bool {
        self.name == ANY || self.name == name
    }

    /// Why this version is not meant; `None`: it is.
    fn excludes(&self, name: &str, version: &Option<String>) -> Option<String> {
        let range = self.range.as_ref()?;
        let Some(text) = version else { return Some(format!("the version of {name} is not known")) };
        match Version::read(text) {
            Some(version) if range.contains(&version) => None,
            Some(version) => Some(format!("{name} was {version}")),
            None => Some(format!("`{}`, the version of {name}, does not begin with a number", text.escape_debug())),
        }
    }
}

fn side(text: &str, start: usize) -> Result<SidePattern, PairMistake> {
    let (name, range) = text.split_once('@').map_or((text, None), |(name, range)| (name, Some(range)));
    let whole = start..start + text.len();
    if name.is_empty() {
        return Err(PairMistake::new(whole, "a side of the pairing has no name"));
    }
    if name == ANY && range.is_some() {
        return Err(PairMistake::new(whole, "versions of any implementation cannot be compared: name one"));
    }
    let after = start + name.len() + 1;
    let read = |text: &str| Range::read(text).map_err(|e| PairMistake::new(after + e.at.start..after + e.at.end, e.message));
    Ok(SidePattern { name: name.to_owned(), range: range.map(read).transpose()? })
}

/// The names in the text of a pattern, with their places, whatever else is wrong with it.
pub fn names(text: &str) -> Vec<(&str, Octets<usize>)> {
    let mut start = 0;
    let mut found = Vec::new();
    for side in text.splitn(2, ':') {
        let name = side.split('@').next().unwrap_or_default();
        found.push((name, start..start + name.len()));
        start += side.len() + 1;
    }
    found
}

impl fmt::Display for SidePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.range {
            Some(range) => write!(f, "{}@{range}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl fmt::Display for PairPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.first, self.others)
    }
}

impl From<PairPattern> for String {
    fn from(p: PairPattern) -> String {
        p.to_string()
    }
}

impl TryFrom<String> for PairPattern {
    type Error = String;
    fn try_from(text: String) -> Result<PairPattern, String> {
        PairPattern::read(&text).map_err(|list| list.into_iter().map(|m| m.message).collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn says(pattern: &str, pairing: &str, first: &str, others: &str) -> Coverage {
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let pattern = PairPattern::read(pattern).unwrap_or_else(|e| panic!("{pattern}: {e:?}"));
        pattern.covers(pairing, &Versions { first: known(first), others: known(others) })
    }

    fn other(text: &str) -> Coverage {
        Coverage::OtherVersion(text.to_owned())
    }

    #[test]
    fn implementations_and_versions_are_compared() {
        use Coverage::{Covered, Elsewhere};
        let cases = [
            ("*:*", "a:b", "", "", Covered),
            ("a:*", "a:b", "", "", Covered),
            ("*:a", "a:b", "1", "1", Elsewhere),
            ("a@<5:*", "a:b", "4.10", "9", Covered),
            ("a@<5:*", "a:b", "5.2", "1", other("a was 5.2")),
            ("a@<5:*", "b:a", "4.10", "4.10", Elsewhere),
            ("*:b@>=6.0.2", "a:b", "1", "6.1.0", Covered),
            ("*:b@>=6.0.2", "a:b", "9", "6.0.1", other("b was 6.0.1")),
            ("a@5:a@6.1", "a:a", "5.9.8", "6.1.0", Covered),
            ("a@5:a@6.1", "a:a", "6.1.0", "5.9.8", other("a was 6.1.0, and a was 5.9.8")),
            ("a@<5:*", "a:b", "", "4", other("the version of a is not known")),
            ("a@<5:*", "a:b", "git", "", other("`git`, the version of a, does not begin with a number")),
            ("a:b", "ab", "", "", Elsewhere),
        ];
        for (pattern, pairing, first, others, wanted) in cases {
            assert_eq!(says(pattern, pairing, first, others), wanted, "{pattern} {pairing}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let mistakes = |text: &str| PairPattern::read(text).unwrap_err().into_iter().map(|m| (m.at.start, m.at.end)).collect::<Vec<_>>();
        assert_eq!(mistakes("a"), [(0, 1)]);
        assert_eq!(mistakes("a:"), [(2, 2)]);
        assert_eq!(mistakes(":@5"), [(0, 0), (1, 3)]);
        assert_eq!(mistakes("*@5:b"), [(0, 3)]);
        assert_eq!(mistakes("a@<x:b@5,<6"), [(2, 4), (7, 8)]);
        assert_eq!(names("a@<x:b@5"), [("a", 0..1), ("b", 5..6)]);
        assert_eq!(names("ab"), [("ab", 0..2)]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[a*]{0,2}@?[<>=]{0,2}[0-9é.,]{0,4}:?[a*]{0,2}@?[<>=]{0,2}[0-9.,]{0,4}:?") {
            match PairPattern::read(&text) {
                Ok(pattern) => prop_assert_eq!(pattern.to_string(), text.as_str()),
                Err(mistakes) => prop_assert!(!mistakes.is_empty() && mistakes.iter().all(|m| text.get(m.at.clone()).is_some())),
            }
            prop_assert!(names(&text).into_iter().all(|(name, at)| text.get(at) == Some(name)));
        }
    }
}
