//! Encapsulating Security Payload, RFC 4303, and its encapsulation in UDP, RFC 3948.

use crate::crypto::{self, Cipher, Integrity, OpenError};
use crate::reader::Reader;

/// Octets of SPI and sequence number.
pub const HEADER_LEN: usize = 8;

/// SPI and sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// SPI.
    pub spi: u32,
    /// Sequence number.
    pub seq: u32,
}

/// What an ESP packet carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Protocol of the data: 4 or 41 in tunnel mode, 59 in dummy packets.
    pub next_header: u8,
    /// The data, padding and trailer removed.
    pub data: Vec<u8>,
}

/// What a datagram on UDP/4500 is (RFC 3948 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulated<'a> {
    /// One octet 0xFF.
    Keepalive,
    /// IKE after the non-ESP marker.
    Ike(&'a [u8]),
    /// An ESP packet.
    Esp(&'a [u8]),
    /// Too short for any of these.
    Short,
}

/// Sorts the payload of a datagram on UDP/4500.
pub fn encapsulated(payload: &[u8]) -> Encapsulated<'_> {
    match payload {
        [0xff] => Encapsulated::Keepalive,
        [0, 0, 0, 0, ike @ ..] => Encapsulated::Ike(ike),
        _ if payload.len() < HEADER_LEN => Encapsulated::Short,
        _ => Encapsulated::Esp(payload),
    }
}

/// Reads the header.
pub fn parse(packet: &[u8]) -> Option<Header> {
    let mut r = Reader::new(packet);
    Some(Header { spi: r.u32()?, seq: r.u32()? })
}

/// Makes a whole ESP packet around `data`, with the least and default padding (RFC 4303 §2.4). `key` includes the salt of an AEAD or
/// of CTR; `iv` has [`Cipher::iv_len`] octets. With `esn`, the upper half of `seq` is authenticated too (RFC 4303 §2.2.1);
/// without, it is of no account.
///
/// # Errors
///
/// A key or the IV has the wrong length.
#[allow(clippy::too_many_arguments)] // the fields of an SA and of a packet
pub fn encrypt(
    spi: u32,
    seq: u64,
    next_header: u8,
    data: &[u8],
    cipher: Cipher,
    key: &[u8],
    integrity: Integrity,
    integrity_key: &[u8],
    iv: &[u8],
    esn: bool,
) -> Result<Vec<u8>, OpenError> {
    if !cipher.is_aead() && integrity_key.len() != integrity.key_len() {
        return Err(OpenError::Key(integrity_key.len()));
    }
    let (high, low) = ((seq >> 32) as u32, seq as u32);
    let header = [spi.to_be_bytes(), low.to_be_bytes()].concat();
    let pad_len = (data.len() + 2).next_multiple_of(cipher.block_len()) - data.len() - 2;
    let mut text = data.to_vec();
    text.extend((1..).take(pad_len));
    text.extend([pad_len as u8, next_header]);
    let esn = esn.then_some(high);
    let tag = crypto::encrypt(cipher, key, iv, &aad(&header, esn), &mut text)?;
    let icv = if cipher.is_aead() { tag } else { integrity.sign(integrity_key, &[&header, iv, &text, &high_octets(esn)]) };
    Ok([&header, iv, &text, &icv].concat())
}

/// Verifies and decrypts a whole ESP packet. `key` includes the salt of an AEAD or of CTR.
///
/// Extended sequence numbers are tried with a high half of 0: that is what a captured packet does not tell.
pub fn decrypt(packet: &[u8], cipher: Cipher, key: &[u8], integrity: Integrity, integrity_key: &[u8]) -> Result<Opened, OpenError> {
    let plain = decrypt_esn(packet, None, cipher, key, integrity, integrity_key);
    if plain == Err(OpenError::Icv) { decrypt_esn(packet, Some(0), cipher, key, integrity, integrity_key) } else { plain }
}

/// As [`decrypt`], for a receiver, who knows the upper half of the extended sequence number; `None`: there is none.
pub fn decrypt_esn(
    packet: &[u8],
    high: Option<u32>,
    cipher: Cipher,
    key: &[u8],
    integrity: Integrity,
    integrity_key: &[u8],
) -> Result<Opened, OpenError> {
    let short = OpenError::Length(packet.len());
    let (header, rest) = packet.split_at_checked(HEADER_LEN).ok_or(short)?;
    let (iv, rest) = rest.split_at_checked(cipher.iv_len()).ok_or(short)?;
    let icv_len = if cipher.is_aead() { cipher.icv_len() } else { integrity.icv_len() };
    let (text, icv) = rest.len().checked_sub(icv_len).and_then(|n| rest.split_at_checked(n)).ok_or(short)?;
    if !cipher.is_aead() && !integrity.verify(integrity_key, &[header, iv, text, &high_octets(high)], icv) {
        return Err(OpenError::Icv);
    }
    let mut data = text.to_vec();
    let tag = if cipher.is_aead() { icv } else { &[] };
    crypto::decrypt(cipher, key, iv, &aad(header, high), &mut data, tag)?;
    open_trailer(data, icv_len == 0)
}

