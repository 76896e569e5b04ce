//! Certificates and EAP against the real charon: what comes up, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab::Lab;
use peer::*;
use pki::{Flaw, Hierarchy, KeyType};

const LONG: Duration = Duration::from_secs(15);

fn hierarchy(key: KeyType, intermediates: usize) -> Hierarchy {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Hierarchy::new([4; 32], i64::try_from(now).unwrap(), key, intermediates)
}

/// `config` proves itself with a certificate of `ca`.
fn certified(config: &mut GatewayConfig, ca: &Hierarchy, flaw: Option<Flaw>) {
    let c = &mut config.connections[0];
    let issued = ca.issue(&c.local_id, flaw);
    c.auth.own = AuthMethod::Certificate;
    (c.auth.certificates, c.auth.private_key) = (issued.certificates, issued.private_key.into());
}

/// `config` wants a certificate of `ca` from its peer.
fn trusting(config: &mut GatewayConfig, ca: &Hierarchy) {
    let auth = &mut config.connections[0].auth;
    auth.peer = AuthMethod::Certificate;
    auth.anchors = vec![ca.anchor()];
}

/// Initiates from the west; the outcome and both logs.
async fn outcome(ike: IkeMode, tweak: impl FnOnce(&mut GatewayConfig, &mut GatewayConfig)) -> Option<(Outcome, String, String)> {
    let lab = Lab::new().await?;
    let (mut west, east) = lab.pair(ike, tweak).await;
    let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
    Some((outcome, west.log(), east.log()))
}

async fn comes_up(ike: IkeMode, tweak: impl FnOnce(&mut GatewayConfig, &mut GatewayConfig)) -> Option<(String, String)> {
    let (outcome, west, east) = outcome(ike, tweak).await?;
    assert_eq!(outcome, Outcome::Established, "west\n{west}\neast\n{east}");
    Some((west, east))
}

/// It fails with AUTHENTICATION_FAILED, and the east says why.
async fn is_refused(because: &str, tweak: impl FnOnce(&mut GatewayConfig, &mut GatewayConfig)) {
    let Some((outcome, west, east)) = outcome(IkeMode::V2, tweak).await else { return };
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}\n{west}") };
    assert!(reason.contains("AUTHENTICATION_FAILED"), "{reason}");
    assert!(east.contains(because), "no `{because}` in\n{east}");
}

#[tokio::test]
async fn certificates_of_every_kind_come_up() {
    for key in [KeyType::Rsa2048, KeyType::EcdsaP256, KeyType::EcdsaP384] {
        let ca = hierarchy(key, 0);
        let up = comes_up(IkeMode::V2, |w, e| {
            for side in [w, e] {
                certified(side, &ca, None);
                trusting(side, &ca);
            }
        });
        let Some((west, _)) = up.await else { return };
        let method = if key == KeyType::Rsa2048 { "RSA" } else { "ECDSA" };
        assert!(west.contains(&format!("with {method}")), "{west}");
    }
}

#[tokio::test]
async fn certificates_come_up_with_ikev1() {
    let ca = hierarchy(KeyType::Rsa2048, 0);
    comes_up(IkeMode::V1Main, |w, e| {
        for side in [w, e] {
            certified(side, &ca, None);
            trusting(side, &ca);
        }
    })
    .await;
}

/// Each has a root of its own, and the other's intermediate authorities come with the certificate.
#[tokio::test]
async fn intermediate_authorities_are_sent() {
    let (one, other) = (hierarchy(KeyType::EcdsaP256, 2), hierarchy(KeyType::EcdsaP384, 1));
    comes_up(IkeMode::V2, |w, e| {
        certified(w, &one, None);
        trusting(e, &one);
        certified(e, &other, None);
        trusting(w, &other);
    })
    .await;
    let shared = hierarchy(KeyType::EcdsaP256, 2);
    comes_up(IkeMode::V2, |w, e| {
        for side in [w, e] {
            certified(side, &shared, None);
            trusting(side, &shared);
        }
    })
    .await;
}

#[tokio::test]
async fn flawed_certificates_are_refused() {
    let ca = hierarchy(KeyType::EcdsaP256, 1);
    for (flaw, because) in [
        (Flaw::Expired, "certificate invalid (valid from"),
        (Flaw::NotYetValid, "certificate invalid (valid from"),
        (Flaw::UnknownAuthority, "no trusted ECDSA public key found"),
        (Flaw::IntermediatesMissing, "no trusted ECDSA public key found"),
        (Flaw::OtherIdentity, "no trusted ECDSA public key found"),
    ] {
        is_refused(because, |w, e| {
            certified(w, &ca, Some(flaw));
            trusting(e, &ca);
        })
        .await;
    }
}

