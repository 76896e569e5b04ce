//! Algorithms: from strongSwan's notation to iked's, and from iked's log to the terms of key tables.

use peer::{Cipher, Integrity};

/// What a proposal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Ike,
    Child,
}

/// Translates `aes128-sha256-modp2048` into `enc aes-128 auth hmac-sha2-256 prf hmac-sha2-256 group modp2048`. `Err`: why iked
/// cannot do that.
pub(crate) fn transforms(proposal: &str, of: For) -> Result<String, String> {
    let (mut out, mut prfs, mut auths) = (Vec::new(), Vec::new(), Vec::new());
    for word in proposal.split('-') {
        if let Some(name) = encryption(word) {
            out.push(format!("enc {name}"));
            usable(name, of)?;
        } else if let Some(name) = hash(word) {
            if of == For::Child && name == "hmac-sha2-256" {
                // It knows no PF_KEY number for it: Linux's means a checksum of 96 bits instead of RFC 4868's 128.
                return Err("OpenIKED for Linux cannot give a kernel SA HMAC-SHA2-256; it can md5, sha1, sha384, sha512".into());
            }
            auths.push(name);
        } else if let Some(name) = word.strip_prefix("prf").and_then(hash) {
            prfs.push(name);
        } else if let Some(name) = group(word) {
            out.push(format!("group {name}"));
        } else if word == "noesn" && of == For::Child {
            out.push("noesn".into());
        } else if word == "esn" {
            return Err("Linux's PF_KEY has no extended sequence numbers".into());
        } else {
            return Err(format!("iked has no algorithm `{word}`"));
        }
    }
    if of == For::Ike {
        // As in strongSwan: without a word of its own the PRF is the integrity algorithm's.
        let prfs = if prfs.is_empty() { &auths } else { &prfs };
        if prfs.is_empty() {
            return Err("it names no PRF".into());
        }
        out.extend(prfs.iter().map(|p| format!("prf {p}")));
    } else if !prfs.is_empty() {
        return Err("a child SA has no PRF".into());
    }
    out.extend(auths.iter().map(|a| format!("auth {a}")));
    Ok(out.join(" "))
}

fn encryption(word: &str) -> Option<&'static str> {
    Some(match word {
        "aes" | "aes128" => "aes-128",
        "aes192" => "aes-192",
        "aes256" => "aes-256",
        "aes128ctr" => "aes-128-ctr",
        "aes192ctr" => "aes-192-ctr",
        "aes256ctr" => "aes-256-ctr",
        "aes128gcm16" | "aes128gcm128" => "aes-128-gcm",
        "aes192gcm16" | "aes192gcm128" => "aes-192-gcm",
        "aes256gcm16" | "aes256gcm128" => "aes-256-gcm",
        "aes128gcm12" | "aes128gcm96" => "aes-128-gcm-12",
        "aes256gcm12" | "aes256gcm96" => "aes-256-gcm-12",
        "chacha20poly1305" => "chacha20-poly1305",
        "3des" => "3des",
        "null" => "null",
        _ => return None,
    })
}

/// Each of these was tried with OpenIKED 7.2 on Linux 6.1.
fn usable(name: &str, of: For) -> Result<(), String> {
    let counter = name.ends_with("-ctr");
    let aead = name.contains("gcm") || name.contains("poly1305");
    match of {
        For::Child if aead => Err("PF_KEY on Linux has no AEAD ciphers".into()),
        For::Child if name == "null" => Err("PF_KEY on Linux refuses iked's NULL encryption (EINVAL)".into()),
        For::Ike if counter || name == "null" || name.starts_with("chacha") => Err(format!("iked has no {name} for IKE SAs")),
        _ => Ok(()),
    }
}

fn hash(word: &str) -> Option<&'static str> {
    Some(match word {
        "md5" => "hmac-md5",
        "sha" | "sha1" => "hmac-sha1",
        "sha256" | "sha2_256" => "hmac-sha2-256",
        "sha384" | "sha2_384" => "hmac-sha2-384",
        "sha512" | "sha2_512" => "hmac-sha2-512",
        _ => return None,
    })
}

fn group(word: &str) -> Option<&'static str> {
    Some(match word {
        "modp768" => "modp768",
        "modp1024" => "modp1024",
        "modp1536" => "modp1536",
        "modp2048" => "modp2048",
        "modp3072" => "modp3072",
        "modp4096" => "modp4096",
        "modp6144" => "modp6144",
        "modp8192" => "modp8192",
        "ecp192" => "ecp192",
        "ecp224" => "ecp224",
        "ecp256" => "ecp256",
        "ecp384" => "ecp384",
        "ecp521" => "ecp521",
        "ecp224bp" => "brainpool224",
        "ecp256bp" => "brainpool256",
        "ecp384bp" => "brainpool384",
        "ecp512bp" => "brainpool512",
        "curve25519" | "x25519" => "curve25519",
        _ => return None,
    })
}

/// The algorithms that were agreed on last, as the log tells them one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) cipher: Option<Cipher>,
    pub(crate) integrity: Integrity,
}

impl Default for Suite {
    fn default() -> Suite {
        Suite { cipher: None, integrity: Integrity::None }
    }
}

impl Suite {
    /// Takes `ENCR AES_CBC 128`, `INTEGR HMAC_SHA1_96` …; others do not matter here.
    pub(crate) fn take(&mut self, transform: &str) {
        let mut words = transform.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("ENCR"), Some(name), bits) => self.cipher = Cipher::from_name(name, bits.and_then(|b| b.parse().ok())),
            (Some("INTEGR"), Some(name), _) => self.integrity = Integrity::from_name(name).unwrap_or(Integrity::None),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_are_translated() {
        assert_eq!(
            transforms("aes128-sha256-modp2048", For::Ike).as_deref(),
            Ok("enc aes-128 group modp2048 prf hmac-sha2-256 auth hmac-sha2-256")
        );
        assert_eq!(transforms("aes256gcm16-prfsha384-ecp384", For::Ike).as_deref(), Ok("enc aes-256-gcm group ecp384 prf hmac-sha2-384"));
        assert_eq!(transforms("aes128-aes256-sha1", For::Child).as_deref(), Ok("enc aes-128 enc aes-256 auth hmac-sha1"));
        assert_eq!(transforms("3des-md5-x25519-noesn", For::Child).as_deref(), Ok("enc 3des group curve25519 noesn auth hmac-md5"));
    }

    #[test]
    fn what_it_cannot_do_is_refused_with_the_reason() {
        for (proposal, of, word) in [
            ("aes128-sha256", For::Child, "HMAC-SHA2-256"),
            ("aes128gcm16", For::Child, "AEAD"),
            ("aes128-sha1-esn", For::Child, "sequence numbers"),
            ("aes128ctr-sha1-modp1024", For::Ike, "aes-128-ctr"),
            ("aes128gcm16-ecp256", For::Ike, "no PRF"),
            ("rot13-none", For::Ike, "`rot13`"),
        ] {
            let reason = transforms(proposal, of).unwrap_err();
            assert!(reason.contains(word), "{proposal}: {reason}");
        }
    }
}
