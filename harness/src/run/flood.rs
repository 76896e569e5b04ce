//! The fault `ike-flood`: forged first requests, sent and seen to arrive.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use runtime::Flood;

use super::lab::Lab;
use super::traffic::Nodes;
use crate::dissect::{Capture, Direction};
use crate::scenario::model::Fault;

/// Most requests, and so most sources.
const MOST: usize = 1000;
/// How long the last request may take to its victim.
const ARRIVAL: Duration = Duration::from_secs(5);

/// Sends all of it, and waits until it has arrived. `Ok`: the proof.
pub async fn flood(lab: &Rc<Lab>, fault: &Fault) -> Result<String, String> {
    let (from, to) = (fault.args.text("from").unwrap_or_default(), fault.args.text("to").unwrap_or_default());
    let victim = lab.plan.gateway(to).and_then(|g| g.connections.first()).ok_or_else(|| format!("gateway `{to}` has no connection"))?;
    let sockets = lab.world.sockets(from).ok_or_else(|| format!("no node `{from}`"))?;
    let sources = sources(lab, fault, from, victim.local.is_ipv6())?;
    let count = fault.args.int("count").and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let interval = fault.args.duration("interval").unwrap_or_default();
    let spec = Flood { victim: victim.clone(), sources, count, interval };
    let sent: BTreeSet<u64> = runtime::flood(&*sockets, &spec).await.map_err(|e| format!("{from} cannot send: {e}"))?.into_iter().collect();
    let mut arrivals = lab.arrivals.subscribe();
    let deadline = tokio::time::Instant::now() + ARRIVAL;
    loop {
        let arrived = arrived(lab.judge.borrow().capture(), to, &sent);
        if arrived == sent.len() {
            let range = fault.args.text("sources").unwrap_or(from);
            return Ok(format!(
                "{from} sent {arrived} IKE_SA_INIT requests, each with another SPI, as from {range}; all of them arrived at {to}"
            ));
        }
        if !matches!(tokio::time::timeout_at(deadline, arrivals.changed()).await, Ok(Ok(()))) {
            return Err(format!("only {arrived} of {} requests have arrived at {to}", sent.len()));
        }
    }
}

/// Whom the requests pretend to come from.
fn sources(lab: &Lab, fault: &Fault, from: &str, v6: bool) -> Result<Vec<IpAddr>, String> {
    let Some(text) = fault.args.text("sources") else {
        let own = lab.plan.network.node(from).and_then(|n| n.address(v6));
        return own.map(|ip| vec![ip]).ok_or_else(|| format!("{from} has no address of the victim's family"));
    };
    let prefix: IpNet = text.parse().map_err(|_| format!("argument `sources`: `{text}` is no prefix"))?;
    // No more than there can be requests.
    Ok(prefix.hosts().take(MOST).collect())
}

/// How many of these SPIs have come to a node.
fn arrived(capture: &Capture, node: &str, sent: &BTreeSet<u64>) -> usize {
    let of_node = |tap: u16| capture.taps.get(usize::from(tap)).and_then(|t| t.split_once('.')).is_some_and(|(n, _)| n == node);
    let came = capture.records.iter().filter(|r| r.frame.direction == Direction::In && of_node(r.frame.tap));
    let spis = came.filter_map(|r| r.ike()).filter(|ike| !ike.message.is_response()).map(|ike| ike.message.spi_i);
    spis.filter(|spi| sent.contains(spi)).collect::<BTreeSet<u64>>().len()
}
