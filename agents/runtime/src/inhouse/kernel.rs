//! The node's kernel: the TUN's state, addresses, the routing table and the rules that lead to it, own addresses and their changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use ipnet::IpNet;
use netlink::{Netlink, Request, protocols::NETLINK_ROUTE};
use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use super::routes::Way;
use super::sockets::MARK;

const NEWLINK: u16 = 16;
const GETLINK: u16 = 18;
const SETLINK: u16 = 19;
const NEWADDR: u16 = 20;
const DELADDR: u16 = 21;
const GETADDR: u16 = 22;
const NEWROUTE: u16 = 24;
const DELROUTE: u16 = 25;
const GETROUTE: u16 = 26;
const NEWRULE: u16 = 32;
const DELRULE: u16 = 33;
/// RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE and RTNLGRP_IPV6_ROUTE as bits.
const GROUPS: u32 = 1 | 1 << 4 | 1 << 8 | 1 << 6 | 1 << 10;
/// The gateway's routing table, and the priority of the rules that lead to it: before the main table, after the local one.
pub(crate) const TABLE: u32 = 220;
const LOOPBACK: u32 = 1;

/// An interface's address with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own {
    /// Interface index.
    pub(crate) link: u32,
    /// Address and prefix.
    pub(crate) net: IpNet,
}

/// Netlink sockets of one node, and what was changed there. Rules are taken back when it is dropped; the rest goes with the TUN.
pub(crate) struct Kernel {
    netlink: Netlink,
    watch: Netlink,
    tun: u32,
    rules: Vec<AddressFamily>,
    routes: BTreeMap<IpNet, Way>,
    addresses: BTreeSet<IpAddr>,
}

