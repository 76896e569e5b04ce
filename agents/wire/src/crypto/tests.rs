//! Vectors of the RFCs and, where they have none for a mode, of those who defined the cipher; both directions each.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Every cipher that has a transform, with its usual key lengths, and for those without a tag every integrity algorithm in turn.
pub(crate) fn every_suite() -> Vec<(Cipher, Integrity)> {
    let mut integrities = (1..=u16::MAX).filter_map(Integrity::from_transform).collect::<Vec<_>>().into_iter().cycle();
    let lengths = || [None].into_iter().chain([40, 128, 192, 256, 448].map(Some));
    let ciphers = (0..64).flat_map(|id| lengths().filter_map(move |bits| Cipher::from_transform(id, bits)));
    ciphers.map(|c| (c, if c.is_aead() { Integrity::None } else { integrities.next().unwrap() })).collect()
}

struct Vector {
    from: &'static str,
    cipher: Cipher,
    key: &'static str,
    iv: &'static str,
    aad: &'static str,
    plain: &'static str,
    /// With the tag of an AEAD behind it.
    sealed: &'static str,
}

/// `BLOCK` of NESSIE's Camellia vectors, set 8 #0: the ciphertext is the same for all key lengths.
const NESSIE_BLOCK: &str = "00112233445566778899aabbccddeeff";
const NESSIE_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const ZERO_BLOCK: &str = "00000000000000000000000000000000";
/// "Single block msg".
const SINGLE_BLOCK: &str = "53696e676c6520626c6f636b206d7367";

fn check(v: &Vector) {
    let (key, iv, aad) = (hex(v.key), hex(v.iv), hex(v.aad));
    let mut data = hex(v.plain);
    let tag = encrypt(v.cipher, &key, &iv, &aad, &mut data).unwrap();
    assert_eq!([&data[..], &tag].concat(), hex(v.sealed), "{}", v.from);
    assert_eq!(tag.len(), v.cipher.icv_len(), "{}", v.from);
    decrypt(v.cipher, &key, &iv, &aad, &mut data, &tag).unwrap();
    assert_eq!(data, hex(v.plain), "{}", v.from);
    if let Some(first) = tag.first() {
        let bent = [&[first ^ 1], &tag[1..]].concat();
        encrypt(v.cipher, &key, &iv, &aad, &mut data).unwrap();
        assert_eq!(decrypt(v.cipher, &key, &iv, &aad, &mut data, &bent), Err(OpenError::Icv), "{}", v.from);
    }
}

