//! The services of a plan.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use runtime::{Dns, DnsServer, Http, HttpServer, ProbeOutcome, Sockets};

use super::Nodes;
use crate::scenario::model::Service;

/// Services by name.
#[derive(Default)]
pub struct Services {
    running: BTreeMap<String, Running>,
    stopped: BTreeMap<String, Where>,
}

#[derive(Clone)]
struct Where {
    sockets: Arc<dyn Sockets>,
    action: String,
    port: u16,
}

/// A service ends when its handle is dropped.
enum Handle {
    Dns { server: DnsServer },
    Http { server: HttpServer },
}

struct Running {
    handle: Handle,
    place: Where,
}

impl Services {
    /// Starts them all.
    pub fn start(services: &[Service], nodes: &dyn Nodes) -> Result<Services, String> {
        let mut all = Services::default();
        for s in services {
            let sockets = nodes.sockets(&s.node).ok_or_else(|| format!("`{}`: no node `{}`", s.name, s.node))?;
            let (handle, port) = start(s, &*sockets).map_err(|e| format!("`{}` on {}: {e}", s.name, s.node))?;
            let place = Where { sockets, action: s.action.clone(), port };
            all.running.insert(s.name.clone(), Running { handle, place });
        }
        Ok(all)
    }

    /// Stops one; false when it was not running.
    pub fn stop(&mut self, name: &str) -> bool {
        match self.running.remove(name) {
            Some(running) => {
                self.stopped.insert(name.to_owned(), running.place.clone());
                true
            }
            None => false,
        }
    }

    /// A service that has ended although nobody has stopped it, and why.
    pub fn ended(&mut self) -> Option<(&str, std::io::Error)> {
        self.running.iter_mut().find_map(|(name, running)| {
            let ended = match &mut running.handle {
                Handle::Dns { server } => server.ended(),
                Handle::Http { server } => server.ended(),
            };
            ended.map(|e| (name.as_str(), e))
        })
    }

    /// Makes an HTTP service answer with another status; false when there is none of this name.
    pub fn set_status(&self, name: &str, status: u16) -> bool {
        match self.running.get(name).map(|r| &r.handle) {
            Some(Handle::Http { server }) => {
                server.set_status(status);
                true
            }
            _ => false,
        }
    }

    /// Asks an HTTP service on its own node; the status line, or what went wrong.
    pub fn ask(&self, name: &str) -> impl Future<Output = Option<String>> + use<> {
        let place = self.running.get(name).map(|r| r.place.clone());
        async move {
            let p = place?;
            let to = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), p.port);
            Some(runtime::http(&*p.sockets, &Http { to, path: "/".to_owned(), timeout: Duration::from_secs(2) }).await.detail)
        }
    }

    /// Is a stopped service really gone? Asks it on its own node.
    pub fn probe_stopped(&self, name: &str) -> impl Future<Output = bool> + use<> {
        let place = self.stopped.get(name).cloned();
        async move {
            let Some(p) = place else { return false };
            let here = |port| SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port);
            let timeout = Duration::from_millis(500);
            // A dropped task releases its socket when the runtime next runs: ask a second time before believing that it lives.
            for _ in 0..2 {
                let result = match p.action.as_str() {
                    "dns" => {
                        let question = Dns { server: here(53), name: "stopped.example".to_owned(), v6: false, tries: 1, timeout };
                        runtime::dns(&*p.sockets, &question).await
                    }
                    _ => runtime::http(&*p.sockets, &Http { to: here(p.port), path: "/".to_owned(), timeout }).await,
                };
                if result.outcome == ProbeOutcome::Refused {
                    return true;
                }
                tokio::task::yield_now().await;
            }
            false
        }
    }
}

fn start(s: &Service, sockets: &dyn Sockets) -> Result<(Handle, u16), String> {
    match s.action.as_str() {
        "dns" => {
            let mut names = BTreeMap::new();
            for pair in s.args.texts("names") {
                let (name, address) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not `name=address`"))?;
                let address: IpAddr = address.trim().parse().map_err(|e| format!("`{pair}`: {e}"))?;
                names.insert(name.trim().trim_end_matches('.').to_ascii_lowercase(), address);
            }
            DnsServer::start(sockets, &names).map(|server| (Handle::Dns { server }, 53)).map_err(|e| e.to_string())
        }
        "http" => {
            let number = |key, default| s.args.int(key).unwrap_or(default);
            let port = u16::try_from(number("port", 80)).map_err(|e| e.to_string())?;
            let status = u16::try_from(number("status", 200)).map_err(|e| e.to_string())?;
            let size = usize::try_from(number("size", 256)).map_err(|e| e.to_string())?;
            HttpServer::start(sockets, port, status, size).map(|server| (Handle::Http { server }, port)).map_err(|e| e.to_string())
        }
        other => Err(format!("nobody knows a service `{other}`")),
    }
}
