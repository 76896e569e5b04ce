//! The application says no.

use super::select::{WINDOW, after_silence, at};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Kind, Param};

/// `app-denied`.
pub const SYMPTOM: Symptom = Symptom {
    code: "app-denied",
    meaning: "A TCP connection completes, and the application answers with a refusal.",
    level: Level::Application,
    sign: Sign::Failure,
    rfc: &["RFC 9110 §15.5"],
    explain: "The network did its work: handshake, request, answer. The answer is the server's own 'no'. Nothing in the VPN can change it; \
        permissions on the server can.",
    params: &[
        Param::required("at", Kind::Tap, "where packets are not encrypted"),
        Param::default("status", Kind::Int(400, 599), "403", "HTTP status code"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let wanted = args.int("status").unwrap_or(403);
    let records = at(evidence, args, "at");
    let mut others = Vec::new();
    for r in &records {
        let Some(status) = r.http().and_then(|h| h.status) else { continue };
        if i64::from(status) != wanted {
            others.push(r.frame.number);
            continue;
        }
        let ports = r.tcp().map(|t| (t.dst, t.src));
        let syn = records.iter().find(|s| s.tcp().is_some_and(|t| Some((t.src, t.dst)) == ports && t.flags & 0x12 == 0x02));
        if let Some(syn) = syn {
            let text = format!("the TCP connection completed, and the server answered with status {status}");
            return Finding::Holds(Proof::new(text, [syn.frame.number, r.frame.number]));
        }
    }
    after_silence(
        evidence,
        WINDOW,
        false,
        Proof::new(format!("{} HTTP answers with another status, none with {wanted}", others.len()), others),
    )
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 1] = [("at", "alice.lan")];

    #[test]
    fn a_complete_connection_and_a_refusal() {
        let mut story = Story::new();
        story.http(0, "alice.lan", (BOB, 80), (ALICE, 4000), 403);
        // Without its handshake it may be the rest of anything.
        story.ask("app-denied", &ARGS, 1).open(None, false);
        story.tcp(2, "alice.lan", (ALICE, 4001), (BOB, 80), (0x02, 0, 0, 0));
        story.http(3, "alice.lan", (BOB, 80), (ALICE, 4001), 403);
        assert_eq!(story.ask("app-denied", &ARGS, 4).holds().frames, [2, 3]);
        story.script_ends(5);
        story.ask("app-denied", &[ARGS[0], ("status", "404")], 6).open(Some(505), false);
        story.ask("app-denied", &[ARGS[0], ("status", "404")], 505).fails();
        story.lost = 1;
        story.ask_at_end("app-denied", &[ARGS[0], ("status", "404")], 505).inconclusive();
    }
}
