use super::*;

fn read(log: &str) -> Keys {
    let mut keys = KeyLog::default();
    log.lines().for_each(|line| keys.say(line));
    keys.keys().clone()
}

#[test]
fn esp_keys_go_with_the_sa_that_follows_them() {
    let keys = read(
        "ESP enckey:
  70 91 1b c9  10 91 21 a5  45 ef ae 47  1c 93 15 81   p.....!.E..G....
ESP authkey:
  60 9e 46 de  8c 62 4c ce  b2 ff 76 0c  74 4e 82 58   `.F..bL...v.tN.X
  18 40 2c 00                                          .@,.
kernel: NIC esp-hw-offload not for connection 'net' not available on interface va
kernel: add_sa() level=0 outbound tunnel 10.1.0.0/24-ALL->10.9.0.1[d1adf4c9]==>10.9.0.2-ALL->10.2.0.0/24 replay_window=128 HMAC_SHA1_96:20 AES_CBC:16
ESP enckey:
  9e a5 d6 0c  bc bf 46 eb  07 3b d5 c3  b8 8f 85 f1   ......F..;......
  ff a1 de 48                                          ...H
ESP authkey:
                                                       
kernel: add_sa() level=0 inbound transport fd09::2/128-ALL->fd09::2[0000beef]==>fd09::1-ALL->fd09::1/128 +esn replay_window=128 NONE:0 AES_GCM_16:20
",
    );
    let [cbc, gcm] = keys.esp.as_slice() else { panic!("{keys:?}") };
    assert_eq!((cbc.src, cbc.dst), ("10.9.0.1".parse().ok(), "10.9.0.2".parse().ok()));
    assert_eq!((cbc.spi, cbc.encryption, cbc.integrity), (0xd1adf4c9, Cipher::AesCbc(128), Integrity::HmacSha1_96));
    assert_eq!((cbc.key.len(), cbc.integrity_key.len(), cbc.integrity_key[19]), (16, 20, 0));
    assert_eq!((gcm.spi, gcm.encryption, gcm.integrity), (0xbeef, Cipher::AesGcm(128, 16), Integrity::None));
    assert_eq!((gcm.key.len(), gcm.integrity_key.len()), (20, 0));
    assert_eq!(gcm.dst, "fd09::1".parse().ok());
}

#[test]
fn esp_in_udp_is_esp() {
    let keys = read(
        "ESP enckey:
  70 91 1b c9  10 91 21 a5  45 ef ae 47  1c 93 15 81   p.....!.E..G....
ESP authkey:
  60 9e 46 de  8c 62 4c ce  b2 ff 76 0c  74 4e 82 58   `.F..bL...v.tN.X
  18 40 2c 00                                          .@,.
kernel: add_sa() level=0 inbound transport 203.0.113.2/32-ALL->203.0.113.2[a2cdc6af]=espinudp==>198.51.100.2-ALL->198.51.100.2/32 replay_window=128 HMAC_SHA1_96:20 AES_CBC:16
",
    );
    let [sa] = keys.esp.as_slice() else { panic!("{keys:?}") };
    assert_eq!((sa.spi, sa.src, sa.dst), (0xa2cdc6af, "203.0.113.2".parse().ok(), "198.51.100.2".parse().ok()));
}

/// libreswan 5.2 (Debian 5.2-2.2), as it wrote them.
#[test]
fn the_three_lines_of_5_are_read() {
    let keys = read(
        "ESP encrypt key:
  0e df 8c f3  e9 f3 72 47  33 a8 0c 1d  17 2f 4b e2   ......rG3..../K.
ESP integrity key:
  e1 42 cf 8e  85 e3 90 5d  dd 6f 96 3a  ec 38 ea 5d   .B.....].o.:.8.]
  43 59 59 56  72 b7 ad e7  ba f7 4c e7  52 e8 de 91   CYYVr.....L.R...
