//! What iked tells in its log (`-vvvv`), line by line: SAs, failures, keys.
//!
//! ```text
//! ikev2_init_ike_sa: initiating "west-east"
//! spi=0x3b1a17f9f7f7f2aa: send IKE_SA_INIT req 0 peer 10.9.0.2:500 local 10.9.0.1:500, 270 bytes
//! spi=0x3b1a17f9f7f7f2aa: ikev2_childsa_enable: loaded SPIs: 0x84435a14, 0x32eb1f03 (enc aes-128 auth hmac-sha1)
//! spi=0x3b1a17f9f7f7f2aa: established peer 10.9.0.2:500[FQDN/b] local 10.9.0.1:500[FQDN/a] policy 'west-east' as initiator (…)
//! spi=0x3b1a17f9f7f7f2aa: sa_free: received delete
//! ```
//!
//! The number is the initiator's SPI. One process does all of IKE, so its lines are in order; lines of the other three may
//! stand between them. This file follows SAs; [`dumps`] finds keys.

mod dumps;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use peer::{GatewayEventKind, Keys};

use dumps::{Dumps, Ends};

/// Follows one gateway through all its lives.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// The daemon has read its configuration and opened its sockets.
    pub(crate) ready: bool,
    /// The processes are frozen: nothing can be asked of them.
    pub(crate) paused: bool,
    /// How many configurations were read in this life.
    pub(crate) loads: u64,
    /// How often it was asked for its SAs in this life.
    pub(crate) asked: u64,
    /// What it said about each connection when it read the configuration, by name.
    pub(crate) policies: HashMap<String, String>,
    /// The last complaint about the configuration.
    pub(crate) complaint: Option<String>,
    /// Attempts to bring a connection up, by name.
    pub(crate) attempts: HashMap<String, Attempt>,
    /// Connections that the daemon was told to initiate.
    pub(crate) active: BTreeSet<String>,
    /// Connections whose child went down; emptied by whoever cares.
    pub(crate) fallen: Vec<String>,
    /// By initiator's SPI.
    sas: HashMap<u64, Sa>,
    /// The connection that is being initiated, until its SPI is told.
    initiating: Option<String>,
    /// The SA that the latest line was about.
    current: u64,
    /// The message in hand is a response of the peer (RFC 7296 §3.1).
    answer: bool,
    dumps: Dumps,
}

/// How far an attempt has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// How often the daemon has begun.
    pub(crate) tries: u32,
    /// How it ended, when it has: `Err` with the daemon's words.
    pub(crate) result: Option<Result<(), String>>,
    /// Lines that may name the cause of a failure.
    causes: Vec<String>,
}

#[derive(Debug, Default)]
struct Sa {
    connection: Option<String>,
    state: State,
    /// The peer's identity: `FQDN/west.example`.
    peer: Option<String>,
    ends: Ends,
    child: Option<Child>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    Up,
    /// It was replaced by re-keying, or never mattered.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Child {
    spi_in: u32,
    spi_out: u32,
}

/// Parts of lines that name a cause.
const CAUSES: [&str; 14] = [
    "AUTHENTICATION_FAILED",
    "NO_PROPOSAL_CHOSEN",
    "TS_UNACCEPTABLE",
    "INVALID_SYNTAX",
    "INVALID_SELECTORS",
    "FAILED_CP_REQUIRED",
    "INTERNAL_ADDRESS_FAILURE",
    "retransmit limit",
    "unsupported",
    "failed to",
    "mismatch",
    "no proposal",
    "not encrypted",
    "pfkey_reply: message",
];

/// Notifications (RFC 7296 §3.10.1) after which iked waits for a child that will not come.
const FINAL: [&str; 4] = ["NO_PROPOSAL_CHOSEN", "TS_UNACCEPTABLE", "INVALID_SELECTORS", "FAILED_CP_REQUIRED"];

impl Tracker {
    /// The daemon starts anew: nothing is left but the keys.
    pub(crate) fn restart(&mut self) {
        let keys = self.dumps.keys.clone();
        *self = Tracker::default();
        self.dumps.keys = keys;
    }

    /// All keys so far, of all lives.
    pub(crate) fn keys(&self) -> &Keys {
        &self.dumps.keys
    }

    /// Is a child of the connection up?
    pub(crate) fn is_up(&self, connection: &str) -> bool {
        self.sas.values().any(|sa| sa.state == State::Up && sa.child.is_some() && sa.connection.as_deref() == Some(connection))
    }

    /// Is an IKE SA being set up? Reading a configuration would end it.
    pub(crate) fn half_open(&self) -> bool {
        self.sas.values().any(|sa| sa.state == State::Open)
    }

    /// Identities of peers with an IKE SA that is up, in the daemon's notation.
    pub(crate) fn peers(&self) -> BTreeSet<String> {
        self.sas.values().filter(|sa| sa.state == State::Up).filter_map(|sa| sa.peer.clone()).collect()
    }

