//! What every symptom must keep to.

use super::all;
use crate::scenario::defaults::default_value;

#[test]
fn codes_are_unique_sorted_and_in_kebab_case() {
    let codes: Vec<&str> = all().iter().map(|s| s.code).collect();
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(codes, sorted);
    for code in codes {
        assert!(code.split('-').all(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())), "{code}");
        assert_eq!(super::find(code).map(|s| s.code), Some(code));
    }
    assert!(super::find("nonsense").is_none());
}

#[test]
fn everything_is_documented() {
    for s in all() {
        assert!(s.meaning.ends_with('.') && s.meaning.len() > 20, "{}", s.code);
        assert!(s.explain.len() > 100, "{}", s.code);
        for p in s.params {
            assert!(!p.doc.is_empty(), "{} {}", s.code, p.name);
            // The checker fills defaults in; one that it would refuse would silently be none.
            assert!(p.default.is_empty() || default_value(p).is_some(), "{} {}", s.code, p.name);
        }
    }
}
