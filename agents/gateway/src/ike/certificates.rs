//! AUTH by certificate: RFC 7296 §2.15, §3.6, §3.7; RFC 7427; RFC 4945.

use peer::Authentication;

use crate::crypto::Rng;

/// Hashes of the authorities' keys for CERTREQ (RFC 7296 §3.7).
pub(crate) fn hashes(anchors: &[Vec<u8>]) -> Vec<u8> {
    let _ = anchors;
    Vec::new()
}

/// Authentication method and data of our AUTH.
pub(crate) fn sign(auth: &Authentication, hashes: &[u16], octets: &[u8], rng: &mut Rng) -> Result<(u8, Vec<u8>), String> {
    let _ = (auth, hashes, octets, rng);
    Err("certificates: to come".into())
}

/// Is the peer's AUTH made with the key of a certificate that is trusted, and that has this identity?
pub(crate) fn verify(
    auth: &Authentication,
    certificates: &[Vec<u8>],
    id: (u8, &[u8]),
    wall: i64,
    method: u8,
    data: &[u8],
    octets: &[u8],
) -> Result<(), String> {
    let _ = (auth, certificates, id, wall, method, data, octets);
    Err("certificates: to come".into())
}
