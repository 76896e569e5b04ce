//! The methods by number and name.

use super::ecp::Curve;
use super::mlkem::MlKem;
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
    Ecp192,
    Ecp224,
    Brainpool256,
    Brainpool384,
    Curve25519,
    Curve448,
    MlKem512,
    MlKem768,
    MlKem1024,
}

/// How a method is computed.
pub(super) enum Family {
    Modp(&'static Modp),
    Ecp(Curve),
    X25519,
    X448,
    MlKem(MlKem),
}

impl Group {
    /// All of them, by transform number. Brainpool's 224 and 512 bits (27 and 30) are missing: no crate has them.
    pub const ALL: [Group; 23] = [
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
        Group::Ecp192,
        Group::Ecp224,
        Group::Brainpool256,
        Group::Brainpool384,
        Group::Curve25519,
        Group::Curve448,
        Group::MlKem512,
        Group::MlKem768,
        Group::MlKem1024,
    ];

    /// Transform number of type 4.
    pub fn transform_id(self) -> u16 {
        self.row().0
    }

    /// By transform number; `None`: not known here.
    pub fn from_transform_id(id: u16) -> Option<Group> {
        Group::ALL.into_iter().find(|group| group.transform_id() == id)
    }

    /// Its name, as the dissector prints it.
    pub fn name(self) -> &'static str {
        wire::ike::names::group(self.transform_id()).unwrap_or("?")
    }

    /// Octets of the initiator's public value.
    pub fn initiator_len(self) -> usize {
        self.row().1
    }

    /// Octets of the responder's public value, or ciphertext.
    pub fn responder_len(self) -> usize {
        self.row().2
    }

    /// Octets of the shared secret.
    pub fn secret_len(self) -> usize {
        self.row().3
    }

    /// Number, octets of initiator's and responder's value and of the secret.
    fn row(self) -> (u16, usize, usize, usize) {
        match self {
            Group::Modp768 => (1, 96, 96, 96),
            Group::Modp1024 => (2, 128, 128, 128),
            Group::Modp1536 => (5, 192, 192, 192),
            Group::Modp2048 => (14, 256, 256, 256),
            Group::Modp3072 => (15, 384, 384, 384),
            Group::Modp4096 => (16, 512, 512, 512),
            Group::Modp6144 => (17, 768, 768, 768),
            Group::Modp8192 => (18, 1024, 1024, 1024),
            Group::Ecp256 => (19, 64, 64, 32),
            Group::Ecp384 => (20, 96, 96, 48),
            Group::Ecp521 => (21, 132, 132, 66),
            Group::Modp1024s160 => (22, 128, 128, 128),
            Group::Modp2048s224 => (23, 256, 256, 256),
            Group::Modp2048s256 => (24, 256, 256, 256),
            Group::Ecp192 => (25, 48, 48, 24),
            Group::Ecp224 => (26, 56, 56, 28),
            Group::Brainpool256 => (28, 64, 64, 32),
            Group::Brainpool384 => (29, 96, 96, 48),
            Group::Curve25519 => (31, 32, 32, 32),
            Group::Curve448 => (32, 56, 56, 56),
            Group::MlKem512 => (35, 800, 768, 32),
            Group::MlKem768 => (36, 1184, 1088, 32),
            Group::MlKem1024 => (37, 1568, 1568, 32),
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
            Group::Ecp192 => Family::Ecp(Curve::P192),
            Group::Ecp224 => Family::Ecp(Curve::P224),
            Group::Brainpool256 => Family::Ecp(Curve::Brainpool256),
            Group::Brainpool384 => Family::Ecp(Curve::Brainpool384),
            Group::Curve25519 => Family::X25519,
            Group::Curve448 => Family::X448,
            Group::MlKem512 => Family::MlKem(MlKem::MlKem512),
            Group::MlKem768 => Family::MlKem(MlKem::MlKem768),
            Group::MlKem1024 => Family::MlKem(MlKem::MlKem1024),
        }
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
