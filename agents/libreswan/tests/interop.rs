//! libreswan's pluto against strongSwan's charon, both directions.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::time::Duration;

use lab::Lab;
use peer::*;

const LONG: Duration = Duration::from_secs(30);

async fn comes_up(ike: IkeMode, proposal: &str, esp: &str) {
    for strongswan_in_the_west in [false, true] {
        let Some(lab) = Lab::interop(strongswan_in_the_west).await else { return };
        let tweak = |w: &mut GatewayConfig, e: &mut GatewayConfig| {
            for side in [w, e] {
                side.connections[0].ike_proposals = vec![proposal.into()];
                side.connections[0].esp_proposals = vec![esp.into()];
            }
        };
        let (mut west, mut east) = lab.pair(ike, tweak).await;
        let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
        assert_eq!(outcome, Outcome::Established, "{ike:?} {strongswan_in_the_west}\n{}\n{}", west.log(), east.log());
        let up = |e: &GatewayEventKind| matches!(e, GatewayEventKind::ChildUp { .. });
        let GatewayEventKind::ChildUp { spi_in, spi_out, .. } = west.until("child up", up).await else { unreachable!() };
        let told = east.until("child up", up).await;
        assert!(matches!(told, GatewayEventKind::ChildUp { spi_in: i, spi_out: o, .. } if (i, o) == (spi_out, spi_in)), "{told:?}");
        assert!(lab.reaches("west", "10.2.0.1") && lab.reaches("east", "10.1.0.1"), "{}", lab.kernel("west"));
        let (a, b) = (west.gateway.keys().await, east.gateway.keys().await);
        // What pluto found in its log is what charon found in its own.
        assert_eq!(without_parity(&a.ikev2), without_parity(&b.ikev2), "{ike:?} {proposal}");
        assert!(a.esp.len() == 2 && a.esp.iter().all(|k| b.esp.contains(k)), "{a:?} {b:?}");
        // A goodbye is understood both ways.
        west.gateway.stop(false).await.unwrap();
        east.until("child down", |e| matches!(e, GatewayEventKind::ChildDown { .. })).await;
    }
}

/// NSS sets the parity bits of DES keys, which mean nothing.
fn without_parity(keys: &[Ikev2Keys]) -> Vec<Ikev2Keys> {
    let mut keys = keys.to_vec();
    for k in keys.iter_mut().filter(|k| k.encryption == Cipher::TripleDes) {
        k.sk_ei.iter_mut().chain(&mut k.sk_er).for_each(|octet| *octet &= 0xfe);
    }
    keys
}

#[tokio::test]
async fn ikev2() {
    comes_up(IkeMode::V2, "aes128-sha256-modp2048", "aes128-sha256").await;
    comes_up(IkeMode::V2, "aes256gcm16-prfsha384-ecp384", "aes256gcm16").await;
    comes_up(IkeMode::V2, "3des-sha1-modp2048", "3des-sha1-modp2048").await;
}

#[tokio::test]
async fn main_mode() {
    comes_up(IkeMode::V1Main, "aes128-sha256-modp2048", "aes128-sha256").await;
    comes_up(IkeMode::V1Main, "3des-sha1-modp2048", "3des-sha1-modp2048").await;
}

#[tokio::test]
async fn aggressive_mode() {
    comes_up(IkeMode::V1Aggressive, "aes128-sha256-modp2048", "aes128-sha256").await;
}

#[tokio::test]
async fn a_wrong_psk_is_told_by_either_side() {
    for strongswan_in_the_west in [false, true] {
        let Some(lab) = Lab::interop(strongswan_in_the_west).await else { return };
        let (mut west, _east) = lab.pair(IkeMode::V2, |w, _| w.connections[0].psk = "wrong".into()).await;
        let outcome = west.gateway.initiate("west-east", LONG).await.unwrap();
        let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("AUTHENTICATION_FAILED"), "{reason}");
    }
}
