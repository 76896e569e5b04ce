//! Authentication by certificate, in memory.

mod sim;

use faultlab_gateway::Command;
use peer::{AuthMethod, GatewayConfig};
use pki::{Flaw, Hierarchy, KeyType};
use sim::*;

/// 2026-01-01, as the simulation has it.
const NOW: i64 = 1_767_225_600;

/// Both sides with certificates of one authority; west's may have a flaw.
fn with_certificates(key: KeyType, intermediates: usize, flaw: Option<Flaw>) -> impl FnOnce(&mut GatewayConfig, &mut GatewayConfig) {
    move |w, e| {
        let authority = Hierarchy::new([4; 32], NOW, key, intermediates);
        for (config, flaw) in [(w, flaw), (e, None)] {
            let c = &mut config.connections[0];
            let own = authority.issue(&c.local_id, flaw);
            c.auth.own = AuthMethod::Certificate;
            c.auth.peer = AuthMethod::Certificate;
            c.auth.certificates = own.certificates;
            c.auth.private_key = own.private_key.into();
            c.auth.anchors = vec![authority.anchor()];
        }
    }
}

#[test]
fn every_kind_of_key_proves_an_identity() {
    for key in [KeyType::Rsa2048, KeyType::EcdsaP256, KeyType::EcdsaP384] {
        for intermediates in 0..=1 {
            let mut pair = Pair::new(1, FAIR, with_certificates(key, intermediates, None));
            pair.initiate(WEST);
            pair.run_s(3);
            assert!(pair.passes(), "{key:?} {intermediates} {}", pair.story());
            pair.command(WEST, Command::RekeyIke("west-east".into()));
            pair.run_s(3);
            assert!(pair.passes());
        }
    }
}

#[test]
fn large_messages_go_in_fragments() {
    let sent = |fragmentation: bool| {
        let mut pair = Pair::new(1, FAIR, |w, e| {
            with_certificates(KeyType::Rsa2048, 1, None)(w, e);
            w.connections[0].options.fragmentation = fragmentation;
        });
        pair.initiate(WEST);
        pair.run_s(3);
        assert!(pair.passes(), "{}", pair.story());
        pair.sent.iter().filter(|(_, f)| f.to.port() == 500).map(|(_, f)| f.data.len()).max().unwrap_or_default()
    };
    assert!(sent(true) <= 1252, "an IP datagram of 1280 octets");
    assert!(sent(false) > 1500);
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_apart() {
    for (flaw, word) in [(Flaw::Expired, "expired"), (Flaw::NotYetValid, "not valid before"), (Flaw::UnknownAuthority, "")] {
        let mut pair = Pair::new(1, FAIR, with_certificates(KeyType::EcdsaP256, 0, Some(flaw)));
        pair.initiate(WEST);
        pair.run_s(5);
        assert_eq!(pair.sides[WEST].failures, ["IKE_AUTH refused: AUTHENTICATION_FAILED"], "{flaw:?} {}", pair.story());
        let said = pair.sides[EAST].log.join("\n");
        assert!(said.contains("is not accepted") && said.contains(word), "{flaw:?}: {said}");
    }
}

#[test]
fn an_initiator_tells_a_responder_whom_it_does_not_accept() {
    let mut pair = Pair::new(1, FAIR, |w, e| with_certificates(KeyType::EcdsaP256, 0, Some(Flaw::Expired))(e, w));
    pair.initiate(WEST);
    pair.run_s(5);
    assert_eq!(pair.sides[WEST].failures.len(), 1, "{}", pair.story());
    assert_eq!((pair.ike_sas(EAST), pair.children(EAST)), (0, 0), "{}", pair.story());
    assert!(pair.sides[EAST].log.iter().any(|l| l.contains("AUTHENTICATION_FAILED")));
}

#[test]
fn a_clock_that_is_wrong_makes_everything_invalid() {
    let mut pair = Pair::new(1, FAIR, |w, e| {
        with_certificates(KeyType::EcdsaP256, 0, None)(w, e);
        e.clock_offset = -400 * 86_400;
    });
    pair.initiate(WEST);
    pair.run_s(5);
    assert_eq!(pair.sides[WEST].failures.len(), 1, "{}", pair.story());
}

#[test]
fn eap_with_a_server_that_has_a_certificate() {
    let mut pair = Pair::new(1, FAIR, |w, e| {
        with_certificates(KeyType::EcdsaP256, 0, None)(w, e);
        let login = peer::EapLogin { user: "carol".into(), password: "secret".into() };
        w.connections[0].auth.own = AuthMethod::EapMschapv2;
        e.connections[0].auth.peer = AuthMethod::EapMschapv2;
        w.connections[0].auth.eap = Some(login.clone());
        e.connections[0].auth.eap = Some(login);
    });
    pair.initiate(WEST);
    pair.run_s(5);
    assert!(pair.passes(), "{}", pair.story());
}
