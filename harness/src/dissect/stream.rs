//! Puts the octets of TCP connections with HTTP in order, per tap and direction, in bounded memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;

use super::Http;
use super::http::{Asked, Reading};

/// Directions that are followed at the same time; the oldest is forgotten first.
const MAX_STREAMS: usize = 256;
/// Octets of a direction that wait for others before them. With more, what is missing is given up.
const MAX_WAITING: usize = 1 << 18;
/// Segments of a direction that wait.
const MAX_SEGMENTS: usize = 512;

/// One direction of a connection, seen at one tap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) tap: u16,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

impl Key {
    fn reversed(&self) -> Key {
        Key { tap: self.tap, from: self.to, to: self.from }
    }
}

/// A segment, whole.
pub(super) struct Segment<'a> {
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) data: &'a [u8],
}

/// What a segment did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Messages that are complete with it.
    pub(super) messages: Vec<Http>,
    /// Its octets belong to messages, or have been seen before.
    pub(super) claimed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: HashMap<Key, Stream>,
    order: VecDeque<Key>,
}

#[derive(Debug)]
struct Stream {
    /// Sequence number of the octet that comes next.
    next: u32,
    /// What came before its turn, by sequence number.
    waiting: BTreeMap<u32, Vec<u8>>,
    octets: usize,
    /// Sequence number of the end.
    end: Option<u32>,
    reading: Reading,
    asked: Asked,
}

impl Streams {
    pub(super) fn add(&mut self, key: Key, segment: &Segment<'_>) -> Outcome {
        let first = segment.seq.wrapping_add(segment.syn.into());
        if segment.syn || !self.streams.contains_key(&key) {
            if segment.data.is_empty() && !segment.syn {
                return Outcome::default();
            }
            self.begin(key.clone(), first);
        }
        let Some(stream) = self.streams.get_mut(&key) else { return Outcome::default() };
        let outcome = stream.add(first, segment);
        for request in outcome.messages.iter().filter(|http| http.status.is_none()) {
            let back = key.reversed();
            if !self.streams.contains_key(&back) {
                self.begin(back.clone(), segment.ack);
            }
            if let Some(back) = self.streams.get_mut(&back) {
                back.asked.add(request);
            }
        }
        outcome
    }

    /// Forgets a direction, of which not all octets were captured.
    pub(super) fn forget(&mut self, key: &Key) {
        if self.streams.remove(key).is_some() {
            self.order.retain(|k| k != key);
        }
    }

    fn begin(&mut self, key: Key, next: u32) {
        self.forget(&key);
        if self.order.len() == MAX_STREAMS
            && let Some(oldest) = self.order.pop_front()
        {
            self.streams.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.streams.insert(key, Stream::new(next));
    }
}

/// How far `a` is behind `b`; negative: before it.
fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

impl Stream {
    fn new(next: u32) -> Stream {
        Stream { next, waiting: BTreeMap::new(), octets: 0, end: None, reading: Reading::default(), asked: Asked::default() }
    }

    fn add(&mut self, first: u32, segment: &Segment<'_>) -> Outcome {
        let last = first.wrapping_add(segment.data.len() as u32);
        if segment.fin {
            self.end = Some(last);
        }
        let mut outcome = Outcome { messages: Vec::new(), claimed: true };
        if distance(first, self.next) > 0 && !segment.data.is_empty() {
            if self.octets + segment.data.len() > MAX_WAITING || self.waiting.len() >= MAX_SEGMENTS {
                *self = Stream { end: self.end, ..Stream::new(first) };
            } else {
                self.keep(first, segment.data);
                return outcome;
            }
        }
        if distance(last, self.next) > 0 {
            outcome.claimed = self.take(first, segment.data, &mut outcome.messages);
            while let Some(first) = self.due() {
                let Some(data) = self.waiting.remove(&first) else { break };
                self.octets -= data.len();
                self.take(first, &data, &mut outcome.messages);
            }
        }
        if self.end == Some(self.next) {
            self.reading.end(&mut outcome.messages);
        }
        outcome
    }

    fn keep(&mut self, first: u32, data: &[u8]) {
        let kept = self.waiting.entry(first).or_default();
        if kept.len() < data.len() {
            self.octets += data.len() - kept.len();
            *kept = data.to_vec();
        }
    }

    /// A waiting segment whose turn has come.
    fn due(&self) -> Option<u32> {
        self.waiting.keys().copied().find(|first| distance(*first, self.next) <= 0)
    }

