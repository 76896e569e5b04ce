//! Proposals: from strongSwan's notation to transforms, and the choice among what a peer offers (RFC 7296 §2.7, §3.3).

use wire::crypto::{Cipher, Integrity};
use wire::ike::{Proposal, Transform};

use crate::crypto::{Group, Prf};

/// Transform types (RFC 7296 §3.3.2, RFC 9370 §4.1).
pub(crate) mod kind {
    pub(crate) const ENCR: u8 = 1;
    pub(crate) const PRF: u8 = 2;
    pub(crate) const INTEG: u8 = 3;
    pub(crate) const KE: u8 = 4;
    pub(crate) const ESN: u8 = 5;
    pub(crate) const ADDKE1: u8 = 6;
    pub(crate) const ADDKE7: u8 = 12;
}

/// Protocol identifiers (RFC 7296 §3.3.1).
pub(crate) mod protocol {
    pub(crate) const IKE: u8 = 1;
    pub(crate) const ESP: u8 = 3;
}

/// Attribute type Key Length (RFC 7296 §3.3.5).
const KEY_LENGTH: u16 = 14;

/// One configured proposal: alternatives of each transform type, the first choice first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) ciphers: Vec<Cipher>,
    pub(crate) integrities: Vec<Integrity>,
    pub(crate) prfs: Vec<Prf>,
    pub(crate) groups: Vec<Group>,
    /// Additional key exchanges, `ke1_` … `ke7_`: RFC 9370.
    pub(crate) additional: Vec<(u8, Group)>,
    pub(crate) esn: Vec<bool>,
}

/// What was agreed upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Number of the proposal that was chosen.
    pub(crate) number: u8,
    /// The peer's SPI, empty in IKE_SA_INIT.
    pub(crate) spi: Vec<u8>,
    pub(crate) cipher: Cipher,
    pub(crate) integrity: Integrity,
    pub(crate) prf: Option<Prf>,
    pub(crate) group: Option<Group>,
    pub(crate) additional: Vec<(u8, Group)>,
    pub(crate) esn: bool,
}

impl Suite {
    /// Reads `aes128-sha256-modp2048`, `aes256gcm16-prfsha384-ecp384-ke1_mlkem768`, `chacha20poly1305-esn`.
    pub(crate) fn parse(text: &str) -> Result<Suite, String> {
        let mut suite = Suite::default();
        for word in text.split('-').filter(|w| !w.is_empty()) {
            suite.add(word).ok_or_else(|| format!("`{word}` in the proposal `{text}` is no algorithm of this gateway"))?;
        }
        if suite.ciphers.is_empty() {
            return Err(format!("the proposal `{text}` has no encryption algorithm"));
        }
        if suite.groups.is_empty() && !suite.additional.is_empty() {
            return Err(format!("the proposal `{text}` has additional key exchanges, but no group for the first one (RFC 9370 §2.2.1)"));
        }
        Ok(suite)
    }

    /// As [`Suite::parse`], for an IKE SA: a PRF is taken from the integrity algorithm when none is named.
    pub(crate) fn parse_ike(text: &str) -> Result<Suite, String> {
        let mut suite = Suite::parse(text)?;
        if suite.prfs.is_empty() {
            suite.prfs = suite.integrities.iter().filter_map(|i| prf_of(*i)).collect();
        }
        let aead = suite.ciphers.iter().all(|c| c.is_aead());
        if suite.prfs.is_empty() || suite.groups.is_empty() || (suite.integrities.is_empty() && !aead) {
            return Err(format!("the proposal `{text}` is not enough for an IKE SA: it needs encryption, integrity, a PRF and a group"));
        }
        Ok(suite)
    }

    fn add(&mut self, word: &str) -> Option<()> {
        if let Some(cipher) = cipher(word) {
            self.ciphers.push(cipher);
        } else if let Some(integrity) = integrity(word) {
            self.integrities.push(integrity);
        } else if let Some(prf) = prf(word) {
            self.prfs.push(prf);
        } else if let Some(group) = group(word) {
            self.groups.push(group);
        } else if let Some((number, name)) = word.strip_prefix("ke").and_then(|rest| rest.split_once('_')) {
            let number: u8 = number.parse().ok().filter(|n| (1..=7).contains(n))?;
            self.additional.push((kind::ADDKE1 + number - 1, group(name)?));
        } else if word == "esn" {
            self.esn.push(true);
        } else if word == "noesn" {
            self.esn.push(false);
        } else {
            return None;
        }
        Some(())
    }

