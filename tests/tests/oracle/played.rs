//! What is played beside the library, so that every `do` that a scenario can have is seen by tshark.

use std::collections::BTreeSet;

use faultlab::cli::scenarios;
use faultlab::scenario::library::Library;
use faultlab::scenario::model::{Plan, Scenario};
use faultlab::scenario::{MESSAGE_ACTIONS, Source, load};

/// Files of `tests/oracle`: with words that the library does not have.
const FILES: [&str; 3] = ["answer-of-several-segments", "rejected-and-ended", "mappings-forgotten"];

/// Group of scenarios in which messages are bent.
pub const BENT_GROUP: &str = "bent";

/// What the in-house gateway does to its messages: name, and the table after `do`.
const BENT: &[(&str, &str)] = &[
    ("block", "block = {}"),
    ("drop", "drop = {}"),
    ("duplicate", "duplicate = { times = 2 }"),
    ("delay", "delay = { by = \"700ms\" }"),
    ("replay", "replay = { after = \"300ms\" }"),
    ("spi-i", "spi-i = { spi = 7 }"),
    ("spi-r", "spi-r = { spi = 7 }"),
    ("version-3", "version = { octet = 0x30 }"),
    ("version-2-15", "version = { octet = 0x2f }"),
    ("version-1", "version = { octet = 0x10 }"),
    ("version-0", "version = { octet = 0 }"),
    ("exchange", "exchange = { exchange = \"INFORMATIONAL\" }"),
    ("exchange-unknown", "exchange = { exchange = 240 }"),
    ("flags", "flip-flags = { bits = 0x38 }"),
    ("flags-reserved", "flip-flags = { bits = 0xc7 }"),
    ("message-id", "message-id = { id = 7 }"),
    ("length-4-more", "length = { by = 4 }"),
    ("length-5-more", "length = { by = 5 }"),
    ("length-100-more", "length = { by = 100 }"),
    ("length-1-less", "length = { by = -1 }"),
    ("length-40-less", "length = { by = -40 }"),
    ("reserved", "reserved = {}"),
    ("omit", "omit-payload = { payload = \"SA\" }"),
    ("unknown", "unknown-payload = {}"),
    ("unknown-critical", "unknown-payload = { critical = true, len = 0 }"),
    ("double", "double-payload = { payload = \"SA\" }"),
    ("corrupt", "corrupt-payload = { payload = \"SA\" }"),
    ("empty", "empty-payload = { payload = \"SA\" }"),
    ("resize-more", "resize-payload = { payload = \"SA\", by = 9 }"),
    ("resize-less", "resize-payload = { payload = \"SA\", by = -9 }"),
    ("octets-length-long", "set-octets = { payload = \"SA\", at = 2, octets = \"ffff\" }"),
    ("octets-length-short", "set-octets = { payload = \"SA\", at = 2, octets = \"0003\" }"),
    ("octets-critical", "set-octets = { payload = \"SA\", at = 1, octets = \"80\" }"),
    ("octets-protocol", "set-octets = { payload = \"SA\", at = 9, octets = \"07\" }"),
    ("add-notify", "add-notify = { notify = 16999, data = \"00ff\" }"),
    ("unencrypted-notify", "unencrypted-notify = { notify = \"AUTHENTICATION_FAILED\" }"),
    ("reverse", "reverse-payloads = {}"),
    ("corrupt-encrypted", "corrupt-encrypted = {}"),
    ("fill-to", "fill-to = { octets = 3000 }"),
];

/// Where Wireshark and faultlab do not read the same out of a message that contradicts itself: the start of the scenario's id, parts of
/// the filters that are not compared, and why.
const UNLIKE: &[(&str, &[&str])] = &[
    // Notifications of version 2 do not have the layout of version 1: whether an SPI has room, and what follows, is up to a hash.
    ("bent-version-1-in-clear", &["isakmp.notify", "isakmp.spi", "isakmp.nextpayload"]),
    // Wireshark goes on four octets after a payload whose length is below four, which gives payloads that nobody has sent.
    ("bent-octets-length-short", &["isakmp."]),
    // Of a proposal that is longer than its payload Wireshark reads on in the next payload, as far as the proposal's length goes.
    ("bent-resize-less", &["isakmp.prop.transforms", "isakmp.tf."]),
    // What becomes of the transform in which an octet was altered: Wireshark leaves one out whose length is wrong.
    ("bent-corrupt-encrypted", &["isakmp.tf.type"]),
];

