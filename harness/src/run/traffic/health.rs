//! Health: ping, small TCP and bulk TCP both ways, as a user would feel it.

use std::net::SocketAddr;
use std::time::Duration;

use runtime::{Ping, ProbeOutcome, ProbeResult, Tcp};

use super::Nodes;
use crate::event::What;
use crate::scenario::model::{Must, Plan};

/// Wait for an answer, or for progress, where health is expected: generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where the path is expected to be dead.
const SHORT: Duration = Duration::from_millis(1500);
/// Ports of the health probes, so that captures show which is which.
const PORTS: [u16; 3] = [5101, 5102, 5103];

/// Runs all probes; true when each is ok.
pub async fn health(plan: &Plan, nodes: &dyn Nodes, report: impl Fn(What)) -> bool {
    let h = &plan.health;
    let place = nodes.sockets(&h.from).zip(nodes.sockets(&h.to)).zip(plan.host(&h.to));
    let Some(((client, server), (addr, _))) = place else {
        report(What::Health { probe: "ping".to_owned(), result: ProbeResult::error(format!("no path from `{}` to `{}`", h.from, h.to)) });
        return false;
    };
    let (client, server) = (&*client, &*server);
    let patience = if h.must == Must::Vanish { SHORT } else { PATIENCE };
    let say = |probe: &str, result: ProbeResult| {
        let ok = result.outcome == ProbeOutcome::Ok;
        report(What::Health { probe: probe.to_owned(), result });
        ok
    };
    let tcp = |port: usize, up, down| {
        let spec = Tcp { to: SocketAddr::new(addr, PORTS[port]), up, down, timeout: patience };
        async move { runtime::tcp(client, Some(server), &spec).await }
    };
    let spec =
        Ping { to: addr, count: 2, interval: Duration::from_millis(50), size: 56, dont_fragment: false, timeout: patience, id: u16::MAX };
    let ping = async { say("ping", runtime::ping(client, &spec).await) };
    let streams = async {
        tokio::join!(async { say("tcp-small", tcp(0, 200, 200).await) }, async { say("tcp-bulk-up", tcp(1, h.bulk, 0).await) }, async {
            say("tcp-bulk-down", tcp(2, 0, h.bulk).await)
        },)
    };
    // A userspace data path drops packets while bulk transfers fill its queues, and nobody repeats a ping: where it must succeed it
    // goes first, alone.
    let (ping, streams) = if h.must == Must::Vanish { tokio::join!(ping, streams) } else { (ping.await, streams.await) };
    ping && streams.0 && streams.1 && streams.2
}
