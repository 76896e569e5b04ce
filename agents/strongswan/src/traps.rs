//! Trap policies on top of kernel-libipsec, which installs them but never asks for an SA.
//!
//! A kernel answers a packet that meets a trap with an `ACQUIRE` to the daemon. kernel-libipsec drops the packet with the
//! log line `could not find an outbound IPsec SA for reqid {7}, dropping packet` and leaves it at that. Here the line is taken
//! for the `ACQUIRE`: the child SA is initiated, one attempt at a time, as charon's trap manager would.

use std::time::Duration;

use peer::{ChildAction, Connection, DriverError, GatewayConfig};

use crate::daemon::Daemon;
use crate::initiate::Initiate;
use crate::vici::{Packet, Vici};

/// Traps need a request id that the log line can be matched with.
pub(crate) fn wants(c: &Connection) -> bool {
    [c.start_action, c.close_action, c.dpd_action].contains(&ChildAction::Trap)
}

/// The request id of a child, by its number among all of the gateway's; charon itself counts from 1.
pub(crate) fn reqid(number: usize) -> usize {
    1001 + number
}

/// Serves the traps of `config` until the daemon ends. One connection listens, each trap has one to initiate with.
pub(crate) async fn serve(daemon: &Daemon, config: &GatewayConfig) -> Result<(), DriverError> {
    let mut traps = Vec::new();
    let children = config.connections.iter().flat_map(|c| c.children().into_iter().map(move |child| (c, child.name)));
    for (number, (c, child)) in children.enumerate().filter(|(_, (c, _))| wants(c)) {
        let (acquire, acquires) = tokio::sync::mpsc::channel(1);
        let vici = daemon.vici().await?;
        // An attempt lasts at most as long as all its retransmissions, for the IKE SA and for the child.
        let patience = config.retransmit.give_up() * 4;
        tokio::spawn(initiate_on_demand(vici, c.name.clone(), child, patience, acquires));
        traps.push((format!("reqid {{{}}}", reqid(number)), acquire));
    }
    if traps.is_empty() {
        return Ok(());
    }
    let mut log = daemon.vici().await?;
    daemon.answer("register log", log.register("log")).await?;
    tokio::spawn(async move {
        while let Ok(packet) = log.next().await {
            let Packet::Event { body, .. } = packet else { continue };
            let text = body.text(&["msg"]).unwrap_or_default();
            if !text.contains("could not find an outbound IPsec SA") {
                continue;
            }
            for (reqid, acquire) in &traps {
                if text.contains(reqid) {
                    // Full: an attempt is being made for an earlier packet.
                    let _ = acquire.try_send(());
                }
            }
        }
    });
    Ok(())
}

async fn initiate_on_demand(
    mut vici: Vici,
    connection: String,
    child: String,
    patience: Duration,
    mut acquires: tokio::sync::mpsc::Receiver<()>,
) {
    let timeout = patience.as_millis().to_string();
    while acquires.recv().await.is_some() {
        let request = Initiate { ike: &connection, child: &child, timeout: timeout.clone(), loglevel: "-1" };
        // How it ended is told by events; an error here is the daemon's end.
        if vici.call("initiate", &request).await.is_err() {
            return;
        }
        // Packets that were dropped during the attempt belong to it.
        while acquires.try_recv().is_ok() {}
    }
}
