//! EAP inside IKE_AUTH: RFC 7296 §2.16, RFC 3748; methods MD5-Challenge (RFC 3748 §5.4) and MSCHAPv2 (draft-kamath-pppext-eap-mschapv2).
//!
//! ```text
//!  HDR, SK { IDi, … no AUTH } ──▶
//!                     ◀── HDR, SK { IDr, [CERT,] AUTH, EAP request }
//!  HDR, SK { EAP response } ──▶                                       … as often as the method needs
//!                     ◀── HDR, SK { EAP Success }
//!  HDR, SK { AUTH } ──▶
//!                     ◀── HDR, SK { AUTH, SAr2, TSi, TSr }
//! ```

use peer::{AuthMethod, EapLogin};

use super::auth::{METHOD_PSK, same, shared_key_mac};
use super::content::Content;
use super::context::Context;
use super::numbers::{exchange, notify, payload};
use super::parts;
use super::sa::{IkeSa, Role, Setup, State};
use super::window::Asked;
use crate::crypto::Rng;
use crate::crypto::chap::md5_response;
use crate::crypto::mschap::MsChapV2;

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;

const TYPE_IDENTITY: u8 = 1;
const TYPE_NAK: u8 = 3;
const TYPE_MD5: u8 = 4;
const TYPE_MSCHAPV2: u8 = 26;

const OP_CHALLENGE: u8 = 1;
const OP_RESPONSE: u8 = 2;
const OP_SUCCESS: u8 = 3;
const OP_FAILURE: u8 = 4;

/// One side of a conversation.
pub(crate) struct Eap {
    method: AuthMethod,
    login: EapLogin,
    id: u8,
    challenge: [u8; 16],
    /// Client: the server's challenge (MSCHAPv2).
    server_challenge: Option<[u8; 16]>,
    /// The other side is convinced, but for the last word.
    convinced: bool,
    /// The shared key that the method yields; empty with MD5.
    msk: Vec<u8>,
}

/// What follows from a message.
pub(crate) enum Step {
    /// Say this.
    Say(Vec<u8>),
    /// It is over, and well; a server says so with this message.
    Success(Vec<u8>),
    /// It is over; a server says so with this message.
    Failure(Vec<u8>, String),
}

/// Code, identifier, type and its data.
fn parse(message: &[u8]) -> Option<(u8, u8, u8, &[u8])> {
    let (head, rest) = message.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let rest = rest.get(..length.checked_sub(4)?)?;
    match (head[0], rest) {
        (SUCCESS | FAILURE, _) => Some((head[0], head[1], 0, &[])),
        (_, [kind, data @ ..]) => Some((head[0], head[1], *kind, data)),
        _ => None,
    }
}

fn message(code: u8, id: u8, kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(5 + data.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[code, id, length[0], length[1], kind], data].concat()
}

fn end(code: u8, id: u8) -> Vec<u8> {
    vec![code, id, 0, 4]
}

/// An MSCHAPv2 packet; its identifier is that of EAP.
fn mschapv2(op: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + data.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[op, id, length[0], length[1]], data].concat()
}

impl Eap {
    fn new(method: AuthMethod, login: EapLogin, rng: &mut Rng) -> Eap {
        let mut challenge = [0; 16];
        challenge.copy_from_slice(&rng.bytes(16));
        Eap { method, login, id: 1, challenge, server_challenge: None, convinced: false, msk: Vec::new() }
    }

    pub(crate) fn client(method: AuthMethod, login: EapLogin, rng: &mut Rng) -> Eap {
        Eap::new(method, login, rng)
    }

    /// A server and its first question.
    pub(crate) fn server(method: AuthMethod, login: EapLogin, rng: &mut Rng) -> (Eap, Vec<u8>) {
        let eap = Eap::new(method, login, rng);
        let with_size = [&[16], eap.challenge.as_slice()].concat();
        let question = match method {
            AuthMethod::EapMd5 => message(REQUEST, eap.id, TYPE_MD5, &with_size),
            _ => message(REQUEST, eap.id, TYPE_MSCHAPV2, &mschapv2(OP_CHALLENGE, eap.id, &[&with_size, b"faultlab".as_slice()].concat())),
        };
        (eap, question)
    }

