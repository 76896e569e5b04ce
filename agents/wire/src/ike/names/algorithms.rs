//! Transforms, algorithms, authentication methods and other small registries.

/// IKEv2 transform types.
pub fn transform_type(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "ENCR",
        2 => "PRF",
        3 => "INTEG",
        4 => "KE",
        5 => "ESN",
        6 => "ADDKE1",
        7 => "ADDKE2",
        8 => "ADDKE3",
        9 => "ADDKE4",
        10 => "ADDKE5",
        11 => "ADDKE6",
        12 => "ADDKE7",
        _ => return None,
    })
}

/// Encryption algorithms (transform type 1).
pub fn encryption(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "ENCR_DES_IV64",
        2 => "ENCR_DES",
        3 => "ENCR_3DES",
        4 => "ENCR_RC5",
        5 => "ENCR_IDEA",
        6 => "ENCR_CAST",
        7 => "ENCR_BLOWFISH",
        11 => "ENCR_NULL",
        12 => "ENCR_AES_CBC",
        13 => "ENCR_AES_CTR",
        14 => "ENCR_AES_CCM_8",
        15 => "ENCR_AES_CCM_12",
        16 => "ENCR_AES_CCM_16",
        18 => "ENCR_AES_GCM_8",
        19 => "ENCR_AES_GCM_12",
        20 => "ENCR_AES_GCM_16",
        21 => "ENCR_NULL_AUTH_AES_GMAC",
        23 => "ENCR_CAMELLIA_CBC",
        24 => "ENCR_CAMELLIA_CTR",
        25 => "ENCR_CAMELLIA_CCM_8",
        26 => "ENCR_CAMELLIA_CCM_12",
        27 => "ENCR_CAMELLIA_CCM_16",
        28 => "ENCR_CHACHA20_POLY1305",
        _ => return None,
    })
}

/// Number of an encryption algorithm by its name: the RFCs' one, without `ENCR_`, or with `_CBC` where they leave that out.
pub fn encryption_number(name: &str) -> Option<u16> {
    let wanted = name.strip_prefix("ENCR_").unwrap_or(name);
    if wanted == "NULL_AES_GMAC" {
        return Some(21); // strongSwan's and OpenIKED's spelling
    }
    let matches = |known: &str| known == wanted || Some(known) == wanted.strip_suffix("_CBC");
    (0..64).find(|n| encryption(*n).and_then(|known| known.strip_prefix("ENCR_")).is_some_and(matches))
}

/// Number of an integrity algorithm by its name: the RFCs' one, or without `AUTH_`.
pub fn integrity_number(name: &str) -> Option<u16> {
    let matches = |known: &str| known == name || known.strip_prefix("AUTH_") == Some(name);
    (0..64).find(|n| integrity(*n).is_some_and(matches))
}

/// Pseudo-random functions (transform type 2).
pub fn prf(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "PRF_HMAC_MD5",
        2 => "PRF_HMAC_SHA1",
        3 => "PRF_HMAC_TIGER",
        4 => "PRF_AES128_XCBC",
        5 => "PRF_HMAC_SHA2_256",
        6 => "PRF_HMAC_SHA2_384",
        7 => "PRF_HMAC_SHA2_512",
        8 => "PRF_AES128_CMAC",
        _ => return None,
    })
}

/// Integrity algorithms (transform type 3).
pub fn integrity(number: u16) -> Option<&'static str> {
    Some(match number {
        0 => "NONE",
        1 => "AUTH_HMAC_MD5_96",
        2 => "AUTH_HMAC_SHA1_96",
        3 => "AUTH_DES_MAC",
        4 => "AUTH_KPDK_MD5",
        5 => "AUTH_AES_XCBC_96",
        6 => "AUTH_HMAC_MD5_128",
        7 => "AUTH_HMAC_SHA1_160",
        8 => "AUTH_AES_CMAC_96",
        9 => "AUTH_AES_128_GMAC",
        10 => "AUTH_AES_192_GMAC",
        11 => "AUTH_AES_256_GMAC",
        12 => "AUTH_HMAC_SHA2_256_128",
        13 => "AUTH_HMAC_SHA2_384_192",
        14 => "AUTH_HMAC_SHA2_512_256",
        _ => return None,
    })
}

/// Groups and key exchange methods of both versions.
pub fn group(number: u16) -> Option<&'static str> {
    Some(match number {
        0 => "NONE",
        1 => "MODP_768",
        2 => "MODP_1024",
        5 => "MODP_1536",
        14 => "MODP_2048",
        15 => "MODP_3072",
        16 => "MODP_4096",
        17 => "MODP_6144",
        18 => "MODP_8192",
        19 => "ECP_256",
        20 => "ECP_384",
        21 => "ECP_521",
        22 => "MODP_1024_160",
        23 => "MODP_2048_224",
        24 => "MODP_2048_256",
        25 => "ECP_192",
        26 => "ECP_224",
        27 => "BRAINPOOL_224",
        28 => "BRAINPOOL_256",
        29 => "BRAINPOOL_384",
        30 => "BRAINPOOL_512",
        31 => "CURVE_25519",
        32 => "CURVE_448",
        35 => "ML_KEM_512",
        36 => "ML_KEM_768",
        37 => "ML_KEM_1024",
        _ => return None,
    })
}

