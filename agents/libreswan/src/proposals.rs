//! Proposals: from strongSwan's notation (`aes128-sha256-modp2048`) to libreswan's (`aes128-sha2_256-modp2048`).
//!
//! An unknown word is refused here; what the daemon does not support (`modp1024` in many builds) it refuses itself.

/// One proposal, sorted by kind. A kind may hold several algorithms.
#[derive(Debug, Default)]
struct Sorted {
    encryption: Vec<String>,
    aead: bool,
    integrity: Vec<&'static str>,
    prf: Vec<&'static str>,
    groups: Vec<String>,
    esn: [bool; 2],
}

/// The values of `ike=`.
pub(crate) fn ike(proposals: &[String]) -> Result<String, String> {
    let each = proposals.iter().map(|p| {
        let sorted = sort(p)?;
        let prf = if sorted.aead {
            if sorted.prf.is_empty() {
                return Err(format!("`{p}` has no PRF, which an AEAD needs beside it"));
            }
            &sorted.prf
        } else {
            // Its one word stands for the PRF and for the integrity made of it.
            if !sorted.prf.is_empty() && sorted.prf != sorted.integrity {
                return Err(format!("`{p}`: this daemon derives the integrity algorithm from the PRF, so they cannot differ"));
            }
            &sorted.integrity
        };
        if prf.is_empty() || sorted.groups.is_empty() {
            return Err(format!("`{p}` has no {}", if prf.is_empty() { "integrity algorithm" } else { "DH group" }));
        }
        Ok([sorted.encryption.join("+"), prf.join("+"), sorted.groups.join("+")].join("-"))
    });
    Ok(each.collect::<Result<Vec<_>, _>>()?.join(","))
}

/// Settings of the child SA that come from its proposals.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Esp {
    /// The value of `esp=`.
    pub(crate) value: String,
    /// Some proposal has a DH group.
    pub(crate) pfs: bool,
    /// The value of `esn=`.
    pub(crate) esn: &'static str,
}

pub(crate) fn esp(proposals: &[String]) -> Result<Esp, String> {
    let sorted = proposals.iter().map(|p| Ok((p, sort(p)?))).collect::<Result<Vec<_>, String>>()?;
    let pfs = sorted.iter().any(|(_, s)| !s.groups.is_empty());
    let mut esn = [false; 2];
    let mut each = Vec::new();
    for (p, s) in &sorted {
        if !s.prf.is_empty() {
            return Err(format!("`{p}`: a child SA has no PRF"));
        }
        if s.encryption.is_empty() {
            return Err(format!("`{p}` has no encryption algorithm"));
        }
        let mut parts = vec![s.encryption.join("+")];
        if !s.aead {
            if s.integrity.is_empty() {
                return Err(format!("`{p}` has no integrity algorithm; this daemon would add one"));
            }
            parts.push(s.integrity.join("+"));
        }
        if pfs {
            // Without a word for it, the group of the IKE SA would be taken.
            parts.push(if s.groups.is_empty() { "none".into() } else { s.groups.join("+") });
        }
        each.push(parts.join("-"));
        let [no, yes] = s.esn;
        esn = [esn[0] || no || !yes, esn[1] || yes];
    }
    let esn = match esn {
        [true, true] => "either",
        [false, true] => "yes",
        _ => "no",
    };
    Ok(Esp { value: each.join(","), pfs, esn })
}

fn sort(proposal: &str) -> Result<Sorted, String> {
    let mut sorted = Sorted::default();
    for word in proposal.split('-') {
        if let Some((name, aead)) = encryption(word) {
            if !sorted.encryption.is_empty() && sorted.aead != aead {
                return Err(format!("`{proposal}` mixes AEAD and other ciphers"));
            }
            sorted.aead = aead;
            sorted.encryption.push(name);
        } else if let Some(name) = integrity(word) {
            sorted.integrity.push(name);
        } else if let Some(name) = word.strip_prefix("prf").and_then(integrity) {
            sorted.prf.push(name);
        } else if let Some(name) = group(word) {
            sorted.groups.push(name);
        } else {
            match word {
                "noesn" => sorted.esn[0] = true,
                "esn" => sorted.esn[1] = true,
                _ => return Err(format!("`{word}` in `{proposal}` is not an algorithm that can be named to this daemon")),
            }
        }
    }
    Ok(sorted)
}