    /// The key that AUTH is made with: the method's, or the IKE SA's own where the method yields none (RFC 7296 §2.16).
    pub(crate) fn key<'a>(&'a self, sk_p: &'a [u8]) -> &'a [u8] {
        if self.msk.is_empty() { sk_p } else { &self.msk }
    }

    /// Server: the client's message.
    pub(crate) fn handle_response(&mut self, data: &[u8]) -> Step {
        let failure = |id: u8, why: &str| Step::Failure(end(FAILURE, id), why.to_owned());
        let Some((RESPONSE, id, kind, data)) = parse(data) else { return failure(self.id, "the EAP response makes no sense") };
        if id != self.id {
            return failure(self.id, "the EAP response is to another question");
        }
        match (self.method, kind) {
            (AuthMethod::EapMd5, TYPE_MD5) => {
                let right = md5_response(id, self.login.password.expose(), &self.challenge);
                if data.get(1..17).is_some_and(|told| same(told, &right)) {
                    Step::Success(end(SUCCESS, id))
                } else {
                    failure(id, "the MD5 response does not fit the password")
                }
            }
            (AuthMethod::EapMschapv2, TYPE_MSCHAPV2) => self.mschapv2_response(id, data),
            (_, TYPE_NAK) => failure(id, "the peer does not want this EAP method"),
            _ => failure(id, "the EAP response is of another method"),
        }
    }

    fn mschapv2_response(&mut self, id: u8, data: &[u8]) -> Step {
        match data.first() {
            Some(&OP_SUCCESS) if self.convinced => return Step::Success(end(SUCCESS, id)),
            Some(&OP_RESPONSE) => {}
            _ => return Step::Failure(end(FAILURE, id), "the peer has given MSCHAPv2 up".into()),
        }
        // Op, identifier, length, value size; then the peer's challenge, 8 reserved octets, the response, flags, and the name.
        let fields = (|| {
            let peer = data.get(5..)?.first_chunk::<16>()?;
            let response = data.get(29..)?.first_chunk::<24>()?;
            Some((*peer, *response, String::from_utf8_lossy(data.get(54..)?).into_owned()))
        })();
        let Some((peer, response, user)) = fields else {
            return Step::Failure(end(FAILURE, id), "the MSCHAPv2 response is cut short".into());
        };
        let shared =
            MsChapV2 { authenticator_challenge: self.challenge, peer_challenge: peer, user: &user, password: self.login.password.expose() };
        self.id = self.id.wrapping_add(1);
        if user != self.login.user || !same(&response, &shared.nt_response()) {
            let text = format!("E=691 R=0 C={} V=3 M=Authentication failed", hex(&self.challenge));
            self.convinced = false;
            let data = mschapv2(OP_FAILURE, id, text.as_bytes());
            return Step::Say(message(REQUEST, self.id, TYPE_MSCHAPV2, &data));
        }
        self.convinced = true;
        self.msk = shared.msk().to_vec();
        let data = mschapv2(OP_SUCCESS, id, format!("{} M=Welcome", shared.authenticator_response()).as_bytes());
        Step::Say(message(REQUEST, self.id, TYPE_MSCHAPV2, &data))
    }

