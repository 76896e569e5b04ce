//! Bodies of single payloads: the mirror of `ike/payload.rs` and `ike/sa.rs`.

use std::net::IpAddr;

use super::super::{Body, Proposal, Selector, Transform};
use super::close;

/// Top bit of an attribute's type: the value is in the header (RFC 7296 §3.3.5).
const SHORT_FORM: u16 = 0x8000;

/// Appends a payload's body.
pub(super) fn emit(body: &Body, out: &mut Vec<u8>) {
    match body {
        Body::Sa(proposals) => self::proposals(proposals, out),
        Body::Ke { group, data } => {
            // Without a group it is IKEv1's payload, which has no such field.
            if let Some(group) = group {
                out.extend(group.to_be_bytes());
                out.extend([0, 0]);
            }
            out.extend(data);
        }
        Body::Id { id_type: octet, data, .. } | Body::Auth { method: octet, data } => {
            out.extend([*octet, 0, 0, 0]);
            out.extend(data);
        }
        Body::Cert { encoding, data } | Body::CertReq { encoding, data } => {
            out.push(*encoding);
            out.extend(data);
        }
        Body::Notify { protocol, spi, kind, data } => {
            let spi = &spi[..spi.len().min(255)];
            out.extend([*protocol, spi.len() as u8]);
            out.extend(kind.to_be_bytes());
            out.extend(spi);
            out.extend(data);
        }
        Body::Delete { protocol, spi_size, spis } => {
            out.extend([*protocol, *spi_size]);
            out.extend(count16(spis.len()).to_be_bytes());
            spis.iter().take(usize::from(u16::MAX)).for_each(|spi| out.extend(spi));
        }
        Body::Ts(selectors) => {
            let selectors = &selectors[..selectors.len().min(255)];
            out.extend([selectors.len() as u8, 0, 0, 0]);
            selectors.iter().for_each(|s| selector(s, out));
        }
        Body::Sk { len } => zeros(*len, out),
        Body::Skf { number, total, len } => {
            out.extend(number.to_be_bytes());
            out.extend(total.to_be_bytes());
            zeros(*len, out);
        }
        Body::Cp { kind, attributes } => {
            out.extend([*kind, 0, 0, 0]);
            // Configuration attributes have no short form (RFC 7296 §3.15.1).
            attributes.iter().for_each(|(kind, value)| long_attribute(*kind, value, out));
        }
        Body::Hash(data)
        | Body::Sig(data)
        | Body::Nonce(data)
        | Body::Vendor(data)
        | Body::Eap(data)
        | Body::NatD(data)
        | Body::NatOa(data)
        | Body::Other(data) => out.extend(data),
        Body::Cut => {}
        Body::Fragment { id, number, last } => {
            out.extend(id.to_be_bytes());
            out.extend([*number, u8::from(*last)]);
        }
    }
}

/// RFC 7296 §3.3.1: 2 says that another proposal follows.
fn proposals(proposals: &[Proposal], out: &mut Vec<u8>) {
    for (index, proposal) in proposals.iter().enumerate() {
        let start = out.len();
        let spi = &proposal.spi[..proposal.spi.len().min(255)];
        let transforms = &proposal.transforms[..proposal.transforms.len().min(255)];
        out.extend([if index + 1 < proposals.len() { 2 } else { 0 }, 0, 0, 0]);
        out.extend([proposal.number, proposal.protocol, spi.len() as u8, transforms.len() as u8]);
        out.extend(spi);
        self::transforms(transforms, out);
        close(out, start);
    }
}

/// RFC 7296 §3.3.2: 3 says that another transform follows.
fn transforms(transforms: &[Transform], out: &mut Vec<u8>) {
    for (index, transform) in transforms.iter().enumerate() {
        let start = out.len();
        out.extend([if index + 1 < transforms.len() { 3 } else { 0 }, 0, 0, 0]);
        out.extend([transform.kind, 0]);
        out.extend(transform.id.to_be_bytes());
        for (kind, value) in &transform.attributes {
            match value[..] {
                // Key Length must be in this form (RFC 7296 §3.3.5); a long form of two octets would mean the same.
                [a, b] => {
                    out.extend((kind | SHORT_FORM).to_be_bytes());
                    out.extend([a, b]);
                }
                _ => long_attribute(*kind, value, out),
            }
        }
        close(out, start);
    }
}

fn long_attribute(kind: u16, value: &[u8], out: &mut Vec<u8>) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.extend((kind & !SHORT_FORM).to_be_bytes());
    out.extend(count16(value.len()).to_be_bytes());
    out.extend(value);
}

/// RFC 7296 §3.13.1. A type other than 7 and 8 has no known fields after its length.
fn selector(selector: &Selector, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([selector.kind, selector.protocol, 0, 0]);
    if let (7 | 8, Some(first), Some(last)) = (selector.kind, selector.start, selector.end) {
        out.extend(selector.ports.0.to_be_bytes());
        out.extend(selector.ports.1.to_be_bytes());
        for address in [first, last] {
            match address {
                IpAddr::V4(a) => out.extend(a.octets()),
                IpAddr::V6(a) => out.extend(a.octets()),
            }
        }
    }
    close(out, start);
}

fn zeros(len: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + len.min(usize::from(u16::MAX)), 0);
}

fn count16(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}
