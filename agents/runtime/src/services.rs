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
    tasks: JoinSet<io::Error>,
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
        Ok(DnsServer { tasks })
    }

    /// Why it no longer serves although nobody has stopped it; `None`: it does.
    pub fn ended(&mut self) -> Option<io::Error> {
        ended(&mut self.tasks)
    }
}

fn ended(tasks: &mut JoinSet<io::Error>) -> Option<io::Error> {
    // A panic is an error as well.
    tasks.try_join_next().map(|joined| joined.unwrap_or_else(io::Error::other))
}

/// A machine without IPv6 serves IPv4 alone.
fn per_family<T>(v6: bool, bound: io::Result<T>) -> io::Result<Option<T>> {
    match bound {
        Ok(socket) => Ok(Some(socket)),
        Err(e) if v6 && e.raw_os_error() == Some(97) => Ok(None), // EAFNOSUPPORT
        Err(e) => Err(e),
    }
}

/// Answers until this machine has an error that is none of the network's.
async fn answer(socket: UdpSocket, names: BTreeMap<String, IpAddr>) -> io::Error {
    let mut buffer = vec![0; 4096];
    loop {
        let (n, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(e) if peer::is_shortage(&e) => return e,
            // An ICMP error about an earlier answer is reported here; the next question is what counts.
            Err(_) => continue,
        };
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
    tasks: JoinSet<io::Error>,
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
        Ok(HttpServer { status, tasks })
    }

    /// Why it no longer serves although nobody has stopped it; `None`: it does.
    pub fn ended(&mut self) -> Option<io::Error> {
        ended(&mut self.tasks)
    }

    /// From now on answers with this status.
    pub fn set_status(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

/// Linux: errors of one connection that was about to be accepted, or of its network (accept(2)). ENONET, EPROTO, EOPNOTSUPP, ENETDOWN,
/// ENETUNREACH, ECONNABORTED, EHOSTDOWN, EHOSTUNREACH, ENOPROTOOPT, EPERM.
const OF_ONE_CONNECTION: [i32; 10] = [64, 71, 95, 100, 101, 103, 112, 113, 92, 1];

/// Serves until this machine has an error that is none of the network's.
async fn serve(listener: TcpListener, status: Arc<AtomicU16>, size: usize) -> io::Error {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let status = status.load(Ordering::Relaxed);
                    clients.spawn(async move { drop(respond(stream, status, size).await) });
                }
                Err(e) if e.raw_os_error().is_some_and(|code| OF_ONE_CONNECTION.contains(&code)) => {}
                Err(e) => return e,
            },
            Some(Err(e)) = clients.join_next() => return io::Error::other(e),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Sockets of this process; the `n`-th and all later ones are not to be had.
    struct Few(std::sync::atomic::AtomicUsize);

    impl Sockets for Few {
        fn open(&self, domain: socket2::Domain, kind: socket2::Type, protocol: Option<socket2::Protocol>) -> io::Result<socket2::Socket> {
            if self.0.fetch_sub(1, Ordering::Relaxed) == 0 {
                return Err(io::Error::from_raw_os_error(24)); // EMFILE
            }
            socket2::Socket::new(domain, kind, protocol)
        }
    }

    #[tokio::test]
    async fn a_service_that_runs_has_not_ended_and_one_whose_task_died_has() {
        let mut server = HttpServer::start(&Few(usize::MAX.into()), 0, 200, 1).unwrap();
        tokio::task::yield_now().await;
        assert!(server.ended().is_none());
        server.tasks.spawn(async { panic!("as asked for") });
        let ended = loop {
            tokio::task::yield_now().await;
            if let Some(e) = server.ended() {
                break e;
            }
        };
        assert!(ended.to_string().contains("panicked"), "{ended}");
    }

    #[tokio::test]
    async fn without_descriptors_it_does_not_begin() {
        let refused = HttpServer::start(&Few(0.into()), 0, 200, 1).err().unwrap();
        assert!(peer::is_shortage(&refused));
    }
}
