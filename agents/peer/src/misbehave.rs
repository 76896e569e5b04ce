//! Deliberate misbehaviour of a gateway: explicit, typed, off by default. Each switch names the rule that it breaks.
//!
//! Messages are numbered as a peer would count them: the n-th *unique* message in one direction of one IKE SA, beginning with 1;
//! a retransmission keeps its number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// All misbehaviour of one gateway.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Misbehave {
    /// What happens to single IKE messages.
    pub messages: Vec<MessageRule>,
    /// Notify message types that are left out of everything sent (RFC 7296 §3.10.1).
    pub omit_notify: Vec<u16>,
    /// Notify message types that are not looked at when they arrive.
    pub ignore_notify: Vec<u16>,
    /// Switches about the life of SAs and about ESP.
    pub switches: Switches,
}

/// Misbehaviour that is on or off, or has a figure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switches {
    /// Requests are never sent again (breaks RFC 7296 §2.1: a requester must retransmit).
    pub no_retransmit: bool,
    /// A child SA is not re-keyed when its soft lifetime ends (breaks RFC 7296 §2.8).
    pub ignore_soft_expiry: bool,
    /// An SA is used on after its hard lifetime (breaks RFC 4301 §4.4.2.1).
    pub ignore_hard_expiry: bool,
    /// SAs disappear without a DELETE (breaks RFC 7296 §1.4.1).
    pub never_delete: bool,
    /// Requests that re-key are not answered at all (breaks RFC 7296 §2.1).
    pub ignore_rekey: bool,
    /// Re-keying is answered with an SPI that is never installed (breaks RFC 7296 §2.8).
    pub rekey_without_install: bool,
    /// Requests whose source port is not 500 are not answered (breaks RFC 7296 §2.11).
    pub strict_source_port: bool,
    /// Every KE payload is refused with INVALID_KE_PAYLOAD, in turn for another group (breaks RFC 7296 §1.2).
    pub reject_ke_forever: bool,
    /// A COOKIE that was demanded is not returned (breaks RFC 7296 §2.6).
    pub drop_cookie: bool,
    /// A COOKIE is returned altered (breaks RFC 7296 §2.6).
    pub mangle_cookie: bool,
    /// Liveness checks are not answered (breaks RFC 7296 §2.4).
    pub ignore_dpd: bool,
    /// Octets of the ESP ICV instead of the algorithm's (breaks RFC 4868 §2.3, as some kernels' 96-bit HMAC-SHA2-256 does).
    pub esp_icv_len: Option<u8>,
    /// The ESP sequence number begins anew after this many packets (breaks RFC 4303 §2.2).
    pub reset_esp_sequence_after: Option<u32>,
    /// The peer's identity is not compared with what is expected (breaks RFC 4301 §4.4.3).
    pub accept_any_id: bool,
    /// Whoever says who it is has proved it: the content of AUTH is not verified (breaks RFC 7296 §2.15).
    pub accept_any_auth: bool,
    /// Own traffic selectors are not narrowed to what the peer offers (breaks RFC 7296 §2.9).
    pub no_narrowing: bool,
}

/// One rule for messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageRule {
    /// Which messages.
    pub which: WhichMessage,
    /// What happens to them.
    pub action: MessageAction,
}

/// Selects messages. Every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhichMessage {
    /// Those received, not those sent.
    pub inbound: bool,
    /// The n-th unique message of its direction in its IKE SA, counted from 1.
    pub nth: Option<u32>,
    /// Exchange type (RFC 7296 §3.1).
    pub exchange: Option<u8>,
    /// Responses only, or requests only.
    pub response: Option<bool>,
}

/// What happens to a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageAction {
    /// It and all its retransmissions are lost.
    Block,
    /// Its first copy is lost; retransmissions pass.
    Drop,
    /// It is sent or taken in this many times more.
    Duplicate(u32),
    /// It arrives this much later.
    Delay(Duration),
    /// It is sent or taken in once more, this much later.
    Replay(Duration),
    /// It is altered.
    Bend(Bend),
}

/// An alteration of an outbound message. Contents are altered before encryption, headers after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bend {
    /// Another initiator's SPI.
    SpiI(u64),
    /// Another responder's SPI.
    SpiR(u64),
    /// Another version octet: 0x30 is a higher major version (RFC 7296 §2.5), 0x2f a higher minor one.
    Version(u8),
    /// Another exchange type.
    Exchange(u8),
    /// These flag bits are inverted (RFC 7296 §3.1).
    FlipFlags(u8),
    /// Another message ID (RFC 7296 §2.2).
    MessageId(u32),
    /// The header's length field is off by this many octets.
    Length(i32),
    /// Reserved bits of each payload's generic header are set (RFC 7296 §2.5 tells receivers to ignore them).
    Reserved,
    /// Payloads of this type are left out.
    OmitPayload(u8),
    /// An unknown payload is put first; `critical` tells the receiver to refuse it (RFC 7296 §2.5).
    UnknownPayload {
        /// Payload type.
        kind: u8,
        /// Critical bit.
        critical: bool,
        /// Octets of data.
        len: u16,
    },
    /// The first payload of this type occurs twice.
    DoublePayload(u8),
    /// The first payload of this type has its last octet altered.
    CorruptPayload(u8),
    /// The first payload of this type has no data.
    EmptyPayload(u8),
    /// The first payload of this type is this many octets longer (with zeros) or shorter.
    ResizePayload {
        /// Payload type.
        kind: u8,
        /// Octets.
        by: i32,
    },
    /// Octets in the first payload of this type are others.
    SetOctets {
        /// Payload type.
        kind: u8,
        /// How far from the payload's start; its generic header has 4 octets.
        at: u16,
        /// What is there instead; what lies beyond the payload's end is left out.
        octets: Vec<u8>,
    },
    /// A notify more.
    AddNotify {
        /// Notify message type.
        kind: u16,
        /// Notification data.
        data: Vec<u8>,
    },
    /// The whole message is replaced by this notify, in clear (breaks RFC 7296 §2.21).
    UnencryptedNotify(u16),
    /// The order of the payloads is reversed.
    ReversePayloads,
    /// One octet of the encrypted part is altered after encryption: the integrity check must fail.
    CorruptEncrypted,
    /// Zero octets are added so that the message has at least this many (an IKE_AUTH that must be fragmented): a Vendor ID.
    FillTo(u16),
}
