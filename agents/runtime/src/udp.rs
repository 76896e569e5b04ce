//! UDP probes: echoed datagrams and DNS questions.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use traffic::{dns as codec, pattern};

use crate::{ProbeOutcome, ProbeResult, Sockets, error};

/// A flow of datagrams.
#[derive(Debug, Clone)]
pub struct Udp {
    /// Receiver.
    pub to: SocketAddr,
    /// Datagrams.
    pub count: u32,
    /// Between datagrams.
    pub interval: Duration,
    /// Payload octets.
    pub size: usize,
    /// The receiver sends each one back.
    pub echo: bool,
    /// Wait for the last answer or arrival.
    pub timeout: Duration,
}

/// A socket of the node, bound to a port.
pub(crate) fn bind(sockets: &dyn Sockets, v6: bool, port: u16) -> io::Result<UdpSocket> {
    let socket = sockets.open(if v6 { Domain::IPV6 } else { Domain::IPV4 }, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    if v6 {
        socket.set_only_v6(true)?;
    }
    let any: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    socket.bind(&SocketAddr::new(any, port).into())?;
    UdpSocket::from_std(socket.into())
}

/// Sends datagrams from `client` to a receiver that runs on `server` for as long as the probe.
pub async fn udp(client: &dyn Sockets, server: Option<&dyn Sockets>, spec: &Udp) -> ProbeResult {
    match try_udp(client, server, spec).await {
        Ok(result) => result,
        Err(e) => ProbeResult { outcome: error::outcome(&e), ..ProbeResult::error(e.to_string()) },
    }
}

async fn try_udp(client: &dyn Sockets, server: Option<&dyn Sockets>, spec: &Udp) -> io::Result<ProbeResult> {
    let v6 = spec.to.is_ipv6();
    let arrived = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let receiver = match server {
        Some(s) => Some(bind(s, v6, spec.to.port())?),
        None => None,
    };
    let socket = bind(client, v6, 0)?;
    socket.connect(spec.to).await.map_err(error::before_the_first_packet)?;
    let serve = serve(receiver, spec.echo, Arc::clone(&arrived));
    let send = send(&socket, spec, &arrived);
    tokio::select! {
        result = send => result,
        () = serve => Ok(ProbeResult::error("the receiver ended early")),
    }
}

async fn serve(receiver: Option<UdpSocket>, echo: bool, arrived: Arc<std::sync::atomic::AtomicU64>) {
    let Some(socket) = receiver else { return std::future::pending().await };
    let mut buffer = vec![0; 66_000];
    loop {
        // An ICMP error about an earlier answer is reported here; the next datagram is what counts.
        if let Ok((n, from)) = socket.recv_from(&mut buffer).await {
            arrived.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if echo {
                let _ = socket.send_to(&buffer[..n], from).await;
            }
        }
    }
}

async fn send(socket: &UdpSocket, spec: &Udp, arrived: &std::sync::atomic::AtomicU64) -> io::Result<ProbeResult> {
    let start = Instant::now();
    let mut ticks = interval(spec.interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut next, mut answered, mut last) = (0u32, 0u64, start);
    let mut failure: Option<(ProbeOutcome, String)> = None;
    let mut left = false;
    let mut buffer = vec![0; 66_000];
    let mut payload = vec![0; spec.size.max(4)];
    loop {
        let got = if spec.echo { answered } else { arrived.load(std::sync::atomic::Ordering::Relaxed) };
        if next == spec.count && got >= u64::from(spec.count) {
            break;
        }
        let deadline = if next < spec.count { start + Duration::from_secs(86_400) } else { last + spec.timeout };
        // One-way arrivals are counted by the other task; look at them now and then.
        let look = deadline.min(Instant::now() + Duration::from_millis(20));
        tokio::select! {
            _ = ticks.tick(), if next < spec.count => {
                pattern::fill(u64::from(spec.to.port()), u64::from(next), &mut payload[4..]);
                payload[..4].copy_from_slice(&next.to_be_bytes());
                match socket.send(&payload).await {
                    Ok(_) => left = true,
                    Err(e) => {
                        let e = error::while_sending(e, left);
                        failure = Some((error::outcome(&e), e.to_string()));
                    }
                }
                next += 1;
                last = Instant::now();
            }
            read = timeout_at(look, socket.recv(&mut buffer)) => match read {
                Ok(Ok(_)) => answered += 1,
                Ok(Err(e)) => failure = Some((error::outcome(&e), e.to_string())),
                Err(_) if Instant::now() >= deadline => break,
                Err(_) => {}
            }
        }
    }
    let received = if spec.echo { answered } else { arrived.load(std::sync::atomic::Ordering::Relaxed) };
    let sent = u64::from(spec.count);
    let outcome = match (received, &failure) {
        (n, _) if n >= sent => ProbeOutcome::Ok,
        (0, Some((ProbeOutcome::NoRoute, _))) if left => ProbeOutcome::Timeout,
        (0, Some((outcome, _))) => *outcome,
        (0, None) => ProbeOutcome::Timeout,
        _ => ProbeOutcome::Partial,
    };
    let why = failure.map(|f| format!("; {}", f.1)).unwrap_or_default();
    let word = if spec.echo { "answered" } else { "arrived" };
    Ok(ProbeResult { outcome, sent, received, elapsed: start.elapsed(), detail: format!("{received} of {sent} {word}{why}") })
}

/// A DNS question.
#[derive(Debug, Clone)]
pub struct Dns {
    /// Server.
    pub server: SocketAddr,
    /// Name.
    pub name: String,
    /// Ask for an IPv6 address.
    pub v6: bool,
    /// Queries before giving up.
    pub tries: u32,
    /// Wait per query.
    pub timeout: Duration,
}

/// Asks.
pub async fn dns(client: &dyn Sockets, spec: &Dns) -> ProbeResult {
    match try_dns(client, spec).await {
        Ok(result) => result,
        Err(e) => ProbeResult { outcome: error::outcome(&e), ..ProbeResult::error(e.to_string()) },
    }
}

async fn try_dns(client: &dyn Sockets, spec: &Dns) -> io::Result<ProbeResult> {
    let start = Instant::now();
    let socket = bind(client, spec.server.is_ipv6(), 0)?;
    socket.connect(spec.server).await.map_err(error::before_the_first_packet)?;
    let id = socket.local_addr()?.port();
    let Some(query) = codec::query(id, &spec.name, spec.v6) else {
        return Ok(ProbeResult::error(format!("`{}` is not a name that DNS can ask for", spec.name)));
    };
    let mut buffer = vec![0; 4096];
    let mut failure = None;
    let mut sent = 0;
    while sent < u64::from(spec.tries) {
        sent += 1;
        socket.send(&query).await.map_err(|e| error::while_sending(e, sent > 1))?;
        let deadline = Instant::now() + spec.timeout;
        loop {
            match timeout_at(deadline, socket.recv(&mut buffer)).await {
                Err(_) => break,
                Ok(Err(e)) => {
                    failure = Some((error::outcome(&e), e.to_string()));
                    break;
                }
                Ok(Ok(n)) => {
                    let Some(answer) = codec::read_answer(&buffer[..n]).filter(|a| a.id == id) else { continue };
                    let (outcome, word) = match answer.rcode {
                        codec::rcode::NO_ERROR if answer.count > 0 => (ProbeOutcome::Ok, "resolved".to_owned()),
                        codec::rcode::NO_ERROR | codec::rcode::NXDOMAIN => (ProbeOutcome::NoSuchName, "no such name".to_owned()),
                        code => (ProbeOutcome::Denied, format!("rcode {code}")),
                    };
                    return Ok(ProbeResult {
                        outcome,
                        sent,
                        received: 1,
                        elapsed: start.elapsed(),
                        detail: format!("{}: {word}", spec.name),
                    });
                }
            }
        }
    }
    let (outcome, why) = failure.unwrap_or((ProbeOutcome::Timeout, "no answer".to_owned()));
    Ok(ProbeResult { outcome, sent, received: 0, elapsed: start.elapsed(), detail: format!("{}: {why} to {sent} queries", spec.name) })
}
