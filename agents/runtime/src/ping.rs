//! ICMP echo from a raw socket of the node.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use traffic::echo::{self, Message};

use crate::{ProbeOutcome, ProbeResult, Sockets, error};

/// A ping.
#[derive(Debug, Clone)]
pub struct Ping {
    /// Target.
    pub to: IpAddr,
    /// Requests.
    pub count: u16,
    /// Between requests.
    pub interval: Duration,
    /// Payload octets.
    pub size: usize,
    /// Don't Fragment.
    pub dont_fragment: bool,
    /// Wait for the last answer.
    pub timeout: Duration,
    /// ICMP identifier, to tell probes of one node apart.
    pub id: u16,
}

/// Sends the requests and counts the answers.
pub async fn ping(sockets: &dyn Sockets, spec: &Ping) -> ProbeResult {
    match try_ping(sockets, spec).await {
        Ok(result) => result,
        Err(e) => ProbeResult { outcome: error::outcome(&e), ..ProbeResult::error(e.to_string()) },
    }
}

fn open(sockets: &dyn Sockets, spec: &Ping) -> io::Result<UdpSocket> {
    let v6 = spec.to.is_ipv6();
    let (domain, protocol) = if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
    let socket = sockets.open(domain, Type::RAW, Some(protocol))?;
    socket.set_nonblocking(true)?;
    set_dont_fragment(&socket, v6, spec.dont_fragment)?;
    socket.connect(&SocketAddr::new(spec.to, 0).into()).map_err(error::before_the_first_packet)?;
    // A connected datagram socket of any protocol reads and writes alike; tokio has no type of its own for raw ones.
    UdpSocket::from_std(socket.into())
}

/// Always or never set DF; never follow what was learnt about the path.
fn set_dont_fragment(socket: &Socket, v6: bool, on: bool) -> io::Result<()> {
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
    if v6 {
        set_ipv6_mtu_discover(socket, if on { Ipv6PathMtuDiscovery::DO } else { Ipv6PathMtuDiscovery::DONT })?;
    } else {
        set_ip_mtu_discover(socket, if on { Ipv4PathMtuDiscovery::DO } else { Ipv4PathMtuDiscovery::DONT })?;
    }
    Ok(())
}

async fn try_ping(sockets: &dyn Sockets, spec: &Ping) -> io::Result<ProbeResult> {
    let socket = open(sockets, spec)?;
    let v6 = spec.to.is_ipv6();
    let start = Instant::now();
    let mut ticks = interval_at(start, spec.interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent_at = vec![None; usize::from(spec.count)];
    let mut rtts: Vec<Duration> = Vec::new();
    let mut failure: Option<(ProbeOutcome, String)> = None;
    let (mut next, mut tried, mut last) = (0u16, 0u64, start);
    let mut left = false;
    let mut buffer = vec![0; 70_000];
    while rtts.len() < usize::from(spec.count) {
        let deadline = if next < spec.count { start + Duration::from_secs(86_400) } else { last + spec.timeout };
        tokio::select! {
            _ = ticks.tick(), if next < spec.count => {
                tried += 1;
                last = Instant::now();
                match socket.try_send(&echo::request(v6, spec.id, next, spec.size)) {
                    Ok(_) => {
                        sent_at[usize::from(next)] = Some(last);
                        left = true;
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(e) => {
                        let e = error::while_sending(e, left);
                        failure = Some((error::outcome(&e), e.to_string()));
                    }
                }
                next += 1;
            }
            read = timeout_at(deadline, socket.recv(&mut buffer)) => {
                match read {
                    Err(_) => break,
                    Ok(Err(e)) => failure = Some((error::outcome(&e), e.to_string())),
                    Ok(Ok(n)) => match echo::read(v6, &buffer[..n], spec.id) {
                        Some(Message::Reply { sequence, intact: true }) => {
                            if let Some(at) = sent_at.get_mut(usize::from(sequence)).and_then(Option::take) {
                                rtts.push(at.elapsed());
                            }
                        }
                        Some(Message::Reply { .. }) => failure = Some((ProbeOutcome::Error, "an answer was altered on the way".to_owned())),
                        Some(Message::Error { kind, code }) => failure = Some((ProbeOutcome::Unreachable, format!("ICMP type {kind} code {code}"))),
                        None => {}
                    },
                }
                if next == spec.count && failure.as_ref().is_some_and(|f| f.0 == ProbeOutcome::Unreachable) {
                    break;
                }
            }
        }
    }
    let received = rtts.len() as u64;
    let outcome = match (received, failure.as_ref()) {
        (n, _) if n == tried => ProbeOutcome::Ok,
        (0, Some((ProbeOutcome::NoRoute, _))) if left => ProbeOutcome::Timeout,
        (0, Some((outcome, _))) => *outcome,
        (0, None) => ProbeOutcome::Timeout,
        _ => ProbeOutcome::Partial,
    };
    let times = rtts.iter().map(|r| format!("{:.2}", r.as_secs_f64() * 1e3)).collect::<Vec<_>>().join(" ");
    let why = failure.map(|f| format!("; {}", f.1)).unwrap_or_default();
    let detail = format!("{received} of {tried} answered{}{why}", if times.is_empty() { String::new() } else { format!(", ms: {times}") });
    Ok(ProbeResult { outcome, sent: tried, received, elapsed: start.elapsed(), detail })
}
