//! The same thing is tried again, each time from the beginning.

use std::collections::{BTreeMap, BTreeSet};

use wire::ike::Message;

use super::select::{Since, WINDOW, after_silence, at, is_from};
use super::{Evidence, Finding, Level, Proof, Symptom};
use crate::schema::{Args, Count, Kind, Param};

/// `new-attempts`.
pub const SYMPTOM: Symptom = Symptom {
    code: "new-attempts",
    meaning: "A gateway begins the same IKE exchange again and again, each time anew.",
    level: Level::Wire,
    rfc: &["RFC 7296 §2.2", "RFC 2409 §5.5"],
    explain: "A repetition (see retransmission) is the same octets, because an answer is missing. A new attempt has another initiator's SPI \
        (exchanges that begin an IKE SA: 2 main mode, 4 aggressive, 34 IKE_SA_INIT) or another message ID on the same IKE SA (32 quick \
        mode, 36 CREATE_CHILD_SA): the attempt before has ended, mostly with a refusal, and something, such as the next packet that \
        meets a trap policy, has asked for another one.\n\
        The same refusal every time means that trying again does not help: it is the configuration.",
    params: &[
        Param::required("by", Kind::Gateway, "who begins"),
        Param::required("at", Kind::Tap, "where it is seen"),
        Param::required("exchange", Kind::Int(2, 255), "exchange type, such as 32 quick mode or 36 CREATE_CHILD_SA"),
        Param::default("count", Kind::Count, "\">= 2\"", "how many attempts; within an IKE SA: on the one with the most"),
        Param::optional("since", Kind::Text, "only attempts after this fault was put in place, or this step ended"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let by = args.text("by").unwrap_or_default();
    let exchange = args.int("exchange").unwrap_or_default();
    let count = args.count("count").unwrap_or(Count { min: 2, max: None });
    let since = Since::of(args, evidence);
    if let Since::NotYet(finding) = since {
        return finding;
    }
    let mut seen = BTreeSet::new();
    let mut attempts: BTreeMap<(u64, u64), Vec<u32>> = BTreeMap::new();
    for r in at(evidence, args, "at") {
        let Some(m) = r.ike().map(|i| &i.message).filter(|m| i64::from(m.exchange) == exchange) else { continue };
        // Whoever is seen first under this SPI or message ID has begun; what else carries it is an answer or a repetition.
        let begins = !m.is_response() && seen.insert(attempt(m));
        if begins && is_from(evidence, r, by) && since.covers(r) {
            attempts.entry(sa(m)).or_default().push(r.frame.number);
        }
    }
    let most = attempts.into_values().max_by_key(Vec::len).unwrap_or_default();
    let n = most.len() as u64;
    let proof = Proof::new(format!("{by} began exchange {exchange} {n} times, each time anew; wanted {count}"), most);
    if count.only_grows() && count.contains(n) {
        return Finding::Holds(proof);
    }
    if count.max.is_some_and(|max| n > max) {
        return Finding::Fails(proof);
    }
    after_silence(evidence, WINDOW, count.contains(n), proof)
}

/// Main mode, aggressive mode and IKE_SA_INIT begin an IKE SA; all others happen within one.
fn begins_sa(m: &Message) -> bool {
    matches!((m.major(), m.exchange), (1, 2 | 4) | (2, 34))
}

/// The IKE SA that an attempt belongs to; attempts that begin one are counted together.
fn sa(m: &Message) -> (u64, u64) {
    if begins_sa(m) { (0, 0) } else { (m.spi_i, m.spi_r) }
}

/// What is the same in all messages of an attempt. IKEv2 numbers each side's requests on their own.
fn attempt(m: &Message) -> (u64, u64, u32, bool) {
    if begins_sa(m) { (m.spi_i, 0, 0, false) } else { (m.spi_i, m.spi_r, m.message_id, m.major() == 2 && m.flags & INITIATOR != 0) }
}

/// IKEv2's flag of the original initiator (RFC 7296 §3.1).
const INITIATOR: u8 = 0x08;

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const QM: [(&str, &str); 3] = [("by", "west"), ("at", "west.wan"), ("exchange", "32")];

    fn refused(story: &mut Story, time: i64, id: u32) {
        story.ike(time, "west.wan", WEST, EAST, &Msg::v1(32, id).opaque());
        story.ike(time + 5, "west.wan", EAST, WEST, &Msg::v1(5, id + 1000).opaque());
    }

    #[test]
    fn another_message_id_is_another_attempt() {
        let mut story = Story::new();
        refused(&mut story, 0, 1);
        story.ask("new-attempts", &QM, 10).open(None, false);
        refused(&mut story, 100, 2);
        let found = story.ask("new-attempts", &QM, 110);
        assert_eq!(found.holds().frames, [1, 3]);
        assert_eq!(found.holds().text, "west began exchange 32 2 times, each time anew; wanted at least 2");
        let once = [QM[0], QM[1], QM[2], ("count", "1")];
        story.ask("new-attempts", &once, 110).fails();
        // The other side began none of them, and none was begun elsewhere.
        story.script_ends(200);
        story.ask("new-attempts", &[("by", "east"), QM[1], QM[2]], 700).fails();
        story.ask("new-attempts", &[QM[0], ("at", "east.wan"), QM[2]], 700).fails();
    }

    #[test]
    fn repetitions_answers_and_other_sas_are_not() {
        let mut story = Story::new();
        for time in [0, 300, 840] {
            story.ike(time, "west.wan", WEST, EAST, &Msg::v1(32, 1).opaque());
        }
        story.ike(845, "west.wan", EAST, WEST, &Msg::v1(32, 1).opaque().length(188));
        story.ike(850, "west.wan", WEST, EAST, &Msg::v1(32, 1).opaque().length(76));
        // The peer's own quick mode, which west answers.
        story.ike(860, "west.wan", EAST, WEST, &Msg::v1(32, 7).opaque());
        story.ike(865, "west.wan", WEST, EAST, &Msg::v1(32, 7).opaque());
        story.ike(870, "west.wan", WEST, EAST, &Msg::v1(32, 2).opaque().spis(8, 9));
        story.script_ends(900);
        story.ask("new-attempts", &QM, 1000).open(Some(1400), false);
        assert_eq!(story.ask("new-attempts", &QM, 1400).fails().frames.len(), 1);
        story.ask("new-attempts", &[QM[0], QM[1], QM[2], ("count", "1")], 1400).holds();
        story.lost = 1;
        story.ask_at_end("new-attempts", &QM, 1400).inconclusive();
    }

    #[test]
    fn in_version_2_each_side_numbers_its_requests() {
        let args = [("by", "west"), ("at", "west.wan"), ("exchange", "36")];
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(36, 2));
        story.ike(5, "west.wan", EAST, WEST, &Msg::v2(36, 2).response());
        let mut of_east = Msg::v2(36, 3);
        of_east.0.flags = 0;
        story.ike(10, "west.wan", EAST, WEST, &of_east);
        story.ask("new-attempts", &args, 20).open(None, false);
        story.ike(100, "west.wan", WEST, EAST, &Msg::v2(36, 3));
        assert_eq!(story.ask("new-attempts", &args, 110).holds().frames, [1, 4]);
    }

    #[test]
    fn another_spi_is_another_attempt_at_an_ike_sa() {
        let args = [("by", "west"), ("at", "west.wan"), ("exchange", "34")];
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(34, 0).spis(1, 0));
        story.ike(300, "west.wan", WEST, EAST, &Msg::v2(34, 0).spis(1, 0));
        story.ask("new-attempts", &args, 400).open(None, false);
        story.fault(500, "cut");
        story.ike(600, "west.wan", WEST, EAST, &Msg::v2(34, 0).spis(2, 0));
        assert_eq!(story.ask("new-attempts", &args, 700).holds().frames, [1, 3]);
        story.ask("new-attempts", &[args[0], args[1], args[2], ("since", "cut")], 700).open(None, false);
        let never = [args[0], args[1], args[2], ("count", "0"), ("since", "other")];
        story.ask_at_end("new-attempts", &never, 700).fails();
    }
}
