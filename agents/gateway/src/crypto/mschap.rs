//! MS-CHAPv2 (RFC 2759) and its keys (RFC 3079), as EAP-MSCHAPv2 uses them.

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use md4::Md4;
use sha1::{Digest, Sha1};

/// What both sides know once they have sent their challenges.
#[derive(Clone, Copy)]
pub struct MsChapV2<'a> {
    /// The authenticator's challenge.
    pub authenticator_challenge: [u8; 16],
    /// The peer's challenge.
    pub peer_challenge: [u8; 16],
    /// The peer's user name; a domain before a backslash does not count.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
}

impl MsChapV2<'_> {
    /// The peer's proof (GenerateNTResponse, RFC 2759 §8.1).
    pub fn nt_response(&self) -> [u8; 24] {
        let mut keys = [0; 21];
        keys[..16].copy_from_slice(&self.password_hash());
        let challenge = self.challenge();
        let mut response = [0; 24];
        for (key, block) in keys.chunks_exact(7).zip(response.chunks_exact_mut(8)) {
            block.copy_from_slice(&des(key, challenge));
        }
        response
    }

    /// The authenticator's proof, as it is sent: `S=` and 40 digits (GenerateAuthenticatorResponse, RFC 2759 §8.7).
    pub fn authenticator_response(&self) -> String {
        let digest = Sha1::new()
            .chain_update(self.password_hash_hash())
            .chain_update(self.nt_response())
            .chain_update("Magic server to client signing constant")
            .finalize();
        let digest = Sha1::new()
            .chain_update(digest)
            .chain_update(self.challenge())
            .chain_update("Pad to make it do more than one iteration")
            .finalize();
        digest.iter().fold("S=".to_owned(), |text, octet| text + &format!("{octet:02X}"))
    }

    /// The key that both sides get out of it (RFC 3079 §3): the authenticator's receive key, its send key, and 32 zeros.
    pub fn msk(&self) -> [u8; 64] {
        let digest = Sha1::new()
            .chain_update(self.password_hash_hash())
            .chain_update(self.nt_response())
            .chain_update("This is the MPPE Master Key")
            .finalize();
        let master = &digest[..16];
        let key =
            |what: &str| Sha1::new().chain_update(master).chain_update([0; 40]).chain_update(what).chain_update([0xf2; 40]).finalize();
        let mut msk = [0; 64];
        let receive = key("On the client side, this is the send key; on the server side, it is the receive key.");
        let send = key("On the client side, this is the receive key; on the server side, it is the send key.");
        msk[..16].copy_from_slice(&receive[..16]);
        msk[16..32].copy_from_slice(&send[..16]);
        msk
    }

    /// ChallengeHash (RFC 2759 §8.2).
    fn challenge(&self) -> [u8; 8] {
        let user = self.user.rsplit('\\').next().unwrap_or(self.user);
        let digest = Sha1::new().chain_update(self.peer_challenge).chain_update(self.authenticator_challenge).chain_update(user).finalize();
        let mut challenge = [0; 8];
        challenge.copy_from_slice(&digest[..8]);
        challenge
    }

    /// NtPasswordHash (RFC 2759 §8.3).
    fn password_hash(&self) -> [u8; 16] {
        let utf16: Vec<u8> = self.password.encode_utf16().flat_map(u16::to_le_bytes).collect();
        Md4::digest(utf16).into()
    }

    fn password_hash_hash(&self) -> [u8; 16] {
        Md4::digest(self.password_hash()).into()
    }
}

/// DesEncrypt (RFC 2759 §8.6): 56 bits of key, to which DES wants a parity bit after each seven; it does not look at them.
fn des(key: &[u8], mut block: [u8; 8]) -> [u8; 8] {
    let bits = key.iter().fold(0u64, |bits, octet| bits << 8 | u64::from(*octet));
    let spread: [u8; 8] = std::array::from_fn(|n| ((bits >> (49 - 7 * n)) as u8) << 1);
    Des::new(&spread.into()).encrypt_block((&mut block).into());
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::unhex;

    fn rfc_2759() -> MsChapV2<'static> {
        MsChapV2 {
            authenticator_challenge: unhex("5b5d7c7d7b3f2f3e3c2c602132262628").try_into().unwrap(),
            peer_challenge: unhex("21402324255e262a28295f2b3a337c7e").try_into().unwrap(),
            user: "User",
            password: "clientPass",
        }
    }

    /// RFC 2759 §9.2.
    #[test]
    fn responses() {
        let exchange = rfc_2759();
        assert_eq!(exchange.challenge().to_vec(), unhex("d02e4386bce91226"));
        assert_eq!(exchange.password_hash().to_vec(), unhex("44ebba8d5312b8d611474411f56989ae"));
        assert_eq!(exchange.nt_response().to_vec(), unhex("82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"));
        assert_eq!(exchange.password_hash_hash().to_vec(), unhex("41c00c584bd2d91c4017a2a12fa59f3f"));
        assert_eq!(exchange.authenticator_response(), "S=407A5589115FD0D6209F510FE9C04566932CDA56");
        assert_eq!(MsChapV2 { user: "DOMAIN\\User", ..exchange }.nt_response(), exchange.nt_response());
    }

    /// RFC 3079 §3.5.3 has the server's send key of the same exchange.
    #[test]
    fn keys() {
        let msk = rfc_2759().msk();
        assert_eq!(msk[16..32], unhex("8b7cdc149b993a1ba118cb153f56dccb"));
        assert_ne!(msk[..16], msk[16..32]);
        assert_eq!(msk[32..], [0; 32]);
    }

    /// Letters beyond ASCII are UTF-16: MD4 of the two octets of each.
    #[test]
    fn passwords_are_utf_16() {
        let exchange = MsChapV2 { password: "\u{e9}\u{1f511}", ..rfc_2759() };
        assert_eq!(exchange.password_hash(), <[u8; 16]>::from(Md4::digest([0xe9, 0, 0x3d, 0xd8, 0x11, 0xdd])));
    }
}
