//! An encrypted answer that is too short to hold anything but an error.

use super::select::{WINDOW, after_silence, at};
use super::{Evidence, Finding, Level, Proof, Symptom};
use crate::schema::{Args, Kind, Param};

/// IKE lengths of an SK payload with one notification without data, by suite: AES-GCM/ChaCha20 65, AES-CBC with SHA1-96 76,
/// with SHA2-256-128 80.
pub const LENGTHS: [u32; 3] = [65, 76, 80];

/// `error-only-answer`.
pub const SYMPTOM: Symptom = Symptom {
    code: "error-only-answer",
    meaning: "The encrypted answer is just long enough for one error notification.",
    level: Level::Wire,
    rfc: &["RFC 7296 §2.21.2", "RFC 7296 §3.14"],
    explain: "Without keys the contents of IKE_AUTH stay hidden, its length does not: a successful answer holds at least an identity and \
        AUTH and is 105 octets or longer; one with a single notification is 65, 76 or 80. (EAP-Success and EAP-Failure have the same \
        size.) Which error it was, the keys or the responder's log tell.",
    params: &[
        Param::required("at", Kind::Tap, "where"),
        Param::default("exchange", Kind::Int(35, 36), "35", "exchange type: 35 IKE_AUTH, 36 CREATE_CHILD_SA"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let exchange = args.int("exchange").unwrap_or(35);
    let mut longer = Vec::new();
    for r in at(evidence, args, "at") {
        let Some(m) = r.ike().map(|i| &i.message) else { continue };
        if i64::from(m.exchange) != exchange || !m.is_response() {
            continue;
        }
        if LENGTHS.contains(&m.length) {
            return Finding::Holds(Proof::new(
                format!("the answer is {} octets long: one notification and nothing else", m.length),
                [r.frame.number],
            ));
        }
        longer.push(r.frame.number);
    }
    after_silence(evidence, WINDOW, false, Proof::new(format!("{} answers, none as short as an error", longer.len()), longer))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 1] = [("at", "west.wan")];

    #[test]
    fn the_length_tells() {
        for (length, short) in [(65, true), (76, true), (80, true), (57, false), (105, false), (240, false)] {
            let mut story = Story::new();
            story.ike(0, "west.wan", WEST, EAST, &Msg::v2(35, 1).length(80));
            story.ask("error-only-answer", &ARGS, 1).open(None, false);
            story.ike(5, "west.wan", EAST, WEST, &Msg::v2(35, 1).response().opaque().length(length));
            story.script_ends(10);
            let found = story.ask("error-only-answer", &ARGS, 510);
            if short {
                assert_eq!(found.holds().frames, [2])
            } else {
                assert_eq!(found.fails().frames, [2])
            }
            story.ask("error-only-answer", &[ARGS[0], ("exchange", "36")], 400).open(Some(510), false);
        }
    }

    #[test]
    fn a_lossy_capture_does_not_refute_it() {
        let mut story = Story::new();
        story.lost = 1;
        story.ask_at_end("error-only-answer", &ARGS, 10).inconclusive();
    }
}
