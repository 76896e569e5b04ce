//! Symptoms and a filter language small enough to write down here, for tests of scenario files.

use faultlab::scenario::Vocabulary;
use faultlab::scenario::vocabulary::FilterMistake;
use faultlab::schema::{Kind, Param};

const PACKETS: &[Param] = &[
    Param::required("match", Kind::Filter, "which packets"),
    Param::required("at", Kind::Tap, "where"),
    Param::default("count", Kind::Count, "\">= 1\"", "how many"),
    Param::optional("window", Kind::Duration, "how long"),
];
const RETRANSMISSION: &[Param] = &[
    Param::required("by", Kind::Gateway, "who"),
    Param::required("at", Kind::Tap, "where"),
    Param::optional("match", Kind::Filter, "which packets"),
    Param::default("copies", Kind::Count, "\">= 2\"", "how many copies"),
    Param::default("backoff", Kind::Word(&["any", "configured", "growing"]), "\"any\"", "gaps"),
    Param::default("gives-up", Kind::Bool, "false", "whether it stops"),
];
const LOST_BETWEEN: &[Param] = &[
    Param::required("match", Kind::Filter, "which packets"),
    Param::required("from", Kind::Tap, "seen here"),
    Param::required("to", Kind::Tap, "not seen here"),
    Param::default("min", Kind::Int(1, 100_000), "1", "at least so many"),
];
const SEQUENCE: &[Param] =
    &[Param::required("at", Kind::Tap, "where"), Param::required("of", Kind::List(&Kind::Filter), "packets, in this order")];
const ESP_BOTH_WAYS: &[Param] =
    &[Param::required("at", Kind::Tap, "where"), Param::default("spis", Kind::Count, "\">= 1\"", "SPIs per direction")];
const IKE_ESTABLISHED: &[Param] = &[Param::required("initiator", Kind::Gateway, "who began")];
const LEAK: &[Param] =
    &[Param::required("at", Kind::Tap, "where"), Param::optional("prefixes", Kind::List(&Kind::Prefix), "inner prefixes")];
const PROBE: &[Param] =
    &[Param::required("step", Kind::Step, "which"), Param::required("outcome", Kind::Word(&["ok", "failed"]), "how it ended")];

/// What the tests check scenario files against.
pub fn vocabulary() -> Vocabulary {
    let symptoms: Vec<(&'static str, &'static [Param])> = vec![
        ("packets", PACKETS),
        ("retransmission", RETRANSMISSION),
        ("lost-between", LOST_BETWEEN),
        ("sequence", SEQUENCE),
        ("esp-both-ways", ESP_BOTH_WAYS),
        ("ike-established", IKE_ESTABLISHED),
        ("cleartext-leak", LEAK),
        ("probe", PROBE),
    ];
    Vocabulary::new(symptoms, filter).with_kernel_filter(kernel_filter)
}

/// Knows some fields and that parentheses come in pairs.
fn filter(text: &str) -> Result<(), FilterMistake> {
    const FIELDS: &[&str] = &[
        "udp.dstport",
        "udp.srcport",
        "udp.port",
        "isakmp.flag_response",
        "isakmp.exchangetype",
        "esp.spi",
        "esp",
        "isakmp",
        "udp",
        "icmp",
    ];
    let mut open = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '(' => open.push(at),
            ')' if open.pop().is_none() => return Err((at..at + 1, "this parenthesis was never opened".into(), None)),
            _ => {}
        }
    }
    if let Some(at) = open.pop() {
        return Err((at..at + 1, "this parenthesis is never closed".into(), None));
    }
    if text.trim().is_empty() {
        return Err((0..text.len(), "the filter is empty".into(), Some("write a display filter such as `udp.dstport == 500`".into())));
    }
    let mut at = 0;
    for token in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')) {
        let word = token.starts_with(|c: char| c.is_ascii_alphabetic()) && !["and", "or", "not"].contains(&token);
        if word && !FIELDS.contains(&token) {
            return Err((
                at..at + token.len(),
                format!("`{token}` is not a known field"),
                Some(format!("known fields: {}", FIELDS.join(", "))),
            ));
        }
        at += token.len() + text[at + token.len()..].chars().next().map_or(0, char::len_utf8);
    }
    Ok(())
}

/// A packet filter does not look into IKE messages.
fn kernel_filter(text: &str) -> Result<(), FilterMistake> {
    filter(text)?;
    let Some(at) = text.find("isakmp.") else { return Ok(()) };
    let help = "faults match on addresses, protocols, ports and lengths".to_owned();
    Err((at..text.len(), "the kernel cannot test this".to_owned(), Some(help)))
}
