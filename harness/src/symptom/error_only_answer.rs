//! An encrypted answer that is too short to hold anything but an error.

use wire::ike::{Body, Encryption, Message};

use super::select::{WINDOW, after_silence, at};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// IKE lengths of an SK payload with one notification without data, by suite: AES-GCM/ChaCha20 65, AES-CBC with SHA1-96 76,
/// with SHA2-256-128 80.
const LENGTHS: [u32; 3] = [65, 76, 80];

/// `error-only-answer`.
pub const SYMPTOM: Symptom = Symptom {
    code: "error-only-answer",
    meaning: "The encrypted answer is just long enough for one error notification.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 7296 §2.21.2", "RFC 7296 §3.14"],
    explain: "Without keys the contents of IKE_AUTH stay hidden, its length does not: a successful answer holds at least an identity and \
        AUTH and is 105 octets or longer; one with a single notification is 65, 76 or 80. EAP-Failure has the same size, and so has \
        EAP-Success: it does not count, because the initiator goes on with its AUTH. Which error it was, the keys or the responder's \
        log tell.",
    params: &[
        Param::required("at", Kind::Tap, "where"),
        Param::default("exchange", Kind::Int(35, 36), "35", "exchange type: 35 IKE_AUTH, 36 CREATE_CHILD_SA"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let exchange = args.int("exchange").unwrap_or(35);
    let (mut short, mut longer): (Option<&Record>, Vec<u32>) = (None, Vec::new());
    for r in at(evidence, args, "at") {
        let Some(m) = r.ike().map(|i| &i.message).filter(|m| i64::from(m.exchange) == exchange) else { continue };
        if !m.is_response() {
            // EAP-Success is as short as an error; but then the initiator goes on.
            let before = short.and_then(|s| s.ike()).map(|i| &i.message);
            if before.is_some_and(|b| b.spi_i == m.spi_i && b.from_initiator() != m.from_initiator() && b.message_id < m.message_id) {
                longer.extend(short.take().map(|s| s.frame.number));
            }
        } else if is_error_only(m) {
            short = short.or(Some(r));
        } else {
            longer.push(r.frame.number);
        }
    }
    let Some(r) = short else {
        let text = format!("{} answers, none as short as an error", longer.len());
        return after_silence(evidence, WINDOW, false, Proof::new(text, longer));
    };
    let length = r.ike().map_or(0, |i| i.message.length);
    let proof = Proof::new(format!("the answer is {length} octets long: one notification and nothing else"), [r.frame.number]);
    // Of CREATE_CHILD_SA no part of a success is that short.
    if exchange == 35 { after_silence(evidence, WINDOW, true, proof) } else { Finding::Holds(proof) }
}

/// Is an answer, by its length and as far as it can be read, an error and nothing else?
pub fn is_error_only(m: &Message) -> bool {
    LENGTHS.contains(&m.length) && only_notifications(m).unwrap_or(true)
}

/// Does the encrypted part hold notifications and nothing else? `None`: it cannot be read.
pub fn only_notifications(m: &Message) -> Option<bool> {
    let mut inner = m.payloads.iter().filter(|p| p.inner).peekable();
    let readable = m.encryption == Encryption::Decrypted && inner.peek().is_some();
    readable.then(|| inner.all(|p| matches!(p.body, Body::Notify { .. })))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;
    use wire::ike::Body;

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
    fn eap_success_is_none() {
        let mut story = Story::new();
        story.ike(0, "west.wan", WEST, EAST, &Msg::v2(35, 4).opaque());
        story.ike(5, "west.wan", EAST, WEST, &Msg::v2(35, 4).response().opaque().length(80));
        story.ask("error-only-answer", &ARGS, 6).open(None, true);
        story.ike(10, "west.wan", WEST, EAST, &Msg::v2(35, 5).opaque());
        story.ask_at_end("error-only-answer", &ARGS, 20).fails();
        story.ike(15, "west.wan", EAST, WEST, &Msg::v2(35, 5).response().opaque().length(76));
        assert_eq!(story.ask_at_end("error-only-answer", &ARGS, 20).holds().frames, [4]);
        // With keys one need not wait for what follows.
        let eap = Body::Eap(vec![3, 4, 0, 4]);
        let mut story = Story::new();
        story.ike(5, "west.wan", EAST, WEST, &Msg::v2(35, 4).response().with(true, eap).length(80));
        story.ask_at_end("error-only-answer", &ARGS, 20).fails();
    }

    #[test]
    fn a_lossy_capture_does_not_refute_it() {
        let mut story = Story::new();
        story.lost = 1;
        story.ask_at_end("error-only-answer", &ARGS, 10).inconclusive();
    }
}
