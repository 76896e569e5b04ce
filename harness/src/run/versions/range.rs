//! Ranges of versions: `<5`, `>=5,<5.3`, `=5.2.1`, `5.2`.

use std::fmt;
use std::ops::Range as Octets;

use super::{Number, Suffix, Version};

/// Which versions are meant. Two are equal when they mean the same, however they are spelled.
#[derive(Debug, Clone)]
pub struct Range {
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// `5.2`: every version whose numbers begin so.
    Series(Vec<Number>),
    /// `=5.2`.
    Exactly(Version),
    /// `>=5,<5.3`: one of the two, or both.
    Between(Option<Limit>, Option<Limit>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Limit {
    version: Version,
    /// Is the version itself in the range?
    included: bool,
}

/// What is wrong with the text of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeMistake {
    /// Offending octets of the text.
    pub at: Octets<usize>,
    /// What is wrong.
    pub message: String,
}

/// How ranges are written, for those who wrote something else.
pub const FORMS: &str = "write `5.2` (5.2 and 5.2.x), `=5.2.1`, `<5`, `<=5`, `>5`, `>=5`, or two limits: `>=5,<5.3`";

impl Range {
    /// Reads a range.
    pub fn read(text: &str) -> Result<Range, RangeMistake> {
        let wrong = |at: Octets<usize>, message: String| Err(RangeMistake { at, message });
        let mut bounds = Vec::new();
        let mut start = 0;
        for part in text.split(',') {
            let at = start..start + part.len();
            start = at.end + 1;
            let op = ["<=", ">=", "<", ">", "="].into_iter().find(|op| part.starts_with(op)).unwrap_or_default();
            let rest = &part[op.len()..];
            let strange = rest.contains(|c: char| !c.is_ascii_alphanumeric() && !"._-+~".contains(c));
            match Version::read(rest).filter(|_| !strange) {
                Some(version) => bounds.push((at, op, version)),
                None if rest.is_empty() => return wrong(at, "a version is missing here".to_owned()),
                None => return wrong(at, format!("`{}` is not a version", rest.escape_debug())),
            }
        }
        let kind = match bounds.as_slice() {
            [(at, "", version)] if version.suffix != Suffix::None => {
                return wrong(at.clone(), format!("`{version}` has a suffix, and a series has none; write `={version}`"));
            }
            [(_, "", version)] => Kind::Series(version.numbers.clone()),
            [(_, "=", version)] => Kind::Exactly(version.clone()),
            _ => limits(bounds)?,
        };
        Ok(Range { kind, text: text.to_owned() })
    }

    /// Is the version one of them?
    pub fn contains(&self, version: &Version) -> bool {
        match &self.kind {
            Kind::Series(numbers) => numbers.iter().enumerate().all(|(i, n)| version.number(i) == *n),
            Kind::Exactly(wanted) => version == wanted,
            Kind::Between(lower, upper) => {
                let above = |l: &Limit| *version > l.version || l.included && *version == l.version;
                let below = |l: &Limit| *version < l.version || l.included && *version == l.version;
                lower.as_ref().is_none_or(above) && upper.as_ref().is_none_or(below)
            }
        }
    }
}

fn limits(bounds: Vec<(Octets<usize>, &str, Version)>) -> Result<Kind, RangeMistake> {
    let (mut lower, mut upper) = (None, None);
    let mut last = 0..0;
    for (at, op, version) in bounds {
        let limit = Limit { version, included: op.ends_with('=') };
        let side = match op {
            "<" | "<=" => &mut upper,
            ">" | ">=" => &mut lower,
            _ => {
                let message = format!("`{op}{}` stands alone; only limits (`<`, `<=`, `>`, `>=`) can be combined", limit.version);
                return Err(RangeMistake { at, message });
            }
        };
        if side.replace(limit).is_some() {
            return Err(RangeMistake { at, message: "there is a limit of this side already".to_owned() });
        }
        last = at;
    }
    if let (Some(l), Some(u)) = (&lower, &upper)
        && (l.version > u.version || l.version == u.version && !(l.included && u.included))
    {
        return Err(RangeMistake { at: last, message: "no version is within both limits".to_owned() });
    }
    Ok(Kind::Between(lower, upper))
}

impl PartialEq for Range {
    fn eq(&self, other: &Range) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Range {}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{alike, version};
    use super::*;

