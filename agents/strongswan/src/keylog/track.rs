//! What the statements of the log mean: keys of IKE SAs by unique id, keys of child SAs by SPI.

use std::collections::HashMap;

use peer::{EspKeys, Ikev1Keys, Ikev2Keys, Integrity, Keys};

use crate::algorithms::{Suite, cipher_of_key, integrity, suite};

/// Follows the IKE SAs of one life of the daemon.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    sas: HashMap<u32, Sa>,
    keys: Keys,
}

#[derive(Debug, Default)]
struct Sa {
    spis: Option<(u64, u64)>,
    suite: Option<Suite>,
    secrets: Secrets,
    /// Its keys were written out.
    known: bool,
    /// It is authenticated: secrets that follow belong to its successor. Before, they are its own, new after each additional key
    /// exchange (RFC 9370 §2.2.2).
    established: bool,
    /// Keys of the successor until its unique id is told.
    successor: Option<(Suite, Secrets)>,
    child: ChildDraft,
}

#[derive(Debug, Default, Clone)]
struct Secrets {
    ei: Vec<u8>,
    er: Vec<u8>,
    ai: Vec<u8>,
    ar: Vec<u8>,
    /// IKEv1's only key.
    ka: Vec<u8>,
}

#[derive(Debug, Default)]
struct ChildDraft {
    /// The message in hand is a request, so the peer began this exchange.
    responder: bool,
    /// The next `SPI` line is about the inbound SA.
    inbound: Option<bool>,
    cipher: String,
    integrity: Option<Integrity>,
    encryption: [Vec<u8>; 2],
    authentication: [Vec<u8>; 2],
}

const INITIATOR: usize = 0;
const RESPONDER: usize = 1;

impl Tracker {
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn restart(&mut self) {
        self.sas.clear();
    }

    pub(super) fn set_spis(&mut self, id: u32, spis: (u64, u64)) {
        if spis.1 != 0 {
            self.sas.entry(id).or_default().spis = Some(spis);
            self.settle(id);
        }
    }

    /// A hex dump.
    pub(super) fn show(&mut self, id: Option<u32>, label: &str, octets: &[u8]) {
        let Some(id) = id else { return };
        let sa = self.sas.entry(id).or_default();
        let octets = || octets.to_vec();
        match label {
            "natd_chunk" => sa.natd_chunk(&octets()),
            "Sk_ai secret" => sa.secrets.ai = octets(),
            "Sk_ar secret" => sa.secrets.ar = octets(),
            "Sk_ei secret" => sa.secrets.ei = octets(),
            "Sk_er secret" => sa.secrets.er = octets(),
            "encryption key Ka" => sa.secrets.ka = octets(),
            "encryption initiator key" => sa.child.encryption[INITIATOR] = octets(),
            "encryption responder key" => sa.child.encryption[RESPONDER] = octets(),
            "integrity initiator key" => sa.child.authentication[INITIATOR] = octets(),
            "integrity responder key" => sa.child.authentication[RESPONDER] = octets(),
            _ => return,
        }
        self.settle(id);
    }

    /// Any other line.
    pub(super) fn say(&mut self, id: Option<u32>, text: &str) {
        let Some(id) = id else { return };
        let sa = self.sas.entry(id).or_default();
        let text = text.trim_start();
        if let Some(proposal) = text.strip_prefix("selected proposal: IKE:") {
            sa.suite = suite(proposal);
        } else if let Some(message) = text.strip_prefix("parsed ") {
            sa.child.responder = message.split(' ').nth(1) == Some("request");
        } else if let Some(name) = between(text, "using ", " for encryption") {
            // The first line about a new child's keys.
            sa.child = ChildDraft { cipher: name.to_owned(), responder: sa.child.responder, ..ChildDraft::default() };
        } else if let Some(name) = between(text, "using ", " for integrity") {
            sa.child.integrity = integrity(name);
        } else if text.ends_with(" ESP SA") && (text.starts_with("adding ") || text.starts_with("registering ")) {
            sa.child.inbound = Some(text.contains(" inbound "));
        } else if text.starts_with("SPI 0x") {
            let key = sa.child.installed(text);
            self.add(Keys { esp: key.into_iter().collect(), ..Keys::default() });
        } else if text.starts_with("IKE_SA ") && text.contains(" established between ") {
            sa.established = true;
        } else if text.starts_with("IKE_SA ") && text.contains(" rekeyed between ") {
            self.rekeyed(id, text);
        }
    }

