use std::net::Ipv4Addr;
use std::sync::Arc;

use proptest::prelude::*;

use super::kernel::{Clause, What, clauses};
use super::*;
use crate::dissect::{Capture, Direction, Frame, Ip, Layer, Record, Udp};
use crate::time::Timestamp;

fn record(number: u32, tap: u16, direction: Direction, src: [u8; 4], dst: [u8; 4], ports: (u16, u16), payload: &[u8]) -> Record {
    let ip = Ip {
        src: Ipv4Addr::from(src).into(),
        dst: Ipv4Addr::from(dst).into(),
        protocol: 17,
        total_len: 28 + payload.len() as u32,
        header_len: 20,
        ttl: 64,
        tos: 0,
        id: 1,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        reassembled: false,
        checksum_ok: None,
    };
    let udp = Udp { src: ports.0, dst: ports.1, length: 8 + payload.len() as u16, checksum: 0, payload: payload.into() };
    let layers = vec![Layer::Ip(ip), Layer::Udp(udp)];
    let frame = Frame {
        number,
        tap,
        time: Timestamp(i64::from(number) * 1_000_000),
        orig_len: 28 + payload.len() as u32,
        direction,
        link_type: 101,
        data: Arc::from(payload),
    };
    Record { frame, quoted_from: layers.len(), layers, esp_inner: Vec::new() }
}

const WEST: [u8; 4] = [192, 0, 2, 1];
const NAT: [u8; 4] = [203, 0, 113, 1];
const EAST: [u8; 4] = [198, 51, 100, 2];

fn selected(capture: &Capture, filter: &str) -> Vec<u32> {
    let analysis = Analysis::of(capture);
    let filter = Filter::parse(filter).unwrap();
    capture.records.iter().filter(|r| filter.matches(r, &analysis)).map(|r| r.frame.number).collect()
}

/// West sends twice through a NAT; the first copy dies in the NAT, the second arrives with another source.
fn natted() -> Capture {
    let seen = |n, tap, direction, src, ports| record(n, tap, direction, src, EAST, ports, b"hello");
    Capture {
        taps: ["west.wan", "nat.in", "nat.out", "east.wan"].map(str::to_owned).to_vec(),
        records: vec![
            seen(1, 0, Direction::Out, WEST, (500, 500)),
            seen(2, 1, Direction::In, WEST, (500, 500)),
            seen(3, 0, Direction::Out, WEST, (500, 500)),
            seen(4, 1, Direction::In, WEST, (500, 500)),
            seen(5, 2, Direction::Out, NAT, (1024, 500)),
            seen(6, 3, Direction::In, NAT, (1024, 500)),
            record(7, 3, Direction::Out, EAST, NAT, (500, 1024), b"answer"),
        ],
    }
}

#[test]
fn copies_translations_and_losses_are_seen_across_taps() {
    let capture = natted();
    assert_eq!(selected(&capture, "faultlab.copy == 1"), [3, 4]);
    assert_eq!(selected(&capture, "faultlab.translated == 1"), [5, 6]);
    // 2: came in to be forwarded, and nobody saw it before its next copy. 7: nobody saw it at all.
    assert_eq!(selected(&capture, "faultlab.lost == 1"), [2, 7]);
    assert_eq!(selected(&capture, "faultlab.retransmission == 1"), [] as [u32; 0]);
    assert_eq!(selected(&capture, "faultlab.node == \"nat\" && faultlab.direction == \"out\""), [5]);
    assert_eq!(selected(&capture, "faultlab.tap == \"east.wan\" && frame.time_relative > 0.0055"), [7]);
    let analysis = Analysis::of(&capture);
    let message = |i: usize| analysis.facts(&capture.records[i]).map(|f| f.message);
    assert_eq!(message(0), message(5));
    assert_ne!(message(0), message(6));
}

#[test]
fn without_an_analysis_its_fields_are_absent() {
    let r = record(1, 0, Direction::Out, WEST, EAST, (500, 500), b"x");
    for text in ["frame.time_relative", "frame.interface_name", "faultlab.tap", "faultlab.copy", "faultlab.lost"] {
        assert!(!Filter::parse(text).unwrap().matches(&r, &Analysis::default()), "{text}");
    }
    assert!(Filter::parse("faultlab.lost == 1").unwrap().looks_ahead());
    assert!(!Filter::parse("udp.port == 500").unwrap().needs_analysis());
}

