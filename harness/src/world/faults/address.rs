//! Faults of addresses: `change-address`.

use std::io;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::super::World;
use super::super::kernel::{links, ready, routes};
use super::{Evidence, Failure, InForce, Placed, Proved, looked, text};
use crate::scenario::model::Fault;
use crate::time::Timestamp;

/// `change-address`.
pub(super) fn change(world: &World, fault: &Fault) -> Placed {
    let tap = text(fault, "at")?;
    let (node, index, iface) = world.tap(tap)?;
    let argument = |key: &str| fault.args.addr(key).ok_or_else(|| Failure(format!("argument `{key}` is no address")));
    let (to, via) = (argument("to")?, argument("via")?);
    let later = world.network().iface(&(node.name().to_owned(), iface.to_owned())).into_iter().flat_map(|i| &i.later);
    let new = later.copied().find(|a| a.addr() == to).ok_or_else(|| Failure(format!("{to} is in no subnet of {tap}")))?;
    let had = node.route(|netlink| links::addresses(netlink, index))?;
    // Those of the other family, too: none of them is any good in another network. A gateway that still had one might go on with that.
    let old: Vec<IpNet> = had.into_iter().filter(|a| a.addr() != to && !is_link_local(a.addr())).collect();
    if old.is_empty() {
        return Err(Failure(format!("{tap} has no address that it could lose")));
    }
    let everywhere = if to.is_ipv4() { IpNet::V4(Ipv4Net::default()) } else { IpNet::V6(Ipv6Net::default()) };
    // As it happens outside: first nothing works any more, then there is a new network. Routes go with the last address.
    let requests: Vec<_> = old
        .iter()
        .map(|a| links::remove_address(index, *a))
        .chain([links::add_address(index, new), routes::replace(everywhere, via)?])
        .collect();
    node.route(|netlink| netlink.talk(&requests).map_err(|(_, e)| e))?;
    // Not for its links: a gateway's TUN device never says that it is up.
    node.run(|| ready::wait_for_addresses(&[to])).and_then(|r| r)?;
    let old: Vec<IpAddr> = old.iter().map(IpNet::addr).collect();
    // The old network notices at once that the station is gone; from its cache the router would still reach it.
    let (_, far) = world.link_of(tap)?;
    let (neighbour, index, _) = world.tap(&far)?;
    for address in &old {
        neighbour.route(|netlink| links::forget_neighbour(netlink, index, *address))?;
    }
    Ok(Box::new(Changed { tap: tap.to_owned(), old, new: to, since: Timestamp::now() }))
}

/// Such an address has its use in every network (RFC 4291 §2.5.6).
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

struct Changed {
    tap: String,
    old: Vec<IpAddr>,
    new: IpAddr,
    since: Timestamp,
}

impl InForce for Changed {
    fn prove(&mut self, evidence: &Evidence<'_>) -> Proved {
        let check = || -> io::Result<Proved> {
            let (node, index, _) = evidence.world.tap(&self.tap).map_err(io::Error::other)?;
            let now = node.route(|netlink| links::addresses(netlink, index))?;
            let has = |ip: &IpAddr| now.iter().any(|a| a.addr() == *ip);
            if let Some(old) = self.old.iter().find(|ip| has(ip)) {
                return Ok(Proved::NotYet(format!("{} still has {old}", self.tap)));
            }
            Ok(if has(&self.new) { self.seen(evidence) } else { Proved::NotYet(format!("{} has no {}", self.tap, self.new)) })
        };
        looked(check())
    }
}

impl Changed {
    /// Who spoke at the interface before and after.
    fn seen(&self, evidence: &Evidence<'_>) -> Proved {
        let tap = &self.tap;
        let mut before = None;
        for record in evidence.capture.at(tap) {
            let (Some(ip), number) = (record.ip().filter(|ip| self.old.contains(&ip.src)), record.frame.number) else { continue };
            if record.frame.time > self.since {
                return Proved::NotYet(format!("frame {number} still came from {} at {tap}", ip.src));
            }
            before = Some((number, ip.src));
        }
        match before {
            Some((number, old)) => Proved::Yes(format!(
                "frame {number} was the last from {old} at {tap}, none came from it since; the kernel has {} there and no {old}",
                self.new
            )),
            None => Proved::NotYet(format!(
                "no packet came from {} at {tap} before it was lost",
                self.old.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
            )),
        }
    }
}
