//! A small capture with something for every field: built here, octet by octet, so that no tool's opinion is in it.

const WEST: [u8; 4] = [192, 0, 2, 1];
const EAST: [u8; 4] = [198, 51, 100, 2];
const WEST6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const EAST6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// Between two frames.
const STEP_NANOS: u64 = 250_000_000;

/// Our own capture: two taps, nanoseconds, directions.
pub fn own() -> Vec<u8> {
    pcapng(&["west.wan", "east.wan"], &frames())
}

/// A capture file of Ethernet frames, one every [`STEP_NANOS`], the taps in turn after two frames each (a
/// datagram's fragments belong to one).
pub fn pcapng<T: AsRef<[u8]>>(taps: &[&str], frames: &[T]) -> Vec<u8> {
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let mut file = block(0x0a0d_0d0a, section);
    for name in taps {
        let mut body = vec![1, 0, 0, 0, 0, 0, 4, 0];
        body.extend(option(2, name.as_bytes()));
        body.extend(option(9, &[9]));
        body.extend(option(0, &[]));
        file.extend(block(1, body));
    }
    for (i, frame) in frames.iter().enumerate() {
        let frame = frame.as_ref();
        let nanos = 1_700_000_000_000_000_000_u64 + i as u64 * STEP_NANOS;
        let length = frame.len() as u32;
        let words = [(i / 2 % taps.len()) as u32, (nanos >> 32) as u32, nanos as u32, length, length];
        let mut body = words.map(u32::to_le_bytes).concat();
        body.extend(frame);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(option(2, &(1 + (i as u32 % 2)).to_le_bytes()));
        body.extend(option(0, &[]));
        file.extend(block(6, body));
    }
    file
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

fn frames() -> Vec<Vec<u8>> {
    let esp = [&0xc0ff_ee01_u32.to_be_bytes()[..], &7_u32.to_be_bytes(), &[0xab; 64]].concat();
    let in_udp = udp(4500, 4500, &esp);
    let init = sa_init();
    let big = udp(500, 500, &init);
    let mut list = vec![arp(1), arp(2)];
    list.push(ip4(1, 0x4000, 64, &echo(8, &[0x11; 56])));
    list.push(ip4(1, 0, 64, &echo(0, &[0x11; 56])));
    // Fragmentation needed, quoting ESP in UDP; time exceeded, quoting eight octets of a UDP packet.
    let quoted = &ip4(17, 0x4000, 63, &in_udp)[14..];
    list.push(ip4(1, 0, 64, &icmp(3, 4, &[0, 0, 0x05, 0x78], quoted)));
    list.push(ip4(1, 0, 64, &icmp(11, 0, &[0; 4], &quoted[..28])));
    // One IKE message in two fragments, then whole.
    list.push(ip4(17, 0x2000, 64, &big[..136]));
    list.push(ip4(17, 136 / 8, 64, &big[136..]));
    list.push(ip4(17, 0, 64, &big));
    // The first fragment only.
    list.push(ip4_id(77, 17, 0x2000, 64, &big[..136]));
    list.push(ip4(17, 0, 64, &udp(40000, 53, &dns(0x1234, 0x0100, "bob.example", 1, None))));
    list.push(ip4(17, 0, 64, &udp(53, 40000, &dns(0x1234, 0x8180, "bob.example", 1, Some(&[10, 2, 0, 2])))));
    list.push(ip4(17, 0, 64, &udp(53, 40000, &dns(0x1235, 0x8183, "nobody.example", 28, None))));
    list.push(ip4(17, 0, 64, &udp(53, 40000, &dns(0x1236, 0x8180, "six.example", 28, Some(&EAST6)))));
    list.push(ip4(6, 0x4000, 64, &tcp(40001, 80, 1000, 0, 0x02, &[2, 4, 0x05, 0xb4], b"")));
    list.push(ip4(6, 0x4000, 64, &tcp(80, 40001, 5000, 1001, 0x12, &[2, 4, 0x05, 0x50], b"")));
    list.push(ip4(6, 0x4000, 64, &tcp(40001, 80, 1001, 5001, 0x18, &[], b"GET /bulk?n=1 HTTP/1.1\r\nHost: bob\r\n\r\n")));
    list.push(ip4(6, 0x4000, 64, &tcp(80, 40001, 5001, 1039, 0x18, &[], b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")));
    list.push(ip4(6, 0x4000, 64, &tcp(80, 40001, 5040, 1039, 0x11, &[], b"")));
    list.push(ip4(6, 0x4000, 64, &tcp(40001, 80, 1039, 5041, 0x14, &[], b"")));
    list.push(ip4(50, 0, 64, &esp));
    let ah = [&[17, 4, 0, 0][..], &0xa1a2_a3a4_u32.to_be_bytes(), &9_u32.to_be_bytes(), &[0x5a; 12]].concat();
    list.push(ip4(51, 0, 64, &[ah, udp(7000, 7001, b"inside ah")].concat()));
    list.push(ip4(17, 0, 64, &udp(4500, 4500, &[0xff])));
    list.push(ip4(17, 0, 64, &in_udp));
    list.push(ip4(17, 0, 64, &udp(4500, 4500, &[&[0; 4][..], &sk_auth()].concat())));
    list.push(ip4(17, 0, 64, &udp(500, 500, &refusal())));
    list.push(ip4(17, 0, 64, &udp(500, 500, &clear_auth())));
    list.push(ip4(17, 0, 64, &udp(500, 500, &encrypted_fragment())));
    list.push(ip4(17, 0, 64, &udp(500, 500, &aggressive())));
    list.push(ip4(17, 0, 64, &udp(500, 500, &quick())));
    list.push(ip4(17, 0, 64, &udp(7000, 7001, b"nobody knows this protocol")));
    list.push(ip6(17, &udp(500, 500, &init)));
    list.push(ip6(58, &echo(128, &[0x22; 16])));
    list.push(ip6(58, &icmp(2, 0, &1280_u32.to_be_bytes(), &ip6(17, &in_udp)[14..])));
    let syn = tcp(40002, 81, 2000, 0, 0x02, &[], b"x");
    list.push(ip4(6, 0x4000, 64, &summed(&[&WEST[..], &EAST].concat(), syn.clone())));
    list.push(ip6(6, &summed(&[WEST6, EAST6].concat(), syn.clone())));
    list.push(ip6(6, &tcp(40003, 81, 2000, 0, 0x02, &[], b"x")));
    list.push(ip4(1, 0, 64, &icmp(3, 3, &[0; 4], &ip4(6, 0, 64, &syn)[14..])));
    list.push(ip6(44, &[&[17, 0, 0, 1, 0, 0, 0, 5][..], &big[..136]].concat()));
    list.push(ip6(44, &[&[17, 0, 0, 136, 0, 0, 0, 5][..], &big[136..]].concat()));
    list.push(ip4(17, 0, 64, &udp(40004, 9, b"discarded")));
    // Charon's keepalive on UDP/500.
    list.push(ip4(17, 0, 64, &udp(500, 500, &[0xff])));
    list.extend(other_exchanges().map(|message| ip4(17, 0, 64, &udp(500, 500, &message))));
    list.extend([4, 5, 400].map(|beyond| ip4(17, 0, 64, &udp(500, 500, &longer(sa_init(), beyond)))));
    list.push(ip4(17, 0, 64, &udp(500, 500, &ike(0x30, 34, 0x08, 0, &[]))));
    list
}

/// A message whose header claims so many octets more than there are.
fn longer(mut message: Vec<u8>, beyond: u32) -> Vec<u8> {
    let length = message.len() as u32 + beyond;
    message[24..28].copy_from_slice(&length.to_be_bytes());
    message
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &kind.to_be_bytes(), payload].concat()
}

fn arp(operation: u8) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    ethernet(0x0806, &[&head[..], &[2, 0, 0, 0, 0, 1], &WEST, &[0; 6], &EAST].concat())
}

fn ip4(protocol: u8, fragment: u16, ttl: u8, payload: &[u8]) -> Vec<u8> {
    ip4_id(0x1d1d, protocol, fragment, ttl, payload)
}

fn ip4_id(id: u16, protocol: u8, fragment: u16, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len() as u16).to_be_bytes();
    let mut header = [&[0x45, 0xb9][..], &length, &id.to_be_bytes(), &fragment.to_be_bytes()].concat();
    header.extend([ttl, protocol, 0, 0]);
    header.extend([WEST, EAST].concat());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    ethernet(0x0800, &[header, payload.to_vec()].concat())
}

fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let head = [&[0x60, 0, 0, 0][..], &(payload.len() as u16).to_be_bytes(), &[next, 63]].concat();
    ethernet(0x86dd, &[&head[..], &WEST6, &EAST6, payload].concat())
}

fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    [&[src, dst, length, 0].map(u16::to_be_bytes).concat()[..], payload].concat()
}

fn tcp(src: u16, dst: u16, seq: u32, ack: u32, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = [src, dst].map(u16::to_be_bytes).concat();
    out.extend([seq, ack].map(u32::to_be_bytes).concat());
    out.extend([((20 + options.len()) as u8 / 4) << 4, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    [&out[..], options, payload].concat()
}

/// With the right checksum: over addresses, length, protocol, and the segment.
fn summed(addresses: &[u8], mut segment: Vec<u8>) -> Vec<u8> {
    let length = segment.len() as u32;
    let sum = checksum(&[addresses, &length.to_be_bytes(), &[0, 0, 0, 6], &segment].concat());
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

fn echo(kind: u8, data: &[u8]) -> Vec<u8> {
    icmp(kind, 0, &[0x0b, 0x0b, 0, 3], data)
}

fn icmp(kind: u8, code: u8, rest: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = [&[kind, code, 0, 0][..], rest, data].concat();
    let sum = checksum(&out);
    out[2..4].copy_from_slice(&sum.to_be_bytes());
    out
}

fn checksum(octets: &[u8]) -> u16 {
    let mut sum: u32 = octets.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(*c.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn dns(id: u16, flags: u16, name: &str, kind: u16, answer: Option<&[u8]>) -> Vec<u8> {
    let mut out = [id, flags, 1, u16::from(answer.is_some()), 0, 0].map(u16::to_be_bytes).concat();
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend(label.bytes());
    }
    out.push(0);
    out.extend([kind, 1].map(u16::to_be_bytes).concat());
    if let Some(address) = answer {
        out.extend([0xc0, 12]);
        out.extend([kind, 1, 0, 60, address.len() as u16].map(u16::to_be_bytes).concat());
        out.extend(address);
    }
    out
}

/// An IKE message from its payloads: type and body each.
fn ike(version: u8, exchange: u8, flags: u8, message_id: u32, payloads: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (i, (_, payload)) in payloads.iter().enumerate() {
        body.extend([payloads.get(i + 1).map_or(0, |p| p.0), 0]);
        body.extend((payload.len() as u16 + 4).to_be_bytes());
        body.extend(payload);
    }
    let mut out = [0x0102_0304_0506_0708_u64, if flags & 0x20 == 0 { 0 } else { 0x1112_1314_1516_1718 }].map(u64::to_be_bytes).concat();
    out.extend([payloads.first().map_or(0, |p| p.0), version, exchange, flags]);
    out.extend([message_id, 28 + body.len() as u32].map(u32::to_be_bytes).concat());
    [out, body].concat()
}

/// An IKEv2 encrypted payload is the last, but names the first of those within.
fn ike_encrypted(exchange: u8, kind: u8, first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = ike(0x20, exchange, 0x08, 1, &[(kind, body.to_vec())]);
    out[28] = first;
    out
}

/// Proposal or transform: "more" octet, reserved, length, then the rest.
fn item(more: u8, rest: &[u8]) -> Vec<u8> {
    [&[more, 0][..], &(rest.len() as u16 + 4).to_be_bytes(), rest].concat()
}

fn sa_init() -> Vec<u8> {
    let encr = item(3, &[1, 0, 0, 12, 0x80, 14, 1, 0]);
    let aead = item(3, &[1, 0, 0, 20, 0x80, 14, 0, 128]);
    let rest = |last: u8| [item(3, &[2, 0, 0, 5]), item(3, &[3, 0, 0, 12]), item(last, &[4, 0, 0, 14])].concat();
    let first = item(2, &[&[1, 1, 0, 4][..], &encr, &rest(0)].concat());
    let second = item(0, &[&[2, 1, 0, 4][..], &aead, &rest(0)].concat());
    let notify = |kind: u16, data: &[u8]| [&[0, 0][..], &kind.to_be_bytes(), data].concat();
    ike(
        0x20,
        34,
        0x08,
        0,
        &[
            (33, [first, second].concat()),
            (34, [&[0, 14, 0, 0][..], &[0x77; 256]].concat()),
            (40, vec![0x66; 32]),
            (41, notify(16388, &[0x0d; 20])),
            (41, notify(16389, &[0x0e; 20])),
            (43, b"faultlab vendor id".to_vec()),
        ],
    )
}

fn refusal() -> Vec<u8> {
    ike(0x20, 34, 0x20, 0, &[(41, vec![0, 0, 0, 17, 0, 19]), (41, vec![0, 0, 0, 14])])
}

fn sk_auth() -> Vec<u8> {
    ike_encrypted(35, 46, 35, &[0xe5; 72])
}

fn encrypted_fragment() -> Vec<u8> {
    ike_encrypted(35, 53, 35, &[&[0, 1, 0, 3][..], &[0xe6; 72]].concat())
}

/// One message of each exchange type whose name filters know and that no other frame has, so that names can be told apart:
/// IKEv1's 2, 5 and 6, IKEv2's 36 and 37.
fn other_exchanges() -> [Vec<u8>; 5] {
    let vendor = [(13, b"faultlab vendor id".to_vec())];
    let notify = [(11, vec![0, 0, 0, 1, 1, 0, 0, 14])];
    [
        ike(0x10, 2, 0, 0, &vendor),
        ike(0x10, 5, 0, 0x4243, &notify),
        ike(0x10, 6, 0, 0x4244, &vendor),
        ike_encrypted(36, 46, 33, &[0xe7; 72]),
        ike_encrypted(37, 46, 42, &[0xe8; 72]),
    ]
}

/// What is encrypted in earnest is in the clear here, so that the fields can be tested without keys.
fn clear_auth() -> Vec<u8> {
    let selector = |kind: u8, a: &[u8], b: &[u8]| {
        let length = (8 + a.len() + b.len()) as u16;
        [&[kind, 17][..], &length.to_be_bytes(), &[0x01, 0xf4, 0x11, 0x94], a, b].concat()
    };
    let four = selector(7, &[10, 1, 0, 0], &[10, 1, 255, 255]);
    let six = selector(8, &WEST6, &EAST6);
    let esp =
        item(0, &[&[1, 3, 4, 2, 0xc0, 0xff, 0xee, 1][..], &item(3, &[1, 0, 0, 20, 0x80, 14, 1, 0]), &item(0, &[5, 0, 0, 1])].concat());
    ike(
        0x20,
        35,
        0x28,
        1,
        &[
            (35, [&[2, 0, 0, 0][..], b"west.example"].concat()),
            (36, [&[1, 0, 0, 0][..], &EAST].concat()),
            (35, [&[3, 0, 0, 0][..], b"user@example"].concat()),
            (36, [&[5, 0, 0, 0][..], &EAST6].concat()),
            (35, [&[11, 0, 0, 0][..], b"key-17"].concat()),
            (37, vec![4, 0x30, 0x00]),
            (38, [&[4][..], &[0x99; 20]].concat()),
            (39, [&[2, 0, 0, 0][..], &[0x88; 32]].concat()),
            (47, vec![1, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0]),
            (33, esp),
            (44, [&[2, 0, 0, 0][..], &four, &six].concat()),
            (45, [&[1, 0, 0, 0][..], &four].concat()),
            (42, vec![3, 4, 0, 2, 0xc0, 0xff, 0xee, 1, 0xc0, 0xff, 0xee, 2]),
            (41, vec![3, 4, 0x40, 0x09, 0xaa, 0xbb, 0xcc, 0xdd]),
        ],
    )
}

fn aggressive() -> Vec<u8> {
    let attributes =
        [0x80, 1, 0, 7, 0x80, 14, 0, 128, 0x80, 2, 0, 2, 0x80, 3, 0, 1, 0x80, 4, 0, 14, 0x80, 11, 0, 1, 0, 12, 0, 4, 0, 0, 0x0e, 0x10];
    let transform = item(0, &[&[1, 1, 0, 0][..], &attributes].concat());
    let proposal = item(0, &[&[1, 1, 0, 1][..], &transform].concat());
    ike(
        0x10,
        4,
        0,
        0,
        &[
            (1, [&[0, 0, 0, 1, 0, 0, 0, 1][..], &proposal].concat()),
            (4, vec![0x55; 256]),
            (10, vec![0x44; 16]),
            (5, [&[1, 17, 0x01, 0xf4][..], &WEST].concat()),
            (8, vec![0x31; 20]),
            (9, vec![0x32; 64]),
            (20, vec![0x33; 20]),
            (11, vec![0, 0, 0, 1, 1, 0, 0x60, 0x02]),
        ],
    )
}

fn quick() -> Vec<u8> {
    let attributes = [0x80, 1, 0, 1, 0, 2, 0, 4, 0, 0, 0x70, 0x80, 0x80, 3, 0, 14, 0x80, 4, 0, 3, 0x80, 5, 0, 2, 0x80, 6, 0, 128];
    let transform = item(0, &[&[1, 12, 0, 0][..], &attributes].concat());
    let proposal = item(0, &[&[1, 3, 4, 1, 0xde, 0xad, 0xbe, 0xef][..], &transform].concat());
    ike(
        0x10,
        32,
        0,
        0x4242,
        &[
            (8, vec![0x31; 20]),
            (1, [&[0, 0, 0, 1, 0, 0, 0, 1][..], &proposal].concat()),
            (12, vec![0, 0, 0, 1, 3, 4, 0, 1, 0xde, 0xad, 0xbe, 0xef]),
        ],
    )
}
