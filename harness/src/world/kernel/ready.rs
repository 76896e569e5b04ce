//! Can a node's interfaces carry packets? Before that, the first packet would get lost, and its ARP request or neighbour solicitation
//! be repeated only a second later.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netlink_sys::protocols::NETLINK_ROUTE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::netlink::Netlink;
use super::{links, routes};

/// A link comes up within milliseconds, once both ends are.
const LIMIT: Duration = Duration::from_secs(5);
/// RTNLGRP_LINK and RTNLGRP_IPV6_ROUTE as bits.
const GROUPS: u32 = 1 | 1 << 10;

/// Waits until all interfaces of the calling thread's namespace but the loopback are operationally up and these addresses of theirs
/// are in use.
pub fn wait(addresses: &[IpAddr]) -> io::Result<()> {
    until(|netlink| Ok(link_down(netlink)?.or(unused(netlink, addresses)?)))
}

/// Waits until these addresses of the calling thread's namespace are in use. IPv6 takes an address into use some time after it was
/// added, even without duplicate address detection: until then, the node is deaf to solicitations for it.
pub fn wait_for_addresses(addresses: &[IpAddr]) -> io::Result<()> {
    until(|netlink| unused(netlink, addresses))
}

/// Waits until nothing is `pending`.
fn until(pending: impl Fn(&mut Netlink) -> io::Result<Option<String>>) -> io::Result<()> {
    let deadline = Instant::now() + LIMIT;
    let mut asking = links::open()?;
    if pending(&mut asking)?.is_none() {
        return Ok(());
    }
    let mut listening = Netlink::open(NETLINK_ROUTE, GROUPS)?;
    // Only what was listened for before the look counts: no change can fall in between.
    while let Some(what) = pending(&mut asking)? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("waited {} ms for {what}", LIMIT.as_millis())));
        }
        let mut fds = [PollFd::from_borrowed_fd(listening.as_fd(), PollFlags::IN)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::try_from(left.as_nanos()).unwrap_or(i64::MAX).min(999_999_999) };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => listening.drain()?,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn link_down(netlink: &mut Netlink) -> io::Result<Option<String>> {
    let links = links::list(netlink)?;
    let down = links.iter().find(|(index, link)| **index != links::LOOPBACK && !link.is_up());
    Ok(down.map(|(_, link)| format!("{} to be operationally up; it is {:?}", link.name, link.state)))
}

fn unused(netlink: &mut Netlink, addresses: &[IpAddr]) -> io::Result<Option<String>> {
    for address in addresses.iter().filter(|a| a.is_ipv6()) {
        if !routes::is_own(netlink, *address)? {
            return Ok(Some(format!("{address} to be in use")));
        }
    }
    Ok(None)
}
