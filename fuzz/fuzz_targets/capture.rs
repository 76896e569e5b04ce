//! Any octets as a pcap or pcapng file: reading, dissection, and filters that look at the whole capture.
#![no_main]

use std::sync::LazyLock;

use faultlab::capture::read::Reader;
use faultlab::dissect::{Capture, Dissector, summary};
use faultlab::filter::{Analysis, Filter};
use libfuzzer_sys::fuzz_target;

/// Fields that depend on times, taps and other packets.
const FILTERS: [&str; 5] = [
    "frame.time_relative > 0.5 || frame.time_epoch < 0",
    "frame.interface_name == \"west.wan\" && frame.len != frame.cap_len",
    "faultlab.lost || faultlab.translated || faultlab.retransmission || faultlab.copy > 0",
    "udp.payload[0:4] == 00:00:00:00 || ip.src == 192.0.2.0/24 || ipv6.dst == fd00::/8",
    "tcp.len > 0 || isakmp.notify.msgtype in {14, 24, 38} || esp.spi == 1",
];

static PARSED: LazyLock<Vec<Filter>> =
    LazyLock::new(|| FILTERS.iter().map(|f| Filter::parse(f).expect("a filter of the table above")).collect());

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = Reader::new(std::io::Cursor::new(bytes.to_vec()), "fuzz") else { return };
    let mut dissector = Dissector::new();
    let mut capture = Capture::default();
    for frame in reader.by_ref().take(64).filter_map(Result::ok) {
        let record = dissector.dissect(frame);
        let _ = summary(&record);
        capture.records.push(record);
    }
    capture.taps = reader.taps().to_vec();
    let analysis = Analysis::of(&capture);
    for filter in PARSED.iter() {
        let _ = capture.records.iter().filter(|r| filter.matches(r, &analysis)).count();
    }
});