    /// Takes one line; returns what happened.
    pub(crate) fn line(&mut self, line: &str) -> Vec<GatewayEventKind> {
        let line = line.trim_end();
        if self.dumps.octets(line) {
            return Vec::new();
        }
        let (spi, text) = match line.strip_prefix("spi=0x").and_then(|l| l.split_once(": ")) {
            Some((spi, text)) => (u64::from_str_radix(spi, 16).ok(), text),
            None => (None, line),
        };
        if let Some(spi) = spi {
            self.current = spi;
        }
        self.note_cause(text);
        self.dumps.say(text);
        match spi {
            Some(spi) => self.about_sa(spi, text),
            None => {
                self.about_nothing(text);
                Vec::new()
            }
        }
    }

    fn about_nothing(&mut self, text: &str) {
        if text.starts_with("config_getstatic:") && text.ends_with("stickyaddress") {
            // The last thing that the IKE process is told.
            self.ready = true;
            self.loads += 1;
        } else if text.starts_with("ikev2_info: called") {
            self.asked += 1;
        } else if let Some(rest) = text.strip_prefix("ikev2 \"") {
            if let Some((name, policy)) = rest.split_once("\" ") {
                self.policies.insert(name.to_owned(), policy.trim().to_owned());
            }
        } else if text.contains("syntax error") || text.contains("no valid configuration rules") || text.starts_with(crate::conf::FILE) {
            self.complaint = (!text.contains(": loaded ")).then(|| text.to_owned()).or(self.complaint.take());
        } else if let Some(name) = text.strip_prefix("ikev2_init_ike_sa: initiating \"") {
            self.begin(name.trim_end_matches('"'));
        } else if let Some(name) = text.strip_prefix("ikev2_child_sa_acquire: found matching policy '") {
            self.begin(name.trim_end_matches('\''));
        } else if let Some(header) = text.strip_prefix("ikev2_pld_parse: header ispi 0x") {
            self.answer = header.ends_with("response 1");
        } else if let Some((_, notify)) = text.split_once("ikev2_pld_notify: ").and_then(|(_, n)| n.split_once(" type "))
            && self.answer
            && FINAL.contains(&notify)
        {
            self.conclude(self.current, Err(format!("the peer answered {notify}")));
        } else if text.starts_with("ikev2_childsa_enable: failed to load") {
            self.conclude(self.current, Err(text.to_owned()));
        }
    }

    fn begin(&mut self, connection: &str) {
        self.initiating = Some(connection.to_owned());
        let attempt = self.attempts.entry(connection.to_owned()).or_default();
        attempt.tries += 1;
        attempt.result = None;
        attempt.causes.clear();
    }

    fn about_sa(&mut self, spi: u64, text: &str) -> Vec<GatewayEventKind> {
        if let Some(reason) = text.strip_prefix("sa_free: ") {
            return self.free(spi, reason);
        }
        if let Some(new) = text.strip_prefix("rekeyed as new IKESA 0x") {
            self.rekeyed(spi, new);
            return Vec::new();
        }
        let initiating = (text.starts_with("send IKE_SA_INIT req 0 ")).then(|| self.initiating.take()).flatten();
        // Messages may arrive for SAs that are no more.
        let born = text.starts_with("send IKE_SA_INIT") || text.starts_with("sa_state: INIT -> ");
        let Some(sa) = (if born { Some(self.sas.entry(spi).or_default()) } else { self.sas.get_mut(&spi) }) else { return Vec::new() };
        sa.connection = initiating.or(sa.connection.take());
        let policy = text.split_once("policy '").and_then(|(_, p)| p.split_once('\'')).map(|(p, _)| p.to_owned());
        if text.starts_with("send ") || text.starts_with("recv ") {
            sa.ends = ends(text).unwrap_or(sa.ends);
            sa.connection = sa.connection.take().or(policy);
        } else if text.starts_with("established peer ") {
            sa.connection = policy.or(sa.connection.take());
            sa.state = State::Up;
            sa.peer = text.split_once('[').and_then(|(_, id)| id.split_once("] local ")).map(|(id, _)| id.to_owned());
            return self.up(spi);
        } else if text.starts_with("sa_state: ") && text.contains(" -> CLOS") && sa.state == State::Open {
            sa.state = State::Over;
        } else if text.starts_with("ikev2_childsa_enable: loaded SPIs: ") {
            return self.child(spi);
        } else if let Some(gone) = text.strip_prefix("ikev2_childsa_delete: deleted CHILD SA spi 0x") {
            return self.child_gone(gone);
        }
        Vec::new()
    }

    /// An IKE SA is established; its child was ready before.
    fn up(&mut self, spi: u64) -> Vec<GatewayEventKind> {
        let Some(sa) = self.sas.get(&spi) else { return Vec::new() };
        let connection = sa.connection.clone().unwrap_or_default();
        let mut told = vec![GatewayEventKind::IkeUp { connection: connection.clone() }];
        if let Some(child) = sa.child {
            told.push(child.up(&connection));
            self.conclude(spi, Ok(()));
        }
        told
    }

