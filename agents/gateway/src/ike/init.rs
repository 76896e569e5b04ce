//! IKE_SA_INIT: RFC 7296 §1.2, §2.6 (COOKIE), §2.7 (groups).
//!
//! ```text
//!  HDR, [N(COOKIE),] SAi1, KEi, Ni, N(NAT_DETECTION_*) … ──▶
//!                        ◀── HDR, SAr1, KEr, Nr, N(NAT_DETECTION_*), [CERTREQ] …     or HDR, N(error | COOKIE)
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;

use peer::{Connection, Keys};
use wire::ike::Message;
use wire::ike::emit::{self, Header, Part};

use super::content::{self, Content};
use super::context::Context;
use super::keys::{Nonces, SaKeys};
use super::natt;
use super::numbers::{VERSION, exchange, flags, notify};
use super::parts;
use super::proposal::{self, Chosen, protocol};
use super::sa::{Announced, IkeSa, InitRequest, Role, Setup, State};
use super::send::marked;
use super::timer::Timer;
use super::window::Asked;
use crate::crypto::{self, Group, Initiator};
use crate::gateway::Effect;

/// RFC 7427 hash algorithms that we know: SHA2-256, SHA2-384, SHA2-512 and, for old peers, SHA1.
const HASHES: [u16; 4] = [2, 3, 4, 1];
/// A first request is changed at most this often (RFC 7296 §2.6.1 warns of loops).
const MAX_CHANGES: u32 = 5;
/// Octets of a nonce.
const NONCE: usize = 32;

impl IkeSa {
    /// Begins an IKE SA with a connection's peer, for these children.
    pub(crate) fn begin(ctx: &mut Context<'_>, connection: usize, wanted: Vec<usize>, remote: SocketAddr, attempt: u32) -> Option<IkeSa> {
        let group = ctx.profiles[connection].ike.first()?.groups.first().copied()?;
        let local = SocketAddr::new(ctx.connection(connection).local, remote.port());
        let spi = ctx.new_ike_spi();
        let mut sa = IkeSa::new(Role::Initiator, connection, (spi, 0), local, remote, ctx.now);
        (sa.attempt, sa.wanted) = (attempt, wanted);
        let ke = Initiator::new(group, ctx.rng);
        let nonce = ctx.rng.bytes(NONCE);
        sa.state = State::ExpectInitResponse(Box::new(InitRequest { ke, nonce, cookie: None, changes: 0, refused: Vec::new() }));
        sa.send_init(ctx);
        Some(sa)
    }

    /// Sends the first request, as it now is.
    fn send_init(&mut self, ctx: &mut Context<'_>) {
        let State::ExpectInitResponse(request) = &self.state else { return };
        let c = &ctx.config.connections[self.connection];
        let mut suites = ctx.profiles[self.connection].ike.clone();
        // The group whose public value is sent must be the first choice (RFC 7296 §1.2).
        let group = request.ke.group();
        suites.iter_mut().for_each(|s| s.groups.sort_by_key(|g| *g != group));
        let mut all: Vec<Part> = request.cookie.iter().map(|c| parts::notify(notify::COOKIE, c)).collect();
        all.push(parts::sa(proposal::offer(&suites, protocol::IKE, &[])));
        all.push(parts::ke(group, request.ke.public()));
        all.push(parts::nonce(&request.nonce));
        let additional = suites.iter().any(|s| !s.additional.is_empty());
        let (spis, local, remote, pretend, natt) = (self.spis(), self.local, self.remote, c.force_encap, c.nat_traversal);
        if natt {
            all.extend(natt::notifies(ctx, spis, local, remote, pretend));
        }
        all.extend(announcements(&ctx.config.connections[self.connection], additional));
        self.window.next = 0;
        self.request(ctx, Asked::Init, exchange::IKE_SA_INIT, all);
    }

