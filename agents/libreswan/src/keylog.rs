//! Keys from pluto's log (`--debug base,private`, and `crypt` for the salts of AEADs).
//!
//! ```text
//! | ikev2 I 0xa070bb441a1e90e3 0xc5f8f6b5494bd4d7 sha256:0x4c2b… aes128:0xe65f…
//! | ikev2 R 0xa070bb441a1e90e3 0xc5f8f6b5494bd4d7 sha256:0x9264… aes128:0xce73…
//! | ESP enckey:
//! |   70 91 1b c9  10 91 21 a5  45 ef ae 47  1c 93 15 81   p.....!.E..G....
//! | ESP authkey:
//! |   60 9e 46 de  8c 62 4c ce  b2 ff 76 0c  74 4e 82 58   `.F..bL...v.tN.X
//! | kernel: add_sa() level=0 outbound tunnel 10.1.0.0/24-ALL->10.9.0.1[d1adf4c9]==>10.9.0.2-ALL->10.2.0.0/24 … HMAC_SHA1_96:20 AES_CBC:16
//! ```
//!
//! 5.2 says `ESP encrypt key:`, `ESP integrity key:`, and tells the SA in three lines:
//!
//! ```text
//! | "net" #2: routing:  kernel_ops_add_sa() level=0 OUTBOUND TUNNEL
//! | "net" #2: routing:   (src) <unset-selector> -> 10.9.0.1[d1adf4c9] ==> 10.9.0.2 -> <unset-selector> (dst)
//! | "net" #2: routing:   HMAC_SHA1_96:20 AES_CBC:16 replay_window=32 esn=no …
//! ```
//!
//! An IKEv2 SA's keys are told once it is authenticated; those of an SA that never was are not. An ISAKMP SA's (IKEv1) key stays
//! inside NSS and is never told.

use std::collections::HashMap;
use std::net::IpAddr;

use peer::{Cipher, EspKeys, Ikev2Keys, Integrity, Keys};

/// Reads a log line by line.
#[derive(Debug, Default)]
pub(crate) struct KeyLog {
    keys: Keys,
    /// Where the rows of a hex dump go.
    dump: Option<Dump>,
    encryption: Vec<u8>,
    authentication: Vec<u8>,
    /// Both SPIs of the message in hand.
    spis: (u64, u64),
    salts: HashMap<(u64, u64), [Vec<u8>; 2]>,
    salt_of: usize,
    /// The initiator's half of an IKEv2 SA, until the responder's follows.
    half: Option<Half>,
    /// Holds an SA that the kernel gets, until its algorithms follow.
    adding: Adding,
}

#[derive(Debug, Default)]
enum Adding {
    #[default]
    Nothing,
    /// Its addresses come next.
    Begun,
    Between(Ends),
}

/// Addresses and SPI of an SA.
#[derive(Debug)]
struct Ends {
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
    spi: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dump {
    Encryption,
    Authentication,
    Salt,
}

#[derive(Debug)]
struct Half {
    spis: (u64, u64),
    cipher: Cipher,
    integrity: Integrity,
    encryption: Vec<u8>,
    authentication: Vec<u8>,
}

const INITIATOR: usize = 0;
const RESPONDER: usize = 1;
/// Octets of an AEAD's salt (RFC 5282 §4).
const SALT: usize = 4;

impl KeyLog {
    /// All keys so far.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A new life of the daemon: what was not complete never will be.
    pub(crate) fn restart(&mut self) {
        *self = KeyLog { keys: std::mem::take(&mut self.keys), ..KeyLog::default() };
    }

