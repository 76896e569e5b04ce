//! Services that run on a node until they are dropped.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use traffic::{dns, http};

use crate::{Sockets, tcp, udp};

/// A DNS server on UDP/53, both address families.
pub struct DnsServer {
    _tasks: JoinSet<()>,
}

impl DnsServer {
    /// Starts it; `names` are in lower case.
    pub fn start(sockets: &dyn Sockets, names: &BTreeMap<String, IpAddr>) -> io::Result<DnsServer> {
        let mut tasks = JoinSet::new();
        for v6 in [false, true] {
            if let Some(socket) = per_family(v6, udp::bind(sockets, v6, 53))? {
                tasks.spawn(answer(socket, names.clone()));
            }
        }
        Ok(DnsServer { _tasks: tasks })
    }
}

/// A machine without IPv6 serves IPv4 alone.
fn per_family<T>(v6: bool, bound: io::Result<T>) -> io::Result<Option<T>> {
    match bound {
        Ok(socket) => Ok(Some(socket)),
        Err(e) if v6 && e.raw_os_error() == Some(97) => Ok(None), // EAFNOSUPPORT
        Err(e) => Err(e),
    }
}

async fn answer(socket: UdpSocket, names: BTreeMap<String, IpAddr>) {
    let mut buffer = vec![0; 4096];
    loop {
        // An ICMP error about an earlier answer is reported here; the next question is what counts.
        let Ok((n, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(question) = dns::read_query(&buffer[..n]) else { continue };
        let answer = match names.get(&question.name) {
            Some(address) => question.answer(dns::rcode::NO_ERROR, Some(*address)),
            None => question.answer(dns::rcode::NXDOMAIN, None),
        };
        let _ = socket.send_to(&answer, from).await;
    }
}

/// An HTTP service that always answers with the same status.
pub struct HttpServer {
    status: Arc<AtomicU16>,
    _tasks: JoinSet<()>,
}

impl HttpServer {
    /// Starts it.
    pub fn start(sockets: &dyn Sockets, port: u16, status: u16, size: usize) -> io::Result<HttpServer> {
        let status = Arc::new(AtomicU16::new(status));
        let mut tasks = JoinSet::new();
        for v6 in [false, true] {
            if let Some(listener) = per_family(v6, tcp::listen(sockets, v6, port))? {
                tasks.spawn(serve(listener, Arc::clone(&status), size));
            }
        }
        Ok(HttpServer { status, _tasks: tasks })
    }

    /// From now on answers with this status.
    pub fn set_status(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

async fn serve(listener: TcpListener, status: Arc<AtomicU16>, size: usize) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let status = status.load(Ordering::Relaxed);
                    clients.spawn(async move { drop(respond(stream, status, size).await) });
                }
                Err(_) => return,
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn respond(mut stream: TcpStream, status: u16, size: usize) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = vec![0; 4096];
    while !http::request_complete(&request) {
        let n = stream.read(&mut buffer).await?;
        request.extend_from_slice(&buffer[..n]);
        if n == 0 || request.len() > http::MAX_HEADER {
            return Ok(());
        }
    }
    stream.write_all(&http::response(status, size)).await?;
    stream.shutdown().await?;
    // Lets the client close first, so that nothing is reset.
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}
