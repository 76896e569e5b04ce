//! AES-XCBC-MAC, RFC 3566. No crate has this mode; it is a dozen lines over the `aes` crate's block cipher.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

const BLOCK: usize = 16;

/// The whole MAC of 16 octets over `parts` (RFC 3566 §4); as a PRF it is used uncut (RFC 4434).
pub fn aes_xcbc(key: &[u8; BLOCK], parts: &[&[u8]]) -> [u8; BLOCK] {
    let outer = Aes128::new(key.into());
    let [k1, k2, k3] = [1, 2, 3].map(|n| encrypt(&outer, [n; BLOCK]));
    let inner = Aes128::new(&k1.into());

    let message = parts.concat();
    // The last block is never empty unless the message is.
    let (blocks, rest) = message.split_at(message.len().saturating_sub(1) / BLOCK * BLOCK);
    let chained = blocks.chunks_exact(BLOCK).fold([0; BLOCK], |mac, block| encrypt(&inner, xor(mac, block)));
    let last = if rest.len() == BLOCK {
        xor(xor(chained, rest), &k2)
    } else {
        let padding = [0x80]; // the rest of it is zeros, which change nothing
        let padded = [rest, &padding].concat();
        xor(xor(chained, &padded), &k3)
    };
    encrypt(&inner, last)
}

fn encrypt(cipher: &Aes128, block: [u8; BLOCK]) -> [u8; BLOCK] {
    let mut block = block.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

fn xor(mut block: [u8; BLOCK], other: &[u8]) -> [u8; BLOCK] {
    block.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
    block
}
