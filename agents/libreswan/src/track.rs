//! What the statements of the log mean: SAs that come and go, attempts that fail and why.
//!
//! ```text
//! "west-east" #1: initiating IKEv2 connection
//! "west-east" #1: initiator established IKE SA; authenticated peer using authby=secret and ID_FQDN '@east.example'
//! "west-east" #2: initiator established Child SA using #1; IPsec tunnel […] {ESP/ESN=>0x69d4751a <0x0a17c7c0 xfrm=… }
//!  connection  number of a state: one IKE SA or one child SA
//! ```

use std::collections::HashMap;

use peer::GatewayEventKind;

/// Parts of sentences that name a cause. Lines that only report the consequence are left out.
const CAUSES: [&str; 16] = [
    "rejected",
    "AUTHENTICATION_FAILED",
    "NO_PROPOSAL_CHOSEN",
    "TS_UNACCEPTABLE",
    "INVALID_",
    "PAYLOAD_MALFORMED",
    "timeout exceeded",
    "does not match",
    "authentication failed",
    "authentication failure",
    "no acceptable",
    "mismatch",
    "malformed",
    "network error",
    "ERROR",
    "cannot ",
];

/// Everything known about the connections in one life of the daemon.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    connections: HashMap<String, Connection>,
}

#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// The daemon's sentence when it took the connection.
    pub(crate) added: Option<String>,
    /// Its sentence when it did not.
    pub(crate) refused: Option<String>,
    /// How many attempts to bring it up have failed, all their tries included.
    pub(crate) failures: u64,
    /// Sentences of the last attempt that name a cause.
    pub(crate) causes: Vec<String>,
    states: HashMap<u32, State>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// An initiation of ours goes on, perhaps for a successor of a child SA.
    Trying {
        successor_of: Option<u32>,
    },
    Ike {
        replaced: bool,
    },
    Child {
        replaced: bool,
    },
}

impl Connection {
    /// A child SA is up.
    pub(crate) fn is_up(&self) -> bool {
        self.states.values().any(|s| matches!(s, State::Child { .. }))
    }

    /// The IKE SA that it set up is there.
    pub(crate) fn has_ike_sa(&self) -> bool {
        self.states.values().any(|s| matches!(s, State::Ike { replaced: false }))
    }

    /// An initiation goes on.
    pub(crate) fn is_trying(&self) -> bool {
        self.states.values().any(|s| matches!(s, State::Trying { .. }))
    }

    /// Why the last attempt failed, in the daemon's words.
    pub(crate) fn reason(&self) -> String {
        if self.causes.is_empty() { "no reason given".into() } else { self.causes.join("; ") }
    }

    fn replace(&mut self, number: u32) {
        if let Some(State::Ike { replaced } | State::Child { replaced }) = self.states.get_mut(&number) {
            *replaced = true;
        }
    }

    /// Something that was being tried came to nothing.
    fn gave_up(&mut self) {
        if !self.is_trying() && !self.is_up() {
            self.failures += 1;
        }
    }
}

impl Tracker {
    pub(crate) fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections.get(name)
    }

    /// Takes one statement (without its time); tells what happened.
    pub(crate) fn say(&mut self, line: &str) -> Option<GatewayEventKind> {
        let (name, number, text) = split(line)?;
        let c = self.connections.entry(name.to_owned()).or_default();
        let Some(number) = number else {
            if text.starts_with("added IKEv") {
                c.added = Some(text.to_owned());
            } else if text.starts_with("failed to add connection") {
                c.refused = Some(text.to_owned());
            }
            return None;
        };
        let connection = || name.to_owned();
        if CAUSES.iter().any(|cause| text.contains(cause)) && c.causes.iter().all(|known| known != text) {
            c.causes.push(text.to_owned());
        }
        if let Some(rest) = text.strip_prefix("initiating ") {
            if !rest.starts_with("rekey") {
                if c.states.is_empty() {
                    c.causes.clear();
                }
                c.states.insert(number, State::Trying { successor_of: number_after(rest, "to replace #") });
            }
        } else if let Some((_, old)) = text.split_once("rekeyed IKE SA #") {
            old.split(' ').next().and_then(|n| n.parse().ok()).into_iter().for_each(|old| c.replace(old));
            c.states.insert(number, State::Ike { replaced: false });
        } else if established(text, "IKE SA") || text.starts_with("IKE SA established") {
            c.states.insert(number, State::Ike { replaced: false });
            return Some(GatewayEventKind::IkeUp { connection: connection() });
        } else if established(text, "Child SA") || text.contains("rekeyed Child SA #") || text.starts_with("IPsec SA established") {
            let successor_of = match c.states.get(&number) {
                Some(State::Trying { successor_of }) => *successor_of,
                _ => number_after(text, "rekeyed Child SA #"),
            };
            successor_of.into_iter().for_each(|old| c.replace(old));
            c.states.insert(number, State::Child { replaced: false });
            let (spi_in, spi_out) = (spi(text, " <0x")?, spi(text, "=>0x")?);
            return Some(GatewayEventKind::ChildUp { connection: connection(), child: connection(), spi_in, spi_out });
        } else if text.contains("rejected Child SA") || text.contains("failed with error notification") {
            c.states.remove(&number);
            c.gave_up();
        } else if text.contains(" traffic information: ") {
            if let Some(State::Child { replaced: false }) = c.states.remove(&number) {
                return Some(GatewayEventKind::ChildDown { connection: connection(), child: connection() });
            }
        } else if text.starts_with("deleting state (") || text.starts_with("deleting larval") {
            match c.states.get(&number) {
                Some(State::Trying { .. }) => {
                    c.states.remove(&number);
                    c.gave_up();
                }
                Some(State::Ike { replaced }) => {
                    let told = !replaced;
                    c.states.remove(&number);
                    return told.then(|| GatewayEventKind::IkeDown { connection: connection() });
                }
                _ => {}
            }
        }
        None
    }
}

/// Splits `"name"[1] 10.9.0.2 #3: text`; instance and address are left out, the number may be missing.
fn split(line: &str) -> Option<(&str, Option<u32>, &str)> {
    let (name, rest) = line.strip_prefix('"')?.split_once('"')?;
    let (head, text) = rest.split_once(": ")?;
    let number = head.rsplit_once('#').and_then(|(_, n)| n.parse().ok());
    Some((name, number, text))
}

/// `initiator established IKE SA; …`, `responder established Child SA …`
fn established(text: &str, what: &str) -> bool {
    let rest = text.strip_prefix("initiator ").or_else(|| text.strip_prefix("responder "));
    rest.and_then(|r| r.strip_prefix("established ")).is_some_and(|r| r.starts_with(what))
}

fn number_after(text: &str, mark: &str) -> Option<u32> {
    let digits = text.split_once(mark)?.1;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn spi(text: &str, mark: &str) -> Option<u32> {
    let digits = text.split_once(mark)?.1;
    u32::from_str_radix(digits.split(|c: char| !c.is_ascii_hexdigit()).next()?, 16).ok()
}

#[cfg(test)]
mod tests;
