//! Bodies of single payloads. The SA payload has a file of its own.

use super::sa;
use super::{Body, Selector};
use crate::reader::Reader;

/// SPIs read from one Delete payload.
const MAX_SPIS: usize = 1024;

/// Reads the body of a payload of type `kind`; the complaint says what does not fit, and then only what could be read is there.
///
/// IKEv2's types in a message of version 1 (whose version octet may be a lie) have version 1's layout, as in Wireshark.
pub(crate) fn body(major: u8, kind: u8, data: &[u8]) -> (Body, Option<String>) {
    let mut r = Reader::new(data);
    let body = match (major, kind) {
        (1, 1 | 33) => return sa::v1(data),
        (2, 33) => return sa::v2(data),
        (1, 14) | (1 | 2, 47) => return partly(data, configuration(major, data)),
        (1, 4 | 34) => Some(Body::Ke { group: None, data: data.to_vec() }),
        (2, 34) => ke_v2(&mut r),
        (1, 5 | 35 | 36) => id_v1(&mut r),
        (2, 35 | 36) => id_v2(&mut r),
        (1, 6) | (1 | 2, 37) => r.u8().map(|encoding| Body::Cert { encoding, data: r.rest().to_vec() }),
        (1, 7) | (1 | 2, 38) => r.u8().map(|encoding| Body::CertReq { encoding, data: r.rest().to_vec() }),
        (1, 8) => Some(Body::Hash(data.to_vec())),
        (1, 9) => Some(Body::Sig(data.to_vec())),
        (1, 10) | (1 | 2, 40) => Some(Body::Nonce(data.to_vec())),
        (1, 11) | (1 | 2, 41) => notify(major, &mut r),
        (1, 12) | (1 | 2, 42) => return partly(data, delete(major, data)),
        (1, 13) | (1 | 2, 43) => Some(Body::Vendor(data.to_vec())),
        (1, 20 | 130) => Some(Body::NatD(data.to_vec())),
        (1, 21 | 131) => r.u32().map(|_| Body::NatOa(r.rest().to_vec())),
        (1, 132) => fragment_v1(&mut r),
        (1 | 2, 39) => auth(&mut r),
        (1 | 2, 44 | 45) => return partly(data, selectors(data)),
        (2, 46) => Some(Body::Sk { len: data.len() }),
        (1 | 2, 48) => Some(Body::Eap(data.to_vec())),
        (2, 53) => skf(&mut r),
        (1 | 2, _) => Some(Body::Other(data.to_vec())),
        // What Wireshark reads whatever the version.
        (_, 4 | 34) => Some(Body::Ke { group: None, data: data.to_vec() }),
        (_, 10 | 40) => Some(Body::Nonce(data.to_vec())),
        (_, 11 | 41) => Some(notify_of_unknown_version(data)),
        _ => Some(Body::Other(data.to_vec())),
    };
    partly(data, body.ok_or_else(|| format!("{} octets are too few for its fixed fields", data.len())))
}

/// Of a body that cannot be read, the octets.
fn partly(data: &[u8], body: Result<Body, String>) -> (Body, Option<String>) {
    match body {
        Ok(body) => (body, None),
        Err(why) => (Body::Other(data.to_vec()), Some(why)),
    }
}

/// What follows the fields that IKEv2 has there; neither type nor protocol is known.
fn notify_of_unknown_version(data: &[u8]) -> Body {
    let spi_size = data.get(1).copied().map_or(0, usize::from);
    match data.get(4 + spi_size..) {
        Some(rest) => Body::Notify { protocol: 0, spi: Vec::new(), kind: 0, data: rest.to_vec() },
        None => Body::Other(data.to_vec()),
    }
}

fn ke_v2(r: &mut Reader<'_>) -> Option<Body> {
    let group = Some(r.u16()?);
    r.u16()?;
    Some(Body::Ke { group, data: r.rest().to_vec() })
}

fn id_v1(r: &mut Reader<'_>) -> Option<Body> {
    Some(Body::Id { id_type: r.u8()?, protocol: r.u8()?, port: r.u16()?, data: r.rest().to_vec() })
}