    /// The proposal substructure. AEADs and others must not be mixed in one (RFC 7296 §3.3): the caller splits with [`Suite::split`].
    pub(crate) fn proposal(&self, number: u8, protocol: u8, spi: &[u8]) -> Proposal {
        let plain = |kind, id| Transform { kind, id, attributes: Vec::new() };
        let mut transforms: Vec<Transform> = self
            .ciphers
            .iter()
            .map(|c| {
                let (id, bits) = c.to_transform();
                let attributes = bits.map(|b| (KEY_LENGTH, b.to_be_bytes().to_vec())).into_iter().collect();
                Transform { kind: kind::ENCR, id, attributes }
            })
            .collect();
        if protocol == protocol::IKE {
            transforms.extend(self.prfs.iter().map(|p| plain(kind::PRF, p.transform_id())));
        }
        if !self.ciphers.iter().all(|c| c.is_aead()) {
            transforms.extend(self.integrities.iter().map(|i| plain(kind::INTEG, i.to_transform())));
        }
        transforms.extend(self.groups.iter().map(|g| plain(kind::KE, g.transform_id())));
        transforms.extend(self.additional.iter().map(|(kind, g)| plain(*kind, g.transform_id())));
        if protocol == protocol::ESP {
            let esn: &[bool] = if self.esn.is_empty() { &[false] } else { &self.esn };
            transforms.extend(esn.iter().map(|e| plain(kind::ESN, u16::from(*e))));
        }
        Proposal { number, protocol, spi: spi.to_vec(), transforms }
    }

    /// A proposal for each kind of cipher: AEADs, and those that need an integrity algorithm.
    pub(crate) fn split(&self) -> Vec<Suite> {
        let (aead, other): (Vec<Cipher>, Vec<Cipher>) = self.ciphers.iter().partition(|c| c.is_aead());
        [aead, other].into_iter().filter(|c| !c.is_empty()).map(|ciphers| Suite { ciphers, ..self.clone() }).collect()
    }

    /// Without any key exchange: the first child SA's keys come from the IKE SA's (RFC 7296 §1.2).
    pub(crate) fn without_groups(&self) -> Suite {
        Suite { groups: Vec::new(), additional: Vec::new(), ..self.clone() }
    }
}

/// All proposals of a configuration, numbered.
pub(crate) fn offer(suites: &[Suite], protocol: u8, spi: &[u8]) -> Vec<Proposal> {
    let all = suites.iter().flat_map(Suite::split);
    (1..=u8::MAX).zip(all).map(|(number, suite)| suite.proposal(number, protocol, spi)).collect()
}

/// The first of our suites that one of the offered proposals allows. `group`: one that must be taken if there is a choice, since the
/// peer has sent a public value for it.
pub(crate) fn choose(suites: &[Suite], protocol: u8, offered: &[Proposal], group: Option<Group>) -> Option<Chosen> {
    let ours = suites.iter().flat_map(Suite::split);
    ours.into_iter().find_map(|suite| offered.iter().filter(|p| p.protocol == protocol).find_map(|p| common(&suite, p, group)))
}

/// The one proposal that a responder has chosen, if it is one of those that we offered (RFC 7296 §2.7: it must be).
pub(crate) fn accepted(suites: &[Suite], protocol: u8, answer: &[Proposal]) -> Option<Chosen> {
    let [one] = answer else { return None };
    choose(suites, protocol, std::slice::from_ref(one), None)
}

