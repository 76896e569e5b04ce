//! Any text as a display filter: parsing, translation into kernel rules, and matching against a small capture.
#![no_main]

use std::sync::LazyLock;

use faultlab::dissect::{Capture, Direction, Dissector, Frame};
use faultlab::filter::{Analysis, Filter, kernel};
use faultlab::time::Timestamp;
use libfuzzer_sys::fuzz_target;

/// Raw IPv4 (link type 101): an IKE_SA_INIT header on UDP/500, ESP, and an echo request.
const PACKETS: [&[u8]; 3] = [
    b"\x45\0\0\x38\0\0\x40\0\x40\x11\0\0\xc0\0\x02\x01\xc6\x33\x64\x02\x01\xf4\x01\xf4\0\x24\0\0\
      \0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x21\x20\x22\x08\0\0\0\0\0\0\0\x1c",
    b"\x45\0\0\x20\0\0\x40\0\x40\x32\0\0\xc0\0\x02\x01\xc6\x33\x64\x02\0\0\0\x01\0\0\0\x01\0\0\0\0",
    b"\x45\0\0\x1c\0\0\x40\0\x40\x01\0\0\x0a\x01\0\x0a\x0a\x02\0\x0a\x08\0\0\0\0\x01\0\x01",
];

static CAPTURE: LazyLock<(Capture, Analysis)> = LazyLock::new(|| {
    let mut dissector = Dissector::new();
    let mut capture = Capture { taps: vec!["west.wan".into()], ..Capture::default() };
    for (number, data) in (1..).zip(PACKETS) {
        capture.records.push(dissector.dissect(Frame {
            number,
            tap: 0,
            time: Timestamp(number.into()),
            orig_len: data.len() as u32,
            direction: Direction::Unknown,
            link_type: 101,
            data: data.into(),
        }));
    }
    let analysis = Analysis::of(&capture);
    (capture, analysis)
});

fuzz_target!(|text: &str| {
    let Ok(filter) = Filter::parse(text) else { return };
    let _ = kernel::clauses(&filter);
    let (capture, analysis) = &*CAPTURE;
    let _ = capture.records.iter().filter(|r| filter.matches(r, analysis)).count();
});
