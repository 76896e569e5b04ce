//! The outside: UDP 500 and 4500 and IP protocol 50, per address family, bound to every own address: which of them a packet
//! came to, or leaves from, is told beside it, so that nothing has to be opened again when addresses change.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use gateway::Outer;
use socket2::{Domain, Protocol, Socket, Type};

use crate::sys::{self, BATCH, Inbox, Outgoing, PathError};

/// Packets of the gateway's own sockets have this mark, which its routing rule leaves alone.
pub(crate) const MARK: u32 = 220;
/// IKE's ports.
const PORTS: [u16; 2] = [500, 4500];
/// ESP.
const ESP: i32 = 50;
/// Room in each socket's buffers, if the kernel lets us: 4 MiB.
const BUFFER: i32 = 4 << 20;
/// Errors kept until they are looked at; more say nothing new.
const ERRORS: usize = 64;

/// Linux: `SO_NO_CHECK`, no UDP checksum in IPv4.
const SO_NO_CHECK: i32 = 11;

/// What a socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    /// UDP on an own port.
    Udp(u16),
    /// IP protocol 50.
    Esp,
}

/// How the kernel treats what is sent: settings of the socket, not of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Manner {
    /// Set DF and never fragment; what the kernel knows about the path is ours to know.
    df: bool,
    /// Leave the UDP checksum out (RFC 3948 §2.1).
    no_checksum: bool,
}

/// As a new socket is: the kernel fragments, and adds checksums.
const PLAIN: Manner = Manner { df: false, no_checksum: false };

impl Manner {
    /// Between packets: a socket that does not set DF is not told about ICMP "fragmentation needed" either.
    fn at_rest(self) -> Manner {
        Manner { df: true, ..self }
    }
}

/// One socket.
pub(crate) struct Outside {
    /// What it carries.
    pub(crate) carries: Carries,
    v6: bool,
    socket: Socket,
    manner: Manner,
}

impl Outside {
    fn open(v6: bool, carries: Carries) -> io::Result<Outside> {
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = match carries {
            Carries::Udp(_) => Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
            Carries::Esp => Socket::new(domain, Type::RAW, Some(Protocol::from(ESP)))?,
        };
        socket.set_nonblocking(true)?;
        socket.set_mark(MARK)?;
        for (force, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
            // Beyond the machine's limit only with privileges that a user namespace does not give.
            if sys::set_option(socket.as_fd(), libc::SOL_SOCKET, force, BUFFER).is_err() {
                sys::set_option(socket.as_fd(), libc::SOL_SOCKET, plain, BUFFER)?;
            }
        }
        let options: &[(i32, i32)] = if v6 {
            &[(libc::IPV6_RECVPKTINFO, 1), (libc::IPV6_RECVTCLASS, 1), (libc::IPV6_RECVERR, 1)]
        } else {
            &[(libc::IP_PKTINFO, 1), (libc::IP_RECVTOS, 1), (libc::IP_RECVERR, 1)]
        };
        for (name, value) in options {
            sys::set_option(socket.as_fd(), level(v6), *name, *value)?;
        }
        if let Carries::Udp(port) = carries {
            if v6 {
                socket.set_only_v6(true)?;
            }
            let any: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            socket.bind(&SocketAddr::new(any, port).into())?;
        }
        let mut outside = Outside { carries, v6, socket, manner: PLAIN };
        outside.behave(outside.manner.at_rest())?;
        Ok(outside)
    }

    fn behave(&mut self, manner: Manner) -> io::Result<()> {
        if manner.df != self.manner.df {
            let (name, probe, dont) = if self.v6 {
                (libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE, libc::IPV6_PMTUDISC_DONT)
            } else {
                (libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE, libc::IP_PMTUDISC_DONT)
            };
            sys::set_option(self.fd(), level(self.v6), name, if manner.df { probe } else { dont })?;
        }
        if manner.no_checksum != self.manner.no_checksum {
            sys::set_option(self.fd(), libc::SOL_SOCKET, SO_NO_CHECK, i32::from(manner.no_checksum))?;
        }
        self.manner = manner;
        Ok(())
    }

    /// Takes what has arrived; 0: nothing.
    pub(crate) fn receive(&self, inbox: &mut Inbox) -> usize {
        // What went wrong with an earlier packet is in the error queue as well.
        inbox.receive(self.fd()).unwrap_or(0)
    }

    /// For `poll`.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn level(v6: bool) -> i32 {
    if v6 { libc::IPPROTO_IPV6 } else { libc::IPPROTO_IP }
}

/// All sockets of a gateway.
pub(crate) struct Sockets {
    all: Vec<Outside>,
    errors: Vec<PathError>,
    /// Packets that the kernel did not take.
    pub(crate) refused: u64,
}

impl Sockets {
    /// Opens them in the calling thread's network namespace.
    pub(crate) fn open(v4: bool, v6: bool) -> io::Result<Sockets> {
        let mut all = Vec::new();
        for family_v6 in [false, true].into_iter().filter(|f| if *f { v6 } else { v4 }) {
            for carries in PORTS.map(Carries::Udp).into_iter().chain([Carries::Esp]) {
                let named = |e: io::Error| {
                    let what = match carries {
                        Carries::Udp(port) => format!("UDP port {port}"),
                        Carries::Esp => "IP protocol 50".to_owned(),
                    };
                    io::Error::new(e.kind(), format!("{what} of {}: {e}", if family_v6 { "IPv6" } else { "IPv4" }))
                };
                all.push(Outside::open(family_v6, carries).map_err(named)?);
            }
        }
        Ok(Sockets { all, errors: Vec::new(), refused: 0 })
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Outside] {
        &self.all
    }