impl Kernel {
    /// In the calling thread's network namespace, for the TUN `name` with interface index `tun`. Sets it up. `v6`: IPv6 passes it.
    pub(crate) fn open(name: &str, tun: u32, v6: bool) -> io::Result<Kernel> {
        settings(name, v6)?;
        let netlink = Netlink::open(NETLINK_ROUTE, 0)?;
        let watch = Netlink::open(NETLINK_ROUTE, GROUPS)?;
        let mut kernel = Kernel { netlink, watch, tun, rules: Vec::new(), routes: BTreeMap::new(), addresses: BTreeSet::new() };
        let mut up = LinkMessage::default();
        up.header.index = tun;
        up.header.flags = LinkFlags::Up;
        // Without multicast the kernel itself has nothing to say on it.
        up.header.change_mask = LinkFlags::Up | LinkFlags::Multicast;
        kernel.netlink.ask(Request::of(SETLINK, 0, &up))?;
        for family in [AddressFamily::Inet].into_iter().chain(v6.then_some(AddressFamily::Inet6)) {
            match kernel.netlink.ask(Request::of(NEWRULE, netlink::CREATE | netlink::EXCL, &rule(family))) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(io::Error::new(e.kind(), format!("adding the rule that leads to table {TABLE}: {e}"))),
            }
            kernel.rules.push(family);
        }
        Ok(kernel)
    }

    /// The largest MTU of the node's links.
    pub(crate) fn largest_mtu() -> io::Result<u32> {
        Ok(links(&mut Netlink::open(NETLINK_ROUTE, 0)?)?
            .into_iter()
            .filter(|(link, _)| *link != LOOPBACK)
            .map(|(_, mtu)| mtu)
            .max()
            .unwrap_or(0))
    }

    /// Tells when links, addresses or routes may have changed.
    pub(crate) fn watch(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// Forgets what was told.
    pub(crate) fn hush(&mut self) {
        // An overrun only means that there were more changes; we look for ourselves.
        let _ = self.watch.drain();
    }

    /// The node's own addresses, without those of the TUN, of the loopback network and of single links.
    pub(crate) fn addresses(&mut self) -> io::Result<Vec<Own>> {
        let answers = self.netlink.ask(Request::of(GETADDR, netlink::DUMP, &AddressMessage::default()))?;
        let mut own = Vec::new();
        for (_, body) in answers.iter().filter(|(kind, _)| *kind == NEWADDR) {
            let message = AddressMessage::parse(body.as_slice()).map_err(|e| io::Error::other(format!("an address message: {e}")))?;
            // On a point-to-point link, `Address` is the other end's.
            let local = message.attributes.iter().find_map(|a| if let AddressAttribute::Local(ip) = a { Some(*ip) } else { None });
            let any = message.attributes.iter().find_map(|a| if let AddressAttribute::Address(ip) = a { Some(*ip) } else { None });
            let Some(ip) = local.or(any) else { continue };
            let link_local = matches!(ip, IpAddr::V6(a) if a.is_unicast_link_local());
            if message.header.index != self.tun
                && !ip.is_loopback()
                && !link_local
                && let Ok(net) = IpNet::new(ip, message.header.prefix_len)
            {
                own.push(Own { link: message.header.index, net });
            }
        }
        Ok(own)
    }

    /// Source address that the kernel would give the gateway's own packets to an address; `None`: there is no way.
    pub(crate) fn source(&mut self, to: IpAddr) -> io::Result<Option<IpAddr>> {
        let mut question = RouteMessage::default();
        question.header.address_family = family(to);
        question.header.destination_prefix_length = if to.is_ipv4() { 32 } else { 128 };
        question.attributes.push(RouteAttribute::Destination(address(to)));
        question.attributes.push(RouteAttribute::Mark(MARK));
        let Ok(answers) = self.netlink.ask(Request::of(GETROUTE, 0, &question)) else { return Ok(None) };
        let Some((_, body)) = answers.iter().find(|(kind, _)| *kind == NEWROUTE) else { return Ok(None) };
        let route = RouteMessage::parse(body.as_slice()).map_err(|e| io::Error::other(format!("a route message: {e}")))?;
        Ok(route.attributes.iter().find_map(|a| match a {
            RouteAttribute::PrefSource(RouteAddress::Inet(a)) => Some(IpAddr::V4(*a)),
            RouteAttribute::PrefSource(RouteAddress::Inet6(a)) => Some(IpAddr::V6(*a)),
            _ => None,
        }))
    }

    /// The smallest MTU of the links that have these addresses; `None`: there is no such link.
    pub(crate) fn smallest_mtu(&mut self, of: &[IpAddr]) -> io::Result<Option<u32>> {
        let own = self.addresses()?;
        let mtus = links(&mut self.netlink)?;
        Ok(own.iter().filter(|o| of.contains(&o.net.addr())).filter_map(|o| mtus.get(&o.link)).min().copied())
    }

    /// From now on the TUN has exactly these addresses.
    pub(crate) fn set_addresses(&mut self, addresses: &[IpAddr]) -> io::Result<()> {
        let wanted: BTreeSet<IpAddr> = addresses.iter().copied().collect();
        for ip in wanted.difference(&self.addresses.clone()) {
            let flags = netlink::CREATE | netlink::REPLACE;
            self.netlink.ask(Request::of(NEWADDR, flags, &on_tun(self.tun, *ip))).map_err(named(format!("adding {ip} to the TUN")))?;
            self.addresses.insert(*ip);
        }
        for ip in self.addresses.clone().difference(&wanted) {
            self.addresses.remove(ip);
            match self.netlink.ask(Request::of(DELADDR, 0, &on_tun(self.tun, *ip))) {
                Err(e) if e.raw_os_error() != Some(libc::EADDRNOTAVAIL) => return Err(named(format!("removing {ip} from the TUN"))(e)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The table becomes `wanted`. What is new comes before what is old goes. `anew`: the kernel may have lost some of it.
    pub(crate) fn set_routes(&mut self, wanted: BTreeMap<IpNet, Way>, anew: bool) -> io::Result<()> {
        let mut failed = Ok(());
        for (net, way) in wanted.iter().filter(|(net, way)| anew || self.routes.get(net) != Some(way)) {
            let flags = netlink::CREATE | netlink::REPLACE;
            let done = self.netlink.ask(Request::of(NEWROUTE, flags, &route(self.tun, *net, *way)));
            failed = failed.and(done.map(drop).map_err(named(format!("adding {net} to table {TABLE}"))));
        }
        for (net, way) in self.routes.iter().filter(|(net, _)| !wanted.contains_key(net)) {
            match self.netlink.ask(Request::of(DELROUTE, 0, &route(self.tun, *net, *way))) {
                // The kernel may have removed it together with an address.
                Err(e) if e.raw_os_error() != Some(libc::ESRCH) => {
                    failed = failed.and(Err(named(format!("removing {net} from table {TABLE}"))(e)))
                }
                _ => {}
            }
        }
        self.routes = wanted;
        failed
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        for family in &self.rules {
            // The namespace may be going away with us.
            let _ = self.netlink.ask(Request::of(DELRULE, 0, &rule(*family)));
        }
    }
}

fn named(doing: String) -> impl FnOnce(io::Error) -> io::Error {
    move |e| io::Error::new(e.kind(), format!("{doing}: {e}"))
}

fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn address(ip: IpAddr) -> RouteAddress {
    match ip {
        IpAddr::V4(a) => RouteAddress::Inet(a),
        IpAddr::V6(a) => RouteAddress::Inet6(a),
    }
}

/// MTUs by interface index.
fn links(netlink: &mut Netlink) -> io::Result<BTreeMap<u32, u32>> {
    let answers = netlink.ask(Request::of(GETLINK, netlink::DUMP, &LinkMessage::default()))?;
    let mut all = BTreeMap::new();
    for (_, body) in answers.iter().filter(|(kind, _)| *kind == NEWLINK) {
        let message = LinkMessage::parse(body.as_slice()).map_err(|e| io::Error::other(format!("a link message: {e}")))?;
        if let Some(mtu) = message.attributes.iter().find_map(|a| if let LinkAttribute::Mtu(mtu) = a { Some(*mtu) } else { None }) {
            all.insert(message.header.index, mtu);
        }
    }
    Ok(all)
}

/// "What does not have our mark looks into our table first."
fn rule(family: AddressFamily) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header.family = family;
    rule.header.action = RuleAction::ToTable;
    rule.header.flags = RuleFlags::Invert;
    rule.attributes = vec![RuleAttribute::Table(TABLE), RuleAttribute::Priority(TABLE), RuleAttribute::FwMark(MARK)];
    rule
}

fn route(tun: u32, net: IpNet, way: Way) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = family(net.addr());
    route.header.destination_prefix_length = net.prefix_len();
    route.header.protocol = RouteProtocol::Static;
    route.header.scope = RouteScope::Universe;
    route.attributes = vec![RouteAttribute::Table(TABLE), RouteAttribute::Destination(address(net.addr()))];
    match way {
        Way::Tun(source) => {
            route.header.kind = RouteType::Unicast;
            route.header.scope = if net.addr().is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
            route.attributes.push(RouteAttribute::Oif(tun));
            route.attributes.extend(source.map(|ip| RouteAttribute::PrefSource(address(ip))));
        }
        Way::Elsewhere => route.header.kind = RouteType::Throw,
    }
    route
}

fn on_tun(tun: u32, ip: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = tun;
    message.header.family = family(ip);
    message.header.prefix_len = if ip.is_ipv4() { 32 } else { 128 };
    if ip.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    message
}

/// Kernel settings of the TUN: it takes any packet that came through a tunnel, among them the gateway's own ICMP errors, whose
/// source is an address of this node; and it has no life of its own.
fn settings(name: &str, v6: bool) -> io::Result<()> {
    let write = |name: String, value: &str| {
        std::fs::write(format!("/proc/sys/net/{name}"), value)
            .map_err(|e| io::Error::new(e.kind(), format!("write {value} to {name}: {e}")))
    };
    for (key, value) in [("rp_filter", "0"), ("accept_local", "1"), ("send_redirects", "0")] {
        write(format!("ipv4/conf/{name}/{key}"), value)?;
    }
    let has_v6 = std::path::Path::new(&format!("/proc/sys/net/ipv6/conf/{name}")).exists();
    if !has_v6 {
        return if v6 { Err(io::Error::new(io::ErrorKind::Unsupported, "this kernel has no IPv6")) } else { Ok(()) };
    }
    write(format!("ipv6/conf/{name}/disable_ipv6"), if v6 { "0" } else { "1" })?;
    if v6 {
        let quiet = [("accept_dad", "0"), ("accept_ra", "0"), ("autoconf", "0"), ("router_solicitations", "0"), ("addr_gen_mode", "1")];
        for (key, value) in quiet {
            write(format!("ipv6/conf/{name}/{key}"), value)?;
        }
    }
    Ok(())
}
