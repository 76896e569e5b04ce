//! NAT detection hashes: RFC 3947 §3.2 (IKEv1) and RFC 7296 §2.23 (IKEv2).

use std::net::IpAddr;

use crate::crypto::Hash;

/// IKEv1 NAT-D: HASH(CKY-I | CKY-R | IP | port) with the hash negotiated for the ISAKMP SA.
pub fn v1(hash: Hash, cookie_i: u64, cookie_r: u64, ip: IpAddr, port: u16) -> Vec<u8> {
    hash.digest(&input(cookie_i, cookie_r, ip, port))
}

/// IKEv2 NAT_DETECTION_*_IP: SHA-1(SPIi | SPIr | IP | port).
pub fn v2(spi_i: u64, spi_r: u64, ip: IpAddr, port: u16) -> [u8; 20] {
    use sha1::Digest;
    sha1::Sha1::digest(input(spi_i, spi_r, ip, port)).into()
}

fn input(spi_i: u64, spi_r: u64, ip: IpAddr, port: u16) -> Vec<u8> {
    let mut data = Vec::with_capacity(34);
    data.extend(spi_i.to_be_bytes());
    data.extend(spi_r.to_be_bytes());
    match ip {
        IpAddr::V4(a) => data.extend(a.octets()),
        IpAddr::V6(a) => data.extend(a.octets()),
    }
    data.extend(port.to_be_bytes());
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_hash_the_same_input() {
        let ip = IpAddr::from([192, 0, 2, 1]);
        // From sha1sum over the 22 octets.
        let known = "e551650fd0b1c24a937f8f251b195b30fec944e4";
        assert_eq!(v2(1, 2, ip, 500).map(|b| format!("{b:02x}")).concat(), known);
        assert_eq!(v1(Hash::Sha1, 1, 2, ip, 500), v2(1, 2, ip, 500));
        assert_ne!(v2(1, 2, ip, 500), v2(1, 2, ip, 4500));
        assert_eq!(v1(Hash::Md5, 1, 2, ip, 500).len(), 16);
    }
}
