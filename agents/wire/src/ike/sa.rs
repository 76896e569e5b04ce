//! The SA payload: proposals, transforms, attributes (RFC 2408 §3.4–3.6, RFC 7296 §3.3).

use super::{Body, Proposal, Transform};
use crate::reader::Reader;

type Attributes = Vec<(u16, Vec<u8>)>;

/// What could be read, and why not all.
type Partly<T> = (T, Option<String>);

/// IKEv1's domain of interpretation for IPsec (RFC 2407 §4.2).
const IPSEC: u32 = 1;

/// IKEv1, with DOI and situation in front (RFC 2407 §4.6.1). Proposals of another domain are not known.
pub(crate) fn v1(data: &[u8]) -> Partly<Body> {
    let mut r = Reader::new(data);
    let other = |why: &str| (Body::Other(data.to_vec()), Some(why.to_owned()));
    match (r.u32(), r.u32()) {
        (Some(IPSEC), Some(_)) => proposals(r, 1),
        (Some(_), Some(_)) => other("its domain of interpretation is not IPsec's"),
        _ => other("no room for DOI and situation"),
    }
}

/// IKEv2.
pub(crate) fn v2(data: &[u8]) -> Partly<Body> {
    proposals(Reader::new(data), 2)
}

/// Splits a chain of substructures, which begin with "more", a reserved octet and a length like payloads do. One whose length goes
/// beyond the end is cut there.
fn substructures<'a>(r: &mut Reader<'a>, what: &str) -> Partly<Vec<Reader<'a>>> {
    let mut found = Vec::new();
    while !r.is_empty() {
        let cut = Some(format!("{what} {} is cut short", found.len() + 1));
        let header = (|| {
            let more = r.u8()?;
            r.u8()?;
            Some((more, usize::from(r.u16()?).checked_sub(4)?))
        })();
        let Some((more, length)) = header else { return (found, cut) };
        let Some(body) = r.take(length) else {
            found.push(Reader::new(r.rest()));
            return (found, cut);
        };
        found.push(Reader::new(body));
        if more == 0 && !r.is_empty() {
            let why = format!("{} octets after the last {what}", r.len());
            return (found, Some(why));
        }
    }
    (found, None)
}

fn proposals(mut r: Reader<'_>, major: u8) -> Partly<Body> {
    let (parts, mut complaint) = substructures(&mut r, "proposal");
    let mut found = Vec::new();
    for part in parts {
        let (proposal, why) = proposal(part, major);
        found.extend(proposal);
        complaint = complaint.or(why);
    }
    (Body::Sa(found), complaint)
}

fn proposal(mut r: Reader<'_>, major: u8) -> Partly<Option<Proposal>> {
    let fields = (|| {
        let (number, protocol) = (r.u8()?, r.u8()?);
        let spi_size = usize::from(r.u8()?);
        let count = r.u8()?;
        Some((number, protocol, count, r.take(spi_size)?.to_vec()))
    })();
    let Some((number, protocol, count, spi)) = fields else {
        return (None, Some("a proposal is too short for its SPI".to_owned()));
    };
    let (parts, mut complaint) = substructures(&mut r, "transform");
    if parts.len() != usize::from(count) {
        complaint = complaint.or_else(|| Some(format!("proposal {number} announces {count} transforms, {} are here", parts.len())));
    }
    let mut transforms = Vec::new();
    for part in parts {
        let (transform, why) = transform(part, major);
        transforms.extend(transform);
        complaint = complaint.or(why);
    }
    (Some(Proposal { number, protocol, spi, transforms }), complaint)
}

fn transform(mut r: Reader<'_>, major: u8) -> Partly<Option<Transform>> {
    let fields = (|| {
        let kind = r.u8()?;
        // v1: number, id, two reserved octets. v2: type, a reserved octet, a 16-bit id.
        let (a, b, c) = (r.u8()?, r.u8()?, r.u8()?);
        Some((kind, if major == 1 { u16::from(a) } else { u16::from_be_bytes([b, c]) }))
    })();
    let Some((kind, id)) = fields else { return (None, Some("a transform is too short".to_owned())) };
    let (attributes, complaint) = attributes(r.rest(), true);
    (Some(Transform { kind, id, attributes }), complaint)
}

/// Data attributes (RFC 2408 §3.3). With `short_form` the top bit means that the value is in the header.
pub(crate) fn attributes(data: &[u8], short_form: bool) -> Partly<Attributes> {
    let mut r = Reader::new(data);
    let mut found = Vec::new();
    while !r.is_empty() {
        let one = (|| {
            let kind = r.u16()?;
            let value = r.array::<2>()?;
            if short_form && kind & 0x8000 != 0 {
                return Some((kind & 0x7fff, value.to_vec()));
            }
            Some((kind & 0x7fff, r.take(usize::from(u16::from_be_bytes(value)))?.to_vec()))
        })();
        let Some(one) = one else {
            let why = format!("attribute {} is cut short", found.len() + 1);
            return (found, Some(why));
        };
        found.push(one);
    }
    (found, None)
}
