use std::io::Cursor;

use proptest::prelude::*;

use super::*;

fn pcap(big_endian: bool, nanos: bool, packets: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let n = |v: u32| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
    let h = |v: u16| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
    let mut out = n(if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }).to_vec();
    out.extend([h(2), h(4)].concat());
    out.extend([n(0), n(0), n(65535), n(1)].concat());
    for (sec, frac, data) in packets {
        out.extend([n(*sec), n(*frac), n(data.len() as u32), n(data.len() as u32)].concat());
        out.extend(*data);
    }
    out
}

fn block(kind: u32, mut body: Vec<u8>) -> Vec<u8> {
    body.resize(body.len().next_multiple_of(4), 0);
    let length = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &length, &body, &length].concat()
}

fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let mut out = [code.to_le_bytes(), (data.len() as u16).to_le_bytes()].concat();
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat())
}

fn interface(name: &str) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0, 0, 0, 4, 0];
    body.extend(option(2, name.as_bytes()));
    body.extend(option(9, &[9]));
    body.extend(option(0, &[]));
    block(1, body)
}

fn enhanced(interface: u32, nanos: u64, data: &[u8], flags: u32) -> Vec<u8> {
    let words = [interface, (nanos >> 32) as u32, nanos as u32, data.len() as u32, data.len() as u32 + 7];
    let mut body = words.map(u32::to_le_bytes).concat();
    body.extend(data);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(option(2, &flags.to_le_bytes()));
    body.extend(option(0, &[]));
    block(6, body)
}

fn frames(bytes: Vec<u8>) -> (Vec<Frame>, Vec<String>, Option<ReadError>) {
    let mut reader = Reader::new(Cursor::new(bytes), "test").unwrap();
    let mut frames = Vec::new();
    let mut error = None;
    for next in reader.by_ref() {
        match next {
            Ok(frame) => frames.push(frame),
            Err(e) => error = Some(e),
        }
    }
    assert!(reader.next().is_none());
    (frames, reader.taps().to_vec(), error)
}

#[test]
fn pcap_in_both_byte_orders_and_resolutions() {
    for (big, nanos) in [(false, false), (false, true), (true, false), (true, true)] {
        let (frames, taps, error) = frames(pcap(big, nanos, &[(7, 5, b"abc"), (8, 0, b"")]));
        assert!(error.is_none());
        assert_eq!(taps, [""]);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0].time, Timestamp(7_000_000_000 + if nanos { 5 } else { 5000 }));
        assert_eq!((&*frames[0].data, frames[0].link_type, frames[1].number), (&b"abc"[..], 1, 2));
    }
}

#[test]
fn pcapng_interfaces_of_several_sections_become_taps() {
    let file = [
        section(),
        interface("west.wan"),
        interface("mid.left"),
        enhanced(0, 1_700_000_000_123_456_789, b"one", 2),
        enhanced(1, 1_700_000_000_123_456_790, b"two", 1),
        section(),
        interface("east.wan"),
        enhanced(0, 5, b"three", 0),
    ]
    .concat();
    let (frames, taps, error) = frames(file);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(taps, ["west.wan", "mid.left", "east.wan"]);
    assert_eq!(frames.iter().map(|f| f.tap).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(frames[0].time, Timestamp(1_700_000_000_123_456_789));
    assert_eq!(frames[0].orig_len, 10);
    assert_eq!(frames.iter().map(|f| f.direction).collect::<Vec<_>>(), [Direction::Out, Direction::In, Direction::Unknown]);
}

#[test]
fn a_file_that_was_cut_off_gives_what_is_whole_and_one_error() {
    let whole = pcap(false, false, &[(1, 0, b"abcd"), (2, 0, b"efgh")]);
    let (good, _, error) = frames(whole[..whole.len() - 1].to_vec());
    assert_eq!(good.len(), 1);
    assert!(matches!(error, Some(ReadError::Damaged { frames: 1, offset: 44, .. })), "{error:?}");

    let head = [section(), interface("a.b"), enhanced(0, 1, b"x", 0)].concat();
    for tail in [&b"\x06\0\0\0\xff\xff\xff\x7f"[..], &[6, 0, 0, 0, 16], &[6, 0, 0, 0, 12, 0, 0, 0, 99, 0, 0, 0]] {
        let (good, _, error) = frames([&head, tail].concat());
        assert_eq!(good.len(), 1);
        let Some(ReadError::Damaged { offset, .. }) = error else { panic!("{error:?}") };
        assert_eq!(offset, head.len() as u64);
    }
}

#[test]
fn what_is_no_capture_is_named() {
    let error = |bytes: &[u8]| Reader::new(Cursor::new(bytes.to_vec()), "f").err().map(|e| e.to_string()).unwrap_or_default();
    assert_eq!(error(b""), "f: not a capture file: it is empty");
    assert!(error(b"\x1f\x8b\x08\0").contains("gzip"));
    assert!(error(b"GET /").contains("neither pcap nor pcapng"));
    assert!(error(&[0xd4, 0xc3, 0xb2, 0xa1, 2]).starts_with("f: not a capture file"));
    assert!(open("/nonexistent/x.pcap").err().is_some_and(|e| e.to_string().starts_with("/nonexistent/x.pcap: No such file")));
}

proptest! {
    #[test]
    fn any_octets_end_without_a_panic(magic in 0usize..4, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let head = [
            section(),
            pcap(false, false, &[]),
            [section(), interface("a.b")].concat(),
            [section(), interface("a.b"), enhanced(0, 9, b"xyz", 1)].concat(),
        ];
        if let Ok(reader) = Reader::new(Cursor::new([head[magic].clone(), bytes].concat()), "any") {
            prop_assert!(reader.count() < 100);
        }
    }

    #[test]
    fn any_change_of_a_good_file_ends_without_a_panic(at in 0usize..10_000, to in any::<u8>(), cut in 0usize..10_000) {
        let mut file = [section(), interface("a.b"), enhanced(0, 9, b"xyz", 1), enhanced(0, 9, b"xyz", 1)].concat();
        let at = at % file.len();
        file[at] = to;
        file.truncate(cut % (file.len() + 1));
        if let Ok(reader) = Reader::new(Cursor::new(file), "any") {
            prop_assert!(reader.count() < 100);
        }
    }
}
