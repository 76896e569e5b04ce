//! Routes: add, replace, remove, and ask the kernel where a packet would go.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_core::Parseable;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};

use super::netlink::{self, Netlink, Request};

const NEWROUTE: u16 = 24;
const DELROUTE: u16 = 25;
const GETROUTE: u16 = 26;

fn message(to: IpNet, via: Option<IpAddr>) -> Result<RouteMessage, io::Error> {
    let to = to.trunc();
    let invalid = |e| io::Error::new(io::ErrorKind::InvalidInput, format!("route to {to}: {e}"));
    let mut builder = RouteMessageBuilder::<IpAddr>::new().destination_prefix(to.addr(), to.prefix_len()).map_err(invalid)?;
    if let Some(via) = via {
        builder = builder.gateway(via).map_err(invalid)?;
    }
    Ok(builder.build())
}

/// Adds a route.
pub fn add(to: IpNet, via: IpAddr) -> io::Result<Request> {
    Ok(Request::of(NEWROUTE, netlink::CREATE | netlink::EXCL, &message(to, Some(via))?))
}

/// Adds a route, or changes the next hop of the one that is there.
pub fn replace(to: IpNet, via: IpAddr) -> io::Result<Request> {
    Ok(Request::of(NEWROUTE, netlink::CREATE | netlink::REPLACE, &message(to, Some(via))?))
}

/// Removes the route to a prefix, whatever its next hop.
pub fn remove(to: IpNet) -> io::Result<Request> {
    let mut message = message(to, None)?;
    // "Any": the builder's defaults would have to match the route exactly.
    message.header.protocol = 0.into();
    message.header.kind = RouteType::Unspec;
    message.header.scope = 255.into();
    Ok(Request::of(DELROUTE, 0, &message))
}

/// The kernel's answer to "where would a packet to this address go".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// To a next hop.
    Via(IpAddr),
    /// Straight out of an interface (or to the node itself).
    Direct,
    /// Nowhere, with the kernel's reason.
    Nowhere(String),
}

impl std::fmt::Display for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lookup::Via(hop) => write!(f, "via {hop}"),
            Lookup::Direct => write!(f, "directly connected"),
            Lookup::Nowhere(why) => write!(f, "no route ({why})"),
        }
    }
}

/// Is it an address of the node itself, and in use?
pub fn is_own(netlink: &mut Netlink, address: IpAddr) -> io::Result<bool> {
    Ok(ask(netlink, address)?.is_ok_and(|route| route.header.kind == RouteType::Local))
}

/// Asks the kernel of the calling thread's namespace.
pub fn lookup(netlink: &mut Netlink, to: IpAddr) -> io::Result<Lookup> {
    let route = match ask(netlink, to)? {
        Ok(route) => route,
        Err(why) => return Ok(Lookup::Nowhere(why)),
    };
    match route.header.kind {
        RouteType::Unicast | RouteType::Local | RouteType::Broadcast | RouteType::Multicast => {}
        other => return Ok(Lookup::Nowhere(format!("{other:?}"))),
    }
    let hop = route.attributes.iter().find_map(|a| match a {
        RouteAttribute::Gateway(RouteAddress::Inet(a)) => Some(IpAddr::V4(*a)),
        RouteAttribute::Gateway(RouteAddress::Inet6(a)) => Some(IpAddr::V6(*a)),
        _ => None,
    });
    Ok(hop.map_or(Lookup::Direct, Lookup::Via))
}

/// The kernel's route to an address, or why there is none.
fn ask(netlink: &mut Netlink, to: IpAddr) -> io::Result<Result<RouteMessage, String>> {
    let mut question = RouteMessage::default();
    question.header.address_family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    question.header.destination_prefix_length = if to.is_ipv4() { 32 } else { 128 };
    question.attributes.push(RouteAttribute::Destination(address(to)));
    let answers = match netlink.ask(Request::of(GETROUTE, 0, &question)) {
        Ok(answers) => answers,
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL)) => {
            return Ok(Err(e.to_string()));
        }
        Err(e) => return Err(e),
    };
    let Some((_, body)) = answers.iter().find(|(kind, _)| *kind == NEWROUTE) else {
        return Ok(Err("the kernel gave no answer".into()));
    };
    RouteMessage::parse(body.as_slice()).map(Ok).map_err(|e| io::Error::other(format!("a route message: {e}")))
}

fn address(ip: IpAddr) -> RouteAddress {
    match ip {
        IpAddr::V4(a) => RouteAddress::Inet(a),
        IpAddr::V6(a) => RouteAddress::Inet6(a),
    }
}
