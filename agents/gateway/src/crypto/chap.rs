//! CHAP with MD5 (RFC 1994 §4.1), which EAP-MD5 uses (RFC 3748 §5.4).

use md5::{Digest, Md5};

/// The value that answers a challenge: MD5(identifier | secret | challenge).
pub fn md5_response(identifier: u8, secret: &str, challenge: &[u8]) -> [u8; 16] {
    Md5::new().chain_update([identifier]).chain_update(secret).chain_update(challenge).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::unhex;

    /// RFC 1321 §A.5 has MD5("message digest").
    #[test]
    fn order() {
        assert_eq!(md5_response(b'm', "essage ", b"digest").to_vec(), unhex("f96b697d7cb7938d525a2f31aaf161d0"));
    }
}