    /// Takes one debugging statement, without its time and its `| `.
    pub(crate) fn say(&mut self, text: &str) {
        if let Some(dump) = self.dump {
            if let Some(octets) = hex_row(text) {
                match dump {
                    Dump::Encryption => self.encryption.extend(octets),
                    Dump::Authentication => self.authentication.extend(octets),
                    Dump::Salt => {
                        let salt = octets.into_iter().take(SALT).collect();
                        self.salts.entry(self.spis).or_default()[self.salt_of] = salt;
                        self.dump = None;
                    }
                }
                return;
            }
            self.dump = None;
        }
        match text.trim() {
            "ESP enckey:" | "ESP encrypt key:" => {
                self.encryption.clear();
                self.authentication.clear();
                self.dump = Some(Dump::Encryption);
            }
            "ESP authkey:" | "ESP integrity key:" => self.dump = Some(Dump::Authentication),
            "unwrapped:" if self.salt_of != usize::MAX => self.dump = Some(Dump::Salt),
            line => self.statement(line),
        }
        if !text.starts_with("unwrapped:") && !text.contains(" salt extracted len ") {
            self.salt_of = usize::MAX;
        }
    }

    fn statement(&mut self, line: &str) {
        if line.starts_with("initiator salt extracted len") {
            self.salt_of = INITIATOR;
        } else if line.starts_with("responder salt extracted len") {
            self.salt_of = RESPONDER;
        } else if let Some(octets) = line.strip_prefix("initiator SPI: ") {
            self.spis = (spi(octets), 0);
        } else if let Some(octets) = line.strip_prefix("responder SPI: ") {
            self.spis.1 = spi(octets);
        } else if let Some(half) = line.strip_prefix("ikev2 I ").and_then(half) {
            self.half = Some(half);
        } else if let Some(responder) = line.strip_prefix("ikev2 R ").and_then(half)
            && let Some(initiator) = self.half.take().filter(|i| i.spis == responder.spis)
        {
            self.ike(initiator, responder);
        } else if let Some(sa) = line.strip_prefix("kernel: add_sa() ") {
            let keyed = ends(sa).and_then(|ends| self.child(ends, sa));
            self.learn(keyed);
        } else if let Some((_, routing)) = line.split_once(": routing: ") {
            self.routing(routing.trim_start());
        }
    }

    /// One of the three lines of 5.2.
    fn routing(&mut self, text: &str) {
        self.adding = match std::mem::take(&mut self.adding) {
            _ if text.starts_with("kernel_ops_add_sa() level=") => Adding::Begun,
            Adding::Begun => ends(text).map_or(Adding::Nothing, Adding::Between),
            Adding::Between(ends) => {
                let keyed = self.child(ends, text);
                self.learn(keyed);
                Adding::Nothing
            }
            Adding::Nothing => Adding::Nothing,
        };
    }

    fn learn(&mut self, esp: Option<EspKeys>) {
        self.keys.merge(Keys { esp: esp.into_iter().collect(), ..Keys::default() });
    }

    fn ike(&mut self, mut initiator: Half, mut responder: Half) {
        if initiator.cipher.icv_len() > 0 {
            // Of a re-keyed SA they were told under the SPIs of the old one, right before.
            let Some([i, r]) = self.salts.get(&initiator.spis).or_else(|| self.salts.get(&self.spis)) else { return };
            initiator.encryption.extend(i);
            responder.encryption.extend(r);
        }
        let key = Ikev2Keys {
            spi_i: initiator.spis.0,
            spi_r: initiator.spis.1,
            encryption: initiator.cipher,
            integrity: initiator.integrity,
            sk_ei: initiator.encryption,
            sk_er: responder.encryption,
            sk_ai: initiator.authentication,
            sk_ar: responder.authentication,
        };
        self.keys.merge(Keys { ikev2: vec![key], ..Keys::default() });
    }

