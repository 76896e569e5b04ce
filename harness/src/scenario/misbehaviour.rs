//! `misbehave` of a gateway: what it does wrong on purpose, each with the rule that it breaks.

use std::time::Duration;

use peer::{Bend, MessageAction, MessageRule, Misbehave, Switches, WhichMessage};
use wire::ike::names;

use crate::schema::{Args, Kind, Numbers, Param, Word};

/// IKEv2 notify message types.
const NOTIFY: Kind = Kind::Number(&NOTIFIES);
const NOTIFIES: Numbers = Numbers { what: "a notify message type", most: u16::MAX, name: |n| names::notify(2, n) };
/// IKEv2 payload types.
const PAYLOAD: Kind = Kind::Number(&PAYLOADS);
const PAYLOADS: Numbers = Numbers { what: "a payload type", most: 255, name: |n| names::payload(2, u8::try_from(n).ok()?) };
/// IKEv2 exchange types.
const EXCHANGE: Kind = Kind::Number(&EXCHANGES);
const EXCHANGES: Numbers = Numbers { what: "an exchange type", most: 255, name: |n| names::exchange(2, u8::try_from(n).ok()?) };

const OCTET: Kind = Kind::Int(0, 255);
const OTHER_PAYLOAD: &[Param] = &[Param::required("payload", PAYLOAD, "its type")];

/// `[gateway.<name>.misbehave]`.
pub const MISBEHAVE: &[Param] = &[
    Param::optional("no-retransmit", Kind::Bool, "requests are never sent again; breaks RFC 7296 §2.1: a requester must retransmit"),
    Param::optional("ignore-soft-expiry", Kind::Bool, "a child SA is not re-keyed when its soft lifetime ends; breaks RFC 7296 §2.8"),
    Param::optional("ignore-hard-expiry", Kind::Bool, "an SA is used on after its hard lifetime; breaks RFC 4301 §4.4.2.1"),
    Param::optional("never-delete", Kind::Bool, "SAs disappear without a DELETE; breaks RFC 7296 §1.4.1"),
    Param::optional("ignore-rekey", Kind::Bool, "requests that re-key are not answered at all; breaks RFC 7296 §2.1"),
    Param::optional("rekey-without-install", Kind::Bool, "re-keying is answered with an SPI that is never installed; breaks RFC 7296 §2.8"),
    Param::optional("strict-source-port", Kind::Bool, "requests whose source port is not 500 are not answered; breaks RFC 7296 §2.11"),
    Param::optional(
        "reject-ke-forever",
        Kind::Bool,
        "every KE payload is refused with INVALID_KE_PAYLOAD, in turn for another group; breaks RFC 7296 §1.2",
    ),
    Param::optional("drop-cookie", Kind::Bool, "a COOKIE that was demanded is not returned; breaks RFC 7296 §2.6"),
    Param::optional("mangle-cookie", Kind::Bool, "a COOKIE is returned altered; breaks RFC 7296 §2.6"),
    Param::optional("ignore-dpd", Kind::Bool, "liveness checks are not answered; breaks RFC 7296 §2.4"),
    Param::optional(
        "esp-icv-len",
        Kind::Int(0, 64),
        "octets of the ESP ICV instead of the algorithm's; breaks RFC 4868 §2.3, as some kernels' 96-bit HMAC-SHA2-256 does",
    ),
    Param::optional(
        "reset-esp-sequence-after",
        Kind::Int(1, 0xffff_ffff),
        "the ESP sequence number begins anew after so many packets; breaks RFC 4303 §2.2",
    ),
    Param::optional("accept-any-auth", Kind::Bool, "the content of the peer's AUTH payload is not verified; breaks RFC 7296 §2.15"),
    Param::optional("accept-any-id", Kind::Bool, "the peer's identity is not compared with what is expected; breaks RFC 4301 §4.4.3"),
    Param::optional("no-narrowing", Kind::Bool, "own traffic selectors are not narrowed to what the peer offers; breaks RFC 7296 §2.9"),
    Param::optional("omit-notify", Kind::List(&NOTIFY), "notifies that are left out of everything sent (RFC 7296 §3.10.1)"),
    Param::optional("ignore-notify", Kind::List(&NOTIFY), "notifies that are not looked at when they arrive (RFC 7296 §3.10.1)"),
    Param::optional("message", Kind::List(&Kind::Table(MESSAGE)), "what happens to single IKE messages"),
];

