//! tshark decrypts what the real charon sent, with the keys that the driver found.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lab::Lab;
use peer::*;

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

fn ike_cipher(cipher: Cipher) -> &'static str {
    match cipher {
        Cipher::TripleDes => "3DES [RFC2451]",
        Cipher::AesCbc(128) => "AES-CBC-128 [RFC3602]",
        Cipher::AesCbc(256) => "AES-CBC-256 [RFC3602]",
        Cipher::AesGcm(128, 16) => "AES-GCM-128 with 16 octet ICV [RFC5282]",
        Cipher::AesGcm(256, 16) => "AES-GCM-256 with 16 octet ICV [RFC5282]",
        other => panic!("{other:?}"),
    }
}

fn ike_integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::None => "NONE [RFC4306]",
        Integrity::HmacSha1_96 => "HMAC_SHA1_96 [RFC2404]",
        Integrity::HmacSha2_256_128 => "HMAC_SHA2_256_128 [RFC4868]",
        other => panic!("{other:?}"),
    }
}

fn esp_cipher(cipher: Cipher) -> &'static str {
    match cipher {
        Cipher::TripleDes => "TripleDES-CBC [RFC2451]",
        Cipher::AesCbc(_) => "AES-CBC [RFC3602]",
        Cipher::AesGcm(..) => "AES-GCM with 16 octet ICV [RFC4106]",
        other => panic!("{other:?}"),
    }
}

fn esp_integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::None => "NULL",
        Integrity::HmacSha1_96 => "HMAC-SHA-1-96 [RFC2404]",
        Integrity::HmacSha2_256_128 => "HMAC-SHA-256-128 [RFC4868]",
        other => panic!("{other:?}"),
    }
}

fn tables(keys: &Keys) -> Vec<String> {
    let mut rows = vec!["esp.enable_encryption_decode:TRUE".to_owned()];
    rows.extend(keys.ikev2.iter().map(|k| {
        format!(
            "uat:ikev2_decryption_table:{:016x},{:016x},{},{},\"{}\",{},{},\"{}\"",
            k.spi_i,
            k.spi_r,
            hex(&k.sk_ei),
            hex(&k.sk_er),
            ike_cipher(k.encryption),
            hex(&k.sk_ai),
            hex(&k.sk_ar),
            ike_integrity(k.integrity)
        )
    }));
    rows.extend(keys.ikev1.iter().map(|k| format!("uat:ikev1_decryption_table:{:016x},{}", k.cookie_i, hex(&k.key))));
    rows.extend(keys.esp.iter().map(|k| {
        format!(
            "uat:esp_sa:\"IPv4\",\"*\",\"{}\",\"0x{:08x}\",\"{}\",\"0x{}\",\"{}\",\"0x{}\"",
            k.dst.unwrap(),
            k.spi,
            esp_cipher(k.encryption),
            hex(&k.key),
            esp_integrity(k.integrity),
            hex(&k.integrity_key)
        )
    }));
    rows
}

fn tshark(file: &Path, keys: &Keys, filter: &str) -> String {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-Y", filter]);
    for row in tables(keys) {
        command.args(["-o", &row]);
    }
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

async fn decrypts(ike: IkeMode, proposal: &str, esp: &str) {
    let Some(lab) = Lab::new().await else { return };
    decrypts_in(lab, ike, proposal, esp).await;
}

async fn decrypts_in(lab: Lab, ike: IkeMode, proposal: &str, esp: &str) {
    if Command::new("tshark").arg("-v").output().is_err() {
        eprintln!("skipped: tshark is not installed");
        return;
    }
    let capture = lab.capture();
    let (mut west, mut east) = lab
        .pair(ike, |w, e| {
            for side in [w, e] {
                side.connections[0].ike_proposals = vec![proposal.into()];
                side.connections[0].esp_proposals = vec![esp.into()];
            }
        })
        .await;
    assert_eq!(west.gateway.initiate("west-east", Duration::from_secs(15)).await.unwrap(), Outcome::Established, "{}", west.log());
    // IKEv1: east has its child SA when quick mode's third message has come, which may be after west's first packet.
    east.until("east's child SA", |e| matches!(e, GatewayEventKind::ChildUp { .. })).await;
    // Nobody listens there: the answer is an ICMP error, and both pass through the tunnel.
    let _ = lab.run("west", &["bash", "-c", "exec 3<>/dev/udp/10.2.0.1/9; echo hi >&3; read -t 2 -u 3"]);
    let keys = west.gateway.keys().await;
    west.gateway.stop(false).await.unwrap();
    let file = capture.stop();
    let seen = |filter: &str| {
        let lines = tshark(&file, &keys, filter).lines().count();
        assert!(lines > 0, "{proposal} {esp}: nothing matches {filter}; keys {keys:?}\n{}", tshark(&file, &keys, "isakmp or esp"));
    };
    if ike == IkeMode::V2 {
        seen("isakmp.exchangetype == 35 and isakmp.auth.data and isakmp.flag_r == 0");
        seen("isakmp.exchangetype == 35 and isakmp.auth.data and isakmp.flag_r == 1");
    } else {
        // The last messages of main mode show the identity; a quick mode its hash and its proposal.
        if ike == IkeMode::V1Main {
            seen("isakmp.exchangetype == 2 and isakmp.flag_e == 1 and isakmp.id.data.fqdn");
        }
        seen("isakmp.exchangetype == 32 and isakmp.hash");
    }
    seen("esp and udp.dstport == 9 and not icmp");
    seen("esp and icmp.type == 3");
}

#[tokio::test]
async fn ikev2_with_several_suites() {
    for (ike, esp) in [
        ("aes128-sha256-modp2048", "aes128-sha256"),
        ("aes128-sha1-modp1024", "3des-sha1"),
        ("3des-sha1-modp1024", "aes128gcm16"),
        ("aes256gcm16-prfsha384-ecp384", "aes256gcm16"),
        ("aes128-sha256-ecp256", "aes128-sha256-ecp256"),
    ] {
        decrypts(IkeMode::V2, ike, esp).await;
    }
}

#[tokio::test]
async fn main_mode_with_several_suites() {
    for (ike, esp) in [
        ("aes128-sha256-modp2048", "aes128-sha256"),
        ("aes128-sha1-modp1024", "3des-sha1-modp1024"),
        ("3des-sha1-modp1024", "aes128gcm16"),
        ("aes128-sha256-ecp256", "aes128-sha256"),
    ] {
        decrypts(IkeMode::V1Main, ike, esp).await;
    }
}

/// East loses quick mode's third message: west has its child SA, and east drops what comes on it until the message comes again.
#[tokio::test]
async fn main_mode_whose_last_message_comes_late() {
    let Some(lab) = Lab::new().await else { return };
    // Behind UDP's header and the non-ESP marker, octet 18 is the exchange type; west's second quick mode message is the third one.
    let third = "add rule inet late input udp dport 4500 @th,64,32 0 @th,240,8 32 numgen inc mod 1000 == 1 drop";
    let rules = format!("add table inet late; add chain inet late input {{ type filter hook input priority 0; }}; {third}");
    match Command::new("nft").arg("-v").output() {
        Ok(_) => assert_eq!(String::from_utf8_lossy(&lab.run("east", &["nft", &rules]).stderr), ""),
        Err(_) => return eprintln!("skipped: nft is not installed"),
    }
    decrypts_in(lab, IkeMode::V1Main, "aes128-sha256-ecp256", "aes128-sha256").await;
}

#[tokio::test]
async fn aggressive_mode() {
    decrypts(IkeMode::V1Aggressive, "aes128-sha256-modp2048", "aes128-sha256").await;
}