    /// An SA whose algorithms are among these words: `… HMAC_SHA1_96:20 AES_CBC:16 …`; an AEAD has `NONE:0` before it.
    fn child(&mut self, Ends { src, dst, spi }: Ends, words: &str) -> Option<EspKeys> {
        let mut algorithms = words.split(' ').rev().filter_map(|word| word.split_once(':'));
        let mut algorithm =
            || algorithms.find(|(name, length)| !name.is_empty() && length.bytes().all(|b| b.is_ascii_digit())).map(|(n, _)| n);
        let (cipher, integrity) = (algorithm()?, algorithm()?);
        let (key, integrity_key) = (std::mem::take(&mut self.encryption), std::mem::take(&mut self.authentication));
        Some(EspKeys {
            src,
            dst,
            spi,
            encryption: esp_cipher(cipher, key.len())?,
            key,
            integrity: esp_integrity(integrity)?,
            integrity_key,
        })
    }
}

/// `…->10.9.0.1[d1adf4c9]==>10.9.0.2-ALL->…`, `… -> 10.9.0.1[d1adf4c9] ==> 10.9.0.2 -> …`; with UDP encapsulation
/// `…[d1adf4c9]=espinudp==>…`.
fn ends(sa: &str) -> Option<Ends> {
    let (from, to) = sa.split_once("==>")?;
    let (src, spi) = from.rsplit_once(']')?.0.rsplit_once("->")?.1.trim().split_once('[')?;
    let dst = to.trim_start().split([' ', '-']).next()?;
    Some(Ends { src: src.parse().ok(), dst: dst.parse().ok(), spi: u32::from_str_radix(spi, 16).ok()? })
}

/// `0x<spi> 0x<spi> sha256:0x<key> aes128:0x<key>`; with an AEAD the integrity is `none:`.
fn half(text: &str) -> Option<Half> {
    let mut words = text.split_whitespace();
    let mut number = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let spis = (number()?, number()?);
    let (integrity, authentication) = words.next()?.split_once(':')?;
    let (cipher, encryption) = words.next()?.split_once(':')?;
    let encryption = octets(encryption)?;
    Some(Half {
        spis,
        integrity: ike_integrity(integrity)?,
        cipher: ike_cipher(cipher, encryption.len())?,
        authentication: octets(authentication)?,
        encryption,
    })
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.strip_prefix("0x").unwrap_or(hex).as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2)).collect()
}

/// The name carries the key length too: `aes128`, `aes_gcm_16256`.
fn ike_cipher(name: &str, octets: usize) -> Option<Cipher> {
    let bits = u16::try_from(octets.checked_mul(8)?).ok()?;
    let gcm = |icv| Some(Cipher::AesGcm(bits, icv));
    match name {
        _ if name.starts_with("aes_gcm_16") => gcm(16),
        _ if name.starts_with("aes_gcm_12") => gcm(12),
        _ if name.starts_with("aes_gcm_8") => gcm(8),
        _ if name.starts_with("aes_ctr") => Some(Cipher::AesCtr(bits)),
        _ if name.starts_with("3des") => Some(Cipher::TripleDes),
        "aes128" | "aes192" | "aes256" => Some(Cipher::AesCbc(bits)),
        _ => None,
    }
}

fn ike_integrity(name: &str) -> Option<Integrity> {
    Some(match name {
        "none" => Integrity::None,
        "md5" => Integrity::HmacMd5_96,
        "sha1" => Integrity::HmacSha1_96,
        "sha256" => Integrity::HmacSha2_256_128,
        "sha384" => Integrity::HmacSha2_384_192,
        "sha512" => Integrity::HmacSha2_512_256,
        _ => return None,
    })
}

/// `octets` of key, with the salt of an AEAD or of CTR behind them.
fn esp_cipher(name: &str, octets: usize) -> Option<Cipher> {
    Cipher::from_name_and_key_len(name, octets)
}

fn esp_integrity(name: &str) -> Option<Integrity> {
    match name {
        "HMAC_SHA2_256_TRUNCBUG" => Some(Integrity::HmacSha2_256_96),
        _ => Integrity::from_name(name),
    }
}

fn spi(octets: &str) -> u64 {
    octets.split_whitespace().filter_map(|o| u64::from_str_radix(o, 16).ok()).fold(0, |spi, o| spi << 8 | o & 0xff)
}

/// The octets of one row: two blanks, sixteen columns in four groups, then the same as text.
fn hex_row(text: &str) -> Option<Vec<u8>> {
    let columns = text.strip_prefix("  ")?;
    let columns = columns.get(..51).unwrap_or(columns);
    columns.split_whitespace().map(|c| u8::from_str_radix(c, 16).ok().filter(|_| c.len() == 2)).collect()
}

#[cfg(test)]
mod tests;