/// `[[gateway.<name>.misbehave.message]]`.
pub const MESSAGE: &[Param] = &[
    Param::optional("inbound", Kind::Bool, "those received, not those sent"),
    Param::optional(
        "nth",
        Kind::Int(1, 1_000_000),
        "the n-th unique message of its direction in its IKE SA, counted from 1; default: every one",
    ),
    Param::optional("exchange", EXCHANGE, "exchange type (RFC 7296 §3.1); default: any"),
    Param::optional("response", Kind::Bool, "responses only, or requests only; default: both"),
    Param::required("do", Kind::Tagged(ACTIONS), "what happens to them"),
];

/// `do` of a message: what happens to it.
pub const ACTIONS: &[Word] = &[
    Word { name: "block", doc: "It and all its retransmissions are lost (the peer's RFC 7296 §2.1 must cope).", params: &[] },
    Word { name: "drop", doc: "Its first copy is lost; retransmissions pass.", params: &[] },
    Word {
        name: "duplicate",
        doc: "It is sent, or taken in, more often. RFC 7296 §2.1: a repeated request gets the same response and is not processed again.",
        params: &[Param::default("times", Kind::Int(1, 1000), "1", "copies beyond the first")],
    },
    Word {
        name: "delay",
        doc: "It arrives later; others overtake it.",
        params: &[Param::required("by", Kind::Duration, "how much later")],
    },
    Word {
        name: "replay",
        doc: "It is sent, or taken in, once more, later. RFC 7296 §2.2: message IDs protect against that.",
        params: &[Param::required("after", Kind::Duration, "how much later")],
    },
    Word {
        name: "spi-i",
        doc: "Another initiator's SPI (breaks RFC 7296 §3.1).",
        params: &[Param::required("spi", Kind::Int(0, i64::MAX), "the SPI")],
    },
    Word {
        name: "spi-r",
        doc: "Another responder's SPI (breaks RFC 7296 §3.1).",
        params: &[Param::required("spi", Kind::Int(0, i64::MAX), "the SPI")],
    },
    Word {
        name: "version",
        doc: "Another version octet (RFC 7296 §2.5): 0x30 is a higher major version, 0x2f a higher minor one.",
        params: &[Param::required("octet", OCTET, "major version in the upper four bits, minor in the lower")],
    },
    Word {
        name: "exchange",
        doc: "Another exchange type (breaks RFC 7296 §3.1).",
        params: &[Param::required("exchange", EXCHANGE, "the exchange type")],
    },
    Word {
        name: "flip-flags",
        doc: "Flag bits of the header are inverted (breaks RFC 7296 §3.1): 0x20 response, 0x10 version, 0x08 initiator.",
        params: &[Param::required("bits", OCTET, "which")],
    },
    Word {
        name: "message-id",
        doc: "Another message ID (breaks RFC 7296 §2.2).",
        params: &[Param::required("id", Kind::Int(0, 0xffff_ffff), "the message ID")],
    },
    Word {
        name: "length",
        doc: "The header's length field is wrong (breaks RFC 7296 §3.1).",
        params: &[Param::required("by", Kind::Int(-65535, 65535), "octets too many")],
    },
    Word {
        name: "reserved",
        doc: "Reserved bits of each payload's generic header are set. RFC 7296 §2.5 tells receivers to ignore them.",
        params: &[],
    },
    Word {
        name: "omit-payload",
        doc: "Payloads of a type are left out (breaks RFC 7296 §1.2 and what each exchange demands).",
        params: OTHER_PAYLOAD,
    },
    Word {
        name: "unknown-payload",
        doc: "An unknown payload is put first. RFC 7296 §2.5: the receiver must ignore it, or refuse the message if it is critical.",
        params: &[
            Param::default("payload", PAYLOAD, "201", "its type"),
            Param::default("critical", Kind::Bool, "false", "its critical bit"),
            Param::default("len", Kind::Int(0, 60_000), "16", "octets of data"),
        ],
    },
    Word {
        name: "double-payload",
        doc: "The first payload of a type occurs twice (breaks RFC 7296 §1.2 and what each exchange demands).",
        params: OTHER_PAYLOAD,
    },
    Word { name: "corrupt-payload", doc: "The first payload of a type has its last octet altered.", params: OTHER_PAYLOAD },
    Word { name: "empty-payload", doc: "The first payload of a type has no data (breaks RFC 7296 §3.2 ff.).", params: OTHER_PAYLOAD },
    Word {
        name: "resize-payload",
        doc: "The first payload of a type is longer, with zeros, or shorter (breaks RFC 7296 §3.2 ff.).",
        params: &[
            Param::required("payload", PAYLOAD, "its type"),
            Param::required("by", Kind::Int(-65535, 65535), "octets; fewer than none: shorter"),
        ],
    },
    Word {
        name: "set-octets",
        doc: "Octets in the first payload of a type are others (breaks RFC 7296 §3.2 ff.), before AUTH is computed over IKE_SA_INIT and \
            before encryption. For what has no word of its own: the critical bit (`at = 1, octets = \"80\"`), the number or protocol of \
            the first proposal (SA, 8 and 9), the DH group (KE, 4), the method of AUTH (4), the protocol of a DELETE or notify (4), the \
            number of traffic selectors (TSi, TSr, 4).",
        params: &[
            Param::required("payload", PAYLOAD, "its type"),
            Param::required("at", Kind::Int(1, 65_535), "octets from the payload's start; its generic header has 4"),
            Param::required("octets", Kind::Hex, "what is there instead; what lies beyond the payload's end is left out"),
        ],
    },
    Word {
        name: "add-notify",
        doc: "A notify more. RFC 7296 §3.10.1: types that are not known are ignored, unless they are errors.",
        params: &[Param::required("notify", NOTIFY, "its type"), Param::default("data", Kind::Hex, "\"\"", "notification data")],
    },
    Word {
        name: "unencrypted-notify",
        doc: "The whole message is replaced by this notify, in clear (breaks RFC 7296 §2.21).",
        params: &[Param::required("notify", NOTIFY, "its type")],
    },
    Word { name: "reverse-payloads", doc: "The order of the payloads is reversed. RFC 7296 §2.5: a receiver must not care.", params: &[] },
    Word {
        name: "corrupt-encrypted",
        doc: "One octet of the encrypted part is altered after encryption: the integrity check must fail (RFC 7296 §3.14).",
        params: &[],
    },
    Word {
        name: "fill-to",
        doc: "A Vendor ID of zeros makes the message so long: an IKE_AUTH that must be fragmented (RFC 7383).",
        params: &[Param::required("octets", Kind::Int(1, 65000), "its least length")],
    },
];

