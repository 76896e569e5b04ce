//! AES-XCBC-MAC (RFC 3566), over the `aes` crate's block cipher; no crate has this mode.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

const BLOCK: usize = 16;

/// AES-XCBC-MAC of the parts, one after the other; not truncated (AES-XCBC-MAC-96 is its first 12 octets).
pub fn aes_xcbc(key: [u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let derived = |octet: u8| {
        let mut block = [octet; BLOCK];
        Aes128::new(&key.into()).encrypt_block((&mut block).into());
        block
    };
    let cipher = Aes128::new(&derived(1).into());

    // The last block is special, so a full block is encrypted only when one more octet follows.
    let mut state = [0; BLOCK];
    let mut filled = 0;
    for &octet in parts.iter().copied().flatten() {
        if filled == BLOCK {
            cipher.encrypt_block((&mut state).into());
            filled = 0;
        }
        state[filled] ^= octet;
        filled += 1;
    }
    let mask = if filled == BLOCK {
        derived(2)
    } else {
        state[filled] ^= 0x80;
        derived(3)
    };
    for (s, m) in state.iter_mut().zip(mask) {
        *s ^= m;
    }
    cipher.encrypt_block((&mut state).into());
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::unhex;

    /// RFC 3566 §4.6.
    #[test]
    fn rfc_3566() {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let counting: Vec<u8> = (0..34).collect();
        for (message, mac) in [
            (&counting[..0], "75f0251d528ac01c4573dfd584d79f29"),
            (&counting[..3], "5b376580ae2f19afe7219ceef172756f"),
            (&counting[..16], "d2a246fa349b68a79998a4394ff7a263"),
            (&counting[..20], "47f51b4564966215b8985c63055ed308"),
            (&counting[..32], "f54f0ec8d2b9f3d36807734bd5283fd4"),
            (&counting[..34], "becbb3bccdb518a30677d5481fb6b4d8"),
            (&[0; 1000][..], "f0dafee895db30253761103b5d84528f"),
        ] {
            assert_eq!(aes_xcbc(key, &[message]).to_vec(), unhex(mac), "{} octets", message.len());
            let (a, b) = message.split_at(message.len() / 3);
            assert_eq!(aes_xcbc(key, &[a, &[], b]).to_vec(), unhex(mac), "in parts");
        }
    }
}