fn common(suite: &Suite, offered: &Proposal, preferred: Option<Group>) -> Option<Chosen> {
    let of = |kind: u8| offered.transforms.iter().filter(move |t| t.kind == kind);
    let ids = |kind: u8| of(kind).map(|t| t.id).collect::<Vec<_>>();
    // A transform type that we do not have must not be there (RFC 7296 §3.3.6), except where "none" is among its values.
    let known = |t: &Transform| (kind::ENCR..=kind::ADDKE7).contains(&t.kind);
    if !offered.transforms.iter().all(known) {
        return None;
    }
    let cipher = *suite.ciphers.iter().find(|c| of(kind::ENCR).any(|t| same_cipher(**c, t)))?;
    let integ = ids(kind::INTEG);
    let integrity = if cipher.is_aead() || suite.integrities.is_empty() {
        (integ.is_empty() || integ.contains(&0)).then_some(Integrity::None)?
    } else {
        *suite.integrities.iter().find(|i| integ.contains(&i.to_transform()))?
    };
    let prf_ids = ids(kind::PRF);
    let prf =
        if offered.protocol == protocol::IKE { Some(*suite.prfs.iter().find(|p| prf_ids.contains(&p.transform_id()))?) } else { None };
    let group = choose_group(&suite.groups, &ids(kind::KE), preferred)?;
    let mut additional = Vec::new();
    for kind in kind::ADDKE1..=kind::ADDKE7 {
        let ours: Vec<Group> = suite.additional.iter().filter(|(k, _)| *k == kind).map(|(_, g)| *g).collect();
        // None twice, nor once more what comes first (RFC 9370 §2.2.1).
        let taken = |g: &Group| group == Some(*g) || additional.iter().any(|(_, a)| a == g);
        let free: Vec<Group> = ours.iter().copied().filter(|g| !taken(g)).collect();
        if free.is_empty() && !ours.is_empty() {
            return None;
        }
        if let Some(group) = choose_group(&free, &ids(kind), None)? {
            additional.push((kind, group));
        }
    }
    let esn_ids = ids(kind::ESN);
    let esn = if offered.protocol == protocol::ESP {
        let ours: &[bool] = if suite.esn.is_empty() { &[false] } else { &suite.esn };
        // A proposal without the transform means the same as "no" (RFC 7296 §3.3.2 requires it, some leave it out).
        *ours.iter().find(|e| esn_ids.contains(&u16::from(**e)) || (esn_ids.is_empty() && !**e))?
    } else {
        false
    };
    Some(Chosen { number: offered.number, spi: offered.spi.clone(), cipher, integrity, prf, group, additional, esn })
}

/// `Some(None)`: both do without.
fn choose_group(ours: &[Group], offered: &[u16], preferred: Option<Group>) -> Option<Option<Group>> {
    if ours.is_empty() {
        return (offered.is_empty() || offered.contains(&0)).then_some(None);
    }
    let both = |g: &Group| offered.contains(&g.transform_id());
    preferred.filter(|g| ours.contains(g) && both(g)).or_else(|| ours.iter().copied().find(both)).map(Some)
}

fn same_cipher(cipher: Cipher, t: &Transform) -> bool {
    let (id, bits) = cipher.to_transform();
    let told = t.attributes.iter().find(|(kind, _)| *kind == KEY_LENGTH);
    let told = told.and_then(|(_, value)| Some(u16::from_be_bytes(value.as_slice().try_into().ok()?)));
    t.id == id && told == bits
}

impl Chosen {
    /// The answer's proposal.
    pub(crate) fn proposal(&self, protocol: u8, spi: &[u8]) -> Proposal {
        let suite = Suite {
            ciphers: vec![self.cipher],
            integrities: if self.integrity == Integrity::None { Vec::new() } else { vec![self.integrity] },
            prfs: self.prf.into_iter().collect(),
            groups: self.group.into_iter().collect(),
            additional: self.additional.clone(),
            esn: vec![self.esn],
        };
        suite.proposal(self.number, protocol, spi)
    }
}

fn prf_of(integrity: Integrity) -> Option<Prf> {
    Some(match integrity {
        Integrity::HmacMd5_96 | Integrity::HmacMd5_128 => Prf::HmacMd5,
        Integrity::HmacSha1_96 | Integrity::HmacSha1_160 => Prf::HmacSha1,
        Integrity::HmacSha2_256_128 | Integrity::HmacSha2_256_96 => Prf::HmacSha2_256,
        Integrity::HmacSha2_384_192 => Prf::HmacSha2_384,
        Integrity::HmacSha2_512_256 => Prf::HmacSha2_512,
        Integrity::AesXcbc96 => Prf::AesXcbc,
        Integrity::AesCmac96 => Prf::AesCmac,
        Integrity::None => return None,
    })
}