#[test]
fn ciphers_agree_with_their_vectors() {
    let vectors = [
        Vector {
            from: "RFC 3602 case 1",
            cipher: Cipher::AesCbc(128),
            key: "06a9214036b8a15b512e03d534120006",
            iv: "3dafba429d9eb430b422da802c9fac41",
            aad: "",
            plain: SINGLE_BLOCK,
            sealed: "e353779c1079aeb82708942dbe77181a",
        },
        Vector {
            from: "RFC 3686 vector 1",
            cipher: Cipher::AesCtr(128),
            key: "ae6852f8121067cc4bf7a5765577f39e 00000030",
            iv: "0000000000000000",
            aad: "",
            plain: SINGLE_BLOCK,
            sealed: "e4095d4fb7a7b3792d6175a3261311b8",
        },
        Vector {
            from: "RFC 3686 vector 8",
            cipher: Cipher::AesCtr(256),
            key: "f6d66d6bd52d59bb0796365879eff886c66dd51a5b6a99744b50590c87a23884 00faac24",
            iv: "c1585ef15a43d875",
            aad: "",
            plain: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            sealed: "f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c",
        },
        Vector {
            from: "RFC 5528 test vector 1",
            cipher: Cipher::CamelliaCtr(128),
            key: "ae6852f8121067cc4bf7a5765577f39e 00000030",
            iv: "0000000000000000",
            aad: "",
            plain: SINGLE_BLOCK,
            sealed: "d09dc29a8214619a20877c76db1f0b3f",
        },
        Vector {
            from: "RFC 2144 appendix B.1",
            cipher: Cipher::CastCbc(128),
            key: "0123456712345678234567893456789a",
            iv: "0000000000000000",
            aad: "",
            plain: "0123456789abcdef",
            sealed: "238b4fe5847e44b2",
        },
        Vector {
            from: "RFC 2144 appendix B.1, 80 bits",
            cipher: Cipher::CastCbc(80),
            key: "01234567123456782345",
            iv: "0000000000000000",
            aad: "",
            plain: "0123456789abcdef",
            sealed: "eb6a711a2c02271b",
        },
        Vector {
            from: "RFC 2144 appendix B.1, 40 bits",
            cipher: Cipher::CastCbc(40),
            key: "0123456712",
            iv: "0000000000000000",
            aad: "",
            plain: "0123456789abcdef",
            sealed: "7ac816d16e9b302e",
        },
        Vector {
            from: "Eric Young's Blowfish vectors, CBC",
            cipher: Cipher::BlowfishCbc(128),
            key: "0123456789abcdeff0e1d2c3b4a59687",
            iv: "fedcba9876543210",
            aad: "",
            plain: "37363534333231204e6f77206973207468652074696d6520666f722000000000",
            sealed: "6b77b4d63006dee605b156e27403979358deb9e7154616d959f1652bd5ff92cc",
        },
        Vector {
            from: "Eric Young's Blowfish vectors, ECB, 64 bits",
            cipher: Cipher::BlowfishCbc(64),
            key: "0123456789abcdef",
            iv: "0000000000000000",
            aad: "",
            plain: "1111111111111111",
            sealed: "61f9c3802281b096",
        },
        Vector {
            from: "NESSIE Camellia 128",
            cipher: Cipher::CamelliaCbc(128),
            key: &NESSIE_KEY[..32],
            iv: ZERO_BLOCK,
            aad: "",
            plain: "410e33f316df4a72aa2bcd4114e2314d",
            sealed: NESSIE_BLOCK,
        },
        Vector {
            from: "NESSIE Camellia 192",
            cipher: Cipher::CamelliaCbc(192),
            key: &NESSIE_KEY[..48],
            iv: ZERO_BLOCK,
            aad: "",
            plain: "941ac6453c3f48a169c2f4fe2bbe5532",
            sealed: NESSIE_BLOCK,
        },
        Vector {
            from: "NESSIE Camellia 256",
            cipher: Cipher::CamelliaCbc(256),
            key: NESSIE_KEY,
            iv: ZERO_BLOCK,
            aad: "",
            plain: "06369b3608ae43ca79c88bcf497f6771",
            sealed: NESSIE_BLOCK,
        },
    ];
    vectors.iter().for_each(check);
}

