//! Sorts what arrives: to an existing IKE SA, to a new one, or to an immediate answer. Carries out what IKE SAs order.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wire::esp::{Encapsulated, encapsulated};
use wire::ike::{Body, Message};

use crate::Selector;
use crate::crypto::Prf;
use crate::esp::{PathEvent, PolicyParams};
use crate::gateway::{Arrival, Effect, Gateway, Outer, Planned, Verdict};
use crate::ike::context::Order;
use crate::ike::init::{self, Answer};
use crate::ike::numbers::{exchange, notify};
use crate::ike::sa::{IkeSa, Role, Task};
use crate::ike::{NATT_PORT, arrivals};
use crate::selector;
use crate::time::Time;

/// Port of IKE.
const IKE_PORT: u16 = 500;

impl Gateway {
    /// What the settings say about the beginning.
    pub(crate) fn start(&mut self) {
        for connection in 0..self.config.connections.len() {
            let children = self.all_children(connection);
            match self.config.connections[connection].start_action {
                peer::ChildAction::None => {}
                peer::ChildAction::Trap => self.set_traps(connection, &children),
                peer::ChildAction::Start => self.planned.push(Planned { at: Time::ZERO, connection, children, attempt: 1 }),
            }
        }
        self.tell_routes();
    }

    /// A datagram that arrived on one of its UDP ports: IKE, ESP in UDP, or a NAT keepalive. `tos` is the outer TOS octet.
    pub fn handle_udp(&mut self, now: Time, from: SocketAddr, to: SocketAddr, tos: u8, data: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        if to.port() != NATT_PORT {
            self.handle_ike(now, Arrival { from, to, data: data.to_vec() }, false);
            return Verdict::Nothing;
        }
        match encapsulated(data) {
            Encapsulated::Ike(message) => {
                let data = message.to_vec();
                self.handle_ike(now, Arrival { from, to, data }, false);
                Verdict::Nothing
            }
            Encapsulated::Esp(_) => {
                let outer = Outer { from: from.ip(), to: to.ip(), ports: Some((from.port(), to.port())), tos, df: false };
                self.inbound(now, outer, data, out)
            }
            Encapsulated::Keepalive | Encapsulated::Short => Verdict::Nothing,
        }
    }

    /// A packet of IP protocol 50, without its IP header.
    pub fn handle_esp(&mut self, now: Time, from: IpAddr, to: IpAddr, tos: u8, packet: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        self.inbound(now, Outer { from, to, ports: None, tos, df: false }, packet, out)
    }

    fn inbound(&mut self, now: Time, outer: Outer, packet: &mut [u8], out: &mut Vec<u8>) -> Verdict {
        let verdict = self.path.inbound(now, outer, packet, out);
        self.handle_path_events(now);
        verdict
    }

    /// An IP packet from the inside.
    pub fn handle_inner(&mut self, now: Time, packet: &[u8], out: &mut Vec<u8>) -> Verdict {
        let verdict = self.path.outbound(now, packet, out);
        self.handle_path_events(now);
        verdict
    }

    fn handle_path_events(&mut self, now: Time) {
        while let Some(event) = self.path.poll_event() {
            match event {
                PathEvent::Acquire { policy, .. } => {
                    if let Some((connection, child)) = self.trapped(policy) {
                        self.initiate(now, connection, vec![child], 1);
                    }
                }
                PathEvent::Soft { policy, spi, outbound } => {
                    self.with_child(now, policy, spi, outbound, |sa, ctx, spi_in| {
                        if !ctx.config.misbehave.switches.ignore_soft_expiry {
                            sa.tasks.push_back(Task::RekeyChild(spi_in));
                        }
                    });
                }
                PathEvent::Hard { policy, spi, outbound } => {
                    self.with_child(now, policy, spi, outbound, |sa, ctx, spi_in| {
                        if !ctx.config.misbehave.switches.ignore_hard_expiry {
                            sa.expire_child(ctx, spi_in, "a limit is reached");
                        }
                    });
                }
                PathEvent::PeerMoved { policy, spi, to } => {
                    self.with_child(now, policy, spi, false, |sa, ctx, _| sa.follow(ctx, to, sa.local));
                }
            }
        }
    }

