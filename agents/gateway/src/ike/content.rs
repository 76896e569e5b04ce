//! A message's payloads, asked for by what they are.

use wire::ike::{Body, Payload, Proposal};

use super::numbers::{notify, payload};
use crate::Selector;
use crate::crypto::Group;

/// The payloads of one message: those in clear, or those inside SK.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a>(pub(crate) &'a [Payload]);

/// Configuration attributes: type and value.
pub(crate) type Attributes<'a> = &'a [(u16, Vec<u8>)];

/// A notify's data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notify<'a> {
    pub(crate) kind: u16,
    pub(crate) spi: &'a [u8],
    pub(crate) data: &'a [u8],
}

impl<'a> Content<'a> {
    fn first<T>(self, kind: u8, get: impl Fn(&'a Body) -> Option<T>) -> Option<T> {
        self.0.iter().filter(|p| p.kind == kind).find_map(|p| get(&p.body))
    }

    pub(crate) fn sa(self) -> Option<&'a [Proposal]> {
        self.first(payload::SA, |b| if let Body::Sa(proposals) = b { Some(proposals.as_slice()) } else { None })
    }

    /// Group number and public value.
    pub(crate) fn ke(self) -> Option<(u16, &'a [u8])> {
        self.first(payload::KE, |b| if let Body::Ke { group: Some(group), data } = b { Some((*group, data.as_slice())) } else { None })
    }

    /// A nonce of a length that is allowed (RFC 7296 §2.10, §3.9).
    pub(crate) fn nonce(self) -> Option<&'a [u8]> {
        let sound = |n: &&'a [u8]| (16..=256).contains(&n.len());
        self.first(payload::NONCE, |b| if let Body::Nonce(data) = b { Some(data.as_slice()).filter(sound) } else { None })
    }

    /// Identification type and data of an IDi or IDr payload.
    pub(crate) fn id(self, kind: u8) -> Option<(u8, &'a [u8])> {
        self.first(kind, |b| if let Body::Id { id_type, data, .. } = b { Some((*id_type, data.as_slice())) } else { None })
    }

    /// Method and data.
    pub(crate) fn auth(self) -> Option<(u8, &'a [u8])> {
        self.first(payload::AUTH, |b| if let Body::Auth { method, data } = b { Some((*method, data.as_slice())) } else { None })
    }

    /// X.509 certificates, in the order in which they came (RFC 7296 §3.6: the sender's own first).
    pub(crate) fn certificates(self) -> Vec<Vec<u8>> {
        let certificate = |p: &Payload| match &p.body {
            Body::Cert { encoding: 4, data } => Some(data.clone()),
            _ => None,
        };
        self.0.iter().filter_map(certificate).collect()
    }

    /// Did the peer ask for a certificate at all?
    pub(crate) fn wants_certificate(self) -> bool {
        self.0.iter().any(|p| p.kind == payload::CERTREQ)
    }

    /// TSi or TSr. Selectors of unknown types are left out.
    pub(crate) fn selectors(self, kind: u8) -> Option<Vec<Selector>> {
        self.first(kind, |b| if let Body::Ts(all) = b { Some(all.iter().filter_map(Selector::from_wire).collect()) } else { None })
    }

    pub(crate) fn eap(self) -> Option<&'a [u8]> {
        self.first(payload::EAP, |b| if let Body::Eap(data) = b { Some(data.as_slice()) } else { None })
    }

    /// CFG type and attributes.
    pub(crate) fn configuration(self) -> Option<(u8, Attributes<'a>)> {
        self.first(payload::CP, |b| if let Body::Cp { kind, attributes } = b { Some((*kind, attributes.as_slice())) } else { None })
    }

    /// SPIs of all ESP SAs that are deleted, and whether the IKE SA itself is.
    pub(crate) fn deletes(self) -> (Vec<u32>, bool) {
        let (mut children, mut ike) = (Vec::new(), false);
        for p in self.0 {
            match &p.body {
                Body::Delete { protocol: 1, .. } => ike = true,
                Body::Delete { protocol: 3, spis, .. } => {
                    children.extend(spis.iter().filter_map(|s| Some(u32::from_be_bytes(s.as_slice().try_into().ok()?))));
                }
                _ => {}
            }
        }
        (children, ike)
    }

    pub(crate) fn notifies(self) -> impl Iterator<Item = Notify<'a>> {
        self.0.iter().filter_map(|p| match &p.body {
            Body::Notify { kind, spi, data, .. } => Some(Notify { kind: *kind, spi, data }),
            _ => None,
        })
    }

    pub(crate) fn notify(self, kind: u16) -> Option<Notify<'a>> {
        self.notifies().find(|n| n.kind == kind)
    }

    /// The first error that the peer tells.
    pub(crate) fn error(self) -> Option<Notify<'a>> {
        self.notifies().find(|n| n.kind < notify::STATUS)
    }

    /// The group that INVALID_KE_PAYLOAD asks for (RFC 7296 §1.2).
    pub(crate) fn wanted_group(self) -> Option<Group> {
        let data = self.notify(notify::INVALID_KE_PAYLOAD)?.data;
        Group::from_transform_id(u16::from_be_bytes(data.try_into().ok()?))
    }

    /// A critical payload of a type that is not known (RFC 7296 §2.5).
    pub(crate) fn unknown_critical(self) -> Option<u8> {
        self.0.iter().find(|p| p.critical && !payload::KNOWN.contains(&p.kind)).map(|p| p.kind)
    }
}

/// The Wireshark name of a notify type, or its number.
pub(crate) fn name(kind: u16) -> String {
    wire::ike::names::notify_v2(kind).map_or_else(|| format!("notify {kind}"), str::to_owned)
}