/// The nonce of 11 octets that IPsec uses is in no RFC; NIST's validation suite (CAVS) has it.
#[test]
fn aeads_agree_with_their_vectors() {
    let vectors = [
        Vector {
            from: "CAVS, CCM, 128 bits, 16 octets of ICV",
            cipher: Cipher::AesCcm(128, 16),
            key: "1e2c7e01419aefc00d58966e5ca24bd3 4fa319",
            iv: "d3015ad830601556",
            aad: "dae6289c452dfd635eda4cb6e6fcf9b70c56cbe4e0057ae10a630978bc2c55de",
            plain: "87a336fd96b39378a92863ba12a31485571e06c97b21ef767f387e8e29a43e7e",
            sealed: "8a1e11f0026be219fc70c46d8eb799abc54ba2acd3f348ff3bb5ce53efdebb02 a986156c13feda0a22b8293dd8399a23",
        },
        Vector {
            from: "CAVS, CCM, 192 bits, 16 octets of ICV",
            cipher: Cipher::AesCcm(192, 16),
            key: "56df5c8f263f0e42ef7ad3cefc846062cab440af5fc9c901 d63c8c",
            iv: "8684b6cdef092e94",
            aad: "0265783ce9213091b1b9da769a786d95f28832a3f250cb4ce300736984698779",
            plain: "9fd2024b5249313c43693a2d8e70ad7ee0e54609808913b28c8bd93f86fbb56b",
            sealed: "39df7c3c5a29b9625d51c216d8bd069f9b6a0970c15183c266881d4f9adae01e c7791158e56b20407aea46428be46fe1",
        },
        Vector {
            from: "CAVS, CCM, 256 bits, 8 octets of ICV",
            cipher: Cipher::AesCcm(256, 8),
            key: "e08d997160d7971abd0199d58adf713ad3df244b5e3d4b4e307ab9d8530a5e2b 1e2991",
            iv: "ad8ec1530acf2dbe",
            aad: "19b61f57c4f3f08b782b9402290f42276b75cb9834087e79e43e490d848b2287",
            plain: "e1d9d813eb3a753f9dbd5f66bedcbb66bf1799624a39271f1ddc24ae192f984c",
            sealed: "19b86133452b43966f51d020307d9bc6263df8c96516a89ff0621734f21e8d75 4e13ccc0c32a542d",
        },
        Vector {
            from: "CAVS, CCM, 256 bits, 12 octets of ICV",
            cipher: Cipher::AesCcm(256, 12),
            key: "7cc8183b8d99e07c4541b8bd5ca7c2328ab80259a4fea92c09759a9b3c9b2739 f9d94e",
            iv: "63b53d9d43f61e50",
            aad: "57f56b8b575c3d3b1302010c834c96358ed639cf7d149b94b03936e68f57e013",
            plain: "3b6c2936b6ef07a68372074fcffa66895fcab1bad58f2c2730db750993d465e4",
            sealed: "b0885a33aae5c71d8523c7c62ff41e3dcc63442507784f9e96b888ebbc481f06 39af39acd84a80397b728af7",
        },
        // The data is an ICMP packet with its ESP trailer; SPI and sequence number are the AAD.
        Vector {
            from: "draft-mcgrew-gcm-test-01, GMAC",
            cipher: Cipher::NullAesGmac(128),
            key: "4c80cdefbb5d10da906ac73c3613a634 22433c64",
            iv: "0000000000000000",
            aad: "0000432100000007",
            plain: GMAC_PACKET,
            sealed: GMAC_SEALED,
        },
        Vector {
            from: "RFC 7634 appendix A",
            cipher: Cipher::ChaCha20Poly1305,
            key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f a0a1a2a3",
            iv: "1011121314151617",
            aad: "0102030400000005",
            plain: "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10\
                    0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223\
                    2425262728292a2b2c2d2e2f303132333435363701020204",
            sealed: "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6\
                     14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3\
                     cbec163fac469b502773f6fb94e664da9165b82829f641e0\
                     76aaa8266b7fb0f7b11b369907e1ad43",
        },
    ];
    vectors.iter().for_each(check);
}

const GMAC_PACKET: &str = "45000030da3a00008001df3bc0a80005c0a800010800c6cd02000700\
                           6162636465666768696a6b6c6d6e6f70717273740102 0201";
const GMAC_SEALED: &str = "45000030da3a00008001df3bc0a80005c0a800010800c6cd02000700\
                           6162636465666768696a6b6c6d6e6f70717273740102 0201\
                           f2a9a836e155106aa8dcd618e4099aaa";

#[test]
fn des_and_triple_des_with_one_key_are_the_same() {
    for cipher in [Cipher::Des, Cipher::TripleDes] {
        let key = hex("133457799bbcdff1").repeat(cipher.key_len() / 8);
        let mut data = hex("0123456789abcdef");
        encrypt(cipher, &key, &[0; 8], &[], &mut data).unwrap();
        assert_eq!(data, hex("85e813540f0ab405"));
        decrypt(cipher, &key, &[0; 8], &[], &mut data, &[]).unwrap();
        assert_eq!(data, hex("0123456789abcdef"));
    }
}

#[test]
fn macs_agree_with_rfc_2202_and_rfc_4231_case_1() {
    let cases = [
        (Integrity::HmacMd5_96, 16, "9294727a3638bb1c13f48ef8"),
        (Integrity::HmacMd5_128, 16, "9294727a3638bb1c13f48ef8158bfc9d"),
        (Integrity::HmacSha1_96, 20, "b617318655057264e28bc0b6"),
        (Integrity::HmacSha1_160, 20, "b617318655057264e28bc0b6fb378c8ef146be00"),
        (Integrity::HmacSha2_256_96, 20, "b0344c61d8db38535ca8afce"),
        (Integrity::HmacSha2_256_128, 20, "b0344c61d8db38535ca8afceaf0bf12b"),
        (Integrity::HmacSha2_384_192, 20, "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec6"),
        (Integrity::HmacSha2_512_256, 20, "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"),
    ];
    for (integrity, key_len, icv) in cases {
        let key = vec![0x0b; key_len];
        assert_eq!(integrity.sign(&key, &[b"Hi There"]), hex(icv), "{integrity:?}");
        assert!(integrity.verify(&key, &[b"Hi ", b"There"], &hex(icv)), "{integrity:?}");
        assert!(!integrity.verify(&key, &[b"Hi there"], &hex(icv)), "{integrity:?}");
        assert!(!integrity.verify(&key, &[b"Hi There"], &hex(icv)[1..]), "{integrity:?}");
    }
}