#[test]
fn errors_point_at_the_place_and_help() {
    let error = |text: &str| {
        let e = Filter::parse(text).unwrap_err();
        (text.get(e.span.clone()).unwrap_or("?").to_owned(), e.message, e.help.unwrap_or_default())
    };
    assert_eq!(error("udp && isakmp.flag_response == 1").0, "isakmp.flag_response");
    assert!(error("udp && isakmp.flag_response == 1").2.contains("isakmp.flag_r"));
    assert!(error("udp.dstprt == 500").2.contains("udp.dstport"));
    assert_eq!(error("udp.port == 70000").0, "70000");
    assert_eq!(error("udp.port == 500 udp").0, "udp");
    assert!(error("udp AND ip").2.contains("lower case"));
    assert!(error("udp.payload[0] == ff").2.contains("0xff"));
    assert!(error("udp.payload[zero] == 0xff").2.contains("[i:n]"));
    assert_eq!(error("udp.port ==").0, "");
    assert!(error("dns.qry.name == bob").2.contains("\"bob\""));
    assert!(error("udp = 1").2.contains("=="));
    assert!(error("udp.payload matches \"(\"").1.contains("regular expression"));
    assert!(error(&"(".repeat(5000)).1.contains("nested"));
    assert!(Filter::parse(&"len(".repeat(50_000)).is_err());
}

/// Wireshark's versions do not agree on these: the place that is wrong, and what to write.
#[test]
fn what_differs_between_versions_of_wireshark_is_refused() {
    for (text, place, help) in [
        ("udp && udp.port ~= 500", "~=", "write !== or any_ne"),
        ("udp.port not in {500}", "not in", "write !(udp.port in {…})"),
        ("udp.port !in {500}", "!in", "write !(udp.port in {…})"),
        ("all udp.port in {1..9}", "udp.port in {1..9}", "write comparisons: all udp.port >= 1 && all udp.port <= 9"),
        ("500 == udp.port", "500", "write the value on the right: udp.port == 500"),
        ("\"x\" == dns.qry.name", "\"x\"", "write the value on the right: udp.port == 500"),
        ("isakmp.nonce[0] == 66", "66", "write 0x66"),
        ("udp.payload[0:4] == 00000000", "00000000", "write 00:00:00:00"),
        ("frame contains 41", "41", "write \"\\x41\""),
        ("udp.payload contains aa:b", "aa:b", "write aa:0b"),
        ("udp.payload contains fefd", "fefd", "write fe:fd"),
        ("isakmp.nonce > 66:66", "isakmp.nonce > 66:66", "compare a slice with as many octets, such as isakmp.nonce[0:2] > 01:02"),
        ("isakmp.ispi in {10..ff}", "10", "write 0x10"),
        ("isakmp.ispi in {00:00..ff:ff}", "isakmp.ispi in {00:00..ff:ff}", "compare with 8 octets"),
        (
            "http.request.uri[0:2] contains http.request.method[3:5]",
            "http.request.uri[0:2] contains http.request.method[3:5]",
            "write a string: http.request.uri contains \"…\"",
        ),
        ("isakmp.nonce[0:2] > 0x66", "isakmp.nonce[0:2] > 0x66", "compare with 2 octets"),
        ("ip.flags.df == true", "true", "write True"),
        ("isakmp.exchangetype == Informational", "Informational", "write \"Informational\" or 5"),
        ("isakmp.exchangetype == \"IKE_AUTH\"", "\"IKE_AUTH\"", "write IKE_AUTH or 35"),
        ("isakmp.exchangetype > IKE_AUTH", "IKE_AUTH", "write the number, 35"),
        ("isakmp.exchangetype in {34..IKE_AUTH}", "IKE_AUTH", "write the number, 35"),
        ("tcp.flags & 'A'", "'A'", "write 0x41"),
        ("len(udp.payload[0:4]) == 4", "udp.payload[0:4]", "write len(udp.payload), and compare the slice on its own"),
        ("count(ip.src) != 2", "count(ip.src) != 2", "write !(count(ip.src) == 2)"),
        ("count(ip.src) < 2", "count(ip.src) < 2", "write !(count(ip.src) >= 2)"),
        ("count(ip.src) == 0", "count(ip.src) == 0", "write !ip.src"),
        ("count(ip.src) == count(ip.dst)", "count(ip.src) == count(ip.dst)", "compare count() with a number"),
        ("len(frame) in {42, 43}", "len(frame) in {42, 43}", "compare with each value, joined by ||"),
        ("udp contains \"bob\"", "udp contains \"bob\"", "write frame, udp.payload, or a slice of udp"),
        ("udp.payload[010] == 0x01", "[010]", "[i:n] n octets from i on; [i-j] from i to j; [i] one; [:n] the first n; [i:] from i on"),
        ("udp.payload[4-4] == 0x01", "[4-4]", "write [i] for one octet, [i:n] for n octets from i on"),
        (
            "lower(http.request.method) != \"get\"",
            "lower(http.request.method) != \"get\"",
            "compare for any value: any_eq, any_ne, or !(… == …)",
        ),
        ("dns.qry.name[0:1] < \"bo\"", "dns.qry.name[0:1] < \"bo\"", "compare with 1 octet"),
        ("ip.proto & 0xff == UDP", "UDP", "write 17"),
        ("ip.ttl == '\\n'", "'\\n'", "write '\\x0a'"),
        ("udp.payload contains fd", "fd", "write 0xfd"),
        ("frame.time_relative >= 011", "011", "for example 1.5"),
        ("frame.time_epoch < 4294967295", "4294967295", "write at most 2147483647"),
    ] {
        let e = Filter::parse(text).expect_err(text);
        assert_eq!((&text[e.span.clone()], e.help.as_deref()), (place, Some(help)), "{text}: {e}");
    }
    for text in
        ["count(ip.src) == 2", "count(ip.src) > 1", "isakmp.ispi > 80:00:00:00:00:00:00:00", "isakmp.nonce[0] > 0x66", "udp[0:2] == 01:f4"]
    {
        assert!(Filter::parse(text).is_ok(), "{text}");
    }
}

