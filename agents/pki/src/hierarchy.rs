//! The authorities of a scenario, and what its gateways get from them.

use crate::{AltName, Authority, Issued, Key, KeyPurpose, KeyType, Rng, Template, Validity};

/// A root, and intermediate authorities below one another.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    seed: [u8; 32],
    now: i64,
    key: KeyType,
    /// Root first.
    authorities: Vec<Authority>,
}

/// What a gateway needs to prove itself.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Own certificate first, then the intermediate ones up to, but without, the root; DER.
    pub certificates: Vec<Vec<u8>>,
    /// Private key of the first; PKCS#8, DER.
    pub private_key: Vec<u8>,
}

/// What is wrong with a certificate, or with its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// notAfter was a day ago.
    Expired,
    /// notBefore is in a day.
    NotYetValid,
    /// Another root, of another name, is at the top.
    UnknownAuthority,
    /// Another root of the same name is at the top: only its signature tells.
    ImpostorAuthority,
    /// The names in it are somebody else's.
    OtherIdentity,
    /// The identity is only in the subject's common name: there is no subjectAltName.
    NoSubjectAltName,
    /// extKeyUsage allows nothing but code signing.
    NotForIke,
    /// The last intermediate certificate expired a day ago.
    IntermediateExpired,
    /// The last intermediate certificate is not an authority's.
    IntermediateNotAuthority,
    /// The intermediate certificates are not sent.
    IntermediatesMissing,
    /// Signed with SHA-1; an RSA hierarchy only.
    Sha1,
}

impl Flaw {
    /// Does it need a hierarchy with intermediate authorities?
    pub fn needs_intermediate(self) -> bool {
        matches!(self, Flaw::IntermediateExpired | Flaw::IntermediateNotAuthority | Flaw::IntermediatesMissing)
    }
}

const DAY: i64 = 86_400;

impl Hierarchy {
    /// A root and `intermediates` authorities below it, all with keys of type `key`. `now` is the wall clock that validity is counted
    /// from, seconds since 1970: authorities hold from 30 days before to ten years after it.
    pub fn new(seed: [u8; 32], now: i64, key: KeyType, intermediates: usize) -> Hierarchy {
        let hierarchy = Hierarchy { seed, now, key, authorities: Vec::new() };
        let authorities = hierarchy.authorities("root", "CN=faultlab root,O=faultlab", intermediates, None);
        Hierarchy { authorities, ..hierarchy }
    }

    /// The root's certificate, DER: what gateways trust.
    pub fn anchor(&self) -> Vec<u8> {
        self.authorities[0].certificate().to_vec()
    }

    /// Credentials for `identity` (an address, `user@domain`, a domain name, or a distinguished name with `=`, which becomes the
    /// subject), which hold from a day before to a year after now.
    /// The same identity and flaw always get the same, whatever else is issued, and an identity has the same key with any flaw.
    ///
    /// # Panics
    ///
    /// If the identity cannot be a name of a certificate: no ASCII, or `=` in something that is no distinguished name.
    pub fn issue(&self, identity: &str, flaw: Option<Flaw>) -> Credentials {
        // Key and serial number do not depend on the flaw: exactly one thing is wrong.
        let label = format!("leaf {identity}");
        let intermediates = self.authorities.len() - 1;
        let other = match flaw {
            Some(Flaw::UnknownAuthority) => Some(self.authorities("other", "CN=unknown root,O=elsewhere", intermediates, None)),
            Some(Flaw::ImpostorAuthority) => Some(self.authorities("other", "CN=faultlab root,O=faultlab", intermediates, None)),
            Some(Flaw::IntermediateExpired | Flaw::IntermediateNotAuthority) => {
                Some(self.authorities("root", "CN=faultlab root,O=faultlab", intermediates, flaw))
            }
            _ => None,
        };
        let authorities = other.as_ref().unwrap_or(&self.authorities);
        let issuer = &authorities[intermediates];
        let Issued { certificate, key } = issuer.issue(&self.leaf(identity, flaw), &mut Rng::new(&self.seed, &label));
        let mut certificates = vec![certificate];
        if flaw != Some(Flaw::IntermediatesMissing) {
            certificates.extend(authorities.iter().skip(1).rev().map(|authority| authority.certificate().to_vec()));
        }
        Credentials { certificates, private_key: Key::to_pkcs8_der(&key) }
    }

    fn leaf(&self, identity: &str, flaw: Option<Flaw>) -> Template {
        let name = if flaw == Some(Flaw::OtherIdentity) { "somebody-else.example" } else { identity };
        let (not_before, not_after) = match flaw {
            Some(Flaw::Expired) => (self.now - 2 * DAY, self.now - DAY),
            Some(Flaw::NotYetValid) => (self.now + DAY, self.now + 365 * DAY),
            _ => (self.now - DAY, self.now + 365 * DAY),
        };
        let purposes = match flaw {
            Some(Flaw::NotForIke) => vec![KeyPurpose::CodeSigning],
            _ => vec![KeyPurpose::IpsecIke, KeyPurpose::ServerAuth],
        };
        let distinguished = name.contains('=');
        let names = if distinguished || flaw == Some(Flaw::NoSubjectAltName) { Vec::new() } else { vec![AltName::of(name)] };
        Template {
            subject: if distinguished { name.into() } else { format!("CN={name},O=faultlab") },
            key: self.key,
            validity: Validity { not_before, not_after },
            names,
            purposes,
            ca: false,
            sha1: flaw == Some(Flaw::Sha1),
        }
    }

    /// Root first. The flaw is one of the last intermediate authority.
    fn authorities(&self, label: &str, root: &str, intermediates: usize, flaw: Option<Flaw>) -> Vec<Authority> {
        let template = |subject: String, flaw: Option<Flaw>| Template {
            subject,
            key: self.key,
            validity: Validity {
                not_before: self.now - 30 * DAY,
                not_after: if flaw == Some(Flaw::IntermediateExpired) { self.now - DAY } else { self.now + 3650 * DAY },
            },
            names: Vec::new(),
            purposes: Vec::new(),
            ca: flaw != Some(Flaw::IntermediateNotAuthority),
            sha1: false,
        };
        let mut authorities = vec![Authority::root(&template(root.into(), None), &mut Rng::new(&self.seed, label))];
        for n in 1..=intermediates {
            let flaw = flaw.filter(|_| n == intermediates);
            let template = template(format!("CN=faultlab intermediate {n},O=faultlab"), flaw);
            let rng = &mut Rng::new(&self.seed, &format!("{label} intermediate {n}"));
            authorities.push(authorities[n - 1].subordinate(&template, rng));
        }
        authorities
    }
}
