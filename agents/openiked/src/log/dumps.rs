//! Keys from the hex dumps of the log.
//!
//! ```text
//! spi=0x3b1a…: ikev2_sa_keys: S with 80 bytes      Ni | Nr | SPIi | SPIr (RFC 7296 §2.14)
//! ba3744a1 e529aa72 …
//! ikev2_sa_keys: SK_ei with 16 bytes
//! c89234a2 2a07dc1f 2f3b4102 7b5b3137
//! ikev2_childsa_negotiate: key material length 72
//! ikev2_prfplus: Tn with 96 bytes                  KEYMAT (RFC 7296 §2.17), rounded up to whole blocks of the PRF
//! 3e1a8ea3 b30381b6 …
//! pfkey_sa_add: update spi 0x32eb1f03              an inbound SA; `add` is an outbound one
//! ```

use std::net::IpAddr;

use peer::{EspKeys, Ikev2Keys, Integrity, Keys};

use crate::algorithms::Suite;

/// Addresses of an IKE SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ends {
    pub(super) local: Option<IpAddr>,
    pub(super) peer: Option<IpAddr>,
}

/// Collects dumps and what belongs to them.
#[derive(Debug, Default)]
pub(super) struct Dumps {
    pub(super) keys: Keys,
    /// The dump in hand: name, octets that belong to it, octets so far.
    open: Option<(String, usize, Vec<u8>)>,
    suite: Suite,
    ike: Draft,
    /// Length of the next KEYMAT.
    material: Option<usize>,
    child: Option<Vec<u8>>,
    /// SAs of the child in hand in the order of their keys: SPI, inbound?
    loaded: Vec<(u32, bool)>,
}

#[derive(Debug, Default)]
struct Draft {
    spis: Option<(u64, u64)>,
    ei: Vec<u8>,
    er: Vec<u8>,
    ai: Vec<u8>,
    ar: Vec<u8>,
}

impl Dumps {
    /// Takes a line of a dump that is being collected; `false`: it is something else.
    pub(super) fn octets(&mut self, line: &str) -> bool {
        let Some((_, length, octets)) = &mut self.open else { return false };
        let Some(row) = hex_row(line) else { return false };
        octets.extend(row);
        if octets.len() >= *length {
            let (name, length, octets) = self.open.take().unwrap_or_default();
            self.dump(&name, octets.get(..length).unwrap_or_default());
        }
        true
    }

    /// Takes any other line, without its `spi=…: `.
    pub(super) fn say(&mut self, text: &str) {
        if let Some(rest) = text.strip_prefix("proposals_negotiate: score ") {
            match rest.split_once(": ") {
                Some((_, transform)) => self.suite.take(transform),
                None => self.suite = Suite::default(),
            }
        } else if let Some(length) = text.strip_prefix("ikev2_childsa_negotiate: key material length ") {
            self.material = length.parse().ok();
            self.loaded.clear();
        } else if let Some(rest) = text.strip_prefix("pfkey_sa_add: ")
            && let Some((how, spi)) = rest.split_once(" spi 0x")
        {
            self.loaded.extend(u32::from_str_radix(spi, 16).ok().map(|spi| (spi, how == "update")));
        } else if let Some((name, length)) = header(text) {
            self.open = Some((name.to_owned(), length, Vec::new()));
        }
    }

    fn dump(&mut self, name: &str, octets: &[u8]) {
        let octets = || octets.to_vec();
        match name {
            "ikev2_sa_keys: S" => self.ike = Draft { spis: spis(&octets()), ..Draft::default() },
            "ikev2_sa_keys: SK_ai" => self.ike.ai = octets(),
            "ikev2_sa_keys: SK_ar" => self.ike.ar = octets(),
            "ikev2_sa_keys: SK_ei" => self.ike.ei = octets(),
            "ikev2_sa_keys: SK_er" => self.ike.er = octets(),
            // The last one.
            "ikev2_sa_keys: SK_pr" => self.add_ike(),
            "ikev2_prfplus: Tn" => {
                if let Some(length) = self.material.take() {
                    self.child = octets().get(..length).map(<[u8]>::to_vec);
                }
            }
            _ => {}
        }
    }

    fn add_ike(&mut self) {
        let draft = std::mem::take(&mut self.ike);
        let (Some((spi_i, spi_r)), Some(encryption)) = (draft.spis, self.suite.cipher) else { return };
        let Draft { ei: sk_ei, er: sk_er, ai: sk_ai, ar: sk_ar, .. } = draft;
        let integrity = self.suite.integrity;
        let (sk_ai, sk_ar) = if integrity == Integrity::None { (vec![], vec![]) } else { (sk_ai, sk_ar) };
        let ikev2 = vec![Ikev2Keys { spi_i, spi_r, encryption, integrity, sk_ei, sk_er, sk_ai, sk_ar }];
        self.keys.merge(Keys { ikev2, ..Keys::default() });
    }

    /// Both SAs of a child were loaded: adds their keys, returns its SPIs (inbound, outbound).
    pub(super) fn take_child(&mut self, ends: Ends) -> Option<(u32, u32)> {
        let loaded = std::mem::take(&mut self.loaded);
        let of = |inbound| loaded.iter().find(|(_, i)| *i == inbound).map(|(spi, _)| *spi);
        let spis = (of(true)?, of(false)?);
        if let (Some(material), Some(encryption)) = (self.child.take(), self.suite.cipher) {
            let half = material.len() / 2;
            // The SA from the exchange's initiator is loaded first, and its keys come first.
            let esp = loaded.iter().zip(material.chunks_exact(half.max(1))).filter_map(|((spi, inbound), keys)| {
                let (key, integrity_key) = keys.split_at_checked(half.checked_sub(self.suite.integrity.key_len())?)?;
                let (src, dst) = if *inbound { (ends.peer, ends.local) } else { (ends.local, ends.peer) };
                let (key, integrity_key) = (key.to_vec(), integrity_key.to_vec());
                Some(EspKeys { src, dst, spi: *spi, encryption, key, integrity: self.suite.integrity, integrity_key })
            });
            let esp = esp.collect();
            self.keys.merge(Keys { esp, ..Keys::default() });
        }
        Some(spis)
    }
}

/// `ikev2_sa_keys: SK_ei with 16 bytes`
fn header(text: &str) -> Option<(&str, usize)> {
    let (name, rest) = text.rsplit_once(" with ")?;
    Some((name, rest.strip_suffix(" bytes")?.parse().ok()?))
}

/// `c89234a2 2a07dc1f 2f3b4102`
fn hex_row(line: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    for group in line.split(' ').filter(|g| !g.is_empty()) {
        if group.len() > 8 || group.len() % 2 == 1 || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u64::from_str_radix(group, 16).ok()?;
        octets.extend_from_slice(value.to_be_bytes().get(8 - group.len() / 2..)?);
    }
    (!octets.is_empty()).then_some(octets)
}

/// The end of `Ni | Nr | SPIi | SPIr`.
fn spis(s: &[u8]) -> Option<(u64, u64)> {
    let (rest, r) = s.split_last_chunk::<8>()?;
    let i = rest.last_chunk::<8>()?;
    Some((u64::from_be_bytes(*i), u64::from_be_bytes(*r)))
}
