//! What one record alone cannot tell: is this message a copy, was it translated, did it get lost?
//!
//! Two packets carry the *same message* when these are equal: IKE: the message's octets, without the non-ESP marker;
//! ESP and AH: SPI, sequence number and last octets; fragments: identification, offset and octets; TCP and UDP: everything
//! behind the IP header but ports and checksum, which a NAT changes; others: everything behind the IP header.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use sha1::{Digest, Sha1};

use crate::dissect::{Capture, Direction, Ip, Layer, Record};
use crate::time::Timestamp;

/// Facts about the records of a capture; computed once, read by `faultlab.*` fields and by `frame.time_relative` and
/// `frame.interface_name`. The default knows nothing: these fields are then absent.
#[derive(Debug, Clone, Default)]
pub struct Analysis {
    taps: Vec<String>,
    start: Option<Timestamp>,
    /// By `frame.number - 1`.
    facts: Vec<Option<Facts>>,
    messages: HashMap<u64, Message>,
    copies: HashMap<(u64, u16, Side, IpAddr), u32>,
    /// Addresses from which a node sent messages of its own.
    homes: HashSet<(String, IpAddr)>,
}

/// Facts about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Identity of the message.
    pub message: u64,
    /// How often the tap has seen it before, in the same direction and from the same address.
    pub copy: u32,
    /// An IKE message, and `copy` is above 0.
    pub retransmission: bool,
    /// Seen before at another tap with other addresses or ports.
    pub translated: bool,
    destination: IpAddr,
}

#[derive(Debug, Clone)]
struct Message {
    first: Endpoints,
    first_tap: u16,
    sightings: Vec<Sighting>,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    number: u32,
    tap: u16,
    side: Side,
}

/// [`Direction`], hashable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    In,
    Out,
    Unknown,
}

type Endpoints = (IpAddr, IpAddr, Option<(u16, u16)>);

impl Analysis {
    /// Analyses a whole capture.
    pub fn of(capture: &Capture) -> Analysis {
        let mut analysis = Analysis::begin(&capture.taps, capture.records.first().map(|r| r.frame.time));
        for record in &capture.records {
            analysis.push(record);
        }
        analysis
    }

    /// For records that arrive one after another: [`Analysis::push`] each before it is filtered.
    pub fn begin(taps: &[String], start: Option<Timestamp>) -> Analysis {
        Analysis { taps: taps.to_vec(), start, ..Analysis::default() }
    }

    /// Names of taps that became known while a capture is read.
    pub fn set_taps(&mut self, taps: &[String]) {
        // A second pass over the file begins with fewer than are known.
        if self.taps.len() < taps.len() {
            self.taps = taps.to_vec();
        }
    }

    /// Time of the first frame, when records are not [pushed](Analysis::push); a later call changes nothing.
    pub fn set_start(&mut self, time: Timestamp) {
        self.start.get_or_insert(time);
    }

    /// Takes the next record, in the order of `frame.number`.
    pub fn push(&mut self, record: &Record) {
        self.start.get_or_insert(record.frame.time);
        let facts = self.judge(record);
        let index = record.frame.number.saturating_sub(1) as usize;
        // Numbers come from a reader that counts; a hole would be a mistake of the caller, and must not cost memory.
        if index == self.facts.len() {
            self.facts.push(facts);
        } else if let Some(slot) = self.facts.get_mut(index) {
            *slot = facts;
        }
    }

    /// Time of the first frame.
    pub fn start(&self) -> Option<Timestamp> {
        self.start
    }