    /// The response to the first request.
    pub(crate) fn handle_init_response(&mut self, ctx: &mut Context<'_>, message: &Message, raw: &[u8], from: SocketAddr, to: SocketAddr) {
        let content = Content(&message.payloads);
        if let Some(cookie) = content.notify(notify::COOKIE) {
            let cookie = cookie.data.to_vec();
            return self.change_request(ctx, "the peer demands a COOKIE", |ctx, r| {
                let switches = &ctx.config.misbehave.switches;
                r.cookie = Some(cookie.iter().map(|b| if switches.mangle_cookie { !b } else { *b }).collect());
                if switches.drop_cookie {
                    r.cookie = None;
                }
                Ok(())
            });
        }
        if content.notify(notify::INVALID_KE_PAYLOAD).is_some() {
            let (wanted, index) = (content.wanted_group(), self.connection);
            return self.change_request(ctx, "the peer wants another group", |ctx, r| {
                let group = wanted.ok_or("INVALID_KE_PAYLOAD without a group that is known")?;
                let offered = ctx.profiles[index].ike.iter().any(|s| s.groups.contains(&group));
                if !offered {
                    return Err(format!("the peer wants {}, which is not among our proposals", group.name()));
                }
                r.refused.push(r.ke.group());
                r.ke = Initiator::new(group, ctx.rng);
                Ok(())
            });
        }
        if let Some(error) = content.error() {
            return self.fail(ctx, format!("IKE_SA_INIT refused: {}", content::name(error.kind)));
        }
        match self.accept_init(ctx, message, raw, from, to) {
            Ok(setup) => {
                self.window.pending = None;
                self.timers.clear(Timer::Retransmit);
                self.after_key_exchange(ctx, setup);
            }
            // Nothing is authenticated yet: what makes no sense is ignored, and the real answer may still come (RFC 7296 §2.21.1).
            Err(why) => ctx.log(Some(self.connection), Some(self.spis()), format!("IKE_SA_INIT response ignored: {why}")),
        }
    }