/// The daemon's name, and whether it is an AEAD.
fn encryption(word: &str) -> Option<(String, bool)> {
    match word {
        "3des" | "des" | "null" => return Some((word.into(), false)),
        "chacha20poly1305" => return Some(("chacha20_poly1305".into(), true)),
        _ => {}
    }
    let (family, rest) = ["aes", "camellia"].into_iter().find_map(|f| Some((f, word.strip_prefix(f)?)))?;
    // `aes` alone is 128 bits in strongSwan's notation.
    let bits = if rest.is_empty() { "128" } else { ["128", "192", "256"].into_iter().find(|b| rest.starts_with(b))? };
    let mode = rest.strip_prefix(bits).unwrap_or(rest);
    if mode.is_empty() {
        return Some((format!("{family}{bits}"), false));
    }
    if family != "aes" {
        return None;
    }
    Some(match mode {
        "ctr" => (format!("aes_ctr{bits}"), false),
        "gcm" | "gcm16" | "gcm128" => (format!("aes_gcm_16_{bits}"), true),
        "gcm12" | "gcm96" => (format!("aes_gcm_12_{bits}"), true),
        "gcm8" | "gcm64" => (format!("aes_gcm_8_{bits}"), true),
        "ccm" | "ccm16" | "ccm128" => (format!("aes_ccm_16_{bits}"), true),
        "ccm12" | "ccm96" => (format!("aes_ccm_12_{bits}"), true),
        "ccm8" | "ccm64" => (format!("aes_ccm_8_{bits}"), true),
        _ => return None,
    })
}

fn integrity(word: &str) -> Option<&'static str> {
    Some(match word {
        "md5" => "md5",
        "sha" | "sha1" => "sha1",
        "sha256" | "sha2_256" => "sha2_256",
        "sha384" | "sha2_384" => "sha2_384",
        "sha512" | "sha2_512" => "sha2_512",
        "aesxcbc" => "aes_xcbc",
        "aescmac" => "aes_cmac",
        _ => return None,
    })
}

fn group(word: &str) -> Option<String> {
    let number = match word {
        "ecp256" => 19,
        "ecp384" => 20,
        "ecp521" => 21,
        "modp1024s160" => 22,
        "modp2048s224" => 23,
        "modp2048s256" => 24,
        "curve25519" | "x25519" => 31,
        _ => return word.strip_prefix("modp").filter(|n| n.parse::<u16>().is_ok()).map(|_| word.to_owned()),
    };
    Some(format!("dh{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(all: &[&str]) -> Vec<String> {
        all.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn ike_proposals_are_translated() {
        assert_eq!(ike(&list(&["aes128-sha256-modp2048"])).unwrap(), "aes128-sha2_256-modp2048");
        assert_eq!(ike(&list(&["3des-sha1-modp1024", "aes256-sha512-ecp384"])).unwrap(), "3des-sha1-modp1024,aes256-sha2_512-dh20");
        assert_eq!(ike(&list(&["aes256gcm16-prfsha384-curve25519"])).unwrap(), "aes_gcm_16_256-sha2_384-dh31");
        assert_eq!(ike(&list(&["aes128-aes256-sha1-sha256-modp1536-ecp256"])).unwrap(), "aes128+aes256-sha1+sha2_256-modp1536+dh19");
        assert_eq!(ike(&list(&["aes128-sha256-prfsha256-modp2048"])).unwrap(), "aes128-sha2_256-modp2048");
        for bad in ["rot13-none", "aes128-sha256", "aes128gcm16-ecp256", "aes128-sha1-prfsha256-modp2048", "aes128-modp2048", ""] {
            assert!(ike(&list(&[bad])).is_err(), "{bad}");
        }
    }

    #[test]
    fn esp_proposals_are_translated() {
        let plain = esp(&list(&["aes128-sha256", "aes256gcm16"])).unwrap();
        assert_eq!(plain, Esp { value: "aes128-sha2_256,aes_gcm_16_256".into(), pfs: false, esn: "no" });
        let pfs = esp(&list(&["aes128-sha256-ecp256-esn", "3des-sha1-noesn"])).unwrap();
        assert_eq!(pfs, Esp { value: "aes128-sha2_256-dh19,3des-sha1-none".into(), pfs: true, esn: "either" });
        assert_eq!(esp(&list(&["aes128gcm16-esn"])).unwrap().esn, "yes");
        assert!(esp(&list(&["aes128"])).is_err());
    }
}
