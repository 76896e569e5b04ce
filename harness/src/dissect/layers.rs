//! Typed layers of a record.

use std::net::IpAddr;
use std::ops::Range;

use wire::ike::{Message, Payload};

use super::Octets;

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// Ethernet II.
    Ethernet(Ethernet),
    /// ARP.
    Arp(Arp),
    /// IPv4 or IPv6 (with its extension headers).
    Ip(Ip),
    /// UDP.
    Udp(Udp),
    /// TCP.
    Tcp(Tcp),
    /// ICMP or ICMPv6.
    Icmp(Icmp),
    /// UDP-encapsulated traffic of UDP/4500 begins (RFC 3948); `true`: with the non-ESP marker.
    UdpEncap(bool),
    /// One octet 0xFF on UDP/4500.
    NatKeepalive,
    /// ISAKMP / IKE message.
    Ike(Box<Ike>),
    /// ESP.
    Esp(Esp),
    /// AH.
    Ah(Ah),
    /// DNS.
    Dns(Box<Dns>),
    /// HTTP start line.
    Http(Box<Http>),
    /// Octets that nobody above claims (range within the frame, or within the reassembled datagram).
    Data(Range<usize>),
    /// The rest could not be read.
    Malformed {
        /// Layer that failed: `ip`, `udp`, `isakmp` …
        layer: &'static str,
        /// Why.
        why: String,
    },
}

/// Ethernet header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination.
    pub dst: [u8; 6],
    /// Source.
    pub src: [u8; 6],
    /// EtherType.
    pub ether_type: u16,
}

/// ARP for IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Sender's address.
    pub sender: IpAddr,
    /// Target's address.
    pub target: IpAddr,
}

/// IP header, either version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ip {
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// Upper protocol, after extension headers.
    pub protocol: u8,
    /// Whole packet by its header: IPv4 total length; IPv6 40 + payload length.
    pub total_len: u32,
    /// Octets of header and extension headers.
    pub header_len: u32,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS or traffic class.
    pub tos: u8,
    /// Identification (IPv4, or IPv6 fragment header).
    pub id: u32,
    /// Don't Fragment (IPv4).
    pub dont_fragment: bool,
    /// More Fragments.
    pub more_fragments: bool,
    /// Fragment offset in octets.
    pub fragment_offset: u32,
    /// The upper layers that follow were reassembled from several frames, the last of which is this one.
    pub reassembled: bool,
    /// IPv4 header checksum right? `None`: IPv6 or not checked.
    pub checksum_ok: Option<bool>,
}

impl Ip {
    /// A fragment of a larger packet?
    pub fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset > 0
    }
}

/// UDP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
    /// Length field.
    pub length: u16,
    /// Checksum field.
    pub checksum: u16,
    /// Payload octets; shared with the frame, or with the datagram that was put together from fragments.
    pub payload: Octets,
}

/// TCP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags, low octet: FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
    pub flags: u8,
    /// Window field.
    pub window: u16,
    /// MSS option.
    pub mss: Option<u16>,
    /// Payload octets in this segment (by the IP length).
    pub payload_len: u32,
    /// Header octets.
    pub header_len: u32,
    /// Checksum right? `None`: not all octets are here.
    pub checksum_ok: Option<bool>,
}

/// ICMP or ICMPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icmp {
    /// ICMPv6?
    pub v6: bool,
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Next-hop MTU of "fragmentation needed" (type 3 code 4) or "packet too big" (v6 type 2).
    pub mtu: Option<u32>,
    /// Identifier and sequence number of echo messages.
    pub echo: Option<(u16, u16)>,
    /// Checksum right?
    pub checksum_ok: Option<bool>,
}

/// IKE message with where it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Ike {
    /// The message.
    pub message: Message,
    /// Its raw octets (without non-ESP marker): two packets carry the same message when these are equal.
    pub raw: Vec<u8>,
    /// Preceded by the non-ESP marker.
    pub marker: bool,
    /// The header's length goes so far beyond the datagram that Wireshark (4.0, 4.4, 4.6) shows neither it nor any payload.
    pub beyond: bool,
    /// IKEv2: what is inside when the integrity check has failed with every key that is known. Filters see it, as Wireshark's do; it
    /// proves nothing, so that symptoms do not look here.
    pub unverified: Option<Vec<Payload>>,
}

/// ESP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Esp {
    /// SPI.
    pub spi: u32,
    /// Sequence number.
    pub seq: u32,
    /// Inside UDP.
    pub udp: bool,
    /// Octets of the ESP packet, header included.
    pub len: u32,
    /// Last 12 octets (identity of the packet together with SPI and sequence number).
    pub tail: [u8; 12],
    /// ICV verified? `None`: no key.
    pub icv_ok: Option<bool>,
}

/// AH header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ah {
    /// SPI.
    pub spi: u32,
    /// Sequence number.
    pub seq: u32,
    /// ICV.
    pub icv: Vec<u8>,
}

/// DNS message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Transaction ID.
    pub id: u16,
    /// Is an answer.
    pub response: bool,
    /// Response code.
    pub rcode: u8,
    /// Questions: name (without final dot) and type.
    pub questions: Vec<(String, u16)>,
    /// Addresses in the answer section.
    pub addresses: Vec<IpAddr>,
    /// Answer records, as counted by the header.
    pub answers: u16,
}

/// HTTP start line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Request method; empty in a response.
    pub method: String,
    /// Request target; empty in a response.
    pub uri: String,
    /// Status code of a response.
    pub status: Option<u16>,
}
