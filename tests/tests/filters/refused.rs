//! What is refused: by every Wireshark, or only by us because Wireshark's versions do not agree on it.

use faultlab::filter::Filter;

use crate::tshark::Tshark;
use crate::{load, own, selected};

/// Filters that Wireshark 4.0, 4.4 and 4.6 refuse, and so do we.
const BY_ALL: &[&str] = &[
    "udp.port == 70000",
    "udp.port contains 5",
    "udp.port matches \"5\"",
    "udp.port == \"500\"",
    "ip.addr == 1.2.3",
    "ip.src == \"192.1.2.23\"",
    "eth.src == 00:00",
    "isakmp.ispi == 0x1122",
    "udp.foo",
    "foo.bar == 1",
    "(udp",
    "udp)",
    "udp and",
    "udp udp",
    "udp.port in {500 501}",
    "udp.port in {}",
    "NOT udp",
    "udp AND ip",
    "udp.port EQ 500",
    "udp.port == 0800",
    "esp.spi[0] == f4",
    "frame contains \"\\q\"",
    "isakmp.vid_bytes == \"a",
    "frame.time_relative >= 0s",
    "udp.port == isakmp",
    "true",
    "1",
    "len(frame) in {42, 43}",
    "udp.payload[0] in {0xff}",
    "lower(http.request.method) in {\"get\"}",
    "udp.port & 1 in {1}",
    "tcp.flags & 0x1ffff",
    "frame contains isakmp.ispi",
    "udp.payload == udp",
    "udp.payload[2-2] == 0x01",
    "udp.payload[-4-2] == 0x01",
    "udp.payload[0--1] == 0x01",
    "udp.payload[08] == 0x01",
    "udp.payload[2147483648:] == 0x01",
    "all udp",
    "ip.ttl == '\\n'",
    "ip.ttl == '''",
    "isakmp.ispi contains dc",
    "len(frame) < 4294967296",
    "count(ip.proto) == \"TCP\"",
];