    fn find(&self, v6: bool, carries: Carries) -> Option<usize> {
        self.all.iter().position(|s| s.v6 == v6 && s.carries == carries)
    }

    /// Empties the error queues.
    pub(crate) fn look_for_errors(&mut self) {
        for socket in &self.all {
            drain(socket, &mut self.errors);
        }
    }

    /// The next thing that somebody said about a packet.
    pub(crate) fn next_error(&mut self) -> Option<PathError> {
        self.errors.pop()
    }

    fn send<'d>(&mut self, index: usize, manner: Manner, messages: impl Iterator<Item = Outgoing<'d>> + Clone, count: usize) {
        let Some(socket) = self.all.get_mut(index) else { return };
        if socket.behave(manner).is_err() {
            self.refused += count as u64;
            return;
        }
        let (mut done, mut again) = (0, false);
        while done < count {
            match sys::send(socket.fd(), messages.clone().skip(done)) {
                Ok(sent) => {
                    done += sent.max(1);
                    again = false;
                }
                Err(e) => {
                    let too_big = e.raw_os_error() == Some(libc::EMSGSIZE);
                    let known = self.errors.len();
                    drain(socket, &mut self.errors);
                    // An error that the network told about an earlier packet is told once, to whoever comes next.
                    let own = e.kind() == io::ErrorKind::WouldBlock || (too_big && self.errors.iter().skip(known).any(|e| !e.icmp));
                    if again || own {
                        self.refused += 1;
                        done += 1;
                    }
                    again = !again && !own;
                }
            }
        }
        // It was allowed a moment ago; if it is not any more, the next packet shows it.
        let _ = socket.behave(manner.at_rest());
    }
}

fn drain(socket: &Outside, errors: &mut Vec<PathError>) {
    while let Some(error) = sys::take_error(socket.fd()) {
        if errors.len() < ERRORS && !errors.contains(&error) {
            errors.push(error);
        }
    }
}

/// Packets that wait to be sent together; their buffers are used again and again.
pub(crate) struct Outbox {
    entries: Vec<Entry>,
    used: usize,
}

struct Entry {
    socket: usize,
    manner: Manner,
    from: IpAddr,
    to: SocketAddr,
    tos: u8,
    data: Vec<u8>,
}

impl Outbox {
    pub(crate) fn new() -> Outbox {
        let none = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let entry = || Entry { socket: 0, manner: PLAIN, from: none.ip(), to: none, tos: 0, data: Vec::new() };
        Outbox { entries: (0..BATCH).map(|_| entry()).collect(), used: 0 }
    }

    /// Room for the next packet, empty.
    pub(crate) fn slot(&mut self) -> &mut Vec<u8> {
        // `used` is below the length: a full box is emptied at once.
        let data = &mut self.entries[self.used].data;
        data.clear();
        data
    }

    /// What is in the slot.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.entries[self.used].data
    }

    /// What is in the slot is an ESP packet; it is to be sent. `false`: there is no such socket.
    #[must_use]
    pub(crate) fn push_esp(&mut self, sockets: &mut Sockets, outer: Outer) -> bool {
        let v6 = outer.from.is_ipv6();
        let (carries, to_port) = match outer.ports {
            Some((own, peer)) => (Carries::Udp(own), peer),
            None => (Carries::Esp, 0),
        };
        let manner = Manner { df: outer.df, no_checksum: !v6 && outer.ports.is_some() };
        self.push(sockets, (v6, carries), manner, outer.from, SocketAddr::new(outer.to, to_port), outer.tos)
    }

    /// To be sent over UDP as it is, in fragments if it is large.
    #[must_use]
    pub(crate) fn push_datagram(&mut self, sockets: &mut Sockets, from: SocketAddr, to: SocketAddr, data: Vec<u8>) -> bool {
        *self.slot() = data;
        self.push(sockets, (from.is_ipv6(), Carries::Udp(from.port())), PLAIN, from.ip(), to, 0)
    }

    fn push(
        &mut self,
        sockets: &mut Sockets,
        (v6, carries): (bool, Carries),
        manner: Manner,
        from: IpAddr,
        to: SocketAddr,
        tos: u8,
    ) -> bool {
        let Some(socket) = sockets.find(v6, carries).filter(|_| from.is_ipv6() == to.is_ipv6()) else { return false };
        let entry = &mut self.entries[self.used];
        (entry.socket, entry.manner, entry.from, entry.to, entry.tos) = (socket, manner, from, to, tos);
        self.used += 1;
        if self.used == self.entries.len() {
            self.flush(sockets);
        }
        true
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self, sockets: &mut Sockets) {
        let waiting = &self.entries[..self.used];
        for run in waiting.chunk_by(|a, b| (a.socket, a.manner) == (b.socket, b.manner)) {
            if let Some(first) = run.first() {
                let messages = run.iter().map(|e| Outgoing { from: e.from, to: e.to, tos: e.tos, data: &e.data });
                sockets.send(first.socket, first.manner, messages, run.len());
            }
        }
        self.used = 0;
    }
}
