//! Clauses of a display filter as nftables expressions.
//!
//! A negated test still needs what it tests to be there: "source is not 10.0.0.0/8" means an IPv4 packet from elsewhere.

use ipnet::IpNet;

use super::super::kernel::nft::{Compare, Expr};
use crate::filter::kernel::{Clause, Test, What};

const META_LENGTH: u32 = 0;
const META_NFPROTO: u32 = 15;
/// Octets that one comparison can take.
const REGISTER: usize = 16;

/// Expressions that go on only for packets that match the clause.
pub(super) fn expressions(clause: &Clause) -> Result<Vec<Expr>, String> {
    let mut all = Vec::new();
    for test in &clause.tests {
        one(test, &mut all)?;
    }
    Ok(all)
}

fn one(test: &Test, out: &mut Vec<Expr>) -> Result<(), String> {
    let how = if test.negated { Compare::Ne } else { Compare::Eq };
    match &test.what {
        What::Version(version) => {
            out.extend([Expr::meta(META_NFPROTO), Expr::compare(how, &[nfproto(*version == 6)])]);
        }
        What::Protocol(protocol) => out.extend([Expr::meta(16), Expr::compare(how, &[*protocol])]),
        What::Source(net) => prefix(net, how, (12, 8), out),
        What::Destination(net) => prefix(net, how, (16, 24), out),
        What::SourcePort(protocol, from, to) => ports(*protocol, 0, (*from, *to), test.negated, out),
        What::DestinationPort(protocol, from, to) => ports(*protocol, 2, (*from, *to), test.negated, out),
        What::Length(from, to) => {
            // The kernel's own number is in the host's octet order, and ranges compare octets.
            let range = Expr::range(test.negated, &from.to_be_bytes(), &to.to_be_bytes());
            out.extend([Expr::meta(META_LENGTH), Expr::host_to_network(), range]);
        }
        What::IcmpType(v6, value) => icmp(*v6, 0, *value, how, out),
        What::IcmpCode(v6, value) => icmp(*v6, 1, *value, how, out),
        What::Fragment => flags(0x3fff, !test.negated, out),
        What::DontFragment => flags(0x4000, !test.negated, out),
        What::UdpPayload(offset, octets) => payload(*offset, octets, how, out)?,
    }
    Ok(())
}

fn nfproto(v6: bool) -> u8 {
    if v6 { 10 } else { 2 }
}

fn version(v6: bool) -> [Expr; 2] {
    [Expr::meta(META_NFPROTO), Expr::compare(Compare::Eq, &[nfproto(v6)])]
}

/// `offsets` of the address in the IPv4 and IPv6 headers.
fn prefix(net: &IpNet, how: Compare, offsets: (u32, u32), out: &mut Vec<Expr>) {
    let (offset, octets, mask) = match net {
        IpNet::V4(n) => (offsets.0, n.network().octets().to_vec(), n.netmask().octets().to_vec()),
        IpNet::V6(n) => (offsets.1, n.network().octets().to_vec(), n.netmask().octets().to_vec()),
    };
    out.extend(version(matches!(net, IpNet::V6(_))));
    out.push(Expr::payload(false, offset, if mask.len() == 4 { 4 } else { 16 }));
    out.extend([Expr::mask(&mask), Expr::compare(how, &octets)]);
}

fn ports(protocol: u8, offset: u32, (from, to): (u16, u16), negated: bool, out: &mut Vec<Expr>) {
    out.extend(Expr::protocol(protocol));
    out.extend([Expr::payload(true, offset, 2), Expr::range(negated, &from.to_be_bytes(), &to.to_be_bytes())]);
}

fn icmp(v6: bool, offset: u32, value: u8, how: Compare, out: &mut Vec<Expr>) {
    out.extend(Expr::protocol(if v6 { 58 } else { 1 }));
    out.extend([Expr::payload(true, offset, 1), Expr::compare(how, &[value])]);
}

/// Any of some bits of IPv4's flags and fragment offset.
fn flags(bits: u16, set: bool, out: &mut Vec<Expr>) {
    out.extend(version(false));
    let how = if set { Compare::Ne } else { Compare::Eq };
    out.extend([Expr::payload(false, 6, 2), Expr::mask(&bits.to_be_bytes()), Expr::compare(how, &[0, 0])]);
}

fn payload(offset: u16, octets: &[u8], how: Compare, out: &mut Vec<Expr>) -> Result<(), String> {
    if how == Compare::Ne && octets.len() > REGISTER {
        return Err(format!("a kernel rule cannot test that {} octets differ; compare at most {REGISTER}", octets.len()));
    }
    out.extend(Expr::protocol(17));
    let mut at = 8 + u32::from(offset);
    for piece in octets.chunks(REGISTER) {
        let length = u32::try_from(piece.len()).unwrap_or(0);
        out.extend([Expr::payload(true, at, length), Expr::compare(how, piece)]);
        at += length;
    }
    Ok(())
}
