//! IKE moves from UDP/500 to UDP/4500.

use super::select::{WINDOW, after_silence, at, is_from};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::schema::{Args, Kind, Param};

/// `floats-to-4500`.
pub const SYMPTOM: Symptom = Symptom {
    code: "floats-to-4500",
    meaning: "A gateway begins on UDP/500 and goes on on UDP/4500, with the non-ESP marker.",
    level: Level::Wire,
    sign: Sign::Either,
    rfc: &["RFC 7296 §2.23", "RFC 3947 §4", "RFC 3948 §2.2"],
    explain: "After NAT detection the initiator moves to UDP/4500, where IKE is told from ESP by four zero octets. A firewall that opens \
        only UDP/500 lets the first exchange pass and nothing else. (With MOBIKE some gateways move even without a NAT.)",
    params: &[Param::required("by", Kind::Gateway, "who moves"), Param::required("at", Kind::Tap, "where it is seen")],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let by = args.text("by").unwrap_or_default();
    let mut first = None;
    for r in at(evidence, args, "at") {
        let (Some(ike), Some(udp)) = (r.ike(), r.udp()) else { continue };
        if !is_from(evidence, r, by) {
            continue;
        }
        // A NAT changes the port of one end, so either tells.
        let port = if udp.src == 4500 || udp.dst == 4500 { 4500 } else { udp.dst.min(udp.src) };
        match (port, first) {
            (500, None) => first = Some(r.frame.number),
            (4500, Some(n)) if ike.marker => {
                let text = format!("{by} used UDP/500 first, then UDP/4500 from exchange {} on", ike.message.exchange);
                return Finding::Holds(Proof::new(text, [n, r.frame.number]));
            }
            _ => {}
        }
    }
    let text = if first.is_some() { "only UDP/500 was used" } else { "no IKE on UDP/500" };
    after_silence(evidence, WINDOW, false, Proof::new(text, first.into_iter().collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;

    const ARGS: [(&str, &str); 2] = [("by", "carol"), ("at", "carol.wan")];

    #[test]
    fn first_500_then_4500() {
        let mut story = Story::new();
        story.ike(0, "carol.wan", CAROL, EAST, &Msg::v2(34, 0));
        story.ike(1, "carol.wan", EAST, CAROL, &Msg::v2(34, 0).response());
        story.script_ends(5);
        story.ask("floats-to-4500", &ARGS, 10).open(Some(505), false);
        assert_eq!(story.ask("floats-to-4500", &ARGS, 505).fails().frames, [1]);
        story.lost = 1;
        story.ask_at_end("floats-to-4500", &ARGS, 505).inconclusive();
        story.ike_on(600, "carol.wan", (CAROL, 4500), (EAST, 4500), &Msg::v2(35, 1));
        assert_eq!(story.ask("floats-to-4500", &ARGS, 601).holds().frames, [1, 3]);
    }

    #[test]
    fn only_4500_is_no_move() {
        let mut story = Story::new();
        story.ike_on(0, "carol.wan", (CAROL, 4500), (EAST, 4500), &Msg::v2(35, 1));
        story.ask_at_end("floats-to-4500", &ARGS, 1).fails();
    }

    #[test]
    fn the_responder_of_a_translated_client_moves_too() {
        let mut story = Story::new();
        story.ike_on(0, "east.wan", (EAST, 500), (NAT, 1024), &Msg::v2(34, 0).response());
        story.ike_on(1, "east.wan", (EAST, 4500), (NAT, 1025), &Msg::v2(35, 1).response());
        story.ask("floats-to-4500", &[("by", "east"), ("at", "east.wan")], 2).holds();
    }
}
