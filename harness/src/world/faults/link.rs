//! Faults of links: `link-mtu`, `link-down`.

use std::io;

use super::super::World;
use super::super::kernel::links::{self, LinkState};
use super::{Evidence, Failure, InForce, Placed, Proved, looked, number, text};
use crate::dissect::{Direction, Frame};
use crate::scenario::model::Fault;
use crate::time::Timestamp;

/// Octets of an Ethernet header, which the MTU does not count.
const ETHERNET: u32 = 14;

/// `link-mtu`.
pub(super) fn mtu(world: &World, fault: &Fault) -> Placed {
    let (ends, mtu) = (world.link_of(text(fault, "at")?)?, number(fault, "mtu")?);
    for tap in [&ends.0, &ends.1] {
        let (node, index, _) = world.tap(tap)?;
        node.route(|netlink| netlink.talk(&[links::set_mtu(index, mtu)]).map_err(|(_, e)| e))?;
        let state = state(world, tap)?;
        if state.mtu != mtu {
            return Err(Failure(format!("the MTU of {tap} is {} after {mtu} was set", state.mtu)));
        }
    }
    Ok(Box::new(SmallLink { ends, mtu, since: Timestamp::now() }))
}

/// `link-down`.
pub(super) fn down(world: &World, fault: &Fault) -> Placed {
    let (near, far) = world.link_of(text(fault, "at")?)?;
    let (node, index, _) = world.tap(&near)?;
    node.route(|netlink| netlink.talk(&[links::set_up(index, false)]).map_err(|(_, e)| e))?;
    Ok(Box::new(DeadLink { ends: [near, far] }))
}

fn state(world: &World, tap: &str) -> io::Result<LinkState> {
    let (node, index, _) = world.tap(tap).map_err(io::Error::other)?;
    let mut all = node.route(links::list)?;
    all.remove(&index).ok_or_else(|| io::Error::other(format!("the interface of {tap} is gone")))
}

struct SmallLink {
    ends: (String, String),
    mtu: u32,
    since: Timestamp,
}

impl InForce for SmallLink {
    fn prove(&mut self, evidence: &Evidence<'_>) -> Proved {
        let check = || -> io::Result<Proved> {
            for tap in [&self.ends.0, &self.ends.1] {
                let now = state(evidence.world, tap)?.mtu;
                if now != self.mtu {
                    return Ok(Proved::NotYet(format!("the MTU of {tap} is {now}, not {}", self.mtu)));
                }
            }
            Ok(self.seen(evidence))
        };
        looked(check())
    }
}

impl SmallLink {
    /// A larger packet that came to either node of the link, and none on the link.
    fn seen(&self, evidence: &Evidence<'_>) -> Proved {
        let capture = evidence.capture;
        let name = |frame: &Frame| capture.taps.get(usize::from(frame.tap)).map_or("", String::as_str);
        let node = |tap: &str| tap.split_once('.').map_or("", |(node, _)| node).to_owned();
        let neighbours = [node(&self.ends.0), node(&self.ends.1)];
        let mut before = None;
        for record in capture.records.iter().filter(|r| r.frame.time > self.since) {
            let (frame, tap) = (&record.frame, name(&record.frame));
            let length = frame.orig_len.saturating_sub(ETHERNET);
            if length <= self.mtu {
                continue;
            }
            if tap == self.ends.0 || tap == self.ends.1 {
                return Proved::NotYet(format!(
                    "frame {} of {length} octets crossed {tap} in spite of its MTU of {}",
                    frame.number, self.mtu
                ));
            }
            if frame.direction == Direction::In && neighbours.contains(&node(tap)) {
                before.get_or_insert((frame.number, length, tap.to_owned()));
            }
        }
        match before {
            Some((number, length, tap)) => Proved::Yes(format!(
                "MTU {} read back at {} and {}; frame {number} of {length} octets came to {tap}, none larger than the MTU crossed the link",
                self.mtu, self.ends.0, self.ends.1
            )),
            None => {
                Proved::NotYet(format!("MTU {} read back at both ends; no larger packet has come to {}", self.mtu, neighbours.join(" or ")))
            }
        }
    }
}

struct DeadLink {
    ends: [String; 2],
}

impl InForce for DeadLink {
    fn prove(&mut self, evidence: &Evidence<'_>) -> Proved {
        let check = || -> io::Result<Proved> {
            let mut states = Vec::new();
            for tap in &self.ends {
                let now = state(evidence.world, tap)?;
                if now.is_up() {
                    return Ok(Proved::NotYet(format!("{tap} is still operationally up")));
                }
                states.push(format!("{tap} {:?}", now.state));
            }
            Ok(Proved::Yes(format!("operational state read back: {}", states.join(", "))))
        };
        looked(check())
    }
}
