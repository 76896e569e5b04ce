//! NAT detection hashes that do not fit the packet they came in.

use wire::crypto::Hash;
use wire::ike::Body;

use super::select::{WINDOW, after_silence, at};
use super::{Evidence, Finding, Level, Proof, Sign, Symptom};
use crate::dissect::Record;
use crate::schema::{Args, Kind, Param};

/// NAT_DETECTION_SOURCE_IP.
const SOURCE: u16 = 16388;

/// `nat-detected`.
pub const SYMPTOM: Symptom = Symptom {
    code: "nat-detected",
    meaning: "NAT detection shows that a gateway's address was translated on the way.",
    level: Level::Wire,
    sign: Sign::Either,
    rfc: &["RFC 7296 §2.23", "RFC 3947 §3.2"],
    explain: "Each side puts hashes of its own view of both addresses and ports into its first messages. The receiver computes them from \
        the packet as it arrived; where they differ, somebody translated. From then on both sides use UDP/4500.",
    params: &[
        Param::required("by", Kind::Gateway, "whose address is translated"),
        Param::required("at", Kind::Tap, "at the receiver, behind the translation"),
    ],
    judge,
};

fn judge(args: &Args, evidence: &Evidence<'_>) -> Finding {
    let by = args.text("by").unwrap_or_default();
    let mut clear = Vec::new();
    let mut absent = Vec::new();
    for r in at(evidence, args, "at") {
        let (Some(ike), Some(ip)) = (r.ike(), r.ip()) else { continue };
        // The receiver itself owns the destination; what it sends is not of interest.
        let receiver = args.text("at").and_then(|t| t.split('.').next());
        let other = evidence.plan.network.owner(ip.src).is_some_and(|node| node != by && evidence.plan.gateway(node).is_some());
        if other || evidence.plan.network.owner(ip.dst) != receiver || !matches!(ike.message.exchange, 2 | 4 | 34) {
            continue;
        }
        match natted(r) {
            Some(true) => {
                let text = format!("the hash of {by}'s source address does not fit {}: translated", ip.src);
                return Finding::Holds(Proof::new(text, [r.frame.number]));
            }
            Some(false) => clear.push(r.frame.number),
            None => absent.push(r.frame.number),
        }
    }
    let proof = if clear.is_empty() {
        Proof::new(format!("no NAT detection in {} messages", absent.len()), absent)
    } else {
        Proof::new(format!("{} messages whose hashes fit: no translation", clear.len()), clear)
    };
    after_silence(evidence, WINDOW, false, proof)
}

/// Does no source hash fit the source as seen here? `None`: there is no hash.
fn natted(r: &Record) -> Option<bool> {
    let (ike, ip, udp) = (r.ike()?, r.ip()?, r.udp()?);
    let m = &ike.message;
    if m.major() == 2 {
        let fit = wire::natd::v2(m.spi_i, m.spi_r, ip.src, udp.src);
        let hashes: Vec<_> = m
            .payloads
            .iter()
            .filter_map(|p| match &p.body {
                Body::Notify { kind: SOURCE, data, .. } => Some(data),
                _ => None,
            })
            .collect();
        (!hashes.is_empty()).then(|| hashes.iter().all(|h| h.as_slice() != fit.as_slice()))
    } else {
        // The first NAT-D payload is of the destination, the others of possible sources. The hash's length tells the algorithm.
        let hashes: Vec<_> = m.payloads.iter().filter_map(|p| if let Body::NatD(h) = &p.body { Some(h) } else { None }).collect();
        let sources = hashes.get(1..)?;
        let fits = |h: &Vec<u8>| {
            let hash = match h.len() {
                16 => Hash::Md5,
                20 => Hash::Sha1,
                32 => Hash::Sha2_256,
                48 => Hash::Sha2_384,
                _ => Hash::Sha2_512,
            };
            wire::natd::v1(hash, m.spi_i, m.spi_r, ip.src, udp.src) == *h
        };
        (!sources.is_empty()).then(|| !sources.iter().any(|h| fits(h)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::*;
    use super::*;

    const ARGS: [(&str, &str); 2] = [("by", "carol"), ("at", "east.wan")];

    fn v2(source: &str) -> Msg {
        let hash = wire::natd::v2(0x11, 0, addr(source), 500);
        Msg::v2(34, 0).spis(0x11, 0).notify(false, SOURCE, &hash).notify(false, SOURCE + 1, &[0; 20])
    }

    #[test]
    fn hashes_that_do_not_fit() {
        let mut story = Story::new();
        story.ask("nat-detected", &ARGS, 0).open(None, false);
        story.ike_on(0, "east.wan", (NAT, 1024), (EAST, 500), &v2(CAROL));
        assert_eq!(story.ask("nat-detected", &ARGS, 1).holds().frames, [1]);
    }

    #[test]
    fn hashes_that_fit_and_no_hashes() {
        for message in [v2(WEST), Msg::v2(34, 0)] {
            let mut story = Story::new();
            story.ike(0, "east.wan", WEST, EAST, &message);
            story.script_ends(1);
            story.ask("nat-detected", &ARGS, 5).open(Some(501), false);
            story.ask("nat-detected", &ARGS, 501).fails();
            story.lost = 1;
            story.ask_at_end("nat-detected", &ARGS, 501).inconclusive();
        }
    }

    #[test]
    fn version_1_names_the_destination_first() {
        let hash = |ip: &str| wire::natd::v1(Hash::Sha1, 0x11, 0x22, addr(ip), 500);
        let with = |source: &str| Msg::v1(2, 0).with(false, Body::NatD(hash(EAST))).with(false, Body::NatD(hash(source)));
        let mut story = Story::new();
        story.ike(0, "east.wan", WEST, EAST, &with(WEST));
        story.ask_at_end("nat-detected", &ARGS, 1).fails();
        story.ike_on(1, "east.wan", (NAT, 500), (EAST, 500), &with(CAROL));
        story.ask("nat-detected", &ARGS, 2).holds();
    }

    #[test]
    fn another_gateway_s_hash_is_not_of_interest() {
        let mut story = Story::new();
        story.ike(0, "east.wan", WEST, EAST, &v2(CAROL));
        story.ask_at_end("nat-detected", &ARGS, 1).fails();
    }
}