    /// Client: the server's message.
    pub(crate) fn handle_request(&mut self, data: &[u8]) -> Step {
        let failure = |why: &str| Step::Failure(Vec::new(), why.to_owned());
        let Some((code, id, kind, data)) = parse(data) else { return failure("the EAP request makes no sense") };
        match (code, kind, self.method) {
            (SUCCESS, ..) if self.method == AuthMethod::EapMd5 || self.convinced => Step::Success(Vec::new()),
            (SUCCESS, ..) => failure("the server ends EAP before it has proven itself"),
            (FAILURE, ..) => failure("the server refuses the login"),
            (REQUEST, TYPE_IDENTITY, _) => Step::Say(message(RESPONSE, id, TYPE_IDENTITY, self.login.user.as_bytes())),
            (REQUEST, TYPE_MD5, AuthMethod::EapMd5) => {
                let Some(challenge) = data.split_first().and_then(|(n, rest)| rest.get(..usize::from(*n))) else {
                    return failure("the MD5 challenge is cut short");
                };
                let answer = md5_response(id, self.login.password.expose(), challenge);
                Step::Say(message(RESPONSE, id, TYPE_MD5, &[&[16], answer.as_slice(), self.login.user.as_bytes()].concat()))
            }
            (REQUEST, TYPE_MSCHAPV2, AuthMethod::EapMschapv2) => self.mschapv2_request(id, data),
            (REQUEST, _, AuthMethod::EapMd5) => Step::Say(message(RESPONSE, id, TYPE_NAK, &[TYPE_MD5])),
            (REQUEST, ..) => Step::Say(message(RESPONSE, id, TYPE_NAK, &[TYPE_MSCHAPV2])),
            _ => failure("the EAP request is no request"),
        }
    }

    fn as_client(&self, challenge: [u8; 16]) -> MsChapV2<'_> {
        let EapLogin { user, password } = &self.login;
        MsChapV2 { authenticator_challenge: challenge, peer_challenge: self.challenge, user, password: password.expose() }
    }

    fn mschapv2_request(&mut self, id: u8, data: &[u8]) -> Step {
        let failure = |why: &str| Step::Failure(Vec::new(), why.to_owned());
        match data.first() {
            Some(&OP_CHALLENGE) => {
                let Some(challenge) = data.get(5..).and_then(|d| d.first_chunk::<16>()).copied() else {
                    return failure("the MSCHAPv2 challenge is cut short");
                };
                self.server_challenge = Some(challenge);
                let response = self.as_client(challenge).nt_response();
                let value = [&[49], self.challenge.as_slice(), &[0; 8], &response, &[0], self.login.user.as_bytes()].concat();
                let ms_id = data.get(1).copied().unwrap_or(id);
                Step::Say(message(RESPONSE, id, TYPE_MSCHAPV2, &mschapv2(OP_RESPONSE, ms_id, &value)))
            }
            Some(&OP_SUCCESS) => {
                let Some(challenge) = self.server_challenge else { return failure("the server accepts what was not said") };
                let shared = self.as_client(challenge);
                if !data.get(4..).is_some_and(|text| text.starts_with(shared.authenticator_response().as_bytes())) {
                    return failure("the server does not know the password either");
                }
                self.msk = shared.msk().to_vec();
                self.convinced = true;
                Step::Say(message(RESPONSE, id, TYPE_MSCHAPV2, &[OP_SUCCESS]))
            }
            Some(&OP_FAILURE) => Step::Say(message(RESPONSE, id, TYPE_MSCHAPV2, &[OP_FAILURE])),
            _ => failure("the MSCHAPv2 request makes no sense"),
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02X}")).collect()
}

/// How far an initiator's EAP has come.
pub(crate) enum Progress {
    /// The other side has proven itself in AUTH: the rest of the response counts.
    Done,
    /// A request is under way.
    Next,
    Failed(String),
}

