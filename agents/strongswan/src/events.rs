//! Forwards what charon tells about its SAs, and remembers the SPIs of its IKE SAs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use peer::{DriverError, GatewayEvent, GatewayEventKind};
use tokio::sync::mpsc::UnboundedSender;

use crate::daemon::Daemon;
use crate::vici::{Node, Packet, Vici};

/// SPIs (IKEv1: cookies) of IKE SAs by charon's unique id, of one life of the daemon.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spis(Arc<Mutex<HashMap<u32, (u64, u64)>>>);

impl Spis {
    pub(crate) fn all(&self) -> Vec<(u32, (u64, u64))> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.iter().map(|(id, spis)| (*id, *spis)).collect()
    }

    fn note(&self, sa: &Node) {
        let spi = |name: &str| u64::from_str_radix(sa.text(&[name])?, 16).ok();
        let id = sa.text(&["uniqueid"]).and_then(|id| id.parse().ok());
        if let (Some(id), Some(i), Some(r)) = (id, spi("initiator-spi"), spi("responder-spi")) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (i, r));
        }
    }
}

/// Registers for the events (before anything is loaded, so that none is missed) and forwards them until the daemon ends.
pub(crate) async fn forward(daemon: &Daemon, to: UnboundedSender<GatewayEvent>) -> Result<Spis, DriverError> {
    let mut vici = daemon.vici().await?;
    let gateway = daemon.name().to_owned();
    for event in ["ike-updown", "ike-rekey", "child-updown", "child-rekey"] {
        daemon.answer(&format!("register {event}"), vici.register(event)).await?;
    }
    let spis = Spis::default();
    tokio::spawn(pump(vici, gateway, to, spis.clone()));
    Ok(spis)
}

async fn pump(mut vici: Vici, gateway: String, to: UnboundedSender<GatewayEvent>, spis: Spis) {
    // An error is the daemon's end, which its watcher reports.
    while let Ok(packet) = vici.next().await {
        let Packet::Event { name, body } = packet else { continue };
        for what in translate(&name, &body, &spis) {
            if to.send(GatewayEvent { gateway: gateway.clone(), what }).is_err() {
                return;
            }
        }
    }
}

fn translate(event: &str, body: &Node, spis: &Spis) -> Vec<GatewayEventKind> {
    let up = body.text(&["up"]) == Some("yes");
    let mut told = Vec::new();
    for (connection, sa) in body.entries().filter(|(_, n)| n.is_section()) {
        spis.note(sa);
        let connection = || connection.to_owned();
        match event {
            "ike-updown" if up => told.push(GatewayEventKind::IkeUp { connection: connection() }),
            "ike-updown" => told.push(GatewayEventKind::IkeDown { connection: connection() }),
            "ike-rekey" => sa.at(&["new"]).into_iter().for_each(|new| spis.note(new)),
            "child-updown" => {
                for (_, child) in sa.at(&["child-sas"]).into_iter().flat_map(Node::entries) {
                    let name = child.text(&["name"]).unwrap_or_default().to_owned();
                    told.push(if up {
                        child_up(connection(), name, child)
                    } else {
                        GatewayEventKind::ChildDown { connection: connection(), child: name }
                    });
                }
            }
            "child-rekey" => {
                for (name, child) in sa.at(&["child-sas"]).into_iter().flat_map(Node::entries) {
                    if let Some(new) = child.at(&["new"]) {
                        let name = new.text(&["name"]).unwrap_or(name).to_owned();
                        told.push(child_up(connection(), name, new));
                    }
                }
            }
            _ => {}
        }
    }
    told
}

fn child_up(connection: String, child: String, sa: &Node) -> GatewayEventKind {
    let spi = |name: &str| sa.text(&[name]).and_then(|s| u32::from_str_radix(s, 16).ok()).unwrap_or_default();
    GatewayEventKind::ChildUp { connection, child, spi_in: spi("spi-in"), spi_out: spi("spi-out") }
}
