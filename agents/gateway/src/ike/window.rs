//! Message IDs and retransmission: RFC 7296 §2.1 – §2.3, with a window of one request in each direction.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use wire::ike::decrypt::Plaintext;

use super::child::ChildRequest;
use super::followup::ExpectFollowUpResponse;
use super::rekey_ike::RekeyRequest;

/// What an outstanding request asked for.
pub(crate) enum Asked {
    Init,
    Intermediate,
    Auth,
    NewChild(Box<ChildRequest>),
    /// Inbound SPI of the child SA that gets new keys.
    RekeyChild(u32, Box<ChildRequest>),
    RekeyIke(Box<RekeyRequest>),
    FollowUp(Box<ExpectFollowUpResponse>),
    /// Inbound SPI.
    DeleteChild(u32),
    DeleteIke,
    Liveness,
    /// COOKIE2 that must come back (RFC 4555 §3.5).
    Addresses(Vec<u8>),
    /// COOKIE2 that must come back from where it is sent: own address and the peer's (RFC 4555 §3.7).
    PathTest {
        cookie: Vec<u8>,
        path: (SocketAddr, SocketAddr),
    },
    Refuse,
}

/// A message as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) exchange: u8,
    pub(crate) response: bool,
    /// Its number among the unique messages sent.
    pub(crate) nth: u32,
    /// The datagrams of one copy: several when it is fragmented (RFC 7383).
    pub(crate) datagrams: Vec<Vec<u8>>,
}

/// The outstanding request.
pub(crate) struct Pending {
    pub(crate) asked: Asked,
    pub(crate) id: u32,
    pub(crate) sent: Sent,
    /// Copies sent so far.
    pub(crate) copies: u32,
}

/// A response that may have to be repeated.
pub(crate) struct Answered {
    pub(crate) id: u32,
    pub(crate) sent: Sent,
}

/// Both directions of message IDs.
#[derive(Default)]
pub(crate) struct Window {
    /// ID of our next request.
    pub(crate) next: u32,
    /// ID of the peer's next request.
    pub(crate) expected: u32,
    pub(crate) pending: Option<Pending>,
    pub(crate) answered: Option<Answered>,
    /// Fragments of the message that is being received, for requests and responses.
    pub(crate) fragments: [Assembly; 2],
    /// Unique messages sent and received, for misbehaviour that counts them.
    pub(crate) unique_sent: u32,
    pub(crate) unique_received: u32,
    /// Counts IVs of ciphers that only ask for different ones (RFC 5282 §3.1).
    pub(crate) ivs: u64,
    /// Last inbound message that was counted: ID and whether it was a response.
    pub(crate) last_counted: Option<(u32, bool)>,
}

impl Window {
    /// The number of an inbound message among the unique ones, and whether it has come before. A fragment counts for the whole.
    pub(crate) fn count_received(&mut self, id: u32, response: bool) -> (u32, bool) {
        let again = self.last_counted == Some((id, response));
        if !again {
            self.unique_received += 1;
            self.last_counted = Some((id, response));
        }
        (self.unique_received, again)
    }
}

/// Fragments of one message; a new message or another total forgets the old ones (RFC 7383 §2.6).
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    id: u32,
    total: u16,
    parts: BTreeMap<u16, Plaintext>,
    octets: usize,
}

/// The largest message that is put together, octets.
const MAX_OCTETS: usize = 1 << 18;
/// The most fragments of one message.
const MAX_FRAGMENTS: u16 = 512;

impl Assembly {
    /// Takes in a decrypted fragment; the whole content once nothing is missing.
    pub(crate) fn add(&mut self, id: u32, number: u16, total: u16, part: Plaintext) -> Option<Plaintext> {
        if number == 0 || number > total || total > MAX_FRAGMENTS || (self.id == id && total < self.total) {
            return None;
        }
        if self.id != id || self.total != total {
            *self = Assembly { id, total, ..Assembly::default() };
        }
        if !self.parts.contains_key(&number) {
            self.octets += part.data.len();
            self.parts.insert(number, part);
        }
        if self.octets > MAX_OCTETS {
            *self = Assembly::default();
            return None;
        }
        if self.parts.len() < usize::from(total) {
            return None;
        }
        let parts = std::mem::take(self).parts;
        let first = parts.get(&1).map_or(0, |p| p.first);
        Some(Plaintext { first, data: parts.into_values().flat_map(|p| p.data).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(first: u8, text: &str) -> Plaintext {
        Plaintext { first, data: text.into() }
    }

    #[test]
    fn fragments_come_in_any_order_and_more_than_once() {
        let mut a = Assembly::default();
        assert_eq!(a.add(1, 3, 3, part(0, "c")), None);
        assert_eq!(a.add(1, 1, 3, part(35, "a")), None);
        assert_eq!(a.add(1, 1, 3, part(35, "a")), None);
        assert_eq!(a.add(1, 2, 3, part(0, "b")), Some(part(35, "abc")));
    }

    #[test]
    fn another_message_or_a_larger_total_starts_anew() {
        let mut a = Assembly::default();
        assert_eq!(a.add(1, 1, 2, part(35, "a")), None);
        assert_eq!(a.add(2, 2, 2, part(0, "z")), None);
        assert_eq!(a.add(2, 1, 2, part(35, "y")), Some(part(35, "yz")));
        assert_eq!(a.add(3, 1, 2, part(35, "a")), None);
        assert_eq!(a.add(3, 1, 3, part(35, "a")), None);
        assert_eq!(a.add(3, 2, 2, part(0, "b")), None, "a smaller total is old news");
        assert_eq!(a.add(3, 0, 3, part(0, "b")), None);
        assert_eq!(a.add(3, 4, 3, part(0, "b")), None);
    }
}
