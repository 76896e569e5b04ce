//! Which IKE message asks for an answer, and which one is the answer to what.

use std::collections::HashMap;
use std::net::IpAddr;

use wire::ike::{Body, Encryption, Message};

use crate::dissect::Ike;

/// Liveness check of IKEv1 and its answer (RFC 3706 §5.4).
const R_U_THERE: u16 = 36136;
const R_U_THERE_ACK: u16 = 36137;

/// One question: initiator's SPI, exchange type, message ID (of a liveness check of IKEv1: its sequence number), and who asks.
pub type Exchange = (u64, u8, u32, Asker);

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// IKEv2: the original initiator of the IKE SA, or the other side; wherever it moves to (RFC 4555).
    OriginalInitiator(bool),
    /// IKEv1: whoever has this address.
    Address(IpAddr),
}

/// What a message is to a dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    /// It asks for an answer.
    pub asks: Option<Exchange>,
    /// It is the answer to this.
    pub answers: Option<Exchange>,
}

/// What was said so far, at one place.
#[derive(Debug, Default)]
pub struct Dialogues<'a> {
    v1: HashMap<(u64, u8, u32), Dialogue<'a>>,
}

/// One exchange of IKEv1.
#[derive(Debug)]
struct Dialogue<'a> {
    began: IpAddr,
    /// Different messages of each side.
    said: HashMap<IpAddr, Vec<&'a [u8]>>,
}

impl<'a> Dialogues<'a> {
    /// Takes the next message.
    pub fn hear(&mut self, ike: &'a Ike, src: IpAddr, dst: IpAddr) -> Spoken {
        let m = &ike.message;
        match m.major() {
            2 => in_version_2(m),
            _ if m.exchange == INFORMATIONAL_1 => liveness(m, src, dst),
            _ => self.in_version_1(ike, src, dst),
        }
    }

    /// Every message but the last asks for the next one (RFC 2408 §4, RFC 2409 §5).
    fn in_version_1(&mut self, ike: &'a Ike, src: IpAddr, dst: IpAddr) -> Spoken {
        let m = &ike.message;
        let id = (m.spi_i, m.exchange, m.message_id);
        let dialogue = self.v1.entry(id).or_insert_with(|| Dialogue { began: src, said: HashMap::new() });
        let said = dialogue.said.entry(src).or_default();
        let n = said.iter().position(|octets| *octets == ike.raw).unwrap_or_else(|| {
            said.push(&ike.raw);
            said.len() - 1
        });
        let last = is_last(m.exchange, src == dialogue.began, n + 1);
        let by = |addr| (id.0, id.1, id.2, Asker::Address(addr));
        Spoken { asks: (!last).then(|| by(src)), answers: Some(by(dst)) }
    }
}

/// Exchange types of informational messages.
const INFORMATIONAL_1: u8 = 5;
const INFORMATIONAL_2: u8 = 37;

fn in_version_2(m: &Message) -> Spoken {
    let by = |initiator| Some((m.spi_i, m.exchange, m.message_id, Asker::OriginalInitiator(initiator)));
    // Outside of an IKE SA nobody may answer (RFC 7296 §1.5).
    let outside = m.exchange == INFORMATIONAL_2 && m.encryption == Encryption::Clear;
    match m.is_response() {
        true => Spoken { asks: None, answers: by(!m.from_initiator()) },
        false => Spoken { asks: by(m.from_initiator()).filter(|_| !outside), answers: None },
    }
}

/// Informational messages of IKEv1 go one way; the check and its answer are two of them, with the same sequence number.
fn liveness(m: &Message, src: IpAddr, dst: IpAddr) -> Spoken {
    let sequence = |wanted: u16| {
        m.payloads.iter().find_map(|p| match &p.body {
            Body::Notify { kind, data, .. } if *kind == wanted => data.get(..4).and_then(|d| d.try_into().ok()).map(u32::from_be_bytes),
            _ => None,
        })
    };
    let by = |n, addr| (m.spi_i, m.exchange, n, Asker::Address(addr));
    Spoken { asks: sequence(R_U_THERE).map(|n| by(n, src)), answers: sequence(R_U_THERE_ACK).map(|n| by(n, dst)) }
}

/// Is the n-th message of one side the last one of its exchange? Counted by side: what the other side says may be lost on the way.
fn is_last(exchange: u8, of_initiator: bool, n: usize) -> bool {
    match exchange {
        // Base exchange: four messages (RFC 2408 §4.4).
        1 => !of_initiator && n >= 2,
        // Main mode: six.
        2 => !of_initiator && n >= 3,
        // Authentication only, aggressive mode, quick mode: three.
        3 | 4 | 32 => of_initiator && n >= 2,
        // Transaction, new group mode: two.
        6 | 33 => !of_initiator,
        _ => false,
    }
}
