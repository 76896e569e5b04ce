//! The methods by number and name.

use super::ecp::Curve;
use super::modp::{self, Modp};

/// A key exchange method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it; `Group::name` has the registry's")]
pub enum Group {
    Modp768,
    Modp1024,
    Modp1536,
    Modp2048,
    Modp3072,
    Modp4096,
    Modp6144,
    Modp8192,
    Ecp256,
    Ecp384,
    Ecp521,
    Modp1024s160,
    Modp2048s224,
    Modp2048s256,
    Curve25519,
}

/// How a method is computed.
pub(super) enum Family {
    Modp(&'static Modp),
    Ecp(Curve),
    X25519,
}

impl Group {
    /// All of them, by transform number.
    pub const ALL: [Group; 15] = [
        Group::Modp768,
        Group::Modp1024,
        Group::Modp1536,
        Group::Modp2048,
        Group::Modp3072,
        Group::Modp4096,
        Group::Modp6144,
        Group::Modp8192,
        Group::Ecp256,
        Group::Ecp384,
        Group::Ecp521,
        Group::Modp1024s160,
        Group::Modp2048s224,
        Group::Modp2048s256,
        Group::Curve25519,
    ];

    /// Transform number of type 4.
    pub fn transform_id(self) -> u16 {
        self.row().0
    }

    /// By transform number; `None`: not known here.
    pub fn from_transform_id(id: u16) -> Option<Group> {
        Group::ALL.into_iter().find(|group| group.transform_id() == id)
    }

    /// Name as Wireshark and this project's dissector print it.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Octets of the initiator's public value.
    pub fn initiator_len(self) -> usize {
        self.row().2
    }

    /// Octets of the responder's public value, or ciphertext.
    pub fn responder_len(self) -> usize {
        self.row().3
    }

    /// Octets of the shared secret.
    pub fn secret_len(self) -> usize {
        self.row().4
    }

    /// Number, name, octets of initiator's and responder's value and of the secret.
    fn row(self) -> (u16, &'static str, usize, usize, usize) {
        match self {
            Group::Modp768 => (1, "MODP_768", 96, 96, 96),
            Group::Modp1024 => (2, "MODP_1024", 128, 128, 128),
            Group::Modp1536 => (5, "MODP_1536", 192, 192, 192),
            Group::Modp2048 => (14, "MODP_2048", 256, 256, 256),
            Group::Modp3072 => (15, "MODP_3072", 384, 384, 384),
            Group::Modp4096 => (16, "MODP_4096", 512, 512, 512),
            Group::Modp6144 => (17, "MODP_6144", 768, 768, 768),
            Group::Modp8192 => (18, "MODP_8192", 1024, 1024, 1024),
            Group::Ecp256 => (19, "ECP_256", 64, 64, 32),
            Group::Ecp384 => (20, "ECP_384", 96, 96, 48),
            Group::Ecp521 => (21, "ECP_521", 132, 132, 66),
            Group::Modp1024s160 => (22, "MODP_1024_160", 128, 128, 128),
            Group::Modp2048s224 => (23, "MODP_2048_224", 256, 256, 256),
            Group::Modp2048s256 => (24, "MODP_2048_256", 256, 256, 256),
            Group::Curve25519 => (31, "CURVE25519", 32, 32, 32),
        }
    }

    pub(super) fn family(self) -> Family {
        match self {
            Group::Modp768 => Family::Modp(&modp::MODP_768),
            Group::Modp1024 => Family::Modp(&modp::MODP_1024),
            Group::Modp1536 => Family::Modp(&modp::MODP_1536),
            Group::Modp2048 => Family::Modp(&modp::MODP_2048),
            Group::Modp3072 => Family::Modp(&modp::MODP_3072),
            Group::Modp4096 => Family::Modp(&modp::MODP_4096),
            Group::Modp6144 => Family::Modp(&modp::MODP_6144),
            Group::Modp8192 => Family::Modp(&modp::MODP_8192),
            Group::Modp1024s160 => Family::Modp(&modp::MODP_1024_160),
            Group::Modp2048s224 => Family::Modp(&modp::MODP_2048_224),
            Group::Modp2048s256 => Family::Modp(&modp::MODP_2048_256),
            Group::Ecp256 => Family::Ecp(Curve::P256),
            Group::Ecp384 => Family::Ecp(Curve::P384),
            Group::Ecp521 => Family::Ecp(Curve::P521),
            Group::Curve25519 => Family::X25519,
        }
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