fn id_v2(r: &mut Reader<'_>) -> Option<Body> {
    let id_type = r.u8()?;
    r.take(3)?;
    Some(Body::Id { id_type, protocol: 0, port: 0, data: r.rest().to_vec() })
}

fn auth(r: &mut Reader<'_>) -> Option<Body> {
    let method = r.u8()?;
    r.take(3)?;
    Some(Body::Auth { method, data: r.rest().to_vec() })
}

fn notify(major: u8, r: &mut Reader<'_>) -> Option<Body> {
    if major == 1 {
        r.u32()?; // domain of interpretation
    }
    let protocol = r.u8()?;
    let spi_size = usize::from(r.u8()?);
    let kind = r.u16()?;
    let spi = r.take(spi_size)?.to_vec();
    Some(Body::Notify { protocol, spi, kind, data: r.rest().to_vec() })
}

fn delete(major: u8, data: &[u8]) -> Result<Body, String> {
    let fixed = |r: &mut Reader<'_>| {
        if major == 1 {
            r.u32()?; // domain of interpretation
        }
        Some((r.u8()?, r.u8()?, r.u16()?))
    };
    let mut r = Reader::new(data);
    let (protocol, spi_size, count) = fixed(&mut r).ok_or_else(|| format!("{} octets are too few for its fixed fields", data.len()))?;
    let wanted = usize::from(spi_size) * usize::from(count);
    if wanted != r.len() {
        return Err(format!("{count} SPIs of {spi_size} octets announced, {} octets are here", r.len()));
    }
    let spis = match spi_size {
        0 => Vec::new(),
        n => r.rest().chunks(usize::from(n)).take(MAX_SPIS).map(<[u8]>::to_vec).collect(),
    };
    Ok(Body::Delete { protocol, spi_size, spis })
}

fn skf(r: &mut Reader<'_>) -> Option<Body> {
    Some(Body::Skf { number: r.u16()?, total: r.u16()?, len: r.len() })
}

fn fragment_v1(r: &mut Reader<'_>) -> Option<Body> {
    Some(Body::Fragment { id: r.u16()?, number: r.u8()?, last: r.u8()? & 1 != 0 })
}

/// RFC 7296 §3.13.
fn selectors(data: &[u8]) -> Result<Body, String> {
    let short = || "a traffic selector is cut short".to_owned();
    let mut r = Reader::new(data);
    let announced = r.u8().ok_or_else(short)?;
    r.take(3).ok_or_else(short)?;
    let mut selectors = Vec::new();
    while !r.is_empty() {
        let (kind, protocol) = (r.u8().ok_or_else(short)?, r.u8().ok_or_else(short)?);
        let length = usize::from(r.u16().ok_or_else(short)?);
        let mut body = Reader::new(length.checked_sub(4).and_then(|n| r.take(n)).ok_or_else(short)?);
        selectors.push(
            match kind {
                7 => selector::<4>(kind, protocol, &mut body),
                8 => selector::<16>(kind, protocol, &mut body),
                _ => Some(Selector { kind, protocol, ports: (0, 0), start: None, end: None }),
            }
            .ok_or_else(short)?,
        );
    }
    if selectors.len() != usize::from(announced) {
        return Err(format!("{announced} traffic selectors announced, {} are here", selectors.len()));
    }
    Ok(Body::Ts(selectors))
}

fn selector<const N: usize>(kind: u8, protocol: u8, r: &mut Reader<'_>) -> Option<Selector>
where
    std::net::IpAddr: From<[u8; N]>,
{
    let ports = (r.u16()?, r.u16()?);
    let (start, end) = (r.array::<N>()?, r.array::<N>()?);
    Some(Selector { kind, protocol, ports, start: Some(start.into()), end: Some(end.into()) })
}

/// RFC 7296 §3.15; version 1: draft-ietf-ipsec-isakmp-mode-cfg §3.2.
fn configuration(major: u8, data: &[u8]) -> Result<Body, String> {
    let (Some(&kind), Some(attributes)) = (data.first(), data.get(4..)) else {
        return Err(format!("{} octets are too few for its fixed fields", data.len()));
    };
    match sa::attributes(attributes, major == 1) {
        (attributes, None) => Ok(Body::Cp { kind, attributes }),
        (_, Some(why)) => Err(why),
    }
}