impl IkeSa {
    /// Initiator: the EAP part of a response.
    pub(crate) fn handle_eap_response(&mut self, ctx: &mut Context<'_>, setup: &mut Setup, content: Content<'_>) -> Progress {
        let c = &ctx.config.connections[self.connection];
        if let Some(said) = content.eap() {
            if setup.eap.is_none() {
                let Some(login) = c.auth.eap.clone() else { return Progress::Failed("no EAP login is configured".into()) };
                setup.eap = Some(Eap::client(c.auth.own, login, ctx.rng));
            }
            let Some(eap) = &mut setup.eap else { return Progress::Failed("no EAP".into()) };
            let all = match eap.handle_request(said) {
                Step::Say(answer) => vec![parts::eap(answer)],
                Step::Success(_) => {
                    let id = parts::identity(&c.local_id);
                    vec![parts::auth(METHOD_PSK, self.eap_auth(setup, Role::Initiator, (id.0, &id.1)))]
                }
                Step::Failure(_, why) => return Progress::Failed(why),
            };
            self.request(ctx, Asked::Auth, exchange::IKE_AUTH, all);
            return Progress::Next;
        }
        if let Some(error) = content.error() {
            return Progress::Failed(format!("IKE_AUTH refused: {}", super::content::name(error.kind)));
        }
        let Some((kind, data)) = setup.peer_id.clone() else { return Progress::Failed("the peer has not said who it is".into()) };
        let right = self.eap_auth(setup, Role::Responder, (kind, &data));
        match content.auth() {
            Some((METHOD_PSK, told)) if setup.eap.is_some() && same(told, &right) => Progress::Done,
            _ => Progress::Failed("the peer's AUTH does not fit the key that EAP has yielded".into()),
        }
    }

    /// AUTH at the end of EAP, of either side.
    fn eap_auth(&self, setup: &Setup, side: Role, id: (u8, &[u8])) -> Vec<u8> {
        let (Some(keys), Some(eap)) = (&self.keys, &setup.eap) else { return Vec::new() };
        let sk_p = if side == Role::Initiator { &keys.pi } else { &keys.pr };
        shared_key_mac(keys.prf, eap.key(sk_p), &self.signed_octets(setup, side, id))
    }

    /// Responder: the client's next EAP message.
    pub(crate) fn handle_eap_request(&mut self, ctx: &mut Context<'_>, mut setup: Box<Setup>, content: Content<'_>, id: u32) {
        let (Some(said), Some(eap)) = (content.eap(), &mut setup.eap) else {
            return self.refuse_auth(ctx, id, notify::INVALID_SYNTAX, "no EAP payload");
        };
        match eap.handle_response(said) {
            Step::Say(question) => {
                self.respond(ctx, exchange::IKE_AUTH, id, vec![parts::eap(question)]);
                self.state = State::ExpectEap(setup);
            }
            Step::Success(word) => {
                self.respond(ctx, exchange::IKE_AUTH, id, vec![parts::eap(word)]);
                self.state = State::ExpectEapAuth(setup);
            }
            Step::Failure(word, why) => {
                self.log(ctx, format!("EAP has failed: {why}"));
                self.respond(ctx, exchange::IKE_AUTH, id, vec![parts::eap(word)]);
                self.state = State::Closing;
                self.timers.set(super::timer::Timer::HalfOpen, ctx.now + ctx.config.half_open.timeout);
            }
        }
    }

    /// Responder: the client's AUTH at the end of EAP.
    pub(crate) fn handle_eap_auth(&mut self, ctx: &mut Context<'_>, setup: Box<Setup>, content: Content<'_>, id: u32) {
        let Some((kind, data)) = setup.peer_id.clone() else {
            return self.refuse_auth(ctx, id, notify::AUTHENTICATION_FAILED, "the peer has not said who it is");
        };
        let right = self.eap_auth(&setup, Role::Initiator, (kind, &data));
        if !content.auth().is_some_and(|(method, told)| method == METHOD_PSK && same(told, &right)) {
            return self.refuse_auth(ctx, id, notify::AUTHENTICATION_FAILED, "AUTH does not fit the key that EAP has yielded");
        }
        let own = parts::identity(&ctx.connection(self.connection).local_id);
        let proof = parts::auth(METHOD_PSK, self.eap_auth(&setup, Role::Responder, (own.0, &own.1)));
        let asked = setup.asked.clone();
        debug_assert!(asked.iter().all(|p| p.kind != payload::AUTH));
        self.finish_auth(ctx, setup, vec![proof], Content(&asked), id);
    }
}
