//! Values of `isakmp.*` fields. Wireshark shows the same field for several payloads; so each is visited for all.

use std::net::{Ipv4Addr, Ipv6Addr};

use wire::ike::{Body, Encryption, Payload, Proposal, Transform};

use super::super::value::{Sink, Value};
use super::Field;
use super::net::{address4, address6};
use crate::dissect::Ike;

/// Payload types that stand for proposals and transforms within an SA payload (RFC 2408 §3.1).
const PROPOSAL: u8 = 2;
const TRANSFORM: u8 = 3;

/// Wireshark takes a message whose length field is below that of the header for data.
pub(super) fn is_ike(ike: &Ike) -> bool {
    ike.message.length >= 28
}

pub(super) fn visit(field: Field, ike: &Ike, sink: &mut Sink<'_>) -> bool {
    let m = &ike.message;
    let payloads = || m.payloads.iter().chain(ike.unverified.iter().flatten());
    let v2 = m.major() == 2;
    // Wireshark knows neither exchanges nor single flags of other versions.
    let known = matches!(m.major(), 1 | 2);
    let flag = |of_v2: bool, bit: u8, sink: &mut Sink<'_>| known && v2 == of_v2 && sink(Value::Bool(m.flags & bit != 0));
    match field {
        Field::IsakmpExchange if !known => false,
        Field::IsakmpLength if ike.beyond => false,
        Field::IsakmpNextPayload if ike.beyond => sink(Value::Uint(m.next_payload.into())),
        Field::Isakmp => sink(Value::Bytes(&ike.raw)),
        Field::IsakmpIspi => sink(Value::Bytes(&m.spi_i.to_be_bytes())),
        Field::IsakmpRspi => sink(Value::Bytes(&m.spi_r.to_be_bytes())),
        Field::IsakmpVersion => sink(Value::Uint(m.version.into())),
        Field::IsakmpExchange => sink(Value::Uint(m.exchange.into())),
        Field::IsakmpFlags => sink(Value::Uint(m.flags.into())),
        Field::IsakmpFlagE => flag(false, 0x01, sink),
        Field::IsakmpFlagC => flag(false, 0x02, sink),
        Field::IsakmpFlagA => flag(false, 0x04, sink),
        Field::IsakmpFlagI => flag(true, 0x08, sink),
        Field::IsakmpFlagV => flag(true, 0x10, sink),
        Field::IsakmpFlagR => flag(true, 0x20, sink),
        Field::IsakmpMessageId => sink(Value::Uint(m.message_id.into())),
        Field::IsakmpLength => sink(Value::Uint(m.length.into())),
        Field::IsakmpNextPayload => sink(Value::Uint(m.next_payload.into())) || payloads().any(|p| next_payloads(p, sink)),
        // All others are about payloads.
        _ if ike.beyond => false,
        Field::IsakmpNotifyProtocol | Field::IsakmpNotifyType if !known => false,
        Field::IsakmpTypePayload => payloads().any(|p| types(p, sink)),
        Field::IsakmpCritical => v2 && payloads().any(|p| sink(Value::Bool(p.critical))),
        Field::IsakmpEncData => match m.encryption {
            Encryption::Clear => false,
            // Without keys a fragment's octets have another name there.
            Encryption::Opaque if m.payloads.iter().any(|p| matches!(p.body, Body::Skf { .. })) => false,
            _ => sink(Value::Present),
        },
        Field::IsakmpEncDecrypted => (m.encryption == Encryption::Decrypted || ike.unverified.is_some()) && sink(Value::Present),
        _ => payloads().any(|p| payload(field, p, v2, sink)),
    }
}

/// The payload's own next field, then those of its proposals and transforms: the same kind again, or 0 at the last.
fn next_payloads(p: &Payload, sink: &mut Sink<'_>) -> bool {
    if sink(Value::Uint(p.next.into())) {
        return true;
    }
    let Body::Sa(proposals) = &p.body else { return false };
    let chain = |kind: u8, i: usize, n: usize| Value::Uint(if i + 1 < n { kind.into() } else { 0 });
    proposals.iter().enumerate().any(|(i, proposal)| {
        sink(chain(PROPOSAL, i, proposals.len()))
            || (0..proposal.transforms.len()).any(|j| sink(chain(TRANSFORM, j, proposal.transforms.len())))
    })
}