/// The west is an EAP client, the east its server, with a certificate or the pre-shared key.
fn eap(method: AuthMethod, ca: Option<&Hierarchy>, password: &str) -> impl FnOnce(&mut GatewayConfig, &mut GatewayConfig) {
    move |w, e| {
        let login = |password: &str| Some(EapLogin { user: "carol".into(), password: password.into() });
        let (client, server) = (&mut w.connections[0].auth, &mut e.connections[0].auth);
        (client.own, client.eap) = (method, login(password));
        (server.peer, server.eap) = (method, login("sesame"));
        if let Some(ca) = ca {
            certified(e, ca, None);
            trusting(w, ca);
        }
    }
}

#[tokio::test]
async fn eap_comes_up() {
    let ca = hierarchy(KeyType::EcdsaP256, 0);
    for (method, word) in [(AuthMethod::EapMschapv2, "EAP_MSCHAPV2"), (AuthMethod::EapMd5, "EAP_MD5")] {
        for ca in [Some(&ca), None] {
            let Some((_, east)) = comes_up(IkeMode::V2, eap(method, ca, "sesame")).await else { return };
            assert!(east.contains(&format!("EAP method {word} succeeded")), "{east}");
        }
    }
}

#[tokio::test]
async fn a_wrong_eap_password_is_refused() {
    // The server offers another try, which a client with one password declines.
    for (method, because) in
        [(AuthMethod::EapMschapv2, "EAP-MS-CHAPv2 verification failed"), (AuthMethod::EapMd5, "EAP method EAP_MD5 failed")]
    {
        let Some((outcome, _, east)) = outcome(IkeMode::V2, eap(method, None, "open up")).await else { return };
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}\n{east}");
        assert!(east.contains(because), "{east}");
    }
}

#[tokio::test]
async fn large_messages_are_fragmented_if_both_want_that() {
    let ca = hierarchy(KeyType::Rsa2048, 2);
    for (fragmentation, size) in [(true, 576), (true, 1280), (false, 1280)] {
        let up = comes_up(IkeMode::V2, |w, e| {
            certified(w, &ca, None);
            trusting(e, &ca);
            w.connections[0].options.fragmentation = fragmentation;
            w.connections[0].options.fragment_size = size;
        });
        let Some((west, _)) = up.await else { return };
        assert_eq!(west.contains("splitting IKE message"), fragmentation, "{west}");
    }
}

#[tokio::test]
async fn a_client_gets_an_address_and_a_name_server() {
    let up = comes_up(IkeMode::V2, |w, e| {
        w.connections[0].options.virtual_ip = true;
        e.connections[0].options.pool = Some("10.77.0.0/28".parse().unwrap());
        e.connections[0].options.dns = vec!["10.2.0.53".parse().unwrap()];
    });
    let Some((west, east)) = up.await else { return };
    assert!(west.contains("installing new virtual IP 10.77.0.1"), "{west}");
    assert!(east.contains("assigning virtual IP 10.77.0.1"), "{east}");
    assert!(west.contains("10.77.0.1/32 === 10.2.0.0/24"), "{west}");
}

#[tokio::test]
async fn a_childless_ike_sa_gets_its_child_later() {
    let Some((west, _)) = comes_up(IkeMode::V2, |w, _| w.connections[0].options.childless = true).await else { return };
    assert!(west.contains("generating CREATE_CHILD_SA request"), "{west}");
}

#[tokio::test]
async fn what_charon_cannot_do_is_refused_by_name() {
    let Some(lab) = Lab::new().await else { return };
    type Tweak = fn(&mut GatewayConfig);
    let tweaks: [(&str, Tweak); 4] = [
        ("clock_offset", |c| c.clock_offset = -86_400),
        ("misbehave", |c| c.misbehave.switches.never_delete = true),
        ("df of west-east", |c| c.connections[0].options.df = DfBit::Set),
        ("dns of west-east", |c| c.connections[0].options.dns = vec!["10.2.0.53".parse().unwrap()]),
    ];
    for (name, tweak) in tweaks {
        let mut config = lab.config("west", IkeMode::V2);
        tweak(&mut config);
        match lab.start(config).await.err() {
            Some(DriverError::Refused { setting, .. }) => assert_eq!(setting, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}
