//! IKE_AUTH: RFC 7296 §1.2, §2.15, §2.16.
//!
//! ```text
//!  HDR, SK { IDi, [CERT,] [CERTREQ,] [IDr,] AUTH, [CP,] SAi2, TSi, TSr } ──▶
//!                               ◀── HDR, SK { IDr, [CERT,] AUTH, [CP,] SAr2, TSi, TSr }    or SK { …, N(error) }
//!  With EAP the first request has no AUTH; see `eap.rs`.
//! ```

use peer::{AuthMethod, Connection, GatewayEventKind};
use subtle::ConstantTimeEq;
use wire::ike::Payload;
use wire::ike::emit::Part;

use super::content::{self, Content};
use super::context::{Context, Order};
use super::eap::{Eap, Progress};
use super::numbers::{exchange, notify, payload};
use super::parts;
use super::sa::{IkeSa, Role, Setup, State, Task};
use super::timer::Timer;
use super::window::Asked;
use super::{certificates, configuration};
use crate::crypto::Prf;

/// Authentication method of pre-shared keys (RFC 7296 §3.8).
pub(crate) const METHOD_PSK: u8 = 2;

/// CERTREQ, if the peer must show a certificate.
pub(crate) fn certificate_request(c: &Connection) -> Option<Part> {
    let hashes = certificates::hashes(&c.auth.anchors);
    (c.auth.peer == AuthMethod::Certificate && !hashes.is_empty()).then(|| parts::certificate_request(hashes))
}

/// `prf(prf(key, "Key Pad for IKEv2"), octets)`.
pub(crate) fn shared_key_mac(prf: Prf, key: &[u8], octets: &[u8]) -> Vec<u8> {
    prf.compute(&prf.compute(key, &[b"Key Pad for IKEv2"]), &[octets])
}

impl IkeSa {
    /// What one side's AUTH covers (RFC 7296 §2.15, RFC 9242 §3.3.2).
    pub(crate) fn signed_octets(&self, setup: &Setup, side: Role, id: (u8, &[u8])) -> Vec<u8> {
        let Some(keys) = &self.keys else { return Vec::new() };
        let (message, nonce, key) = match side {
            Role::Initiator => (&setup.init_request, &setup.nonces.r, &keys.pi),
            Role::Responder => (&setup.init_response, &setup.nonces.i, &keys.pr),
        };
        let maced = keys.prf.compute(key, &[&[id.0, 0, 0, 0], id.1]);
        let mut octets = [message.as_slice(), nonce, &maced].concat();
        if let [i, r] = &setup.int_auth
            && !i.is_empty()
        {
            octets.extend([i.as_slice(), r, &setup.auth_id.to_be_bytes()].concat());
        }
        octets
    }

    /// Own IDi or IDr, certificates and AUTH. `Err`: why we cannot prove who we are.
    fn proof(&self, ctx: &mut Context<'_>, setup: &Setup) -> Result<Vec<Part>, String> {
        let c = &ctx.config.connections[self.connection];
        let id = parts::identity(&c.local_id);
        let kind = if self.role == Role::Initiator { payload::IDI } else { payload::IDR };
        let mut all = vec![parts::id(kind, (id.0, &id.1))];
        let octets = self.signed_octets(setup, self.role, (id.0, &id.1));
        match c.auth.own {
            AuthMethod::Psk => {
                let keys = self.keys.as_ref().ok_or("no keys")?;
                all.push(parts::auth(METHOD_PSK, shared_key_mac(keys.prf, c.psk.expose().as_bytes(), &octets)));
            }
            AuthMethod::Certificate => {
                all.extend(c.auth.certificates.iter().map(|der| parts::certificate(der)));
                let (method, data) = certificates::sign(&c.auth, &self.announced.hashes, &octets, ctx.rng)?;
                all.push(parts::auth(method, data));
            }
            // Proven at the end of EAP.
            AuthMethod::EapMschapv2 | AuthMethod::EapMd5 => {}
        }
        Ok(all)
    }

