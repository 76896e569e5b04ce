//! Any octets as a few frames of one capture. The first octet selects the link type, 0xFF 0xFE separates frames.
//! Keys are known for SPI 1; without encryption, so that the fuzzer gets at what is inside.
#![no_main]

use faultlab::dissect::{Capture, Direction, Dissector, Frame, summary};
use faultlab::time::Timestamp;
use libfuzzer_sys::fuzz_target;
use peer::{EspKeys, Ikev1Keys, Ikev2Keys, Keys};
use wire::crypto::{Cipher, Hash, Integrity};

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
    dissector.set_keys(&keys());
    dissector.redissect(&mut capture);
});

fn keys() -> Keys {
    let (encryption, integrity) = (Cipher::Null, Integrity::None);
    Keys {
        ikev2: vec![Ikev2Keys {
            spi_i: 1,
            spi_r: 1,
            encryption,
            integrity,
            sk_ei: Vec::new(),
            sk_er: Vec::new(),
            sk_ai: Vec::new(),
            sk_ar: Vec::new(),
        }],
        ikev1: vec![Ikev1Keys { cookie_i: 1, cookie_r: 1, encryption: Cipher::AesCbc(128), hash: Hash::Sha1, key: vec![1; 16] }],
        esp: vec![EspKeys { src: None, dst: None, spi: 1, encryption, key: Vec::new(), integrity, integrity_key: Vec::new() }],
    }
}
