//! Prefixes, of which one can be asked whether another overlaps with it, without looking at all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

/// Numbered prefixes.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// The first of each.
    numbers: HashMap<IpNet, usize>,
    /// By their first address.
    starts: BTreeMap<IpAddr, usize>,
    lengths: BTreeSet<u8>,
}

impl Prefixes {
    pub fn of(nets: &[IpNet]) -> Prefixes {
        let mut all = Prefixes::default();
        nets.iter().enumerate().for_each(|(number, net)| all.insert(*net, number));
        all
    }

    pub fn insert(&mut self, net: IpNet, number: usize) {
        let net = net.trunc();
        self.numbers.entry(net).or_insert(number);
        self.starts.entry(net.network()).or_insert(number);
        self.lengths.insert(net.prefix_len());
    }

    /// The number of one that contains `net`, or is contained in it.
    pub fn overlapping(&self, net: IpNet) -> Option<usize> {
        let around = |length: &u8| self.numbers.get(&IpNet::new(net.addr(), *length).ok()?.trunc()).copied();
        // Of two prefixes one contains the other, or they have nothing in common.
        let wider = self.lengths.range(..=net.prefix_len()).filter_map(around).min();
        wider.or_else(|| self.starts.range(net.network()..=net.broadcast()).next().map(|(_, number)| *number))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<u8>(), 24..=32_u8).prop_map(|(low, length)| IpNet::new([10, 0, 0, low].into(), length).unwrap());
        let v6 =
            (any::<u8>(), 0..=128_u8).prop_map(|(low, length)| IpNet::new([0xfd, low.into(), 0, 0, 0, 0, 0, 1].into(), length).unwrap());
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_search_finds(nets in proptest::collection::vec(net(), 0..20), asked in net()) {
            let (all, overlaps) = (Prefixes::of(&nets), |other: &IpNet| other.contains(&asked) || asked.contains(other));
            let found = all.overlapping(asked);
            prop_assert_eq!(found.is_some(), nets.iter().any(overlaps));
            prop_assert!(found.is_none_or(|number| overlaps(&nets[number])));
        }
    }
}