fn types(p: &Payload, sink: &mut Sink<'_>) -> bool {
    if sink(Value::Uint(p.kind.into())) {
        return true;
    }
    let Body::Sa(proposals) = &p.body else { return false };
    proposals
        .iter()
        .any(|proposal| sink(Value::Uint(PROPOSAL.into())) || proposal.transforms.iter().any(|_| sink(Value::Uint(TRANSFORM.into()))))
}

fn payload(field: Field, p: &Payload, v2: bool, sink: &mut Sink<'_>) -> bool {
    use Field as F;
    match (&p.body, field) {
        (Body::Sa(proposals), _) => proposals.iter().any(|x| proposal(field, x, v2, sink)),
        (Body::Ke { group, .. }, F::IsakmpDhGroup) => group.is_some_and(|g| sink(Value::Uint(g.into()))),
        (Body::Ke { data, .. }, F::IsakmpKeData) => octets(data, sink),
        (Body::Nonce(data), F::IsakmpNonce) => octets(data, sink),
        (Body::Hash(data), F::IsakmpHash) => octets(data, sink),
        (Body::Sig(data), F::IsakmpSig) => octets(data, sink),
        (Body::Vendor(data), F::IsakmpVid) => sink(Value::Bytes(data)),
        (Body::NatD(data), F::IsakmpNatHash) => octets(data, sink),
        (Body::Auth { method, .. }, F::IsakmpAuthMethod) => sink(Value::Uint((*method).into())),
        (Body::Auth { data, .. }, F::IsakmpAuthData) => octets(data, sink),
        (Body::Cert { encoding, .. }, F::IsakmpCertEncoding) => sink(Value::Uint((*encoding).into())),
        (Body::CertReq { encoding, .. }, F::IsakmpCertReqType) => sink(Value::Uint((*encoding).into())),
        (Body::Notify { protocol, spi, kind, data }, _) => match field {
            F::IsakmpNotifyProtocol => sink(Value::Uint((*protocol).into())),
            F::IsakmpNotifyType => sink(Value::Uint((*kind).into())),
            // Here Wireshark does add an empty item.
            F::IsakmpNotifyData => sink(Value::Bytes(data)),
            F::IsakmpSpi => octets(spi, sink),
            _ => false,
        },
        (Body::Delete { protocol, .. }, F::IsakmpDeleteProtocol) => sink(Value::Uint((*protocol).into())),
        (Body::Delete { spis, .. }, F::IsakmpDeleteSpi) => spis.iter().any(|s| octets(s, sink)),
        (Body::Id { id_type, data, .. }, _) => id(field, *id_type, data, sink),
        (Body::Ts(selectors), F::IsakmpTsNumber) => sink(Value::Uint(selectors.len() as u64)),
        (Body::Ts(selectors), _) => selectors.iter().any(|s| match field {
            F::IsakmpTsType => sink(Value::Uint(s.kind.into())),
            F::IsakmpTsProtocol => sink(Value::Uint(s.protocol.into())),
            F::IsakmpTsStartPort => sink(Value::Uint(s.ports.0.into())),
            F::IsakmpTsEndPort => sink(Value::Uint(s.ports.1.into())),
            F::IsakmpTsStartIpv4 => s.start.is_some_and(|a| address4(a, sink)),
            F::IsakmpTsEndIpv4 => s.end.is_some_and(|a| address4(a, sink)),
            F::IsakmpTsStartIpv6 => s.start.is_some_and(|a| address6(a, sink)),
            F::IsakmpTsEndIpv6 => s.end.is_some_and(|a| address6(a, sink)),
            _ => false,
        }),
        (Body::Skf { number, .. }, F::IsakmpFragNumber) => sink(Value::Uint((*number).into())),
        (Body::Skf { total, .. }, F::IsakmpFragTotal) => sink(Value::Uint((*total).into())),
        (Body::Cp { kind, .. }, F::IsakmpCfgType) => sink(Value::Uint((*kind).into())),
        (Body::Cp { attributes, .. }, F::IsakmpCfgAttr) => attributes.iter().any(|(t, _)| sink(Value::Uint((*t).into()))),
        _ => false,
    }
}

