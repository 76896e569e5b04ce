//! Why a value of a scenario is refused, in words.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::diag::{listed, nearest};
use super::forms::form_of;
use crate::schema::{Kind, Value};

/// Names that are compared with what was written, in one file.
const MOST_COMPARISONS: usize = 50_000;

/// Why a value is refused.
pub(super) struct Wrong {
    pub code: &'static str,
    pub message: String,
    pub label: String,
    pub help: Vec<String>,
}

impl Wrong {
    pub fn new(code: &'static str, message: String) -> Wrong {
        Wrong { code, message, label: String::new(), help: vec![] }
    }

    pub fn kind(name: &str, kind: Kind) -> Wrong {
        Wrong::new("bad-value", format!("{name} must be {}", form_of(kind)))
    }

    pub fn name<'w>(budget: &Budget, message: String, word: &str, valid: impl Iterator<Item = &'w str>) -> Wrong {
        let (label, help) = budget.suggest(word, valid, "there is none");
        Wrong { code: "unknown-name", message, label, help: help.into_iter().collect() }
    }
}

/// How many names may still be compared, in one file, to find what was meant. Without a limit a file full of unknown names would be
/// compared with as many known ones; more mistakes than get a suggestion are not shown anyway.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Budget {
        Budget(Cell::new(MOST_COMPARISONS))
    }
}

impl Budget {
    /// The nearest valid name, and which there are; nothing when too many have been looked at.
    pub fn suggest<'w>(&self, word: &str, valid: impl Iterator<Item = &'w str>, none: &str) -> (String, Option<String>) {
        let left = self.0.get();
        if left == 0 {
            return (String::new(), None);
        }
        let valid: Vec<&str> = valid.collect();
        self.0.set(left.saturating_sub(valid.len().max(1)));
        let label = nearest(word, valid.iter().copied()).map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
        (label, Some(if valid.is_empty() { none.to_owned() } else { format!("accepted: {}", listed(valid)) }))
    }

    /// How many were.
    #[cfg(test)]
    pub fn spent(&self) -> usize {
        MOST_COMPARISONS - self.0.get()
    }
}

/// One of the known names; without a list of them, any.
pub(super) fn known(budget: &Budget, names: &Option<BTreeSet<String>>, what: &str, text: &str) -> Result<Value, Wrong> {
    match names {
        Some(names) if !names.contains(text) => {
            Err(Wrong::name(budget, format!("`{}` is not a {what}", text.escape_debug()), text, names.iter().map(String::as_str)))
        }
        _ => Ok(Value::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Source, Vocabulary, load};
    use super::*;

    #[test]
    fn suggestions_end_when_too_much_has_been_compared() {
        let (budget, names): (_, Vec<String>) = (Budget::default(), (0..1000).map(|n| format!("node-{n}")).collect());
        let given = (0..1000).filter(|_| !budget.suggest("nod-7", names.iter().map(String::as_str), "none").0.is_empty()).count();
        assert_eq!((given, budget.spent()), (MOST_COMPARISONS / names.len(), MOST_COMPARISONS));
    }

    #[test]
    fn mistakes_beyond_the_budget_are_reported_all_the_same() {
        let entries: String = (0..5000).map(|n| format!("[[fault]]\nname = \"f{n}\"\ndo.drip = {{}}\n")).collect();
        let source =
            Source::new("scenarios/x/x.toml", format!("[scenario]\ntitle = \"t\"\n[network]\nlayout = \"two-gateways\"\n{entries}"));
        let found = load(&source, &Vocabulary::new(vec![("packets", &[])], |_| Ok(()))).unwrap_err();
        let unknown: Vec<_> = found.list.iter().filter(|d| d.code == "unknown-word").collect();
        assert_eq!((unknown.len(), unknown[0].label.as_str(), unknown[4999].label.as_str()), (5000, "did you mean `drop`?", ""));
    }
}
