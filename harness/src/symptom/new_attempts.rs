//! The same thing is tried again, each time from the beginning.

use super::attempts::Attempts;
use super::select::{Since, WINDOW, after_silence, at, is_from};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Count, Kind, Param};

/// `new-attempts`.
pub const SYMPTOM: Symptom = Symptom {
    code: "new-attempts",
    meaning: "A gateway begins the same IKE exchange again and again, each time anew and in vain.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 7296 §2.2", "RFC 2409 §5.5"],
    explain: "A repetition (see retransmission) is the same octets, because an answer is missing. A new attempt has another initiator's SPI \
        (exchanges that begin an IKE SA: 2 main mode, 4 aggressive, 34 IKE_SA_INIT) or another message ID on the same IKE SA (32 quick \
        mode, 36 CREATE_CHILD_SA): the attempt before has ended, mostly with a refusal, and something, such as the next packet that \
        meets a trap policy, has asked for another one. What succeeded does not count, as a re-keying does: an exchange of IKEv2 whose \
        answer is more than a refusal, a quick mode of three messages, an IKE SA that brought ESP on a new SPI. Attempts at an IKE SA \
        are counted for each peer on its own.\n\
        The same refusal every time means that trying again does not help: it is the configuration.",
    params: &[
        Param::required("by", Kind::Gateway, "who begins"),
        Param::required("at", Kind::Tap, "where it is seen"),
        Param::required(
            "exchange",
            Kind::Int(2, 255),
            "exchange type, such as 32 quick mode or 36 CREATE_CHILD_SA; informational exchanges are no attempts at anything",
        ),
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
    let mut attempts = Attempts::default();
    for r in at(evidence, args, "at") {
        attempts.data(r);
        let (Some(ike), Some(ip)) = (r.ike(), r.ip()) else { continue };
        if i64::from(ike.message.exchange) == exchange {
            attempts.message(ike, ip, r.frame.number, is_from(evidence, r, by) && since.covers(r));
        } else if ike.message.major() == 1 && ike.message.exchange == 5 {
            attempts.refused(&ike.message, ip.src);
        }
    }
    let (over, most) = attempts.most();
    let n = most.len() as u64;
    let proof = Proof::new(format!("{by} began exchange {exchange} {n} times, each time anew and in vain; wanted {count}"), most);
    // An attempt that is not over may still succeed.
    if count.only_grows() && count.contains(over) {
        return Finding::Holds(proof);
    }
    if count.max.is_some_and(|max| over > max) {
        return Finding::Fails(proof);
    }
    after_silence(evidence, WINDOW, count.contains(n), proof)
}

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
        assert_eq!(found.holds().text, "west began exchange 32 2 times, each time anew and in vain; wanted at least 2");
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
        story.ike(5, "west.wan", EAST, WEST, &Msg::v2(36, 2).response().opaque().length(80));
        let mut of_east = Msg::v2(36, 3);
        of_east.0.flags = 0;
        story.ike(10, "west.wan", EAST, WEST, &of_east);
        story.ask("new-attempts", &args, 20).open(None, false);
        story.ike(100, "west.wan", WEST, EAST, &Msg::v2(36, 3));
        // It may still succeed.
        story.ask("new-attempts", &args, 110).open(None, true);
        story.ike(105, "west.wan", EAST, WEST, &Msg::v2(36, 3).response().notify(true, 38, &[]).length(80));
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
        story.ask("new-attempts", &args, 700).open(None, true);
        assert_eq!(story.ask_at_end("new-attempts", &args, 700).holds().frames, [1, 3]);
        story.ask("new-attempts", &[args[0], args[1], args[2], ("since", "cut")], 700).open(None, false);
        let never = [args[0], args[1], args[2], ("count", "0"), ("since", "other")];
        story.ask_at_end("new-attempts", &never, 700).fails();
    }

    #[test]
    fn what_succeeds_is_no_attempt_in_vain() {
        let (mut quick, mut child, mut check) = (Story::new(), Story::new(), Story::new());
        for n in 0..4u32 {
            let time = i64::from(n) * 1000;
            quick.ike(time, "west.wan", WEST, EAST, &Msg::v1(32, n).opaque());
            quick.ike(time + 5, "west.wan", EAST, WEST, &Msg::v1(32, n).opaque().length(188));
            quick.ike(time + 9, "west.wan", WEST, EAST, &Msg::v1(32, n).opaque().length(76));
            child.ike(time, "west.wan", WEST, EAST, &Msg::v2(36, n).opaque());
            child.ike(time + 5, "west.wan", EAST, WEST, &Msg::v2(36, n).opaque().response());
            check.ike(time, "west.wan", WEST, EAST, &Msg::v2(37, n).opaque().length(80));
            check.ike(time + 5, "west.wan", EAST, WEST, &Msg::v2(37, n).opaque().response().length(80));
            check.ike(time + 7, "west.wan", WEST, EAST, &Msg::v1(5, n).opaque());
        }
        quick.ask_at_end("new-attempts", &QM, 9000).fails();
        child.ask_at_end("new-attempts", &[QM[0], QM[1], ("exchange", "36")], 9000).fails();
        for informational in ["5", "37"] {
            check.ask_at_end("new-attempts", &[QM[0], QM[1], ("exchange", informational)], 9000).fails();
        }
    }

    #[test]
    fn a_reauthentication_and_other_peers_are_no_attempts_in_vain() {
        let args = [("by", "west"), ("at", "west.wan"), ("exchange", "34")];
        let mut story = Story::new();
        for (n, peer) in [(1u32, EAST), (2, EAST), (3, NAT)] {
            let time = i64::from(n) * 1000;
            story.ike(time, "west.wan", WEST, peer, &Msg::v2(34, 0).spis(n.into(), 0));
            // The old child goes on until the new one is there.
            story.esp(time + 1, "west.wan", WEST, peer, n - 1, 9);
            if n < 3 {
                story.esp(time + 9, "west.wan", WEST, peer, n, 1);
            }
        }
        story.ask_at_end("new-attempts", &args, 9000).fails();
        story.ike(4000, "west.wan", WEST, NAT, &Msg::v2(34, 0).spis(4, 0));
        assert_eq!(story.ask_at_end("new-attempts", &args, 9000).holds().frames.len(), 2);
    }
}
