//! Frames of all taps in time order, numbered.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::dissect::{Direction, Frame};
use crate::sys::RawFrame;
use crate::time::Timestamp;

const ETHERNET: u16 = 1;
const OUTGOING: u8 = 4;

/// Puts the frames of all taps into time order and numbers them.
#[derive(Default)]
pub(super) struct Order {
    held: Vec<Frame>,
    released: Timestamp,
    numbered: u32,
    late: u64,
    senders: Vec<Option<u16>>,
    under_way: HashMap<(u16, u64), u32>,
}

impl Order {
    /// `senders`, by tap: the tap at the far end of its link, where only what was sent there may arrive.
    pub fn of(senders: Vec<Option<u16>>) -> Order {
        Order { senders, ..Order::default() }
    }

    /// Are frames being held back?
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Frames that came too late for their place.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// A frame that a tap has seen.
    pub fn add(&mut self, tap: usize, raw: RawFrame<'_>) {
        self.held.push(Frame {
            number: 0,
            tap: u16::try_from(tap).unwrap_or(u16::MAX),
            time: Timestamp(raw.time),
            orig_len: raw.orig_len,
            direction: if raw.packet_type == OUTGOING { Direction::Out } else { Direction::In },
            link_type: ETHERNET,
            data: raw.data.into(),
        });
    }

    /// After it has taken a packet out of a tunnel, Linux receives that packet once more at the interface where the ESP packet
    /// came in, and shows it to captures there. It was never on the link: nobody sent it at the other end. What cannot have come
    /// out of a tunnel is not asked for its sender: on a busy machine one ring may be read long before the other.
    fn was_on_the_link(&mut self, frame: &Frame) -> bool {
        let key = |tap: u16| {
            let mut hasher = DefaultHasher::new();
            frame.data.hash(&mut hasher);
            (tap, hasher.finish())
        };
        match frame.direction {
            Direction::Out if self.senders.contains(&Some(frame.tap)) => {
                *self.under_way.entry(key(frame.tap)).or_default() += 1;
                true
            }
            Direction::In => match self.senders.get(usize::from(frame.tap)).copied().flatten() {
                None => true,
                Some(sender) => match self.under_way.entry(key(sender)) {
                    Entry::Vacant(_) => is_ipsec(&frame.data),
                    Entry::Occupied(mut sent) => {
                        *sent.get_mut() -= 1;
                        if *sent.get() == 0 {
                            sent.remove();
                        }
                        true
                    }
                },
            },
            _ => true,
        }
    }

    /// Frames up to the horizon (all of them, without one), numbered.
    pub fn release(&mut self, horizon: Option<Timestamp>) -> Vec<Frame> {
        // At the same moment what is sent comes first: a clock that stands still (virtual time waits for a timer that is due) stamps
        // all hops alike, and what arrives must find that it was sent.
        self.held.sort_by_key(|f| (f.time, f.direction == Direction::In));
        let count = horizon.map_or(self.held.len(), |h| self.held.partition_point(|f| f.time <= h));
        let mut ready: Vec<Frame> = self.held.drain(..count).collect();
        ready.retain(|frame| self.was_on_the_link(frame));
        for frame in &mut ready {
            self.numbered = self.numbered.saturating_add(1);
            frame.number = self.numbered;
            self.late += u64::from(frame.time < self.released);
            self.released = self.released.max(frame.time);
        }
        ready
    }
}

/// ESP, AH, or a datagram of IKE's ports, in an Ethernet frame.
fn is_ipsec(frame: &[u8]) -> bool {
    let octet = |at: usize| frame.get(at).copied().unwrap_or(0);
    let (protocol, upper) = match (octet(12), octet(13)) {
        (0x08, 0x00) => (octet(23), 14 + usize::from(octet(14) & 0xf) * 4),
        (0x86, 0xdd) => (octet(20), 54),
        _ => return false,
    };
    let port = |at: usize| matches!(u16::from_be_bytes([octet(at), octet(at + 1)]), 500 | 4500);
    matches!(protocol, 50 | 51) || protocol == 17 && (port(upper) || port(upper + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_have_been_in_a_tunnel_needs_no_sender() {
        let packet = |protocol: u8, port: u16| {
            let mut frame = [0; 60];
            (frame[12], frame[14], frame[23]) = (8, 0x45, protocol);
            frame[36..38].copy_from_slice(&port.to_be_bytes());
            frame
        };
        let kept = |data: &[u8]| {
            let mut order = Order { senders: vec![Some(1), None], ..Order::default() };
            order.add(0, RawFrame { time: 1, orig_len: 60, packet_type: 0, data });
            order.release(None).len() == 1
        };
        assert!(kept(&packet(50, 0)) && kept(&packet(17, 500)) && kept(&packet(17, 4500)));
        assert!(!kept(&packet(17, 53)) && !kept(&packet(1, 500)) && !kept(&[8; 13]));
    }

    #[test]
    fn frames_are_numbered_in_time_order_across_taps() {
        let mut order = Order::default();
        let raw = |time| RawFrame { time, orig_len: 60, packet_type: 0, data: &[0; 60] };
        order.add(0, raw(30));
        order.add(1, raw(10));
        order.add(1, raw(20));
        let first: Vec<_> = order.release(Some(Timestamp(20))).iter().map(|f| (f.number, f.tap, f.time.0)).collect();
        assert_eq!(first, [(1, 1, 10), (2, 1, 20)]);
        order.add(0, raw(15));
        let rest: Vec<_> = order.release(None).iter().map(|f| (f.number, f.time.0)).collect();
        assert_eq!((rest, order.late), (vec![(3, 15), (4, 30)], 1));
    }

    #[test]
    fn what_was_sent_at_the_same_moment_was_on_the_link() {
        // Tap 0 is a gateway's, tap 1 is the other end of its link.
        let mut order = Order { senders: vec![Some(1), None], ..Order::default() };
        order.add(0, RawFrame { time: 7, orig_len: 60, packet_type: 0, data: &[1; 60] });
        order.add(1, RawFrame { time: 7, orig_len: 60, packet_type: OUTGOING, data: &[1; 60] });
        let seen: Vec<_> = order.release(None).iter().map(|f| (f.number, f.tap)).collect();
        assert_eq!(seen, [(1, 1), (2, 0)]);
    }

    #[test]
    fn what_nobody_sent_was_not_on_the_link() {
        // Tap 1 is a gateway's, tap 0 is the other end of its link.
        let mut order = Order { senders: vec![None, Some(0)], ..Order::default() };
        let raw = |time, packet_type, data| RawFrame { time, orig_len: 60, packet_type, data };
        order.add(0, raw(1, OUTGOING, &[1; 60]));
        order.add(1, raw(2, 0, &[1; 60]));
        order.add(1, raw(3, 0, &[2; 60]));
        order.add(1, raw(4, OUTGOING, &[3; 60]));
        order.add(0, raw(5, 0, &[3; 60]));
        order.add(1, raw(6, 0, &[1; 60]));
        let seen: Vec<_> = order.release(None).iter().map(|f| f.time.0).collect();
        assert_eq!(seen, [1, 2, 4, 5]);
    }
}
