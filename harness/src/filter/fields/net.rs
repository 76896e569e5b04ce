//! Values of frame, Ethernet, ARP, IP, UDP, TCP, ICMP, ESP, AH, DNS and HTTP fields.

use std::net::IpAddr;

use super::super::Analysis;
use super::super::value::{Sink, Value};
use super::Field;
use crate::dissect::{Arp, Dns, Ethernet, Http, Icmp, Ip, Layer, Record, Tcp, Udp};

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;

pub(super) fn frame(field: Field, record: &Record, analysis: &Analysis, sink: &mut Sink<'_>) -> bool {
    let frame = &record.frame;
    match field {
        Field::Frame => sink(Value::Bytes(&frame.data)),
        Field::FrameNumber => sink(Value::Uint(frame.number.into())),
        Field::FrameLen => sink(Value::Uint(frame.orig_len.into())),
        Field::FrameCapLen => sink(Value::Uint(frame.data.len() as u64)),
        Field::FrameTimeEpoch => sink(Value::Nanos(frame.time.0)),
        Field::FrameTimeRelative => analysis.start().is_some_and(|start| sink(Value::Nanos(frame.time.0.saturating_sub(start.0)))),
        Field::FrameInterfaceName => analysis.tap(frame.tap).is_some_and(|name| sink(Value::Text(name))),
        Field::FrameInterfaceId => analysis.tap(frame.tap).is_some() && sink(Value::Uint(frame.tap.into())),
        _ => false,
    }
}

pub(super) fn layers(field: Field, record: &Record, sink: &mut Sink<'_>) -> bool {
    record.layers.iter().enumerate().any(|(i, l)| match l {
        Layer::Ethernet(e) => ethernet(field, e, &record.frame.data, sink),
        Layer::Arp(a) => arp(field, a, sink),
        Layer::Ip(ip) if ip.src.is_ipv4() => ipv4(field, ip, sink),
        Layer::Ip(ip) => ipv6(field, ip, record, i, sink),
        Layer::Udp(u) => udp(field, u, sink),
        // Of a quoted segment Wireshark shows neither.
        Layer::Tcp(_) if i >= record.quoted_from && matches!(field, Field::TcpSeqRaw | Field::TcpLen) => false,
        Layer::Tcp(t) => tcp(field, t, sink),
        Layer::Icmp(m) if m.v6 => icmpv6(field, m, sink),
        Layer::Icmp(m) => icmp(field, m, sink),
        Layer::UdpEncap(marker) => match field {
            Field::UdpEncap => sink(Value::Present),
            Field::UdpEncapMarker => *marker && sink(Value::Present),
            _ => false,
        },
        Layer::NatKeepalive => match field {
            // One protocol item per packet, even when the dissector has put an encapsulation layer before.
            Field::UdpEncap => !matches!(i.checked_sub(1).map(|p| &record.layers[p]), Some(Layer::UdpEncap(_))) && sink(Value::Present),
            Field::UdpEncapKeepalive => sink(Value::Present),
            _ => false,
        },
        Layer::Esp(e) => match field {
            Field::Esp => sink(Value::Present),
            Field::EspSpi => sink(Value::Uint(e.spi.into())),
            Field::EspSequence => sink(Value::Uint(e.seq.into())),
            _ => false,
        },
        Layer::Ah(a) => match field {
            Field::Ah => sink(Value::Present),
            Field::AhSpi => sink(Value::Uint(a.spi.into())),
            Field::AhSequence => sink(Value::Uint(a.seq.into())),
            Field::AhIcv => sink(Value::Bytes(&a.icv)),
            _ => false,
        },
        Layer::Dns(d) => dns(field, d, sink),
        Layer::Http(h) => http(field, h, sink),
        Layer::Data(range) => {
            // A range of a reassembled datagram may lie outside the frame: then only its presence is known.
            field == Field::Data && sink(Value::Bytes(record.frame.data.get(range.clone()).unwrap_or(&[])))
        }
        Layer::Ike(ike) => field == Field::Data && !super::ike::is_ike(ike) && sink(Value::Bytes(&ike.raw)),
        Layer::Malformed { .. } => false,
    })
}

fn ethernet(field: Field, e: &Ethernet, data: &[u8], sink: &mut Sink<'_>) -> bool {
    match field {
        Field::Eth => sink(Value::Bytes(data.get(..ETHERNET).unwrap_or(data))),
        Field::EthSrc => sink(Value::Bytes(&e.src)),
        Field::EthDst => sink(Value::Bytes(&e.dst)),
        Field::EthAddr => sink(Value::Bytes(&e.dst)) || sink(Value::Bytes(&e.src)),
        Field::EthType => sink(Value::Uint(e.ether_type.into())),
        _ => false,
    }
}