    /// `IKE_SA net[2] rekeyed between …`, said while SA `old` is in hand.
    fn rekeyed(&mut self, old: u32, text: &str) {
        let new = between(text, "[", "]").and_then(|n| n.parse::<u32>().ok()).filter(|n| *n != old);
        let successor = self.sas.get_mut(&old).and_then(|sa| sa.successor.take());
        if let (Some(new), Some((suite, secrets))) = (new, successor) {
            let sa = self.sas.entry(new).or_default();
            (sa.suite, sa.secrets, sa.established) = (Some(suite), secrets, true);
            self.settle(new);
        }
    }

    /// Writes an IKE SA's keys out once everything about them is known.
    fn settle(&mut self, id: u32) {
        let Some(sa) = self.sas.get_mut(&id) else { return };
        let Some(suite) = sa.suite.filter(|s| sa.secrets.complete(s)) else { return };
        if sa.known && sa.established {
            sa.successor = Some((suite, std::mem::take(&mut sa.secrets)));
            return;
        }
        let Some((spi_i, spi_r)) = sa.spis else { return };
        let secrets = std::mem::take(&mut sa.secrets);
        sa.known = true;
        let mut keys = Keys::default();
        if secrets.ka.is_empty() {
            let Secrets { ei: sk_ei, er: sk_er, ai: sk_ai, ar: sk_ar, .. } = secrets;
            keys.ikev2.push(Ikev2Keys { spi_i, spi_r, encryption: suite.cipher, integrity: suite.integrity, sk_ei, sk_er, sk_ai, sk_ar });
        } else if let Some(hash) = suite.hash {
            keys.ikev1.push(Ikev1Keys { cookie_i: spi_i, cookie_r: spi_r, encryption: suite.cipher, hash, key: secrets.ka });
        }
        self.add(keys);
    }

    fn add(&mut self, keys: Keys) {
        self.keys.merge(keys);
    }
}

impl Secrets {
    fn complete(&self, suite: &Suite) -> bool {
        let ikev2 = !self.ei.is_empty() && !self.er.is_empty();
        let integrity = suite.integrity == Integrity::None || (!self.ai.is_empty() && !self.ar.is_empty());
        !self.ka.is_empty() || (ikev2 && integrity)
    }
}

impl Sa {
    /// Input of the NAT detection hash: both SPIs, address, port (RFC 7296 §2.23, RFC 3947 §3.2).
    fn natd_chunk(&mut self, octets: &[u8]) {
        let (Some(i), Some(r)) = (octets.first_chunk::<8>(), octets.get(8..).and_then(<[u8]>::first_chunk::<8>)) else { return };
        let (i, r) = (u64::from_be_bytes(*i), u64::from_be_bytes(*r));
        // The responder's is 0 in the hashes of the very first request.
        if r != 0 && !self.known {
            self.spis = Some((i, r));
        }
    }
}

impl ChildDraft {
    /// `SPI 0x7eb09abd, src 10.9.0.2 dst 10.9.0.1`
    fn installed(&mut self, text: &str) -> Option<EspKeys> {
        let inbound = self.inbound.take()?;
        let (spi, hosts) = text.strip_prefix("SPI 0x")?.split_once(", src ")?;
        let (src, dst) = hosts.split_once(" dst ")?;
        // What the exchange's initiator sends is protected with the initiator's keys.
        let side = if inbound == self.responder { INITIATOR } else { RESPONDER };
        let key = self.encryption[side].clone();
        Some(EspKeys {
            src: src.parse().ok(),
            dst: dst.trim().parse().ok(),
            spi: u32::from_str_radix(spi, 16).ok()?,
            encryption: cipher_of_key(&self.cipher, key.len())?,
            key,
            integrity: self.integrity.unwrap_or(Integrity::None),
            integrity_key: self.authentication[side].clone(),
        })
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(text.split_once(before)?.1.split_once(after)?.0)
}
