//! Messages of an IKE SA on their way in: decrypted, put in order, handed to their exchange.

use std::net::SocketAddr;

use wire::ike::decrypt::{Plaintext, open_v2};
use wire::ike::{Body, Message, Payload};

use super::content::Content;
use super::context::Context;
use super::followup::Goal;
use super::numbers::{exchange, notify};
use super::parts;
use super::sa::{IkeSa, Role, State};
use super::timer::Timer;
use super::window::{Asked, Pending};

impl IkeSa {
    /// A message with this IKE SA's SPIs.
    pub(crate) fn handle_message(&mut self, ctx: &mut Context<'_>, message: &Message, raw: &[u8], from: SocketAddr, to: SocketAddr) {
        if message.exchange == exchange::IKE_SA_INIT {
            let expected = matches!(self.state, State::ExpectInitResponse(_)) && message.is_response() && message.message_id == 0;
            if expected && message.malformed.is_none() {
                self.handle_init_response(ctx, message, raw, from, to);
            }
            return self.pump(ctx);
        }
        // The Initiator flag tells who speaks (RFC 7296 §3.1).
        if message.from_initiator() != (self.role == Role::Responder) {
            return;
        }
        let response = message.is_response();
        if !self.is_timely(ctx, message, response, (to, from)) {
            return;
        }
        let Some(plain) = self.decrypt(ctx, message, raw) else { return };
        self.last_heard = ctx.now;
        if !response {
            self.reply = (to, from);
        }
        if self.is_half_open() {
            // The initiator may have moved to port 4500.
            (self.local, self.remote) = (to, from);
        } else {
            self.follow(ctx, from, to);
        }
        let mut inside = Message { payloads: Vec::new(), malformed: None, ..message.clone() };
        inside.append(&plain);
        let (mut all, malformed) = (inside.payloads, inside.malformed);
        let ignored = &ctx.config.misbehave.ignore_notify;
        all.retain(|p| !matches!(&p.body, Body::Notify { kind, .. } if ignored.contains(kind)));
        if response {
            self.handle_response(ctx, message.message_id, &all, malformed.is_some(), from, to);
        } else {
            self.window.expected = self.window.expected.wrapping_add(1);
            self.handle_request(ctx, message, &all, malformed.as_deref(), from, to);
        }
        self.pump(ctx);
    }

    /// IKE_SA_INIT's request has come once more: the same octets get the same response.
    pub(crate) fn repeat_init_response(&mut self, ctx: &mut Context<'_>, raw: &[u8]) {
        let (State::ExpectAuthRequest(setup) | State::ExpectIntermediate(setup)) = &self.state else { return };
        let answered = self.window.answered.as_ref().filter(|a| a.id == 0 && setup.init_request == raw);
        if let Some(sent) = answered.map(|a| a.sent.clone()) {
            self.transmit(ctx, &sent, true);
        }
    }

    /// Is this child SA, or its successor, asked for right now?
    pub(crate) fn asks_for_child(&self, index: usize) -> bool {
        self.child_in_hand().is_some_and(|(asked, _)| asked == index)
    }

    /// Is some child SA, or the successor of one, asked for right now?
    pub(crate) fn asks_for_any_child(&self) -> bool {
        self.child_in_hand().is_some()
    }

    /// Is a child SA asked for right now that is nobody's successor?
    pub(crate) fn asks_for_new_child(&self) -> bool {
        self.child_in_hand().is_some_and(|(_, is_new)| is_new)
    }

    /// Which of the connection's child SAs is asked for right now, and is it nobody's successor?
    fn child_in_hand(&self) -> Option<(usize, bool)> {
        match &self.window.pending.as_ref()?.asked {
            Asked::NewChild(request) => Some((request.index, true)),
            Asked::RekeyChild(_, request) => Some((request.index, false)),
            Asked::FollowUp(expected) => match &expected.series.goal {
                Goal::Child { agreed, old } => Some((agreed.index, old.is_none())),
                Goal::Ike { .. } => None,
            },
            _ => None,
        }
    }

