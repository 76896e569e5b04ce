//! Links and addresses over rtnetlink. Interface indexes are chosen by us, so nothing needs to be looked up.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use ipnet::IpNet;
use netlink_sys::protocols::NETLINK_ROUTE;
use rtnetlink::packet_core::Parseable;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkMessage, State};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use rtnetlink::{LinkUnspec, LinkVeth};

use super::netlink::{self, Attrs, Netlink, Request};

const NEWLINK: u16 = 16;
const GETLINK: u16 = 18;
const SETLINK: u16 = 19;
const NEWADDR: u16 = 20;
const DELADDR: u16 = 21;
const GETADDR: u16 = 22;
const DELNEIGH: u16 = 29;
const NEWQDISC: u16 = 36;
/// The loopback interface's index.
pub const LOOPBACK: u32 = 1;

/// A rtnetlink socket of the calling thread's namespace.
pub fn open() -> io::Result<Netlink> {
    Netlink::open(NETLINK_ROUTE, 0)
}

/// One end of a veth pair.
#[derive(Debug, Clone)]
pub struct End {
    /// Interface name.
    pub name: String,
    /// Interface index to use.
    pub index: u32,
    /// Hardware address.
    pub mac: [u8; 6],
}

/// Creates a veth pair: `a` here, `b` directly in the namespace `other` (moving an interface would cost 34 ms).
pub fn add_veth(a: &End, b: &End, other: RawFd, mtu: u32) -> Request {
    let peer = LinkUnspec::new_with_name(&b.name).index(b.index).mtu(mtu).address(b.mac.to_vec()).setns_by_fd(other).build();
    let message = LinkVeth::new(&a.name, &b.name)
        .index(a.index)
        .mtu(mtu)
        .address(a.mac.to_vec())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    Request::of(NEWLINK, netlink::CREATE | netlink::EXCL, &message)
}

/// Sets an interface up or down.
pub fn set_up(index: u32, up: bool) -> Request {
    let builder = LinkUnspec::new_with_index(index);
    Request::of(SETLINK, 0, &if up { builder.up() } else { builder.down() }.build())
}

/// Sets an interface's MTU.
pub fn set_mtu(index: u32, mtu: u32) -> Request {
    Request::of(SETLINK, 0, &LinkUnspec::new_with_index(index).mtu(mtu).build())
}

/// Every packet that leaves by an interface waits for `delay` (netem), however many there are.
pub fn set_delay(index: u32, delay: Duration) -> Request {
    const ROOT: u32 = u32::MAX;
    const KIND: u16 = 1;
    const OPTIONS: u16 = 2;
    // What the scheduler counts in, in nanoseconds: PSCHED_SHIFT of the kernel.
    const TICK: u128 = 64;
    // Beyond a thousand packets, its default, netem loses them.
    const LIMIT: u32 = 1_000_000;
    // struct tcmsg: family (and padding), index, handle, parent, info.
    let mut body: Vec<u8> = [0, index, 0, ROOT, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    // struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter.
    let latency = u32::try_from(delay.as_nanos() / TICK).unwrap_or(u32::MAX);
    let options: Vec<u8> = [latency, LIMIT, 0, 0, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    body.extend(Attrs::default().text(KIND, "netem").put(OPTIONS, &options).0);
    Request::new(NEWQDISC, netlink::CREATE | netlink::REPLACE, body)
}

/// Adds an address; IPv6 without duplicate address detection, so that it can be used at once.
pub fn add_address(index: u32, address: IpNet) -> Request {
    Request::of(NEWADDR, netlink::CREATE | netlink::EXCL, &address_message(index, address))
}

/// Removes an address.
pub fn remove_address(index: u32, address: IpNet) -> Request {
    Request::of(DELADDR, 0, &address_message(index, address))
}

fn address_message(index: u32, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = address.prefix_len();
    message.header.scope = AddressScope::Universe;
    match address {
        IpNet::V4(net) => {
            message.header.family = AddressFamily::Inet;
            message.attributes.push(AddressAttribute::Local(net.addr().into()));
            // A link of two addresses has no broadcast address (RFC 3021 §2.1): the last one is the neighbour's.
            if net.prefix_len() < 31 {
                message.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
            }
        }
        IpNet::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.header.flags = AddressHeaderFlags::Nodad;
        }
    }
    message.attributes.push(AddressAttribute::Address(address.addr()));
    message
}

/// Addresses of an interface, without those that only its link knows.
pub fn addresses(netlink: &mut Netlink, index: u32) -> io::Result<Vec<IpNet>> {
    let answers = netlink.ask(Request::of(GETADDR, netlink::DUMP, &AddressMessage::default()))?;
    let mut found = Vec::new();
    for (_, body) in answers.iter().filter(|(kind, _)| *kind == NEWADDR) {
        let message = AddressMessage::parse(body.as_slice()).map_err(|e| io::Error::other(format!("an address message: {e}")))?;
        if message.header.index != index || message.header.scope == AddressScope::Link {
            continue;
        }
        let address = message.attributes.iter().find_map(|a| if let AddressAttribute::Address(ip) = a { Some(*ip) } else { None });
        found.extend(address.and_then(|ip| IpNet::new(ip, message.header.prefix_len).ok()));
    }
    Ok(found)
}

/// Makes a node forget which hardware address a neighbour's address has. It is no error that it did not know.
pub fn forget_neighbour(netlink: &mut Netlink, index: u32, address: IpAddr) -> io::Result<()> {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = index;
    let destination = match address {
        IpAddr::V4(a) => (AddressFamily::Inet, NeighbourAddress::Inet(a)),
        IpAddr::V6(a) => (AddressFamily::Inet6, NeighbourAddress::Inet6(a)),
    };
    message.header.family = destination.0;
    message.attributes.push(NeighbourAttribute::Destination(destination.1));
    match netlink.ask(Request::of(DELNEIGH, 0, &message)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// What the kernel says about an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkState {
    /// Interface name.
    pub name: String,
    /// RFC 2863 operational state.
    pub state: State,
    /// MTU.
    pub mtu: u32,
}

impl LinkState {
    /// Can it carry packets?
    pub fn is_up(&self) -> bool {
        self.state == State::Up
    }
}

/// All interfaces by index.
pub fn list(netlink: &mut Netlink) -> io::Result<BTreeMap<u32, LinkState>> {
    let answers = netlink.ask(Request::of(GETLINK, netlink::DUMP, &LinkMessage::default()))?;
    let mut links = BTreeMap::new();
    for (_, body) in answers.iter().filter(|(kind, _)| *kind == NEWLINK) {
        let message = LinkMessage::parse(body.as_slice()).map_err(|e| io::Error::other(format!("a link message: {e}")))?;
        let mut link = LinkState { name: String::new(), state: State::Unknown, mtu: 0 };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::OperState(state) => link.state = *state,
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                _ => {}
            }
        }
        links.insert(message.header.index, link);
    }
    Ok(links)
}
