//! TCP probes: checked streams both ways, and HTTP.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use traffic::{http as codec, pattern};

use crate::{ProbeOutcome, ProbeResult, Sockets, error};

/// Seeds of the two directions.
const UP: u64 = 0x75_70;
const DOWN: u64 = 0x64_6f_77_6e;

/// One connection.
#[derive(Debug, Clone)]
pub struct Tcp {
    /// Server.
    pub to: SocketAddr,
    /// Octets from client to server.
    pub up: u64,
    /// Octets from server to client.
    pub down: u64,
    /// Give up after this long without progress.
    pub timeout: Duration,
}

fn socket(sockets: &dyn Sockets, v6: bool) -> io::Result<TcpSocket> {
    let socket = sockets.open(if v6 { Domain::IPV6 } else { Domain::IPV4 }, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if v6 {
        socket.set_only_v6(true)?;
    }
    Ok(TcpSocket::from_std_stream(socket.into()))
}

/// A listening socket of the node.
pub(crate) fn listen(sockets: &dyn Sockets, v6: bool, port: u16) -> io::Result<TcpListener> {
    let s = socket(sockets, v6)?;
    s.set_reuseaddr(true)?;
    let any = if v6 { format!("[::]:{port}") } else { format!("0.0.0.0:{port}") };
    s.bind(any.parse().map_err(io::Error::other)?)?;
    s.listen(64)
}

/// Carries octets between `client` and a server that runs on `server` for as long as the probe.
pub async fn tcp(client: &dyn Sockets, server: Option<&dyn Sockets>, spec: &Tcp) -> ProbeResult {
    let start = Instant::now();
    let listener = match server.map(|s| listen(s, spec.to.is_ipv6(), spec.to.port())).transpose() {
        Ok(listener) => listener,
        Err(e) => {
            let detail = format!("cannot listen on port {}: {e}", spec.to.port());
            return ProbeResult { outcome: error::outcome(&e), ..ProbeResult::error(detail) };
        }
    };
    let mut state = Progress::default();
    let arrived = AtomicU64::new(0);
    let result = tokio::select! {
        result = run_client(client, spec, &mut state, &arrived) => result,
        e = run_server(listener, spec, &arrived) => Err(e),
    };
    let (sent, received, total) = (state.sent, state.received, spec.up + spec.down);
    let done = format!("{} of {} octets up, {received} of {} down", sent, spec.up, spec.down);
    let (outcome, detail) = match result {
        Ok(()) => (ProbeOutcome::Ok, done),
        Err(e) if error::outcome(&e) == ProbeOutcome::Untried => (ProbeOutcome::Untried, format!("{done}; {e}")),
        // What the client could write may still sit in its own buffers: only confirmed octets count as progress.
        Err(e) if state.connected && received > 0 && received < total => (ProbeOutcome::Partial, format!("{done}; {e}")),
        Err(e) => (error::outcome(&e), format!("{}{done}; {e}", if state.connected { "connected, " } else { "" })),
    };
    ProbeResult { outcome, sent, received, elapsed: start.elapsed(), detail }
}

#[derive(Default)]
struct Progress {
    connected: bool,
    sent: u64,
    received: u64,
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no progress in time")
}

/// Connects. What the system says at once it says before the first packet; what it says later comes from the network.
async fn connect(socket: TcpSocket, to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let mut connecting = pin!(socket.connect(to));
    match poll_fn(|cx| Poll::Ready(connecting.as_mut().poll(cx))).await {
        Poll::Ready(result) => result.map_err(error::before_the_first_packet),
        Poll::Pending => timeout(patience, connecting).await.map_err(|_| stalled())?,
    }
}

async fn run_client(client: &dyn Sockets, spec: &Tcp, state: &mut Progress, arrived: &AtomicU64) -> io::Result<()> {
    let socket = socket(client, spec.to.is_ipv6())?;
    let mut stream = connect(socket, spec.to, spec.timeout).await?;
    state.connected = true;
    let mut buffer = vec![0; 16 * 1024];
    while state.sent < spec.up {
        let n = buffer.len().min(usize::try_from(spec.up - state.sent).unwrap_or(usize::MAX));
        pattern::fill(UP, state.sent, &mut buffer[..n]);
        let written = timeout(spec.timeout, stream.write(&buffer[..n])).await.map_err(|_| stalled())??;
        state.sent += written as u64;
    }
    let mut received = 0;
    while received < spec.down {
        let room = buffer.len().min(usize::try_from(spec.down - received).unwrap_or(usize::MAX));
        let n = timeout(spec.timeout, stream.read(&mut buffer[..room])).await.map_err(|_| stalled())??;
        check(DOWN, received, &buffer[..n])?;
        received += n as u64;
        state.received = received;
    }
    // The server's verdict on what it received: one octet, then the end.
    // What was written may wait in this end's buffers: octets that arrive at the server are progress, too.
    let mut before = arrived.load(Ordering::Relaxed);
    let verdict = loop {
        if let Ok(read) = timeout(spec.timeout, stream.read_u8()).await {
            break read?;
        }
        let now = arrived.load(Ordering::Relaxed);
        if now == before {
            return Err(stalled());
        }
        before = now;
    };
    if verdict != b'+' {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "octets were altered on the way up"));
    }
    stream.shutdown().await?;
    let _ = timeout(spec.timeout, stream.read(&mut buffer)).await;
    Ok(())
}