    /// Is the peer who it says it is? `Err` says why not.
    fn verify(&self, ctx: &Context<'_>, setup: &Setup, id: (u8, &[u8]), content: Content<'_>, method: AuthMethod) -> Result<(), String> {
        let c = ctx.connection(self.connection);
        let side = if self.role == Role::Initiator { Role::Responder } else { Role::Initiator };
        let octets = self.signed_octets(setup, side, id);
        let (told, data) = content.auth().ok_or("no AUTH payload")?;
        match method {
            _ if ctx.config.misbehave.switches.accept_any_auth => Ok(()),
            AuthMethod::Psk if told == METHOD_PSK => {
                let keys = self.keys.as_ref().ok_or("no keys")?;
                let right = shared_key_mac(keys.prf, c.psk.expose().as_bytes(), &octets);
                if same(&right, data) { Ok(()) } else { Err("the AUTH payload does not fit the pre-shared key".into()) }
            }
            AuthMethod::Certificate => certificates::verify(&c.auth, &content.certificates(), id, ctx.wall, (told, data), &octets),
            _ => Err(format!("authentication method {told} is not what is expected of this peer")),
        }
    }

    /// Initiator: the first IKE_AUTH request.
    pub(crate) fn begin_auth(&mut self, ctx: &mut Context<'_>, mut setup: Box<Setup>) {
        let c = &ctx.config.connections[self.connection];
        setup.auth_id = self.window.next;
        let mut all = match self.proof(ctx, &setup) {
            Ok(all) => all,
            Err(why) => return self.fail(ctx, why),
        };
        // IDr goes behind certificates and their request, before AUTH (RFC 7296 §1.2 draws it so; the order means nothing).
        let before_auth = all.iter().position(|p| p.kind == payload::AUTH).unwrap_or(all.len());
        let expected = (!any(&c.remote_id)).then(|| parts::identity(&c.remote_id));
        let mut between: Vec<Part> = certificate_request(c).into_iter().collect();
        between.extend(expected.map(|(kind, data)| parts::id(payload::IDR, (kind, &data))));
        all.splice(before_auth..before_auth, between);
        if ctx.first_contact {
            all.push(parts::notify(notify::INITIAL_CONTACT, &[]));
        }
        all.extend(configuration::request(c));
        if !(c.options.childless && self.announced.childless) {
            let first = self.wanted.first().copied().unwrap_or_default();
            let request = self.child_request(ctx, first, true, None);
            all.extend(self.child_parts(ctx, &request));
            setup.child = Some(request);
        }
        all.extend(self.offer_mobike(ctx));
        self.state = State::ExpectAuthResponse(setup);
        self.request(ctx, Asked::Auth, exchange::IKE_AUTH, all);
    }

    /// Initiator: a response to IKE_AUTH.
    pub(crate) fn handle_auth_response(&mut self, ctx: &mut Context<'_>, mut setup: Box<Setup>, content: Content<'_>) {
        let c = &ctx.config.connections[self.connection];
        let told = content.id(payload::IDR).map(|(kind, data)| (kind, data.to_vec()));
        if let (Some(id), None) = (&told, &setup.peer_id) {
            if !same_identity(&c.remote_id, id) && !ctx.config.misbehave.switches.accept_any_id {
                let text = format!("the peer is {}, not {}", parts::identity_text((id.0, &id.1)), c.remote_id);
                return self.refuse_peer(ctx, setup, text);
            }
            if let Err(why) = self.verify(ctx, &setup, (id.0, &id.1), content, c.auth.peer) {
                return self.refuse_peer(ctx, setup, why);
            }
            setup.peer_id = Some(id.clone());
        } else if let (Some(error), None) = (content.error(), content.auth()) {
            return self.fail(ctx, format!("IKE_AUTH refused: {}", content::name(error.kind)));
        }
        if setup.peer_id.is_none() {
            return self.refuse_peer(ctx, setup, "the response has no IDr payload".into());
        }
        if c.auth.own.is_eap() {
            match self.handle_eap_response(ctx, &mut setup, content) {
                Progress::Done => {}
                Progress::Next => return self.state = State::ExpectAuthResponse(setup),
                Progress::Failed(why) => return self.fail(ctx, why),
            }
        }
        self.announced.mobike = c.mobike && content.notify(notify::MOBIKE_SUPPORTED).is_some();
        self.virtual_ip = configuration::assigned(content);
        self.peer_id = setup.peer_id.take();
        self.become_established(ctx);
        ctx.orders.push(Order::Routes);
        let request = setup.child.take();
        let along = request.as_ref().map(|r| r.index);
        // The others follow in exchanges of their own (RFC 7296 §1.3.1).
        self.tasks.extend(self.wanted.iter().filter(|i| along != Some(**i)).map(|i| Task::NewChild(*i)));
        if let Some(request) = request {
            let (index, nonces) = (request.index, setup.nonces.clone());
            match self.accept_child(request, content, Some(&nonces), None) {
                Ok(series) => self.go_on(ctx, series, None),
                Err(why) => self.child_failed(ctx, index, &why),
            }
        }
    }

