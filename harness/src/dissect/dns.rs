//! A small DNS reader (RFC 1035 §4): questions, and the addresses among the answers.

use std::net::IpAddr;

use super::Dns;

/// Questions and answers read from one message.
const MAX_ENTRIES: u16 = 256;
/// Compression pointers followed in one name.
const MAX_POINTERS: usize = 32;
/// Longest name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

/// Reads a message; `None` when its header or questions cannot be read. Answers are read as far as possible.
pub fn parse(bytes: &[u8]) -> Option<Dns> {
    let word = |at: usize| bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes);
    let (id, flags, asked, answers) = (word(0)?, word(2)?, word(4)?, word(6)?);
    bytes.get(..12)?;
    let mut at = 12;
    let mut questions = Vec::new();
    for _ in 0..asked.min(MAX_ENTRIES) {
        let (name, end) = name(bytes, at)?;
        questions.push((name, word(end)?));
        at = end.checked_add(4).filter(|end| *end <= bytes.len())?;
    }
    let mut addresses = Vec::new();
    for _ in 0..answers.min(MAX_ENTRIES) {
        let Some((address, end)) = answer(bytes, at) else { break };
        addresses.extend(address);
        at = end;
    }
    Some(Dns { id, response: flags & 0x8000 != 0, rcode: (flags & 0xf) as u8, questions, addresses, answers })
}

/// Reads one resource record: its address, if it is one, and where it ends.
fn answer(bytes: &[u8], at: usize) -> Option<(Option<IpAddr>, usize)> {
    let (_, at) = name(bytes, at)?;
    let fixed: &[u8; 10] = bytes.get(at..)?.first_chunk()?;
    let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
    let end = at + 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    let data = bytes.get(at + 10..end)?;
    let address = match kind {
        1 => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        28 => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    };
    Some((address, end))
}

/// Reads a name, following compression pointers; the name and where it ends in place.
fn name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut end = None;
    let mut pointers = 0;
    loop {
        let len = *bytes.get(at)?;
        match len {
            0 => return Some((name, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = bytes.get(at + 1..at + 1 + usize::from(len))?;
                if !name.is_empty() {
                    name.push('.');
                }
                for octet in label {
                    match octet {
                        b'.' | b'\\' => name.extend(['\\', char::from(*octet)]),
                        0x21..=0x7e => name.push(char::from(*octet)),
                        _ => name.push_str(&format!("\\{octet:03}")),
                    }
                }
                if name.len() > MAX_NAME * 4 {
                    return None;
                }
                at += 1 + usize::from(len);
            }
            0xc0.. => {
                end.get_or_insert(at + 2);
                pointers += 1;
                if pointers > MAX_POINTERS {
                    return None;
                }
                at = usize::from(len & 0x3f) << 8 | usize::from(*bytes.get(at + 1)?);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_with_a_compressed_name_is_read() {
        let mut m = vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        m.extend(b"\x03vpn\x07example\x00\x00\x01\x00\x01");
        m.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9]);
        let dns = parse(&m).unwrap();
        assert_eq!(dns.questions, [("vpn.example".to_owned(), 1)]);
        assert_eq!(dns.addresses, [IpAddr::from([192, 0, 2, 9])]);
        assert!((dns.id, dns.response, dns.rcode, dns.answers) == (0x1234, true, 0, 1));
    }

    #[test]
    fn a_pointer_to_itself_ends() {
        let mut m = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        m.extend([0xc0, 12, 0, 1, 0, 1]);
        assert_eq!(parse(&m), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
        }
    }
}