/// Actions that happen to messages of either direction; the others alter what is sent.
pub(super) const ON_THE_WAY: &[&str] = &["block", "drop", "duplicate", "delay", "replay"];

/// The misbehaviour that these settings ask for.
pub(super) fn misbehave(args: &Args) -> Misbehave {
    let notifies = |key: &str| match args.get(key) {
        Some(crate::schema::Value::List(items)) => items.iter().filter_map(|v| NOTIFIES.number(v)).collect(),
        _ => Vec::new(),
    };
    Misbehave {
        messages: args.tables("message").into_iter().filter_map(rule).collect(),
        omit_notify: notifies("omit-notify"),
        ignore_notify: notifies("ignore-notify"),
        switches: switches(args),
    }
}

fn switches(args: &Args) -> Switches {
    Switches {
        no_retransmit: args.flag("no-retransmit"),
        ignore_soft_expiry: args.flag("ignore-soft-expiry"),
        ignore_hard_expiry: args.flag("ignore-hard-expiry"),
        never_delete: args.flag("never-delete"),
        ignore_rekey: args.flag("ignore-rekey"),
        rekey_without_install: args.flag("rekey-without-install"),
        strict_source_port: args.flag("strict-source-port"),
        reject_ke_forever: args.flag("reject-ke-forever"),
        drop_cookie: args.flag("drop-cookie"),
        mangle_cookie: args.flag("mangle-cookie"),
        ignore_dpd: args.flag("ignore-dpd"),
        esp_icv_len: args.int("esp-icv-len").and_then(|n| u8::try_from(n).ok()),
        reset_esp_sequence_after: args.int("reset-esp-sequence-after").and_then(|n| u32::try_from(n).ok()),
        accept_any_id: args.flag("accept-any-id"),
        accept_any_auth: args.flag("accept-any-auth"),
        no_narrowing: args.flag("no-narrowing"),
    }
}

fn rule(args: &Args) -> Option<MessageRule> {
    let (word, how) = args.table("do")?.0.iter().next()?;
    let crate::schema::Value::Table(how) = how else { return None };
    let which = WhichMessage {
        inbound: args.flag("inbound"),
        nth: args.int("nth").and_then(|n| u32::try_from(n).ok()),
        exchange: args.get("exchange").and_then(|v| u8::try_from(EXCHANGES.number(v)?).ok()),
        response: args.get("response").map(|_| args.flag("response")),
    };
    Some(MessageRule { which, action: action(word, how)? })
}

