//! The one event stream of a run: written to `events.jsonl`, sent from the cell to its parent, read by every reporter.

use peer::{GatewayEventKind, Outcome};
use runtime::ProbeResult;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A phase began: `network`, `gateways`, `traffic`, `health`, `judging`.
    Phase {
        /// Its name.
        name: String,
    },
    /// A node exists (its namespace can be entered through the cell's first process).
    NodeUp {
        /// Node name.
        node: String,
        /// File descriptor number of its network namespace in the cell's first process.
        fd: i32,
    },
    /// A fault was put in place.
    FaultSet {
        /// Fault name.
        fault: String,
    },
    /// The kernel, a daemon or we refused to put it in place.
    FaultRefused {
        /// Fault name.
        fault: String,
        /// Why.
        reason: String,
    },
    /// Proof that it is in force.
    FaultProved {
        /// Fault name.
        fault: String,
        /// What was observed.
        proof: String,
    },
    /// No proof was found until the end.
    FaultUnproved {
        /// Fault name.
        fault: String,
        /// What was looked for, and what was seen instead.
        reason: String,
    },
    /// A gateway said something.
    Gateway {
        /// Node name.
        gateway: String,
        /// What.
        what: GatewayEventKind,
    },
    /// A gateway process ended on our order, or was started again.
    Daemon {
        /// Node name.
        gateway: String,
        /// `started`, `stopped`, `killed`, `restarted`.
        state: String,
    },
    /// Keys became known. They are not told here: the event stream is no secret.
    Keys {
        /// Of which SAs.
        of: Vec<String>,
    },
    /// A traffic step began.
    StepStarted {
        /// Step name.
        step: String,
    },
    /// A traffic step ended.
    StepEnded {
        /// Step name.
        step: String,
        /// How.
        result: StepResult,
    },
    /// All foreground and background traffic has ended.
    ScriptEnded,
    /// A health probe ended.
    Health {
        /// `ping`, `tcp-small`, `tcp-bulk-up`, `tcp-bulk-down`.
        probe: String,
        /// How.
        result: ProbeResult,
    },
    /// This machine ran short of something, so that the side says nothing about the network.
    Shortage {
        /// What was being done, and the error.
        text: String,
    },
    /// A remark for people: progress, tolerated oddities.
    Note {
        /// Text.
        text: String,
    },
}

/// Result of a traffic step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// Of `initiate`.
    Initiate(Outcome),
    /// Of a probe.
    Probe(ProbeResult),
    /// Time passed, or an order was carried out.
    Done,
}
