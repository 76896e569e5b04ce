//! Timers, tasks, and ends of an IKE SA.

use std::time::Duration;

use peer::GatewayEventKind;

use super::child::Phase;
use super::context::{Context, Order};
use super::sa::{IkeSa, State, Task};
use super::timer::Timer;
use super::window::Asked;
use crate::gateway::Effect;
use crate::time::Time;

/// A peer may work on data and on its DELETE side by side: what it has received before that is given this long to be worked on.
const UNDER_WAY: Duration = Duration::from_millis(500);

impl IkeSa {
    /// Timers of an established IKE SA.
    pub(crate) fn start_timers(&mut self, ctx: &mut Context<'_>) {
        let c = &ctx.config.connections[self.connection];
        let give_up = ctx.config.retransmit.give_up();
        let mut start = |timer, after: Option<Duration>| {
            if let Some(after) = after {
                self.timers.set(timer, ctx.now + after);
            }
        };
        start(Timer::RekeyIke, c.ike_rekey);
        // As patient as strongSwan: a tenth, or until an exchange would be given up.
        start(Timer::ExpireIke, c.ike_rekey.max(c.options.reauth).map(|d| d + (d / 10).max(give_up)));
        start(Timer::Reauthenticate, c.options.reauth);
        start(Timer::Liveness, c.dpd_delay);
        self.start_keepalive(ctx);
    }

