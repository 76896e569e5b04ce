//! Sizes: what a packet becomes, what fits a path, and what is known about paths (RFC 4301 §8, RFC 1191, RFC 8201).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::time::Time;

/// After this long a path may have become better (RFC 1191 §6.3).
const AGES_AFTER: Duration = Duration::from_secs(600);
/// What a router that tells no MTU may have meant (RFC 1191 §7, table 7-1; below 576 nothing is believed).
const PLATEAUS: [u16; 8] = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 576];
/// Paths that are remembered; a forger of ICMP errors fills no more memory than that.
const MAX_PATHS: usize = 4096;

/// The least MTU of IPv6 (RFC 8200 §5).
pub(super) const IPV6_MIN_MTU: u16 = 1280;
/// The least MTU that is believed on IPv4 paths.
const IPV4_FLOOR: u16 = 576;

/// The figures of an SA that decide about sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Octets of the IV.
    pub iv: usize,
    /// Octets to which padding goes.
    pub block: usize,
    /// Octets of the ICV.
    pub icv: usize,
}

impl Shape {
    /// Octets of the ESP packet, from the SPI on, for an inner packet (RFC 4303 §2).
    pub fn esp_len(self, inner: usize) -> usize {
        8 + self.iv + (inner + 2).next_multiple_of(self.block) + self.icv
    }

    /// Octets of the largest inner packet whose outer packet has no more than `mtu`.
    pub fn max_inner(self, mtu: u16, outer: IpAddr, in_udp: bool) -> u16 {
        let fixed = outer_len(outer, in_udp) + 8 + self.iv + self.icv;
        let room = usize::from(mtu).saturating_sub(fixed);
        (room / self.block * self.block).saturating_sub(2) as u16
    }
}

/// Octets of the outer IP header, and of UDP when there is any.
pub(super) fn outer_len(outer: IpAddr, in_udp: bool) -> usize {
    (if outer.is_ipv4() { 20 } else { 40 }) + if in_udp { 8 } else { 0 }
}

/// What is known about the paths to the peers.
#[derive(Debug)]
pub(super) struct Paths {
    link: u16,
    learned: BTreeMap<IpAddr, (u16, Time)>,
}

impl Default for Paths {
    fn default() -> Paths {
        Paths { link: 1500, learned: BTreeMap::new() }
    }
}

impl Paths {
    /// The own link's MTU.
    pub fn set_link(&mut self, mtu: u16) {
        self.link = mtu;
    }

    /// The MTU to `remote`, octets.
    pub fn mtu(&self, now: Time, remote: IpAddr) -> u16 {
        match self.learned.get(&remote) {
            Some((mtu, at)) if now.since(*at) < AGES_AFTER => (*mtu).min(self.link),
            _ => self.link,
        }
    }

    /// Takes in what an ICMP error says; returns whether it is believed.
    pub fn learn(&mut self, now: Time, remote: IpAddr, told: u16) -> bool {
        let floor = if remote.is_ipv4() { IPV4_FLOOR } else { IPV6_MIN_MTU };
        let known = self.mtu(now, remote);
        let mtu = match told {
            0 => PLATEAUS.into_iter().find(|p| *p < known).unwrap_or(floor).max(floor),
            told => told,
        };
        if mtu < floor {
            return false;
        }
        self.learned.retain(|_, (_, at)| now.since(*at) < AGES_AFTER);
        if self.learned.len() >= MAX_PATHS && !self.learned.contains_key(&remote) {
            return false;
        }
        self.learned.insert(remote, (mtu, now));
        true
    }

