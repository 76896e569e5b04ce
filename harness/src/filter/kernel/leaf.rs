//! Nodes of a filter to formulas over kernel tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::super::FilterError;
use super::super::fields::{Field, Kind};
use super::super::literal::Const;
use super::super::program::{self, Length, Node, Operand, Relation, Right};
use super::What;
use super::normal::Formula;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ESP: u8 = 50;
const AH: u8 = 51;
/// Octets of an Ethernet header, which `frame.len` counts and the kernel does not.
const ETHERNET: u64 = 14;

pub(super) fn formula(node: &Node) -> Result<Formula, FilterError> {
    let built = build(node)?;
    match halves(&built) {
        false => Ok(built),
        true => Err(FilterError::new(0..0, "a kernel rule cannot tell first from later fragments")
            .help("any fragment is: ip.flags.mf == 1 || ip.frag_offset > 0")),
    }
}

fn build(node: &Node) -> Result<Formula, FilterError> {
    Ok(match node {
        Node::All => Formula::always(),
        Node::And(nodes) => Formula::And(join(nodes, true)?),
        Node::Or(nodes) => Formula::Or(join(nodes, false)?),
        Node::Not(node) => build(node)?.not(),
        Node::Present(operand) => present(operand)?,
        Node::Test(test) => compare(test)?,
    })
}

/// `mf == 1 || offset > 0` is a fragment; `mf == 0 && offset == 0` is none.
fn join(nodes: &[Node], and: bool) -> Result<Vec<Formula>, FilterError> {
    let mut parts = nodes.iter().map(build).collect::<Result<Vec<_>, _>>()?;
    let half = |f: Formula| {
        let f = if and { f.not() } else { f };
        if and { Formula::And(vec![Formula::Is(What::Version(4)), f]) } else { f }
    };
    let (more, later) = (half(Formula::MoreFragments), half(Formula::LaterFragment));
    if parts.contains(&more) && parts.contains(&later) {
        parts.retain(|p| *p != more && *p != later);
        let fragment = Formula::Is(What::Fragment);
        parts.push(if and { fragment.not() } else { fragment });
        parts.extend(and.then_some(Formula::Is(What::Version(4))));
    }
    Ok(parts)
}

fn halves(formula: &Formula) -> bool {
    match formula {
        Formula::And(parts) | Formula::Or(parts) => parts.iter().any(halves),
        Formula::Not(inner) => halves(inner),
        Formula::Is(_) => false,
        Formula::MoreFragments | Formula::LaterFragment => true,
    }
}

fn is(what: What) -> Formula {
    Formula::Is(what)
}

fn both(l: Formula, r: Formula) -> Formula {
    Formula::And(vec![l, r])
}

fn either(l: Formula, r: Formula) -> Formula {
    Formula::Or(vec![l, r])
}

fn refuse(field: Field) -> FilterError {
    FilterError::new(0..0, format!("a kernel rule cannot test {}", field.info().name)).help(
        "it can test addresses, protocols, ports, lengths, ICMP types, fragments, DF, udp.payload[i:n], esp, and header fields of isakmp",
    )
}

fn port(number: u16) -> Formula {
    either(is(What::SourcePort(UDP, number, number)), is(What::DestinationPort(UDP, number, number)))
}

/// IKE on UDP/500, or on UDP/4500 behind the marker; `octets` at an offset within the IKE message.
fn ike(octets: Option<(u16, &[u8])>) -> Formula {
    let at = |shift: u16| octets.map(|(offset, o)| is(What::UdpPayload(offset + shift, o.to_vec())));
    let mut plain = vec![port(500)];
    plain.extend(at(0));
    let mut marked = vec![port(4500), is(What::UdpPayload(0, vec![0; 4]))];
    marked.extend(at(4));
    either(Formula::And(plain), Formula::And(marked))
}

/// The IP packet of a NAT keepalive is this long; ESP in UDP is longer.
fn keepalive() -> Formula {
    let length = |version: u8, n: u32| both(is(What::Version(version)), is(What::Length(n, n)));
    Formula::And(vec![port(4500), is(What::UdpPayload(0, vec![0xff])), either(length(4, 29), length(6, 49))])
}