    /// Does `work` with the IKE SA whose child has this SPI, and then begins what it wants.
    fn with_child(
        &mut self,
        now: Time,
        policy: u32,
        spi: u32,
        outbound: bool,
        work: impl FnOnce(&mut IkeSa, &mut crate::ike::context::Context<'_>, u32),
    ) {
        let found = self.sas.iter().find_map(|(own, sa)| {
            let is = |c: &&crate::ike::child::Child| c.policy == policy && if outbound { c.spi_out == spi } else { c.spi_in == spi };
            Some((*own, sa.children.iter().find(is)?.spi_in))
        });
        if let Some((own, spi_in)) = found {
            self.with_sa(now, own, |sa, ctx| {
                work(sa, ctx, spi_in);
                sa.pump(ctx);
            });
        }
    }

    /// One IKE message. `again`: it was delayed on purpose, and counted before.
    fn handle_ike(&mut self, now: Time, arrival: Arrival, again: bool) {
        let Arrival { from, to, data } = &arrival;
        let (from, to) = (*from, *to);
        if self.config.misbehave.switches.strict_source_port && to.port() == IKE_PORT && from.port() != IKE_PORT {
            return;
        }
        let message = wire::ike::parse(data);
        if message.malformed.is_some() && message.version == 0 {
            return;
        }
        match message.major() {
            2 => {}
            // A lower version is nothing that we speak; a higher one is told so, if it is a request (RFC 7296 §2.5).
            major => {
                if major > 2 && message.flags & 0x20 == 0 {
                    self.with_context(now, None, |ctx| init::refuse(ctx, &message, from, to, notify::INVALID_MAJOR_VERSION, &[]));
                }
                return;
            }
        }
        let own = if message.from_initiator() { message.spi_r } else { message.spi_i };
        if message.exchange == exchange::IKE_SA_INIT && message.from_initiator() && !message.is_response() {
            if message.spi_r == 0 && message.message_id == 0 && message.spi_i != 0 {
                self.handle_first_request(now, &message, data, from, to);
            }
            return;
        }
        if !again && let Some(delays) = self.delays(own, &message) {
            for delay in delays {
                if delay.is_zero() {
                    self.with_sa(now, own, |sa, ctx| sa.handle_message(ctx, &message, data, from, to));
                } else {
                    self.arrivals.push((now + delay, arrival.clone()));
                }
            }
            return;
        }
        self.with_sa(now, own, |sa, ctx| sa.handle_message(ctx, &message, data, from, to));
    }

    /// Misbehaviour with what arrives: after how long each copy is looked at; `None`: there are no such rules.
    fn delays(&mut self, own: u64, message: &Message) -> Option<Vec<Duration>> {
        if !self.config.misbehave.messages.iter().any(|r| r.which.inbound) {
            return None;
        }
        let sa = self.sas.get_mut(&own)?;
        let response = message.is_response();
        let (nth, again) = sa.window.count_received(message.message_id, response);
        Some(arrivals(&self.config.misbehave, nth, message.exchange, response, again))
    }

    /// A request that wants a new IKE SA.
    fn handle_first_request(&mut self, now: Time, message: &Message, raw: &[u8], from: SocketAddr, to: SocketAddr) {
        if let Some(own) = self.half_open.get(&(from, message.spi_i)).copied() {
            self.with_sa(now, own, |sa, ctx| sa.repeat_init_response(ctx, raw));
            return;
        }
        // A late copy of what has led to an IKE SA already.
        let known = |sa: &IkeSa| sa.role == Role::Responder && sa.spi_i == message.spi_i && sa.remote.ip() == from.ip();
        if self.sas.values().any(known) {
            return;
        }
        let fits = |c: &peer::Connection| c.local == to.ip() && c.remote.is_none_or(|r| r == from.ip());
        let connections: Vec<usize> = (0..self.config.connections.len()).filter(|i| fits(&self.config.connections[*i])).collect();
        if connections.is_empty() {
            self.with_context(now, None, |ctx| {
                ctx.log(None, Some((message.spi_i, 0)), format!("no connection between {} and {}", to.ip(), from.ip()));
                init::refuse(ctx, message, from, to, notify::NO_PROPOSAL_CHOSEN, &[]);
            });
            return;
        }
        let limits = self.config.half_open.clone();
        let cookie = self.cookie(message, from);
        let shown =
            message.payloads.first().is_some_and(|p| matches!(&p.body, Body::Notify { kind: notify::COOKIE, data, .. } if *data == cookie));
        if !shown && self.half_open.len() >= usize::try_from(limits.cookie_threshold).unwrap_or(usize::MAX) {
            self.with_context(now, None, |ctx| init::refuse(ctx, message, from, to, notify::COOKIE, &cookie));
            return;
        }
        if self.half_open_of.get(&from.ip()).is_some_and(|n| *n >= limits.per_address) {
            return;
        }
        let answer = self.with_context(now, None, |ctx| init::answer(ctx, &connections, message, raw, from, to));
        match answer {
            Answer::Sa(sa) => {
                let own = sa.own_spi();
                self.half_open.insert((from, message.spi_i), own);
                *self.half_open_of.entry(from.ip()).or_default() += 1;
                self.sas.insert(own, *sa);
            }
            Answer::Notified => {}
            Answer::Ignored(why) => self.with_context(now, None, |ctx| ctx.log(None, Some((message.spi_i, 0)), why)),
        }
    }

    /// RFC 7296 §2.6: a function of what the peer sends, and of a secret.
    fn cookie(&self, message: &Message, from: SocketAddr) -> Vec<u8> {
        let nonce = message.payloads.iter().find_map(|p| if let Body::Nonce(data) = &p.body { Some(data.as_slice()) } else { None });
        let address = from.to_string();
        let parts = [nonce.unwrap_or_default(), address.as_bytes(), &message.spi_i.to_be_bytes()];
        let mut cookie = Prf::HmacSha2_256.compute(&self.cookie_secret, &parts);
        cookie.truncate(24);
        cookie
    }

    /// A half-open IKE SA is none any more.
    pub(crate) fn settle_half_open(&mut self, remote: SocketAddr, spi_i: u64, own: u64) {
        let key = self.half_open.iter().find(|(key, spi)| **spi == own && key.1 == spi_i).map(|(key, _)| *key);
        let Some(key) = key.or(Some((remote, spi_i))) else { return };
        if self.half_open.remove(&key).is_some()
            && let Some(count) = self.half_open_of.get_mut(&key.0.ip())
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.half_open_of.remove(&key.0.ip());
            }
        }
    }

    /// Brings children of a connection up, and its IKE SA when there is none.
    pub(crate) fn initiate(&mut self, now: Time, connection: usize, children: Vec<usize>, attempt: u32) {
        if let Some(sa) = self.sas.values_mut().find(|sa| sa.connection == connection && sa.is_being_set_up()) {
            let missing: Vec<usize> = children.into_iter().filter(|c| !sa.wanted.contains(c)).collect();
            return sa.wanted.extend(missing);
        }
        if let Some(own) = self.sas.iter().find(|(_, sa)| sa.connection == connection && sa.is_established()).map(|(own, _)| *own) {
            self.with_sa(now, own, |sa, ctx| {
                let missing = children.into_iter().filter(|c| !sa.has_child(*c) && !sa.asks_for_child(*c)).map(Task::NewChild);
                let missing: Vec<Task> = missing.filter(|t| !sa.tasks.contains(t)).collect();
                sa.tasks.extend(missing);
                sa.pump(ctx);
            });
            return;
        }
        let c = &self.config.connections[connection];
        let Some(remote) = c.remote else {
            let (connection, reason) = (c.name.clone(), "the peer's address is not known".to_owned());
            self.effects.push_back(Effect::Failed { connection, reason });
            return;
        };
        let remote = SocketAddr::new(remote, IKE_PORT);
        if let Some(sa) = self.with_context(now, Some(connection), |ctx| IkeSa::begin(ctx, connection, children, remote, attempt)) {
            self.sas.insert(sa.own_spi(), sa);
        }
        self.carry_out_orders(now);
    }

    /// Time has come to what [`Gateway::poll_timeout`] said.
    pub fn handle_timeout(&mut self, now: Time) {
        let (due, kept) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now);
        self.later = kept;
        let mut due: Vec<(Time, Effect)> = due;
        due.sort_by_key(|(at, _)| *at);
        self.effects.extend(due.into_iter().map(|(_, effect)| effect));
        let (mut due, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.arrivals).into_iter().partition(|(at, _)| *at <= now);
        self.arrivals = kept;
        due.sort_by_key(|(at, _)| *at);
        for (_, arrival) in due {
            self.handle_ike(now, arrival, true);
        }
        for own in
            self.sas.iter().filter(|(_, sa)| sa.timers.next().is_some_and(|(at, _)| at <= now)).map(|(own, _)| *own).collect::<Vec<_>>()
        {
            self.with_sa(now, own, |sa, ctx| {
                sa.handle_timers(ctx);
                sa.pump(ctx);
            });
        }
        let (due, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.planned).into_iter().partition(|p| p.at <= now);
        self.planned = kept;
        for Planned { connection, children, attempt, .. } in due {
            self.initiate(now, connection, children, attempt);
        }
        self.carry_out_orders(now);
    }

    /// What IKE SAs have ordered.
    pub(crate) fn carry_out_orders(&mut self, now: Time) {
        let mut routes = false;
        for order in std::mem::take(&mut self.orders) {
            match order {
                Order::Initiate { connection, children, after, attempt } => {
                    self.planned.push(Planned { at: now + after, connection, children, attempt });
                }
                Order::Reauthenticate { connection, old } => {
                    let remote = self.config.connections[connection].remote.map(|r| SocketAddr::new(r, IKE_PORT));
                    // What the old one has, or should have.
                    let there = self.sas.get(&old).map(IkeSa::child_indices).filter(|c| !c.is_empty());
                    let children = there.unwrap_or_else(|| self.all_children(connection));
                    let begin = |remote| self.with_context(now, Some(connection), |ctx| IkeSa::begin(ctx, connection, children, remote, 1));
                    if let Some(mut sa) = remote.and_then(begin) {
                        sa.replaces = Some(old);
                        self.sas.insert(sa.own_spi(), sa);
                    }
                }
                Order::GiveWay { old } => {
                    self.with_sa(now, old, |sa, ctx| sa.give_way(ctx));
                }
                Order::Trap { connection, children } => {
                    self.set_traps(connection, &children);
                    routes = true;
                }
                Order::OnlyOne { connection, keep } => {
                    let peer = self.sas.get(&keep).and_then(|sa| sa.peer_id.clone());
                    let others = self.sas.iter().filter(|(own, sa)| **own != keep && sa.connection == connection && sa.peer_id == peer);
                    for own in others.map(|(own, _)| *own).collect::<Vec<_>>() {
                        self.with_sa(now, own, |sa, ctx| {
                            if sa.is_established() {
                                sa.end(ctx, "the peer knows nothing of it any more (INITIAL_CONTACT)");
                            }
                        });
                    }
                }
                Order::Routes => routes = true,
            }
        }
        if routes {
            self.tell_routes();
        }
    }

    fn set_traps(&mut self, connection: usize, children: &[usize]) {
        let before: usize = self.profiles.iter().take(connection).map(|p| p.children.len()).sum();
        for child in children {
            let c = &self.profiles[connection].children[*child].settings;
            let (local_ts, remote_ts) = (Selector::all(&c.local_ts), Selector::all(&c.remote_ts));
            let params = PolicyParams { name: c.name.clone(), local_ts, remote_ts, trap: true, yields_until: None };
            self.path.set_policy(u32::try_from(before + child).unwrap_or(u32::MAX), params);
        }
    }

    /// The connection and the index of its child that a trap is for.
    fn trapped(&self, policy: u32) -> Option<(usize, usize)> {
        let place = usize::try_from(policy).ok()?;
        let mut all = self.profiles.iter().enumerate().flat_map(|(at, p)| (0..p.children.len()).map(move |child| (at, child)));
        all.nth(place)
    }

    /// Tells which inner packets are wanted, and which inner addresses are own, where that has changed.
    fn tell_routes(&mut self) {
        let routes: Vec<_> = self.path.policies().iter().flat_map(|p| selector::prefixes(&p.params.remote_ts)).collect();
        let mut routes = routes;
        routes.sort();
        routes.dedup();
        if routes != self.routes {
            self.routes.clone_from(&routes);
            self.effects.push_back(Effect::Routes(routes));
        }
        let mut addresses: Vec<IpAddr> = self.sas.values().filter_map(|sa| sa.virtual_ip).collect();
        addresses.sort();
        addresses.dedup();
        if addresses != self.addresses {
            self.addresses.clone_from(&addresses);
            self.effects.push_back(Effect::Addresses(addresses));
        }
    }

    /// SAD, SPD, IKE SAs and counters, for people.
    pub fn describe(&self) -> String {
        let mut text = String::from("IKE SAs\n");
        for sa in self.sas.values() {
            let name = &self.config.connections[sa.connection].name;
            let line = format!("  {:016x}_{:016x} {name} {} - {}: {}\n", sa.spi_i, sa.spi_r, sa.local, sa.remote, sa.state.name());
            text.push_str(&line);
            for c in &sa.children {
                let name = &self.profiles[sa.connection].children[c.index].settings.name;
                text.push_str(&format!("    child {:08x}/{:08x} {name} {:?}\n", c.spi_in, c.spi_out, c.phase));
            }
        }
        text.push_str(&self.path.describe());
        text
    }
}
