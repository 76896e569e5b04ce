//! Issues the certificates that a plan describes. Keys come from the scenario's name, dates from the beginning of the side.

use std::collections::{BTreeMap, BTreeSet};

use pki::{AltName, Authority, KeyPurpose, KeyType, Rng, Template, Validity};
use sha2::{Digest, Sha256};

use crate::scenario::certificates::{Certificate, CertificateKey};
use crate::scenario::model::Plan;

/// Authorities hold for ten years on both sides of now, so that a gateway whose clock is wrong does not doubt them.
const TEN_YEARS: i64 = 3650 * 86_400;

/// Puts certificates, keys and trusted authorities into the gateways' settings. `now`: seconds since 1970.
pub fn issue(plan: &mut Plan, now: i64) {
    let wanted = |g: &crate::scenario::model::GatewayPlan| g.certificates.own.clone();
    // An authority has a key of each kind that it is asked to certify; one that certifies nothing has one, too.
    let mut used: BTreeMap<String, BTreeSet<CertificateKey>> = BTreeMap::new();
    for certificate in plan.gateways.iter().filter_map(wanted) {
        used.entry(certificate.ca).or_default().insert(certificate.key);
    }
    let mut office = Office { seed: Sha256::digest(&plan.scenario).into(), now, authorities: BTreeMap::new() };
    for gateway in &mut plan.gateways {
        let own = gateway.certificates.own.as_ref().map(|c| office.certificate(&gateway.config.name, c));
        for connection in &mut gateway.config.connections {
            if let Some((certificates, private_key)) = &own {
                connection.auth.certificates.clone_from(certificates);
                connection.auth.private_key = private_key.clone().into();
            }
            let unused = BTreeSet::from([CertificateKey::default()]);
            for name in gateway.certificates.trust.get(&connection.name).into_iter().flatten() {
                let keys = used.get(name).unwrap_or(&unused);
                connection.auth.anchors.extend(keys.iter().map(|key| office.authority(name, *key, 0).certificate().to_vec()));
            }
        }
    }
}

/// Makes every authority once.
struct Office {
    seed: [u8; 32],
    now: i64,
    /// By name, kind of key, and how far below the root.
    authorities: BTreeMap<(String, CertificateKey, u8), Authority>,
}

impl Office {
    fn authority(&mut self, ca: &str, key: CertificateKey, level: u8) -> Authority {
        let place = (ca.to_owned(), key, level);
        if let Some(found) = self.authorities.get(&place) {
            return found.clone();
        }
        let title = if level == 0 { "root".to_owned() } else { format!("intermediate {level}") };
        let template = Template {
            subject: format!("CN={ca} {} {title},O=faultlab", key.word()),
            key: kind(key),
            validity: Validity { not_before: self.now - TEN_YEARS, not_after: self.now + TEN_YEARS },
            names: Vec::new(),
            purposes: Vec::new(),
            ca: true,
            sha1: false,
        };
        let rng = &mut Rng::new(&self.seed, &format!("authority {ca} {} {level}", key.word()));
        let authority = match level.checked_sub(1) {
            None => Authority::root(&template, rng),
            Some(above) => self.authority(ca, key, above).subordinate(&template, rng),
        };
        self.authorities.insert(place, authority.clone());
        authority
    }

    /// The chain, own certificate first, and its private key; DER. A gateway has the same key whatever else its certificate says.
    fn certificate(&mut self, gateway: &str, wanted: &Certificate) -> (Vec<Vec<u8>>, Vec<u8>) {
        let not_before = self.now + wanted.valid_from;
        let distinguished = wanted.id.contains('=');
        let template = Template {
            subject: if distinguished { wanted.id.clone() } else { format!("CN={},O=faultlab", wanted.id) },
            key: kind(wanted.key),
            validity: Validity { not_before, not_after: not_before + wanted.valid_for },
            names: if distinguished { Vec::new() } else { vec![AltName::of(&wanted.id)] },
            purposes: vec![KeyPurpose::IpsecIke, KeyPurpose::ServerAuth],
            ca: false,
            sha1: false,
        };
        let rng = &mut Rng::new(&self.seed, &format!("gateway {gateway} {}", wanted.key.word()));
        let issued = self.authority(&wanted.ca, wanted.key, wanted.intermediates).issue(&template, rng);
        let mut chain = vec![issued.certificate];
        if wanted.send_intermediates {
            chain.extend((1..=wanted.intermediates).rev().map(|n| self.authority(&wanted.ca, wanted.key, n).certificate().to_vec()));
        }
        (chain, issued.key.to_pkcs8_der())
    }
}