fn present(operand: &Operand) -> Result<Formula, FilterError> {
    use Field as F;
    let field = operand.field;
    if operand.function.is_some() || !operand.slices.is_empty() {
        return Err(refuse(field));
    }
    Ok(match field {
        F::Frame | F::FrameLen | F::Eth => Formula::always(),
        F::Ip | F::IpSrc | F::IpDst | F::IpAddr | F::IpProto | F::IpLen | F::IpDf | F::IpMf | F::IpFragOffset => is(What::Version(4)),
        F::Ipv6Proto | F::Ipv6Src | F::Ipv6Dst | F::Ipv6Addr | F::Ipv6Nxt | F::Ipv6Plen => is(What::Version(6)),
        F::Udp | F::UdpSrcPort | F::UdpDstPort | F::UdpPort | F::UdpLength => is(What::Protocol(UDP)),
        F::Tcp | F::TcpSrcPort | F::TcpDstPort | F::TcpPort => is(What::Protocol(TCP)),
        F::Icmp | F::IcmpType | F::IcmpCode => is(What::Protocol(1)),
        F::Icmpv6 | F::Icmpv6Type | F::Icmpv6Code => is(What::Protocol(58)),
        F::Esp => {
            let in_udp = vec![port(4500), is(What::UdpPayload(0, vec![0; 4])).not(), keepalive().not()];
            either(is(What::Protocol(ESP)), Formula::And(in_udp))
        }
        F::Ah => is(What::Protocol(AH)),
        F::UdpEncap => port(4500),
        F::UdpEncapMarker => both(port(4500), is(What::UdpPayload(0, vec![0; 4]))),
        F::UdpEncapKeepalive => keepalive(),
        F::Isakmp => ike(None),
        _ => return Err(refuse(field)),
    })
}

fn compare(test: &program::Test) -> Result<Formula, FilterError> {
    let field = test.left.field;
    if test.left.function.is_some() || test.left.mask.is_some() {
        return Err(refuse(field));
    }
    // "All differ" is: present, and not "any is equal". "All equal" and "any differs" need no more than single values.
    match (&test.right, test.relation, test.all) {
        (Right::Const(c), Relation::Eq, all) if !all || single(field) => equal(&test.left, c, c),
        (Right::Const(c), Relation::Ne, all) if all || single(field) => {
            let whole = Operand { slices: Vec::new(), ..test.left.clone() };

            Ok(both(present_of(&whole)?, equal(&test.left, c, c)?.not()))
        }
        (Right::Const(c), Relation::Gt | Relation::Lt | Relation::Ge | Relation::Le, false) => range(test, c),
        (Right::Set(set), Relation::In, false) => {
            Ok(Formula::Or(set.iter().map(|(from, to)| equal(&test.left, from, to)).collect::<Result<_, _>>()?))
        }
        _ => Err(refuse(field)),
    }
}

/// Presence of a field whose octets are compared.
fn present_of(operand: &Operand) -> Result<Formula, FilterError> {
    match operand.field {
        Field::UdpPayload => Ok(is(What::Protocol(UDP))),
        f if ike_header(f).is_some() => Ok(ike(None)),
        _ => present(operand),
    }
}

fn single(field: Field) -> bool {
    !matches!(field, Field::IpAddr | Field::Ipv6Addr | Field::UdpPort | Field::TcpPort)
}

/// `<` and its kind, for integers: a range up to an end of the field's.
fn range(test: &program::Test, c: &Const) -> Result<Formula, FilterError> {
    let (Const::Uint(n), Kind::Uint(bits)) = (c, test.left.field.info().kind) else { return Err(refuse(test.left.field)) };
    let most = (1u64 << bits) - 1;
    let (from, to) = match test.relation {
        Relation::Gt => (n.checked_add(1).filter(|n| *n <= most), Some(most)),
        Relation::Ge => (Some(*n), Some(most)),
        Relation::Lt => (Some(0), n.checked_sub(1)),
        _ => (Some(0), Some(*n)),
    };
    match (from, to) {
        (Some(from), Some(to)) => equal(&test.left, &Const::Uint(from), &Const::Uint(to)),
        _ => Ok(Formula::never()),
    }
}

