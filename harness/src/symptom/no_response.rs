//! An IKE request that nobody answers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use wire::ike::Message;

use super::select::{after_silence, at, clock, matching, numbers, script_end};
use super::{Evidence, Finding, Level, Proof, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// `no-response`.
pub const SYMPTOM: Symptom = Symptom {
    code: "no-response",
    meaning: "An IKE request gets no response with the same initiator's SPI and message ID.",
    level: Level::Wire,
    rfc: &["RFC 7296 §2.1", "RFC 7296 §2.2", "RFC 2408 §2.5.1"],
    explain: "IKE is a dialogue: every IKEv2 request has a response with the same SPIs and message ID; in IKEv1 the peer's next message \
        of the same exchange takes its place. A request without one was lost, refused in silence, or its answer was lost.\n\
        Look at the same request at the peer's own interface: if it arrives there and no answer leaves, it is the peer's \
        configuration; if an answer leaves, look where it stops.",
    params: &[
        Param::required("match", Kind::Filter, "which requests"),
        Param::required("at", Kind::Tap, "where request and response would be seen"),
        Param::default("window", Kind::Duration, "\"500ms\"", "silence after the end of all traffic that counts as no response"),
    ],
    judge,
};

/// Initiator's SPI, exchange, message ID, and who asked.
type Request = (u64, u8, u32, IpAddr);

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let window = args.duration("window").unwrap_or(Duration::from_millis(500));
    let mut open: BTreeMap<Request, Vec<&Record>> = BTreeMap::new();
    let end = script_end(evidence);
    let mut requests = matching(evidence, args.text("match"), args.text("at")).into_iter().peekable();
    let mut answered = 0;
    for r in at(evidence, args, "at") {
        let wanted = requests.next_if(|q| q.frame.number == r.frame.number).is_some();
        let (Some(ike), Some(ip)) = (r.ike(), r.ip()) else { continue };
        let m = &ike.message;
        if !is_request_only(m)
            && let Some(copies) = open.get(&key(m, ip.dst))
            && copies.iter().all(|q| q.ike().is_none_or(|q| q.raw != ike.raw))
        {
            open.remove(&key(m, ip.dst));
            answered += 1;
        }
        // What begins after the end of all traffic (a liveness check, a delete) would never have its full time.
        if wanted && !m.is_response() && end.is_none_or(|t| r.frame.time <= t) {
            open.entry(key(m, ip.src)).or_default().push(r);
        }
    }
    match open.values().next() {
        Some(copies) => {
            let (from, to) = copies[0].ip().map_or_else(Default::default, |ip| (ip.src.to_string(), ip.dst.to_string()));
            let text = format!(
                "{from} asked {to} at {} ({} copies) and got no response; {answered} other requests were answered",
                clock(evidence, copies[0].frame.time),
                copies.len()
            );
            after_silence(evidence, window, true, Proof::new(text, numbers(copies)))
        }
        None => after_silence(evidence, window, false, Proof::new(format!("{answered} requests, all of them answered"), [])),
    }
}

/// IKEv2 says what is a request; in IKEv1 every message may be an answer.
fn is_request_only(m: &Message) -> bool {
    m.major() == 2 && !m.is_response()
}

fn key(m: &Message, asker: IpAddr) -> Request {
    (m.spi_i, m.exchange, m.message_id, asker)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const V2: [(&str, &str); 2] = [("match", "isakmp.flag_r == 0"), ("at", "west.wan")];
    const V1: [(&str, &str); 2] = [("match", "ip.src == 192.0.2.1"), ("at", "west.wan")];

    #[test]
    fn a_request_without_response() {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        story.ike(5, "west.wan", EAST, WEST, &Msg::v2(34, 0).response());
        story.ask("no-response", &V2, 6).open(None, false);
        story.ike(10, "west.wan", WEST, EAST, &Msg::v2(35, 1));
        story.ike(310, "west.wan", WEST, EAST, &Msg::v2(35, 1));
        // Another SA's answer is not this one's.
        story.ike(320, "west.wan", EAST, WEST, &Msg::v2(35, 1).response().spis(8, 9));
        story.script_ends(1000);
        story.ask("no-response", &V2, 1000).open(Some(1500), true);
        let found = story.ask("no-response", &V2, 1500);
        assert_eq!(found.holds().frames, [3, 4]);
        assert!(found.holds().text.contains("192.0.2.1 asked 198.51.100.2 at 0.010 s (2 copies)"));
        story.lost = 2;
        story.ask_at_end("no-response", &V2, 1500).inconclusive();
        story.lost = 0;
        story.ike(1600, "west.wan", EAST, WEST, &Msg::v2(35, 1).response());
        story.ask("no-response", &V2, 1700).fails();
    }

    #[test]
    fn a_request_after_the_end_of_traffic_does_not_count() {
        let mut story = Story::new();
        story.script_ends(1000);
        story.ike(1400, "west.wan", WEST, EAST, &Msg::v2(37, 2));
        story.ask("no-response", &V2, 1500).fails();
    }

    #[test]
    fn in_version_1_the_peers_next_message_is_the_answer() {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v1(2, 0));
        story.ike(5, "west.wan", EAST, WEST, &Msg::v1(2, 0).length(100));
        story.ask_at_end("no-response", &V1, 10).fails();
        story.ike(20, "west.wan", WEST, EAST, &Msg::v1(2, 0).opaque());
        story.ike(25, "west.wan", EAST, WEST, &Msg::v1(5, 77).opaque());
        assert_eq!(story.ask_at_end("no-response", &V1, 30).holds().frames, [3]);
    }
}
