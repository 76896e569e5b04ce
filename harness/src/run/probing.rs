//! Asks the drivers what their implementations can do: in a cell of the world that is asked about, where a daemon can be started as
//! it will be for a side.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peer::{DriverError, Place};

use super::lab::Order;
use super::lack::Absent;
use super::ledger::Message;
use super::outcome::{Trouble, Whose};
use super::worlds::Inventory;
use super::{drivers, ended, lab};
use crate::limits;
use crate::world::cell::{CellError, CellHandle};
use crate::world::node::NodeHandle;
use crate::world::pocket::{self, Pocket};

/// How long a cell may take to ask all drivers; they take about a second.
const LIMIT: Duration = Duration::from_secs(60);
/// Where daemons are tried: `/run` is the cell's own.
const FOLDER: &str = "/run/faultlab-probe";

/// Asks drivers in the world of the calling cell, which must be one. Each has a node of its own: all daemons want the same ports.
pub async fn here(names: &[String]) -> Inventory {
    if let Err(text) = limits::enough_left() {
        // Daemons that cannot be started for that reason would look as if they were broken.
        return none_of(names, &Absent::Failed(Trouble { whose: Whose::Machine, text }));
    }
    let asked = drivers::all().iter().filter(|d| names.iter().any(|n| n == d.name()));
    let probes = asked.map(|driver| async {
        let answer = match NodeHandle::alone("probe").map(Arc::new) {
            Ok(node) => {
                let dir = Path::new(FOLDER).join(driver.name());
                driver.probe(&Place { dir, spawner: node.clone(), inside: node }).await.map_err(|e| unprobed(driver.name(), e))
            }
            Err(refusal) => Err(refusal.into()),
        };
        (driver.name().to_owned(), answer)
    });
    futures_util::future::join_all(probes).await.into_iter().collect()
}

fn unprobed(name: &str, e: DriverError) -> Absent {
    match e {
        DriverError::Missing(missing) => missing.into(),
        accident => {
            let Trouble { whose, text } = lab::driver_trouble(&accident);
            Absent::Failed(Trouble { whose, text: format!("{name} could not be asked what it can do: {text}") })
        }
    }
}

/// The same reason for all of them.
fn none_of(names: &[String], absent: &Absent) -> Inventory {
    names.iter().map(|n| (n.clone(), Err(absent.clone()))).collect()
}

/// Asks drivers on the running kernel.
pub async fn on_host(names: &[String]) -> Inventory {
    let answer = match CellHandle::spawn(&Order::Probe(names.to_vec())) {
        Ok(cell) => answer(cell).await,
        Err(e) => Err(absent(&e)),
    };
    answer.unwrap_or_else(|absent| none_of(names, &told("asking in a cell of the host world", absent)))
}

/// Asks drivers in a pocket.
pub async fn in_pocket(names: &[String]) -> Result<Inventory, Absent> {
    let kernel = pocket::find()?;
    let answer = match CellHandle::spawn_pocket(&Order::Probe(names.to_vec()), &Pocket::new(kernel.clone()), LIMIT) {
        Ok(cell) => answer(cell).await,
        Err(e) => Err(absent(&e)),
    };
    answer.map_err(|absent| told(&format!("asking in the pocket kernel {}", kernel.display()), absent))
}

/// Why a cell that was to be asked could not be had.
fn absent(e: &CellError) -> Absent {
    match e {
        CellError::Refused(refusal) => refusal.clone().into(),
        other => Absent::Failed(ended::unusable(other)),
    }
}

/// A failure says where it happened; what is missing says it itself.
fn told(doing: &str, absent: Absent) -> Absent {
    match absent {
        Absent::Failed(Trouble { whose, text }) => Absent::Failed(Trouble { whose, text: format!("{doing}: {text}") }),
        missing @ Absent::Missing(_) => missing,
    }
}

/// Waits for the answer of a cell.
async fn answer(mut cell: CellHandle) -> Result<Inventory, Absent> {
    let failed = |whose, text| Err(Absent::Failed(Trouble { whose, text }));
    let Ok(said) = tokio::time::timeout(LIMIT, cell.next()).await else {
        return failed(Whose::Outside, format!("no answer within {} s", LIMIT.as_secs()));
    };
    match said.map(|s| s.map(serde_json::from_value::<Message>)) {
        Some(Ok(Ok(Message::Probed(found)))) => Ok(found),
        Some(other) => failed(Whose::Us, format!("another answer than asked for: {other:?}")),
        None => {
            let exit = cell.wait().await;
            failed(ended::whose(&exit), format!("it ended: {exit}"))
        }
    }
}
