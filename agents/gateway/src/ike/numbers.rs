//! IANA's numbers that the gateway uses by name (RFC 7296 §3, and the RFCs of its extensions).

/// Exchange types.
pub(crate) mod exchange {
    pub(crate) const IKE_SA_INIT: u8 = 34;
    pub(crate) const IKE_AUTH: u8 = 35;
    pub(crate) const CREATE_CHILD_SA: u8 = 36;
    pub(crate) const INFORMATIONAL: u8 = 37;
    pub(crate) const IKE_INTERMEDIATE: u8 = 43;
    pub(crate) const IKE_FOLLOWUP_KE: u8 = 44;
}

/// Payload types.
pub(crate) mod payload {
    pub(crate) const SA: u8 = 33;
    pub(crate) const KE: u8 = 34;
    pub(crate) const IDI: u8 = 35;
    pub(crate) const IDR: u8 = 36;
    pub(crate) const CERT: u8 = 37;
    pub(crate) const CERTREQ: u8 = 38;
    pub(crate) const AUTH: u8 = 39;
    pub(crate) const NONCE: u8 = 40;
    pub(crate) const NOTIFY: u8 = 41;
    pub(crate) const DELETE: u8 = 42;
    pub(crate) const TSI: u8 = 44;
    pub(crate) const TSR: u8 = 45;
    pub(crate) const CP: u8 = 47;
    pub(crate) const EAP: u8 = 48;
    /// All that a receiver of a standard message must know (RFC 7296 §2.5): others with the critical bit are refused.
    pub(crate) const KNOWN: std::ops::RangeInclusive<u8> = SA..=53;
}

/// Notify message types. Below 16384 they are errors.
pub(crate) mod notify {
    pub(crate) const UNSUPPORTED_CRITICAL_PAYLOAD: u16 = 1;
    pub(crate) const INVALID_MAJOR_VERSION: u16 = 5;
    pub(crate) const INVALID_SYNTAX: u16 = 7;
    pub(crate) const NO_PROPOSAL_CHOSEN: u16 = 14;
    pub(crate) const INVALID_KE_PAYLOAD: u16 = 17;
    pub(crate) const AUTHENTICATION_FAILED: u16 = 24;
    pub(crate) const INTERNAL_ADDRESS_FAILURE: u16 = 36;
    pub(crate) const TS_UNACCEPTABLE: u16 = 38;
    pub(crate) const UNEXPECTED_NAT_DETECTED: u16 = 41;
    pub(crate) const TEMPORARY_FAILURE: u16 = 43;
    pub(crate) const CHILD_SA_NOT_FOUND: u16 = 44;
    pub(crate) const STATE_NOT_FOUND: u16 = 47;
    /// The first status type.
    pub(crate) const STATUS: u16 = 16384;
    pub(crate) const INITIAL_CONTACT: u16 = 16384;
    pub(crate) const NAT_DETECTION_SOURCE_IP: u16 = 16388;
    pub(crate) const NAT_DETECTION_DESTINATION_IP: u16 = 16389;
    pub(crate) const COOKIE: u16 = 16390;
    pub(crate) const USE_TRANSPORT_MODE: u16 = 16391;
    pub(crate) const REKEY_SA: u16 = 16393;
    pub(crate) const ESP_TFC_PADDING_NOT_SUPPORTED: u16 = 16394;
    pub(crate) const MOBIKE_SUPPORTED: u16 = 16396;
    pub(crate) const UPDATE_SA_ADDRESSES: u16 = 16400;
    pub(crate) const COOKIE2: u16 = 16401;
    pub(crate) const NO_NATS_ALLOWED: u16 = 16402;
    pub(crate) const CHILDLESS_IKEV2_SUPPORTED: u16 = 16418;
    pub(crate) const IKEV2_FRAGMENTATION_SUPPORTED: u16 = 16430;
    pub(crate) const SIGNATURE_HASH_ALGORITHMS: u16 = 16431;
    pub(crate) const INTERMEDIATE_EXCHANGE_SUPPORTED: u16 = 16438;
    pub(crate) const ADDITIONAL_KEY_EXCHANGE: u16 = 16441;
}

/// Header flags (RFC 7296 §3.1).
pub(crate) mod flags {
    pub(crate) const INITIATOR: u8 = 0x08;
    pub(crate) const RESPONSE: u8 = 0x20;
}

/// Version octet of IKEv2.
pub(crate) const VERSION: u8 = 0x20;
