//! From the outside in: RFC 4301 §5.2, RFC 4303 §3.4.

use std::net::SocketAddr;

use super::inner::Inner;
use super::outbound::{IPV4, IPV6};
use super::params::{PathEvent, SaParams};
use super::transform::{Head, Refused, without_trailer};
use super::{Counters, DataPath, ecn, spd};
use crate::gateway::{Outer, Verdict};
use crate::time::Time;

/// A dummy packet's next header (RFC 4303 §2.6).
const NO_NEXT_HEADER: u8 = 59;
/// Events that may wait when a movement is told; a peer that jumps about fills no more memory than that.
const MAX_WAITING: usize = 1024;

impl DataPath {
    /// Takes an ESP packet (from the SPI on) through the SAD (RFC 4301 §5.2). `outer` is as on the wire: `from` and the first port are the
    /// sender's; `df` is not looked at. The packet is decrypted in place; with [`Verdict::Deliver`] `out` is the inner packet. Nothing is
    /// allocated when `out` has room.
    pub fn inbound(&mut self, now: Time, outer: Outer, packet: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        out.clear();
        self.now = now;
        match self.take_in(now, outer, packet, out) {
            Ok(()) => {
                self.counters.delivered += 1;
                Verdict::Deliver
            }
            Err(end) => {
                *end.counter(&mut self.counters) += 1;
                Verdict::Nothing
            }
        }
    }

    fn take_in(&mut self, now: Time, outer: Outer, packet: &mut [u8], out: &mut Vec<u8>) -> Result<(), End> {
        let header = wire::esp::parse(packet).ok_or(End::Header)?;
        let Some(found) = self.sad.inbound.get_mut(&header.spi) else {
            return Err(if self.early.hold(header.spi, outer, packet) { End::Early } else { End::NoSa });
        };
        if found.sa.expired {
            return Err(End::Expired);
        }
        let Some(number) = found.window.whole(header.seq).filter(|number| found.window.is_new(*number)) else {
            found.replays += 1;
            return Err(End::Replay);
        };
        let (policy, esn) = (found.sa.params.policy, found.sa.params.esn);
        let text = match found.sa.transform.open(Head::new(header.spi, number, esn), packet) {
            Ok(text) => text,
            Err(Refused::Length) => return Err(End::Header),
            Err(Refused::Icv) => {
                found.icv_fails += 1;
                return Err(End::Icv);
            }
        };

        // From here on it is authentic.
        let newest = found.window.seen(number);
        if let (true, Some((port, _)), Some((_, known_port))) = (newest, outer.ports, found.sa.params.ports) {
            let (from, known) = (SocketAddr::new(outer.from, port), SocketAddr::new(found.sa.params.remote, known_port));
            if from == known {
                found.moved = None;
            } else if found.moved != Some(from) && self.events.len() < MAX_WAITING {
                found.moved = Some(from);
                self.events.push_back(PathEvent::PeerMoved { policy, spi: header.spi, to: from });
            }
        }
        let opened = without_trailer(text).ok_or(End::Padding);
        let judged = opened.and_then(|(payload, next_header)| judge(&found.sa.params, outer.tos, payload, next_header, out));
        // The peer's numbers run out at its own end, not here.
        let reached = found.sa.carried(now, opened.map_or(0, |(payload, _)| payload.len()), 0);
        if found.sa.packets == 1
            && let Some(entry) = self.spd.get_mut(policy)
        {
            entry.params.yields_until = None; // the peer has it
        }
        self.tell(reached, policy, header.spi, false);
        judged
    }
}

/// The checks on what an authentic packet carries (RFC 4301 §5.2 step 4); `out` becomes the inner packet.
fn judge(params: &SaParams, outer_tos: u8, payload: &[u8], next_header: u8, out: &mut Vec<u8>) -> Result<(), End> {
    match next_header {
        IPV4 | IPV6 => {}
        NO_NEXT_HEADER => return Err(End::Dummy),
        _ => return Err(End::NextHeader),
    }
    let inner = Inner::parse(payload).filter(|inner| inner.is_v4() == (next_header == IPV4)).ok_or(End::InnerHeader)?;
    if !spd::covers_inbound(&params.local_ts, &params.remote_ts, &inner.flow) {
        return Err(End::Selectors);
    }
    let tos = ecn::decapsulate(inner.tos, outer_tos).ok_or(End::Ecn)?;
    // What follows the inner packet is padding for traffic flow confidentiality (RFC 4303 §2.7).
    out.extend_from_slice(&payload[..inner.len]);
    if tos != inner.tos {
        ecn::set_tos(out, tos);
    }
    Ok(())
}

/// Why a packet goes no further.
#[derive(Debug, Clone, Copy)]
enum End {
    Header,
    NoSa,
    Early,
    Expired,
    Replay,
    Icv,
    Padding,
    Dummy,
    NextHeader,
    InnerHeader,
    Selectors,
    Ecn,
}

impl End {
    fn counter(self, counters: &mut Counters) -> &mut u64 {
        match self {
            End::Header => &mut counters.in_header,
            End::NoSa => &mut counters.in_no_sa,
            End::Early => &mut counters.early,
            End::Expired => &mut counters.in_expired,
            End::Replay => &mut counters.in_replay,
            End::Icv => &mut counters.in_icv_fail,
            End::Padding => &mut counters.in_bad_padding,
            End::Dummy => &mut counters.in_dummy,
            End::NextHeader => &mut counters.in_next_header,
            End::InnerHeader => &mut counters.in_inner_header,
            End::Selectors => &mut counters.in_selector_mismatch,
            End::Ecn => &mut counters.in_ecn,
        }
    }
}
