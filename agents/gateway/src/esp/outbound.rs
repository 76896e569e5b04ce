//! From the inside out: RFC 4301 §5.1, RFC 4303 §3.3.

use peer::DfBit;

use super::icmp::Error;
use super::inner::{Flow, Inner};
use super::mtu::IPV6_MIN_MTU;
use super::params::PathEvent;
use super::sad::{Choice, Reached};
use super::transform::Head;
use super::{DataPath, ecn, spd};
use crate::gateway::{Outer, Verdict};
use crate::time::Time;

/// IPv4 and IPv6 as next header (RFC 4303 §2.6).
pub(super) const IPV4: u8 = 4;
pub(super) const IPV6: u8 = 41;

impl DataPath {
    /// Takes a packet from the inside through the SPD and the SAD (RFC 4301 §5.1). [`Verdict::Send`]: `out` is the ESP packet, from the
    /// SPI on; [`Verdict::Deliver`]: `out` is an ICMP error for the inside. Nothing is allocated when `out` has room.
    ///
    /// [`Outer::df`] is false when the outer packet may be fragmented, whatever its family. A packet that is larger than the path
    /// ([`DataPath::set_path_mtu`]) is sent when it may be fragmented: with [`DfBit::Copy`] when the inner DF bit is clear, with
    /// [`DfBit::Clear`] always, with [`DfBit::Set`] never; and always when it is an IPv6 packet of no more than 1280 octets.
    pub fn outbound(&mut self, now: Time, packet: &[u8], out: &mut Vec<u8>) -> Verdict {
        out.clear();
        self.now = now;
        let Some(inner) = Inner::parse(packet) else {
            self.counters.out_header += 1;
            return Verdict::Nothing;
        };
        let packet = &packet[..inner.len];
        let Some((policy, spi)) = self.outbound_sa(now, &inner.flow) else { return Verdict::Nothing };
        let Some(found) = self.sad.outbound.get_mut(&(policy, spi)) else { return Verdict::Nothing };

        let mut df = match found.sa.params.df {
            DfBit::Copy => inner.df,
            DfBit::Set => true,
            DfBit::Clear => false,
        };
        if inner.len > found.max_inner.into() {
            found.measure(now, &self.paths); // the path may have become better
        }
        let oversize = inner.len > found.max_inner.into();
        if oversize {
            df &= inner.is_v4() || inner.len > IPV6_MIN_MTU.into();
            let p = &found.sa.params;
            let (shape, remote, in_udp) = (found.sa.transform.shape(), p.remote, p.ports.is_some());
            // Even in fragments, an IP packet has its limit.
            let most = if df { found.max_inner } else { shape.max_inner(u16::MAX, remote, in_udp) };
            if inner.len > most.into() {
                return self.too_big(now, &inner, packet, most, out);
            }
        }

        let Some(number) = found.next_number() else {
            self.counters.out_sequence += 1;
            return Verdict::Nothing;
        };
        let params = &found.sa.params;
        let outer = Outer { from: params.local, to: params.remote, ports: params.ports, tos: ecn::encapsulate(inner.tos), df };
        let head = Head::new(spi, number, params.esn);
        let next_header = if inner.is_v4() { IPV4 } else { IPV6 };
        found.sa.transform.seal(head, found.sa.packets, packet, next_header, out);
        self.counters.sent += 1;
        self.counters.fragmented += u64::from(oversize);
        let reached = found.sa.carried(now, inner.len, number);
        self.tell(reached, policy, spi, true);
        Verdict::Send(outer)
    }

    /// Policy and SPI of the SA that takes a flow; otherwise counts and, perhaps, asks for one.
    fn outbound_sa(&mut self, now: Time, flow: &Flow) -> Option<(u32, u32)> {
        if let Some(known) = self.cache.get(flow) {
            return Some(known);
        }
        let mut best: Option<((bool, u64), u32, u32)> = None;
        let mut without = None;
        // One that yields does so for a while only, which the cache does not know of.
        let (mut several, mut yielding) = (false, false);
        for policy in self.spd.find(flow) {
            match self.sad.choose(policy, flow) {
                // Policies of the same selectors come from peers that came back or authenticate anew: the newest SA is theirs.
                Choice::Use(spi, serial) => {
                    let yields = self.spd.get(policy).is_some_and(|entry| entry.yields(now));
                    (several, yielding) = (best.is_some(), yielding || yields);
                    best = best.max(Some(((!yields, serial), policy, spi)));
                }
                other => without = without.or(Some((policy, other))),
            }
        }
        if let Some((_, policy, spi)) = best {
            if !(several && yielding) {
                self.cache.put(*flow, policy, spi);
            }
            return Some((policy, spi));
        }
        match without {
            None => self.counters.out_no_policy += 1,
            Some((_, Choice::Expired)) => self.counters.out_expired += 1,
            Some(_) => self.counters.out_no_sa += 1,
        }
        let (policy, _) = without?;
        if self.spd.get_mut(policy).is_some_and(|entry| entry.acquire(now)) {
            let (local_ts, remote_ts) = spd::exactly(flow);
            self.events.push_back(PathEvent::Acquire { policy, local_ts, remote_ts });
        }
        None
    }

    fn too_big(&mut self, now: Time, inner: &Inner, packet: &[u8], mtu: u16, out: &mut Vec<u8>) -> Verdict {
        match self.icmp.too_big(now, inner, packet, mtu, out) {
            Error::Made => {
                self.counters.out_too_big += 1;
                return Verdict::Deliver;
            }
            Error::Limited => self.counters.out_too_big_limited += 1,
            Error::None => self.counters.out_too_big_silent += 1,
        }
        Verdict::Nothing
    }

    /// Tells IKE about a limit. An SA that carries nothing any more is in nobody's way from now on.
    pub(super) fn tell(&mut self, reached: Reached, policy: u32, spi: u32, outbound: bool) {
        match reached {
            Reached::Nothing => return,
            Reached::Soft => self.events.push_back(PathEvent::Soft { policy, spi, outbound }),
            Reached::Hard => self.events.push_back(PathEvent::Hard { policy, spi, outbound }),
        }
        self.cache.clear();
    }
}
