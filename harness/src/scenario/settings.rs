//! Doubts about one table of gateway settings that its keys alone do not show.

use toml::de::DeValue;

use super::misbehaviour::ON_THE_WAY;
use super::walk::{Table, Walker};

/// Reports them.
pub(super) fn check(walker: &mut Walker<'_>, table: &Table<'_>) {
    retransmit_base(walker, table);
    two_eaps(walker, table);
    messages(walker, table);
    super::children::check(walker, table);
}

/// A factor outside these bounds would make gaps negative or longer than time.
fn retransmit_base(walker: &mut Walker<'_>, table: &Table<'_>) {
    let Some(value) = table.get("retransmit-base") else { return };
    let number = match value.get_ref() {
        DeValue::Float(f) => f.as_str().parse::<f64>().ok(),
        DeValue::Integer(n) => n.as_str().parse::<f64>().ok(),
        _ => return,
    };
    if !number.is_some_and(|n| (1.0..=4.0).contains(&n)) {
        walker.mistake("out-of-range", value.span(), "`retransmit-base` must be between 1 and 4", "", []);
    }
}

/// RFC 7296 §2.16: an EAP client's peer proves itself otherwise.
fn two_eaps(walker: &mut Walker<'_>, table: &Table<'_>) {
    let eap = |key: &str| {
        let value = table.get(key)?;
        value.get_ref().as_str().filter(|s| s.starts_with("eap-")).map(|_| value.span())
    };
    if let (Some(_), Some(span)) = (eap("auth"), eap("peer-auth")) {
        let help = "the server of EAP uses \"certificate\" or \"psk\"".to_owned();
        walker.mistake("eap-on-both-sides", span, "of two peers only one can use EAP", "", [help]);
    }
}

/// A gateway can lose or repeat what it receives, but alter only what it sends.
fn messages(walker: &mut Walker<'_>, table: &Table<'_>) {
    let rules = || table.get("misbehave")?.get_ref().as_table()?.get("message")?.get_ref().as_array();
    for rule in rules().into_iter().flat_map(|rules| rules.iter()) {
        let Some(rule) = rule.get_ref().as_table() else { continue };
        let inbound = rule.get("inbound").is_some_and(|v| v.get_ref().as_bool() == Some(true));
        let word = rule.get("do").and_then(|d| d.get_ref().as_table()?.keys().next().cloned());
        let Some(word) = word.filter(|word| inbound && is_bend(word.get_ref())) else { continue };
        let message = format!("`do.{}` alters messages that are sent, not those that arrive", word.get_ref());
        let help = format!("remove `inbound`, or use one of {}", super::diag::listed(ON_THE_WAY.iter().copied()));
        walker.mistake("inbound-alteration", word.span(), message, "", [help]);
    }
}

fn is_bend(word: &str) -> bool {
    !ON_THE_WAY.contains(&word) && super::misbehaviour::ACTIONS.iter().any(|a| a.name == word)
}
