//! Faults: put in place, proved, taken back with the cell.
//!
//! Those that concern a service, a daemon or a configuration belong to the runner; all others are set here, one file per
//! family.

mod address;
mod filter;
mod link;
mod nat;
mod routing;
mod rules;
pub mod words;

use std::io;
use std::sync::Arc;

use super::{NodeHandle, World, WorldError};
use crate::dissect::Capture;
use crate::scenario::model::{Fault, Plan};

/// The fault could not be put in place, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault `{fault}`: {reason}")]
pub struct Refused {
    /// Fault name.
    pub fault: String,
    /// Who refused what, in words.
    pub reason: String,
}

/// What a proof may rest on.
pub struct Evidence<'a> {
    /// The world: the kernel's counters and tables.
    pub world: &'a World,
    /// The capture so far.
    pub capture: &'a Capture,
}

/// A fault's answer to "are you in force?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proved {
    /// Yes: what was observed.
    Yes(String),
    /// Not yet: what is looked for, and what was seen instead.
    NotYet(String),
}

/// A fault that has been put in place. It needs no undoing: the cell ends with the run.
pub trait InForce: Send {
    /// Looks for proof. May be asked again and again.
    fn prove(&mut self, evidence: &Evidence<'_>) -> Proved;
}

/// Faults that [`set`] knows.
pub const HERE: &[&str] = &[
    "drop",
    "reject",
    "link-mtu",
    "link-down",
    "icmp-errors-off",
    "nat",
    "nat-timeout",
    "nat-flush",
    "route-missing",
    "route",
    "change-address",
    "forwarding-off",
    "mss-clamp",
];

/// Puts a fault in place.
pub fn set(world: &World, fault: &Fault, _plan: &Plan) -> Result<Box<dyn InForce>, Refused> {
    let placed = match fault.action.as_str() {
        "drop" => filter::drop(world, fault),
        "reject" => filter::reject(world, fault),
        "icmp-errors-off" => filter::icmp_errors_off(world, fault),
        "mss-clamp" => filter::mss_clamp(world, fault),
        "link-mtu" => link::mtu(world, fault),
        "link-down" => link::down(world, fault),
        "nat" => nat::translate(world, fault),
        "nat-timeout" => nat::timeout(world, fault),
        "nat-flush" => nat::flush(world, fault),
        "route-missing" => routing::missing(world, fault),
        "route" => routing::other(world, fault),
        "change-address" => address::change(world, fault),
        "forwarding-off" => routing::forwarding_off(world, fault),
        other => Err(Failure(format!("`{other}` is no fault of the network; known here: {}", HERE.join(", ")))),
    };
    placed.map_err(|Failure(reason)| Refused { fault: fault.name.clone(), reason })
}

/// Why a fault could not be placed.
#[derive(Debug)]
struct Failure(String);

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Failure {
        Failure(format!("the kernel refused: {e}"))
    }
}

impl From<WorldError> for Failure {
    fn from(e: WorldError) -> Failure {
        Failure(e.to_string())
    }
}

type Placed = Result<Box<dyn InForce>, Failure>;

/// The node in argument `at`.
fn node_at(world: &World, fault: &Fault) -> Result<Arc<NodeHandle>, Failure> {
    Ok(world.node(text(fault, "at")?)?)
}

fn text<'a>(fault: &'a Fault, key: &str) -> Result<&'a str, Failure> {
    fault.args.text(key).ok_or_else(|| Failure(format!("argument `{key}` is missing")))
}

fn number<T: TryFrom<i64>>(fault: &Fault, key: &str) -> Result<T, Failure> {
    let value = fault.args.int(key).ok_or_else(|| Failure(format!("argument `{key}` is missing")))?;
    T::try_from(value).map_err(|_| Failure(format!("argument `{key}` is {value}: out of range")))
}

/// Table of this fault's packet-filter rules.
fn table_of(fault: &Fault) -> String {
    format!("fault-{}", fault.name)
}

/// Turns a failed look at the kernel into "not yet".
fn looked(result: io::Result<Proved>) -> Proved {
    result.unwrap_or_else(|e| Proved::NotYet(format!("the kernel could not be asked: {e}")))
}
