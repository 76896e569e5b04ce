//! Asks the drivers what their implementations can do: in a cell of the world that is asked about, where a daemon can be started as
//! it will be for a side.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peer::{Missing, Place};

use super::drivers;
use super::lab::Order;
use super::ledger::Message;
use super::worlds::Inventory;
use crate::world::cell::{CellError, CellHandle};
use crate::world::namespaces::Refusal;
use crate::world::node::NodeHandle;
use crate::world::pocket::{self, Pocket};

/// How long a cell may take to ask all drivers; they take about a second.
const LIMIT: Duration = Duration::from_secs(60);
/// Where daemons are tried: `/run` is the cell's own.
const FOLDER: &str = "/run/faultlab-probe";

/// Asks drivers in the world of the calling cell, which must be one. Each has a node of its own: all daemons want the same ports.
pub async fn here(names: &[String]) -> Inventory {
    let asked = drivers::all().iter().filter(|d| names.iter().any(|n| n == d.name()));
    let probes = asked.map(|driver| async {
        let answer = match NodeHandle::alone("probe").map(Arc::new) {
            Ok(node) => {
                let dir = Path::new(FOLDER).join(driver.name());
                driver.probe(&Place { dir, spawner: node.clone(), inside: node }).await
            }
            Err(refusal) => Err(refused(refusal)),
        };
        (driver.name().to_owned(), answer)
    });
    futures_util::future::join_all(probes).await.into_iter().collect()
}

/// Asks drivers on the running kernel.
pub async fn on_host(names: &[String]) -> Inventory {
    let failed = |what: String| Missing { what, hint: "see faultlab doctor".into() };
    let answer = match CellHandle::spawn(&Order::Probe(names.to_vec())) {
        Ok(cell) => answer(cell).await.map_err(|what| failed(format!("asking in a cell of the host world: {what}"))),
        Err(CellError::Refused(refusal)) => Err(refused(refusal)),
        Err(e) => Err(failed(e.to_string())),
    };
    answer.unwrap_or_else(|missing| names.iter().map(|n| (n.clone(), Err(missing.clone()))).collect())
}

/// Asks drivers in a pocket.
pub async fn in_pocket(names: &[String]) -> Result<Inventory, Missing> {
    let kernel = pocket::find()?;
    let failed = |what: String| Missing { what, hint: format!("remove {} and build it again: make kernel", kernel.display()) };
    let cell = CellHandle::spawn_pocket(&Order::Probe(names.to_vec()), &Pocket::new(kernel.clone()), LIMIT)
        .map_err(|e| failed(format!("the pocket kernel does not start: {e}")))?;
    answer(cell).await.map_err(|what| failed(format!("the pocket kernel: {what}")))
}

/// Waits for the answer of a cell.
async fn answer(mut cell: CellHandle) -> Result<Inventory, String> {
    let Ok(said) = tokio::time::timeout(LIMIT, cell.next()).await else {
        return Err(format!("no answer within {} s", LIMIT.as_secs()));
    };
    match said.map(|s| s.map(serde_json::from_value::<Message>)) {
        Some(Ok(Ok(Message::Probed(found)))) => Ok(found),
        Some(other) => Err(format!("another answer than asked for: {other:?}")),
        None => Err(format!("it ended: {}", cell.wait().await)),
    }
}

fn refused(refusal: Refusal) -> Missing {
    Missing { what: format!("the machine refused to {}: {}", refusal.tried, refusal.errno), hint: refusal.hint }
}