/// Offset and width of a field of the IKE header (RFC 7296 §3.1).
fn ike_header(field: Field) -> Option<(u16, usize)> {
    match field {
        Field::IsakmpIspi => Some((0, 8)),
        Field::IsakmpRspi => Some((8, 8)),
        Field::IsakmpVersion => Some((17, 1)),
        Field::IsakmpExchange => Some((18, 1)),
        Field::IsakmpFlags => Some((19, 1)),
        Field::IsakmpMessageId => Some((20, 4)),
        Field::IsakmpLength => Some((24, 4)),
        Field::IsakmpFlagI | Field::IsakmpFlagV | Field::IsakmpFlagR => Some((19, 1)),
        Field::IsakmpFlagE | Field::IsakmpFlagC | Field::IsakmpFlagA => Some((19, 1)),
        _ => None,
    }
}

/// The field lies between two constants, both included.
fn equal(operand: &Operand, from: &Const, to: &Const) -> Result<Formula, FilterError> {
    use Field as F;
    let field = operand.field;
    if let Some((offset, width)) = ike_header(field) {
        return ike_equal(field, offset, width, from, to);
    }
    Ok(match (field, from, to) {
        (F::IpSrc | F::Ipv6Src, ..) => is(What::Source(prefix(field, from, to)?)),
        (F::IpDst | F::Ipv6Dst, ..) => is(What::Destination(prefix(field, from, to)?)),
        (F::IpAddr | F::Ipv6Addr, ..) => {
            let net = prefix(field, from, to)?;
            either(is(What::Source(net)), is(What::Destination(net)))
        }
        (F::UdpPayload, Const::Bytes(octets), _) if from == to => payload(operand, octets)?,
        (F::IpDf, Const::Bool(set), _) if from == to => flag(is(What::DontFragment), *set),
        (F::IpMf, Const::Bool(set), _) if from == to => flag_half(Formula::MoreFragments, *set),
        (F::IpFragOffset, Const::Uint(0), Const::Uint(0)) => flag_half(Formula::LaterFragment, false),
        (F::IpFragOffset, Const::Uint(1), Const::Uint(0xffff)) => Formula::LaterFragment,
        (_, Const::Uint(from), Const::Uint(to)) => number(field, *from, *to)?,
        _ => return Err(refuse(field)),
    })
}

fn flag(set: Formula, wanted: bool) -> Formula {
    both(is(What::Version(4)), if wanted { set } else { set.not() })
}

fn flag_half(set: Formula, wanted: bool) -> Formula {
    if wanted { set } else { both(is(What::Version(4)), set.not()) }
}

fn number(field: Field, from: u64, to: u64) -> Result<Formula, FilterError> {
    use Field as F;
    let (low, high) = (saturate16(from), saturate16(to));
    let each = |what: fn(u8) -> Formula| -> Result<Formula, FilterError> {
        // One rule per value: the kernel tests for equality only.
        if to.saturating_sub(from) > 255 {
            return Err(refuse(field));
        }
        let octets = (from..=to).filter_map(|n| u8::try_from(n).ok());
        Ok(Formula::Or(octets.map(what).collect()))
    };
    let length = |shift: i64| {
        let bound = |n: u64| u32::try_from((n.min(u32::MAX.into()) as i64 + shift).max(0)).unwrap_or(u32::MAX);
        is(What::Length(bound(from), bound(to)))
    };
    let source = |protocol| is(What::SourcePort(protocol, low, high));
    let destination = |protocol| is(What::DestinationPort(protocol, low, high));
    Ok(match field {
        F::UdpSrcPort => source(UDP),
        F::UdpDstPort => destination(UDP),
        F::UdpPort => either(source(UDP), destination(UDP)),
        F::TcpSrcPort => source(TCP),
        F::TcpDstPort => destination(TCP),
        F::TcpPort => either(source(TCP), destination(TCP)),
        F::IpLen => both(is(What::Version(4)), length(0)),
        F::Ipv6Plen => both(is(What::Version(6)), length(40)),
        F::FrameLen => length(-(ETHERNET as i64)),
        F::IpProto => both(is(What::Version(4)), each(|n| is(What::Protocol(n)))?),
        F::Ipv6Nxt => both(is(What::Version(6)), each(|n| is(What::Protocol(n)))?),
        F::IpVersion | F::Ipv6Version => {
            let versions = [4, 6].into_iter().filter(|v| (from..=to).contains(v) && (*v == 6 || field == F::IpVersion));
            Formula::Or(versions.map(|v| is(What::Version(v as u8))).collect())
        }
        F::IcmpType => each(|n| is(What::IcmpType(false, n)))?,
        F::IcmpCode => each(|n| is(What::IcmpCode(false, n)))?,
        F::Icmpv6Type => each(|n| is(What::IcmpType(true, n)))?,
        F::Icmpv6Code => each(|n| is(What::IcmpCode(true, n)))?,
        _ => return Err(refuse(field)),
    })
}

