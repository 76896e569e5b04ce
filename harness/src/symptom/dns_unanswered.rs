//! A name that nobody resolves.

use super::select::{WINDOW, after_silence, at};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Kind, Param};

/// `dns-unanswered`.
pub const SYMPTOM: Symptom = Symptom {
    code: "dns-unanswered",
    meaning: "DNS questions for a name get no useful answer.",
    level: Level::Wire,
    sign: Sign::Failure,
    rfc: &["RFC 1035 §4.1.1"],
    explain: "'Cannot find server', while the address works. Either no answer comes (service down, filtered, address outside the \
        selectors), or the server that was asked does not know the name (NXDOMAIN: the public server was asked for an inner name).",
    params: &[
        Param::required("name", Kind::Text, "the name"),
        Param::required("at", Kind::Tap, "near the client"),
        Param::default(
            "outcome",
            Kind::Word(&["timeout", "nxdomain", "any"]),
            "\"timeout\"",
            "no answer; the answer that there is no such name; or either, or any other refusal",
        ),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let name = args.text("name").unwrap_or_default().to_ascii_lowercase();
    let outcome = args.text("outcome").unwrap_or("timeout");
    let (mut asked, mut answered, mut unknown, mut refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for r in at(evidence, args, "at") {
        let Some(dns) = r.dns() else { continue };
        if !dns.questions.iter().any(|q| q.0.to_ascii_lowercase() == name) {
            continue;
        }
        match (dns.response, dns.rcode) {
            (false, _) => asked.push(r.frame.number),
            (true, 3) => unknown.push(r.frame.number),
            (true, 0) => answered.push(r.frame.number),
            // SERVFAIL, REFUSED …: an answer, but of no use.
            (true, _) => refused.push(r.frame.number),
        }
    }
    let text = format!(
        "{} questions for {name}, {} answers, {} that there is no such name, {} other refusals",
        asked.len(),
        answered.len(),
        unknown.len(),
        refused.len()
    );
    let negative = [unknown.as_slice(), &refused].concat();
    if !answered.is_empty() || (outcome == "timeout" && !negative.is_empty()) {
        return Finding::Fails(Proof::new(text, if answered.is_empty() { negative } else { answered }));
    }
    let holds = !asked.is_empty() && (outcome != "nxdomain" || !unknown.is_empty());
    asked.extend(negative);
    after_silence(evidence, WINDOW, holds, Proof::new(text, asked))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const DNS: &str = "10.2.0.53";
    const ARGS: [(&str, &str); 2] = [("name", "Files.corp.example"), ("at", "alice.lan")];

    fn asked(answer: Option<u8>) -> Story {
        let mut story = Story::new();
        story.dns(0, "alice.lan", ALICE, DNS, "files.corp.example", None);
        story.dns(1, "alice.lan", ALICE, DNS, "other.example", None);
        if let Some(rcode) = answer {
            story.dns(5, "alice.lan", DNS, ALICE, "files.corp.example", Some(rcode));
        }
        story.script_ends(10);
        story
    }

    #[test]
    fn each_outcome() {
        for (answer, timeout, nxdomain, any) in
            [(None, true, false, true), (Some(0), false, false, false), (Some(3), false, true, true), (Some(2), false, false, true)]
        {
            for (outcome, holds) in [("timeout", timeout), ("nxdomain", nxdomain), ("any", any)] {
                let found = asked(answer).ask("dns-unanswered", &[ARGS[0], ARGS[1], ("outcome", outcome)], 510);
                if holds {
                    found.holds()
                } else {
                    found.fails()
                };
            }
        }
    }

    #[test]
    fn an_answer_may_still_come() {
        let mut story = asked(None);
        story.ask("dns-unanswered", &ARGS, 20).open(Some(510), true);
        story.lost = 1;
        story.ask_at_end("dns-unanswered", &ARGS, 510).inconclusive();
        Story::new().ask_at_end("dns-unanswered", &ARGS, 510).fails();
    }
}
