//! IKE_INTERMEDIATE with additional key exchanges: RFC 9242, RFC 9370 §2.2.2.
//!
//! ```text
//!  HDR, SK { KEi(1) } ──▶
//!                     ◀── HDR, SK { KEr(1) }        … once for each additional key exchange that was agreed upon
//! ```

use peer::Keys;
use wire::ike::emit::{self, Header};

use super::content::Content;
use super::context::Context;
use super::numbers::exchange;
use super::parts;
use super::sa::{IkeSa, Role, Setup, State};
use super::window::Asked;
use crate::crypto::{self, Initiator};

/// Octets of an IKE header.
const HEADER: usize = 28;

impl IkeSa {
    /// Initiator: the next additional key exchange, or IKE_AUTH when there is none left.
    pub(crate) fn after_key_exchange(&mut self, ctx: &mut Context<'_>, mut setup: Box<Setup>) {
        // Before the first of them, as before IKE_AUTH (RFC 9242 §3.2).
        self.float(ctx.config.connections[self.connection].mobike);
        let Some((_, group)) = setup.additional.front().copied() else { return self.begin_auth(ctx, setup) };
        let ke = Initiator::new(group, ctx.rng);
        let all = vec![parts::ke(group, ke.public())];
        setup.ke = Some(ke);
        let header = self.plain_header(exchange::IKE_INTERMEDIATE, self.window.next, false);
        self.add_int_auth(&mut setup, 0, &header, &all);
        self.state = State::ExpectIntermediateResponse(setup);
        self.request(ctx, Asked::Intermediate, exchange::IKE_INTERMEDIATE, all);
    }

    /// Initiator: the peer's public value.
    pub(crate) fn handle_intermediate_response(&mut self, ctx: &mut Context<'_>, mut setup: Box<Setup>, content: Content<'_>, id: u32) {
        let done = (|| {
            let (_, group) = setup.additional.pop_front().ok_or("none was agreed upon")?;
            let (number, public) = content.ke().ok_or("no KE payload")?;
            let ke = setup.ke.take().filter(|_| number == group.transform_id()).ok_or_else(|| format!("it is for group {number}"))?;
            let secret = ke.finish(public).map_err(|e| e.to_string())?;
            let header = Header { flags: 0x20, ..self.plain_header(exchange::IKE_INTERMEDIATE, id, true) };
            self.add_int_auth_received(&mut setup, 1, &header, content);
            Ok::<_, String>(secret)
        })();
        match done {
            Ok(secret) => {
                self.add_secret(ctx, &setup, &secret);
                self.after_key_exchange(ctx, setup);
            }
            Err(why) => self.fail(ctx, format!("IKE_INTERMEDIATE given up: {why}")),
        }
    }

    /// Responder.
    pub(crate) fn handle_intermediate_request(&mut self, ctx: &mut Context<'_>, mut setup: Box<Setup>, content: Content<'_>, id: u32) {
        let done = (|| {
            let (_, group) = setup.additional.pop_front()?;
            let (number, public) = content.ke()?;
            (number == group.transform_id()).then_some(())?;
            let (own, secret) = crypto::respond(group, public, ctx.rng).ok()?;
            Some((parts::ke(group, &own), secret))
        })();
        let Some((own, secret)) = done else { return self.forget(ctx, "IKE_INTERMEDIATE without the key exchange that was agreed upon") };
        let header = Header { flags: 0x08, ..self.plain_header(exchange::IKE_INTERMEDIATE, id, false) };
        self.add_int_auth_received(&mut setup, 0, &header, content);
        let all = vec![own];
        let header = self.plain_header(exchange::IKE_INTERMEDIATE, id, true);
        self.add_int_auth(&mut setup, 1, &header, &all);
        // The answer still goes under the old keys.
        self.respond(ctx, exchange::IKE_INTERMEDIATE, id, all);
        self.add_secret(ctx, &setup, &secret);
        setup.auth_id = id + 1;
        self.state = if setup.additional.is_empty() { State::ExpectAuthRequest(setup) } else { State::ExpectIntermediate(setup) };
    }

    fn add_secret(&mut self, ctx: &mut Context<'_>, setup: &Setup, secret: &[u8]) {
        let Some(keys) = &self.keys else { return };
        let keys = keys.updated(&setup.nonces, secret, self.spis());
        ctx.keys(Keys { ikev2: vec![keys.evidence(self.spi_i, self.spi_r)], ..Keys::default() });
        self.keys = Some(keys);
    }

    fn plain_header(&self, exchange: u8, id: u32, response: bool) -> Header {
        let flags = match (self.role, response) {
            (Role::Initiator, _) => 0x08,
            (Role::Responder, true) => 0x20,
            (Role::Responder, false) => 0,
        };
        Header { spi_i: self.spi_i, spi_r: self.spi_r, version: 0x20, exchange, flags, message_id: id }
    }

    fn add_int_auth(&self, setup: &mut Setup, side: usize, header: &Header, all: &[emit::Part]) {
        let (first, chain) = emit::chain(all);
        self.chain_int_auth(setup, side, header, first, &chain);
    }

    /// The peer's message is encoded once more: its payloads are known types, whose encoding is unique.
    fn add_int_auth_received(&self, setup: &mut Setup, side: usize, header: &Header, content: Content<'_>) {
        let all: Vec<emit::Part> =
            content.0.iter().map(|p| emit::Part { kind: p.kind, critical: p.critical, body: p.body.clone() }).collect();
        self.add_int_auth(setup, side, header, &all);
    }

    /// `IntAuth_i/r n = prf(SK_pi/pr n, IntAuth n-1 | A | P)`, where A is the header and SK's generic header as if nothing were encrypted,
    /// with adjusted lengths, and P the content (RFC 9242 §3.3.2).
    fn chain_int_auth(&self, setup: &mut Setup, side: usize, header: &Header, first: u8, chain: &[u8]) {
        let Some(keys) = &self.keys else { return };
        let key = if side == 0 { &keys.pi } else { &keys.pr };
        let mut a = emit::message(header, 46, &[]);
        let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        if let Some(field) = a.get_mut(24..HEADER) {
            field.copy_from_slice(&length(HEADER + 4 + chain.len()).to_be_bytes());
        }
        let sk = u16::try_from(4 + chain.len()).unwrap_or(u16::MAX).to_be_bytes();
        a.extend([first, 0, sk[0], sk[1]]);
        setup.int_auth[side] = keys.prf.compute(key, &[&setup.int_auth[side], &a, chain]);
    }
}
