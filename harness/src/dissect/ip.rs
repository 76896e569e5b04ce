//! IPv4 and IPv6 with extension headers, and what to do with the protocol on top.

use std::sync::Arc;

use etherparse::checksum::Sum16BitWords;
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::reassembly::{Fragment, Key, Outcome};
use super::walk::{Inside, View, Walk};
use super::{Ip, Layer};

/// Extension headers read in one packet.
const MAX_EXTENSIONS: usize = 16;

mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const NONE: u8 = 59;
    pub const DESTINATION: u8 = 60;
    pub const MOBILITY: u8 = 135;
}

impl Walk<'_> {
    pub(super) fn ipv4(&mut self, view: View<'_>) {
        if !self.nest() {
            return;
        }
        let header = match Ipv4HeaderSlice::from_slice(view.bytes()) {
            Ok(header) => header,
            Err(why) => return self.malformed("ip", why.to_string()),
        };
        let header_len = header.slice().len();
        // Segmentation offload leaves 0 for packets above 64 KiB.
        let total_len = match usize::from(header.total_len()) {
            0 => view.len(),
            n => n,
        };
        let flags_and_offset = u16::from_be_bytes([header.slice()[6], header.slice()[7]]);
        let ip = Ip {
            src: header.source().into(),
            dst: header.destination().into(),
            protocol: header.protocol().0,
            total_len: total_len as u32,
            header_len: header_len as u32,
            ttl: header.ttl(),
            tos: header.slice()[1],
            id: header.identification().into(),
            dont_fragment: header.dont_fragment(),
            more_fragments: header.more_fragments(),
            fragment_offset: u32::from(flags_and_offset & 0x1fff) * 8,
            reassembled: false,
            checksum_ok: Some(Sum16BitWords::new().add_slice(header.slice()).ones_complement() == 0),
        };
        if total_len < header_len {
            self.layers.push(Layer::Ip(ip));
            return self.malformed("ip", format!("total length {total_len} is below the header's {header_len}"));
        }
        self.enter(&ip, total_len, view);
        let payload = view.first(total_len).skip(header_len);
        if ip.is_fragment() {
            return self.fragment(ip, payload, false);
        }
        let protocol = ip.protocol;
        self.layers.push(Layer::Ip(ip));
        self.upper(protocol, payload);
    }

    pub(super) fn ipv6(&mut self, view: View<'_>) {
        if !self.nest() {
            return;
        }
        let header = match Ipv6HeaderSlice::from_slice(view.bytes()) {
            Ok(header) => header,
            Err(why) => return self.malformed("ipv6", why.to_string()),
        };
        let next = header.next_header().0;
        let total_len = match usize::from(header.payload_length()) {
            0 if next != protocol::NONE => view.len(),
            n => n + 40,
        };
        let mut ip = Ip {
            src: header.source_addr().into(),
            dst: header.destination_addr().into(),
            protocol: next,
            total_len: total_len as u32,
            header_len: 40,
            ttl: header.hop_limit(),
            tos: header.traffic_class(),
            id: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            reassembled: false,
            checksum_ok: None,
        };
        self.enter(&ip, total_len, view);
        match extensions(&mut ip, view.first(total_len).skip(40)) {
            None => {
                self.layers.push(Layer::Ip(ip));
                self.malformed("ipv6", "an extension header is cut short, or there are too many");
            }
            Some(payload) if ip.is_fragment() => self.fragment(ip, payload, true),
            Some(payload) => {
                let protocol = ip.protocol;
                self.layers.push(Layer::Ip(ip));
                self.upper(protocol, payload);
            }
        }
    }

    fn enter(&mut self, ip: &Ip, total_len: usize, view: View<'_>) {
        self.missing = total_len.saturating_sub(view.len());
        self.addresses = Some((ip.src, ip.dst));
        let promise = || format!("total length {total_len}, but {} octets are here", view.len());
        match self.inside {
            Inside::Frame if self.missing > 0 => self.broken_promise = Some(promise()),
            Inside::Esp if self.missing > 0 => self.layers.push(Layer::Malformed { layer: "ip", why: promise() }),
            _ => {}
        }
    }

    fn fragment(&mut self, mut ip: Ip, payload: View<'_>, v6: bool) {
        if self.inside == Inside::Quote {
            let (first, protocol) = (ip.fragment_offset == 0, ip.protocol);
            self.layers.push(Layer::Ip(ip));
            return if first { self.upper(protocol, payload) } else { self.data(payload) };
        }
        if self.missing > 0 {
            self.layers.push(Layer::Ip(ip));
            return self.data(payload);
        }
        let key = Key {
            tap: self.tap,
            inner: self.inside == Inside::Esp,
            src: ip.src,
            dst: ip.dst,
            // In IPv6 the identification alone tells datagrams of a pair apart (RFC 8200 §4.5).
            protocol: if v6 { 0 } else { ip.protocol },
            id: ip.id,
        };
        let fragment =
            Fragment { offset: ip.fragment_offset, more: ip.more_fragments, protocol: ip.protocol, data: payload.bytes(), time: self.time };
        match self.state.reassembler.add(key, fragment) {
            Outcome::Waiting => {
                self.layers.push(Layer::Ip(ip));
                self.data(payload);
            }
            Outcome::Refused(why) => {
                self.layers.push(Layer::Ip(ip));
                self.malformed(if v6 { "ipv6.fragment" } else { "ip.fragment" }, why);
            }
            Outcome::Complete { protocol, data } => {
                let data: Arc<[u8]> = data.into();
                ip.reassembled = true;
                ip.protocol = protocol;
                let mut after = ip.clone();
                let whole = View::whole(&data);
                let upper = if v6 { extensions(&mut after, whole) } else { Some(whole) };
                ip.protocol = after.protocol;
                self.layers.push(Layer::Ip(ip));
                match upper {
                    Some(payload) => self.upper(after.protocol, payload),
                    None => self.malformed("ipv6", "an extension header is cut short, or there are too many"),
                }
            }
        }
    }

    /// Dispatches on the upper protocol.
    pub(super) fn upper(&mut self, protocol: u8, view: View<'_>) {
        match protocol {
            protocol::UDP => self.udp(view),
            protocol::TCP => self.tcp(view),
            protocol::ESP => self.esp(view, false),
            protocol::AH => {
                if let Some(next) = self.ah(view)
                    && self.nest()
                {
                    self.upper(next.0, view.skip(next.1));
                }
            }
            protocol::ICMP => self.icmp(view, false),
            protocol::ICMPV6 => self.icmp(view, true),
            protocol::IPV4 => self.ipv4(view),
            protocol::IPV6 => self.ipv6(view),
            protocol::NONE => {}
            _ => self.data(view),
        }
    }
}

/// Reads extension headers (RFC 8200 §4) and moves `ip.protocol` to the upper protocol. The view ends up behind them; behind a
/// fragment header that does not stand for a whole packet, it stops.
fn extensions<'a>(ip: &mut Ip, mut view: View<'a>) -> Option<View<'a>> {
    for _ in 0..MAX_EXTENSIONS {
        let len = match ip.protocol {
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION | protocol::MOBILITY => {
                let &[_, len, ..] = view.bytes() else { return None };
                (usize::from(len) + 1) * 8
            }
            protocol::FRAGMENT => {
                let header: &[u8; 8] = view.bytes().first_chunk()?;
                let offset = u16::from_be_bytes([header[2], header[3]]);
                ip.fragment_offset = u32::from(offset & !7);
                ip.more_fragments = offset & 1 != 0;
                ip.id = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
                8
            }
            _ => return Some(view),
        };
        let fragment = ip.protocol == protocol::FRAGMENT && ip.is_fragment();
        ip.protocol = *view.bytes().first()?;
        if len > view.len() {
            return None;
        }
        view = view.skip(len);
        ip.header_len += len as u32;
        if fragment {
            return Some(view);
        }
    }
    None
}
