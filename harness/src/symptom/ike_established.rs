//! The IKE SA is up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::select::{WINDOW, after_silence, matching};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::event::What;
use crate::schema::{Args, Kind, Param};
use peer::GatewayEventKind;
use wire::ike::Message;

/// `ike-established`.
pub const SYMPTOM: Symptom = Symptom {
    code: "ike-established",
    meaning: "The IKE SA was established: both sides are authenticated.",
    level: Level::State,
    sign: Sign::Health,
    rfc: &["RFC 7296 §1.2", "RFC 2409 §5"],
    explain: "The messages that make an IKE SA are on the wire: IKE_SA_INIT and IKE_AUTH with their answers, or main mode's six \
        (aggressive mode's three) messages. That both sides were satisfied shows in what follows (ESP on a new SPI, a further \
        request, Quick Mode), or a gateway reports it. If data still does not pass, the fault is behind this point: child SAs, \
        selectors, filters, routes.",
    params: &[
        Param::optional(
            "at",
            Kind::Tap,
            "where its messages are seen; default: the public interface of the initiator, or of the first gateway",
        ),
        Param::optional("initiator", Kind::Gateway, "who began; default: any gateway"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let named = args.text("initiator");
    let initiator = named.or(evidence.plan.gateways.first().map(|g| g.config.name.as_str())).unwrap_or_default();
    let tap = args.text("at").map(str::to_owned).or_else(|| {
        let node = evidence.plan.network.node(initiator)?;
        node.ifaces.iter().find(|i| i.outside).map(|i| format!("{initiator}.{}", i.name))
    });
    let Some(tap) = tap else { return Finding::Inconclusive("no tap to look at: say `at`".to_owned()) };
    let records = matching(evidence, None, Some(&tap));
    let on_wire = inferred(evidence, &records, named);
    if let Some(proof) = on_wire {
        return Finding::Holds(proof);
    }
    let frames: Vec<u32> = records.iter().filter(|r| r.ike().is_some_and(|i| makes_sa(&i.message))).map(|r| r.frame.number).collect();
    let said = evidence.events.iter().find_map(|e| match &e.what {
        What::Gateway { gateway, what: GatewayEventKind::IkeUp { .. } } if named.is_none_or(|n| n == gateway) => Some(gateway),
        _ => None,
    });
    let who = named.unwrap_or("a gateway");
    match said {
        Some(gateway) if frames.len() >= 3 => {
            Finding::Holds(Proof::new(format!("{gateway} reports the IKE SA as up; {} messages at {tap} made it", frames.len()), frames))
        }
        Some(gateway) => {
            let text = format!("{gateway} reports the IKE SA as up, but {tap} saw only {} of its messages", frames.len());
            after_silence(evidence, WINDOW, false, Proof::new(text, frames))
        }
        None => {
            let text = format!("never did {who} report the IKE SA as up, and nothing at {tap} builds on one");
            after_silence(evidence, WINDOW, false, Proof::new(text, frames))
        }
    }
}

/// Messages that make an IKE SA.
fn makes_sa(m: &Message) -> bool {
    matches!((m.major(), m.exchange), (1, 2 | 4) | (2, 34 | 35))
}

/// What is known of one IKE SA.
#[derive(Default)]
struct Attempt {
    frames: Vec<u32>,
    /// IKEv2: an IKE_AUTH answer that is too long to be an error alone.
    answered: bool,
    /// IKEv1: who sent an encrypted main mode message, or an aggressive mode message.
    spoke: BTreeSet<IpAddr>,
    foreign: bool,
}

/// Without keys and logs: what only follows when both sides are authenticated. IKEv2: a long IKE_AUTH answer, then a request
/// of the next message ID or ESP on a new SPI. IKEv1: both sides' last message of phase 1, then Quick Mode.
fn inferred(evidence: &Evidence<'_>, records: &[&Record], initiator: Option<&str>) -> Option<Proof> {
    let mut attempts: BTreeMap<u64, Attempt> = BTreeMap::new();
    let (mut answered, mut old_spis) = (None, BTreeSet::new());
    for r in records {
        if let Some(esp) = r.esp() {
            if answered.is_none() {
                old_spis.insert(esp.spi);
            } else if let Some(attempt) = answered.and_then(|spi| attempts.get_mut(&spi)).filter(|_| !old_spis.contains(&esp.spi)) {
                attempt.frames.push(r.frame.number);
                let frames = std::mem::take(&mut attempt.frames);
                return Some(Proof::new("IKE_AUTH was answered with more than an error, and ESP flows on a new SPI", frames));
            }
        }
        let (Some(ike), Some(ip)) = (r.ike(), r.ip()) else { continue };
        let m = &ike.message;
        let attempt = attempts.entry(m.spi_i).or_insert_with(|| {
            let owner = evidence.plan.network.owner(ip.src).filter(|n| evidence.plan.gateway(n).is_some());
            Attempt { foreign: initiator.is_some_and(|i| owner.is_some_and(|o| o != i)), ..Attempt::default() }
        });
        if attempt.foreign {
            continue;
        }
        if makes_sa(m) {
            attempt.frames.push(r.frame.number);
        }
        match (m.major(), m.exchange) {
            (2, 35) if m.is_response() && !super::error_only_answer::is_error_only(m) => {
                attempt.answered = true;
                answered = Some(m.spi_i);
            }
            (2, 36 | 37) if attempt.answered && !m.is_response() && m.message_id >= 2 => {
                attempt.frames.push(r.frame.number);
                let text = "IKE_AUTH was answered with more than an error, and further requests follow";
                return Some(Proof::new(text, std::mem::take(&mut attempt.frames)));
            }
            (1, 2) if m.flags & 1 != 0 => drop(attempt.spoke.insert(ip.src)),
            (1, 4) => drop(attempt.spoke.insert(ip.src)),
            (1, 32) if attempt.spoke.len() >= 2 => {
                attempt.frames.push(r.frame.number);
                let text = "both sides sent their last message of phase 1, and Quick Mode follows";
                return Some(Proof::new(text, std::mem::take(&mut attempt.frames)));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 1] = [("at", "west.wan")];

    fn v2(length: u32) -> Story {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(34, 0));
        story.ike(1, "west.wan", EAST, WEST, &Msg::v2(34, 0).response());
        story.ike(2, "west.wan", WEST, EAST, &Msg::v2(35, 1).opaque());
        story.ike(3, "west.wan", EAST, WEST, &Msg::v2(35, 1).response().opaque().length(length));
        story
    }

    #[test]
    fn data_after_a_long_answer() {
        let mut story = v2(240);
        story.ask("ike-established", &ARGS, 5).open(None, false);
        story.esp(10, "west.wan", WEST, EAST, 1, 1);
        assert_eq!(story.ask("ike-established", &ARGS, 11).holds().frames, [1, 2, 3, 4, 5]);
        story.ask("ike-established", &[ARGS[0], ("initiator", "west")], 11).holds();
        story.ask("ike-established", &[ARGS[0], ("initiator", "east")], 11).open(None, false);
    }

    #[test]
    fn an_error_alone_is_no_success() {
        let mut story = v2(80);
        story.script_ends(20);
        story.ask("ike-established", &ARGS, 100).open(Some(520), false);
        story.ask("ike-established", &ARGS, 520).fails();
        story.lost = 1;
        story.ask_at_end("ike-established", &ARGS, 520).inconclusive();
    }

    #[test]
    fn data_of_an_older_sa_is_no_proof() {
        let mut story = Story::new();
        story.esp(0, "west.wan", WEST, EAST, 1, 1);
        let story2 = v2(240);
        story.capture.records.extend(story2.capture.records);
        story.esp(10, "west.wan", WEST, EAST, 1, 2);
        story.ask("ike-established", &ARGS, 20).open(None, false);
    }

    #[test]
    fn a_gateways_report_needs_the_messages_too() {
        let mut story = v2(240);
        story.ike_up(5, "west");
        story.ask("ike-established", &ARGS, 6).holds();
        story.ask("ike-established", &[], 6).holds();
        story.ask("ike-established", &[("at", "east.wan")], 6).open(None, false);
        story.ask("ike-established", &[ARGS[0], ("initiator", "carol")], 6).open(None, false);
    }

    #[test]
    fn version_1_needs_both_sides_and_quick_mode() {
        let mut story = Story::new();
        for time in [0, 300, 840] {
            story.ike(time, "west.wan", WEST, EAST, &Msg::v1(2, 0).opaque());
        }
        story.ike(900, "west.wan", WEST, EAST, &Msg::v1(32, 5).opaque());
        story.ask("ike-established", &ARGS, 1000).open(None, false);
        story.ike(1000, "west.wan", EAST, WEST, &Msg::v1(2, 0).opaque().length(76));
        story.ike(1001, "west.wan", WEST, EAST, &Msg::v1(32, 6).opaque());
        story.ask("ike-established", &ARGS, 1002).holds();
    }
}