/// RFC 4106 §5: SPI and sequence number, whose upper half stands between them.
fn aad(header: &[u8], high: Option<u32>) -> Vec<u8> {
    let (spi, low) = header.split_at(4);
    [spi, &high_octets(high), low].concat()
}

/// Behind all that is in the packet, another MAC takes the upper half (RFC 4303 §2.8).
fn high_octets(high: Option<u32>) -> Vec<u8> {
    high.map(|high| high.to_be_bytes().to_vec()).unwrap_or_default()
}

/// Padding, pad length, next header (RFC 4303 §2.4–2.6).
fn open_trailer(mut data: Vec<u8>, unproven: bool) -> Result<Opened, OpenError> {
    let &[.., pad_len, next_header] = &data[..] else { return Err(OpenError::Padding) };
    let end = data.len() - 2;
    let start = end.checked_sub(pad_len.into()).ok_or(OpenError::Padding)?;
    // The default padding counts 1, 2, 3 …; it is all that can show a wrong key when there is no ICV.
    if unproven && data[start..end].iter().zip(1u8..).any(|(octet, n)| *octet != n) {
        return Err(OpenError::Padding);
    }
    data.truncate(start);
    Ok(Opened { next_header, data })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::crypto::tests::every_suite;

    /// An ICMP packet with its trailer, SPI 0x4321, sequence number 7: the packet of draft-mcgrew-gcm-test-01, GMAC.
    #[test]
    fn a_packet_is_that_of_the_gmac_draft() {
        let hex = |text: &str| (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect::<Vec<_>>();
        let key = hex("4c80cdefbb5d10da906ac73c3613a63422433c64");
        let data = hex("45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f7071727374");
        let made = encrypt(0x4321, 7, 1, &data, Cipher::NullAesGmac(128), &key, Integrity::None, &[], &[0; 8], false).unwrap();
        let expected = [&hex("00004321000000070000000000000000"), &data[..], &hex("01020201f2a9a836e155106aa8dcd618e4099aaa")].concat();
        assert_eq!(made, expected);
    }

    #[test]
    fn packets_have_the_lengths_of_their_suites() {
        let cases = [
            (Cipher::AesCbc(128), Integrity::HmacSha1_96, 1540),
            (Cipher::AesCbc(256), Integrity::HmacSha2_256_128, 1544),
            (Cipher::AesCbc(256), Integrity::HmacSha2_512_256, 1560),
            (Cipher::AesGcm(128, 16), Integrity::None, 1536),
            (Cipher::TripleDes, Integrity::HmacSha1_96, 1532),
        ];
        for (cipher, integrity, len) in cases {
            let (key, mac, iv) = (vec![1; cipher.key_len()], vec![2; integrity.key_len()], vec![3; cipher.iv_len()]);
            let packet = encrypt(1, 1, 4, &[0; 1500], cipher, &key, integrity, &mac, &iv, false).unwrap();
            assert_eq!(packet.len(), len, "{cipher:?} {integrity:?}");
        }
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        let make = |key: &[u8], mac: &[u8], iv: &[u8]| {
            encrypt(1, 1, 4, &[], Cipher::AesCbc(128), key, Integrity::HmacSha1_96, mac, iv, false).map(|_| ())
        };
        assert_eq!(make(&[0; 16], &[0; 20], &[0; 16]), Ok(()));
        assert_eq!(make(&[0; 15], &[0; 20], &[0; 16]), Err(OpenError::Key(15)));
        assert_eq!(make(&[0; 16], &[0; 19], &[0; 16]), Err(OpenError::Key(19)));
        assert_eq!(make(&[0; 16], &[0; 20], &[0; 8]), Err(OpenError::Length(8)));
    }

    proptest! {
        #[test]
        fn what_is_encrypted_is_decrypted(spi in any::<u32>(), seq in any::<u64>(), next_header in any::<u8>(), esn in any::<bool>(),
                                          data in proptest::collection::vec(any::<u8>(), 0..100), octet in any::<u8>(),
                                          (cipher, integrity) in select(every_suite())) {
            let (key, mac, iv) = (vec![octet; cipher.key_len()], vec![octet; integrity.key_len()], vec![octet; cipher.iv_len()]);
            let mut packet = encrypt(spi, seq, next_header, &data, cipher, &key, integrity, &mac, &iv, esn).unwrap();
            prop_assert_eq!(parse(&packet), Some(Header { spi, seq: seq as u32 }));
            let high = (seq >> 32) as u32;
            let open = |packet: &[u8], high| decrypt_esn(packet, high, cipher, &key, integrity, &mac);
            let opened = Opened { next_header, data };
            prop_assert_eq!(open(&packet, esn.then_some(high)), Ok(opened.clone()));
            prop_assert_eq!(open(&packet, Some(high ^ 1)), Err(OpenError::Icv));
            prop_assert_eq!(open(&packet, (!esn).then_some(high)), Err(OpenError::Icv));
            // What a capture can show.
            if !esn || high == 0 {
                prop_assert_eq!(decrypt(&packet, cipher, &key, integrity, &mac), Ok(opened));
            }
            let at = usize::from(octet) % packet.len();
            packet[at] ^= 1;
            prop_assert_eq!(open(&packet, esn.then_some(high)), Err(OpenError::Icv));
        }
    }
}