/// Sequence numbers (transform type 5).
pub fn esn(number: u16) -> Option<&'static str> {
    Some(match number {
        0 => "NO_ESN",
        1 => "ESN",
        _ => return None,
    })
}

/// IKEv2 authentication methods.
pub fn auth_method(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "RSA Digital Signature",
        2 => "Shared Key Message Integrity Code",
        3 => "DSS Digital Signature",
        9 => "ECDSA with SHA-256 on the P-256 curve",
        10 => "ECDSA with SHA-384 on the P-384 curve",
        11 => "ECDSA with SHA-512 on the P-521 curve",
        12 => "Generic Secure Password Authentication Method",
        13 => "NULL Authentication",
        14 => "Digital Signature",
        _ => return None,
    })
}

/// IKEv1 authentication methods (phase 1 attribute 3).
pub fn auth_method_v1(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "pre-shared key",
        2 => "DSS signatures",
        3 => "RSA signatures",
        4 => "encryption with RSA",
        5 => "revised encryption with RSA",
        9 => "ECDSA with SHA-256 on the P-256 curve",
        10 => "ECDSA with SHA-384 on the P-384 curve",
        11 => "ECDSA with SHA-512 on the P-521 curve",
        64221 => "HybridInitRSA",
        64222 => "HybridRespRSA",
        65001 => "XAUTHInitPreShared",
        65002 => "XAUTHRespPreShared",
        65005 => "XAUTHInitRSA",
        65006 => "XAUTHRespRSA",
        _ => return None,
    })
}

/// IKEv1 phase 1 encryption algorithms (attribute 1).
pub fn encryption_v1(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "DES-CBC",
        2 => "IDEA-CBC",
        3 => "BLOWFISH-CBC",
        4 => "RC5-R16-B64-CBC",
        5 => "3DES-CBC",
        6 => "CAST-CBC",
        7 => "AES-CBC",
        8 => "CAMELLIA-CBC",
        _ => return None,
    })
}

/// IKEv1 phase 1 hash algorithms (attribute 2).
pub fn hash_v1(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "MD5",
        2 => "SHA",
        3 => "TIGER",
        4 => "SHA2-256",
        5 => "SHA2-384",
        6 => "SHA2-512",
        _ => return None,
    })
}

/// IKEv1 phase 2 transforms of ESP (RFC 2407 §4.4.4).
pub fn esp_transform_v1(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "DES-IV64",
        2 => "DES",
        3 => "3DES",
        4 => "RC5",
        5 => "IDEA",
        6 => "CAST",
        7 => "BLOWFISH",
        11 => "NULL",
        12 => "AES",
        13 => "AES-CTR",
        14 => "AES-CCM_8",
        15 => "AES-CCM_12",
        16 => "AES-CCM_16",
        18 => "AES-GCM_8",
        19 => "AES-GCM_12",
        20 => "AES-GCM_16",
        21 => "NULL_AUTH_AES_GMAC",
        22 => "CAMELLIA",
        _ => return None,
    })
}

/// IKEv1 phase 2 authentication algorithms (attribute 5).
pub fn auth_algorithm_v1(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "HMAC-MD5",
        2 => "HMAC-SHA",
        3 => "DES-MAC",
        4 => "KPDK",
        5 => "HMAC-SHA2-256",
        6 => "HMAC-SHA2-384",
        7 => "HMAC-SHA2-512",
        9 => "AES-XCBC-MAC",
        _ => return None,
    })
}

/// Protocol IDs of both versions.
pub fn protocol(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "IKE",
        2 => "AH",
        3 => "ESP",
        4 => "IPCOMP",
        _ => return None,
    })
}

/// Identification types of both versions.
pub fn id_type(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "IPV4_ADDR",
        2 => "FQDN",
        3 => "USER_FQDN",
        4 => "IPV4_ADDR_SUBNET",
        5 => "IPV6_ADDR",
        6 => "IPV6_ADDR_SUBNET",
        7 => "IPV4_ADDR_RANGE",
        8 => "IPV6_ADDR_RANGE",
        9 => "DER_ASN1_DN",
        10 => "DER_ASN1_GN",
        11 => "KEY_ID",
        12 => "FC_NAME",
        13 => "NULL",
        _ => return None,
    })
}

/// Certificate encodings of both versions.
pub fn cert_encoding(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "PKCS #7 wrapped X.509 certificate",
        2 => "PGP Certificate",
        3 => "DNS Signed Key",
        4 => "X.509 Certificate - Signature",
        5 => "X.509 Certificate - Key Exchange",
        6 => "Kerberos Token",
        7 => "Certificate Revocation List (CRL)",
        8 => "Authority Revocation List (ARL)",
        9 => "SPKI Certificate",
        10 => "X.509 Certificate - Attribute",
        11 => "Raw RSA Key",
        12 => "Hash and URL of X.509 certificate",
        13 => "Hash and URL of X.509 bundle",
        15 => "Raw Public Key",
        _ => return None,
    })
}
