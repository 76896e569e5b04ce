//! Which outbound SA a flow took last time: the SPD cache of RFC 4301 §4.4.1.

use std::net::IpAddr;

use super::inner::Flow;

/// Flows that are remembered; more of them push each other out.
const SLOTS: usize = 256;

/// A table with one place per hash value. It is emptied whenever anything about policies or SAs changes.
#[derive(Debug, Default)]
pub(super) struct FlowCache {
    /// Nothing is allocated before the first flow.
    slots: Vec<Option<(Flow, u32, u32)>>,
}

impl FlowCache {
    /// Policy and SPI.
    pub fn get(&self, flow: &Flow) -> Option<(u32, u32)> {
        match self.slots.get(place(flow)) {
            Some(Some((known, policy, spi))) if known == flow => Some((*policy, *spi)),
            _ => None,
        }
    }

    pub fn put(&mut self, flow: Flow, policy: u32, spi: u32) {
        if self.slots.is_empty() {
            self.slots = vec![None; SLOTS];
        }
        if let Some(slot) = self.slots.get_mut(place(&flow)) {
            *slot = Some((flow, policy, spi));
        }
    }

    pub fn clear(&mut self) {
        self.slots.fill(None);
    }
}

fn place(flow: &Flow) -> usize {
    // Fibonacci hashing: one who knows it can only make us search the SPD.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |address| match address {
        IpAddr::V4(a) => u64::from(u32::from(a)),
        IpAddr::V6(a) => (u128::from(a) >> 64) as u64 ^ (u128::from(a) as u64).rotate_left(7),
    };
    let (src, dst) = flow.ports.unwrap_or_default();
    let rest = u64::from(flow.protocol) << 32 | u64::from(src) << 16 | u64::from(dst);
    let mixed = [fold(flow.src), fold(flow.dst), rest].iter().fold(0u64, |h, part| (h.rotate_left(23) ^ part).wrapping_mul(GOLDEN));
    (mixed >> 56) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_until_cleared() {
        let flow = |port| Flow { src: "10.1.0.5".parse().unwrap(), dst: "10.2.0.5".parse().unwrap(), protocol: 6, ports: Some((port, 80)) };
        let mut cache = FlowCache::default();
        assert_eq!(cache.get(&flow(1)), None);
        (0..40).for_each(|port| cache.put(flow(port), 1, port.into()));
        let kept = (0..40).filter(|port| cache.get(&flow(*port)) == Some((1, (*port).into()))).count();
        assert!(kept > 25, "{kept}");
        assert_eq!(cache.get(&flow(41)), None);
        cache.clear();
        assert!((0..40).all(|port| cache.get(&flow(port)).is_none()));
    }
}