/// Need this scenario's captures give the same frames for this filter?
pub fn alike(id: &str, filter: &str) -> bool {
    !UNLIKE.iter().any(|(start, parts)| id.starts_with(start) && parts.iter().any(|part| filter.contains(part)))
}

/// Files, and a scenario for each way to bend a message in clear and an encrypted one.
pub fn beside(library: &Library) -> Vec<Scenario> {
    let files = FILES.map(|f| format!("{}/oracle/{f}.toml", env!("CARGO_MANIFEST_DIR")));
    let files = scenarios::select(library, &files).unwrap_or_else(|e| panic!("{}", e.message));
    let vocabulary = scenarios::vocabulary(library);
    let bent = BENT.iter().flat_map(|(name, action)| {
        // Integrity beside encryption, and both in one.
        [("in-clear", "IKE_SA_INIT", CBC), ("encrypted", "IKE_AUTH", CBC), ("aead", "IKE_AUTH", GCM)]
            .map(|(where_, exchange, proposal)| (format!("bent-{name}-{where_}"), text(exchange, proposal, action)))
    });
    let bent = bent.map(|(id, text)| {
        let source = Source::new(format!("{BENT_GROUP}/{id}.toml"), text);
        load(&source, &vocabulary).unwrap_or_else(|mistakes| panic!("{id}: {mistakes:?}"))
    });
    files.into_iter().chain(bent).collect()
}

const CBC: &str = "aes128-sha256-modp2048";
const GCM: &str = "aes128gcm16-prfsha256-modp2048";

fn text(exchange: &str, proposal: &str, action: &str) -> String {
    format!(
        r#"
[scenario]
title = "A message that is not what it should be"
needs = ["ikev2"]
[network]
layout = "two-gateways-mid"
[health]
when-broken = "whatever"
[gateway.all]
ike-proposals = ["{proposal}"]
retransmit-timeout = "400ms"
retransmit-tries = 1
[gateway.west]
implementation = "inhouse"
[gateway.east]
implementation = "inhouse"
[[fault]]
name = "bent"
do.config = {{ at = "west", set = {{ misbehave = {{ message = [ {{ exchange = "{exchange}", response = false, do = {{ {action} }} }} ] }} }} }}
[[traffic]]
name = "ping"
do.ping = {{ from = "alice", to = "bob", count = 1 }}
[[expect]]
packets = {{ match = "isakmp", at = "west.wan" }}
persists = true
[fix]
about = "It is."
without = ["bent"]
"#
    )
}

/// Fails when something that a scenario can do is in nothing that is played.
pub fn complete(library: &Library, all: &[Scenario]) -> Result<(), libtest_mimic::Failed> {
    let vocabulary = scenarios::vocabulary(library);
    let words = vocabulary.faults.iter().chain(vocabulary.traffic).map(|w| w.name);
    let words_of =
        |p: &'_ Plan| -> Vec<String> { p.faults.iter().map(|f| &f.action).chain(p.steps.iter().map(|s| &s.action)).cloned().collect() };
    let played: BTreeSet<String> = all.iter().flat_map(Scenario::plans).flat_map(words_of).collect();
    let bent = |action: &&str| BENT.iter().any(|(_, how)| how.split(' ').next() == Some(*action));
    let missing: Vec<&str> =
        words.filter(|w| !played.contains(*w)).chain(MESSAGE_ACTIONS.iter().map(|w| w.name).filter(|a| !bent(a))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("no capture with `do` of {missing:?}").into()) }
}
