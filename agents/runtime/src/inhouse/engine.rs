//! The gateway's thread: waits for packets, orders and timers, hands them to the machine, and does what it says.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use gateway::{Command, Effect, LogEntry, Time, Verdict};
use peer::{GatewayEvent, GatewayEventKind, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::log::Log;
use super::machine::Machine;
use super::orders::{KeyRing, Order, Tray};
use super::outlook::Outlook;
use super::sockets::{Carries, Outbox};
use crate::sys::{BATCH, Inbox, PathError};

/// Descriptors before the sockets: bell, addresses, TUN.
const FIRST_SOCKET: usize = 3;
/// With both address families.
const MOST: usize = FIRST_SOCKET + 6;
/// A timer that is due so often in a row will be due for ever.
const IN_A_ROW: u32 = 1000;

/// Packets so far.
#[derive(Debug, Default)]
struct Traffic {
    from_inside: u64,
    datagrams: u64,
    esp: u64,
    sent: u64,
    /// There was no socket for them.
    astray: u64,
}

/// What the thread is told when it begins.
pub(crate) struct Duty {
    /// The gateway's name.
    pub(crate) name: String,
    /// The machine to run.
    pub(crate) machine: Box<dyn Machine>,
    /// What is open.
    pub(crate) outlook: Outlook,
    /// Own and peer's address of each connection.
    pub(crate) ends: Vec<(IpAddr, Option<IpAddr>)>,
    /// Orders.
    pub(crate) tray: Tray,
    /// Keys.
    pub(crate) keys: KeyRing,
    /// Log.
    pub(crate) log: Log,
    /// Who wants to know.
    pub(crate) events: UnboundedSender<GatewayEvent>,
}

/// A running gateway.
pub(crate) struct Engine {
    duty: Duty,
    begun: Instant,
    inbox: Inbox,
    outbox: Outbox,
    traffic: Traffic,
    paused: bool,
    /// Orders that wait for the end of the pause.
    deferred: Vec<Order>,
    initiating: Vec<(String, oneshot::Sender<Result<Outcome, String>>)>,
    /// What others are told when everything that belongs to it has been done.
    news: Vec<GatewayEventKind>,
    failures: Vec<(String, String)>,
    last_error: Option<PathError>,
    link_mtu: Option<u32>,
}

impl Engine {
    /// At the machine's [`Time::ZERO`].
    pub(crate) fn new(duty: Duty) -> Engine {
        Engine {
            duty,
            begun: Instant::now(),
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            traffic: Traffic::default(),
            paused: false,
            deferred: Vec::new(),
            initiating: Vec::new(),
            news: Vec::new(),
            failures: Vec::new(),
            last_error: None,
            link_mtu: None,
        }
    }

    fn now(&self) -> Time {
        Time(self.begun.elapsed())
    }

    /// Runs until told to stop. An error is the end as well.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.tell_link();
        loop {
            while let Some(order) = self.duty.tray.next() {
                if self.obey(order) {
                    self.settle();
                    return Ok(());
                }
            }
            let wait = if self.paused { None } else { self.timers()? };
            self.settle();
            self.wait_and_serve(wait)?;
        }
    }

    /// Sends what waits, then tells others what has happened.
    fn settle(&mut self) {
        self.effects();
        self.duty.outlook.tun.flush();
        self.outbox.flush(&mut self.duty.outlook.sockets);
        while let Some(error) = self.duty.outlook.sockets.next_error() {
            self.heard(error);
            self.effects();
            self.outbox.flush(&mut self.duty.outlook.sockets);
        }
        self.duty.machine.sent(self.now());
        self.duty.log.flush();
        for what in self.news.drain(..) {
            if let GatewayEventKind::ChildUp { connection, .. } = &what
                && self.duty.machine.is_up(connection)
            {
                answer(&mut self.initiating, connection, || Outcome::Established);
            }
            // The harness may have stopped listening; nobody else is interested.
            let _ = self.duty.events.send(GatewayEvent { gateway: self.duty.name.clone(), what });
        }
        for (connection, reason) in self.failures.drain(..) {
            answer(&mut self.initiating, &connection, || Outcome::Failed { reason: reason.clone() });
        }
    }

    /// `true`: this is the end.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Initiate(..) if self.paused => self.deferred.push(order),
            Order::Initiate(connection, tell) => {
                if self.duty.machine.is_up(&connection) {
                    let _ = tell.send(Ok(Outcome::Established));
                } else {
                    match self.duty.machine.command(self.now(), Command::Initiate(connection.clone())) {
                        Ok(()) => self.initiating.push((connection, tell)),
                        Err(e) => drop(tell.send(Err(e))),
                    }
                }
                // Who waited until a deadline has gone away.
                self.initiating.retain(|(_, tell)| !tell.is_closed());
            }
            Order::Describe(tell) => drop(tell.send(self.describe())),
            Order::Pause(paused, tell) => {
                self.paused = paused;
                if !paused {
                    for order in std::mem::take(&mut self.deferred) {
                        self.obey(order);
                    }
                }
                let _ = tell.send(());
            }
            Order::Stop { kill: true } => return true,
            Order::Stop { kill: false } => {
                if let Err(e) = self.duty.machine.command(self.now(), Command::Shutdown) {
                    self.note(format!("shutting down: {e}"));
                }
                self.effects();
                return true;
            }
        }
        false
    }

    /// Does what is due, and returns how long there is nothing to do.
    fn timers(&mut self) -> io::Result<Option<Duration>> {
        for _ in 0..IN_A_ROW {
            let Some((due, _)) = self.duty.machine.poll_timeout() else { return Ok(None) };
            let now = self.now();
            if due > now {
                return Ok(Some(due.since(now)));
            }
            self.duty.machine.handle_timeout(now);
            self.effects();
        }
        let reason = self.duty.machine.poll_timeout().map_or("gone", |(_, reason)| reason);
        Err(io::Error::other(format!("the timer `{reason}` is due for ever")))
    }

    fn wait_and_serve(&mut self, wait: Option<Duration>) -> io::Result<()> {
        let outlook = &self.duty.outlook;
        let bell = self.duty.tray.bell();
        let sockets = outlook.sockets.all();
        let (mut fds, count) = {
            let others = [bell.fd(), outlook.kernel.watch(), outlook.tun.fd()];
            let fd = |i: usize| others.get(i).copied().or_else(|| sockets.get(i - FIRST_SOCKET).map(|s| s.fd())).unwrap_or(bell.fd());
            let fds: [PollFd<'_>; MOST] = std::array::from_fn(|i| PollFd::from_borrowed_fd(fd(i), PollFlags::IN));
            (fds, if self.paused { 1 } else { FIRST_SOCKET + sockets.len() })
        };
        let fds = fds.get_mut(..count).unwrap_or_default();
        match poll(fds, wait.map(timespec).as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(e) => return Err(io::Error::new(io::Error::from(e).kind(), format!("waiting: {e}"))),
        }
        let mut seen = [PollFlags::empty(); MOST];
        fds.iter().zip(&mut seen).for_each(|(fd, seen)| *seen = fd.revents());
        if !seen[0].is_empty() {
            bell.hush();
        }
        if !seen[1].is_empty() {
            self.node_changed();
        }
        for (i, seen) in seen.iter().skip(FIRST_SOCKET).enumerate() {
            if seen.contains(PollFlags::ERR) {
                self.duty.outlook.sockets.look_for_errors();
            }
            if seen.contains(PollFlags::IN) {
                self.serve_outside(i);
            }
        }
        if !seen[2].is_empty() {
            self.serve_inside()?;
        }
        Ok(())
    }

    fn serve_outside(&mut self, index: usize) {
        let Some(socket) = self.duty.outlook.sockets.all().get(index) else { return };
        let carries = socket.carries;
        let count = socket.receive(&mut self.inbox);
        let now = self.now();
        for i in 0..count {
            let Some((told, data)) = self.inbox.message(i) else { continue };
            let (machine, out) = (&mut self.duty.machine, self.outbox.slot());
            let verdict = match (carries, told.to) {
                (Carries::Udp(port), Some(to)) => {
                    self.traffic.datagrams += 1;
                    machine.handle_udp(now, told.from, SocketAddr::new(to, port), told.tos, data, out)
                }
                (Carries::Esp, Some(to)) if told.from.is_ipv6() => {
                    self.traffic.esp += 1;
                    machine.handle_esp(now, told.from.ip(), to, told.tos, data, out)
                }
                // Raw sockets of IPv4 deliver the IP header as well.
                (Carries::Esp, _) => match ipv4(data) {
                    Some((from, to, tos, packet)) => {
                        self.traffic.esp += 1;
                        machine.handle_esp(now, from, to, tos, packet, out)
                    }
                    None => Verdict::Nothing,
                },
                (Carries::Udp(_), None) => Verdict::Nothing,
            };
            self.act(verdict);
            self.effects();
        }
    }

    fn serve_inside(&mut self) -> io::Result<()> {
        let now = self.now();
        for _ in 0..BATCH {
            let received = self.duty.outlook.tun.receive();
            let Some(count) = received.map_err(|e| io::Error::new(e.kind(), format!("reading from the TUN device: {e}")))? else { break };
            for i in 0..count {
                self.traffic.from_inside += 1;
                let verdict = self.duty.machine.handle_inner(now, self.duty.outlook.tun.packet(i), self.outbox.slot());
                self.act(verdict);
                self.effects();
            }
        }
        Ok(())
    }

    fn act(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Send(outer) => {
                let pushed = self.outbox.push_esp(&mut self.duty.outlook.sockets, outer);
                *(if pushed { &mut self.traffic.sent } else { &mut self.traffic.astray }) += 1;
            }
            Verdict::Deliver => self.duty.outlook.tun.deliver(self.outbox.filled()),
            Verdict::Nothing => {}
        }
    }

    fn effects(&mut self) {
        while let Some(effect) = self.duty.machine.poll_effect() {
            match effect {
                Effect::Datagram { from, to, data } => {
                    let pushed = self.outbox.push_datagram(&mut self.duty.outlook.sockets, from, to, data);
                    *(if pushed { &mut self.traffic.sent } else { &mut self.traffic.astray }) += 1;
                }
                Effect::Inner(packet) => self.duty.outlook.tun.deliver(&packet),
                Effect::Routes(prefixes) => {
                    let set = self.duty.outlook.set_routes(prefixes);
                    self.complain("routes", set);
                }
                Effect::Addresses(addresses) => {
                    let set = self.duty.outlook.set_addresses(addresses);
                    self.complain("addresses", set);
                }
                Effect::Event(event) => self.news.push(event.what),
                Effect::Failed { connection, reason } => self.failures.push((connection, reason)),
                Effect::Keys(keys) => self.duty.keys.add(keys),
                Effect::Log(entry) => self.duty.log.write(&entry),
            }
        }
    }

    fn note(&mut self, text: String) {
        let at = self.now().0.as_secs_f64();
        self.duty.log.write(&LogEntry { at, connection: None, ike_sa: None, text });
    }

    fn complain(&mut self, about: &str, done: io::Result<()>) {
        if let Err(e) = done {
            self.note(format!("{about}: {e}"));
        }
    }

    fn command(&mut self, command: Command) {
        if let Err(e) = self.duty.machine.command(self.now(), command) {
            self.note(e);
        }
    }

    /// Somebody said something about a packet of ours. It may be a lie; the machine knows what it may believe.
    fn heard(&mut self, error: PathError) {
        let to = error.to;
        let too_big = (error.errno == libc::EMSGSIZE).then(|| u16::try_from(error.info).unwrap_or(u16::MAX));
        if self.last_error.replace(error) != Some(error) {
            let by = error.by.map_or_else(|| "the kernel".to_owned(), |by| by.to_string());
            self.note(match too_big {
                Some(mtu) => format!("{by} says that packets to {to} of more than {mtu} octets do not pass"),
                None => format!("{by} says about a packet to {to}: {}", io::Error::from_raw_os_error(error.errno)),
            });
        }
        match too_big {
            Some(mtu) if error.icmp => self.command(Command::PathMtu { to, mtu }),
            // Our own kernel knows no more than the link does.
            Some(_) => self.tell_link(),
            None => {}
        }
    }

    /// What the own links let pass is known before any packet, and whenever it changes.
    fn tell_link(&mut self) {
        let own: Vec<IpAddr> = self.duty.ends.iter().map(|(own, _)| *own).collect();
        match self.duty.outlook.kernel.smallest_mtu(&own) {
            Ok(Some(mtu)) if self.link_mtu != Some(mtu) => {
                self.link_mtu = Some(mtu);
                self.command(Command::LinkMtu(u16::try_from(mtu).unwrap_or(u16::MAX)));
            }
            Ok(_) => {}
            Err(e) => self.note(format!("the links' MTU: {e}")),
        }
    }

    fn node_changed(&mut self) {
        self.duty.outlook.kernel.hush();
        let done = self.duty.outlook.refresh();
        self.complain("after a change of addresses", done);
        let own = self.duty.outlook.own.clone();
        let mut lost: Vec<IpAddr> = self.duty.ends.iter().map(|(own, _)| *own).filter(|ip| !own.contains(ip)).collect();
        lost.sort();
        lost.dedup();
        for from in lost {
            let peers: Vec<IpAddr> = self.duty.ends.iter().filter(|(own, _)| *own == from).filter_map(|(_, peer)| *peer).collect();
            let mut sources = peers.into_iter().filter_map(|peer| self.duty.outlook.kernel.source(peer).ok().flatten());
            let Some(to) = sources.find(|to| to.is_ipv4() == from.is_ipv4()) else { continue };
            self.note(format!("own address {from} is gone; it is {to} now"));
            self.duty.ends.iter_mut().filter(|(own, _)| *own == from).for_each(|(own, _)| *own = to);
            self.command(Command::Moved { from, to });
        }
        self.tell_link();
    }

    fn describe(&self) -> String {
        let paused = if self.paused { "paused\n" } else { "" };
        let (sockets, tun) = (&self.duty.outlook.sockets, &self.duty.outlook.tun);
        format!(
            "{}\n{paused}packets\n{:#?}\nto the inside: {}; the kernel refused some {} times\nrefused outside: {}\nlast log line: {}\n",
            self.duty.machine.describe(),
            self.traffic,
            tun.delivered,
            tun.refused,
            sockets.refused,
            self.duty.log.last()
        )
    }
}

fn answer(waiting: &mut Vec<(String, oneshot::Sender<Result<Outcome, String>>)>, connection: &str, outcome: impl Fn() -> Outcome) {
    for (_, tell) in waiting.extract_if(.., |(c, _)| c == connection) {
        // Who asked has stopped waiting.
        let _ = tell.send(Ok(outcome()));
    }
}

fn timespec(d: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(d.subsec_nanos()) }
}

/// Addresses, TOS and payload of an IPv4 packet.
fn ipv4(packet: &mut [u8]) -> Option<(IpAddr, IpAddr, u8, &mut [u8])> {
    let (version, words) = (packet.first()? >> 4, packet.first()? & 0xf);
    let tos = *packet.get(1)?;
    let address = |at: usize| packet.get(at..).and_then(|p| p.first_chunk::<4>()).map(|a| IpAddr::from(*a));
    let (from, to) = (address(12)?, address(16)?);
    let payload = packet.get_mut(usize::from(words) * 4..)?;
    (version == 4 && words >= 5).then_some((from, to, tos, payload))
}
