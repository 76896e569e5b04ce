//! Any octets as a few frames of one capture. The first octet selects the link type, 0xFF 0xFE separates frames.
#![no_main]

use faultlab::dissect::{Capture, Direction, Dissector, Frame, summary};
use faultlab::time::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((link, bytes)) = bytes.split_first() else { return };
    let link_type = [1, 101, 113, 276, 0][usize::from(*link) % 5];
    let mut dissector = Dissector::new();
    let mut capture = Capture::default();
    let mut rest = bytes;
    while !rest.is_empty() && capture.records.len() < 32 {
        let end = rest.windows(2).position(|w| w == [0xff, 0xfe]);
        let (data, after) = end.map_or((rest, &[][..]), |at| (&rest[..at], &rest[at + 2..]));
        let number = capture.records.len() as u32 + 1;
        let record = dissector.dissect(Frame {
            number,
            tap: 0,
            time: Timestamp(number.into()),
            orig_len: data.len() as u32,
            direction: Direction::Unknown,
            link_type,
            data: data.into(),
        });
        let _ = summary(&record);
        capture.records.push(record);
        rest = after;
    }
    dissector.redissect(&mut capture);
});
