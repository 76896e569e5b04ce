//! From frames to records: every layer the lab understands, as typed values that filters and symptoms read.

mod dissector;
pub mod dns;
mod http;
mod ip;
mod ipsec;
pub mod keyfiles;
pub mod layers;
mod link;
mod octets;
mod reassembly;
mod stream;
mod summary;
mod transport;
mod walk;

pub use dissector::Dissector;
pub use layers::*;
pub use octets::Octets;
pub use summary::summary;

use std::sync::Arc;

use crate::time::Timestamp;

/// A captured frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Number in the capture file, from 1 (Wireshark's `frame.number`).
    pub number: u32,
    /// Index of the tap (interface block).
    pub tap: u16,
    /// Kernel timestamp.
    pub time: Timestamp,
    /// Length on the wire; `data` may be shorter.
    pub orig_len: u32,
    /// Direction as seen by the tap's interface.
    pub direction: Direction,
    /// Link type of the tap (pcap LINKTYPE: 1 Ethernet, 101 raw IP …).
    pub link_type: u16,
    /// Octets.
    pub data: Arc<[u8]>,
}

/// Direction of a frame at its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Received by the interface.
    In,
    /// Sent by the interface.
    Out,
    /// Not known (foreign captures).
    Unknown,
}

/// A frame with its layers, outermost first. Layers of a packet quoted in an ICMP error follow the ICMP layer and are
/// marked by [`Record::quoted_from`]; so do those of a reassembled datagram.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The frame.
    pub frame: Frame,
    /// Layers in order.
    pub layers: Vec<Layer>,
    /// Index of the first layer that belongs to a packet quoted inside an ICMP error; `layers.len()` when there is none.
    pub quoted_from: usize,
    /// Inner packet of a decrypted ESP layer, as layers of its own (empty when not decrypted). Filters do not look here,
    /// as Wireshark's do not by default.
    pub esp_inner: Vec<Layer>,
}

impl Record {
    /// Layers of the packet itself, without those quoted inside an ICMP error.
    pub fn own(&self) -> &[Layer] {
        &self.layers[..self.quoted_from.min(self.layers.len())]
    }

    /// Layers of the packet quoted inside an ICMP error.
    pub fn quoted(&self) -> &[Layer] {
        &self.layers[self.quoted_from.min(self.layers.len())..]
    }

    /// Outer IP header.
    pub fn ip(&self) -> Option<&Ip> {
        self.own().iter().find_map(|l| if let Layer::Ip(ip) = l { Some(ip) } else { None })
    }

    /// UDP header.
    pub fn udp(&self) -> Option<&Udp> {
        self.own().iter().find_map(|l| if let Layer::Udp(u) = l { Some(u) } else { None })
    }

    /// TCP header.
    pub fn tcp(&self) -> Option<&Tcp> {
        self.own().iter().find_map(|l| if let Layer::Tcp(t) = l { Some(t) } else { None })
    }

    /// ICMP or ICMPv6 message.
    pub fn icmp(&self) -> Option<&Icmp> {
        self.own().iter().find_map(|l| if let Layer::Icmp(i) = l { Some(i) } else { None })
    }

    /// IKE message.
    pub fn ike(&self) -> Option<&Ike> {
        self.own().iter().find_map(|l| if let Layer::Ike(m) = l { Some(&**m) } else { None })
    }

    /// ESP header.
    pub fn esp(&self) -> Option<&Esp> {
        self.own().iter().find_map(|l| if let Layer::Esp(e) = l { Some(e) } else { None })
    }

    /// AH header.
    pub fn ah(&self) -> Option<&Ah> {
        self.own().iter().find_map(|l| if let Layer::Ah(a) = l { Some(a) } else { None })
    }

    /// DNS message.
    pub fn dns(&self) -> Option<&Dns> {
        self.own().iter().find_map(|l| if let Layer::Dns(d) = l { Some(&**d) } else { None })
    }

    /// HTTP start line.
    pub fn http(&self) -> Option<&Http> {
        self.own().iter().find_map(|l| if let Layer::Http(h) = l { Some(&**h) } else { None })
    }

    /// A NAT keepalive (RFC 3948 §2.3)?
    pub fn is_keepalive(&self) -> bool {
        self.own().iter().any(|l| matches!(l, Layer::NatKeepalive))
    }
}

/// A capture: taps and records in time order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Capture {
    /// Tap names (`west.wan`) by tap index.
    pub taps: Vec<String>,
    /// Records; `records[i].frame.number == i + 1`.
    pub records: Vec<Record>,
}

impl Capture {
    /// Index of a tap.
    pub fn tap(&self, name: &str) -> Option<u16> {
        self.taps.iter().position(|t| t == name).and_then(|i| u16::try_from(i).ok())
    }

    /// Records seen at a tap, in time order.
    pub fn at<'a>(&'a self, tap: &str) -> impl Iterator<Item = &'a Record> + 'a {
        let tap = self.tap(tap);
        self.records.iter().filter(move |r| Some(r.frame.tap) == tap)
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