fn check(seed: u64, from: u64, received: &[u8]) -> io::Result<()> {
    if received.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other end closed early"));
    }
    match pattern::first_difference(seed, from, received) {
        None => Ok(()),
        Some(at) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("octet {at} was altered on the way"))),
    }
}

/// Serves connections; only returns with an error of this machine.
async fn run_server(listener: Option<TcpListener>, spec: &Tcp, arrived: &AtomicU64) -> io::Error {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            // A client that fails tells so itself.
            Ok((stream, _)) => drop(serve(stream, spec, arrived).await),
            Err(e) => return e,
        }
    }
}

async fn serve(mut stream: TcpStream, spec: &Tcp, arrived: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut received = 0;
    let mut good = true;
    while received < spec.up {
        let n = stream.read(&mut buffer).await?;
        good &= check(UP, received, &buffer[..n]).is_ok();
        if n == 0 {
            return Ok(());
        }
        received += n as u64;
        arrived.store(received, Ordering::Relaxed);
    }
    let mut sent = 0;
    while sent < spec.down {
        let n = buffer.len().min(usize::try_from(spec.down - sent).unwrap_or(usize::MAX));
        pattern::fill(DOWN, sent, &mut buffer[..n]);
        sent += stream.write(&buffer[..n]).await? as u64;
    }
    stream.write_u8(if good { b'+' } else { b'-' }).await?;
    stream.shutdown().await?;
    let _ = stream.read(&mut buffer).await;
    Ok(())
}

/// An HTTP GET.
#[derive(Debug, Clone)]
pub struct Http {
    /// Server.
    pub to: SocketAddr,
    /// What is asked for.
    pub path: String,
    /// Give up after this long without progress.
    pub timeout: Duration,
}

/// Asks.
pub async fn http(client: &dyn Sockets, spec: &Http) -> ProbeResult {
    let start = Instant::now();
    let done = |outcome, received, detail| ProbeResult { outcome, sent: 1, received, elapsed: start.elapsed(), detail };
    match try_http(client, spec).await {
        Ok((head, octets)) if head.status < 400 => done(ProbeOutcome::Ok, octets, head.line),
        Ok((head, octets)) => done(ProbeOutcome::Denied, octets, head.line),
        Err(e) => done(error::outcome(&e), 0, e.to_string()),
    }
}

async fn try_http(client: &dyn Sockets, spec: &Http) -> io::Result<(codec::Head, u64)> {
    let socket = socket(client, spec.to.is_ipv6())?;
    let mut stream = connect(socket, spec.to, spec.timeout).await?;
    stream.write_all(&codec::get(&spec.to.to_string(), &spec.path)).await?;
    let mut all = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = timeout(spec.timeout, stream.read(&mut buffer)).await.map_err(|_| stalled())??;
        all.extend_from_slice(&buffer[..n]);
        let head = codec::read_head(&all).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        match head {
            Some(head) if head.body.map_or(n == 0, |b| all.len() >= head.header + b) => {
                stream.shutdown().await?;
                let octets = (all.len() - head.header) as u64;
                return Ok((head, octets));
            }
            _ if n == 0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed early")),
            _ => {}
        }
    }
}
