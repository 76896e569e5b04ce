//! Anti-replay window and extended sequence numbers: RFC 4303 §3.4.3 and appendix A.

/// The largest anti-replay window, packets.
pub const MAX_REPLAY_WINDOW: u32 = 4096;

/// Which sequence numbers have been seen.
///
/// ```text
///        top - size         top = highest authenticated
///            │                 │
///  … dropped │ seen? seen? … 1 │ new …
///            └── window: size ─┘
/// ```
///
/// The bits lie in a ring of whole words, at number modulo ring (as RFC 6479): to slide means to clear the words that come in.
#[derive(Debug, Clone)]
pub(super) struct ReplayWindow {
    size: u64,
    esn: bool,
    top: u64,
    /// A power of two of words, with at least one more than the window needs.
    ring: Box<[u64]>,
}

impl ReplayWindow {
    /// `size` 0: every number is new.
    pub fn new(size: u32, esn: bool) -> ReplayWindow {
        let size = u64::from(size.min(MAX_REPLAY_WINDOW));
        let words = if size == 0 { 0 } else { (size.div_ceil(64) as usize + 1).next_power_of_two() };
        ReplayWindow { size, esn, top: 0, ring: vec![0; words].into() }
    }

    /// Packets.
    pub fn size(&self) -> u32 {
        self.size as u32
    }

    /// The highest number that was authenticated.
    pub fn top(&self) -> u64 {
        self.top
    }

    /// The whole number of a packet that shows the low half. `None`: it lies before the first packet.
    pub fn whole(&self, low: u32) -> Option<u64> {
        if !self.esn {
            return Some(low.into());
        }
        // Appendix A2.2; without a window, the high half still needs one to be guessed by.
        let window = self.size.max(64) as u32;
        let (high, top) = (self.top >> 32, self.top as u32);
        let bottom = top.wrapping_sub(window - 1);
        let high = match (top >= window - 1, low >= bottom) {
            (true, true) | (false, false) => high,
            (true, false) => high.checked_add(1).filter(|h| *h <= u32::MAX.into())?,
            (false, true) => high.checked_sub(1)?,
        };
        Some(high << 32 | u64::from(low))
    }

    /// Has this packet a chance? To be asked before the ICV is computed.
    pub fn is_new(&self, number: u64) -> bool {
        if self.size == 0 || number > self.top {
            return true;
        }
        number != 0 && self.top - number < self.size && self.word(number).is_some_and(|word| word & bit(number) == 0)
    }

    /// The packet is authentic. Returns whether it is the newest so far.
    pub fn seen(&mut self, number: u64) -> bool {
        let newest = number > self.top;
        if newest {
            let fresh = (number / 64 - self.top / 64).min(self.ring.len() as u64);
            for i in 0..fresh {
                if let Some(word) = self.word_mut(number - i * 64) {
                    *word = 0;
                }
            }
            self.top = number;
        }
        if let Some(word) = self.word_mut(number) {
            *word |= bit(number);
        }
        newest
    }

    fn at(&self, number: u64) -> usize {
        (number / 64) as usize & self.ring.len().wrapping_sub(1)
    }

    fn word(&self, number: u64) -> Option<u64> {
        self.ring.get(self.at(number)).copied()
    }

    fn word_mut(&mut self, number: u64) -> Option<&mut u64> {
        let at = self.at(number);
        self.ring.get_mut(at)
    }
}

fn bit(number: u64) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// RFC 4303 §3.4.3 in the plainest words.
    struct Naive {
        size: u64,
        seen: BTreeSet<u64>,
    }

    impl Naive {
        fn take(&mut self, number: u64) -> bool {
            let top = self.seen.last().copied().unwrap_or(0);
            let new = self.size == 0 || (number != 0 && number + self.size > top && !self.seen.contains(&number));
            self.seen.insert(number);
            new
        }
    }

    fn take(window: &mut ReplayWindow, number: u64) -> bool {
        let new = window.is_new(number);
        if new {
            window.seen(number);
        }
        new
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_model(
            size in prop_oneof![0u32..200, Just(64), Just(4096), 0u32..5000],
            steps in prop::collection::vec(prop_oneof![4 => -80i64..80, 1 => -5000i64..5000, 1 => -70_000i64..70_000], 0..400),
        ) {
            let mut window = ReplayWindow::new(size, false);
            let mut naive = Naive { size: size.min(4096).into(), seen: BTreeSet::new() };
            let mut at = 0i64;
            for step in steps {
                at = (at + step).max(0);
                let number = at as u64;
                let expected = naive.take(number);
                prop_assert_eq!(take(&mut window, number), expected, "{}", number);
            }
        }

        #[test]
        fn the_high_half_is_found_again(top in any::<u64>(), size in 1u32..4096, back in 0u64..4096, ahead in 0u64..1 << 31) {
            let mut window = ReplayWindow::new(size, true);
            window.seen(top);
            let inside = top.saturating_sub(back % u64::from(size));
            prop_assert_eq!(window.whole(inside as u32), Some(inside));
            if let Some(later) = top.checked_add(ahead) {
                prop_assert_eq!(window.whole(later as u32), Some(later));
            }
        }
    }

    #[test]
    fn nothing_lies_before_the_first_packet() {
        let window = ReplayWindow::new(32, true);
        assert_eq!(window.whole(1), Some(1));
        assert_eq!(window.whole(u32::MAX), None);
        let mut window = ReplayWindow::new(32, true);
        window.seen(u64::MAX);
        assert_eq!(window.whole(5), None, "nor after the last");
    }

    #[test]
    fn exactly_the_window() {
        let mut window = ReplayWindow::new(32, false);
        assert!(take(&mut window, 100));
        assert!(!take(&mut window, 100) && !take(&mut window, 68) && take(&mut window, 69) && !take(&mut window, 69));
        assert!(!take(&mut window, 0));
    }
}
