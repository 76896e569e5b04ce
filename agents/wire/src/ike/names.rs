//! Names of IKE's numbers as the RFCs (and so Wireshark) spell them. Versions 1 and 2 have tables of their own.

mod algorithms;

pub use algorithms::*;

/// Exchange type.
pub fn exchange(major: u8, number: u8) -> Option<&'static str> {
    if major == 1 { exchange_v1(number) } else { exchange_v2(number) }
}

/// Payload type, in the RFCs' short notation (`SAi`, `KE`, `Ni` … without the role letter).
pub fn payload(major: u8, number: u8) -> Option<&'static str> {
    if major == 1 { payload_v1(number) } else { payload_v2(number) }
}

/// Notify message type.
pub fn notify(major: u8, number: u16) -> Option<&'static str> {
    if major == 1 { notify_v1(number) } else { notify_v2(number) }
}

/// Number of a notify message type by its name, in either version's table and spelling.
pub fn notify_number(major: u8, name: &str) -> Option<u16> {
    let wanted = name.replace('-', "_");
    (0..=u16::MAX).find(|n| notify(major, *n).is_some_and(|known| known.replace('-', "_").eq_ignore_ascii_case(&wanted)))
}

/// Transform ID of an IKEv2 transform (RFC 7296 §3.3.2).
pub fn transform_id(kind: u8, id: u16) -> Option<&'static str> {
    match kind {
        1 => encryption(id),
        2 => prf(id),
        3 => integrity(id),
        4 | 6..=12 => group(id),
        5 => esn(id),
        _ => None,
    }
}

/// IKEv1 exchange types.
pub fn exchange_v1(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "NONE",
        1 => "Base",
        2 => "Identity Protection (Main Mode)",
        3 => "Authentication Only",
        4 => "Aggressive",
        5 => "Informational",
        6 => "Transaction (Config Mode)",
        32 => "Quick Mode",
        33 => "New Group Mode",
        _ => return None,
    })
}

/// IKEv2 exchange types.
pub fn exchange_v2(number: u8) -> Option<&'static str> {
    Some(match number {
        34 => "IKE_SA_INIT",
        35 => "IKE_AUTH",
        36 => "CREATE_CHILD_SA",
        37 => "INFORMATIONAL",
        38 => "IKE_SESSION_RESUME",
        43 => "IKE_INTERMEDIATE",
        44 => "IKE_FOLLOWUP_KE",
        _ => return None,
    })
}

/// IKEv1 payload types (RFC 2408 §3.1, RFC 3947).
pub fn payload_v1(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "SA",
        2 => "P",
        3 => "T",
        4 => "KE",
        5 => "ID",
        6 => "CERT",
        7 => "CR",
        8 => "HASH",
        9 => "SIG",
        10 => "NONCE",
        11 => "N",
        12 => "D",
        13 => "VID",
        14 => "ATTR",
        20 => "NAT-D",
        21 => "NAT-OA",
        130 => "NAT-D",
        131 => "NAT-OA",
        132 => "FRAG",
        _ => return None,
    })
}

/// IKEv2 payload types (RFC 7296 §3.2).
pub fn payload_v2(number: u8) -> Option<&'static str> {
    Some(match number {
        33 => "SA",
        34 => "KE",
        35 => "IDi",
        36 => "IDr",
        37 => "CERT",
        38 => "CERTREQ",
        39 => "AUTH",
        40 => "Nonce",
        41 => "N",
        42 => "D",
        43 => "V",
        44 => "TSi",
        45 => "TSr",
        46 => "SK",
        47 => "CP",
        48 => "EAP",
        49 => "GSPM",
        53 => "SKF",
        _ => return None,
    })
}

/// IKEv1 notify message types (RFC 2408 §3.14.1, RFC 2407 §4.6.3, RFC 3706).
pub fn notify_v1(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "INVALID-PAYLOAD-TYPE",
        2 => "DOI-NOT-SUPPORTED",
        3 => "SITUATION-NOT-SUPPORTED",
        4 => "INVALID-COOKIE",
        5 => "INVALID-MAJOR-VERSION",
        6 => "INVALID-MINOR-VERSION",
        7 => "INVALID-EXCHANGE-TYPE",
        8 => "INVALID-FLAGS",
        9 => "INVALID-MESSAGE-ID",
        10 => "INVALID-PROTOCOL-ID",
        11 => "INVALID-SPI",
        12 => "INVALID-TRANSFORM-ID",
        13 => "ATTRIBUTES-NOT-SUPPORTED",
        14 => "NO-PROPOSAL-CHOSEN",
        15 => "BAD-PROPOSAL-SYNTAX",
        16 => "PAYLOAD-MALFORMED",
        17 => "INVALID-KEY-INFORMATION",
        18 => "INVALID-ID-INFORMATION",
        19 => "INVALID-CERT-ENCODING",
        20 => "INVALID-CERTIFICATE",
        21 => "CERT-TYPE-UNSUPPORTED",
        22 => "INVALID-CERT-AUTHORITY",
        23 => "INVALID-HASH-INFORMATION",
        24 => "AUTHENTICATION-FAILED",
        25 => "INVALID-SIGNATURE",
        26 => "ADDRESS-NOTIFICATION",
        27 => "NOTIFY-SA-LIFETIME",
        28 => "CERTIFICATE-UNAVAILABLE",
        29 => "UNSUPPORTED-EXCHANGE-TYPE",
        30 => "UNEQUAL-PAYLOAD-LENGTHS",
        16384 => "CONNECTED",
        24576 => "RESPONDER-LIFETIME",
        24577 => "REPLAY-STATUS",
        24578 => "INITIAL-CONTACT",
        36136 => "R-U-THERE",
        36137 => "R-U-THERE-ACK",
        _ => return None,
    })
}

