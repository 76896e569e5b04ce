//! Bringing a child SA up, and the daemon's own words when that fails.

use std::time::Duration;

use peer::{Connection, DriverError, Outcome};
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

/// Initiates all children of a connection, one after the other, so that the first one's IKE SA serves all.
pub(crate) async fn initiate(daemon: &Daemon, connection: &Connection, deadline: Duration) -> Result<Outcome, DriverError> {
    let until = Instant::now() + deadline;
    let (mut pending, mut reasons) = (false, Vec::new());
    for child in connection.children() {
        let (ike, child) = (connection.name.as_str(), child.name.as_str());
        if is_installed(daemon, ike, child).await? {
            continue;
        }
        if pending {
            // There is no time to wait for it, but it shall be tried as well; -1: do not wait.
            let request = Initiate { ike, child, timeout: "-1".into(), loglevel: "-1" };
            daemon.call("initiate", &request).await?;
            continue;
        }
        match one(daemon, ike, child, until).await? {
            Outcome::Established => continue,
            Outcome::Pending => pending = true,
            Outcome::Failed { reason } if child == ike => reasons.push(reason),
            Outcome::Failed { reason } => reasons.push(format!("{child}: {reason}")),
        }
        // Without an IKE SA the others would only fail in the same way.
        if !pending && list_sas(daemon, &ListSas { ike }).await?.is_empty() {
            break;
        }
    }
    Ok(match (reasons.is_empty(), pending) {
        (false, _) => Outcome::Failed { reason: reasons.join("; ") },
        (true, true) => Outcome::Pending,
        (true, false) => Outcome::Established,
    })
}

async fn one(daemon: &Daemon, ike: &str, child: &str, until: Instant) -> Result<Outcome, DriverError> {
    let deadline = until.saturating_duration_since(Instant::now());
    let mut vici = daemon.vici().await?;
    daemon.answer("register control-log", vici.register("control-log")).await?;
    // charon's own timer is a second longer, so that ours decides; 0 would mean "no timer".
    let timeout = (deadline + Duration::from_secs(1)).as_millis().to_string();
    daemon.answer("initiate", vici.send("initiate", &Initiate { ike, child, timeout, loglevel: "1" })).await?;
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
async fn is_installed(daemon: &Daemon, ike: &str, child: &str) -> Result<bool, DriverError> {
    let sas = list_sas(daemon, &ListSas { ike }).await?;
    let children = sas.iter().flat_map(Node::entries).filter_map(|(_, sa)| sa.at(&["child-sas"])).flat_map(Node::entries);
    Ok(children.into_iter().any(|(_, c)| c.text(&["state"]) == Some("INSTALLED") && c.text(&["name"]) == Some(child)))
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