    /// Alters the first request and sends it once more.
    fn change_request(
        &mut self,
        ctx: &mut Context<'_>,
        why: &str,
        change: impl FnOnce(&mut Context<'_>, &mut InitRequest) -> Result<(), String>,
    ) {
        let State::ExpectInitResponse(request) = &mut self.state else { return };
        request.changes += 1;
        let changed = if request.changes > MAX_CHANGES { Err(format!("{why}, again and again")) } else { change(ctx, request) };
        match changed {
            Ok(()) => {
                ctx.log(Some(self.connection), Some(self.spis()), why);
                self.send_init(ctx);
            }
            Err(reason) => self.fail(ctx, format!("IKE_SA_INIT given up: {reason}")),
        }
    }

    fn accept_init(
        &mut self,
        ctx: &mut Context<'_>,
        message: &Message,
        raw: &[u8],
        from: SocketAddr,
        to: SocketAddr,
    ) -> Result<Box<Setup>, String> {
        let content = Content(&message.payloads);
        let State::ExpectInitResponse(request) = &self.state else { return Err("no request is outstanding".into()) };
        if message.spi_r == 0 {
            return Err("it has no responder SPI".into());
        }
        let answer = content.sa().ok_or("no SA payload")?;
        let chosen = proposal::accepted(&ctx.profiles[self.connection].ike, protocol::IKE, answer);
        let chosen = chosen.ok_or("the peer chose what was not offered")?;
        let (number, public) = content.ke().ok_or("no KE payload")?;
        if chosen.group != Some(request.ke.group()) || number != request.ke.group().transform_id() {
            return Err(format!("the KE payload is for group {number}"));
        }
        let nonces = Nonces { i: request.nonce.clone(), r: content.nonce().ok_or("no nonce")?.to_vec() };
        let secret = request.ke.finish(public).map_err(|e| e.to_string())?;
        let sent = self.window.pending.as_ref().and_then(|p| p.sent.datagrams.first()).cloned().ok_or("no request")?;
        self.spi_r = message.spi_r;
        self.remote = from;
        if ctx.connection(self.connection).nat_traversal {
            self.nat = natt::detect(content, self.spis(), from, to, ctx.connection(self.connection).force_encap);
        }
        self.announced = announced(content, ctx.connection(self.connection));
        let certificate_wanted = content.wants_certificate();
        self.take_keys(ctx, chosen, &nonces, &secret).ok_or("no PRF")?;
        Ok(Box::new(setup(sent, raw.to_vec(), nonces, self.chosen.as_ref(), certificate_wanted)))
    }

    /// Derives the first keys and tells them.
    fn take_keys(&mut self, ctx: &mut Context<'_>, chosen: Chosen, nonces: &Nonces, secret: &[u8]) -> Option<()> {
        let keys = SaKeys::first(&chosen, nonces, secret, self.spis())?;
        ctx.keys(Keys { ikev2: vec![keys.evidence(self.spi_i, self.spi_r)], ..Keys::default() });
        self.keys = Some(keys);
        self.chosen = Some(chosen);
        Some(())
    }
}

fn setup(request: Vec<u8>, response: Vec<u8>, nonces: Nonces, chosen: Option<&Chosen>, certificate_wanted: bool) -> Setup {
    Setup {
        init_request: request,
        init_response: response,
        nonces,
        additional: chosen.map(|c| c.additional.iter().copied().collect::<VecDeque<_>>()).unwrap_or_default(),
        ke: None,
        int_auth: [Vec::new(), Vec::new()],
        auth_id: 1,
        peer_id: None,
        eap: None,
        child: None,
        asked: Vec::new(),
        certificate_wanted,
    }
}

/// What we announce in IKE_SA_INIT.
fn announcements(c: &Connection, additional: bool) -> Vec<Part> {
    let mut all = Vec::new();
    if c.options.fragmentation {
        all.push(parts::notify(notify::IKEV2_FRAGMENTATION_SUPPORTED, &[]));
    }
    let hashes: Vec<u8> = HASHES.iter().flat_map(|h| h.to_be_bytes()).collect();
    all.push(parts::notify(notify::SIGNATURE_HASH_ALGORITHMS, &hashes));
    if additional {
        all.push(parts::notify(notify::INTERMEDIATE_EXCHANGE_SUPPORTED, &[]));
    }
    all
}

fn announced(content: Content<'_>, c: &Connection) -> Announced {
    let has = |kind| content.notify(kind).is_some();
    let hashes = content.notify(notify::SIGNATURE_HASH_ALGORITHMS).map(|n| n.data).unwrap_or_default();
    Announced {
        fragmentation: c.options.fragmentation && has(notify::IKEV2_FRAGMENTATION_SUPPORTED),
        intermediate: has(notify::INTERMEDIATE_EXCHANGE_SUPPORTED),
        childless: has(notify::CHILDLESS_IKEV2_SUPPORTED),
        mobike: false,
        hashes: hashes.chunks_exact(2).map(|h| u16::from_be_bytes([h[0], h[1]])).collect(),
    }
}

/// What a responder makes of a first request.
pub(crate) enum Answer {
    /// A half-open IKE SA; its response is on its way.
    Sa(Box<IkeSa>),
    /// A notify was sent, and nothing remembered.
    Notified,
    /// Nothing: it makes no sense.
    Ignored(&'static str),
}

/// Answers a first request. `connections`: those that the addresses allow.
pub(crate) fn answer(
    ctx: &mut Context<'_>,
    connections: &[usize],
    message: &Message,
    raw: &[u8],
    from: SocketAddr,
    to: SocketAddr,
) -> Answer {
    let content = Content(&message.payloads);
    if message.malformed.is_some() {
        refuse(ctx, message, from, to, notify::INVALID_SYNTAX, &[]);
        return Answer::Notified;
    }
    if let Some(kind) = content.unknown_critical() {
        refuse(ctx, message, from, to, notify::UNSUPPORTED_CRITICAL_PAYLOAD, &[kind]);
        return Answer::Notified;
    }
    let (Some(offered), Some((number, public)), Some(nonce)) = (content.sa(), content.ke(), content.nonce()) else {
        refuse(ctx, message, from, to, notify::INVALID_SYNTAX, &[]);
        return Answer::Notified;
    };
    let sent_group = Group::from_transform_id(number);
    let found = connections.iter().find_map(|c| Some((*c, proposal::choose(&ctx.profiles[*c].ike, protocol::IKE, offered, sent_group)?)));
    let Some((connection, chosen)) = found else {
        ctx.log(connections.first().copied(), Some((message.spi_i, 0)), "no proposal of the peer's is acceptable");
        refuse(ctx, message, from, to, notify::NO_PROPOSAL_CHOSEN, &[]);
        return Answer::Notified;
    };
    let Some(group) = chosen.group else { return Answer::Ignored("no key exchange was chosen") };
    let wanted = if ctx.config.misbehave.switches.reject_ke_forever { another_group(ctx, connection, number) } else { Some(group) };
    match wanted {
        Some(wanted) if wanted.transform_id() != number => {
            ctx.log(Some(connection), Some((message.spi_i, 0)), format!("the peer guessed group {number}, {} is wanted", wanted.name()));
            refuse(ctx, message, from, to, notify::INVALID_KE_PAYLOAD, &wanted.transform_id().to_be_bytes());
            return Answer::Notified;
        }
        _ => {}
    }
    let Ok((own, secret)) = crypto::respond(group, public, ctx.rng) else {
        refuse(ctx, message, from, to, notify::INVALID_SYNTAX, &[]);
        return Answer::Notified;
    };
    let spis = (message.spi_i, ctx.new_ike_spi());
    let mut sa = IkeSa::new(Role::Responder, connection, spis, to, from, ctx.now);
    let c = &ctx.config.connections[connection];
    if c.nat_traversal {
        sa.nat = natt::detect(content, (message.spi_i, 0), from, to, c.force_encap);
    }
    sa.announced = announced(content, c);
    let nonces = Nonces { i: nonce.to_vec(), r: ctx.rng.bytes(NONCE) };
    let mut all = vec![parts::sa(vec![chosen.proposal(protocol::IKE, &[])]), parts::ke(group, &own), parts::nonce(&nonces.r)];
    if sa.nat.supported {
        all.extend(natt::notifies(ctx, spis, to, from, c.force_encap));
    }
    let additional = !chosen.additional.is_empty();
    all.extend(announcements(c, additional).into_iter().filter(|p| is_wanted(p, &sa.announced)));
    // Whether it is made use of is the initiator's choice (RFC 6023 §3).
    all.push(parts::notify(notify::CHILDLESS_IKEV2_SUPPORTED, &[]));
    all.extend(super::auth::certificate_request(c));
    sa.window.expected = 1;
    sa.window.unique_received = 1;
    sa.respond(ctx, exchange::IKE_SA_INIT, 0, all);
    let sent = sa.window.answered.as_ref().and_then(|a| a.sent.datagrams.first()).cloned().unwrap_or_default();
    if sa.take_keys(ctx, chosen, &nonces, &secret).is_none() {
        return Answer::Ignored("no PRF was chosen");
    }
    let setup = Box::new(setup(raw.to_vec(), sent, nonces, sa.chosen.as_ref(), false));
    sa.state = if setup.additional.is_empty() { State::ExpectAuthRequest(setup) } else { State::ExpectIntermediate(setup) };
    sa.timers.set(Timer::HalfOpen, ctx.now + ctx.config.half_open.timeout);
    Answer::Sa(Box::new(sa))
}

/// Fragmentation and hashes are answered only to those who have announced them.
fn is_wanted(part: &Part, theirs: &Announced) -> bool {
    match &part.body {
        wire::ike::Body::Notify { kind, .. } => match *kind {
            notify::IKEV2_FRAGMENTATION_SUPPORTED => theirs.fragmentation,
            notify::SIGNATURE_HASH_ALGORITHMS => !theirs.hashes.is_empty(),
            notify::INTERMEDIATE_EXCHANGE_SUPPORTED => theirs.intermediate,
            _ => true,
        },
        _ => true,
    }
}

/// Misbehaviour: any group of ours but the one that was sent.
fn another_group(ctx: &Context<'_>, connection: usize, sent: u16) -> Option<Group> {
    let groups = ctx.profiles[connection].ike.iter().flat_map(|s| s.groups.iter().copied());
    let other = groups.into_iter().find(|g| g.transform_id() != sent);
    other.or_else(|| [14, 19, 31].into_iter().filter(|n| *n != sent).find_map(Group::from_transform_id))
}

/// A response of a single notify, in clear, for which nothing is remembered. Its responder SPI is 0 (RFC 7296 §2.6).
pub(crate) fn refuse(ctx: &mut Context<'_>, message: &Message, from: SocketAddr, to: SocketAddr, kind: u16, data: &[u8]) {
    let header = Header {
        spi_i: message.spi_i,
        spi_r: 0,
        version: VERSION,
        exchange: message.exchange,
        flags: flags::RESPONSE,
        message_id: message.message_id,
    };
    let kept = super::misbehave::without_notifies(&ctx.config.misbehave, &[parts::notify(kind, data)]);
    let (first, chain) = emit::chain(&kept);
    let data = marked(to.port(), &emit::message(&header, first, &chain));
    ctx.effects.push_back(Effect::Datagram { from: to, to: from, data });
}
