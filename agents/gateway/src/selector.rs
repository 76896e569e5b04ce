//! Traffic selectors: RFC 4301 §4.4.1, RFC 7296 §2.9 and §3.13.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use serde::{Deserialize, Serialize};

/// Addresses from `start` to `end`, one protocol or any, ports from … to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// IP protocol; 0: any.
    pub protocol: u8,
    /// First and last port (ICMP: type and code).
    pub ports: (u16, u16),
    /// First address.
    pub start: IpAddr,
    /// Last address, of the same family.
    pub end: IpAddr,
}

impl From<IpNet> for Selector {
    fn from(net: IpNet) -> Selector {
        Selector { protocol: 0, ports: (0, u16::MAX), start: net.network(), end: net.broadcast() }
    }
}

impl Selector {
    /// Of prefixes: any protocol, all ports.
    pub(crate) fn all(nets: &[IpNet]) -> Vec<Selector> {
        nets.iter().copied().map(Selector::from).collect()
    }

    /// From the wire; `None` when the types do not fit together or the range is empty.
    pub fn from_wire(s: &wire::ike::Selector) -> Option<Selector> {
        let (start, end) = (s.start?, s.end?);
        let sound = start.is_ipv4() == end.is_ipv4() && start <= end && (s.ports.0 <= s.ports.1 || s.ports == (u16::MAX, 0));
        sound.then_some(Selector { protocol: s.protocol, ports: s.ports, start, end })
    }

    /// As the wire has it.
    pub fn to_wire(self) -> wire::ike::Selector {
        let kind = if self.start.is_ipv4() { 7 } else { 8 };
        wire::ike::Selector { kind, protocol: self.protocol, ports: self.ports, start: Some(self.start), end: Some(self.end) }
    }

    /// Does it cover a packet's end? `port` is `None` where the packet shows none (fragments, protocols without ports).
    pub fn covers(&self, address: IpAddr, protocol: u8, port: Option<u16>) -> bool {
        let same = address.is_ipv4() == self.start.is_ipv4() && self.start <= address && address <= self.end;
        same && (self.protocol == 0 || self.protocol == protocol)
            && match port {
                Some(port) => self.ports.0 <= port && port <= self.ports.1,
                None => self.ports == (0, u16::MAX) || self.ports == (u16::MAX, 0),
            }
    }

    /// What both cover; `None`: nothing.
    pub fn common(&self, other: &Selector) -> Option<Selector> {
        let protocol = match (self.protocol, other.protocol) {
            (0, p) | (p, 0) => p,
            (a, b) if a == b => a,
            _ => return None,
        };
        if self.start.is_ipv4() != other.start.is_ipv4() {
            return None;
        }
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        let ports = (self.ports.0.max(other.ports.0), self.ports.1.min(other.ports.1));
        (start <= end && ports.0 <= ports.1).then_some(Selector { protocol, ports, start, end })
    }

    /// Is everything that `other` covers covered by this?
    pub fn includes(&self, other: &Selector) -> bool {
        self.common(other) == Some(*other)
    }

    /// The prefixes that its addresses make up.
    pub fn prefixes(&self) -> Vec<IpNet> {
        match (self.start, self.end) {
            (IpAddr::V4(a), IpAddr::V4(b)) => Ipv4Subnets::new(a, b, 0).map(IpNet::V4).collect(),
            (IpAddr::V6(a), IpAddr::V6(b)) => Ipv6Subnets::new(a, b, 0).map(IpNet::V6).collect(),
            _ => Vec::new(),
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.prefixes().as_slice() {
            [one] => write!(f, "{one}")?,
            _ => write!(f, "{}-{}", self.start, self.end)?,
        }
        if self.protocol != 0 {
            write!(f, "[{}", self.protocol)?;
            if self.ports != (0, u16::MAX) {
                write!(f, "/{}-{}", self.ports.0, self.ports.1)?;
            }
            write!(f, "]")?;
        }
        Ok(())
    }
}

/// Narrows what is `offered` to what is `allowed` (RFC 7296 §2.9): every common part, without those inside another.
pub fn narrow(offered: &[Selector], allowed: &[Selector]) -> Vec<Selector> {
    let mut found: Vec<Selector> = Vec::new();
    for common in offered.iter().flat_map(|o| allowed.iter().filter_map(|a| o.common(a))) {
        if !found.iter().any(|f| f.includes(&common)) {
            found.retain(|f| !common.includes(f));
            found.push(common);
        }
    }
    found
}

/// All prefixes of all these selectors.
pub fn prefixes(selectors: &[Selector]) -> Vec<IpNet> {
    let mut nets: Vec<IpNet> = selectors.iter().flat_map(Selector::prefixes).collect();
    nets.sort();
    nets.dedup();
    nets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Selector {
        text.parse::<IpNet>().unwrap().into()
    }

    #[test]
    fn narrowing_keeps_what_both_cover() {
        assert_eq!(narrow(&[net("10.1.0.0/16")], &[net("10.1.1.0/24")]), [net("10.1.1.0/24")]);
        assert_eq!(narrow(&[net("10.1.1.0/24")], &[net("10.1.0.0/16")]), [net("10.1.1.0/24")]);
        assert_eq!(narrow(&[net("10.1.0.0/16")], &[net("10.2.0.0/16")]), []);
        assert_eq!(narrow(&[net("10.1.1.7/32"), net("10.1.1.0/24")], &[net("10.1.0.0/16")]), [net("10.1.1.0/24")]);
        assert_eq!(narrow(&[net("fd01::/48")], &[net("10.1.0.0/16"), net("::/0")]), [net("fd01::/48")]);
    }

    #[test]
    fn a_range_is_made_of_prefixes() {
        let s = Selector { start: "10.0.0.1".parse().unwrap(), end: "10.0.0.4".parse().unwrap(), ..net("10.0.0.0/24") };
        let nets: Vec<String> = s.prefixes().iter().map(ToString::to_string).collect();
        assert_eq!(nets, ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/32"]);
        assert_eq!(s.to_string(), "10.0.0.1-10.0.0.4");
    }

    #[test]
    fn ports_count_only_where_there_are_any() {
        let web = Selector { protocol: 6, ports: (80, 81), ..net("10.0.0.0/8") };
        let a = "10.9.9.9".parse().unwrap();
        assert!(web.covers(a, 6, Some(80)) && !web.covers(a, 6, Some(82)) && !web.covers(a, 17, Some(80)) && !web.covers(a, 6, None));
        assert!(net("10.0.0.0/8").covers(a, 50, None));
    }
}
