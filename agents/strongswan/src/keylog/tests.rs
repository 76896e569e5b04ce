use super::*;
use peer::{Cipher, Integrity};

#[test]
fn rows_give_their_octets_and_not_their_ascii() {
    assert_eq!(hex_row("  16: 3A AD 3A 3C 00 00                                :.:<..", 16), Some(vec![0x3a, 0xad, 0x3a, 0x3c, 0, 0]));
    let full = hex_row("   0: 02 00 00 00 61 2E 74 65 73 74 11 22 33 44 55 66  AB CD EF 01 2345", 0).unwrap();
    assert_eq!(full.len(), 16);
    assert_eq!(hex_row("  16: 3A", 0), None);
    assert_eq!(hex_row("nothing: of the kind", 0), None);
}

#[test]
fn names_and_unique_ids_are_read() {
    let l = parse("2026-01-01 10:00:00.400 14[IKE] <west-east|12> Sk_d secret => 32 bytes @ 0x7f\n").unwrap();
    assert_eq!((l.thread, l.sa), ("14", Some(12)));
    assert_eq!(dump_header(l.text), Some(("Sk_d secret", 32)));
    assert_eq!(parse("2026-01-01 10:00:00.400 14[NET] <3> received packet").unwrap().sa, Some(3));
    assert_eq!(parse("2026-01-01 10:00:00.400 00[DMN] signal").unwrap().sa, None);
}

