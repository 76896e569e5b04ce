//! Any octets as a DNS message.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = faultlab::dissect::dns::parse(bytes);
});