/// A filter that we refuse though some version takes it.
struct Here {
    filter: &'static str,
    /// What it means in 4.0, 4.4 and 4.6, as a filter of ours; `None`: refused there.
    means: [Option<&'static str>; 3],
}

/// The same in 4.4 and 4.6.
const fn here(filter: &'static str, in_4_0: Option<&'static str>, from_4_4: Option<&'static str>) -> Here {
    Here { filter, means: [in_4_0, from_4_4, from_4_4] }
}

/// By us only. Where all three have the same meaning, it is not that of the words.
const BY_US: &[Here] = &[
    // Gone.
    here("udp.port ~= 500", Some("udp.port !== 500"), None),
    here("frame contains 41", Some("frame contains \"\\x41\""), None),
    here("frame contains 0x41", Some("frame contains \"\\x41\""), None),
    here("isakmp contains isakmp.ispi[0:4]", Some("isakmp"), None),
    here("frame.time_relative < frame.time_epoch", Some("frame"), None),
    here("udp.payload contains 1234", Some("udp.payload contains 12:34"), None),
    here("isakmp.ispi contains 02.03", Some("isakmp.ispi contains 02:03"), None),
    here("isakmp.ispi contains 1e10", Some("isakmp.ispi contains 1e:10"), None),
    here("eth.src == 020000000001", Some("eth.src == 02:00:00:00:00:01"), None),
    here("ip.proto & 0xff == \"UDP\"", Some("ip.proto == 17"), None),
    // New.
    here("500 == udp.port", None, Some("udp.port == 500")),
    here("400 < udp.port", None, Some("udp.port > 400")),
    here("ip.flags.df == true", None, Some("ip.flags.df == True")),
    here("ip.flags.df == false", None, Some("ip.flags.df == False")),
    here("isakmp.ispi contains 2:3", None, Some("isakmp.ispi contains 02:03")),
    here("isakmp.ispi contains 0x3", None, Some("isakmp.ispi contains 0x03")),
    here("len(udp.payload[0:4]) == 4", None, Some("udp.payload[0:4]")),
    here("lower(http.request.method[0:1]) == \"g\"", None, Some("http.request.method[0:1] == \"G\"")),
    here("lower(http.request.method)", None, Some("http.request.method")),
    here("len(udp)", None, Some("udp")),
    here("udp.port & 'A'", None, Some("udp.port & 0x41")),
    Here {
        filter: "isakmp.notify.msgtype == NO_PROPOSAL_CHOSEN",
        means: [None, Some("isakmp.notify.msgtype == 14"), Some("isakmp.notify.msgtype == 14 && isakmp.version == 0x20")],
    },
    // Not the same.
    here("udp.port not in {53}", Some("!(udp.port in {53})"), Some("udp.port && !(udp.port in {53})")),
    here("udp.port !in {53}", Some("!(udp.port in {53})"), Some("udp.port && !(udp.port in {53})")),
    here("all udp.port in {53, 40000}", Some("all udp.port == 53 || all udp.port == 40000"), Some("udp.port == 53 && udp.port == 40000")),
    here("isakmp.nonce[0] == 66", Some("isakmp.nonce[0] == 0x66"), Some("isakmp.nonce[0] == 0x42")),
    here("isakmp.nonce[0] == 102", Some("isakmp.nonce[0:2] == 01:02"), Some("isakmp.nonce[0] == 0x66")),
    here("udp.payload[0:4] == 00000000", Some("udp.payload[0:4] == 00:00:00:00"), Some("udp.payload[0:4] == 0x00")),
    here("udp.payload contains 0b11", Some("udp.payload contains 0b:11"), Some("udp.payload contains 0x03")),
    here("isakmp.nonce > 77:77", Some("isakmp.nonce"), Some("isakmp.nonce[0] > 0x77")),
    here("isakmp.ispi in {00:00 .. ff:ff}", Some("frame.number == 0"), Some("isakmp.ispi")),
    here("count(udp.port) != 2", Some("udp.port && !(count(udp.port) == 2)"), Some("!(count(udp.port) == 2)")),
    here("count(udp.port) < 3", Some("udp.port && !(count(udp.port) >= 3)"), Some("!(count(udp.port) >= 3)")),
    Here {
        filter: "isakmp.exchangetype == Informational",
        means: [Some("isakmp.exchangetype == 37"), Some("isakmp.exchangetype == 37"), Some("isakmp.exchangetype == 5")],
    },
    Here {
        filter: "isakmp.exchangetype == \"INFORMATIONAL\"",
        means: [Some("isakmp.exchangetype == 5"), Some("isakmp.exchangetype == 5"), Some("isakmp.exchangetype == 37")],
    },
    Here { filter: "isakmp.exchangetype == \"IKE_AUTH\"", means: [None, None, Some("isakmp.exchangetype == 35")] },
    Here { filter: "isakmp.exchangetype == Aggressive", means: [None, None, Some("isakmp.exchangetype == 4")] },
    Here { filter: "isakmp.exchangetype > IKE_SA_INIT", means: [Some("isakmp.exchangetype > 34"), Some("isakmp.exchangetype > 34"), None] },
    here(
        "lower(http.request.method) != \"get\"",
        Some("http.request.method && !(lower(http.request.method) == \"get\")"),
        Some("!(lower(http.request.method) == \"get\")"),
    ),
    here(
        "all lower(http.request.method) == \"get\"",
        Some("lower(http.request.method) == \"get\""),
        Some("!http.request.method || lower(http.request.method) == \"get\""),
    ),
    here("dns.qry.name[0:1] < \"bo\"", Some("dns.qry.name"), Some("dns.qry.name[0:1] <= \"b\"")),
    here("frame.time_relative >= 011", Some("frame.time_relative >= 11"), Some("frame.time_relative >= 9")),
    Here { filter: "udp.payload contains fd", means: [Some("udp.payload contains 0xfd"), Some("udp.payload contains 0xfd"), None] },
    Here { filter: "frame.time_epoch < 4294967295", means: [Some("frame.number == 0"), Some("frame.number == 0"), Some("frame")] },
    // The same, but not what the words say.
    here("udp contains \"bob\"", Some("udp.payload contains \"bob\""), Some("udp.payload contains \"bob\"")),
    here("isakmp.nonce contains \"\"", Some("isakmp.nonce"), Some("isakmp.nonce")),
    here("dns.qry.name contains \"\"", Some("frame.number == 0"), Some("frame.number == 0")),
    here("frame > ff:ff", Some("frame"), Some("frame")),
];

#[test]
fn what_every_wireshark_refuses_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = own(folder.path());
    for text in BY_ALL {
        assert!(Filter::parse(text).is_err(), "{text}");
    }
    let Some(tshark) = Tshark::announced() else { return };
    let texts: Vec<String> = BY_ALL.iter().map(|t| (*t).to_owned()).collect();
    for (text, answer) in texts.iter().zip(tshark.select(&file, None, &texts, &[]).unwrap_or_else(|e| panic!("{e}"))) {
        assert!(answer.is_err(), "{tshark} takes {text}");
    }
}

/// Every reason to refuse is true of the tshark that is asked.
#[test]
fn what_we_refuse_is_not_the_same_in_all_versions() {
    let folder = tempfile::tempdir().unwrap();
    let file = own(folder.path());
    let (capture, analysis) = load(&file);
    let helped = |text: &str| Filter::parse(text).is_err_and(|e| e.help.is_some());
    let silent: Vec<&str> = BY_US.iter().map(|h| h.filter).filter(|text| !helped(text)).collect();
    assert!(silent.is_empty(), "taken, or refused without saying what to write: {silent:?}");
    let Some(tshark) = Tshark::announced() else { return };
    let version = match tshark.version {
        (4, 0) => 0,
        (4, 4) => 1,
        v if v >= (4, 6) => 2,
        _ => {
            eprintln!("skipped: what only we refuse has been tried with 4.0, 4.4 and 4.6, not with {tshark}");
            return;
        }
    };
    let texts: Vec<String> = BY_US.iter().map(|h| h.filter.to_owned()).collect();
    let answers = tshark.select(&file, None, &texts, &[]).unwrap_or_else(|e| panic!("{e}"));
    let mut wrong = Vec::new();
    for (Here { filter, means }, answer) in BY_US.iter().zip(answers) {
        let expected = means[version].map(|text| selected(text, &capture, &analysis));
        if answer.as_ref().ok() != expected.as_ref() {
            wrong.push(format!("{filter}\n  expected {expected:?}\n  tshark   {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{tshark}:\n{}", wrong.join("\n"));
}
