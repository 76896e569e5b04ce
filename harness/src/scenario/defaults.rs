//! Values of keys that are absent, read from the vocabulary's tables once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use toml::de::DeValue;

use super::Source;
use super::walk::Walker;
use crate::schema::{Args, Param, Value};

/// The value a key has when it is absent.
pub(crate) fn default_value(param: &'static Param) -> Option<Value> {
    static KNOWN: Mutex<BTreeMap<usize, Option<Value>>> = Mutex::new(BTreeMap::new());
    if param.default.is_empty() {
        return None;
    }
    // Where it is in memory says which it is, since it stays there. Not held while another default may be asked for.
    let place = std::ptr::from_ref(param).addr();
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
    known.unwrap_or_else(|| {
        let value = parsed_default(param);
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(place, value.clone());
        value
    })
}

/// The values of those keys that have one when they are absent.
pub(crate) fn defaults(params: &'static [Param]) -> Args {
    Args(params.iter().filter_map(|p| Some((p.name.to_owned(), default_value(p)?))).collect())
}

fn parsed_default(param: &'static Param) -> Option<Value> {
    let source = Source::new("default", param.default);
    let value = DeValue::parse(&source.text).ok()?;
    Walker::new(&source, |_| Ok(())).value(param.name, param.kind, &value, true)
}