/// A short log: thread 14 handles an IKE_SA_INIT response, then an IKE_AUTH response.
const INITIATOR_LOG: &str = "\
2026-01-01 10:00:00.399 14[CFG] <net|1> selected proposal: IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/ECP_256
2026-01-01 10:00:00.399 14[IKE] <net|1> natd_chunk => 22 bytes @ 0x7f9aac002fd0
2026-01-01 10:00:00.399 14[IKE] <net|1>    0: 8C 1F A0 8B 5F 63 02 BD 70 E1 D4 2F 4E 5A D4 96  ...._c..p../NZ..
2026-01-01 10:00:00.399 14[IKE] <net|1>   16: 0A 09 00 01 01 F4                                ......
2026-01-01 10:00:00.400 14[IKE] <net|1> Sk_ei secret => 20 bytes @ 0x7f9ad4001a90
2026-01-01 10:00:00.400 14[IKE] <net|1>    0: B9 86 38 5B 13 E5 FF AD AA 54 BA C5 0C FF 9A 1F  ..8[.....T......
2026-01-01 10:00:00.400 14[IKE] <net|1>   16: 01 02 03 04                                      ....
2026-01-01 10:00:00.400 14[IKE] <net|1> Sk_er secret => 20 bytes @ 0x7f9ad4001aa0
2026-01-01 10:00:00.400 14[IKE] <net|1>    0: 39 0B 06 8A 13 97 B7 87 95 3E 90 41 77 10 40 66  9........>.Aw.@f
2026-01-01 10:00:00.400 14[IKE] <net|1>   16: 05 06 07 08                                      ....
2026-01-01 10:00:00.403 13[ENC] <net|1> parsed IKE_AUTH response 1 [ IDr AUTH SA TSi TSr ]
2026-01-01 10:00:00.403 13[CHD] <net|1>   using AES_CBC for encryption
2026-01-01 10:00:00.403 13[CHD] <net|1>   using HMAC_SHA2_256_128 for integrity
2026-01-01 10:00:00.403 13[CHD] <net|1> encryption initiator key => 16 bytes @ 0x7f9ac80034e0
2026-01-01 10:00:00.403 13[CHD] <net|1>    0: FC 3B EC FC 5C B1 C3 A5 BC A3 EA A1 E8 A2 BB 64  .;..\\..........d
2026-01-01 10:00:00.403 13[CHD] <net|1> encryption responder key => 16 bytes @ 0x7f9ac80036a0
2026-01-01 10:00:00.403 13[CHD] <net|1>    0: 7A 9B F0 2C 79 48 ED 86 48 2B 81 F9 5B 01 9D 82  z..,yH..H+..[...
2026-01-01 10:00:00.403 13[CHD] <net|1> integrity initiator key => 1 bytes @ 0x7f9ac80025e0
2026-01-01 10:00:00.403 13[CHD] <net|1>    0: 4A                                               J
2026-01-01 10:00:00.403 13[CHD] <net|1> integrity responder key => 1 bytes @ 0x7f9ac8002820
2026-01-01 10:00:00.403 13[CHD] <net|1>    0: 4E                                               N
2026-01-01 10:00:00.403 13[CHD] <net|1> adding inbound ESP SA
2026-01-01 10:00:00.403 13[CHD] <net|1>   SPI 0x7eb09abd, src 10.9.0.2 dst 10.9.0.1
2026-01-01 10:00:00.404 13[CHD] <net|1> adding outbound ESP SA
2026-01-01 10:00:00.404 13[CHD] <net|1>   SPI 0x2cfbf633, src 10.9.0.1 dst 10.9.0.2
";

#[test]
fn an_initiators_log_gives_all_keys_however_it_is_cut() {
    let mut whole = KeyLog::default();
    whole.feed(INITIATOR_LOG.as_bytes());
    let keys = whole.keys();
    let ike = &keys.ikev2[0];
    assert_eq!((ike.spi_i, ike.spi_r), (0x8c1f_a08b_5f63_02bd, 0x70e1_d42f_4e5a_d496));
    assert_eq!((ike.encryption, ike.integrity), (Cipher::AesGcm(128, 16), Integrity::None));
    assert_eq!((ike.sk_ei.len(), ike.sk_er[19]), (20, 8));
    let [inbound, outbound] = keys.esp.as_slice() else { panic!("{keys:?}") };
    assert_eq!((inbound.spi, inbound.key[0], inbound.integrity_key[0]), (0x7eb0_9abd, 0x7a, 0x4e));
    assert_eq!((outbound.spi, outbound.key[0], outbound.integrity_key[0]), (0x2cfb_f633, 0xfc, 0x4a));
    assert_eq!(outbound.dst, Some("10.9.0.2".parse().unwrap()));

    let mut pieces = KeyLog::default();
    INITIATOR_LOG.as_bytes().chunks(7).for_each(|c| pieces.feed(c));
    assert_eq!(pieces.keys(), keys);
}

#[test]
fn a_responder_uses_the_same_keys_the_other_way_round() {
    let log = INITIATOR_LOG.replace("IKE_AUTH response", "IKE_AUTH request");
    let mut keys = KeyLog::default();
    keys.feed(log.as_bytes());
    assert_eq!(keys.keys().esp[0].key[0], 0xfc);
}

#[test]
fn another_threads_lines_do_not_break_a_dump() {
    let mut log = KeyLog::default();
    for line in INITIATOR_LOG.split_inclusive('\n') {
        log.feed(line.as_bytes());
        log.feed(b"2026-01-01 10:00:00.400 07[NET] <other|2> sending packet: from 10.9.0.1[500] to 10.9.0.2[500] (272 bytes)\n");
    }
    assert_eq!((log.keys().ikev2.len(), log.keys().esp.len()), (1, 2));
}

#[test]
fn main_mode_gives_cookies_hash_and_key() {
    let log = "\
2026-01-01 10:00:00.637 12[CFG] <1> selected proposal: IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024
2026-01-01 10:00:00.639 16[IKE] <1> natd_chunk => 22 bytes @ 0x7faa955efa80
2026-01-01 10:00:00.639 16[IKE] <1>    0: 10 3A F8 E0 D6 C9 89 85 8D E7 BE E2 EA 7E 7B 80  .:...........~{.
2026-01-01 10:00:00.639 16[IKE] <1>   16: 0A 09 00 02 01 F4                                ......
2026-01-01 10:00:00.641 16[IKE] <net|1> encryption key Ka => 16 bytes @ 0x7fe07c003dc0
2026-01-01 10:00:00.641 16[IKE] <net|1>    0: 4C AA AB C5 98 81 0B C1 11 A1 E8 2D C6 53 F7 2E  L..........-.S..
";
    let mut keys = KeyLog::default();
    keys.feed(log.as_bytes());
    let ike = &keys.keys().ikev1[0];
    assert_eq!((ike.cookie_i, ike.cookie_r), (0x103a_f8e0_d6c9_8985, 0x8de7_bee2_ea7e_7b80));
    assert_eq!((ike.encryption, ike.hash, ike.key[0]), (Cipher::AesCbc(128), peer::Hash::Sha1, 0x4c));
}

const ESTABLISHED: &str = "2026-01-01 10:00:00.403 13[IKE] <net|1> IKE_SA net[1] established between 10.9.0.1[a]...10.9.0.2[b]\n";

/// A set of keys of an IKE SA.
fn secrets() -> String {
    INITIATOR_LOG.lines().skip(4).take(6).fold(String::new(), |all, l| all + l + "\n")
}

/// strongSwan 6.1.0 (Debian 6.1.0-2) with x25519-ke1_mlkem768: new keys of the same SA after IKE_INTERMEDIATE (RFC 9370 §2.2.2).
#[test]
fn an_additional_key_exchange_gives_the_same_sa_more_keys() {
    let mut log = KeyLog::default();
    log.feed(INITIATOR_LOG.as_bytes());
    log.feed(secrets().replace("B9 86", "91 4E").as_bytes());
    log.feed(ESTABLISHED.as_bytes());
    let [first, second] = log.keys().ikev2.as_slice() else { panic!("{:?}", log.keys()) };
    assert_eq!((first.spi_i, first.spi_r), (second.spi_i, second.spi_r));
    assert_eq!((first.sk_ei[0], second.sk_ei[0]), (0xb9, 0x91));
}

#[test]
fn a_rekeyed_ike_sa_waits_for_its_spis() {
    let mut log = KeyLog::default();
    log.feed(INITIATOR_LOG.as_bytes());
    log.feed(ESTABLISHED.as_bytes());
    log.feed(b"2026-01-01 10:00:09.400 14[CFG] <net|1> selected proposal: IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/ECP_256\n");
    log.feed(secrets().as_bytes());
    log.feed(b"2026-01-01 10:00:09.400 14[IKE] <net|1> IKE_SA net[2] rekeyed between 10.9.0.1[a]...10.9.0.2[b]\n");
    assert_eq!(log.keys().ikev2.len(), 1);
    log.set_spis(2, (7, 8));
    assert_eq!(log.keys().ikev2[1].spi_r, 8);
}

#[test]
fn a_restart_forgets_unique_ids_and_keeps_keys() {
    let mut log = KeyLog::default();
    log.feed(INITIATOR_LOG.as_bytes());
    log.feed(b"2026-01-01 10:00:09.000 00[DMN] Starting IKE charon daemon (strongSwan 5.9.8)\n");
    log.feed(INITIATOR_LOG.replace("8C 1F", "8C 20").as_bytes());
    assert_eq!(log.keys().ikev2.len(), 2);
}

#[test]
fn hostile_lines_do_not_panic() {
    let mut log = KeyLog::default();
    for cut in 0..200 {
        for line in INITIATOR_LOG.lines() {
            log.feed(line.as_bytes().get(..cut).unwrap_or_default());
            log.feed(b"\n");
        }
    }
    log.feed("1[IKE] <net|1> Sk_ei secret => 99999999999999999999 bytes @ 0\n1[CHD] <|1> SPI 0x, src  dst \n\u{fffd}[]\n".as_bytes());
    log.feed(&[0xff, b'[', b']', b' ', 0xfe, b'\n']);
}
