//! The kernel's connection tracking of a node: list, flush, lifetimes.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::netlink::{self, Netlink, Request, attribute};
use super::sysctl;

const NEW: u16 = 1 << 8;
const GET: u16 = NEW | 1;
const DELETE: u16 = NEW | 2;

const TUPLE_ORIG: u16 = 1;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const ID: u16 = 12;

/// One tracked connection, in its original direction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The kernel's identifier: a connection that comes again is another one.
    pub id: u32,
    /// IP protocol.
    pub protocol: u8,
    /// Source address and port (0 when the protocol has none).
    pub source: (IpAddr, u16),
    /// Destination address and port.
    pub destination: (IpAddr, u16),
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |(ip, port): (IpAddr, u16)| if port == 0 { ip.to_string() } else { std::net::SocketAddr::new(ip, port).to_string() };
        write!(f, "protocol {} {} to {}", self.protocol, end(self.source), end(self.destination))
    }
}

/// nfgenmsg: family unspecified, version 0, no resource.
const ANY: [u8; 4] = [0; 4];

/// All connections of the calling thread's namespace.
pub fn list() -> io::Result<BTreeSet<Entry>> {
    let answers = Netlink::open(NETLINK_NETFILTER, 0)?.ask(Request::quiet(GET, netlink::DUMP, ANY.to_vec()))?;
    Ok(answers.iter().filter(|(kind, _)| *kind == NEW).filter_map(|(_, body)| entry(body.get(4..)?)).collect())
}

/// Forgets all connections of the calling thread's namespace.
pub fn flush() -> io::Result<()> {
    Netlink::open(NETLINK_NETFILTER, 0)?.ask(Request::new(DELETE, 0, ANY.to_vec())).map(|_| ())
}

/// Sets how long an idle UDP mapping lives, answered or not, and reads it back.
pub fn set_udp_timeout(timeout: Duration) -> io::Result<()> {
    let seconds = timeout.as_secs().max(1);
    sysctl::set("net/netfilter/nf_conntrack_udp_timeout", seconds)?;
    sysctl::set("net/netfilter/nf_conntrack_udp_timeout_stream", seconds)
}

fn entry(body: &[u8]) -> Option<Entry> {
    let tuple = attribute(body, TUPLE_ORIG)?;
    let (ip, proto) = (attribute(tuple, TUPLE_IP)?, attribute(tuple, TUPLE_PROTO)?);
    let address = |v4: u16, v6: u16| -> Option<IpAddr> {
        match attribute(ip, v4) {
            Some(bytes) => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
            None => Some(IpAddr::from(<[u8; 16]>::try_from(attribute(ip, v6)?).ok()?)),
        }
    };
    let port = |kind: u16| attribute(proto, kind).and_then(|b| b.try_into().ok()).map_or(0, u16::from_be_bytes);
    Some(Entry {
        id: attribute(body, ID).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes),
        protocol: *attribute(proto, 1)?.first()?,
        source: (address(1, 3)?, port(2)),
        destination: (address(2, 4)?, port(3)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::netlink::Attrs;
    use super::*;

    #[test]
    fn an_entry_is_read_and_nonsense_is_not() {
        let ip = Attrs::default().put(1, &[10, 0, 0, 1]).put(2, &[192, 0, 2, 1]);
        let proto = Attrs::default().put(1, &[17]).put(2, &[0x01, 0xf4]).put(3, &[0x11, 0x94]);
        let body = Attrs::default().nest(1, Attrs::default().nest(1, ip).nest(2, proto)).number(12, 9);
        assert_eq!(entry(&body.0).unwrap().to_string(), "protocol 17 10.0.0.1:500 to 192.0.2.1:4500");
        for cut in 0..body.0.len() {
            let _ = entry(&body.0[..cut]);
        }
    }
}
