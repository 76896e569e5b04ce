//! Which selectors a child SA is asked for with, and may narrow to (RFC 7296 §2.9).

use super::content::Content;
use super::context::Context;
use super::numbers::payload;
use super::sa::IkeSa;
use crate::Selector;
use crate::selector;

impl IkeSa {
    /// A child's selectors; own address inside the peer's network instead of them, when one is asked for.
    pub(super) fn wanted_selectors(&self, ctx: &Context<'_>, index: usize) -> (Vec<Selector>, Vec<Selector>) {
        let (c, child) = (ctx.connection(self.connection), &ctx.child(self.connection, index).settings);
        let local = match (c.options.virtual_ip, self.virtual_ip) {
            (true, Some(ip)) => vec![ipnet::IpNet::from(ip).into()],
            (true, None) => Selector::all(&[ipnet::IpNet::new_assert(if c.local.is_ipv4() { [0; 4].into() } else { [0u8; 16].into() }, 0)]),
            (false, _) => Selector::all(&child.local_ts),
        };
        (local, Selector::all(&child.remote_ts))
    }

    /// Which of the connection's children the peer's selectors ask for: the one that they fit best, the first of several. `None`: none.
    pub(super) fn child_asked_for(&self, ctx: &Context<'_>, content: Content<'_>, replaces: Option<u32>) -> Option<usize> {
        if let Some(old) = replaces.and_then(|spi| self.children.iter().find(|c| c.spi_in == spi)) {
            return Some(old.index);
        }
        let (Some(tsi), Some(tsr)) = (content.selectors(payload::TSI), content.selectors(payload::TSR)) else { return Some(0) };
        let fit = |index: &usize| {
            let (local, remote) = self.allowed_selectors(ctx, *index, None);
            let possible = !selector::narrow(&tsi, &remote).is_empty() && !selector::narrow(&tsr, &local).is_empty();
            let inside = |offered: &Selector, allowed: &[Selector]| allowed.iter().any(|a| a.includes(offered));
            let fits = |most: usize| tsi.iter().take(most).all(|t| inside(t, &remote)) && tsr.iter().take(most).all(|t| inside(t, &local));
            // The first ones may be those of the packet that the SA is for (RFC 7296 §2.9).
            (possible, fits(usize::MAX), fits(1))
        };
        let best = (0..ctx.profiles[self.connection].children.len()).rev().max_by_key(fit);
        best.filter(|index| fit(index).0 || ctx.config.misbehave.switches.no_narrowing)
    }

    /// Own and the peer's selectors that a request may narrow to.
    pub(super) fn allowed_selectors(&self, ctx: &Context<'_>, index: usize, replaces: Option<u32>) -> (Vec<Selector>, Vec<Selector>) {
        if let Some(old) = replaces.and_then(|spi| self.children.iter().find(|c| c.spi_in == spi)) {
            return (old.local_ts.clone(), old.remote_ts.clone());
        }
        let c = &ctx.child(self.connection, index).settings;
        let remote = match self.leased {
            Some(ip) => vec![ipnet::IpNet::from(ip).into()],
            None => Selector::all(&c.remote_ts),
        };
        (Selector::all(&c.local_ts), remote)
    }
}
