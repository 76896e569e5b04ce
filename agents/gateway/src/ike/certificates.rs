//! AUTH by certificate: RFC 7296 §2.15, §3.6, §3.7; RFC 7427; RFC 4945.

use peer::Authentication;

use crate::crypto::Rng;
use crate::crypto::sign::{PrivateKey, Scheme, schemes_for};
use crate::crypto::x509;

/// Hashes of the authorities' keys for CERTREQ (RFC 7296 §3.7).
pub(crate) fn hashes(anchors: &[Vec<u8>]) -> Vec<u8> {
    anchors.iter().filter_map(|anchor| x509::cert_request_hash(anchor)).flatten().collect()
}

/// Authentication method and data of our AUTH. `hashes`: RFC 7427 hash algorithms that the peer has announced.
pub(crate) fn sign(auth: &Authentication, hashes: &[u16], octets: &[u8], rng: &mut Rng) -> Result<(u8, Vec<u8>), String> {
    let key = PrivateKey::from_pkcs8_der(auth.private_key.expose()).map_err(|e| format!("own private key: {e}"))?;
    let scheme = schemes_for(&key.public(), hashes);
    let signature = key.sign(scheme, octets, rng).map_err(|e| format!("own signature: {e}"))?;
    Ok((scheme.method(), scheme.auth_data(&signature)))
}

/// Is the peer's AUTH made with the key of a certificate that is trusted, and that bears its identity out? `Err` says why not.
pub(crate) fn verify(
    auth: &Authentication,
    certificates: &[Vec<u8>],
    id: (u8, &[u8]),
    wall: i64,
    (method, data): (u8, &[u8]),
    octets: &[u8],
) -> Result<(), String> {
    let valid = x509::validate(certificates, &auth.anchors, &auth.untrusted, wall, Some(id)).map_err(|e| e.to_string())?;
    let (scheme, signature) = Scheme::from_auth_data(method, data).map_err(|e| e.to_string())?;
    if valid.public_key.verify(scheme, octets, signature) {
        return Ok(());
    }
    Err(format!("the signature in AUTH is not made with the key of {}", valid.subject))
}
