//! ICMP and ICMPv6 echo messages (RFC 792, RFC 4443 §4) and what raw sockets deliver beside them.

use crate::pattern;

/// An ICMP message that concerns us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Echo reply with our identifier.
    Reply {
        /// Sequence number.
        sequence: u16,
        /// Payload as sent.
        intact: bool,
    },
    /// An error about a packet.
    Error {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
}

/// Echo request. For ICMPv6 the kernel fills in the checksum.
pub fn request(v6: bool, id: u16, sequence: u16, payload: usize) -> Vec<u8> {
    let mut m = vec![0; 8 + payload];
    m[0] = if v6 { 128 } else { 8 };
    m[4..6].copy_from_slice(&id.to_be_bytes());
    m[6..8].copy_from_slice(&sequence.to_be_bytes());
    pattern::fill(u64::from(id), u64::from(sequence), &mut m[8..]);
    if !v6 {
        let sum = checksum(&m);
        m[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    m
}

/// Reads what a raw socket delivered: for ICMP with the IPv4 header, for ICMPv6 without a header.
pub fn read(v6: bool, packet: &[u8], id: u16) -> Option<Message> {
    let m = if v6 {
        packet
    } else {
        let header = usize::from(packet.first()? & 0x0f) * 4;
        packet.get(header..)?
    };
    let (kind, code) = (*m.first()?, *m.get(1)?);
    match (v6, kind) {
        (false, 0) | (true, 129) => {
            let word = |at: usize| Some(u16::from_be_bytes([*m.get(at)?, *m.get(at + 1)?]));
            if word(4)? != id {
                return None;
            }
            let sequence = word(6)?;
            let intact = pattern::first_difference(u64::from(id), u64::from(sequence), m.get(8..)?).is_none();
            Some(Message::Reply { sequence, intact })
        }
        // Quoted packets begin after 8 octets; the quoted echo's identifier tells whether it is ours.
        (false, 3 | 11) | (true, 1..=3) => {
            let quoted = m.get(8..)?;
            let header = if v6 { 40 } else { usize::from(quoted.first()? & 0x0f) * 4 };
            let echo = quoted.get(header..header + 6)?;
            (echo[0] == if v6 { 128 } else { 8 } && echo[4..6] == id.to_be_bytes()).then_some(Message::Error { kind, code })
        }
        _ => None,
    }
}

fn checksum(data: &[u8]) -> u16 {
    let mut sum: u32 = data.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c.get(1).copied().unwrap_or(0)]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reply_is_recognised_and_a_strangers_is_not() {
        let mut packet = vec![0x45; 20];
        let mut reply = request(false, 7, 3, 56);
        reply[0] = 0;
        packet.extend_from_slice(&reply);
        assert_eq!(read(false, &packet, 7), Some(Message::Reply { sequence: 3, intact: true }));
        assert_eq!(read(false, &packet, 8), None);
        packet[40] ^= 1;
        assert_eq!(read(false, &packet, 7), Some(Message::Reply { sequence: 3, intact: false }));
    }

    #[test]
    fn an_error_about_our_request_is_recognised() {
        let mut packet = vec![0x45; 20];
        packet.extend_from_slice(&[3, 1, 0, 0, 0, 0, 0, 0]);
        packet.extend_from_slice(&[0x45; 20]);
        packet.extend_from_slice(&request(false, 7, 3, 8));
        assert_eq!(read(false, &packet, 7), Some(Message::Error { kind: 3, code: 1 }));
        assert_eq!(read(false, &packet, 9), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(v6: bool, octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(v6, &octets, 1);
        }
    }
}