kernel: NIC esp-hw-offload disabled for connection 'west-east'
\"west-east\" #2: routing:  kernel_ops_add_sa() level=0 INBOUND TUNNEL
\"west-east\" #2: routing:   (src) <unset-selector> -> 192.0.2.2[1eac3dee] ==> 192.0.2.1 -> <unset-selector> (dst)
\"west-east\" #2: routing:   HMAC_SHA2_256_128:32 AES_CBC:16 replay_window=32 esn=no sa_mark_out=auto +dont_encap_dscp ...
\"west-east\" #2: routing:   ... yes
\"west-east\" #2: routing:  kernel_ops_add_sa() level=0 OUTBOUND TUNNEL
\"west-east\" #2: routing:   (src) <unset-selector> -> 192.168.7.10[fa65a6a2]=espinudp ==> 2001:db8:1::2 -> <unset-selector> (dst)
\"west-east\" #2: routing:   HMAC_SHA2_256_128:32 AES_CBC:16 replay_window=32 esn=no ...
",
    );
    // The second has no key of its own: nothing is made up.
    let [sa] = keys.esp.as_slice() else { panic!("{keys:?}") };
    assert_eq!((sa.spi, sa.src, sa.dst), (0x1eac3dee, "192.0.2.2".parse().ok(), "192.0.2.1".parse().ok()));
    assert_eq!((sa.encryption, sa.integrity), (Cipher::AesCbc(128), Integrity::HmacSha2_256_128));
    assert_eq!((sa.key.len(), sa.integrity_key.len()), (16, 32));
    let udp = ends("  (src) <unset-selector> -> 192.168.7.10[fa65a6a2]=espinudp ==> 2001:db8:1::2 -> <unset-selector> (dst)").unwrap();
    assert_eq!((udp.spi, udp.dst), (0xfa65a6a2, "2001:db8:1::2".parse().ok()));
}

#[test]
fn ikev2_keys_need_both_halves() {
    let keys = read(
        "ikev2 I 0xa070bb441a1e90e3 0xc5f8f6b5494bd4d7 sha256:0x0102 aes128:0x000102030405060708090a0b0c0d0e0f
ikev2 R 0xa070bb441a1e90e3 0xc5f8f6b5494bd4d7 sha256:0x0304 aes128:0x100102030405060708090a0b0c0d0e0f
ikev2 R 0x0000000000000001 0xc5f8f6b5494bd4d7 sha256:0x0304 aes128:0x100102030405060708090a0b0c0d0e0f
",
    );
    let [sa] = keys.ikev2.as_slice() else { panic!("{keys:?}") };
    assert_eq!((sa.spi_i, sa.spi_r), (0xa070bb441a1e90e3, 0xc5f8f6b5494bd4d7));
    assert_eq!((sa.encryption, sa.integrity), (Cipher::AesCbc(128), Integrity::HmacSha2_256_128));
    assert_eq!((sa.sk_ai.as_slice(), sa.sk_ar.as_slice(), sa.sk_er[0]), ([1, 2].as_slice(), [3, 4].as_slice(), 0x10));
}

#[test]
fn an_aead_has_its_salts_behind_the_key() {
    let keys = read(
        "   initiator SPI: 00 00 00 00  00 00 00 01
   responder SPI: 00 00 00 00  00 00 00 02
initiator salt extracting all 4 bytes of key@0x552ad5b830
sizeof bytes 16
initiator salt extracted len 16 bytes at 0x552ad87f20
unwrapped:
  64 e9 29 97  00 00 00 00  00 00 00 00  00 00 00 00   d.).............
responder salt extracted len 16 bytes at 0x552ad87f40
unwrapped:
  d5 55 f8 74  00 00 00 00  00 00 00 00  00 00 00 00   .U.t............
chunk_SK_pi extracted len 32 bytes at 0x552ad87f40
unwrapped:
  ff ff ff ff  00 00 00 00  00 00 00 00  00 00 00 00   ................
ikev2 I 0x0000000000000001 0x0000000000000002 none: aes_gcm_16128:0x000102030405060708090a0b0c0d0e0f
ikev2 R 0x0000000000000001 0x0000000000000002 none: aes_gcm_16128:0x100102030405060708090a0b0c0d0e0f
",
    );
    let [sa] = keys.ikev2.as_slice() else { panic!("{keys:?}") };
    assert_eq!(sa.encryption, Cipher::AesGcm(128, 16));
    assert_eq!((&sa.sk_ei[16..], &sa.sk_er[16..]), ([0x64, 0xe9, 0x29, 0x97].as_slice(), [0xd5, 0x55, 0xf8, 0x74].as_slice()));
}

#[test]
fn anything_may_be_fed() {
    for line in
        ["ikev2 I", "ikev2 I 0x 0x : :", "kernel: add_sa() ==>", "kernel: add_sa() a->b[zz]==>c-d:e f:g", "  é é", "ESP enckey:\n  zz"]
    {
        assert_eq!(read(line), Keys::default());
    }
}
