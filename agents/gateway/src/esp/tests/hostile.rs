//! Any octets at all.

use proptest::prelude::*;

use super::*;

fn outer(udp: bool, tos: u8) -> Outer {
    Outer { from: WEST.into(), to: EAST.into(), ports: udp.then_some((4500, 4500)), tos, df: false }
}

fn suite() -> impl Strategy<Value = SaParams> {
    let icv_len = prop_oneof![4 => Just(None), 1 => any::<u8>().prop_map(Some)];
    (0..CIPHERS.len(), any::<bool>(), icv_len, 0u32..130).prop_map(|(n, esn, icv_len, replay_window)| {
        let (cipher, integrity) = CIPHERS[n];
        SaParams { esn, icv_len, replay_window, ..sa(cipher, integrity) }
    })
}

proptest! {
    #[test]
    fn from_outside(sa in suite(), bytes: Vec<u8>, known: bool, udp: bool, tos: u8) {
        let (_, mut east) = pair(&sa);
        let mut bytes = bytes;
        if let (true, Some(spi)) = (known, bytes.get_mut(..4)) {
            spi.copy_from_slice(&TO_EAST.to_be_bytes());
        }
        let mut out = Vec::new();
        east.inbound(at(1), outer(udp, tos), &mut bytes, &mut out);
        prop_assert_eq!(east.counters().iter().map(|(_, n)| n).sum::<u64>(), 1);
    }

    #[test]
    fn bent_and_cut(sa in suite(), len in 28usize..300, cut in 0usize..400, at_octet in 0usize..400, bit in 0u8..8) {
        let (mut west, mut east) = pair(&sa);
        let (outer, esp) = send(&mut west, 1, &udp_v4(len, true)).unwrap();
        let mut bent = esp.clone();
        bent.truncate(cut);
        if let Some(octet) = bent.get_mut(at_octet) {
            *octet ^= 1 << bit;
        }
        let protected = sa.integrity != Integrity::None || sa.cipher.is_aead();
        let whole = sa.icv_len.is_none_or(|n| n >= 8);
        let got = receive(&mut east, 1, outer, &bent);
        if bent == esp {
            prop_assert!(got.is_some());
        } else if protected && whole {
            prop_assert_eq!(got, None);
        }
    }

    /// Whatever an authentic peer puts into its packets.
    #[test]
    fn from_a_peer_with_the_keys(payload: Vec<u8>, first in prop_oneof![Just(None), (0x40u8..0x70).prop_map(Some)], next_header in prop_oneof![Just(4u8), Just(41), Just(59), any::<u8>()], tos: u8) {
        let (_, mut east) = pair(&gcm());
        let mut payload = payload;
        if let (Some(first), Some(octet)) = (first, payload.first_mut()) {
            *octet = first;
        }
        let mut packet = Vec::new();
        let transform = transform::Transform::new(&gcm()).unwrap();
        transform.seal(transform::Head::new(TO_EAST, 1, false), 1, &payload, next_header, &mut packet);
        receive(&mut east, 1, outer(false, tos), &packet);
        prop_assert_eq!(east.counters().in_icv_fail, 0);
    }

    #[test]
    fn from_inside(bytes: Vec<u8>, head in prop_oneof![Just(28usize), Just(48), Just(0)], covered: bool) {
        let (mut west, mut east) = pair(&gcm());
        let start = match head { 28 => udp_v4(28, true), 48 => udp_v6(48), _ => Vec::new() };
        let mut packet = [start, bytes].concat();
        if head == 28 {
            let len = packet.len() as u16;
            packet[2..4].copy_from_slice(&len.to_be_bytes());
            if !covered { packet[16] = 0 }
        }
        let mut out = Vec::new();
        if let Verdict::Send(outer) = west.outbound(at(1), &packet, &mut out) {
            prop_assert!(receive(&mut east, 1, outer, &out).is_some_and(|got| packet.starts_with(&got)));
        }
    }
}
