//! The dissector: keys, and what must be remembered from frame to frame.

use std::collections::HashMap;

use peer::{EspKeys, Ikev1Keys, Ikev2Keys, Keys};
use wire::ike::fragments::Fragments;
use wire::ike::v1::Chains;
use wire::ike::{Body, Encryption};

use super::reassembly::Reassembler;
use super::stream::Streams;
use super::transport::is_web;
use super::walk::Walk;
use super::{Capture, Frame, Layer, Record};

/// Turns frames into records. Feed the frames in the order of capture.
#[derive(Debug, Default)]
pub struct Dissector {
    state: State,
}

/// What the layers' parsers look at and change.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) keys: KeyRing,
    pub(super) reassembler: Reassembler,
    pub(super) chains: Chains,
    pub(super) fragments: Fragments,
    pub(super) streams: Streams,
}

impl Dissector {
    /// A dissector without keys.
    pub fn new() -> Dissector {
        Dissector::default()
    }

    /// Replaces the keys.
    pub fn set_keys(&mut self, keys: &Keys) {
        self.state.keys = KeyRing::new(keys);
    }

    /// Dissects one frame.
    pub fn dissect(&mut self, frame: Frame) -> Record {
        Walk::dissect(&mut self.state, frame)
    }

    /// Dissects again what the keys known by now may open, and what that depends on; returns how many records changed.
    ///
    /// What the dissector remembers is made anew from `capture`, so it must hold all frames so far, in order.
    pub fn redissect(&mut self, capture: &mut Capture) -> usize {
        self.state = State { keys: std::mem::take(&mut self.state.keys), ..State::default() };
        let mut changed = 0;
        for record in &mut capture.records {
            if self.may_change(record) {
                let again = self.dissect(record.frame.clone());
                if again != *record {
                    *record = again;
                    changed += 1;
                }
            }
        }
        changed
    }

    /// Fragments, IKEv1 messages and segments with HTTP always count: later ones depend on them.
    fn may_change(&self, record: &Record) -> bool {
        record.own().iter().any(|layer| match layer {
            Layer::Ip(ip) => ip.is_fragment(),
            Layer::Tcp(tcp) => is_web(tcp.src, tcp.dst),
            Layer::Ike(ike) => {
                let m = &ike.message;
                let undecided = matches!(m.encryption, Encryption::Opaque | Encryption::Failed);
                let fragment = m.payloads.iter().any(|p| matches!(p.body, Body::Skf { .. }));
                m.major() == 1 || ((undecided || fragment) && !self.state.keys.ikev2(m.spi_i, m.spi_r).is_empty())
            }
            Layer::Esp(esp) => esp.icv_ok != Some(true) && self.state.keys.esp(esp.spi).next().is_some(),
            _ => false,
        })
    }
}

/// Keys, found by what a packet shows.
#[derive(Debug, Default)]
pub(super) struct KeyRing {
    ikev2: HashMap<(u64, u64), Vec<Ikev2Keys>>,
    ikev1: HashMap<u64, Vec<Ikev1Keys>>,
    esp: HashMap<u32, Vec<EspKeys>>,
}

impl KeyRing {
    fn new(keys: &Keys) -> KeyRing {
        let mut ring = KeyRing::default();
        for k in &keys.ikev2 {
            ring.ikev2.entry((k.spi_i, k.spi_r)).or_default().push(k.clone());
        }
        for k in &keys.ikev1 {
            ring.ikev1.entry(k.cookie_i).or_default().push(k.clone());
        }
        for k in &keys.esp {
            ring.esp.entry(k.spi).or_default().push(k.clone());
        }
        ring
    }

    pub(super) fn ikev2(&self, spi_i: u64, spi_r: u64) -> &[Ikev2Keys] {
        self.ikev2.get(&(spi_i, spi_r)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn ikev1(&self, cookie_i: u64, cookie_r: u64) -> Option<&Ikev1Keys> {
        let of_initiator = self.ikev1.get(&cookie_i)?;
        let exact = of_initiator.iter().find(|k| k.cookie_r == cookie_r);
        exact.or_else(|| of_initiator.iter().find(|k| k.cookie_r == 0))
    }

    /// Address translation changes what the gateways know of addresses, so the SPI alone selects; the ICV decides.
    pub(super) fn esp(&self, spi: u32) -> impl Iterator<Item = &EspKeys> {
        let found = if self.esp.is_empty() { None } else { self.esp.get(&spi) };
        found.into_iter().flatten()
    }
}
