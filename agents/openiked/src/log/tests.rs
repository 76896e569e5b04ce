//! Logs of OpenIKED 7.2: what the tracker does not read was removed.

use peer::{Cipher, GatewayEventKind, Integrity};

use super::Tracker;

fn read(text: &str) -> (Tracker, Vec<GatewayEventKind>) {
    let mut tracker = Tracker::default();
    let told = text.lines().flat_map(|l| tracker.line(l)).collect();
    (tracker, told)
}

const INITIATOR: &str = include_str!("samples/rekey-initiator.log");
const RESPONDER: &str = include_str!("samples/rekey-responder.log");

/// One IKE SA, re-keyed once; its child, re-keyed four times before and after.
#[test]
fn both_sides_tell_the_same_keys_through_rekeying() {
    let ((west, west_told), (east, east_told)) = (read(INITIATOR), read(RESPONDER));
    let spis = |told: &[GatewayEventKind], connection: &str| {
        assert_eq!(told.first(), Some(&GatewayEventKind::IkeUp { connection: connection.into() }));
        told.iter()
            .skip(1)
            .map(|e| match e {
                GatewayEventKind::ChildUp { connection: c, spi_in, spi_out, .. } if c == connection => (*spi_in, *spi_out),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let (at_west, at_east) = (spis(&west_told, "a-b"), spis(&east_told, "b-a"));
    assert_eq!(at_west, at_east.iter().map(|(i, o)| (*o, *i)).collect::<Vec<_>>());
    assert_eq!(at_west.first(), Some(&(0x85a6_fb77, 0xbe04_eca0)));
    assert!(at_west.len() > 3);
    assert_eq!(west.keys().ikev2, east.keys().ikev2);
    assert_eq!(west.keys().ikev2.len(), 2);
    assert_eq!(west.keys().esp.len(), 2 * at_west.len());
    assert!(west.keys().esp.iter().all(|k| east.keys().esp.contains(k)));
    assert!(west.is_up("a-b") && east.is_up("b-a") && !west.half_open() && !east.half_open());
}

#[test]
fn keys_are_split_as_the_rfc_says() {
    let (west, _) = read(INITIATOR);
    let ike = &west.keys().ikev2[0];
    assert_eq!((ike.spi_i, ike.spi_r), (0x4170_13eb_f27c_1f40, 0x65b8_5057_3081_6e46));
    assert_eq!((ike.encryption, ike.integrity), (Cipher::AesCbc(128), Integrity::HmacSha2_256_128));
    assert_eq!((ike.sk_ei.len(), ike.sk_ar.len()), (16, 32));
    assert_eq!(ike.sk_ei[..4], [0x9b, 0x8d, 0x5a, 0x0f]);
    // The initiator's SA to the responder has the first keys.
    let out = west.keys().esp.iter().find(|k| k.spi == 0xbe04_eca0).unwrap();
    assert_eq!((out.src, out.dst), ("10.9.0.1".parse().ok(), "10.9.0.2".parse().ok()));
    assert_eq!((out.key.len(), out.integrity_key.len()), (16, 20));
    assert_eq!(out.key[..4], [0x0e, 0x03, 0x04, 0xdc]);
}

#[test]
fn a_refused_peer_is_a_failed_attempt() {
    let (tracker, told) = read(include_str!("samples/psk-mismatch.log"));
    assert_eq!(told, []);
    let attempt = &tracker.attempts["a-b"];
    assert_eq!(attempt.tries, 1);
    let Some(Err(reason)) = &attempt.result else { panic!("{attempt:?}") };
    assert!(reason.contains("AUTHENTICATION_FAILED") && reason.contains("authentication failed notification from peer"), "{reason}");
    // The keys are needed to read the refusal.
    assert_eq!(tracker.keys().ikev2.len(), 1);
    assert!(!tracker.half_open());
}

#[test]
fn an_end_by_the_peer_is_told() {
    let (mut tracker, _) = read(RESPONDER);
    assert_eq!(tracker.peers().into_iter().collect::<Vec<_>>(), ["FQDN/a.test"]);
    let told = tracker.line("spi=0xaf52964d7666c0ff: sa_free: received delete");
    let (connection, child) = ("b-a".to_owned(), "b-a".to_owned());
    assert_eq!(told, [GatewayEventKind::ChildDown { connection: connection.clone(), child }, GatewayEventKind::IkeDown { connection }]);
    assert_eq!(tracker.fallen, ["b-a"]);
    assert!(tracker.peers().is_empty());
}

#[test]
fn nonsense_is_survived() {
    let mut tracker = Tracker::default();
    for line in [
        "",
        "spi=0x",
        "spi=0xzz: sa_free: x",
        "a with 99999999999999999999 bytes",
        "a with 4 bytes",
        "0",
        "0011",
        "deadbeefff",
        "00112233 44",
    ] {
        tracker.line(line);
    }
    for line in ["rekeyed as new IKESA 0x", "ikev2_childsa_enable: loaded SPIs: ", "established peer ", "send IKE_SA_INIT req 0 peer local"]
    {
        tracker.line(&format!("spi=0x1: {line}"));
    }
}
