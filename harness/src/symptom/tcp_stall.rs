//! A TCP connection that hangs in the middle.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::select::{WINDOW, after_silence, at};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// `tcp-stall`.
pub const SYMPTOM: Symptom = Symptom {
    code: "tcp-stall",
    meaning: "A TCP connection is set up, then a full-size segment is repeated with growing gaps and never acknowledged.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 2923 §2.1", "RFC 6298 §5"],
    explain: "The handshake and small requests fit through the path, full-size segments do not: the sender repeats the first of them, each \
        time after twice the time. That is the signature of a path MTU black hole: somewhere the packets are too big, and the ICMP error \
        that should say so does not arrive.\nCheck sizes: what is the largest packet that passes? Where do larger ones stop? \
        Remedy: let 'fragmentation needed' pass, clamp the MSS, or lower the MTU of the hosts.",
    params: &[
        Param::required("at", Kind::Tap, "near the sender, where packets are not encrypted"),
        Param::default("min", Kind::Duration, "\"2s\"", "no progress for at least this long"),
        Param::default("segment", Kind::Int(100, 65_000), "1000", "a full-size segment has at least so many octets"),
    ],
    judge,
};

/// One direction of a connection.
pub type Direction = (IpAddr, u16, IpAddr, u16);

/// What was seen of one direction.
#[derive(Debug, Default)]
pub struct Flow {
    /// SYN and SYN-ACK were seen.
    pub opened: bool,
    /// Highest acknowledged sequence number.
    acked: Option<u32>,
    /// All segments with data: sequence number, time, octets.
    copies: Vec<(u32, crate::time::Timestamp, u32)>,
    /// Octets sent, without repetitions.
    pub octets: u64,
    highest: Option<u32>,
    /// A FIN was sent.
    pub finished: bool,
}

impl Flow {
    /// Everything that was sent was acknowledged.
    pub fn all_acked(&self) -> bool {
        self.highest.is_none_or(|end| self.acked.is_some_and(|a| !after(end, a)))
    }
}

/// Frames of a direction's segments with at least so many octets.
pub fn segments(records: &[&Record], (src, sport, dst, dport): Direction, least: u32) -> Vec<u32> {
    let of = |r: &&&Record| {
        r.ip().is_some_and(|ip| (ip.src, ip.dst) == (src, dst))
            && r.tcp().is_some_and(|t| (t.src, t.dst) == (sport, dport) && t.payload_len >= least)
    };
    records.iter().filter(of).map(|r| r.frame.number).collect()
}

/// All directions of all connections at a tap.
pub fn flows(records: &[&Record]) -> BTreeMap<Direction, Flow> {
    let mut flows: BTreeMap<Direction, Flow> = BTreeMap::new();
    for r in records {
        let (Some(ip), Some(tcp)) = (r.ip(), r.tcp()) else { continue };
        let forward = (ip.src, tcp.src, ip.dst, tcp.dst);
        let backward = (ip.dst, tcp.dst, ip.src, tcp.src);
        let flow = flows.entry(forward).or_default();
        if tcp.flags & 0x12 == 0x12 {
            flow.opened = true;
            flows.entry(backward).or_default().opened = true;
        }
        let flow = flows.entry(forward).or_default();
        if tcp.payload_len > 0 {
            let end = tcp.seq.wrapping_add(tcp.payload_len);
            if flow.highest.is_none_or(|h| after(end, h)) {
                flow.octets += u64::from(flow.highest.map_or(tcp.payload_len, |h| end.wrapping_sub(h)));
                flow.highest = Some(end);
            }
            flow.copies.push((tcp.seq, r.frame.time, tcp.payload_len));
        }
        flow.finished |= tcp.flags & 0x01 != 0;
        if tcp.flags & 0x10 != 0 {
            let other = flows.entry(backward).or_default();
            if other.acked.is_none_or(|a| after(tcp.ack, a)) {
                other.acked = Some(tcp.ack);
            }
        }
    }
    flows
}

/// Sequence number order with wrap-around.
fn after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000_0000
}

