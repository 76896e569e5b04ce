//! Payloads for sending.

use std::net::IpAddr;

use wire::ike::emit::Part;
use wire::ike::{Body, Proposal};

use super::numbers::payload;
use super::proposal::protocol;
use crate::Selector;
use crate::crypto::Group;

fn part(kind: u8, body: Body) -> Part {
    Part { kind, critical: false, body }
}

pub(crate) fn sa(proposals: Vec<Proposal>) -> Part {
    part(payload::SA, Body::Sa(proposals))
}

pub(crate) fn ke(group: Group, public: &[u8]) -> Part {
    part(payload::KE, Body::Ke { group: Some(group.transform_id()), data: public.to_vec() })
}

pub(crate) fn nonce(data: &[u8]) -> Part {
    part(payload::NONCE, Body::Nonce(data.to_vec()))
}

/// A notify about nothing in particular.
pub(crate) fn notify(kind: u16, data: &[u8]) -> Part {
    part(payload::NOTIFY, Body::Notify { protocol: 0, spi: Vec::new(), kind, data: data.to_vec() })
}

/// A notify about a child SA.
pub(crate) fn notify_child(kind: u16, spi: u32) -> Part {
    let spi = spi.to_be_bytes().to_vec();
    part(payload::NOTIFY, Body::Notify { protocol: protocol::ESP, spi, kind, data: Vec::new() })
}

/// IDi or IDr.
pub(crate) fn id(kind: u8, (id_type, data): (u8, &[u8])) -> Part {
    part(kind, Body::Id { id_type, protocol: 0, port: 0, data: data.to_vec() })
}

pub(crate) fn auth(method: u8, data: Vec<u8>) -> Part {
    part(payload::AUTH, Body::Auth { method, data })
}

pub(crate) fn certificate(der: &[u8]) -> Part {
    part(payload::CERT, Body::Cert { encoding: 4, data: der.to_vec() })
}

/// Hashes of the trusted authorities' keys, one after the other (RFC 7296 §3.7).
pub(crate) fn certificate_request(hashes: Vec<u8>) -> Part {
    part(payload::CERTREQ, Body::CertReq { encoding: 4, data: hashes })
}

/// TSi or TSr.
pub(crate) fn selectors(kind: u8, all: &[Selector]) -> Part {
    part(kind, Body::Ts(all.iter().map(|s| s.to_wire()).collect()))
}

pub(crate) fn delete_ike() -> Part {
    part(payload::DELETE, Body::Delete { protocol: protocol::IKE, spi_size: 0, spis: Vec::new() })
}

pub(crate) fn delete_children(spis: &[u32]) -> Part {
    let spis = spis.iter().map(|s| s.to_be_bytes().to_vec()).collect();
    part(payload::DELETE, Body::Delete { protocol: protocol::ESP, spi_size: 4, spis })
}

pub(crate) fn eap(message: Vec<u8>) -> Part {
    part(payload::EAP, Body::Eap(message))
}

/// CFG_REQUEST (1) or CFG_REPLY (2).
pub(crate) fn configuration(kind: u8, attributes: Vec<(u16, Vec<u8>)>) -> Part {
    part(payload::CP, Body::Cp { kind, attributes })
}

/// An identity as the configuration has it (RFC 7296 §3.5): an address, a name with an at sign, a distinguished name, or a domain name.
pub(crate) fn identity(text: &str) -> (u8, Vec<u8>) {
    match text.parse() {
        Ok(IpAddr::V4(a)) => (1, a.octets().to_vec()),
        Ok(IpAddr::V6(a)) => (5, a.octets().to_vec()),
        Err(_) if text.contains('@') => (3, text.as_bytes().to_vec()),
        Err(_) => (2, text.as_bytes().to_vec()),
    }
}

/// An identity for people.
pub(crate) fn identity_text((id_type, data): (u8, &[u8])) -> String {
    match (id_type, data.len()) {
        (1, 4) => data.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        (5, 16) => <[u8; 16]>::try_from(data).map_or_else(|_| String::new(), |a| IpAddr::from(a).to_string()),
        (2 | 3, _) => String::from_utf8_lossy(data).into_owned(),
        _ => data.iter().map(|b| format!("{b:02x}")).collect(),
    }
}