fn rules(text: &str) -> Vec<Vec<String>> {
    let clauses = clauses(&Filter::parse(text).unwrap()).unwrap_or_else(|e| panic!("{text}: {e}"));
    let show = |c: &Clause| c.tests.iter().map(|t| format!("{}{:?}", if t.negated { "!" } else { "" }, t.what)).collect();
    clauses.iter().map(show).collect()
}

#[test]
fn kernel_clauses_of_simple_filters() {
    assert_eq!(rules(""), [Vec::<String>::new()]);
    assert_eq!(rules("udp.dstport == 500"), [["DestinationPort(17, 500, 500)"]]);
    assert_eq!(rules("udp.port == 500"), [["SourcePort(17, 500, 500)"], ["DestinationPort(17, 500, 500)"]]);
    assert_eq!(rules("udp.port != 500"), [["Protocol(17)", "!SourcePort(17, 500, 500)", "!DestinationPort(17, 500, 500)"]]);
    assert_eq!(rules("ip.src == 10.0.0.0/8 && ip.len > 1400"), [["Source(10.0.0.0/8)", "Version(4)", "Length(1401, 65535)"]]);
    assert_eq!(rules("frame.len > 1014"), [["Length(1001, 4294967281)"]]);
    assert_eq!(rules("icmp.type == 3 && icmp.code == 4"), [["IcmpType(false, 3)", "IcmpCode(false, 4)"]]);
    assert_eq!(rules("ip.flags.mf == 1 || ip.frag_offset > 0"), [["Fragment"]]);
    assert_eq!(rules("!(ip.flags.mf == 1 || ip.frag_offset > 0)"), [["!Fragment"]]);
    assert_eq!(rules("ip.flags.mf == 0 && ip.frag_offset == 0"), [["!Fragment", "Version(4)"]]);
    assert_eq!(rules("udp.payload[0:2] == aa:bb"), [["UdpPayload(0, [170, 187])"]]);
    assert_eq!(rules("udp && tcp"), Vec::<Vec<String>>::new());
    assert_eq!(rules("udp.dstport in {500, 4500..4510}").len(), 2);
}

#[test]
fn kernel_clauses_know_esp_and_ike() {
    let esp = clauses(&Filter::parse("esp").unwrap()).unwrap();
    assert!(esp.iter().any(|c| c.tests.len() == 1 && c.tests[0].what == What::Protocol(50)));
    assert!(esp.iter().any(|c| c.tests.iter().any(|t| t.negated && t.what == What::UdpPayload(0, vec![0; 4]))));
    let init = clauses(&Filter::parse("isakmp.exchangetype == 34").unwrap()).unwrap();
    assert_eq!(init.len(), 4);
    assert!(init.iter().any(|c| c.tests.iter().any(|t| t.what == What::UdpPayload(18, vec![34]))));
    assert!(init.iter().any(|c| c.tests.iter().any(|t| t.what == What::UdpPayload(22, vec![34]))));
    for text in ["isakmp.flag_r == 1", "isakmp.exchangetype == 34 && isakmp.flag_r == 0", "isakmp && !(isakmp.exchangetype == 34)"] {
        assert!(!clauses(&Filter::parse(text).unwrap()).unwrap().is_empty(), "{text}");
    }
}

#[test]
fn what_the_kernel_cannot_test_is_refused() {
    for text in [
        "esp.spi == 1",
        "isakmp.notify.msgtype == 14",
        "faultlab.copy > 0",
        "ip.frag_offset > 0",
        "udp.payload contains aa:bb",
        "ip.src > 1.1.1.1",
    ] {
        let e = clauses(&Filter::parse(text).unwrap()).unwrap_err();
        assert!(e.message.contains("kernel rule"), "{text}: {e}");
    }
}

