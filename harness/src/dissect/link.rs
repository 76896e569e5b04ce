//! Link layers: Ethernet with VLAN tags and PPPoE, raw IP, Linux cooked, BSD loopback; ARP.

use etherparse::Ethernet2HeaderSlice;

use super::walk::{View, Walk};
use super::{Arp, Ethernet, Layer};

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const PPPOE_SESSION: u16 = 0x8864;
/// Below, the field is the length of an IEEE 802.3 frame.
const FIRST_ETHER_TYPE: u16 = 0x0600;
/// VLAN tags that one frame may stack.
const MAX_TAGS: usize = 4;

impl Walk<'_> {
    /// Dispatches on pcap's LINKTYPE.
    pub(super) fn link(&mut self, link_type: u16, view: View<'_>) {
        match link_type {
            1 => self.ethernet(view),
            0 | 108 => self.any_ip(view.skip(4)),
            12 | 14 | 101 | 228 | 229 => self.any_ip(view),
            113 => self.cooked(view, 14, 16),
            276 => self.cooked(view, 0, 20),
            other => {
                self.layers.push(Layer::Malformed { layer: "frame", why: format!("link type {other} is not supported") });
            }
        }
    }

    fn ethernet(&mut self, view: View<'_>) {
        let Ok(header) = Ethernet2HeaderSlice::from_slice(view.bytes()) else {
            return self.malformed("eth", format!("{} octets, an Ethernet header has 14", view.len()));
        };
        let ether_type = header.ether_type().0;
        self.layers.push(Layer::Ethernet(Ethernet { dst: header.destination(), src: header.source(), ether_type }));
        self.ether_payload(ether_type, view.skip(14));
    }

    fn cooked(&mut self, view: View<'_>, protocol_at: usize, header_len: usize) {
        let protocol = view.bytes().get(protocol_at..).and_then(<[u8]>::first_chunk).map(|b| u16::from_be_bytes(*b));
        match protocol {
            Some(protocol) if view.len() >= header_len => self.ether_payload(protocol, view.skip(header_len)),
            _ => self.malformed("sll", format!("{} octets, the header has {header_len}", view.len())),
        }
    }

    fn ether_payload(&mut self, mut ether_type: u16, mut view: View<'_>) {
        for _ in 0..MAX_TAGS {
            if !matches!(ether_type, 0x8100 | 0x88a8 | 0x9100) {
                break;
            }
            let &[_, _, hi, lo, ..] = view.bytes() else {
                return self.malformed("vlan", "the tag is cut short");
            };
            ether_type = u16::from_be_bytes([hi, lo]);
            view = view.skip(4);
        }
        match ether_type {
            IPV4 => self.ipv4(view),
            IPV6 => self.ipv6(view),
            ARP => self.arp(view),
            PPPOE_SESSION => match view.bytes() {
                // Version, code, session, length, then PPP's protocol (RFC 2516 §4).
                [_, 0, _, _, _, _, 0, 0x21, ..] => self.ipv4(view.skip(8)),
                [_, 0, _, _, _, _, 0, 0x57, ..] => self.ipv6(view.skip(8)),
                _ => self.data(view),
            },
            _ if ether_type < FIRST_ETHER_TYPE => self.data(view.first(ether_type.into())),
            _ => self.data(view),
        }
    }

    fn any_ip(&mut self, view: View<'_>) {
        match view.bytes().first().map(|octet| octet >> 4) {
            Some(4) => self.ipv4(view),
            Some(6) => self.ipv6(view),
            Some(version) => self.malformed("ip", format!("version {version} is neither 4 nor 6")),
            None => self.malformed("ip", "no octets"),
        }
    }

    fn arp(&mut self, view: View<'_>) {
        // Ethernet and IPv4 addresses only (RFC 826).
        let parts = view.bytes().strip_prefix(&[0, 1, 8, 0, 6, 4]).and_then(|rest| {
            let operation = u16::from_be_bytes(*rest.first_chunk()?);
            let sender: [u8; 4] = rest.get(8..12)?.try_into().ok()?;
            let target: [u8; 4] = rest.get(18..22)?.try_into().ok()?;
            Some(Arp { operation, sender: sender.into(), target: target.into() })
        });
        match parts {
            Some(arp) => self.layers.push(Layer::Arp(arp)),
            None => self.malformed("arp", "not a complete ARP packet for IPv4 over Ethernet"),
        }
    }
}