    /// Keeps the NAT's mapping open, if we are the one behind it (RFC 3948 §4).
    pub(crate) fn start_keepalive(&mut self, ctx: &mut Context<'_>) {
        self.timers.clear(Timer::NatKeepalive);
        if let Some(interval) = ctx.config.nat_keepalive.filter(|_| self.nat.supported && self.nat.here) {
            self.timers.set(Timer::NatKeepalive, ctx.now + interval);
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timers(&mut self, ctx: &mut Context<'_>) {
        while let Some(timer) = self.timers.due(ctx.now) {
            if self.is_gone() {
                return;
            }
            self.fire(ctx, timer);
        }
    }

    fn fire(&mut self, ctx: &mut Context<'_>, timer: Timer) {
        let switches = ctx.config.misbehave.switches.clone();
        match timer {
            Timer::Retransmit => {
                if !self.retransmit(ctx) {
                    self.peer_is_dead(ctx);
                }
            }
            Timer::HalfOpen => self.forget(ctx, "not authenticated in time"),
            Timer::RekeyIke if !switches.ignore_soft_expiry => self.tasks.push_back(Task::RekeyIke),
            Timer::ExpireIke if !switches.ignore_hard_expiry => {
                self.log(ctx, "its lifetime has ended");
                self.tasks.push_front(Task::DeleteIke);
            }
            Timer::RekeyIke | Timer::ExpireIke => {}
            Timer::Reauthenticate => {
                self.log(ctx, "is begun anew, with authentication");
                ctx.orders.push(Order::Reauthenticate { connection: self.connection, old: self.own_spi() });
            }
            Timer::Liveness => self.check_liveness(ctx),
            Timer::NatKeepalive => self.keep_mapping(ctx),
            Timer::Replaced => self.state = State::Gone,
            Timer::GiveWay => self.tasks.push_front(Task::DeleteIke),
            Timer::ExpectFollowUp(link) => self.forget_follow_up(ctx, link),
            Timer::NewChild(index) => self.tasks.push_back(Task::NewChild(index)),
            Timer::RekeyChild(spi) if !switches.ignore_soft_expiry => self.tasks.push_back(Task::RekeyChild(spi)),
            Timer::ExpireChild(spi) if !switches.ignore_hard_expiry => self.expire_child(ctx, spi, "its lifetime has ended"),
            Timer::RekeyChild(_) | Timer::ExpireChild(_) => {}
            Timer::Inactivity(spi) => self.check_inactivity(ctx, spi),
            Timer::ForgetInbound(policy, spi) => {
                ctx.path.remove_sa(policy, spi, false);
            }
        }
    }

    /// A hard limit: the SAs carry nothing from now on, and the peer is told.
    pub(crate) fn expire_child(&mut self, ctx: &mut Context<'_>, spi_in: u32, why: &str) {
        let Some(child) = self.children.iter().find(|c| c.spi_in == spi_in) else { return };
        let (policy, spi_out) = (child.policy, child.spi_out);
        self.log(ctx, format!("child SA {spi_in:08x} is closed: {why}"));
        let continued = self.children.iter().any(|c| c.policy == policy && c.spi_in != spi_in);
        ctx.path.remove_sa(policy, spi_out, true);
        if !continued {
            ctx.path.remove_sa(policy, spi_in, false);
        }
        self.tasks.push_front(Task::DeleteChild(spi_in));
    }

    fn check_liveness(&mut self, ctx: &mut Context<'_>) {
        let Some(delay) = ctx.connection(self.connection).dpd_delay else { return };
        let data = self.children.iter().filter_map(|c| ctx.path.usage(c.policy)?.last_in).max();
        let heard = data.map_or(self.last_heard, |d| d.max(self.last_heard));
        if ctx.now.since(heard) < delay {
            return self.timers.set(Timer::Liveness, heard + delay);
        }
        if self.window.pending.is_none() {
            self.tasks.push_back(Task::Liveness);
        }
        self.timers.set(Timer::Liveness, ctx.now + delay);
    }

    fn keep_mapping(&mut self, ctx: &mut Context<'_>) {
        let Some(interval) = ctx.config.nat_keepalive else { return };
        let data = self.children.iter().filter_map(|c| ctx.path.usage(c.policy)?.last_out).max();
        let sent = data.map_or(self.last_sent, |d| d.max(self.last_sent));
        if ctx.now.since(sent) < interval {
            return self.timers.set(Timer::NatKeepalive, sent + interval);
        }
        ctx.effects.push_back(Effect::Datagram { from: self.local, to: self.remote, data: vec![0xff] });
        self.last_sent = ctx.now;
        self.timers.set(Timer::NatKeepalive, ctx.now + interval);
    }

    fn check_inactivity(&mut self, ctx: &mut Context<'_>, spi: u32) {
        let Some(child) = self.children.iter().find(|c| c.spi_in == spi) else { return };
        let Some(limit) = ctx.child(self.connection, child.index).settings.inactivity else { return };
        let usage = ctx.path.usage(child.policy).unwrap_or_default();
        let last = [usage.last_in, usage.last_out].into_iter().flatten().max().unwrap_or(child.created).max(child.created);
        if ctx.now.since(last) < limit {
            return self.timers.set(Timer::Inactivity(spi), last + limit);
        }
        self.log(ctx, format!("child SA {spi:08x} is closed: nothing used it for {} s", limit.as_secs()));
        self.tasks.push_back(Task::DeleteChild(spi));
    }

    /// Begins what waits, one exchange after the other.
    pub(crate) fn pump(&mut self, ctx: &mut Context<'_>) {
        while self.window.pending.is_none() && !self.is_gone() {
            let ready = self.tasks.iter().position(|t| !self.must_wait(t));
            let Some(task) = ready.and_then(|index| self.tasks.remove(index)) else { break };
            let open = matches!(self.state, State::Established);
            match task {
                Task::Refuse(kind) => self.send_refusal(ctx, kind),
                Task::DeleteIke if matches!(self.state, State::Established | State::Replaced) => self.send_delete_ike(ctx),
                // The peer may have been faster.
                Task::NewChild(index) if open && !self.has_child(index) => self.send_create_child(ctx, index, None, None),
                Task::RekeyChild(spi) if open => {
                    let found = self.children.iter().find(|c| c.spi_in == spi && c.phase == Phase::Installed);
                    if let Some(index) = found.map(|c| c.index) {
                        self.send_create_child(ctx, index, Some(spi), None);
                    }
                }
                Task::RekeyIke if open => self.send_rekey_ike(ctx, None),
                Task::DeleteChild(spi) if open => self.send_delete_child(ctx, spi),
                Task::Liveness if open => self.send_liveness(ctx),
                Task::Addresses if open => self.send_addresses(ctx),
                Task::PathTest if open => self.send_path_test(ctx),
                _ => {}
            }
        }
        // Only once all children are there can the one that this re-authenticates do without its own.
        let waits = self.asks_for_new_child() || self.tasks.iter().any(|t| matches!(t, Task::NewChild(_)));
        if !self.children.is_empty() && !waits {
            ctx.orders.extend(self.replaces.take().map(|old| Order::GiveWay { old }));
        }
    }

    pub(crate) fn phase(&self, spi_in: u32) -> Option<Phase> {
        self.children.iter().find(|c| c.spi_in == spi_in).map(|c| c.phase.clone())
    }

    /// No response to the last copy of a request.
    fn peer_is_dead(&mut self, ctx: &mut Context<'_>) {
        let copies = self.window.pending.as_ref().map_or(0, |p| p.copies);
        let quiet = self.window.pending.as_ref().is_some_and(|p| matches!(p.asked, Asked::DeleteIke | Asked::Refuse));
        let why = format!("no response to {copies} copies of a request");
        if self.is_being_set_up() {
            let tries = ctx.connection(self.connection).keying_tries;
            if tries == 0 || self.attempt < tries {
                self.log(ctx, format!("{why}; begun anew"));
                let (connection, children, attempt) = (self.connection, self.wanted.clone(), self.attempt + 1);
                ctx.orders.push(Order::Initiate { connection, children, after: Duration::ZERO, attempt });
                self.state = State::Gone;
                return;
            }
            return self.fail(ctx, why);
        }
        let action = ctx.config.connections[self.connection].dpd_action;
        let children = self.child_indices();
        self.end(ctx, &why);
        self.state = State::Gone;
        if !quiet {
            self.act(ctx, action, children);
        }
    }

    /// The set-up has failed for good; tells who waits for it.
    pub(crate) fn failed(&mut self, ctx: &mut Context<'_>, reason: impl Into<String>) {
        let reason = reason.into();
        self.log(ctx, reason.clone());
        let connection = ctx.connection(self.connection).name.clone();
        ctx.effects.push_back(Effect::Failed { connection, reason });
    }

    /// The set-up has failed, and nothing needs to be said to the peer.
    pub(crate) fn fail(&mut self, ctx: &mut Context<'_>, reason: impl Into<String>) {
        self.failed(ctx, reason);
        self.state = State::Gone;
    }

    /// The IKE SA is there, the child SA is not.
    pub(crate) fn child_failed(&mut self, ctx: &mut Context<'_>, index: usize, why: &str) {
        let which = if index == 0 { String::new() } else { format!(" {}", ctx.child(self.connection, index).settings.name) };
        self.failed(ctx, format!("no child SA{which}: {why}"));
    }

    /// Forgotten without a word.
    pub(crate) fn forget(&mut self, ctx: &mut Context<'_>, why: &str) {
        self.log(ctx, why);
        self.state = State::Gone;
    }

    /// All its children go.
    pub(crate) fn close_children(&mut self, ctx: &mut Context<'_>) {
        for spi in self.children.iter().map(|c| c.spi_in).collect::<Vec<_>>() {
            self.remove_child(ctx, spi, false);
        }
    }

    /// A re-authentication has made its successor: nothing leaves by it any more, but what is under way may still arrive.
    pub(crate) fn give_way(&mut self, ctx: &mut Context<'_>) {
        for child in &self.children {
            ctx.path.remove_sa(child.policy, child.spi_out, true);
        }
        self.gives_way = true;
        self.timers.set(Timer::GiveWay, ctx.now + UNDER_WAY);
    }

    /// The end of an IKE SA that was established. It stays for a while, in case that its last response must be repeated.
    pub(crate) fn end(&mut self, ctx: &mut Context<'_>, why: &str) {
        self.log(ctx, why);
        let told = matches!(self.state, State::Established);
        self.close_children(ctx);
        self.timers.clear_all();
        self.tasks.clear();
        self.follow_ups.clear();
        self.window.pending = None;
        if told {
            let connection = ctx.connection(self.connection).name.clone();
            ctx.event(GatewayEventKind::IkeDown { connection });
        }
        if self.virtual_ip.take().is_some() {
            ctx.orders.push(Order::Routes);
        }
        self.state = State::Closing;
        self.timers.set(Timer::Replaced, ctx.now + ctx.config.retransmit.give_up());
    }

    /// When it wants to be called, and why.
    pub(crate) fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.timers.next().map(|(at, timer)| (at, timer.label()))
    }
}
