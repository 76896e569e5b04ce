//! Why a value of a scenario is refused, in words.

use std::collections::BTreeSet;

use super::diag::{listed, nearest};
use super::forms::form_of;
use crate::schema::{Kind, Value};

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

    pub fn name<'w>(message: String, word: &str, valid: impl Iterator<Item = &'w str>) -> Wrong {
        let valid: Vec<&str> = valid.collect();
        let label = nearest(word, valid.iter().copied()).map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
        let help = if valid.is_empty() { "there is none".to_owned() } else { format!("accepted: {}", listed(valid)) };
        Wrong { code: "unknown-name", message, label, help: vec![help] }
    }
}

/// One of the known names; without a list of them, any.
pub(super) fn known(names: &Option<BTreeSet<String>>, what: &str, text: &str) -> Result<Value, Wrong> {
    match names {
        Some(names) if !names.contains(text) => {
            Err(Wrong::name(format!("`{}` is not a {what}", text.escape_debug()), text, names.iter().map(String::as_str)))
        }
        _ => Ok(Value::Text(text.to_owned())),
    }
}