    /// Is it the message that is due? A repeated request is answered as it was.
    fn is_timely(&mut self, ctx: &mut Context<'_>, message: &Message, response: bool, way: (SocketAddr, SocketAddr)) -> bool {
        if response {
            return self.window.pending.as_ref().is_some_and(|p| p.id == message.message_id && p.sent.exchange == message.exchange);
        }
        if message.message_id == self.window.expected {
            return true;
        }
        let first = !message.payloads.iter().any(|p| matches!(p.body, Body::Skf { number, .. } if number != 1));
        let answered = self.window.answered.as_ref().filter(|a| a.id == message.message_id && first);
        if let Some(sent) = answered.map(|a| a.sent.clone()) {
            self.reply = way;
            self.transmit(ctx, &sent, true);
        }
        false
    }

    /// Its content, once all of it is here. What is not authentic is ignored (RFC 7296 §2.21).
    fn decrypt(&mut self, ctx: &mut Context<'_>, message: &Message, raw: &[u8]) -> Option<Plaintext> {
        let keys = self.keys.as_ref()?;
        let (sk_e, sk_a) = match self.role {
            Role::Initiator => (&keys.er, &keys.ar),
            Role::Responder => (&keys.ei, &keys.ai),
        };
        let opened = open_v2(message, raw, keys.cipher, keys.integrity, sk_e, sk_a);
        let plain = match opened {
            Some(Ok(plain)) => plain,
            Some(Err(e)) => {
                self.log(ctx, format!("message {} ignored: {e}", message.message_id));
                return None;
            }
            None => {
                self.log(ctx, format!("message {} ignored: nothing in it is protected", message.message_id));
                return None;
            }
        };
        let fragment = message.payloads.iter().find_map(|p| match p.body {
            Body::Skf { number, total, .. } => Some((number, total)),
            _ => None,
        });
        match fragment {
            None => Some(plain),
            Some((number, total)) => {
                let side = usize::from(message.is_response());
                self.window.fragments[side].add(message.message_id, number, total, plain)
            }
        }
    }

    fn handle_response(&mut self, ctx: &mut Context<'_>, id: u32, all: &[Payload], malformed: bool, from: SocketAddr, to: SocketAddr) {
        let Some(Pending { asked, .. }) = self.window.pending.take() else { return };
        self.timers.clear(Timer::Retransmit);
        if malformed {
            // RFC 7296 §2.21.3: nothing sensible can be done with such a peer.
            return self.end(ctx, "the peer's response makes no sense");
        }
        let content = Content(all);
        match asked {
            Asked::Init => {}
            Asked::Intermediate => match std::mem::replace(&mut self.state, State::Gone) {
                State::ExpectIntermediateResponse(setup) => self.handle_intermediate_response(ctx, setup, content, id),
                other => self.state = other,
            },
            Asked::Auth => match std::mem::replace(&mut self.state, State::Gone) {
                State::ExpectAuthResponse(setup) => self.handle_auth_response(ctx, setup, content),
                other => self.state = other,
            },
            Asked::NewChild(request) => self.handle_new_child_response(ctx, *request, content),
            Asked::RekeyChild(old, request) => self.handle_rekey_child_response(ctx, old, *request, content),
            Asked::RekeyIke(request) => self.handle_rekey_ike_response(ctx, *request, content),
            Asked::FollowUp(expected) => self.handle_follow_up_response(ctx, *expected, content),
            Asked::DeleteChild(spi) => self.remove_child(ctx, spi, true),
            Asked::DeleteIke => {
                self.close_children(ctx);
                if matches!(self.state, State::Closing) && self.window.expected > 0 {
                    self.log(ctx, "the peer has confirmed the DELETE");
                }
                self.state = State::Gone;
            }
            Asked::Refuse => self.state = State::Gone,
            Asked::Liveness => {}
            Asked::Addresses(cookie) => self.handle_addresses_response(ctx, &cookie, content, from, to),
            Asked::PathTest { cookie, path } => self.handle_path_test_response(ctx, &cookie, path, content),
        }
    }