fn saturate16(n: u64) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

fn prefix(field: Field, from: &Const, to: &Const) -> Result<IpNet, FilterError> {
    let (address, bits) = match (from, to) {
        (Const::Ipv4(a, mask), _) if from == to => (IpAddr::V4(Ipv4Addr::from_bits(a & mask)), mask.leading_ones()),
        (Const::Ipv6(a, mask), _) if from == to => (IpAddr::V6(Ipv6Addr::from_bits(a & mask)), mask.leading_ones()),
        _ => {
            return Err(FilterError::new(0..0, format!("a kernel rule cannot compare {} with a range", field.info().name))
                .help("give a prefix, such as 10.0.0.0/8"));
        }
    };
    u8::try_from(bits).ok().and_then(|bits| IpNet::new(address, bits).ok()).ok_or_else(|| refuse(field))
}

fn payload(operand: &Operand, octets: &[u8]) -> Result<Formula, FilterError> {
    let [slice] = operand.slices.as_slice() else { return Err(refuse(operand.field)) };
    let fits = match slice.length {
        Length::Octets(n) => n as usize == octets.len(),
        Length::To(last) => last - slice.from + 1 == octets.len() as i64,
        Length::Rest => false,
    };
    match u16::try_from(slice.from) {
        Ok(offset) if fits => Ok(is(What::UdpPayload(offset, octets.to_vec()))),
        _ => Err(refuse(operand.field)),
    }
}

fn ike_equal(field: Field, offset: u16, width: usize, from: &Const, to: &Const) -> Result<Formula, FilterError> {
    if from != to {
        return Err(FilterError::new(0..0, format!("a kernel rule can compare {} for equality only", field.info().name)));
    }
    match from {
        Const::Bytes(octets) if octets.len() == width => Ok(ike(Some((offset, octets)))),
        Const::Uint(n) => Ok(ike(Some((offset, &n.to_be_bytes()[8 - width..])))),
        Const::Bool(set) => Ok(ike_flag(field, *set)),
        _ => Err(refuse(field)),
    }
}

/// A rule compares whole octets: one per combination of the other flags of the same version.
fn ike_flag(field: Field, set: bool) -> Formula {
    let (version, all, bit) = match field {
        Field::IsakmpFlagE => (0x10, 0x07, 0x01),
        Field::IsakmpFlagC => (0x10, 0x07, 0x02),
        Field::IsakmpFlagA => (0x10, 0x07, 0x04),
        Field::IsakmpFlagI => (0x20, 0x38, 0x08),
        Field::IsakmpFlagV => (0x20, 0x38, 0x10),
        _ => (0x20, 0x38, 0x20),
    };
    let values = (0..=u8::MAX).filter(|v| v & !all == 0 && (v & bit != 0) == set);
    // Version 17, exchange 18, flags 19: the exchange lies between, so two tests.
    let flags = Formula::Or(values.map(|v| ike(Some((19, &[v])))).collect());
    both(ike(Some((17, &[version]))), flags)
}
