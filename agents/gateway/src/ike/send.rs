//! Messages of an IKE SA on their way out.

use std::collections::VecDeque;
use std::time::Duration;

use wire::crypto::Cipher;
use wire::ike::bend;
use wire::ike::emit::{self, Header, Part, Protection};

use super::context::Context;
use super::misbehave;
use super::natt::NATT_PORT;
use super::numbers::{VERSION, flags};
use super::sa::{IkeSa, Role};
use super::timer::Timer;
use super::window::{Answered, Asked, Pending, Sent};
use crate::gateway::Effect;
use crate::time::Time;

/// Octets of IP and UDP header, and of the non-ESP marker, around a fragment.
const AROUND: usize = 20 + 8 + 4;
const AROUND_V6: usize = 40 + 8 + 4;

impl IkeSa {
    fn header(&self, exchange: u8, id: u32, response: bool) -> Header {
        let initiator = if self.role == Role::Initiator { flags::INITIATOR } else { 0 };
        let response = if response { flags::RESPONSE } else { 0 };
        Header { spi_i: self.spi_i, spi_r: self.spi_r, version: VERSION, exchange, flags: initiator | response, message_id: id }
    }

    /// Keys for what we send: encryption, integrity.
    fn protection(&self) -> Option<Protection<'_>> {
        let keys = self.keys.as_ref()?;
        let (sk_e, sk_a) = match self.role {
            Role::Initiator => (&keys.ei, &keys.ai),
            Role::Responder => (&keys.er, &keys.ar),
        };
        Some(Protection { cipher: keys.cipher, integrity: keys.integrity, sk_e, sk_a })
    }

    /// Sends a request and remembers what it asked for.
    pub(crate) fn request(&mut self, ctx: &mut Context<'_>, asked: Asked, exchange: u8, parts: Vec<Part>) {
        let id = self.window.next;
        self.window.next += 1;
        let sent = self.encode(ctx, exchange, id, false, &parts);
        self.transmit(ctx, &sent, false);
        self.window.pending = Some(Pending { asked, id, sent, copies: 1 });
        self.begin_to_wait(ctx, ctx.config.retransmit.timeout);
    }

    /// Sends a response and keeps it, in case that the request is repeated.
    pub(crate) fn respond(&mut self, ctx: &mut Context<'_>, exchange: u8, id: u32, parts: Vec<Part>) {
        let sent = self.encode(ctx, exchange, id, true, &parts);
        self.transmit(ctx, &sent, false);
        self.window.answered = Some(Answered { id, sent });
    }

    /// One message: in clear while there are no keys.
    fn encode(&mut self, ctx: &mut Context<'_>, exchange: u8, id: u32, response: bool, parts: &[Part]) -> Sent {
        self.window.unique_sent += 1;
        let nth = self.window.unique_sent;
        let misbehaviour = &ctx.config.misbehave;
        let bends = misbehave::bends(misbehaviour, nth, exchange, response);
        let kept = misbehave::without_notifies(misbehaviour, parts);
        let (first, chain) = emit::chain(&kept);
        let (first, chain) = misbehave::bend_content(&bends, first, chain);
        let header = self.header(exchange, id, response);
        let mut datagrams = match misbehave::in_clear(&bends) {
            Some(notify) => vec![bend::notify_in_clear(&header, notify)],
            None => self.protect(ctx, &header, first, &chain),
        };
        for datagram in &mut datagrams {
            misbehave::bend_octets(&bends, datagram);
        }
        Sent { exchange, response, nth, datagrams }
    }

    /// IVs: unpredictable for CBC, merely different for the others.
    fn ivs(&mut self, ctx: &mut Context<'_>, cipher: Cipher, count: usize) -> VecDeque<Vec<u8>> {
        let mut one = || {
            if matches!(cipher.iv_len(), 8) && (cipher.is_aead() || matches!(cipher, Cipher::AesCtr(_))) {
                self.window.ivs += 1;
                return self.window.ivs.to_be_bytes().to_vec();
            }
            ctx.rng.bytes(cipher.iv_len())
        };
        (0..count).map(|_| one()).collect()
    }

    fn protect(&mut self, ctx: &mut Context<'_>, header: &Header, first: u8, chain: &[u8]) -> Vec<Vec<u8>> {
        let Some(cipher) = self.keys.as_ref().map(|k| k.cipher) else { return vec![emit::message(header, first, chain)] };
        let options = &ctx.config.connections[self.connection].options;
        let around = if self.remote.is_ipv4() { AROUND } else { AROUND_V6 };
        let largest = usize::from(options.fragment_size).saturating_sub(around);
        let fragments = options.fragmentation && self.announced.fragmentation;
        // One for the whole, the others for fragments, which carry at least a hundred octets each.
        let mut ivs = self.ivs(ctx, cipher, 2 + chain.len() / 100);
        let mut iv = |n: usize| ivs.pop_front().unwrap_or_else(|| vec![0; n]);
        let Some(protection) = self.protection() else { return Vec::new() };
        let whole = emit::seal(header, first, chain, &protection, &iv(cipher.iv_len()));
        let whole = match whole {
            Ok(whole) if !fragments || whole.len() <= largest => Ok(vec![whole]),
            Ok(_) => emit::seal_fragments(header, first, chain, &protection, &mut iv, largest),
            Err(e) => Err(e),
        };
        whole.unwrap_or_else(|e| {
            ctx.log(Some(self.connection), Some(self.spis()), format!("a message could not be encrypted: {e}"));
            Vec::new()
        })
    }

    /// Puts a copy of a message on its way; `again`: not the first one.
    pub(crate) fn transmit(&mut self, ctx: &mut Context<'_>, sent: &Sent, again: bool) {
        let delays = misbehave::copies(&ctx.config.misbehave, sent, again);
        let (from, to) = if sent.response { self.reply } else { (self.local, self.remote) };
        for data in &sent.datagrams {
            for delay in &delays {
                ctx.send(Effect::Datagram { from, to, data: marked(from.port(), data) }, *delay);
            }
        }
        self.last_sent = ctx.now;
    }

    /// The retransmission timer has fired. `false`: the peer is not there any more.
    pub(crate) fn retransmit(&mut self, ctx: &mut Context<'_>) -> bool {
        let policy = ctx.config.retransmit;
        let Some(pending) = &mut self.window.pending else { return true };
        if pending.copies > policy.tries {
            return false;
        }
        // After copy n+1 comes gap n+1; the last one only waits.
        let gap = policy.timeout.mul_f64(policy.base.powi(i32::try_from(pending.copies).unwrap_or(i32::MAX)));
        pending.copies += 1;
        let (sent, id, copies) = (pending.sent.clone(), pending.id, pending.copies);
        if !ctx.config.misbehave.switches.no_retransmit {
            ctx.log(Some(self.connection), Some(self.spis()), format!("request {id}: copy {copies}, no response so far"));
            self.transmit(ctx, &sent, true);
        }
        self.begin_to_wait(ctx, gap);
        true
    }

    /// Until it is known when the request left, this moment counts.
    fn begin_to_wait(&mut self, ctx: &mut Context<'_>, patience: Duration) {
        self.timers.set(Timer::Retransmit, ctx.now + patience);
        ctx.unsent.push((self.own_spi(), patience));
    }

    /// The request that waits for a response has left: when its next copy is due.
    pub(crate) fn await_response(&mut self, until: Time) {
        if self.window.pending.is_some() {
            self.timers.set(Timer::Retransmit, until);
        }
    }
}

/// On port 4500 IKE follows four octets of zero (RFC 3948 §2.2).
pub(crate) fn marked(port: u16, message: &[u8]) -> Vec<u8> {
    if port == NATT_PORT { [&[0; 4], message].concat() } else { message.to_vec() }
}