    fn handle_request(
        &mut self,
        ctx: &mut Context<'_>,
        message: &Message,
        all: &[Payload],
        malformed: Option<&str>,
        from: SocketAddr,
        to: SocketAddr,
    ) {
        let (id, content) = (message.message_id, Content(all));
        let problem = match (malformed, content.unknown_critical()) {
            (Some(_), _) => Some((notify::INVALID_SYNTAX, Vec::new())),
            (None, Some(kind)) => Some((notify::UNSUPPORTED_CRITICAL_PAYLOAD, vec![kind])),
            (None, None) => None,
        };
        if let Some((kind, data)) = problem {
            self.log(ctx, format!("request {id} refused: {}", malformed.unwrap_or("a critical payload is unknown")));
            return self.respond(ctx, message.exchange, id, vec![parts::notify(kind, &data)]);
        }
        match (message.exchange, std::mem::replace(&mut self.state, State::Gone)) {
            (exchange::IKE_INTERMEDIATE, State::ExpectIntermediate(setup)) => self.handle_intermediate_request(ctx, setup, content, id),
            (exchange::IKE_AUTH, State::ExpectAuthRequest(setup)) => self.handle_auth_request(ctx, setup, all, id),
            (exchange::IKE_AUTH, State::ExpectEap(setup)) => self.handle_eap_request(ctx, setup, content, id),
            (exchange::IKE_AUTH, State::ExpectEapAuth(setup)) => self.handle_eap_auth(ctx, setup, content, id),
            (exchange::CREATE_CHILD_SA, State::Established) => {
                self.state = State::Established;
                self.handle_create(ctx, content, id);
            }
            (exchange::IKE_FOLLOWUP_KE, State::Established) => {
                self.state = State::Established;
                let (answer, new) = self.handle_follow_up_request(ctx, content);
                self.respond(ctx, exchange::IKE_FOLLOWUP_KE, id, answer);
                if let Some(new) = new {
                    self.succeed(ctx, new, false);
                }
            }
            (exchange::IKE_FOLLOWUP_KE, state @ (State::Replaced | State::Closing)) => {
                self.state = state;
                self.respond(ctx, message.exchange, id, vec![parts::notify(notify::STATE_NOT_FOUND, &[])]);
            }
            (exchange::CREATE_CHILD_SA, state @ (State::Replaced | State::Closing)) => {
                self.state = state;
                self.respond(ctx, message.exchange, id, vec![parts::notify(notify::TEMPORARY_FAILURE, &[])]);
            }
            (exchange::INFORMATIONAL, state @ (State::Established | State::Replaced | State::Closing | State::ExpectAuthResponse(_))) => {
                self.state = state;
                if let Some(answer) = self.handle_informational_request(ctx, content, from, to) {
                    self.respond(ctx, message.exchange, id, answer);
                }
            }
            (_, state) => {
                self.log(ctx, format!("a request of exchange {} is not expected: {}", message.exchange, state.name()));
                self.state = state;
                self.respond(ctx, message.exchange, id, vec![parts::notify(notify::INVALID_SYNTAX, &[])]);
            }
        }
    }

    /// CREATE_CHILD_SA: for the IKE SA itself, which has no traffic selectors, or for a child.
    fn handle_create(&mut self, ctx: &mut Context<'_>, content: Content<'_>, id: u32) {
        let for_ike = content.sa().is_some_and(|s| s.iter().any(|p| p.protocol == super::proposal::protocol::IKE));
        let rekeys = for_ike || content.notify(notify::REKEY_SA).is_some();
        if rekeys && ctx.config.misbehave.switches.ignore_rekey {
            return self.log(ctx, "a request for new keys is not answered, on purpose");
        }
        if !for_ike {
            let answer = self.handle_create_child_request(ctx, content);
            return self.respond(ctx, exchange::CREATE_CHILD_SA, id, answer);
        }
        let (answer, new) = self.handle_rekey_ike_request(ctx, content);
        self.respond(ctx, exchange::CREATE_CHILD_SA, id, answer);
        if let Some(new) = new {
            self.succeed(ctx, new, false);
        }
    }
}
