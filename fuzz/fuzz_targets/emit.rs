//! Any octets as an IKEv2 message: what was understood of it is written, and read again. And any alteration of any octets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::ike::bend::{self, Chain};
use wire::ike::emit::{self, Header, Part};
use wire::ike::parse;

const HEADER: Header = Header { spi_i: 1, spi_r: 2, version: 0x20, exchange: 35, flags: 0, message_id: 1 };

fuzz_target!(|input: (u8, u8, u8, u16, i32, &[u8])| {
    let (first, which, kind, len, by, octets) = input;
    let read = parse(&emit::message(&HEADER, first, octets));
    let parts: Vec<Part> = read.payloads.iter().map(Part::from).collect();
    let (first_again, chain) = emit::chain(&parts);
    let again = parse(&emit::message(&HEADER, first_again, &chain));
    let parts_again: Vec<Part> = again.payloads.iter().map(Part::from).collect();
    assert_eq!(parts, parts_again);
    assert_eq!(emit::chain(&parts_again), (first_again, chain));

    let start = Chain { first, octets: octets.to_vec() };
    let mut bent = start.clone();
    let altered = match which % 11 {
        0 => bent.set_reserved(),
        1 => bent.omit(kind),
        2 => bent.unknown_first(kind, by > 0, len),
        3 => bent.double(kind),
        4 => bent.corrupt(kind),
        5 => bent.empty(kind),
        6 => bent.resize(kind, by),
        7 => bent.add_notify(len, &[kind]),
        8 => bent.reverse(),
        9 => bent.set_octets(kind, len, &[first; 9]),
        _ => bent.fill_to(len),
    };
    assert!(altered || bent == start);
    let mut message = octets.to_vec();
    bend::flip_flags(&mut message, kind);
    bend::set_message_id(&mut message, len.into());
    bend::add_to_length(&mut message, by);
    bend::corrupt_encrypted(&mut message);
    assert_eq!(message.len(), octets.len());
});
