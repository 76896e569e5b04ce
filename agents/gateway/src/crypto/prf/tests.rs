use super::*;
use crate::crypto::unhex;

/// RFC 2202 §2 and §3, RFC 4231 §4.2, §4.3, §4.7, §4.8: (key, data, MD5, SHA-1) and (key, data, SHA-256, SHA-384, SHA-512).
#[test]
fn hmac_vectors() {
    let jefe = (b"Jefe".to_vec(), b"what do ya want for nothing?".to_vec());
    let check = |prf: Prf, (key, data): &(Vec<u8>, Vec<u8>), mac: &str| {
        assert_eq!(prf.compute(key, &[data]), unhex(mac), "{prf:?}");
        let (a, b) = data.split_at(data.len() / 2);
        assert_eq!(prf.compute(key, &[a, &[], b]), unhex(mac), "{prf:?} in parts");
    };
    check(Prf::HmacMd5, &(vec![0x0b; 16], b"Hi There".to_vec()), "9294727a3638bb1c13f48ef8158bfc9d");
    check(Prf::HmacMd5, &jefe, "750c783e6ab0b503eaa86e310a5db738");
    let long = b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec();
    check(Prf::HmacMd5, &(vec![0xaa; 80], long.clone()), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    check(Prf::HmacSha1, &(vec![0x0b; 20], b"Hi There".to_vec()), "b617318655057264e28bc0b6fb378c8ef146be00");
    check(Prf::HmacSha1, &jefe, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    check(Prf::HmacSha1, &(vec![0xaa; 80], long.clone()), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    let one = (vec![0x0b; 20], b"Hi There".to_vec());
    check(Prf::HmacSha2_256, &one, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check(Prf::HmacSha2_256, &jefe, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    check(Prf::HmacSha2_384, &one, "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6");
    check(
        Prf::HmacSha2_512,
        &one,
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
    );
    let larger = (vec![0xaa; 131], long);
    check(Prf::HmacSha2_256, &larger, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    check(Prf::HmacSha2_384, &larger, "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952");
    check(
        Prf::HmacSha2_512,
        &larger,
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
    );
}

/// RFC 4434 §2.1: keys of 16, 10 and 18 octets.
#[test]
fn xcbc_keys() {
    let key: Vec<u8> = (0..16).chain([0xed, 0xcb]).collect();
    let message: Vec<u8> = (0..20).collect();
    assert_eq!(Prf::AesXcbc.compute(&key[..16], &[&message]), unhex("47f51b4564966215b8985c63055ed308"));
    assert_eq!(Prf::AesXcbc.compute(&key[..10], &[&message]), unhex("0fa087af7d866e7653434e602fdde835"));
    assert_eq!(Prf::AesXcbc.compute(&key, &[&message]), unhex("8cd3c93ae598a9803006ffb67c40e9e4"));
}

/// RFC 4615 §4: keys of 18, 16 and 10 octets.
#[test]
fn cmac_keys() {
    let key: Vec<u8> = (0..16).chain([0xed, 0xcb]).collect();
    let message: Vec<u8> = (0..20).collect();
    assert_eq!(Prf::AesCmac.compute(&key, &[&message]), unhex("84a348a4a45d235babfffc0d2b4da09a"));
    assert_eq!(Prf::AesCmac.compute(&key[..16], &[&message]), unhex("980ae87b5f4c9c5214f5b6a8455e4c2d"));
    assert_eq!(Prf::AesCmac.compute(&key[..10], &[&message]), unhex("290d9e112edb09ee141fcf64c0b72f3d"));
}

/// The parts of prf+ are chained as RFC 7296 §2.13 draws it.
#[test]
fn plus_chains() {
    for id in 0..=u16::MAX {
        let Some(prf) = Prf::from_transform_id(id) else { continue };
        assert_eq!(prf.transform_id(), id);
        assert_eq!(prf.compute(b"k", &[]).len(), prf.output_len());
        let t1 = prf.compute(b"key", &[b"seed", &[1]]);
        let t2 = prf.compute(b"key", &[&t1, b"seed", &[2]]);
        let t3 = prf.compute(b"key", &[&t2, b"seed", &[3]]);
        let all = [t1, t2, t3].concat();
        for len in [0, 1, prf.output_len(), prf.output_len() + 1, all.len()] {
            assert_eq!(prf.plus(b"key", b"seed", len), all[..len], "{prf:?} {len}");
        }
        assert_eq!(prf.plus(b"key", b"seed", 255 * prf.output_len()).len(), 255 * prf.output_len());
    }
}

#[test]
fn nonces() {
    let (ni, nr) = ([1; 32], [2; 16]);
    assert_eq!(Prf::HmacSha1.nonces_as_key(&ni, &nr).len(), 48);
    assert_eq!(Prf::AesCmac.nonces_as_key(&ni, &nr), [[1; 8], [2; 8]].concat());
    assert_eq!(Prf::AesXcbc.nonces_as_key(&ni, &nr[..4]), [&[1; 8][..], &[2; 4]].concat());
}