    fn holds(range: &str, text: &str) -> bool {
        Range::read(range).unwrap_or_else(|e| panic!("{range}: {e:?}")).contains(&version(text))
    }

    #[test]
    fn ranges_hold_what_they_say() {
        let cases = [
            ("<5", "4.10", true),
            ("<5", "5.0", false),
            ("<5", "5.0rc1", true),
            ("<=5.2", "5.2.0", true),
            ("<=5.2", "5.2.1", false),
            (">5.2", "5.2.1", true),
            (">5.2", "5.2", false),
            (">=6.0.2", "6.0.1", false),
            (">=6.0.2", "6.1.0", true),
            (">=6.0.2", "6.0.2dr1", false),
            (">=5,<5.3", "5.2", true),
            ("<5.3,>=5", "5.3", false),
            (">=5,<=5", "5.0.0", true),
            ("=6.0.1dr2", "6.0.1dr2", true),
            ("=6.0.1", "6.0.1dr2", false),
            ("=5", "5.2", false),
            ("5", "5.2", true),
            ("5", "5", true),
            ("5", "50.2", false),
            ("6.1", "6.1.0", true),
            ("6.1", "6.10", false),
            ("6.0.1", "6.0.1dr2", true),
            ("5.0", "5", true),
            ("5.0", "5.2", false),
        ];
        for (range, text, wanted) in cases {
            assert_eq!(holds(range, text), wanted, "{text} in {range}");
            assert_eq!(Range::read(range).unwrap().to_string(), range);
        }
        let read = |text: &str| Range::read(text).unwrap();
        assert_ne!(read("5"), read("5.0"));
        assert_eq!(read("<5.3.0,>=5"), read(">=5.0,<5.3"));
    }

    #[test]
    fn wrong_ranges_are_told_with_their_place() {
        let cases = [
            ("", 0..0, "missing"),
            ("<", 0..1, "missing"),
            (">=5,", 4..4, "missing"),
            ("<x", 0..2, "not a version"),
            ("<5 ", 0..3, "not a version"),
            ("==5", 0..3, "not a version"),
            (">=5,5.3", 4..7, "stands alone"),
            ("=5,<6", 0..2, "stands alone"),
            (">=5,>6", 4..6, "already"),
            (">=5,<5", 4..6, "within both"),
            ("<4,>=5", 3..6, "within both"),
            ("6.0.1dr2", 0..8, "=6.0.1dr2"),
        ];
        for (text, at, says) in cases {
            let wrong = Range::read(text).unwrap_err();
            assert!(wrong.at == at && wrong.message.contains(says), "{text}: {wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>()) {
            if let Err(wrong) = Range::read(&text) {
                prop_assert!(text.get(wrong.at).is_some());
            }
        }

        #[test]
        fn what_begins_like_a_range_is_read_without_a_panic(text in "[<>=]{0,2}[0-9.]{0,4}[a-zé,]{0,2}[<>=]{0,2}[0-9.]{0,4}") {
            if let Err(wrong) = Range::read(&text) {
                prop_assert!(text.get(wrong.at).is_some());
            }
        }

        #[test]
        fn limits_split_all_versions(limit in alike(), v in alike()) {
            prop_assume!(!holds(&format!("={limit}"), &v));
            let within = |op: &str| holds(&format!("{op}{limit}"), &v);
            prop_assert!(within("<") != within(">"));
            prop_assert!(within("<=") != within(">="));
        }
    }
}