fn cipher(word: &str) -> Option<Cipher> {
    let bits = |text: &str| match text {
        "" => Some(128),
        "128" | "192" | "256" => text.parse().ok(),
        _ => None,
    };
    // The ICV in octets or in bits, as strongSwan has it.
    let icv = |text: &str| match text {
        "8" | "64" => Some(8),
        "12" | "96" => Some(12),
        "" | "16" | "128" => Some(16),
        _ => None,
    };
    Some(match word {
        "null" => Cipher::Null,
        "des" => Cipher::Des,
        "3des" => Cipher::TripleDes,
        "chacha20poly1305" => Cipher::ChaCha20Poly1305,
        _ => {
            if let Some(rest) = word.strip_prefix("aes") {
                for (mode, make) in [("gcm", Cipher::AesGcm as fn(u16, u8) -> Cipher), ("ccm", Cipher::AesCcm)] {
                    if let Some((key, tag)) = rest.split_once(mode) {
                        return Some(make(bits(key)?, icv(tag)?));
                    }
                }
                if let Some(key) = rest.strip_suffix("gmac") {
                    return Some(Cipher::NullAesGmac(bits(key)?));
                }
                return match rest.strip_suffix("ctr") {
                    Some(key) => Some(Cipher::AesCtr(bits(key)?)),
                    None => Some(Cipher::AesCbc(bits(rest)?)),
                };
            }
            if let Some(rest) = word.strip_prefix("camellia") {
                if let Some((key, tag)) = rest.split_once("ccm") {
                    return Some(Cipher::CamelliaCcm(bits(key)?, icv(tag)?));
                }
                return match rest.strip_suffix("ctr") {
                    Some(key) => Some(Cipher::CamelliaCtr(bits(key)?)),
                    None => Some(Cipher::CamelliaCbc(bits(rest)?)),
                };
            }
            if let Some(key) = word.strip_prefix("blowfish") {
                return Some(Cipher::BlowfishCbc(bits(key)?));
            }
            return (word == "cast128").then_some(Cipher::CastCbc(128));
        }
    })
}

fn integrity(word: &str) -> Option<Integrity> {
    Some(match word {
        "md5" => Integrity::HmacMd5_96,
        "sha" | "sha1" => Integrity::HmacSha1_96,
        "md5_128" => Integrity::HmacMd5_128,
        "sha1_160" => Integrity::HmacSha1_160,
        "sha256_96" => Integrity::HmacSha2_256_96,
        "sha256" | "sha2_256" => Integrity::HmacSha2_256_128,
        "sha384" | "sha2_384" => Integrity::HmacSha2_384_192,
        "sha512" | "sha2_512" => Integrity::HmacSha2_512_256,
        "aesxcbc" => Integrity::AesXcbc96,
        "aescmac" => Integrity::AesCmac96,
        _ => return None,
    })
}

fn prf(word: &str) -> Option<Prf> {
    Some(match word {
        "prfmd5" => Prf::HmacMd5,
        "prfsha1" => Prf::HmacSha1,
        "prfsha256" => Prf::HmacSha2_256,
        "prfsha384" => Prf::HmacSha2_384,
        "prfsha512" => Prf::HmacSha2_512,
        "prfaesxcbc" => Prf::AesXcbc,
        "prfaescmac" => Prf::AesCmac,
        _ => return None,
    })
}

fn group(word: &str) -> Option<Group> {
    let number = match word {
        "modp768" => 1,
        "modp1024" => 2,
        "modp1536" => 5,
        "modp2048" => 14,
        "modp3072" => 15,
        "modp4096" => 16,
        "modp6144" => 17,
        "modp8192" => 18,
        "ecp256" => 19,
        "ecp384" => 20,
        "ecp521" => 21,
        "modp1024s160" => 22,
        "modp2048s224" => 23,
        "modp2048s256" => 24,
        "ecp192" => 25,
        "ecp224" => 26,
        "ecp256bp" => 28,
        "ecp384bp" => 29,
        "ecp512bp" => 30,
        "curve25519" | "x25519" => 31,
        "curve448" | "x448" => 32,
        "mlkem512" => 35,
        "mlkem768" => 36,
        "mlkem1024" => 37,
        _ => return None,
    };
    Group::from_transform_id(number)
}