    /// Reads what is new of octets that begin at `first`, which is not behind `next`.
    fn take(&mut self, first: u32, data: &[u8], messages: &mut Vec<Http>) -> bool {
        let known = distance(self.next, first).max(0).unsigned_abs() as usize;
        let Some(new) = data.get(known..).filter(|new| !new.is_empty()) else { return true };
        self.next = self.next.wrapping_add(new.len() as u32);
        self.reading.read(new, &mut self.asked, messages)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n..............................";

    fn key() -> Key {
        Key { tap: 0, from: "192.0.2.1:80".parse().unwrap(), to: "192.0.2.2:4000".parse().unwrap() }
    }

    fn add(streams: &mut Streams, seq: u32, data: &[u8]) -> (usize, bool) {
        let outcome = streams.add(key(), &Segment { seq, ack: 1, syn: false, fin: false, data });
        (outcome.messages.len(), outcome.claimed)
    }

    fn opened(seq: u32) -> Streams {
        let mut streams = Streams::default();
        streams.add(key(), &Segment { seq, ack: 0, syn: true, fin: false, data: &[] });
        streams
    }

    /// As where a path's MTU is found out: the short last segment arrives first.
    #[test]
    fn whoever_completes_a_message_has_it_once() {
        let start = u32::MAX - 20; // the sequence number begins anew within the message
        let at = |n: usize| start.wrapping_add(1 + n as u32);
        let mut streams = opened(start);
        assert_eq!(add(&mut streams, at(50), &ANSWER[50..]), (0, true));
        assert_eq!(add(&mut streams, at(0), &ANSWER[..30]), (0, true));
        assert_eq!(add(&mut streams, at(0), &ANSWER[..30]), (0, true));
        assert_eq!(add(&mut streams, at(25), &ANSWER[25..55]), (1, true));
        assert_eq!(add(&mut streams, at(25), &ANSWER[25..55]), (0, true));
        assert_eq!(add(&mut streams, at(ANSWER.len()), b"something else"), (0, false));
        assert_eq!(add(&mut streams, at(ANSWER.len() + 14), ANSWER), (1, true));
    }

    #[test]
    fn an_answer_to_head_is_complete_with_its_head() {
        let mut streams = Streams::default();
        add(&mut streams, 5, b"HEAD / HTTP/1.1\r\n\r\n");
        let back = |streams: &mut Streams, seq, data| {
            let outcome = streams.add(key().reversed(), &Segment { seq, ack: 1, syn: false, fin: false, data });
            outcome.messages.len()
        };
        assert_eq!(back(&mut streams, 1, &ANSWER[..39]), 1);
        add(&mut streams, 26, b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!((back(&mut streams, 40, &ANSWER[..39]), back(&mut streams, 79, &ANSWER[39..])), (0, 1));
    }

    #[test]
    fn what_the_capture_does_not_have_is_given_up() {
        let mut streams = opened(0);
        let filler = vec![b'x'; 60_000];
        let waiting: Vec<_> = (0..5).map(|n| add(&mut streams, 100 + n * 60_000, &filler)).collect();
        assert_eq!(waiting, [(0, true), (0, true), (0, true), (0, true), (0, false)]);
        assert_eq!(add(&mut streams, 100 + 5 * 60_000, ANSWER), (1, true));
    }

    proptest! {
        #[test]
        fn any_segments_are_survived(segments in proptest::collection::vec((any::<u32>(), 0u8..4, proptest::collection::vec(any::<u8>(), 0..50)), 0..40)) {
            let mut streams = Streams::default();
            for (seq, flags, data) in segments {
                streams.add(key(), &Segment { seq: seq % 200, ack: seq % 199, syn: flags == 1, fin: flags == 2, data: &data });
            }
        }

        /// However a message is cut and in whatever order its parts come, also twice, it is complete once.
        #[test]
        fn any_order_gives_the_message_once(start: u32, mut parts in proptest::collection::vec((0usize..ANSWER.len(), 1usize..40), 1..20), seed in any::<usize>()) {
            parts.extend([(0, 40), (40, ANSWER.len())]);
            parts.rotate_left(seed % 20 % 3);
            let mut streams = opened(start);
            let found: usize = parts.iter().map(|(at, len)| {
                let data = &ANSWER[*at..(at + len).min(ANSWER.len())];
                add(&mut streams, start.wrapping_add(1 + *at as u32), data).0
            }).sum();
            prop_assert_eq!(found, 1);
        }
    }
}
