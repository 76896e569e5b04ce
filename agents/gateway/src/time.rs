//! A moment on the caller's clock.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Time since the gateway was made, on whatever monotonic clock the caller has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Duration);

impl Time {
    /// The gateway's beginning.
    pub const ZERO: Time = Time(Duration::ZERO);

    /// How long after `earlier`; zero when it was not.
    pub fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        Time(self.0.saturating_add(d))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, d: Duration) -> Time {
        Time(self.0.saturating_sub(d))
    }
}