    /// Both SAs of a child are in the kernel.
    fn child(&mut self, spi: u64) -> Vec<GatewayEventKind> {
        let Some((spi_in, spi_out)) = self.dumps.take_child(self.sas.get(&spi).map(|sa| sa.ends).unwrap_or_default()) else {
            return Vec::new();
        };
        let Some(sa) = self.sas.get_mut(&spi) else { return Vec::new() };
        let child = Child { spi_in, spi_out };
        // What it replaces will be deleted without anybody missing it.
        sa.child = Some(child);
        if sa.state != State::Up {
            return Vec::new();
        }
        vec![child.up(sa.connection.as_deref().unwrap_or_default())]
    }

    fn child_gone(&mut self, spi: &str) -> Vec<GatewayEventKind> {
        let Ok(spi) = u32::from_str_radix(spi, 16) else { return Vec::new() };
        let Some(sa) = self.sas.values_mut().find(|sa| sa.child.is_some_and(|c| c.spi_in == spi || c.spi_out == spi)) else {
            return Vec::new();
        };
        sa.child = None;
        let connection = sa.connection.clone().unwrap_or_default();
        if sa.state != State::Up {
            return Vec::new();
        }
        self.fallen.push(connection.clone());
        vec![GatewayEventKind::ChildDown { child: connection.clone(), connection }]
    }

    fn rekeyed(&mut self, old: u64, new: &str) {
        let new = new.split(' ').next().and_then(|n| u64::from_str_radix(n, 16).ok());
        let (Some(new), Some(old)) = (new, self.sas.get_mut(&old)) else { return };
        old.state = State::Over;
        let (connection, peer) = (old.connection.clone(), old.peer.clone());
        let heir = Sa { connection, state: State::Up, peer, ends: old.ends, child: old.child.take() };
        self.sas.insert(new, heir);
    }

    fn free(&mut self, spi: u64, reason: &str) -> Vec<GatewayEventKind> {
        if reason.starts_with("reinitiating") {
            // The same attempt goes on with another group (RFC 7296 §1.2) and another SPI.
            self.initiating = self.sas.remove(&spi).and_then(|sa| sa.connection);
            return Vec::new();
        }
        self.conclude(spi, Err(reason.to_owned()));
        let Some(sa) = self.sas.remove(&spi) else { return Vec::new() };
        let connection = sa.connection.unwrap_or_default();
        let mut told = Vec::new();
        if sa.state == State::Up {
            if sa.child.is_some() {
                self.fallen.push(connection.clone());
                told.push(GatewayEventKind::ChildDown { connection: connection.clone(), child: connection.clone() });
            }
            told.push(GatewayEventKind::IkeDown { connection });
        }
        told
    }

    /// An attempt ends; the first end counts.
    fn conclude(&mut self, spi: u64, result: Result<(), String>) {
        let connection = self.sas.get(&spi).and_then(|sa| sa.connection.as_ref());
        let Some(attempt) = connection.and_then(|c| self.attempts.get_mut(c)).filter(|a| a.result.is_none()) else { return };
        attempt.result = Some(result.map_err(|last| {
            let mut words = std::mem::take(&mut attempt.causes);
            if words.iter().all(|w| *w != last) {
                words.push(last);
            }
            words.join("; ")
        }));
    }

    fn note_cause(&mut self, text: &str) {
        // Two files of certificates that a lab does not have.
        let expected = text.starts_with("ca_") || text.contains("failed to load c");
        if expected || !CAUSES.iter().any(|c| text.contains(c)) {
            return;
        }
        let connection = self.sas.get(&self.current).and_then(|sa| sa.connection.as_ref());
        if let Some(attempt) = connection.and_then(|c| self.attempts.get_mut(c))
            && attempt.result.is_none()
            && attempt.causes.iter().all(|c| c != text)
        {
            attempt.causes.push(text.to_owned());
        }
    }
}

impl Child {
    fn up(self, connection: &str) -> GatewayEventKind {
        let Child { spi_in, spi_out } = self;
        GatewayEventKind::ChildUp { connection: connection.to_owned(), child: connection.to_owned(), spi_in, spi_out }
    }
}

/// Addresses of `send … peer 10.9.0.2:500 local 10.9.0.1:500, …`.
fn ends(text: &str) -> Option<Ends> {
    let (_, rest) = text.split_once(" peer ")?;
    let (peer, rest) = rest.split_once(" local ")?;
    let local = rest.split([',', ' ']).next()?;
    Some(Ends { local: address(local), peer: address(peer) })
}

/// `10.9.0.1:500` or `[fd09::1]:500`.
fn address(text: &str) -> Option<IpAddr> {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    host.trim_matches(['[', ']']).parse().ok().or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests;
