//! The SA payload: proposals, transforms, attributes (RFC 2408 §3.4–3.6, RFC 7296 §3.3).

use super::{Body, Proposal, Transform};
use crate::reader::Reader;

type Attributes = Vec<(u16, Vec<u8>)>;

/// IKEv1, with DOI and situation in front (RFC 2407 §4.6.1).
pub(crate) fn v1(data: &[u8]) -> Result<Body, String> {
    let mut r = Reader::new(data);
    r.take(8).ok_or("no room for DOI and situation")?;
    proposals(r, 1)
}

/// IKEv2.
pub(crate) fn v2(data: &[u8]) -> Result<Body, String> {
    proposals(Reader::new(data), 2)
}

/// Splits a chain of substructures, which begin with "more", a reserved octet and a length like payloads do.
fn substructures<'a>(r: &mut Reader<'a>, what: &str) -> Result<Vec<Reader<'a>>, String> {
    let mut found = Vec::new();
    while !r.is_empty() {
        let cut = || format!("{what} {} is cut short", found.len() + 1);
        let more = r.u8().ok_or_else(cut)?;
        r.u8().ok_or_else(cut)?;
        let length = usize::from(r.u16().ok_or_else(cut)?);
        let body = length.checked_sub(4).and_then(|n| r.take(n)).ok_or_else(cut)?;
        found.push(Reader::new(body));
        if more == 0 && !r.is_empty() {
            return Err(format!("{} octets after the last {what}", r.len()));
        }
    }
    Ok(found)
}

fn proposals(mut r: Reader<'_>, major: u8) -> Result<Body, String> {
    let proposals = substructures(&mut r, "proposal")?.into_iter().map(|p| proposal(p, major));
    Ok(Body::Sa(proposals.collect::<Result<_, _>>()?))
}

fn proposal(mut r: Reader<'_>, major: u8) -> Result<Proposal, String> {
    let fields = (|| {
        let (number, protocol) = (r.u8()?, r.u8()?);
        let spi_size = usize::from(r.u8()?);
        let count = r.u8()?;
        Some((number, protocol, count, r.take(spi_size)?.to_vec()))
    })();
    let (number, protocol, count, spi) = fields.ok_or("a proposal is too short for its SPI")?;
    let transforms = substructures(&mut r, "transform")?;
    if transforms.len() != usize::from(count) {
        return Err(format!("proposal {number} announces {count} transforms, {} are here", transforms.len()));
    }
    let transforms = transforms.into_iter().map(|t| transform(t, major)).collect::<Result<_, _>>()?;
    Ok(Proposal { number, protocol, spi, transforms })
}

fn transform(mut r: Reader<'_>, major: u8) -> Result<Transform, String> {
    let fields = (|| {
        let kind = r.u8()?;
        // v1: number, id, two reserved octets. v2: type, a reserved octet, a 16-bit id.
        let (a, b, c) = (r.u8()?, r.u8()?, r.u8()?);
        Some((kind, if major == 1 { u16::from(a) } else { u16::from_be_bytes([b, c]) }))
    })();
    let (kind, id) = fields.ok_or("a transform is too short")?;
    Ok(Transform { kind, id, attributes: attributes(r.rest(), true)? })
}

/// Data attributes (RFC 2408 §3.3). With `short_form` the top bit means that the value is in the header.
pub(crate) fn attributes(data: &[u8], short_form: bool) -> Result<Attributes, String> {
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
        found.push(one.ok_or_else(|| format!("attribute {} is cut short", found.len() + 1))?);
    }
    Ok(found)
}
