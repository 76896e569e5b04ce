//! One traffic step: words of the scenario → a probe on sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use runtime::{Dns, Http, Ping, ProbeResult, Sockets, Tcp, Udp};

use super::Nodes;
use crate::scenario::model::Plan;
use crate::schema::Args;

/// ICMP identifiers, so that probes running at the same time are told apart.
static NEXT_ID: AtomicU16 = AtomicU16::new(1);

/// Runs a probe: `ping`, `tcp`, `udp`, `dns` or `http`.
pub async fn run_probe(action: &str, args: &Args, plan: &Plan, nodes: &dyn Nodes) -> ProbeResult {
    let v6 = plan.uses_v6();
    let from = args.text("from").unwrap_or_default();
    let Some(client) = nodes.sockets(from) else {
        return ProbeResult::error(format!("no node `{from}`"));
    };
    let host = args.text("to").or_else(|| args.text("server")).unwrap_or_default();
    let Some((addr, owner)) = plan.host(host) else {
        return ProbeResult::error(format!("`{host}` has no {} address", if v6 { "IPv6" } else { "IPv4" }));
    };
    let server: Option<Arc<dyn Sockets>> = owner.and_then(|n| nodes.sockets(n));
    let port = u16::try_from(args.int("port").unwrap_or(53)).unwrap_or(0);
    let to = SocketAddr::new(addr, port);
    let timeout = args.duration("timeout").unwrap_or(Duration::from_secs(1));
    let count = args.int("count").unwrap_or(1);
    let interval = args.duration("interval").unwrap_or(Duration::from_millis(100));
    let size = usize::try_from(args.int("size").unwrap_or(56)).unwrap_or(0);
    match action {
        "ping" => {
            let count = u16::try_from(count).unwrap_or(u16::MAX);
            let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
            runtime::ping(&*client, &Ping { to: addr, count, interval, size, dont_fragment: args.flag("df"), timeout, id }).await
        }
        "tcp" => {
            let octets = |key| args.int(key).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
            runtime::tcp(&*client, server.as_deref(), &Tcp { to, up: octets("up"), down: octets("down"), timeout }).await
        }
        "udp" => {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            runtime::udp(&*client, server.as_deref(), &Udp { to, count, interval, size, echo: args.flag("echo"), timeout }).await
        }
        "dns" => {
            let tries = args.int("tries").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
            let name = args.text("name").unwrap_or_default().to_owned();
            runtime::dns(&*client, &Dns { server: SocketAddr::new(addr, 53), name, v6, tries, timeout }).await
        }
        "http" => runtime::http(&*client, &Http { to, path: args.text("path").unwrap_or("/").to_owned(), timeout }).await,
        other => ProbeResult::error(format!("`{other}` is not a probe")),
    }
}
