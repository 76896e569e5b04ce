//! Vectors of the RFCs.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn aes_ctr_agrees_with_rfc_3686_vector_1() {
    let key = hex("ae6852f8121067cc4bf7a5765577f39e00000030");
    let mut data = hex("e4095d4fb7a7b3792d6175a3261311b8");
    decrypt(Cipher::AesCtr(128), &key, &[0; 8], &[], &mut data, &[]).unwrap();
    assert_eq!(data, b"Single block msg");
}

#[test]
fn aes_cbc_agrees_with_rfc_3602_case_1() {
    let (key, iv) = (hex("06a9214036b8a15b512e03d534120006"), hex("3dafba429d9eb430b422da802c9fac41"));
    let mut data = hex("e353779c1079aeb82708942dbe77181a");
    decrypt(Cipher::AesCbc(128), &key, &iv, &[], &mut data, &[]).unwrap();
    assert_eq!(data, b"Single block msg");
}

#[test]
fn des_and_triple_des_with_one_key_are_the_same() {
    let key = hex("133457799bbcdff1");
    for (cipher, key) in [(Cipher::Des, key.clone()), (Cipher::TripleDes, key.repeat(3))] {
        let mut data = hex("85e813540f0ab405");
        decrypt(cipher, &key, &[0; 8], &[], &mut data, &[]).unwrap();
        assert_eq!(data, hex("0123456789abcdef"));
    }
}

#[test]
fn macs_agree_with_rfc_2202_and_rfc_4231_case_1() {
    let cases = [
        (Integrity::HmacMd5_96, 16, "9294727a3638bb1c13f48ef8"),
        (Integrity::HmacSha1_96, 20, "b617318655057264e28bc0b6"),
        (Integrity::HmacSha2_256_128, 20, "b0344c61d8db38535ca8afceaf0bf12b"),
        (Integrity::HmacSha2_384_192, 20, "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec6"),
        (Integrity::HmacSha2_512_256, 20, "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"),
    ];
    for (integrity, key_len, icv) in cases {
        let key = vec![0x0b; key_len];
        assert!(integrity.verify(&key, &[b"Hi ", b"There"], &hex(icv)), "{integrity:?}");
        assert!(!integrity.verify(&key, &[b"Hi there"], &hex(icv)), "{integrity:?}");
        assert!(!integrity.verify(&key, &[b"Hi There"], &hex(icv)[1..]), "{integrity:?}");
    }
}