/// What the clauses say of a packet must be what the filter says.
#[test]
fn kernel_clauses_and_filter_agree() {
    let texts = [
        "udp.port == 500",
        "udp.port != 500",
        "!(udp.port == 500)",
        "udp.srcport > 499 && udp.dstport < 501",
        "ip.src == 192.0.2.0/24",
        "ip.addr != 192.0.2.1",
        "udp.payload[1:1] == 0x02",
        "udp.payload[0] == 0x01 || ip.len < 31",
        "!(udp.payload[0] == 0x01 && udp.dstport == 500)",
        "frame.len >= 45",
        "ip && !tcp",
        "udp.dstport in {1..499, 501..600}",
        "not udp.dstport in {500}",
        "udp.port == 4500 && udp.payload[0:2] == 01:02",
    ];
    for text in texts {
        let filter = Filter::parse(text).unwrap();
        let clauses = clauses(&filter).unwrap();
        for ports in [(500, 500), (500, 501), (1024, 4500), (499, 500), (4500, 500)] {
            for (src, payload) in [(WEST, &[1, 2, 3][..]), (NAT, &[1, 9, 9, 9]), (NAT, &[7])] {
                let mut r = record(1, 0, Direction::Out, src, EAST, ports, payload);
                r.frame.orig_len += 14;
                let rule = clauses.iter().any(|c| c.tests.iter().all(|t| t.negated != passes(&t.what, &r)));
                assert_eq!(rule, filter.matches(&r, &Analysis::default()), "{text} {ports:?} {src:?} {payload:?}");
            }
        }
    }
}

fn passes(what: &What, r: &Record) -> bool {
    let (ip, udp) = (r.ip().unwrap(), r.udp().unwrap());
    match what {
        What::Version(v) => *v == 4,
        What::Protocol(p) => *p == 17,
        What::Source(net) => net.contains(&ip.src),
        What::Destination(net) => net.contains(&ip.dst),
        What::SourcePort(p, a, b) => *p == 17 && (*a..=*b).contains(&udp.src),
        What::DestinationPort(p, a, b) => *p == 17 && (*a..=*b).contains(&udp.dst),
        What::Length(a, b) => (*a..=*b).contains(&ip.total_len),
        What::UdpPayload(at, octets) => udp.payload.get(usize::from(*at)..usize::from(*at) + octets.len()) == Some(&octets[..]),
        What::DontFragment => ip.dont_fragment,
        What::IcmpType(..) | What::IcmpCode(..) | What::Fragment => false,
    }
}

/// Not a benchmark: only that nobody makes evaluation a hundred times slower unnoticed.
#[test]
fn evaluation_is_fast() {
    let filter = Filter::parse("udp.port == 4500 && esp").unwrap();
    let r = record(1, 0, Direction::Out, WEST, EAST, (1024, 4500), b"x");
    let analysis = Analysis::default();
    let started = std::time::Instant::now();
    let found = (0..100_000).filter(|_| filter.matches(std::hint::black_box(&r), &analysis)).count();
    let each = started.elapsed() / 100_000;
    eprintln!("{} ns per record", each.as_nanos());
    assert_eq!(found, 0);
    assert!(each < std::time::Duration::from_micros(20), "{each:?}");
}

proptest! {
    #[test]
    fn any_text_ends_without_a_panic(text in "\\PC{0,60}") {
        let _ = Filter::parse(&text);
    }

    #[test]
    fn any_words_end_without_a_panic(words in proptest::collection::vec(proptest::sample::select(vec![
        "udp", "udp.port", "isakmp.ispi", "ip.src", "dns.qry.name", "==", "!=", "in", "not", "{", "}", ",", "..", "(", ")", "[0:4]", "[-1]", "[0-",
        "500", "0xff", "aa:bb", "\"x\"", "r\"\\d\"", "matches", "contains", "&", "&&", "or", "len(", "count(", "any", "all", "'a'", "10.0.0.0/8",
    ]), 0..12), glue in proptest::bool::ANY) {
        let text = words.join(if glue { "" } else { " " });
        match Filter::parse(&text) {
            Ok(filter) => {
                let r = record(1, 0, Direction::Out, WEST, EAST, (1024, 4500), b"payload");
                let _ = filter.matches(&r, &Analysis::default());
                let _ = clauses(&filter);
            }
            Err(e) => {
                prop_assert!(e.span.start <= e.span.end && e.span.end <= text.len());
                let _ = crate::cli::packets::underlined(&text, &e);
            }
        }
    }
}