    /// Name of a tap; `None` when the file gives none.
    pub fn tap(&self, index: u16) -> Option<&str> {
        self.taps.get(usize::from(index)).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Facts about a record; `None` for what carries no message (ARP, foreign frames).
    pub fn facts(&self, record: &Record) -> Option<&Facts> {
        self.facts.get(record.frame.number.checked_sub(1)? as usize)?.as_ref()
    }

    /// Lost: the message went *out* at this tap, or came *in* at a node that has several taps and is not its destination;
    /// and no tap further along saw it before this one saw the next copy. (When copies follow so closely that they overtake each
    /// other, as many sightings as copies will do.) Always false when the capture has one tap or gives no directions.
    pub fn is_lost(&self, record: &Record) -> bool {
        let Some(facts) = self.facts(record) else { return false };
        let tap = record.frame.tap;
        let expected = match Side::from(record.frame.direction) {
            Side::Out => self.taps.len() > 1,
            Side::In => self.forwards(tap) && !self.is_home(tap, facts.destination) && !facts.destination.is_multicast(),
            Side::Unknown => false,
        };
        expected && !self.messages.get(&facts.message).is_some_and(|m| m.reaches(record))
    }

    fn judge(&mut self, record: &Record) -> Option<Facts> {
        let (message, is_ike) = identity(record)?;
        let ip = record.ip()?;
        let ports = record.udp().map(|u| (u.src, u.dst)).or_else(|| record.tcp().map(|t| (t.src, t.dst)));
        let endpoints = (ip.src, ip.dst, ports);
        let (tap, side) = (record.frame.tap, Side::from(record.frame.direction));
        let seen = self.copies.entry((message, tap, side, ip.src)).or_default();
        let copy = *seen;
        *seen = seen.saturating_add(1);
        let first_sighting = !self.messages.contains_key(&message);
        if first_sighting
            && side == Side::Out
            && let Some(name) = self.tap(tap)
        {
            let home = (node_of(name).to_owned(), ip.src);
            self.homes.insert(home);
        }
        let known = self.messages.entry(message).or_insert_with(|| Message { first: endpoints, first_tap: tap, sightings: Vec::new() });
        known.sightings.push(Sighting { number: record.frame.number, tap, side });
        Some(Facts {
            message,
            copy,
            retransmission: is_ike && copy > 0,
            translated: known.first_tap != tap && known.first != endpoints,
            destination: ip.dst,
        })
    }

    fn forwards(&self, tap: u16) -> bool {
        let Some(node) = self.tap(tap).map(node_of) else { return false };
        self.taps.iter().filter(|t| node_of(t) == node).count() > 1
    }

    fn is_home(&self, tap: u16, address: IpAddr) -> bool {
        self.tap(tap).is_some_and(|name| self.homes.contains(&(node_of(name).to_owned(), address)))
    }
}

impl Message {
    fn reaches(&self, record: &Record) -> bool {
        let (number, tap, side) = (record.frame.number, record.frame.tap, Side::from(record.frame.direction));
        // Taps that saw the message before this one ever did lie behind: what they see later is the next copy.
        let behind: HashSet<u16> = self.sightings.iter().map(|s| s.tap).take_while(|t| *t != tap).collect();
        let from = self.sightings.partition_point(|s| s.number <= number);
        let later = self.sightings[from..].iter().filter(|s| !behind.contains(&s.tap));
        if later.clone().take_while(|s| !(s.tap == tap && s.side == side)).any(|s| s.tap != tap) {
            return true;
        }
        let mine = 1 + later.clone().filter(|s| s.tap == tap && s.side == side).count();
        let mut elsewhere: HashMap<(u16, Side), usize> = HashMap::new();
        later.filter(|s| s.tap != tap).for_each(|s| *elsewhere.entry((s.tap, s.side)).or_default() += 1);
        elsewhere.values().any(|n| *n >= mine)
    }
}

impl From<Direction> for Side {
    fn from(d: Direction) -> Side {
        match d {
            Direction::In => Side::In,
            Direction::Out => Side::Out,
            Direction::Unknown => Side::Unknown,
        }
    }
}

/// Node of a tap: `west` of `west.wan`.
pub fn node_of(tap: &str) -> &str {
    tap.split_once('.').map_or(tap, |(node, _)| node)
}

/// Identity of the message a record carries, and whether that is an IKE message.
pub fn identity(record: &Record) -> Option<(u64, bool)> {
    let ip = record.ip()?;
    let mut hash = Sha1::new();
    if ip.is_fragment() && !ip.reassembled {
        hash.update([b'f', ip.protocol]);
        hash.update(ip.id.to_be_bytes());
        hash.update(ip.fragment_offset.to_be_bytes());
        hash.update(upper(record, ip).unwrap_or_default());
        return Some((finish(hash), false));
    }
    if let Some(ike) = record.ike() {
        hash.update(b"i");
        hash.update(&ike.raw);
        return Some((finish(hash), true));
    }
    if let Some(esp) = record.esp() {
        hash.update(b"e");
        hash.update(esp.spi.to_be_bytes());
        hash.update(esp.seq.to_be_bytes());
        hash.update(esp.tail);
    } else if let Some(ah) = record.ah() {
        hash.update(b"a");
        hash.update(ah.spi.to_be_bytes());
        hash.update(ah.seq.to_be_bytes());
        hash.update(&ah.icv);
    } else if let Some(udp) = record.udp() {
        hash.update(b"u");
        hash.update(&*udp.payload);
    } else {
        hash.update([b'o', ip.protocol]);
        match (upper(record, ip)?, ip.protocol) {
            // Without ports and checksum.
            (tcp, 6) if tcp.len() >= 20 => {
                hash.update(&tcp[4..16]);
                hash.update(&tcp[18..]);
            }
            (other, _) => hash.update(other),
        }
    }
    Some((finish(hash), false))
}

/// Octets behind the outer IP header, as captured.
fn upper<'r>(record: &'r Record, ip: &Ip) -> Option<&'r [u8]> {
    let start = match record.layers.first()? {
        Layer::Ethernet(_) => 14,
        Layer::Ip(_) => 0,
        _ => return None,
    };
    let data = &record.frame.data;
    let end = (start + ip.total_len as usize).min(data.len());
    data.get(start + ip.header_len as usize..end)
}

fn finish(hash: Sha1) -> u64 {
    hash.finalize().iter().take(8).fold(0, |n, octet| n << 8 | u64::from(*octet))
}
