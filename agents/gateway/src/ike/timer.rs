//! Every timer of an IKE SA has a name and a sentence.

use std::time::Duration;

use crate::time::Time;

/// What happens when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The outstanding request is sent once more, or given up (RFC 7296 §2.4).
    Retransmit,
    /// A set-up that is not finished is forgotten (RFC 7296 §2.6).
    HalfOpen,
    /// The IKE SA's keys are renewed (RFC 7296 §2.8).
    RekeyIke,
    /// The IKE SA is closed although nobody has renewed it.
    ExpireIke,
    /// The IKE SA is closed and begun anew, with authentication (RFC 7296 §2.8.3).
    Reauthenticate,
    /// The peer is asked for a sign of life if it gave none by itself (RFC 7296 §2.4).
    Liveness,
    /// A NAT's mapping is kept open (RFC 3948 §4).
    NatKeepalive,
    /// A replaced IKE SA whose DELETE does not come is forgotten.
    Replaced,
    /// What was under way when a re-authentication had made its successor has arrived: the IKE SA is deleted.
    GiveWay,
    /// The peer goes on with its key exchanges no more: what was agreed upon so far, under this link, is forgotten (RFC 9370 §2.2.4).
    ExpectFollowUp(u64),
    /// A child SA that the peer could not set up just then is asked for again: which of the connection's.
    NewChild(usize),
    /// The child SA with this inbound SPI gets new keys.
    RekeyChild(u32),
    /// The child SA's hard lifetime ends (RFC 4301 §4.4.2.1).
    ExpireChild(u32),
    /// The child SA is closed if nothing used it.
    Inactivity(u32),
    /// Packets that were under way when the child SA was replaced have arrived: the policy's inbound SA of this SPI goes.
    ForgetInbound(u32, u32),
}

impl Timer {
    /// For `poll_timeout`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Timer::Retransmit => "retransmission",
            Timer::HalfOpen => "half-open timeout",
            Timer::RekeyIke => "re-keying of the IKE SA",
            Timer::ExpireIke => "end of the IKE SA",
            Timer::Reauthenticate => "re-authentication",
            Timer::Liveness => "liveness check",
            Timer::NatKeepalive => "NAT keepalive",
            Timer::Replaced => "end of a replaced IKE SA",
            Timer::GiveWay => "DELETE after re-authentication",
            Timer::ExpectFollowUp(_) => "end of the wait for IKE_FOLLOWUP_KE",
            Timer::NewChild(_) => "another request for a child SA",
            Timer::RekeyChild(_) => "re-keying of a child SA",
            Timer::ExpireChild(_) => "end of a child SA",
            Timer::Inactivity(_) => "inactivity check",
            Timer::ForgetInbound(..) => "end of a replaced inbound SA",
        }
    }
}

/// No refused re-keying is tried again sooner than this.
const SOONEST: Duration = Duration::from_millis(500);

/// The timers that run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timers(Vec<(Timer, Time)>);

impl Timers {
    /// Starts it, or starts it anew.
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        self.clear(timer);
        self.0.push((timer, at));
    }

    /// Starts `renew` anew after a refusal: in so long, but in half of what is left until `end` if that is less, so that one refusal
    /// does not cost the SA. How long that is.
    pub(crate) fn try_again(&mut self, renew: Timer, end: Timer, now: Time, wait: Duration) -> Duration {
        let left = self.0.iter().find(|(t, _)| *t == end).map(|(_, at)| at.since(now));
        let wait = left.map_or(wait, |left| wait.min((left / 2).max(SOONEST)));
        self.set(renew, now + wait);
        wait
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.0.retain(|(t, _)| *t != timer);
    }

    /// Stops everything about a child SA but the end of its inbound SA.
    pub(crate) fn clear_child(&mut self, spi: u32) {
        self.0.retain(|(t, _)| !matches!(t, Timer::RekeyChild(s) | Timer::ExpireChild(s) | Timer::Inactivity(s) if *s == spi));
    }

    pub(crate) fn clear_all(&mut self) {
        self.0.clear();
    }

    /// The earliest.
    pub(crate) fn next(&self) -> Option<(Time, Timer)> {
        self.0.iter().map(|(t, at)| (*at, *t)).min()
    }

    /// Takes the earliest one that is due.
    pub(crate) fn due(&mut self, now: Time) -> Option<Timer> {
        let (_, timer) = self.next().filter(|(at, _)| *at <= now)?;
        self.clear(timer);
        Some(timer)
    }

    /// Takes those of the children along to another IKE SA.
    pub(crate) fn take_children(&mut self) -> Timers {
        let of_child = |t: &Timer| {
            matches!(t, Timer::NewChild(_) | Timer::RekeyChild(_) | Timer::ExpireChild(_) | Timer::Inactivity(_) | Timer::ForgetInbound(..))
        };
        let (taken, kept) = std::mem::take(&mut self.0).into_iter().partition(|(t, _)| of_child(t));
        self.0 = kept;
        Timers(taken)
    }

    pub(crate) fn merge(&mut self, other: Timers) {
        self.0.extend(other.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_rekeying_is_tried_again_while_there_is_time() {
        let (now, wait) = (Time(Duration::from_secs(100)), Duration::from_secs(10));
        let mut timers = Timers::default();
        let mut tried = |left: Option<u64>| {
            timers.clear(Timer::ExpireIke);
            left.into_iter().for_each(|ms| timers.set(Timer::ExpireIke, now + Duration::from_millis(ms)));
            let after = timers.try_again(Timer::RekeyIke, Timer::ExpireIke, now, wait);
            assert!(timers.0.contains(&(Timer::RekeyIke, now + after)));
            after.as_millis()
        };
        assert_eq!([None, Some(60_000), Some(8_000), Some(300)].map(&mut tried), [10_000, 10_000, 4_000, 500]);
    }
}
