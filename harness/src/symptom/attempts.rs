//! Attempts at the same thing: exchanges that were begun anew, and what became of each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use wire::ike::{Body, Message};

use super::error_only_answer::{is_error_only, only_notifications};
use crate::dissect::{Ike, Ip, Record};

/// Shorter answers of CREATE_CHILD_SA hold no SA, nonce and traffic selectors, but a refusal.
const LEAST_CHILD: u32 = 105;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not known yet.
    Open,
    /// It led to something.
    Succeeded,
    /// It did not.
    Failed,
}

/// One attempt.
#[derive(Debug)]
struct Attempt<'a> {
    /// Those with the same are attempts at the same thing.
    purpose: Purpose,
    /// Who began it.
    began: IpAddr,
    /// IKEv1: different messages of who began it.
    said: BTreeSet<&'a [u8]>,
    frame: u32,
    /// Begun by whom one asks about, at the time that one asks about.
    counts: bool,
    state: State,
}

/// A new IKE SA with somebody, or something within an IKE SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    NewSa(IpAddr, IpAddr),
    Within(u64, u64),
}

/// What is the same in all messages of an attempt: SPIs, message ID and, in IKEv2, who numbered it.
type Id = (u64, u64, u32, bool);

/// Attempts of one exchange type at one place, in order.
#[derive(Debug, Default)]
pub struct Attempts<'a> {
    all: Vec<Attempt<'a>>,
    by_id: BTreeMap<Id, usize>,
    data_spis: BTreeSet<u32>,
}

impl<'a> Attempts<'a> {
    /// Takes a message of the exchange type in question; `counts`: an attempt that begins with it is of interest.
    pub fn message(&mut self, ike: &'a Ike, ip: &Ip, frame: u32, counts: bool) {
        let m = &ike.message;
        if let Some(attempt) = self.by_id.get(&id(m)).and_then(|i| self.all.get_mut(*i)) {
            if let Some(state) = attempt.hear(ike, ip.src) {
                attempt.state = state;
            }
            return;
        }
        // Whoever is seen first under this SPI or message ID has begun.
        if m.is_response() || is_informational(m) {
            return;
        }
        let purpose = if begins_sa(m) { Purpose::NewSa(ip.src, ip.dst) } else { Purpose::Within(m.spi_i, m.spi_r) };
        if begins_sa(m) {
            self.settle(|a| a.purpose == purpose);
        }
        self.by_id.insert(id(m), self.all.len());
        let said = BTreeSet::from([ike.raw.as_slice()]);
        self.all.push(Attempt { purpose, began: ip.src, said, frame, counts, state: State::Open });
    }

    /// Takes any packet: ESP or AH on a new SPI shows that the latest new IKE SA between these two was a success.
    pub fn data(&mut self, r: &Record) {
        let Some(spi) = r.esp().map(|e| e.spi).or_else(|| r.ah().map(|a| a.spi)) else { return };
        let Some(ip) = r.ip().filter(|_| self.data_spis.insert(spi)) else { return };
        let between = |p: Purpose| p == Purpose::NewSa(ip.src, ip.dst) || p == Purpose::NewSa(ip.dst, ip.src);
        if let Some(attempt) = self.all.iter_mut().rev().find(|a| between(a.purpose) && a.state == State::Open) {
            attempt.state = State::Succeeded;
        }
    }

    /// Takes an informational message of IKEv1: from the peer, after a quick mode that is not over, it is the refusal.
    pub fn refused(&mut self, m: &Message, by: IpAddr) {
        self.settle(|a| a.purpose == Purpose::Within(m.spi_i, m.spi_r) && a.began != by);
    }

    /// Those with the same purpose that did not succeed, most first: how many are over, and the frames of all.
    pub fn most(&self) -> (u64, Vec<u32>) {
        let mut purposes: BTreeMap<Purpose, (u64, Vec<u32>)> = BTreeMap::new();
        for attempt in self.all.iter().filter(|a| a.counts && a.state != State::Succeeded) {
            let (over, frames) = purposes.entry(attempt.purpose).or_default();
            *over += u64::from(attempt.state == State::Failed);
            frames.push(attempt.frame);
        }
        purposes.into_values().max_by_key(|(over, frames)| (frames.len(), *over)).unwrap_or_default()
    }

    fn settle(&mut self, which: impl Fn(&Attempt<'_>) -> bool) {
        for attempt in self.all.iter_mut().filter(|a| a.state == State::Open && which(a)) {
            attempt.state = State::Failed;
        }
    }
}

impl<'a> Attempt<'a> {
    /// What a further message of the attempt tells about it.
    fn hear(&mut self, ike: &'a Ike, src: IpAddr) -> Option<State> {
        let m = &ike.message;
        if begins_sa(m) {
            return None;
        }
        if m.major() == 2 {
            return m.is_response().then(|| if is_refusal(m) { State::Failed } else { State::Succeeded });
        }
        if src == self.began {
            self.said.insert(&ike.raw);
        }
        // Quick mode's third message; the answer of other exchanges.
        let over = if m.exchange == 32 { self.said.len() >= 2 } else { src != self.began };
        over.then_some(State::Succeeded)
    }
}

/// Is an answer, by its contents or else by its length, nothing but notifications? What is worth fragmenting is more.
fn is_refusal(m: &Message) -> bool {
    let fragment = m.payloads.iter().any(|p| matches!(p.body, Body::Skf { total: 2.., .. }));
    match (only_notifications(m), m.exchange) {
        _ if fragment => false,
        (Some(only), _) => only,
        (None, 36) => m.length < LEAST_CHILD,
        (None, _) => is_error_only(m),
    }
}

/// Main mode, aggressive mode and IKE_SA_INIT begin an IKE SA; all others happen within one.
fn begins_sa(m: &Message) -> bool {
    matches!((m.major(), m.exchange), (1, 2 | 4) | (2, 34))
}

fn is_informational(m: &Message) -> bool {
    matches!((m.major(), m.exchange), (1, 5) | (2, 37))
}

/// IKEv2 numbers each side's requests on their own.
fn id(m: &Message) -> Id {
    if begins_sa(m) {
        return (m.spi_i, 0, 0, false);
    }
    (m.spi_i, m.spi_r, m.message_id, m.major() == 2 && m.is_response() != m.from_initiator())
}