    /// What has been learned, for people.
    pub fn learned(&self) -> impl Iterator<Item = (IpAddr, u16)> {
        self.learned.iter().map(|(remote, (mtu, _))| (*remote, *mtu))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::crypto::{Cipher, Integrity};

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn shape(cipher: Cipher, integrity: Integrity) -> Shape {
        Shape { iv: cipher.iv_len(), block: cipher.block_len(), icv: cipher.icv_len() + integrity.icv_len() }
    }

    /// The lab's own table of sizes: outer length for an inner packet of 1500, then the largest inner packet for outer MTUs of 1500, 1492,
    /// 1400, 1300 and 1280; plain and in UDP.
    #[test]
    fn sizes_of_the_usual_suites() {
        let cbc = Cipher::AesCbc(128);
        let table = [
            (shape(cbc, Integrity::HmacSha1_96), (1560, 1568), [(1438, 1422), (1422, 1422), (1342, 1326), (1230, 1230), (1214, 1214)]),
            (shape(cbc, Integrity::HmacSha2_256_128), (1564, 1572), [(1438, 1422), (1422, 1422), (1326, 1326), (1230, 1230), (1214, 1198)]),
            (shape(cbc, Integrity::HmacSha2_512_256), (1580, 1588), [(1422, 1406), (1406, 1406), (1310, 1310), (1214, 1214), (1198, 1182)]),
            (
                shape(Cipher::AesGcm(128, 16), Integrity::None),
                (1556, 1564),
                [(1446, 1438), (1438, 1430), (1346, 1338), (1246, 1238), (1226, 1218)],
            ),
            (
                shape(Cipher::TripleDes, Integrity::HmacSha1_96),
                (1552, 1560),
                [(1446, 1438), (1438, 1430), (1350, 1342), (1246, 1238), (1230, 1222)],
            ),
        ];
        for (shape, (plain, udp), columns) in table {
            assert_eq!((shape.esp_len(1500) + outer_len(V4, false), shape.esp_len(1500) + outer_len(V4, true)), (plain, udp), "{shape:?}");
            for (mtu, expected) in [1500, 1492, 1400, 1300, 1280].into_iter().zip(columns) {
                assert_eq!((shape.max_inner(mtu, V4, false), shape.max_inner(mtu, V4, true)), expected, "{shape:?} {mtu}");
            }
        }
    }

    #[test]
    fn one_octet_more_does_not_fit() {
        for cipher in [Cipher::Null, Cipher::TripleDes, Cipher::AesCbc(256), Cipher::AesCtr(128), Cipher::AesGcm(256, 8)] {
            let shape = shape(cipher, Integrity::HmacSha2_384_192);
            for (outer, udp) in [(V4, false), (V4, true), (V6, false), (V6, true)] {
                for mtu in (576..1600).chain([9000, u16::MAX]) {
                    let most = usize::from(shape.max_inner(mtu, outer, udp));
                    let whole = |inner| shape.esp_len(inner) + outer_len(outer, udp);
                    assert!(whole(most) <= mtu.into() && whole(most + 1) > mtu.into(), "{shape:?} {outer} {udp} {mtu}");
                }
            }
        }
    }

    #[test]
    fn no_room_at_all() {
        assert_eq!(shape(Cipher::AesCbc(128), Integrity::HmacSha2_512_256).max_inner(60, V6, true), 0);
    }

    #[test]
    fn paths_are_learned_believed_and_forgotten() {
        let (t0, mut paths) = (Time::ZERO, Paths::default());
        assert_eq!(paths.mtu(t0, V4), 1500);
        assert!(!paths.learn(t0, V4, 68) && !paths.learn(t0, V6, 1279));
        assert!(paths.learn(t0, V4, 1400) && paths.learn(t0, V6, 1280));
        assert_eq!((paths.mtu(t0, V4), paths.mtu(t0, V6)), (1400, 1280));
        let later = t0 + Duration::from_secs(599);
        assert_eq!(paths.mtu(later, V4), 1400);
        assert_eq!(paths.mtu(later + Duration::from_secs(1), V4), 1500);
        assert!(paths.learn(t0, V4, 9000));
        assert_eq!(paths.mtu(t0, V4), 1500, "the own link is no larger");
        for expected in [1492, 1006, 576, 576] {
            assert!(paths.learn(t0, V4, 0));
            assert_eq!(paths.mtu(t0, V4), expected);
        }
    }
}