fn arp(field: Field, a: &Arp, sink: &mut Sink<'_>) -> bool {
    match field {
        Field::Arp => sink(Value::Present),
        Field::ArpOpcode => sink(Value::Uint(a.operation.into())),
        Field::ArpSrcIpv4 => address4(a.sender, sink),
        Field::ArpDstIpv4 => address4(a.target, sink),
        _ => false,
    }
}

fn ipv4(field: Field, ip: &Ip, sink: &mut Sink<'_>) -> bool {
    let value = match field {
        Field::Ip => Value::Present,
        Field::IpVersion => Value::Uint(4),
        Field::IpHdrLen => Value::Uint(ip.header_len.into()),
        Field::IpDsfield => Value::Uint(ip.tos.into()),
        Field::IpDscp => Value::Uint((ip.tos >> 2).into()),
        Field::IpEcn => Value::Uint((ip.tos & 3).into()),
        Field::IpLen => Value::Uint(ip.total_len.into()),
        Field::IpId => Value::Uint(ip.id.into()),
        Field::IpDf => Value::Bool(ip.dont_fragment),
        Field::IpMf => Value::Bool(ip.more_fragments),
        Field::IpFragOffset => Value::Uint((ip.fragment_offset / 8).into()),
        Field::IpTtl => Value::Uint(ip.ttl.into()),
        Field::IpProto => Value::Uint(ip.protocol.into()),
        Field::IpSrc => return address4(ip.src, sink),
        Field::IpDst => return address4(ip.dst, sink),
        Field::IpAddr => return address4(ip.src, sink) || address4(ip.dst, sink),
        _ => return false,
    };
    sink(value)
}

fn ipv6(field: Field, ip: &Ip, record: &Record, index: usize, sink: &mut Sink<'_>) -> bool {
    let value = match field {
        Field::Ipv6Proto => Value::Present,
        // Wireshark's IPv6 dissector adds both.
        Field::Ipv6Version | Field::IpVersion => Value::Uint(6),
        Field::Ipv6Plen => Value::Uint(ip.total_len.saturating_sub(40).into()),
        Field::Ipv6Nxt => Value::Uint(first_next_header(ip, record, index).into()),
        Field::Ipv6Hlim => Value::Uint(ip.ttl.into()),
        Field::Ipv6Src => return address6(ip.src, sink),
        Field::Ipv6Dst => return address6(ip.dst, sink),
        Field::Ipv6Addr => return address6(ip.src, sink) || address6(ip.dst, sink),
        _ => return false,
    };
    sink(value)
}

/// `ipv6.nxt` is that of the fixed header; the layer keeps the upper protocol behind the extension headers.
fn first_next_header(ip: &Ip, record: &Record, index: usize) -> u8 {
    if ip.header_len <= 40 {
        return ip.protocol;
    }
    let start = match (index, record.layers.first()) {
        (1, Some(Layer::Ethernet(e))) if e.ether_type == 0x86dd => Some(ETHERNET),
        (0, _) => Some(0),
        _ => None,
    };
    start.and_then(|s| record.frame.data.get(s + 6)).copied().unwrap_or(if ip.is_fragment() { 44 } else { ip.protocol })
}

fn udp(field: Field, u: &Udp, sink: &mut Sink<'_>) -> bool {
    match field {
        Field::Udp => {
            let mut header = [0; 8];
            for (to, n) in header.chunks_exact_mut(2).zip([u.src, u.dst, u.length, u.checksum]) {
                to.copy_from_slice(&n.to_be_bytes());
            }
            sink(Value::Bytes(&header))
        }
        Field::UdpSrcPort => sink(Value::Uint(u.src.into())),
        Field::UdpDstPort => sink(Value::Uint(u.dst.into())),
        Field::UdpPort => sink(Value::Uint(u.src.into())) || sink(Value::Uint(u.dst.into())),
        Field::UdpLength => sink(Value::Uint(u.length.into())),
        Field::UdpChecksum => sink(Value::Uint(u.checksum.into())),
        Field::UdpPayload => !u.payload.is_empty() && sink(Value::Bytes(&u.payload)),
        _ => false,
    }
}

