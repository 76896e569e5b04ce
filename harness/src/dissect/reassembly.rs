//! Putting IP fragments together, per tap, in bounded memory. Overlaps with different content are refused (RFC 5722, RFC 8900).

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::time::Timestamp;

/// After this time without completion a datagram is forgotten (RFC 1122 §3.3.2, RFC 8200 §4.5).
const TIMEOUT: Duration = Duration::from_secs(60);
/// Datagrams collected at the same time; the oldest is forgotten first.
const MAX_DATAGRAMS: usize = 1024;
/// Octets kept at the same time.
const MAX_OCTETS: usize = 16 << 20;
/// Fragments of one datagram.
const MAX_FRAGMENTS: usize = 8192;
/// Largest payload of an IP packet.
const MAX_PAYLOAD: usize = 65535;

/// What fragments of one datagram have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) tap: u16,
    pub(super) inner: bool,
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) protocol: u8,
    pub(super) id: u32,
}

/// One fragment.
pub(super) struct Fragment<'a> {
    pub(super) offset: u32,
    pub(super) more: bool,
    pub(super) protocol: u8,
    pub(super) data: &'a [u8],
    pub(super) time: Timestamp,
}

/// What a fragment did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Others are missing.
    Waiting,
    /// It was the last one missing.
    Complete {
        /// Upper protocol, from the first fragment.
        protocol: u8,
        /// The datagram's payload.
        data: Vec<u8>,
    },
    /// It contradicts others.
    Refused(&'static str),
}

#[derive(Debug, Default)]
pub(super) struct Reassembler {
    datagrams: HashMap<Key, Datagram>,
    order: VecDeque<Key>,
    octets: usize,
}

#[derive(Debug)]
struct Datagram {
    since: Timestamp,
    /// Sorted by offset, not overlapping.
    parts: Vec<(usize, Vec<u8>)>,
    octets: usize,
    total: Option<usize>,
    protocol: u8,
    refused: bool,
}

impl Reassembler {
    pub(super) fn add(&mut self, key: Key, fragment: Fragment<'_>) -> Outcome {
        if self.datagrams.get(&key).is_some_and(|d| fragment.time.since(d.since) > TIMEOUT) {
            self.forget(&key);
        }
        if !self.datagrams.contains_key(&key) {
            while self.order.len() >= MAX_DATAGRAMS || self.octets > MAX_OCTETS {
                let Some(oldest) = self.order.front().cloned() else { break };
                self.forget(&oldest);
            }
            self.order.push_back(key.clone());
        }
        let datagram = self.datagrams.entry(key.clone()).or_insert_with(|| Datagram {
            since: fragment.time,
            parts: Vec::new(),
            octets: 0,
            total: None,
            protocol: fragment.protocol,
            refused: false,
        });
        let before = datagram.octets;
        let outcome = datagram.add(&fragment);
        self.octets = self.octets + datagram.octets - before;
        if matches!(outcome, Outcome::Complete { .. }) {
            self.forget(&key);
        }
        outcome
    }

    fn forget(&mut self, key: &Key) {
        if let Some(datagram) = self.datagrams.remove(key) {
            self.octets -= datagram.octets;
        }
        if let Some(at) = self.order.iter().position(|k| k == key) {
            self.order.remove(at);
        }
    }
}

impl Datagram {
    fn add(&mut self, fragment: &Fragment<'_>) -> Outcome {
        if self.refused {
            return Outcome::Refused("belongs to a datagram whose fragments contradict each other");
        }
        if let Err(why) = self.insert(fragment) {
            self.refused = true;
            self.parts = Vec::new();
            self.octets = 0;
            return Outcome::Refused(why);
        }
        if self.total == Some(self.octets) {
            let data = self.parts.drain(..).flat_map(|(_, data)| data).collect();
            return Outcome::Complete { protocol: self.protocol, data };
        }
        Outcome::Waiting
    }

    fn insert(&mut self, fragment: &Fragment<'_>) -> Result<(), &'static str> {
        let start = fragment.offset as usize;
        let end = start + fragment.data.len();
        if end > MAX_PAYLOAD {
            return Err("reaches beyond 65535 octets");
        }
        if fragment.data.is_empty() {
            return Err("carries no octets");
        }
        if fragment.offset == 0 {
            self.protocol = fragment.protocol;
        }
        let known_end = self.parts.last().map_or(0, |(at, data)| at + data.len());
        match self.total {
            Some(total) if end > total || (!fragment.more && end != total) => return Err("reaches beyond the last fragment"),
            None if !fragment.more && end < known_end => return Err("is the last fragment, but another one reaches beyond it"),
            _ => {}
        }
        if !fragment.more {
            self.total = Some(end);
        }
        let at = self.parts.partition_point(|(offset, _)| *offset < start);
        if let Some((offset, data)) = self.parts.get(at)
            && *offset == start
            && data == fragment.data
        {
            return Ok(()); // a duplicate
        }
        let overlaps_previous = at > 0 && self.parts[at - 1].0 + self.parts[at - 1].1.len() > start;
        let overlaps_next = self.parts.get(at).is_some_and(|(offset, _)| *offset < end);
        if overlaps_previous || overlaps_next {
            return Err("overlaps another fragment with different content");
        }
        if self.parts.len() == MAX_FRAGMENTS {
            return Err("is one of too many");
        }
        self.parts.insert(at, (start, fragment.data.to_vec()));
        self.octets += fragment.data.len();
        Ok(())
    }
}
