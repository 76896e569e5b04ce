//! The settings of `[gateway.<name>]`, also used by the `config` fault.

use crate::schema::{Kind, Param};

/// All settings of a gateway. Lists of proposals use strongSwan's notation.
pub const PARAMS: &[Param] = &[
    Param::default("ike", Kind::Word(&["v1-main", "v1-aggressive", "v2"]), "\"v2\"", "IKE version and mode"),
    Param::optional("psk", Kind::Text, "pre-shared key; default: one common key"),
    Param::optional("id", Kind::Text, "own identity; default `<name>.example`"),
    Param::optional("peer", Kind::Gateway, "the other gateway, when there is more than one other"),
    Param::optional("peer-id", Kind::Text, "identity expected of the peer; default: the peer's own"),
    Param::default("ike-proposals", Kind::List(&Kind::Text), "[\"aes128-sha256-modp2048\"]", "for the IKE SA"),
    Param::default(
        "esp-proposals",
        Kind::List(&Kind::Text),
        "[\"aes128-sha256\", \"aes128-sha1\"]",
        "for ESP, the first choice first; with a DH group: PFS",
    ),
    Param::default("ah-proposals", Kind::List(&Kind::Text), "[]", "for AH, `sha256`; if there are any, AH is used instead of ESP"),
    Param::default("mode", Kind::Word(&["tunnel", "transport"]), "\"tunnel\"", "ESP mode"),
    Param::optional("local-ts", Kind::List(&Kind::Prefix), "own traffic selectors; default: the prefixes its node protects"),
    Param::optional("remote-ts", Kind::List(&Kind::Prefix), "the peer's traffic selectors; default: what the peer's node protects"),
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
    Param::optional("implementation", Kind::Text, "insist on an implementation; normally the pairing decides"),
];