fn kind(key: CertificateKey) -> KeyType {
    match key {
        CertificateKey::Rsa1024 => KeyType::Rsa1024,
        CertificateKey::Rsa2048 => KeyType::Rsa2048,
        CertificateKey::Rsa3072 => KeyType::Rsa3072,
        CertificateKey::Rsa4096 => KeyType::Rsa4096,
        CertificateKey::Ecdsa256 => KeyType::EcdsaP256,
        CertificateKey::Ecdsa384 => KeyType::EcdsaP384,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{self, Source, Vocabulary};

    const NOW: i64 = 1_767_225_600;

    fn plan(gateways: &str) -> Plan {
        let text = format!("[scenario]\ntitle = 'x'\nkind = 'control'\n[network]\nlayout = 'two-gateways'\n[gateway]\n{gateways}");
        let vocabulary = Vocabulary::new(vec![], |_| Ok(()));
        let mut plan = scenario::load(&Source::new("scenarios/a/x.toml", text), &vocabulary).unwrap_or_else(|e| panic!("{e}")).broken;
        issue(&mut plan, NOW);
        plan
    }

    fn auth(plan: &Plan, gateway: &str) -> peer::Authentication {
        plan.gateway(gateway).unwrap().connections[0].auth.clone()
    }

    #[test]
    fn each_trusts_the_authority_of_the_other() {
        let both = plan("all.auth = 'certificate'\nwest.certificate = { ca = 'a', intermediates = 2 }\neast.certificate.ca = 'b'");
        let (west, east) = (auth(&both, "west"), auth(&both, "east"));
        assert_eq!((west.certificates.len(), east.certificates.len()), (3, 1));
        assert_eq!((west.anchors.len(), east.anchors.len()), (1, 1));
        assert_ne!(west.anchors, east.anchors);
        assert!(!west.private_key.expose().is_empty() && west.private_key != east.private_key);
        let again = plan("all.auth = 'certificate'\nwest.certificate = { ca = 'a', intermediates = 2 }\neast.certificate.ca = 'b'");
        assert_eq!(auth(&again, "west"), west, "the same scenario has the same certificates");
    }

    #[test]
    fn dates_change_nothing_else() {
        let good = auth(&plan("all.auth = 'certificate'"), "west");
        let late = auth(&plan("all.auth = 'certificate'\nwest.certificate = { valid-from = '-2d', valid-for = '1d' }"), "west");
        assert_eq!(good.private_key, late.private_key);
        assert_eq!(good.anchors, late.anchors);
        assert_ne!(good.certificates, late.certificates);
    }

    #[test]
    fn without_certificates_nothing_is_made() {
        let both = plan("west.auth = 'certificate'\neast.psk = 'k'");
        assert!(auth(&both, "west").anchors.is_empty() && auth(&both, "east").certificates.is_empty());
        assert_eq!((auth(&both, "west").certificates.len(), auth(&both, "east").anchors.len()), (1, 1));
    }

    #[test]
    fn trust_in_strangers_is_trust_in_nobody_else() {
        let both = plan("all.auth = 'certificate'\neast.trust = ['elsewhere']");
        let (west, east) = (auth(&both, "west"), auth(&both, "east"));
        assert_eq!((west.anchors.len(), east.anchors.len()), (1, 1));
        assert_ne!(west.anchors, east.anchors);
    }
}
