//! Values of `faultlab.*` fields.

use super::super::Analysis;
use super::super::value::{Sink, Value};
use super::Field;
use super::net::{address4, address6};
use crate::dissect::{Direction, Layer, Record};

pub(super) fn visit(field: Field, record: &Record, analysis: &Analysis, sink: &mut Sink<'_>) -> bool {
    match field {
        Field::OwnTap => analysis.tap(record.frame.tap).is_some_and(|tap| sink(Value::Text(tap))),
        Field::OwnNode => analysis.tap(record.frame.tap).is_some_and(|tap| sink(Value::Text(super::super::analysis::node_of(tap)))),
        Field::OwnDirection => match record.frame.direction {
            Direction::In => sink(Value::Text("in")),
            Direction::Out => sink(Value::Text("out")),
            Direction::Unknown => false,
        },
        Field::OwnMessage | Field::OwnRetransmission | Field::OwnCopy | Field::OwnTranslated | Field::OwnLost => {
            analysis.facts(record).is_some_and(|facts| match field {
                Field::OwnMessage => {
                    let mut text = [0; 16];
                    sink(Value::Text(hex(facts.message, &mut text)))
                }
                Field::OwnRetransmission => sink(Value::Bool(facts.retransmission)),
                Field::OwnCopy => sink(Value::Uint(facts.copy.into())),
                Field::OwnTranslated => sink(Value::Bool(facts.translated)),
                _ => sink(Value::Bool(analysis.is_lost(record))),
            })
        }
        Field::OwnMalformed => {
            let malformed = |l: &Layer| matches!(l, Layer::Malformed { .. });
            record.layers.iter().any(malformed) && sink(Value::Present)
        }
        Field::OwnInner => !record.esp_inner.is_empty() && sink(Value::Present),
        _ => record.esp_inner.iter().any(|l| inner(field, l, sink)),
    }
}

fn inner(field: Field, layer: &Layer, sink: &mut Sink<'_>) -> bool {
    match (layer, field) {
        (Layer::Ip(ip), Field::OwnInnerSrc) => address4(ip.src, sink),
        (Layer::Ip(ip), Field::OwnInnerDst) => address4(ip.dst, sink),
        (Layer::Ip(ip), Field::OwnInnerSrc6) => address6(ip.src, sink),
        (Layer::Ip(ip), Field::OwnInnerDst6) => address6(ip.dst, sink),
        (Layer::Ip(ip), Field::OwnInnerProto) => sink(Value::Uint(ip.protocol.into())),
        (Layer::Tcp(t), Field::OwnInnerChecksum) => sink(Value::Uint(t.checksum_ok.map_or(2, u64::from))),
        (Layer::Udp(u), _) => ports(field, u.src, u.dst, sink),
        (Layer::Tcp(t), _) => ports(field, t.src, t.dst, sink),
        _ => false,
    }
}

fn ports(field: Field, src: u16, dst: u16, sink: &mut Sink<'_>) -> bool {
    match field {
        Field::OwnInnerPort => sink(Value::Uint(src.into())) || sink(Value::Uint(dst.into())),
        Field::OwnInnerSrcPort => sink(Value::Uint(src.into())),
        Field::OwnInnerDstPort => sink(Value::Uint(dst.into())),
        _ => false,
    }
}

/// 16 hex digits without an allocation.
fn hex(n: u64, text: &mut [u8; 16]) -> &str {
    for (i, digit) in text.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(n >> (60 - 4 * i) & 15) as usize];
    }
    std::str::from_utf8(text).unwrap_or_default()
}