fn proposal(field: Field, p: &Proposal, v2: bool, sink: &mut Sink<'_>) -> bool {
    match field {
        Field::IsakmpPropNumber => sink(Value::Uint(p.number.into())),
        Field::IsakmpPropProtocol => sink(Value::Uint(p.protocol.into())),
        Field::IsakmpPropTransforms => sink(Value::Uint(p.transforms.len() as u64)),
        Field::IsakmpSpi => octets(&p.spi, sink),
        _ if v2 => p.transforms.iter().any(|t| transform_v2(field, t, sink)),
        _ => p.transforms.iter().any(|t| transform_v1(field, t, p.protocol == 1, sink)),
    }
}

fn transform_v2(field: Field, t: &Transform, sink: &mut Sink<'_>) -> bool {
    let of_type = match field {
        Field::IsakmpTfType => return sink(Value::Uint(t.kind.into())),
        Field::IsakmpIke2KeyLength => return attribute(t, 14, sink),
        Field::IsakmpTfEncr => 1,
        Field::IsakmpTfPrf => 2,
        Field::IsakmpTfInteg => 3,
        Field::IsakmpTfDh => 4,
        Field::IsakmpTfEsn => 5,
        _ => return false,
    };
    t.kind == of_type && sink(Value::Uint(t.id.into()))
}

/// Attribute numbers mean other things in phase 1 (RFC 2409 appendix A) than in phase 2 (RFC 2407 §4.5).
fn transform_v1(field: Field, t: &Transform, phase1: bool, sink: &mut Sink<'_>) -> bool {
    let (of_phase1, number) = match field {
        Field::IsakmpTransNumber => return sink(Value::Uint(t.kind.into())),
        Field::IsakmpTransId => return sink(Value::Uint(t.id.into())),
        Field::IsakmpIkeEncryption => (true, 1),
        Field::IsakmpIkeHash => (true, 2),
        Field::IsakmpIkeAuth => (true, 3),
        Field::IsakmpIkeGroup => (true, 4),
        Field::IsakmpIkeLifeType => (true, 11),
        Field::IsakmpIkeLifeDuration => (true, 12),
        Field::IsakmpIkeKeyLength => (true, 14),
        Field::IsakmpIpsecLifeType => (false, 1),
        Field::IsakmpIpsecLifeDuration => (false, 2),
        Field::IsakmpIpsecGroup => (false, 3),
        Field::IsakmpIpsecMode => (false, 4),
        Field::IsakmpIpsecAuth => (false, 5),
        Field::IsakmpIpsecKeyLength => (false, 6),
        _ => return false,
    };
    of_phase1 == phase1 && attribute(t, number, sink)
}

fn attribute(t: &Transform, number: u16, sink: &mut Sink<'_>) -> bool {
    t.attributes
        .iter()
        .filter(|(n, value)| *n == number && (1..=8).contains(&value.len()))
        .any(|(_, value)| sink(Value::Uint(value.iter().fold(0, |n, octet| n << 8 | u64::from(*octet)))))
}

fn id(field: Field, id_type: u8, data: &[u8], sink: &mut Sink<'_>) -> bool {
    let text = |sink: &mut Sink<'_>| sink(Value::Text(&String::from_utf8_lossy(data)));
    match (field, id_type) {
        (Field::IsakmpIdType, _) => sink(Value::Uint(id_type.into())),
        (Field::IsakmpIdData, _) => sink(Value::Present),
        (Field::IsakmpIdIpv4, 1) => <[u8; 4]>::try_from(data).is_ok_and(|a| sink(Ipv4Addr::from(a).into())),
        (Field::IsakmpIdIpv6, 5) => <[u8; 16]>::try_from(data).is_ok_and(|a| sink(Ipv6Addr::from(a).into())),
        (Field::IsakmpIdFqdn, 2) | (Field::IsakmpIdUserFqdn, 3) => text(sink),
        (Field::IsakmpIdKeyId, 11) => octets(data, sink),
        _ => false,
    }
}

/// Wireshark adds no item for an empty string of octets.
fn octets(data: &[u8], sink: &mut Sink<'_>) -> bool {
    !data.is_empty() && sink(Value::Bytes(data))
}
