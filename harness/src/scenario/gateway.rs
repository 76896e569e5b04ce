//! The settings of `[gateway.<name>]`, also used by the `config` fault.

use super::certificates::CERTIFICATE;
use super::children::CHILD;
use super::misbehaviour::MISBEHAVE;
use crate::schema::{Kind, Param};

/// Words of [`peer::AuthMethod`].
const AUTH: Kind = Kind::Word(&["psk", "certificate", "eap-mschapv2", "eap-md5"]);
/// Anything countable.
const AMOUNT: Kind = Kind::Int(0, i64::MAX);

/// All settings of a gateway. Lists of proposals use strongSwan's notation.
pub const PARAMS: &[Param] = &[
    Param::default("ike", Kind::Word(&["v1-main", "v1-aggressive", "v2"]), "\"v2\"", "IKE version and mode"),
    Param::optional("psk", Kind::Secret, "pre-shared key; default: one common key"),
    Param::default("auth", AUTH, "\"psk\"", "how it proves who it is (RFC 7296 §2.15, §2.16)"),
    Param::optional("peer-auth", AUTH, "how the peer must prove itself; default: the peer's own `auth`"),
    Param::optional("eap-user", Kind::Text, "EAP identity; default: own identity; of a server: the peer's"),
    Param::optional("eap-password", Kind::Secret, "EAP password; default: one common password"),
    Param::optional(
        "certificate",
        Kind::Table(CERTIFICATE),
        "own certificate, made when a side begins; only with `auth = \"certificate\"`",
    ),
    Param::optional(
        "trust",
        Kind::List(&Kind::Text),
        "authorities that it trusts, by name; default: the one that issued the peer's certificate",
    ),
    Param::default("clock", Kind::Offset, "\"0s\"", "how far its idea of the date is from the world's; only certificates care"),
    Param::optional("id", Kind::Text, "own identity; default `<name>.example`"),
    Param::optional("peer", Kind::Gateway, "the other gateway, when there is more than one other"),
    Param::optional("peer-id", Kind::Text, "identity expected of the peer; default: the peer's own"),
    Param::default(
        "ike-proposals",
        Kind::List(&Kind::Text),
        "[\"aes128-sha256-modp2048\"]",
        "for the IKE SA; with additional key exchanges (RFC 9370): `aes128-sha256-x25519-ke1_mlkem768`",
    ),
    Param::default(
        "esp-proposals",
        Kind::List(&Kind::Text),
        "[\"aes128-sha256\", \"aes128-sha1\"]",
        "for ESP, the first choice first; with a DH group: PFS; beside it, additional key exchanges: `ke1_mlkem768`",
    ),
    Param::default("ah-proposals", Kind::List(&Kind::Text), "[]", "for AH, `sha256`; if there are any, AH is used instead of ESP"),
    Param::default("mode", Kind::Word(&["tunnel", "transport"]), "\"tunnel\"", "ESP mode"),
    Param::optional("local-ts", Kind::List(&Kind::Prefix), "own traffic selectors; default: the prefixes its node protects"),
    Param::optional("remote-ts", Kind::List(&Kind::Prefix), "the peer's traffic selectors; default: what the peer's node protects"),
    Param::optional(
        "children",
        Kind::List(&Kind::Table(CHILD)),
        "at most 100 child SAs beside the first one, under the same IKE SA (RFC 7296 §1.3.1); what one does not say is as above and below",
    ),
    Param::optional("ike-rekey", Kind::Seconds, "re-key the IKE SA after this long; `0s` and default: never"),
    Param::optional("child-rekey", Kind::Seconds, "re-key the child SA after this long; `0s` and default: never"),
    Param::optional("child-life", Kind::Seconds, "hard lifetime of the child SA; `0s` and default: unlimited"),
    Param::optional("inactivity", Kind::Seconds, "close the child SA after this long without traffic; `0s` and default: never"),
    Param::optional("dpd-delay", Kind::Seconds, "liveness check after this long without news; `0s` and default: off"),
    Param::default("dpd-action", Kind::Word(&["none", "trap", "start"]), "\"none\"", "what to do when the peer is dead"),
    Param::default("start-action", Kind::Word(&["none", "trap", "start"]), "\"none\"", "what to do at start-up"),
    Param::default("close-action", Kind::Word(&["none", "trap", "start"]), "\"none\"", "what to do when the peer closes the child"),
    Param::default("mobike", Kind::Bool, "false", "MOBIKE"),
    Param::default("nat-traversal", Kind::Bool, "true", "look for a NAT, and encapsulate ESP in UDP when there is one"),
    Param::default("force-encap", Kind::Bool, "false", "pretend a NAT so that ESP is always UDP-encapsulated"),
    Param::default("keying-tries", Kind::Int(0, 100), "1", "set-up attempts; 0: for ever"),
    Param::optional("nat-keepalive", Kind::Seconds, "NAT keepalive interval; default 20s, `0s`: off"),
    Param::default("retransmit-timeout", Kind::Duration, "\"300ms\"", "gap before the first retransmission"),
    Param::default("retransmit-base", Kind::Float, "1.8", "factor from one gap to the next"),
    Param::default("retransmit-tries", Kind::Int(0, 20), "3", "retransmissions before giving up"),
    Param::default("fragmentation", Kind::Bool, "true", "fragmentation of encrypted IKEv2 messages (RFC 7383)"),
    Param::default("fragment-size", Kind::Int(256, 65535), "1280", "largest IP datagram of a fragment, octets"),
    Param::default("childless", Kind::Bool, "false", "set the IKE SA up without a child SA (RFC 6023); children follow"),
    Param::optional("reauth", Kind::Seconds, "begin the IKE SA anew, with authentication, after this long; `0s` and default: never"),
    Param::default("virtual-ip", Kind::Bool, "false", "ask for an address inside the peer's network (RFC 7296 §3.15)"),
    Param::optional("pool", Kind::Prefix, "addresses that are given to peers who ask; default: none"),
    Param::default("dns", Kind::List(&Kind::Addr), "[]", "name servers that are told to peers who ask"),
    Param::default("replay-window", Kind::Int(0, 65536), "32", "anti-replay window, packets (RFC 4303 §3.4.3); 0: off"),
    Param::default(
        "df",
        Kind::Word(&["copy", "set", "clear"]),
        "\"copy\"",
        "the outer header's DF bit (RFC 4301 §8.1): from the inner one, always, never",
    ),
    Param::optional("rekey-bytes", AMOUNT, "re-key the child SA after so many octets in one direction; 0 and default: never"),
    Param::optional("rekey-packets", AMOUNT, "re-key the child SA after so many packets in one direction; 0 and default: never"),
    Param::optional("life-bytes", AMOUNT, "hard limit of the child SA, octets; 0 and default: unlimited"),
    Param::optional("life-packets", AMOUNT, "hard limit of the child SA, packets; 0 and default: unlimited"),
    Param::default(
        "cookie-threshold",
        Kind::Int(0, 1_000_000),
        "30",
        "half-open IKE SAs from which on a COOKIE is demanded (RFC 7296 §2.6)",
    ),
    Param::default("half-open-per-address", Kind::Int(1, 1_000_000), "5", "half-open IKE SAs that one address may have"),
    Param::default("half-open-timeout", Kind::Seconds, "\"30s\"", "how long an IKE SA may stay half open"),
    Param::optional("misbehave", Kind::Table(MISBEHAVE), "what it does wrong on purpose"),
    Param::optional("implementation", Kind::Text, "insist on an implementation; normally the pairing decides"),
];