#[test]
fn aes_xcbc_agrees_with_rfc_3566() {
    let key = hex("000102030405060708090a0b0c0d0e0f");
    let message: Vec<u8> = (0..32).collect();
    let cases = [
        (0, "75f0251d528ac01c4573dfd584d79f29"),
        (3, "5b376580ae2f19afe7219ceef172756f"),
        (16, "d2a246fa349b68a79998a4394ff7a263"),
        (20, "47f51b4564966215b8985c63055ed308"),
        (32, "f54f0ec8d2b9f3d36807734bd5283fd4"),
    ];
    for (len, mac) in cases {
        let parts = message[..len].split_at(len / 2);
        assert_eq!(aes_xcbc(key[..].try_into().unwrap(), &[parts.0, parts.1]).to_vec(), hex(mac), "{len} octets");
        assert_eq!(Integrity::AesXcbc96.sign(&key, &[&message[..len]]), hex(mac)[..12], "{len} octets");
    }
    // RFC 3566 case 6: 34 octets; case 7: 1000 zeros.
    assert_eq!(Integrity::AesXcbc96.sign(&key, &[&(0..34).collect::<Vec<_>>()]), hex("becbb3bccdb518a30677d548"));
    assert_eq!(Integrity::AesXcbc96.sign(&key, &[&[0; 1000]]), hex("f0dafee895db30253761103b"));
}

#[test]
fn aes_cmac_agrees_with_rfc_4494() {
    let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    let message = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
    let cases = [
        (0, "bb1d6929e95937287fa37d12"),
        (16, "070a16b46b4d4144f79bdd9d"),
        (40, "dfa66747de9ae63030ca3261"),
        (64, "51f0bebf7e3b9d92fc497417"),
    ];
    for (len, icv) in cases {
        assert_eq!(Integrity::AesCmac96.sign(&key, &[&message[..len]]), hex(icv), "{len} octets");
    }
}

#[test]
fn a_key_that_does_not_fit_verifies_nothing() {
    for integrity in [Integrity::AesXcbc96, Integrity::AesCmac96] {
        assert!(!integrity.verify(&[1; 15], &[b"x"], &[]), "{integrity:?}");
        assert!(!integrity.verify(&[1; 15], &[b"x"], &[0; 12]), "{integrity:?}");
    }
    assert!(Integrity::None.verify(&[], &[b"x"], &[]));
    assert!(!Integrity::None.verify(&[], &[b"x"], &[0]));
}

#[test]
fn lengths_that_do_not_fit_are_told() {
    let mut data = [0; 15];
    assert_eq!(encrypt(Cipher::AesCbc(128), &[0; 16], &[0; 16], &[], &mut data), Err(OpenError::Length(15)));
    assert_eq!(encrypt(Cipher::AesCbc(128), &[0; 16], &[0; 8], &[], &mut data), Err(OpenError::Length(8)));
    assert_eq!(encrypt(Cipher::AesCbc(128), &[0; 17], &[0; 16], &[], &mut data), Err(OpenError::Key(17)));
    assert_eq!(encrypt(Cipher::BlowfishCbc(8), &[0; 1], &[0; 8], &[], &mut data), Err(OpenError::Key(1)));
    assert_eq!(encrypt(Cipher::AesCcm(128, 10), &[0; 19], &[0; 8], &[], &mut data), Err(OpenError::Length(10)));
    assert_eq!(decrypt(Cipher::AesGcm(128, 16), &[0; 20], &[0; 8], &[], &mut data, &[0; 12]), Err(OpenError::Icv));
}
