//! What implementations do not have, as data: a row that needs it is skipped for this reason.

use peer::Capability;

use super::rows::Row;

struct Lack {
    /// `""`: whoever plays.
    peer: &'static str,
    /// Beginnings of rows' names.
    what: &'static [&'static str],
    reason: &'static str,
}

const LACKS: &[Lack] = &[
    Lack { peer: "", what: &["ecp224bp", "ecp512bp"], reason: "the in-house gateway has no Brainpool of 224 and 512 bits: no crate has" },
    Lack {
        peer: "strongswan",
        what: &["sha256_96"],
        reason: "a number for private use: strongSwan speaks it only with those that send its vendor ID",
    },
    Lack { peer: "libreswan", what: &["aes128ccm", "aes192ccm", "aes256ccm"], reason: "libreswan has AES-CCM for ESP only" },
    Lack { peer: "libreswan", what: &["camellia128c", "camellia192c", "camellia256c"], reason: "libreswan has Camellia in CBC mode only" },
    Lack { peer: "libreswan", what: &["blowfish", "cast128", "des "], reason: "libreswan has no such cipher" },
    Lack { peer: "libreswan", what: &["aescmac"], reason: "libreswan has AES-CMAC for ESP only" },
    Lack { peer: "libreswan", what: &["md5_128", "sha1_160", "sha256_96"], reason: "libreswan has no such length" },
    Lack { peer: "libreswan", what: &["prf"], reason: "libreswan makes PRF and integrity of the same hash" },
    Lack {
        peer: "libreswan",
        what: &["modp768", "modp1024", "modp1024s160", "modp2048s224", "modp2048s256", "ecp192", "ecp224", "ecp256bp", "ecp384bp", "x448"],
        reason: "Debian's libreswan has no such group",
    },
    Lack { peer: "libreswan", what: &["mlkem"], reason: "libreswan has no ML-KEM" },
    Lack { peer: "libreswan", what: &["EAP"], reason: "libreswan has no EAP" },
    Lack { peer: "libreswan", what: &["fragments"], reason: "libreswan's fragments have a fixed size" },
    Lack { peer: "openiked", what: &["PSK"], reason: "both sides of a policy of OpenIKED prove themselves in the same way" },
    Lack {
        peer: "openiked",
        what: &["intermediate CA", "ECDSA, intermediate CA"],
        reason: "OpenIKED sends one certificate, and takes one from its peer",
    },
    Lack { peer: "openiked", what: &["EAP-MD5"], reason: "of EAP, OpenIKED has the server of EAP-MSCHAPv2" },
    Lack { peer: "openiked", what: &["fragments"], reason: "OpenIKED's fragments have a fixed size" },
    Lack { peer: "libreswan", what: &["x25519 and"], reason: "Debian's libreswan has no additional key exchanges (RFC 9370)" },
    Lack { peer: "openiked", what: &["two child SAs"], reason: "OpenIKED makes one child SA of all selectors towards a peer" },
    Lack { peer: "openiked", what: &["aes128gcm", "aes192gcm", "aes256gcm", "chacha20"], reason: "PF_KEY on Linux has no AEAD ciphers" },
    Lack {
        peer: "openiked",
        what: &["aes128ccm", "aes192ccm", "aes256ccm", "camellia", "blowfish", "cast128", "des ", "null"],
        reason: "OpenIKED has no such cipher for a kernel SA",
    },
    Lack { peer: "openiked", what: &["aes128ctr", "aes192ctr", "aes256ctr"], reason: "OpenIKED has counter mode for ESP only" },
    Lack {
        peer: "openiked",
        what: &["sha256", "aesxcbc", "aescmac", "md5_128", "sha1_160", "sha256_96", "prfaes"],
        reason: "OpenIKED for Linux cannot give a kernel SA that",
    },
    Lack { peer: "openiked", what: &["x25519 and"], reason: "OpenIKED has no additional key exchanges (RFC 9370)" },
    Lack {
        peer: "openiked",
        what: &["modp1024s160", "modp2048s224", "modp2048s256", "x448", "mlkem"],
        reason: "OpenIKED has no such group",
    },
];

/// What the one that responds does not have.
const RESPONDING: &[Lack] = &[
    Lack { peer: "libreswan", what: &["MOBIKE"], reason: "libreswan agrees to MOBIKE only with peers from any address (right=%any)" },
    Lack { peer: "libreswan", what: &["COOKIE"], reason: "the lab does not translate half-open limits for libreswan" },
    Lack { peer: "openiked", what: &["COOKIE"], reason: "the lab does not translate half-open limits for OpenIKED" },
    Lack { peer: "openiked", what: &["IKE SA without a child"], reason: "OpenIKED has no childless IKE SAs" },
];

/// What the one that begins, and hence does what the row is about, does not have.
const BEGINNING: &[Lack] = &[
    Lack { peer: "libreswan", what: &["IKE SA re-auth"], reason: "the lab does not translate re-authentication for libreswan" },
    Lack { peer: "libreswan", what: &["IKE SA without a child"], reason: "libreswan never begins without a child SA" },
    Lack { peer: "openiked", what: &["EAP"], reason: "of EAP, OpenIKED has the server of EAP-MSCHAPv2" },
    Lack { peer: "openiked", what: &["IKE SA re-auth"], reason: "the lab does not translate re-authentication for OpenIKED" },
    Lack { peer: "openiked", what: &["IKE SA without a child"], reason: "OpenIKED has no childless IKE SAs" },
    Lack {
        peer: "openiked",
        what: &["liveness"],
        reason: "PF_KEY on Linux does not tell OpenIKED when an SA was last used, so it never asks",
    },
    Lack { peer: "openiked", what: &["MOBIKE"], reason: "OpenIKED does MOBIKE only for a peer that moves" },
    Lack { peer: "openiked", what: &["ESP in UDP without"], reason: "OpenIKED cannot pretend that there is a NAT" },
    Lack {
        peer: "openiked",
        what: &["child SA re-keyed"],
        reason: "OpenIKED on Linux closes a child SA at the end of its life and sets up another one",
    },
];

/// What some builds of an implementation have and others not: the daemon was asked.
const ASKED: [(&[&str], Capability); 2] =
    [(&["mlkem", "x25519 and ML-KEM"], Capability::MlKem), (&["x25519 and"], Capability::AdditionalKe)];

/// Returns the first capability that the row needs and the daemon said it does not have.
pub fn not_there(row: &Row, has: &[Capability]) -> Option<Capability> {
    let needed = ASKED.iter().filter(|(names, _)| names.iter().any(|n| row.name.starts_with(n)));
    needed.map(|(_, capability)| *capability).find(|c| !has.contains(c))
}

/// Why this peer cannot play the row; `begins`: it is the one that begins.
pub fn lack(peer: &str, row: &Row, begins: bool) -> Option<&'static str> {
    let needs = |what: &&str| row.name.starts_with(what);
    let mut all = LACKS.iter().chain(if begins { BEGINNING } else { RESPONDING });
    all.find(|l| (l.peer.is_empty() || l.peer == peer) && l.what.iter().any(needs)).map(|l| l.reason)
}
