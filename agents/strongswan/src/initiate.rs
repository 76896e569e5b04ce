//! Bringing a child SA up, and the daemon's own words when that fails.

use std::time::Duration;

use peer::{DriverError, Outcome};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::daemon::{Daemon, io_error};
use crate::load::reason;
use crate::vici::{Node, Packet};

/// The request `initiate`; `timeout` in milliseconds.
#[derive(Serialize)]
pub(crate) struct Initiate<'a> {
    pub(crate) ike: &'a str,
    pub(crate) child: &'a str,
    pub(crate) timeout: String,
    pub(crate) loglevel: &'static str,
}

#[derive(Serialize)]
struct ListSas<'a> {
    ike: &'a str,
}

/// Initiates child `connection` of the connection of that name.
pub(crate) async fn initiate(daemon: &Daemon, connection: &str, deadline: Duration) -> Result<Outcome, DriverError> {
    let until = Instant::now() + deadline;
    if is_installed(daemon, connection).await? {
        return Ok(Outcome::Established);
    }
    let mut vici = daemon.vici().await?;
    daemon.answer("register control-log", vici.register("control-log")).await?;
    // charon's own timer is a second longer, so that ours decides; 0 would mean "no timer".
    let timeout = (deadline + Duration::from_secs(1)).as_millis().to_string();
    daemon.answer("initiate", vici.send("initiate", &Initiate { ike: connection, child: connection, timeout, loglevel: "1" })).await?;
    let mut trail = Trail::default();
    loop {
        let Ok(packet) = timeout_at(until, daemon.alive(vici.next())).await else { return Ok(Outcome::Pending) };
        match packet?.map_err(|e| io_error(daemon.name(), "VICI initiate", e))? {
            Packet::Event { name, body } if name == "control-log" => {
                trail.note(body.text(&["msg"]).unwrap_or_default());
            }
            Packet::Response(answer) if answer.text(&["success"]) == Some("yes") => return Ok(Outcome::Established),
            Packet::Response(answer) => return Ok(Outcome::Failed { reason: trail.reason(&reason(&answer)) }),
            _ => {}
        }
    }
}

/// Initiating a child that is up would make a second one.
async fn is_installed(daemon: &Daemon, connection: &str) -> Result<bool, DriverError> {
    let sas = list_sas(daemon, &ListSas { ike: connection }).await?;
    let children = sas.iter().flat_map(Node::entries).filter_map(|(_, sa)| sa.at(&["child-sas"])).flat_map(Node::entries);
    Ok(children.into_iter().any(|(_, c)| c.text(&["state"]) == Some("INSTALLED") && c.text(&["name"]) == Some(connection)))
}

/// All IKE SAs, one message each.
pub(crate) async fn list_sas(daemon: &Daemon, message: &impl Serialize) -> Result<Vec<Node>, DriverError> {
    let mut vici = daemon.vici().await?;
    let mut sas = Vec::new();
    let listing = async {
        vici.register("list-sa").await?;
        vici.send("list-sas", message).await?;
        loop {
            match vici.next().await? {
                Packet::Event { body, .. } => sas.push(body),
                _ => return Ok(()),
            }
        }
    };
    daemon.answer("list-sas", listing).await?;
    Ok(sas)
}

/// Lines of the daemon's log about one initiation that say why it failed.
#[derive(Debug, Default)]
struct Trail {
    reasons: Vec<String>,
}

/// Parts of sentences that name a cause. Lines that only report the consequence are left out.
const CAUSES: [&str; 22] = [
    "error notify",
    "notify error",
    "AUTHENTICATION_FAILED",
    "TS_UNACCEPTABLE notify",
    "NO_PROPOSAL_CHOSEN",
    "INVALID_KE_PAYLOAD notify",
    "giving up after",
    "peer not responding",
    "authentication of",
    "no shared key found",
    "no private key found",
    "payload is missing",
    "mismatch",
    "does not match",
    "no acceptable",
    "no matching",
    "constraint check failed",
    "unable to install",
    "could not decrypt",
    "invalid HASH",
    "integrity check failed",
    "unable to resolve",
];

impl Trail {
    fn note(&mut self, line: &str) {
        let success = line.ends_with("successful") || line.contains("(myself)");
        if !success && CAUSES.iter().any(|c| line.contains(c)) && self.reasons.iter().all(|r| r != line) {
            self.reasons.push(line.to_owned());
        }
    }

    fn reason(&self, answer: &str) -> String {
        if self.reasons.is_empty() { answer.to_owned() } else { self.reasons.join("; ") }
    }
}