    /// Initiator: the peer's proof is not accepted. It is told in an exchange of its own, since IKE_AUTH is over (RFC 7296 §2.21.2).
    fn refuse_peer(&mut self, ctx: &mut Context<'_>, setup: Box<Setup>, why: String) {
        self.failed(ctx, format!("the peer's authentication is not accepted: {why}"));
        drop(setup);
        self.state = State::Closing;
        self.tasks.push_back(Task::Refuse(notify::AUTHENTICATION_FAILED));
    }

    /// Responder: IKE_AUTH's first request.
    pub(crate) fn handle_auth_request(&mut self, ctx: &mut Context<'_>, mut setup: Box<Setup>, payloads: &[Payload], id: u32) {
        let content = Content(payloads);
        let Some((kind, data)) = content.id(payload::IDI) else {
            return self.refuse_auth(ctx, id, notify::INVALID_SYNTAX, "no IDi payload");
        };
        let peer_id = (kind, data.to_vec());
        let wanted = content.id(payload::IDR).map(|(kind, data)| (kind, data.to_vec()));
        let text = parts::identity_text((kind, data));
        let Some(connection) = self.connection_for(ctx, &peer_id, wanted.as_ref()) else {
            return self.refuse_auth(ctx, id, notify::AUTHENTICATION_FAILED, &format!("no connection for the peer {text}"));
        };
        self.connection = connection;
        setup.certificate_wanted = content.wants_certificate();
        let c = &ctx.config.connections[connection];
        if c.auth.peer.is_eap() {
            if content.auth().is_some() {
                return self.refuse_auth(ctx, id, notify::AUTHENTICATION_FAILED, &format!("{text} does not use EAP"));
            }
            return self.begin_eap(ctx, setup, peer_id, payloads, id);
        }
        if let Err(why) = self.verify(ctx, &setup, (kind, data), content, c.auth.peer) {
            return self.refuse_auth(ctx, id, notify::AUTHENTICATION_FAILED, &format!("{text} is not accepted: {why}"));
        }
        setup.peer_id = Some(peer_id);
        match self.proof(ctx, &setup) {
            Ok(proof) => self.finish_auth(ctx, setup, proof, content, id),
            Err(why) => self.refuse_auth(ctx, id, notify::AUTHENTICATION_FAILED, &why),
        }
    }

    /// Responder with EAP: proves itself first.
    fn begin_eap(&mut self, ctx: &mut Context<'_>, mut setup: Box<Setup>, peer_id: (u8, Vec<u8>), payloads: &[Payload], id: u32) {
        let c = &ctx.config.connections[self.connection];
        let Some(login) = c.auth.eap.clone() else {
            return self.refuse_auth(ctx, id, notify::AUTHENTICATION_FAILED, "nobody may log in with EAP");
        };
        let (eap, question) = Eap::server(c.auth.peer, login, ctx.rng);
        let mut all = match self.proof(ctx, &setup) {
            Ok(proof) => proof,
            Err(why) => return self.refuse_auth(ctx, id, notify::AUTHENTICATION_FAILED, &why),
        };
        all.push(parts::eap(question));
        setup.eap = Some(eap);
        setup.peer_id = Some(peer_id);
        setup.asked = payloads.to_vec();
        self.respond(ctx, exchange::IKE_AUTH, id, all);
        self.state = State::ExpectEap(setup);
    }