/// A full-size segment that was repeated and never acknowledged: how often, and from first to last copy.
pub fn stalled(flow: &Flow, segment: u32) -> Option<(usize, Duration)> {
    let mut copies: BTreeMap<u32, Vec<crate::time::Timestamp>> = BTreeMap::new();
    for (seq, time, len) in &flow.copies {
        if *len >= segment && flow.acked.is_none_or(|a| !after(a, *seq)) {
            copies.entry(*seq).or_default().push(*time);
        }
    }
    let times = copies.into_values().max_by_key(Vec::len).filter(|t| t.len() >= 3)?;
    let gaps: Vec<Duration> = times.windows(2).map(|w| w[1].since(w[0])).collect();
    // The last two gaps double; the first may be a tail-loss probe.
    let growing = gaps.windows(2).next_back().is_some_and(|g| g[1] > g[0].mul_f64(1.3));
    growing.then(|| (times.len(), times[times.len() - 1].since(times[0])))
}

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let min = args.duration("min").unwrap_or(Duration::from_secs(2));
    let segment = args.int("segment").and_then(|n| u32::try_from(n).ok()).unwrap_or(1000);
    let records = at(evidence, args, "at");
    let all = flows(&records);
    let mut best: Option<(Direction, usize, Duration)> = None;
    for (direction, flow) in all.iter().filter(|(_, f)| f.opened) {
        if let Some((copies, time)) = stalled(flow, segment)
            && best.as_ref().is_none_or(|b| time > b.2)
        {
            best = Some((*direction, copies, time));
        }
    }
    let Some(((src, sport, dst, dport), copies, time)) = best else {
        return after_silence(evidence, WINDOW, false, Proof::new(format!("{} TCP directions, none stalled", all.len()), []));
    };
    let frames = segments(&records, (src, sport, dst, dport), segment);
    let text = format!(
        "{src}:{sport} sent a full-size segment to {dst}:{dport} {copies} times in {:.1} s without an acknowledgement",
        time.as_secs_f64()
    );
    let proof = Proof::new(text, frames);
    // The acknowledgement could still come: the end of all traffic decides.
    after_silence(evidence, WINDOW, time >= min, proof)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;
    use super::*;

    const ARGS: [(&str, &str); 1] = [("at", "alice.lan")];
    const SERVER: (&str, u16) = (BOB, 80);

    fn open(story: &mut Story, time: i64, client: u16) {
        story.tcp(time, "alice.lan", (ALICE, client), SERVER, (0x02, 0, 0, 0));
        story.tcp(time, "alice.lan", SERVER, (ALICE, client), (0x12, 0, 1, 0));
        story.tcp(time, "alice.lan", (ALICE, client), SERVER, (0x10, 1, 1, 0));
    }

    fn uploads(times: &[i64]) -> Story {
        let mut story = Story::new();
        open(&mut story, 0, 4000);
        for time in times {
            story.tcp(*time, "alice.lan", (ALICE, 4000), SERVER, (0x18, 1, 1, 1400));
        }
        story
    }

    #[test]
    fn the_same_segment_again_and_again() {
        let mut story = uploads(&[1, 201, 601, 1401, 3001]);
        story.ask("tcp-stall", &ARGS, 3100).open(None, true);
        story.script_ends(4000);
        assert_eq!(story.ask("tcp-stall", &ARGS, 4500).holds().frames, [4, 5, 6, 7, 8]);
        story.ask("tcp-stall", &[ARGS[0], ("min", "5s")], 4500).fails();
        story.ask("tcp-stall", &[ARGS[0], ("segment", "1401")], 4500).fails();
        story.lost = 1;
        story.ask_at_end("tcp-stall", &ARGS, 4500).inconclusive();
        story.lost = 0;
        story.tcp(4600, "alice.lan", SERVER, (ALICE, 4000), (0x10, 1, 1401, 0));
        story.ask("tcp-stall", &ARGS, 4700).fails();
    }

    #[test]
    fn even_gaps_or_two_copies_are_no_stall() {
        uploads(&[1, 1001, 2001, 3001]).ask_at_end("tcp-stall", &ARGS, 9000).fails();
        uploads(&[1, 3001]).ask_at_end("tcp-stall", &ARGS, 9000).fails();
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert!(after(5, u32::MAX - 5) && !after(u32::MAX - 5, 5) && !after(7, 7));
    }
}
