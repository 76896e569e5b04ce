//! Deliberate misbehaviour with single messages: what [`peer::Misbehave`] says, done.

use std::time::Duration;

use peer::{Bend, MessageAction, MessageRule, Misbehave};
use wire::ike::Body;
use wire::ike::bend::{self, Chain};
use wire::ike::emit::Part;

use super::window::Sent;

/// Rules for one message of one direction.
fn matching(m: &Misbehave, inbound: bool, nth: u32, exchange: u8, response: bool) -> impl Iterator<Item = &MessageAction> {
    let fits = move |r: &&MessageRule| {
        let w = &r.which;
        w.inbound == inbound
            && w.nth.is_none_or(|n| n == nth)
            && w.exchange.is_none_or(|e| e == exchange)
            && w.response.is_none_or(|r| r == response)
    };
    m.messages.iter().filter(fits).map(|r| &r.action)
}

/// Alterations of a message that is being sent.
pub(crate) fn bends(m: &Misbehave, nth: u32, exchange: u8, response: bool) -> Vec<&Bend> {
    matching(m, false, nth, exchange, response).filter_map(|a| if let MessageAction::Bend(b) = a { Some(b) } else { None }).collect()
}

/// After how long each copy of a message leaves; nothing: it never does.
pub(crate) fn copies(m: &Misbehave, sent: &Sent, again: bool) -> Vec<Duration> {
    delays(matching(m, false, sent.nth, sent.exchange, sent.response), again)
}

/// After how long each copy of a message that has arrived is looked at.
pub(crate) fn arrivals(m: &Misbehave, nth: u32, exchange: u8, response: bool, again: bool) -> Vec<Duration> {
    delays(matching(m, true, nth, exchange, response), again)
}

fn delays<'a>(actions: impl Iterator<Item = &'a MessageAction>, again: bool) -> Vec<Duration> {
    let mut delays = vec![Duration::ZERO];
    for action in actions {
        match action {
            MessageAction::Block => return Vec::new(),
            MessageAction::Drop if !again => return Vec::new(),
            MessageAction::Duplicate(n) => delays.extend((0..(*n).min(1000)).map(|_| Duration::ZERO)),
            MessageAction::Delay(d) => delays.iter_mut().for_each(|x| *x += *d),
            MessageAction::Replay(d) if !again => delays.push(*d),
            MessageAction::Drop | MessageAction::Replay(_) | MessageAction::Bend(_) => {}
        }
    }
    delays
}

/// Without the notifies that are never sent.
pub(crate) fn without_notifies(m: &Misbehave, all: &[Part]) -> Vec<Part> {
    let sent = |p: &&Part| !matches!(&p.body, Body::Notify { kind, .. } if m.omit_notify.contains(kind));
    all.iter().filter(sent).cloned().collect()
}

/// Alters the payloads before they are encrypted.
pub(crate) fn bend_content(bends: &[&Bend], first: u8, octets: Vec<u8>) -> (u8, Vec<u8>) {
    let mut chain = Chain { first, octets };
    for b in bends {
        match b {
            Bend::Reserved => chain.set_reserved(),
            Bend::OmitPayload(kind) => chain.omit(*kind),
            Bend::UnknownPayload { kind, critical, len } => chain.unknown_first(*kind, *critical, *len),
            Bend::DoublePayload(kind) => chain.double(*kind),
            Bend::CorruptPayload(kind) => chain.corrupt(*kind),
            Bend::EmptyPayload(kind) => chain.empty(*kind),
            Bend::ResizePayload { kind, by } => chain.resize(*kind, *by),
            Bend::SetOctets { kind, at, octets } => chain.set_octets(*kind, *at, octets),
            Bend::AddNotify { kind, data } => chain.add_notify(*kind, data),
            Bend::ReversePayloads => chain.reverse(),
            Bend::FillTo(octets) => chain.fill_to(*octets),
            // About the message as a whole.
            Bend::SpiI(_)
            | Bend::SpiR(_)
            | Bend::Version(_)
            | Bend::Exchange(_)
            | Bend::FlipFlags(_)
            | Bend::MessageId(_)
            | Bend::Length(_)
            | Bend::UnencryptedNotify(_)
            | Bend::CorruptEncrypted => false,
        };
    }
    (chain.first, chain.octets)
}

/// The notify that replaces the whole message.
pub(crate) fn in_clear(bends: &[&Bend]) -> Option<u16> {
    bends.iter().find_map(|b| if let Bend::UnencryptedNotify(kind) = b { Some(*kind) } else { None })
}

/// Alters the octets of a whole message.
pub(crate) fn bend_octets(bends: &[&Bend], message: &mut [u8]) {
    for b in bends {
        match b {
            Bend::SpiI(spi) => bend::set_spi_i(message, *spi),
            Bend::SpiR(spi) => bend::set_spi_r(message, *spi),
            Bend::Version(v) => bend::set_version(message, *v),
            Bend::Exchange(e) => bend::set_exchange(message, *e),
            Bend::FlipFlags(bits) => bend::flip_flags(message, *bits),
            Bend::MessageId(id) => bend::set_message_id(message, *id),
            Bend::Length(by) => bend::add_to_length(message, *by),
            Bend::CorruptEncrypted => bend::corrupt_encrypted(message),
            _ => false,
        };
    }
}