/// IKEv2 notify message types (RFC 7296 §3.10.1 and extensions).
pub fn notify_v2(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "UNSUPPORTED_CRITICAL_PAYLOAD",
        4 => "INVALID_IKE_SPI",
        5 => "INVALID_MAJOR_VERSION",
        7 => "INVALID_SYNTAX",
        9 => "INVALID_MESSAGE_ID",
        11 => "INVALID_SPI",
        14 => "NO_PROPOSAL_CHOSEN",
        17 => "INVALID_KE_PAYLOAD",
        24 => "AUTHENTICATION_FAILED",
        34 => "SINGLE_PAIR_REQUIRED",
        35 => "NO_ADDITIONAL_SAS",
        36 => "INTERNAL_ADDRESS_FAILURE",
        37 => "FAILED_CP_REQUIRED",
        38 => "TS_UNACCEPTABLE",
        39 => "INVALID_SELECTORS",
        40 => "UNACCEPTABLE_ADDRESSES",
        41 => "UNEXPECTED_NAT_DETECTED",
        42 => "USE_ASSIGNED_HoA",
        43 => "TEMPORARY_FAILURE",
        44 => "CHILD_SA_NOT_FOUND",
        45 => "INVALID_GROUP_ID",
        46 => "AUTHORIZATION_FAILED",
        47 => "STATE_NOT_FOUND",
        16384 => "INITIAL_CONTACT",
        16385 => "SET_WINDOW_SIZE",
        16386 => "ADDITIONAL_TS_POSSIBLE",
        16387 => "IPCOMP_SUPPORTED",
        16388 => "NAT_DETECTION_SOURCE_IP",
        16389 => "NAT_DETECTION_DESTINATION_IP",
        16390 => "COOKIE",
        16391 => "USE_TRANSPORT_MODE",
        16392 => "HTTP_CERT_LOOKUP_SUPPORTED",
        16393 => "REKEY_SA",
        16394 => "ESP_TFC_PADDING_NOT_SUPPORTED",
        16395 => "NON_FIRST_FRAGMENTS_ALSO",
        16396 => "MOBIKE_SUPPORTED",
        16397 => "ADDITIONAL_IP4_ADDRESS",
        16398 => "ADDITIONAL_IP6_ADDRESS",
        16399 => "NO_ADDITIONAL_ADDRESSES",
        16400 => "UPDATE_SA_ADDRESSES",
        16401 => "COOKIE2",
        16402 => "NO_NATS_ALLOWED",
        16403 => "AUTH_LIFETIME",
        16404 => "MULTIPLE_AUTH_SUPPORTED",
        16405 => "ANOTHER_AUTH_FOLLOWS",
        16406 => "REDIRECT_SUPPORTED",
        16407 => "REDIRECT",
        16408 => "REDIRECTED_FROM",
        16409 => "TICKET_LT_OPAQUE",
        16410 => "TICKET_REQUEST",
        16411 => "TICKET_ACK",
        16412 => "TICKET_NACK",
        16413 => "TICKET_OPAQUE",
        16414 => "LINK_ID",
        16415 => "USE_WESP_MODE",
        16416 => "ROHC_SUPPORTED",
        16417 => "EAP_ONLY_AUTHENTICATION",
        16418 => "CHILDLESS_IKEV2_SUPPORTED",
        16419 => "QUICK_CRASH_DETECTION",
        16420 => "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
        16421 => "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED",
        16422 => "IKEV2_MESSAGE_ID_SYNC",
        16423 => "IPSEC_REPLAY_COUNTER_SYNC",
        16424 => "SECURE_PASSWORD_METHODS",
        16425 => "PSK_PERSIST",
        16426 => "PSK_CONFIRM",
        16427 => "ERX_SUPPORTED",
        16428 => "IFOM_CAPABILITY",
        16429 => "SENDER_REQUEST_ID",
        16430 => "IKEV2_FRAGMENTATION_SUPPORTED",
        16431 => "SIGNATURE_HASH_ALGORITHMS",
        16432 => "CLONE_IKE_SA_SUPPORTED",
        16433 => "CLONE_IKE_SA",
        16434 => "PUZZLE",
        16435 => "USE_PPK",
        16436 => "PPK_IDENTITY",
        16437 => "NO_PPK_AUTH",
        16438 => "INTERMEDIATE_EXCHANGE_SUPPORTED",
        16439 => "IP4_ALLOWED",
        16440 => "IP6_ALLOWED",
        16441 => "ADDITIONAL_KEY_EXCHANGE",
        16442 => "USE_AGGFRAG",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_have_separate_tables() {
        assert_eq!(notify(1, 14), Some("NO-PROPOSAL-CHOSEN"));
        assert_eq!(notify(2, 14), Some("NO_PROPOSAL_CHOSEN"));
        assert_eq!(notify(1, 16388), None);
        assert_eq!(notify_number(1, "no_proposal_chosen"), Some(14));
        assert_eq!(notify_number(2, "COOKIE"), Some(16390));
        assert_eq!(exchange(2, 34), Some("IKE_SA_INIT"));
        assert_eq!(payload(1, 20), Some("NAT-D"));
        assert_eq!(transform_id(4, 31), Some("CURVE_25519"));
        assert_eq!(["ENCR_DES", "DES", "DES_CBC"].map(encryption_number), [Some(2); 3]);
        assert_eq!((encryption_number("CAMELLIA_CBC"), encryption_number("SERPENT_CBC")), (Some(23), None));
        assert_eq!(["AUTH_AES_XCBC_96", "AES_XCBC_96"].map(integrity_number), [Some(5); 2]);
    }
}
