//! One walk through one frame: what the layers' parsers share.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::dissector::State;
use super::{Frame, Layer, Octets, Record};
use crate::time::Timestamp;

/// IP headers that one frame may nest (tunnels, AH, quotes).
const MAX_NESTING: u8 = 8;

/// Where the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    /// The frame's own packet.
    Frame,
    /// A packet quoted in an ICMP error: it may end anywhere.
    Quote,
    /// A decrypted packet.
    Esp,
}

/// State of the walk.
pub(super) struct Walk<'d> {
    pub(super) state: &'d mut State,
    pub(super) tap: u16,
    pub(super) time: Timestamp,
    pub(super) layers: Vec<Layer>,
    pub(super) quoted_from: Option<usize>,
    pub(super) esp_inner: Vec<Layer>,
    pub(super) inside: Inside,
    /// Addresses of the innermost IP header.
    pub(super) addresses: Option<(IpAddr, IpAddr)>,
    /// Octets that the innermost IP header promises beyond those captured.
    pub(super) missing: usize,
    /// An IP header of the frame's own packet promised more octets than there are.
    pub(super) broken_promise: Option<String>,
    pub(super) nesting: u8,
}

impl<'d> Walk<'d> {
    /// Walks through `frame`.
    pub(super) fn dissect(state: &'d mut State, frame: Frame) -> Record {
        let mut walk = Walk {
            state,
            tap: frame.tap,
            time: frame.time,
            layers: Vec::with_capacity(6),
            quoted_from: None,
            esp_inner: Vec::new(),
            inside: Inside::Frame,
            addresses: None,
            missing: 0,
            broken_promise: None,
            nesting: 0,
        };
        walk.link(frame.link_type, View { buffer: &frame.data, start: 0, end: frame.data.len() });
        let Walk { mut layers, esp_inner, mut quoted_from, broken_promise, .. } = walk;
        let complaint = if usize::try_from(frame.orig_len).is_ok_and(|len| len > frame.data.len()) {
            Some(("frame", format!("{} of {} octets captured", frame.data.len(), frame.orig_len)))
        } else {
            broken_promise.map(|why| ("ip", why))
        };
        if let Some((layer, why)) = complaint {
            layers.insert(quoted_from.unwrap_or(layers.len()), Layer::Malformed { layer, why });
            quoted_from = quoted_from.map(|at| at + 1);
        }
        Record { quoted_from: quoted_from.unwrap_or(layers.len()), frame, layers, esp_inner }
    }

    /// Marks that `layer` could not be read. A quote that ends early is nothing wrong.
    pub(super) fn malformed(&mut self, layer: &'static str, why: impl Into<String>) {
        if self.inside != Inside::Quote && self.missing == 0 {
            self.layers.push(Layer::Malformed { layer, why: why.into() });
        }
    }

    /// Octets that nobody claims.
    pub(super) fn data(&mut self, view: View<'_>) {
        if !view.is_empty() {
            self.layers.push(Layer::Data(view.start..view.end));
        }
    }

    /// Enters one more IP header; false when there have been too many.
    pub(super) fn nest(&mut self) -> bool {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            self.malformed("ip", format!("more than {MAX_NESTING} nested headers"));
            return false;
        }
        true
    }
}

/// A part of a buffer.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) buffer: &'a Arc<[u8]>,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> View<'a> {
    pub(super) fn whole(buffer: &'a Arc<[u8]>) -> View<'a> {
        View { buffer, start: 0, end: buffer.len() }
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn len(self) -> usize {
        self.end - self.start
    }

    pub(super) fn is_empty(self) -> bool {
        self.end == self.start
    }

    /// Without the first `n` octets.
    pub(super) fn skip(self, n: usize) -> View<'a> {
        View { start: (self.start + n).min(self.end), ..self }
    }

    /// At most the first `n` octets.
    pub(super) fn first(self, n: usize) -> View<'a> {
        View { end: self.end.min(self.start.saturating_add(n)), ..self }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start..self.end
    }

    pub(super) fn octets(self) -> Octets {
        Octets::new(self.buffer, self.range())
    }
}
