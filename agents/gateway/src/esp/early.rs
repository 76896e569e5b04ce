//! Packets that come before their SA: a responder may use an SA that it has made before its response leaves, and the initiator has no
//! keys before that has arrived (RFC 7296 §2.8). They wait here for a moment.

use std::collections::VecDeque;

use crate::gateway::Outer;

/// SPIs that are waited for; the oldest go first.
const MAX_EXPECTED: usize = 512;
/// Packets that may wait, and their octets: anybody who reads an SPI off the wire can fill that.
const MAX_PACKETS: usize = 16;
const MAX_OCTETS: usize = 64 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// In the order in which they were asked for.
    expected: VecDeque<u32>,
    held: VecDeque<(u32, Outer, Vec<u8>)>,
}

impl Early {
    /// The peer is asked for an SA with this SPI.
    pub fn expect(&mut self, spi: u32) {
        if self.expected.len() >= MAX_EXPECTED
            && let Some(oldest) = self.expected.pop_front()
        {
            self.held.retain(|(held, ..)| *held != oldest);
        }
        self.expected.push_back(spi);
    }

    /// Keeps a copy of a packet whose SPI is expected, when there is room. Returns whether it did.
    pub fn hold(&mut self, spi: u32, outer: Outer, packet: &[u8]) -> bool {
        let octets: usize = self.held.iter().map(|(.., packet)| packet.len()).sum();
        let may = self.held.len() < MAX_PACKETS && octets + packet.len() <= MAX_OCTETS && self.expected.contains(&spi);
        if may {
            self.held.push_back((spi, outer, packet.to_vec()));
        }
        may
    }

    /// It is not expected any longer; its packets, in the order in which they came.
    pub fn take(&mut self, spi: u32) -> Vec<(Outer, Vec<u8>)> {
        self.expected.retain(|expected| *expected != spi);
        let (taken, left) = std::mem::take(&mut self.held).into_iter().partition(|(held, ..)| *held == spi);
        self.held = left;
        VecDeque::into_iter(taken).map(|(_, outer, packet)| (outer, packet)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTER: Outer = Outer {
        from: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        to: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        ports: None,
        tos: 0,
        df: false,
    };

    #[test]
    fn only_what_is_expected_and_only_so_much() {
        let mut early = Early::default();
        assert!(!early.hold(7, OUTER, &[1]), "nobody waits for it");
        early.expect(7);
        early.expect(8);
        assert!(early.hold(7, OUTER, &[1]) && early.hold(8, OUTER, &[2]) && early.hold(7, OUTER, &[3]));
        assert_eq!(early.take(7).into_iter().map(|(_, packet)| packet).collect::<Vec<_>>(), [[1], [3]]);
        assert!(!early.hold(7, OUTER, &[4]), "no longer");
        assert!(!early.hold(8, OUTER, &vec![0; MAX_OCTETS]), "too much");
        assert_eq!((0..100).filter(|_| early.hold(8, OUTER, &[5])).count(), MAX_PACKETS - 1);
        (100..100 + MAX_EXPECTED as u32).for_each(|spi| early.expect(spi));
        assert!(early.held.is_empty() && early.expected.len() == MAX_EXPECTED, "what was never made is forgotten");
        assert_eq!(early.take(8).len(), 0);
    }
}
