//! ECN in tunnels: RFC 6040, normal mode.

/// Not-ECT, ECT(1), ECT(0), CE: the two low bits of the TOS or Traffic Class octet.
const NOT_ECT: u8 = 0b00;
const ECT1: u8 = 0b01;
const CE: u8 = 0b11;

/// The outer TOS octet: the inner DSCP (RFC 4301 §5.1.2) and the inner ECN field (RFC 6040 §4.1).
pub(super) const fn encapsulate(inner: u8) -> u8 {
    inner
}

/// The inner TOS octet after decapsulation: its own DSCP, and the ECN field of RFC 6040 figure 4. `None`: drop the packet, since a
/// transport that does not speak ECN would never hear of the congestion.
pub(super) const fn decapsulate(inner: u8, outer: u8) -> Option<u8> {
    let ecn = match (inner & 3, outer & 3) {
        (NOT_ECT, CE) => return None,
        (NOT_ECT, _) => NOT_ECT,
        (_, CE) => CE,
        (CE, _) => CE,
        (_, ECT1) => ECT1,
        (own, _) => own,
    };
    Some(inner & !3 | ecn)
}

/// Writes another TOS octet into an IP packet, and mends IPv4's header checksum (RFC 1624).
pub(super) fn set_tos(packet: &mut [u8], tos: u8) {
    match packet {
        [first, second, ..] if *first >> 4 == 6 => {
            *first = *first & 0xf0 | tos >> 4;
            *second = *second & 0x0f | tos << 4;
        }
        [first, old, _, _, _, _, _, _, _, _, sum_high, sum_low, ..] => {
            let before = u16::from_be_bytes([*first, *old]);
            let after = u16::from_be_bytes([*first, tos]);
            let sum = u32::from(!u16::from_be_bytes([*sum_high, *sum_low])) + u32::from(!before) + u32::from(after);
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = (sum & 0xffff) + (sum >> 16);
            [*sum_high, *sum_low] = (!(sum as u16)).to_be_bytes();
            *old = tos;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{Ipv4Header, PacketBuilder};

    #[test]
    fn figure_4_of_rfc_6040() {
        const ECT0: u8 = 0b10;
        // Rows: inner; columns: outer Not-ECT, ECT(0), ECT(1), CE.
        let table = [
            (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
            (ECT0, [Some(ECT0), Some(ECT0), Some(ECT1), Some(CE)]),
            (ECT1, [Some(ECT1), Some(ECT1), Some(ECT1), Some(CE)]),
            (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
        ];
        for (inner, row) in table {
            for (outer, expected) in [NOT_ECT, ECT0, ECT1, CE].into_iter().zip(row) {
                assert_eq!(decapsulate(0xb8 | inner, outer), expected.map(|e| 0xb8 | e), "inner {inner:02b} outer {outer:02b}");
                assert_eq!(decapsulate(inner, 0x48 | outer), expected, "the outer DSCP goes nowhere");
            }
        }
    }

    #[test]
    fn figure_3_of_rfc_6040() {
        for ecn in 0..4 {
            assert_eq!(encapsulate(0xb8 | ecn), 0xb8 | ecn);
        }
    }

    #[test]
    fn the_checksum_stays_right() {
        for (ident, to) in (0..u16::MAX).step_by(37).zip((0..=255).cycle()) {
            let mut packet = Vec::new();
            PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2).write(&mut packet, b"hello").unwrap();
            packet[4..6].copy_from_slice(&ident.to_be_bytes());
            let right = Ipv4Header::from_slice(&packet).unwrap().0.calc_header_checksum();
            packet[10..12].copy_from_slice(&right.to_be_bytes());
            set_tos(&mut packet, to);
            let (header, _) = Ipv4Header::from_slice(&packet).unwrap();
            assert_eq!((header.header_checksum, packet[1]), (header.calc_header_checksum(), to));
        }
    }

    #[test]
    fn traffic_class_is_between_version_and_flow_label() {
        let mut packet = [0x6f, 0xf5, 1, 2];
        set_tos(&mut packet, 0xb9);
        assert_eq!(packet, [0x6b, 0x95, 1, 2]);
        set_tos(&mut packet[..1], 1);
        set_tos(&mut [], 1);
    }
}