fn tcp(field: Field, t: &Tcp, sink: &mut Sink<'_>) -> bool {
    let flag = |bit: u8| Value::Bool(t.flags & bit != 0);
    let value = match field {
        Field::Tcp => Value::Present,
        Field::TcpSrcPort => Value::Uint(t.src.into()),
        Field::TcpDstPort => Value::Uint(t.dst.into()),
        Field::TcpPort => return sink(Value::Uint(t.src.into())) || sink(Value::Uint(t.dst.into())),
        Field::TcpSeqRaw => Value::Uint(t.seq.into()),
        Field::TcpAckRaw => Value::Uint(t.ack.into()),
        Field::TcpHdrLen => Value::Uint(t.header_len.into()),
        Field::TcpLen => Value::Uint(t.payload_len.into()),
        Field::TcpFlags => Value::Uint(t.flags.into()),
        Field::TcpFin => flag(1),
        Field::TcpSyn => flag(2),
        Field::TcpReset => flag(4),
        Field::TcpPush => flag(8),
        Field::TcpAck => flag(16),
        Field::TcpWindow => Value::Uint(t.window.into()),
        // Of a header that is cut short Wireshark shows nothing but the ports.
        Field::TcpChecksumStatus if t.header_len == 0 => return false,
        Field::TcpChecksumStatus => Value::Uint(t.checksum_ok.map_or(2, u64::from)),
        Field::TcpMss => return t.mss.is_some_and(|m| sink(Value::Uint(m.into()))),
        _ => return false,
    };
    sink(value)
}

fn icmp(field: Field, m: &Icmp, sink: &mut Sink<'_>) -> bool {
    match field {
        Field::Icmp => sink(Value::Present),
        Field::IcmpType => sink(Value::Uint(m.kind.into())),
        Field::IcmpCode => sink(Value::Uint(m.code.into())),
        Field::IcmpMtu => m.mtu.is_some_and(|mtu| sink(Value::Uint(mtu.into()))),
        Field::IcmpIdent => m.echo.is_some_and(|(id, _)| sink(Value::Uint(id.into()))),
        Field::IcmpSeq => m.echo.is_some_and(|(_, seq)| sink(Value::Uint(seq.into()))),
        _ => false,
    }
}

fn icmpv6(field: Field, m: &Icmp, sink: &mut Sink<'_>) -> bool {
    match field {
        Field::Icmpv6 => sink(Value::Present),
        Field::Icmpv6Type => sink(Value::Uint(m.kind.into())),
        Field::Icmpv6Code => sink(Value::Uint(m.code.into())),
        Field::Icmpv6Mtu => m.mtu.is_some_and(|mtu| sink(Value::Uint(mtu.into()))),
        Field::Icmpv6Ident => m.echo.is_some_and(|(id, _)| sink(Value::Uint(id.into()))),
        Field::Icmpv6Seq => m.echo.is_some_and(|(_, seq)| sink(Value::Uint(seq.into()))),
        _ => false,
    }
}

fn dns(field: Field, d: &Dns, sink: &mut Sink<'_>) -> bool {
    match field {
        Field::Dns => sink(Value::Present),
        Field::DnsId => sink(Value::Uint(d.id.into())),
        Field::DnsResponse => sink(Value::Bool(d.response)),
        Field::DnsRcode => d.response && sink(Value::Uint(d.rcode.into())),
        Field::DnsQryName => d.questions.iter().any(|(name, _)| sink(Value::Text(name))),
        Field::DnsQryType => d.questions.iter().any(|(_, kind)| sink(Value::Uint((*kind).into()))),
        Field::DnsAnswers => sink(Value::Uint(d.answers.into())),
        Field::DnsA => d.addresses.iter().any(|a| address4(*a, sink)),
        Field::DnsAaaa => d.addresses.iter().any(|a| address6(*a, sink)),
        _ => false,
    }
}

fn http(field: Field, h: &Http, sink: &mut Sink<'_>) -> bool {
    match field {
        Field::Http => sink(Value::Present),
        Field::HttpRequest => !h.method.is_empty() && sink(Value::Bool(true)),
        Field::HttpMethod => !h.method.is_empty() && sink(Value::Text(&h.method)),
        Field::HttpUri => !h.method.is_empty() && sink(Value::Text(&h.uri)),
        Field::HttpResponse => h.status.is_some() && sink(Value::Bool(true)),
        Field::HttpCode => h.status.is_some_and(|code| sink(Value::Uint(code.into()))),
        _ => false,
    }
}

pub(super) fn address4(a: IpAddr, sink: &mut Sink<'_>) -> bool {
    match a {
        IpAddr::V4(a) => sink(a.into()),
        IpAddr::V6(_) => false,
    }
}

pub(super) fn address6(a: IpAddr, sink: &mut Sink<'_>) -> bool {
    match a {
        IpAddr::V6(a) => sink(a.into()),
        IpAddr::V4(_) => false,
    }
}
