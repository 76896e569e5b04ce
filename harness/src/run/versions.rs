//! Versions of gateway implementations, and ranges of them. docs/pairings.md has the grammar and the order.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

mod range;

pub use range::{FORMS, Range, RangeMistake};

/// A version: dotted numbers, and what follows them: `5.9.8`, `6.0.1dr2`. Equal versions may be spelled in different ways (`5` and
/// `5.0`).
#[derive(Debug, Clone)]
pub struct Version {
    numbers: Vec<Number>,
    suffix: Suffix,
    text: String,
}

/// A whole number of any size, without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number(String);

impl Number {
    fn read(digits: &str) -> Number {
        Number(digits.trim_start_matches('0').to_owned())
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What follows the numbers, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Suffix {
    /// Comes before the version without it: `6.0.1dr2`.
    Before(Vec<Part>),
    None,
    /// Comes after it: `4.10-3`, `1.0.2k`.
    After(Vec<Part>),
}

/// A stretch of digits, or of anything else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(Number),
    Text(String),
}

/// Words of releases that come before the one that they are named after.
const EARLY: [&str; 6] = ["alpha", "beta", "dev", "dr", "pre", "rc"];

impl Version {
    /// Reads a version; `None`: the text does not begin with a number.
    pub fn read(text: &str) -> Option<Version> {
        let text = text.trim();
        let (numbers, rest) = numbers(text);
        if numbers.is_empty() {
            return None;
        }
        let plain = rest.trim_start_matches(['-', '.', '~', '_', '+', ' ']).to_ascii_lowercase();
        let word = plain.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let suffix = match rest {
            "" => Suffix::None,
            _ if EARLY.contains(&word) => Suffix::Before(parts(&plain)),
            _ => Suffix::After(parts(&plain)),
        };
        Some(Version { numbers, suffix, text: text.to_owned() })
    }

    fn number(&self, index: usize) -> Number {
        self.numbers.get(index).cloned().unwrap_or(Number(String::new()))
    }
}

/// The dotted numbers that a text begins with, and what follows them.
fn numbers(text: &str) -> (Vec<Number>, &str) {
    let (mut found, mut rest) = (Vec::new(), text);
    loop {
        let from = if found.is_empty() { Some(rest) } else { rest.strip_prefix('.') };
        let Some(from) = from else { break };
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        if end == 0 {
            break;
        }
        found.push(Number::read(&from[..end]));
        rest = &from[end..];
    }
    (found, rest)
}

fn parts(text: &str) -> Vec<Part> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let part = &rest[..end];
        found.push(if digits { Part::Number(Number::read(part)) } else { Part::Text(part.to_owned()) });
        rest = &rest[end..];
    }
    found
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        let most = self.numbers.len().max(other.numbers.len());
        let by_number = (0..most).map(|i| self.number(i).cmp(&other.number(i))).find(|o| o.is_ne());
        by_number.unwrap_or_else(|| self.suffix.cmp(&other.suffix))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The versions of the two sides of a pairing, in the words of the implementations.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Versions {
    /// Of the first gateway's implementation; absent when it did not play, or when nobody wrote it down.
    pub first: Option<String>,
    /// Of the others' implementation, likewise.
    pub others: Option<String>,
}

impl Versions {
    /// Returns the sides of a pairing `A:B` whose versions are known.
    pub fn sides<'v>(&'v self, pairing: &'v str) -> Vec<(&'v str, &'v str)> {
        let (a, b) = pairing.split_once(':').unwrap_or((pairing, ""));
        [(a, &self.first), (b, &self.others)].into_iter().filter_map(|(name, v)| Some((name, v.as_deref()?))).collect()
    }

    /// Describes them, two equal ones once: `strongswan 5.9.8`, `libreswan 4.10`.
    pub fn told(&self, pairing: &str) -> Vec<String> {
        let mut told: Vec<String> = self.sides(pairing).into_iter().map(|(name, version)| format!("{name} {version}")).collect();
        told.dedup();
        told
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn version(text: &str) -> Version {
        Version::read(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn versions_are_in_the_order_of_their_numbers() {
        let sorted = [
            "0.1.0",
            "4.9",
            "4.10dr2",
            "4.10dr10",
            "4.10-rc1",
            "4.10",
            "4.10-3",
            "4.10a",
            "4.10.1",
            "5",
            "5.2",
            "5.9.8",
            "6.0.1dr2",
            "6.0.1",
            "6.1.0",
            "6.10",
            "20260101123456789012345678901234567890",
            "20260101123456789012345678901234567891",
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(version(a).cmp(&version(b)), i.cmp(&j), "{a} and {b}");
            }
        }
        for (a, b) in [("5", "5.0"), ("5.0.0", "5"), ("05.2", "5.2"), (" 5.2\n", "5.2")] {
            assert_eq!(version(a), version(b));
        }
        for none in ["", "v5", "-1", ".5", "unknown", "é"] {
            assert!(Version::read(none).is_none(), "{none}");
        }
    }

    #[test]
    fn what_is_known_is_told() {
        let of =
            |first: Option<&str>, others: Option<&str>| Versions { first: first.map(str::to_owned), others: others.map(str::to_owned) };
        assert_eq!(of(Some("1"), Some("2")).told("a:b"), ["a 1", "b 2"]);
        assert_eq!(of(Some("1"), Some("1")).told("a:a"), ["a 1"]);
        assert_eq!(of(None, Some("2")).told("a:b"), ["b 2"]);
        assert!(Versions::default().told("a:b").is_empty());
    }

    /// Texts that look like versions, so that equal numbers, zeros and suffixes meet.
    pub(super) fn alike() -> impl Strategy<Value = String> {
        "[0-2]{1,2}(\\.[0-1]{1,2}){0,3}(dr[0-9]|-rc[0-2]|[a-c]|-[0-3])?"
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>()) {
            if let Some(v) = Version::read(&text) {
                prop_assert_eq!(v.cmp(&v), Ordering::Equal);
            }
        }

        #[test]
        fn versions_have_a_total_order(a in alike(), b in alike(), c in alike(), any in "[0-9][^\\n]{0,12}") {
            let mut all: Vec<Version> = [a, b, c, any].iter().map(|t| version(t)).collect();
            for x in &all {
                for y in &all {
                    prop_assert_eq!(x.cmp(y), y.cmp(x).reverse());
                    prop_assert_eq!(x == y, x.cmp(y).is_eq());
                    for z in &all {
                        prop_assert!(x > y || y > z || x <= z, "{} {} {}", x, y, z);
                    }
                }
            }
            all.sort();
            prop_assert!(all.is_sorted());
        }

        #[test]
        fn numbers_compare_as_numbers(a in any::<[u64; 3]>(), b in any::<[u64; 3]>(), zeros in 0_usize..3) {
            let text = |n: [u64; 3]| n.map(|n| n.to_string()).join(".") + &".0".repeat(zeros);
            let plain = b.map(|n| n.to_string()).join(".");
            prop_assert_eq!(version(&text(a)).cmp(&version(&plain)), a.cmp(&b));
        }
    }
}
