//! UDP, TCP, ICMP and ICMPv6.

use etherparse::checksum::Sum16BitWords;
use etherparse::{TcpHeaderSlice, TcpOptionElement};
use std::net::{IpAddr, SocketAddr};

use super::stream::{Key, Segment};
use super::walk::{Inside, View, Walk};
use super::{Icmp, Layer, Tcp, Udp};
use super::{dns, http};

/// Is there HTTP between these ports?
pub(super) fn is_web(src: u16, dst: u16) -> bool {
    [src, dst].iter().any(|port| matches!(port, 80 | 8080))
}

impl Walk<'_> {
    pub(super) fn udp(&mut self, view: View<'_>) {
        let Some(&[a, b, c, d, e, f, g, h]) = view.bytes().first_chunk() else {
            return self.malformed("udp", format!("{} octets, a UDP header has 8", view.len()));
        };
        let word = |hi, lo| u16::from_be_bytes([hi, lo]);
        let (src, dst, length) = (word(a, b), word(c, d), word(e, f));
        let payload = match usize::from(length) {
            0 => view.skip(8), // a jumbogram (RFC 2675 §4)
            n => view.first(n.max(8)).skip(8),
        };
        self.layers.push(Layer::Udp(Udp { src, dst, length, checksum: word(g, h), payload: payload.octets() }));
        if (1..8).contains(&length) {
            return self.malformed("udp", format!("length field {length} is below the 8 octets of the header"));
        }
        // Like Wireshark: the lower port decides first.
        let known = |port| matches!(port, 53 | 500 | 4500);
        let (low, high) = (src.min(dst), src.max(dst));
        match if known(low) { low } else { high } {
            500 => self.ike_port(payload),
            4500 => self.udp_encap(payload),
            53 => match dns::parse(payload.bytes()) {
                Some(message) => self.layers.push(Layer::Dns(Box::new(message))),
                None => self.malformed("dns", "the message is cut short, or a name never ends"),
            },
            _ => self.data(payload),
        }
        let beyond = usize::from(length).saturating_sub(view.len());
        if beyond > self.missing {
            self.malformed("udp", format!("length field {length}, but {} octets are here", view.len()));
        }
    }

    pub(super) fn tcp(&mut self, view: View<'_>) {
        let Ok(header) = TcpHeaderSlice::from_slice(view.bytes()) else {
            // A quote need only have the first 8 octets (RFC 792).
            if let Some(&[a, b, c, d, e, f, g, h]) = view.bytes().first_chunk() {
                self.layers.push(Layer::Tcp(Tcp {
                    src: u16::from_be_bytes([a, b]),
                    dst: u16::from_be_bytes([c, d]),
                    seq: u32::from_be_bytes([e, f, g, h]),
                    ack: 0,
                    flags: 0,
                    window: 0,
                    mss: None,
                    payload_len: 0,
                    header_len: 0,
                    checksum_ok: None,
                }));
            }
            return self.malformed("tcp", "the header is cut short, or its length field is below 20 octets");
        };
        let header_len = header.slice().len();
        let payload = view.skip(header_len);
        let (src, dst) = (header.source_port(), header.destination_port());
        let mss = header.options_iterator().find_map(|option| match option {
            Ok(TcpOptionElement::MaximumSegmentSize(mss)) => Some(mss),
            _ => None,
        });
        self.layers.push(Layer::Tcp(Tcp {
            src,
            dst,
            seq: header.sequence_number(),
            ack: header.acknowledgment_number(),
            flags: header.slice()[13],
            window: header.window_size(),
            mss,
            payload_len: (payload.len() + self.missing) as u32,
            header_len: header_len as u32,
            checksum_ok: self.checksum_ok(view.bytes(), 6),
        }));
        if !is_web(src, dst) {
            return self.data(payload);
        }
        match self.addresses.filter(|_| self.inside == Inside::Frame) {
            Some((from, to)) => {
                let key = Key { tap: self.tap, from: SocketAddr::new(from, src), to: SocketAddr::new(to, dst) };
                let segment = Segment {
                    seq: header.sequence_number(),
                    ack: header.acknowledgment_number(),
                    syn: header.syn(),
                    fin: header.fin(),
                    data: payload.bytes(),
                };
                self.http_segment(key, &segment, payload);
            }
            None => self.http_start(payload),
        }
    }

    /// A message belongs to the segment that completes it.
    fn http_segment(&mut self, key: Key, segment: &Segment<'_>, payload: View<'_>) {
        if self.missing > 0 {
            self.state.streams.forget(&key);
            return self.http_start(payload);
        }
        let outcome = self.state.streams.add(key, segment);
        self.layers.extend(outcome.messages.into_iter().map(|http| Layer::Http(Box::new(http))));
        if !outcome.claimed {
            self.data(payload);
        }
    }

    /// What is quoted or inside ESP is seen alone.
    fn http_start(&mut self, payload: View<'_>) {
        match http::parse(payload.bytes()) {
            Some(start) => self.layers.push(Layer::Http(Box::new(start))),
            None => self.data(payload),
        }
    }

    pub(super) fn icmp(&mut self, view: View<'_>, v6: bool) {
        let layer = if v6 { "icmpv6" } else { "icmp" };
        let bytes = view.bytes();
        let &[kind, code, _, _, a, b, c, d, ..] = bytes else {
            return self.malformed(layer, format!("{} octets, a header has 8", view.len()));
        };
        let mtu = match (v6, kind, code) {
            (false, 3, 4) => Some(u32::from(u16::from_be_bytes([c, d]))),
            (true, 2, _) => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        };
        let is_echo = if v6 { matches!(kind, 128 | 129) } else { matches!(kind, 0 | 8) };
        let echo = is_echo.then(|| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])));
        let is_error = if v6 { matches!(kind, 1..=4) } else { matches!(kind, 3 | 4 | 5 | 11 | 12) };
        let checksum_ok = match v6 {
            _ if self.inside == Inside::Quote => None,
            true => self.checksum_ok(bytes, 58),
            false => (self.missing == 0).then(|| Sum16BitWords::new().add_slice(bytes).ones_complement() == 0),
        };
        self.layers.push(Layer::Icmp(Icmp { v6, kind, code, mtu, echo, checksum_ok }));
        if !is_error {
            if is_echo {
                self.data(view.skip(8)); // of other messages Wireshark knows what is inside
            }
            return;
        }
        // An error quotes the packet that caused it. Inner packets have no place for a quote, and a quote may not hold another.
        if self.inside == Inside::Frame {
            self.quoted_from = Some(self.layers.len());
            self.inside = Inside::Quote;
            match bytes.get(8).map(|octet| octet >> 4) {
                Some(4) => self.ipv4(view.skip(8)),
                Some(6) => self.ipv6(view.skip(8)),
                _ => self.data(view.skip(8)),
            }
        }
    }

    /// The checksum over the pseudo-header of the innermost IP header and `bytes` (RFC 9293 §3.1, RFC 8200 §8.1). Transport mode
    /// has no IP header inside: the outer addresses count, as for the receiver. `None`: not all octets are here.
    fn checksum_ok(&self, bytes: &[u8], protocol: u8) -> Option<bool> {
        let length = u32::try_from(bytes.len()).ok()?;
        let mut sum = Sum16BitWords::new().add_slice(bytes).add_4bytes(length.to_be_bytes()).add_2bytes([0, protocol]);
        sum = match self.addresses.filter(|_| self.missing == 0)? {
            (IpAddr::V4(src), IpAddr::V4(dst)) => sum.add_4bytes(src.octets()).add_4bytes(dst.octets()),
            (IpAddr::V6(src), IpAddr::V6(dst)) => sum.add_16bytes(src.octets()).add_16bytes(dst.octets()),
            _ => return None,
        };
        Some(sum.ones_complement() == 0)
    }
}