    /// Responder: the peer is who it says. The last response of IKE_AUTH, with the child SA that was asked for.
    pub(crate) fn finish_auth(&mut self, ctx: &mut Context<'_>, mut setup: Box<Setup>, mut all: Vec<Part>, content: Content<'_>, id: u32) {
        if let Err(kind) = self.accept_mobike(ctx, content) {
            return self.refuse_auth(ctx, id, kind, "there is a NAT, and the peer allows none");
        }
        self.peer_id = setup.peer_id.take();
        if content.notify(notify::INITIAL_CONTACT).is_some() {
            ctx.orders.push(Order::OnlyOne { connection: self.connection, keep: self.own_spi() });
        }
        self.become_established(ctx);
        if content.sa().is_some() {
            match self.assign_address(ctx, content) {
                Ok(reply) => {
                    all.extend(reply);
                    let nonces = setup.nonces.clone();
                    match self.answer_child(ctx, content, Some(&nonces), None) {
                        Ok((series, child)) => all.extend(self.answer(ctx, series, child).0),
                        Err((kind, data)) => {
                            self.log(ctx, format!("no child SA for the peer: {}", content::name(kind)));
                            all.push(parts::notify(kind, &data));
                        }
                    }
                }
                Err(kind) => all.push(parts::notify(kind, &[])),
            }
        }
        if self.announced.mobike {
            all.push(parts::notify(notify::MOBIKE_SUPPORTED, &[]));
        }
        self.respond(ctx, exchange::IKE_AUTH, id, all);
    }

    /// Responder: the end of an attempt. A single notify, and nothing remembered but that answer.
    pub(crate) fn refuse_auth(&mut self, ctx: &mut Context<'_>, id: u32, kind: u16, why: &str) {
        self.log(ctx, why);
        self.respond(ctx, exchange::IKE_AUTH, id, vec![parts::notify(kind, &[])]);
        // The answer may get lost: it can be repeated until the half-open timeout.
        self.state = State::Closing;
    }

    /// Both roles: authenticated.
    pub(crate) fn become_established(&mut self, ctx: &mut Context<'_>) {
        self.state = State::Established;
        self.timers.clear(Timer::HalfOpen);
        let peer = self.peer_id.as_ref().map(|(kind, data)| parts::identity_text((*kind, data))).unwrap_or_default();
        self.log(ctx, format!("IKE SA established with {peer} at {}", self.remote));
        let connection = ctx.connection(self.connection).name.clone();
        ctx.event(GatewayEventKind::IkeUp { connection });
        self.start_timers(ctx);
    }

    /// The connection that fits addresses and identities.
    fn connection_for(&self, ctx: &Context<'_>, peer: &(u8, Vec<u8>), own: Option<&(u8, Vec<u8>)>) -> Option<usize> {
        let any_id = ctx.config.misbehave.switches.accept_any_id;
        let fits = |c: &Connection| {
            c.local == self.local.ip()
                && c.remote.is_none_or(|r| r == self.remote.ip())
                && (any_id || same_identity(&c.remote_id, peer))
                && (any_id || own.is_none_or(|own| parts::identity(&c.local_id) == *own))
        };
        ctx.config.connections.iter().position(fits)
    }

    pub(crate) fn log(&self, ctx: &mut Context<'_>, text: impl Into<String>) {
        ctx.log(Some(self.connection), Some(self.spis()), text);
    }
}

/// Compares without telling by the time it takes where the difference is.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    bool::from(a.ct_eq(b))
}

/// No particular identity is expected.
fn any(id: &str) -> bool {
    id.is_empty() || id == "%any"
}

fn same_identity(configured: &str, told: &(u8, Vec<u8>)) -> bool {
    any(configured) || parts::identity(configured) == *told
}