fn action(word: &str, args: &Args) -> Option<MessageAction> {
    let duration = |key: &str| args.duration(key).unwrap_or(Duration::ZERO);
    Some(match word {
        "block" => MessageAction::Block,
        "drop" => MessageAction::Drop,
        "duplicate" => MessageAction::Duplicate(u32::try_from(args.int("times")?).ok()?),
        "delay" => MessageAction::Delay(duration("by")),
        "replay" => MessageAction::Replay(duration("after")),
        _ => MessageAction::Bend(bend(word, args)?),
    })
}

fn bend(word: &str, args: &Args) -> Option<Bend> {
    let octet = |key: &str| u8::try_from(args.int(key)?).ok();
    let payload = || u8::try_from(PAYLOADS.number(args.get("payload")?)?).ok();
    let notify = || NOTIFIES.number(args.get("notify")?);
    let by = || i32::try_from(args.int("by")?).ok();
    let spi = || u64::try_from(args.int("spi")?).ok();
    Some(match word {
        "spi-i" => Bend::SpiI(spi()?),
        "spi-r" => Bend::SpiR(spi()?),
        "version" => Bend::Version(octet("octet")?),
        "exchange" => Bend::Exchange(u8::try_from(EXCHANGES.number(args.get("exchange")?)?).ok()?),
        "flip-flags" => Bend::FlipFlags(octet("bits")?),
        "message-id" => Bend::MessageId(u32::try_from(args.int("id")?).ok()?),
        "length" => Bend::Length(by()?),
        "reserved" => Bend::Reserved,
        "omit-payload" => Bend::OmitPayload(payload()?),
        "unknown-payload" => {
            Bend::UnknownPayload { kind: payload()?, critical: args.flag("critical"), len: u16::try_from(args.int("len")?).ok()? }
        }
        "double-payload" => Bend::DoublePayload(payload()?),
        "corrupt-payload" => Bend::CorruptPayload(payload()?),
        "empty-payload" => Bend::EmptyPayload(payload()?),
        "resize-payload" => Bend::ResizePayload { kind: payload()?, by: by()? },
        "set-octets" => {
            Bend::SetOctets { kind: payload()?, at: u16::try_from(args.int("at")?).ok()?, octets: octets(args.text("octets")?)? }
        }
        "add-notify" => Bend::AddNotify { kind: notify()?, data: octets(args.text("data")?)? },
        "unencrypted-notify" => Bend::UnencryptedNotify(notify()?),
        "reverse-payloads" => Bend::ReversePayloads,
        "corrupt-encrypted" => Bend::CorruptEncrypted,
        "fill-to" => Bend::FillTo(u16::try_from(args.int("octets")?).ok()?),
        _ => return None,
    })
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::defaults::default_value;
    use crate::schema::Value;

    /// A value of a kind that is not its default.
    fn some(kind: Kind) -> Value {
        match kind {
            Kind::Bool => Value::Bool(true),
            Kind::Int(low, high) => Value::Int(7.clamp(low, high)),
            Kind::Duration => Value::Duration(Duration::from_secs(7)),
            Kind::Number(numbers) => Value::Text(numbers.names().nth(1).unwrap().to_owned()),
            Kind::Hex => Value::Text("00ff".into()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_switch_of_the_gateway_has_a_key() {
        let names = |s: &Switches| -> Vec<String> {
            let json = serde_json::to_value(s).unwrap();
            json.as_object().unwrap().keys().map(|k| k.replace('_', "-")).collect()
        };
        for name in names(&Switches::default()) {
            let param = MISBEHAVE.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no key `{name}`"));
            let set = misbehave(&Args::default().with(&name, some(param.kind)));
            assert_ne!(set.switches, Switches::default(), "{name} does nothing");
        }
    }

    #[test]
    fn every_action_has_a_meaning() {
        for word in ACTIONS {
            let args = Args(word.params.iter().map(|p| (p.name.to_owned(), some(p.kind))).collect());
            let found = action(word.name, &args);
            assert!(found.is_some(), "{}", word.name);
            assert_eq!(ON_THE_WAY.contains(&word.name), !matches!(found, Some(MessageAction::Bend(_))), "{}", word.name);
            // With defaults where there are any, too.
            let fewest = word.params.iter().map(|p| (p.name.to_owned(), default_value(p).unwrap_or_else(|| some(p.kind))));
            assert!(action(word.name, &Args(fewest.collect())).is_some(), "{}", word.name);
        }
    }

    #[test]
    fn names_and_numbers_mean_the_same() {
        let list = |v: Value| misbehave(&Args::default().with("omit-notify", Value::List(vec![v]))).omit_notify;
        assert_eq!(list(Value::Text("NAT_DETECTION_SOURCE_IP".into())), [16388]);
        assert_eq!(list(Value::Int(16388)), [16388]);
    }
}
