//! The rows of the table: what is tried, and what of it an implementation does not have.

/// Who begins, and hence how many cells a group needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// The in-house gateways are the spokes in both columns; the hub or the spoke begins.
    Either,
    /// The spokes begin, and do what the row is about; the columns differ in who plays them.
    Spokes,
}

/// Rows that share a cell.
pub struct Group {
    pub name: &'static str,
    pub begin: Begin,
    pub ip: &'static str,
    /// Settings of the hub.
    pub hub: &'static str,
    /// Text of the scenario, instead of the star.
    pub template: Option<&'static str>,
    pub rows: Vec<Row>,
}

/// One row: one spoke.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub name: String,
    pub ike: String,
    pub esp: String,
    pub settings: &'static str,
    pub traffic: &'static str,
    pub expect: &'static str,
}

/// The data went through the tunnel, on one SPI each way.
const ESP_SEEN: &str = r#"[[expect]]
symptom.esp-both-ways = { at = "spoke-@n@.wan" }"#;

const IKE: &str = "aes128-sha256-x25519";
/// With the one integrity algorithm that all kernels' ESP can be given by all of them.
const ESP: &str = "aes128-sha1";

/// Traffic for as long as keys change.
const WORK: &str = r#"[[traffic]]
name = "work-@n@"
background = true
do.ping = { from = "host-@n@", to = "server", count = 38, interval = "100ms" }"#;

fn transforms(name: &str, ike: impl Into<String>, esp: impl Into<String>) -> Row {
    Row { name: name.to_owned(), ike: ike.into(), esp: esp.into(), expect: ESP_SEEN, ..Row::default() }
}

/// For IKE and ESP at once; an AEAD needs a PRF beside it.
fn cipher(word: &str) -> Row {
    let aead = word.contains("gcm") || word.contains("ccm") || word.contains("poly1305");
    let rest = if aead { "prfsha256" } else { "sha256" };
    transforms(word, format!("{word}-{rest}-x25519"), if aead { word.to_owned() } else { format!("{word}-sha1") })
}

fn spoke(name: &str, settings: &'static str, expect: &'static str) -> Row {
    let expect = if expect.is_empty() { ESP_SEEN } else { expect };
    Row { settings, expect, ..transforms(name, IKE, ESP) }
}

fn lively(name: &str, settings: &'static str, expect: &'static str) -> Row {
    Row { traffic: WORK, ..spoke(name, settings, expect) }
}

fn group(name: &'static str, begin: Begin, rows: Vec<Row>) -> Group {
    Group { name, begin, ip: "v4", hub: "", template: None, rows }
}

pub fn groups() -> Vec<Group> {
    let with_hub = |hub: &'static str, group: Group| Group { hub, ..group };
    vec![
        group("AEADs", Begin::Either, aeads()),
        group("ciphers", Begin::Either, ciphers()),
        group("integrity and PRFs", Begin::Either, hashes()),
        group("key exchange", Begin::Either, exchanges()),
        Group { ip: "v6", ..group("IPv6", Begin::Spokes, vec![spoke("IPv6", "", "")]) },
        with_hub("auth = \"certificate\"\ncertificate = { key = \"rsa2048\" }", group("authentication", Begin::Spokes, authentication())),
        // libreswan is told which kind of key its peer has.
        with_hub("auth = \"certificate\"\ncertificate = { key = \"ecdsa256\" }", group("authentication by ECDSA", Begin::Spokes, ecdsa())),
        with_hub("auth = \"certificate\"\nfragment-size = 576", group("fragmentation", Begin::Spokes, fragmentation())),
        Group {
            template: Some(include_str!("../../interop/cookie.toml")),
            ..group("cookie", Begin::Spokes, vec![spoke("COOKIE", "", "")])
        },
        with_hub("mobike = true", group("life", Begin::Spokes, life())),
        additional(),
        // In a cell of its own: not everybody can take both kinds of re-keying on one connection.
        group("perfect forward secrecy", Begin::Spokes, vec![pfs()]),
        Group {
            template: Some(include_str!("../../interop/children.toml")),
            ..group("several children", Begin::Spokes, vec![spoke("two child SAs under one IKE SA", "", "")])
        },
        Group {
            template: Some(include_str!("../../interop/mobike.toml")),
            ..group("roaming", Begin::Spokes, vec![spoke("MOBIKE, moved to another address", "", "")])
        },
        Group {
            template: Some(include_str!("../../interop/nat.toml")),
            ..group("NAT", Begin::Spokes, vec![spoke("NAT traversal", "", "")])
        },
    ]
}

/// What so far only our own has, on both sides.
pub fn additional() -> Group {
    let row = |name: &str, settings, traffic, expect| Row {
        settings,
        traffic,
        expect,
        ..transforms(name, format!("{IKE}-ke1_mlkem768"), format!("{ESP}-x25519-ke1_mlkem768"))
    };
    let rows = vec![
        row("x25519 and ML-KEM", "", "", INTERMEDIATE),
        row("x25519 and ML-KEM, child SA re-keyed", "child-rekey = \"1s\"", WORK, HYBRID_CHILD),
        row("x25519 and ML-KEM, IKE SA re-keyed", "ike-rekey = \"1s\"", WORK, HYBRID_IKE_SA),
    ];
    group("additional key exchange", Begin::Spokes, rows)
}

/// What only a kernel's ESP has.
pub fn kernel_groups() -> Vec<Group> {
    let mut rows: Vec<Row> = ["aes128gmac", "aes192gmac", "aes256gmac"].map(|word| transforms(word, IKE, word)).into();
    rows.push(transforms("ESN", IKE, "aes128-sha256-esn"));
    rows.push(transforms("ESN, AEAD", IKE, "aes128gcm16-esn"));
    vec![group("kernel's ESP", Begin::Either, rows)]
}

fn aeads() -> Vec<Row> {
    let sizes = |mode: &str| ["128", "192", "256"].map(|bits| mode.replace('#', bits)).to_vec();
    let mut words: Vec<String> =
        ["aes#gcm8", "aes#gcm12", "aes#gcm16", "aes#ccm8", "aes#ccm12", "aes#ccm16"].iter().flat_map(|m| sizes(m)).collect();
    words.extend(["camellia#ccm8", "camellia#ccm12", "camellia#ccm16"].iter().flat_map(|m| sizes(m)));
    words.push("chacha20poly1305".into());
    words.iter().map(|w| cipher(w)).collect()
}

fn ciphers() -> Vec<Row> {
    let words = "aes128 aes192 aes256 aes128ctr aes192ctr aes256ctr camellia128 camellia192 camellia256 camellia128ctr camellia192ctr \
        camellia256ctr 3des blowfish128 blowfish192 blowfish256 cast128";
    let mut rows: Vec<Row> = words.split_whitespace().map(cipher).collect();
    rows.extend(["des", "null"].map(|word| transforms(&format!("{word} (ESP)"), IKE, format!("{word}-sha1"))));
    rows
}

fn hashes() -> Vec<Row> {
    let integrity = "md5 sha1 sha256 sha384 sha512 aesxcbc aescmac".split(' ');
    let mut rows: Vec<Row> = integrity.clone().map(|w| transforms(w, format!("aes128-{w}-x25519"), format!("aes128-{w}"))).collect();
    rows.extend(["md5_128", "sha1_160", "sha256_96"].map(|w| transforms(&format!("{w} (ESP)"), IKE, format!("aes128-{w}"))));
    rows.extend(integrity.map(|w| transforms(&format!("prf{w}"), format!("aes128-sha256-prf{w}-x25519"), ESP)));
    rows
}

fn exchanges() -> Vec<Row> {
    let words = "modp2048 modp768 modp1024 modp1536 modp3072 modp4096 modp6144 modp8192 modp1024s160 modp2048s224 modp2048s256 ecp192 \
        ecp224 ecp256 ecp384 ecp521 ecp224bp ecp256bp ecp384bp ecp512bp x25519 x448 mlkem512 mlkem768 mlkem1024";
    words.split_whitespace().map(|w| transforms(w, format!("aes128-sha256-{w}"), ESP)).collect()
}

fn authentication() -> Vec<Row> {
    vec![
        spoke("PSK", "peer-auth = \"certificate\"", ""),
        spoke("RSA 2048", "auth = \"certificate\"\ncertificate = { key = \"rsa2048\" }", ""),
        spoke("RSA 3072", "auth = \"certificate\"\ncertificate = { key = \"rsa3072\" }", ""),
        spoke("intermediate CA", "auth = \"certificate\"\ncertificate = { key = \"rsa2048\", intermediates = 1 }", ""),
        spoke("EAP-MSCHAPv2", "auth = \"eap-mschapv2\"", ""),
        spoke("EAP-MD5", "auth = \"eap-md5\"", ""),
    ]
}

fn ecdsa() -> Vec<Row> {
    vec![
        spoke("ECDSA 256", "auth = \"certificate\"\ncertificate = { key = \"ecdsa256\" }", ""),
        spoke("ECDSA 384", "auth = \"certificate\"\ncertificate = { key = \"ecdsa384\" }", ""),
        spoke("ECDSA, intermediate CA", "auth = \"certificate\"\ncertificate = { key = \"ecdsa256\", intermediates = 1 }", ""),
    ]
}

fn fragmentation() -> Vec<Row> {
    let settings = "auth = \"certificate\"\ncertificate = { key = \"rsa2048\" }\nfragment-size = 576";
    // Exchange type 35 with payload type 53, both ways.
    let expect = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 35 && isakmp.nextpayload == 53 && isakmp.flag_r == 0", at = "spoke-@n@.wan", count = ">= 2" }
[[expect]]
packets = { match = "isakmp.exchangetype == 35 && isakmp.nextpayload == 53 && isakmp.flag_r == 1", at = "spoke-@n@.wan", count = ">= 2" }"#;
    vec![spoke("fragments of 576 octets", settings, expect)]
}

/// A child SA is re-keyed by the spoke, and nothing is lost.
const CHILD: &str = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 36 && isakmp.flag_r == 0 && ip.dst == 192.0.2.2 && isakmp.notify.msgtype == 16393", at = "spoke-@n@.wan", count = ">= 2" }
[[expect]]
packets = { match = "isakmp.exchangetype == 36 && isakmp.flag_r == 1 && ip.src == 192.0.2.2 && isakmp.prop.protoid == 3", at = "spoke-@n@.wan", count = ">= 2" }
[[expect]]
symptom.probe = { step = "work-@n@", outcome = ["ok"] }"#;

/// The same, with a Diffie-Hellman exchange of its own.
const PFS: &str = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 36 && isakmp.flag_r == 1 && ip.src == 192.0.2.2 && isakmp.key_exchange.dh_group == 31", at = "spoke-@n@.wan", count = ">= 2" }
[[expect]]
symptom.probe = { step = "work-@n@", outcome = ["ok"] }"#;

/// ML-KEM-768 before IKE_AUTH.
const INTERMEDIATE: &str = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 43 && isakmp.flag_r == 1", at = "spoke-@n@.wan", count = ">= 1" }
[[expect]]
symptom.esp-both-ways = { at = "spoke-@n@.wan" }"#;

/// ML-KEM-768 after CREATE_CHILD_SA for the child SA, and nothing is lost.
const HYBRID_CHILD: &str = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 36 && isakmp.flag_r == 1 && isakmp.prop.protoid == 3 && isakmp.notify.msgtype == 16441", at = "spoke-@n@.wan", count = ">= 2" }
[[expect]]
packets = { match = "isakmp.exchangetype == 44 && isakmp.flag_r == 1 && isakmp.key_exchange.dh_group == 36", at = "spoke-@n@.wan", count = ">= 2" }
[[expect]]
symptom.probe = { step = "work-@n@", outcome = ["ok"] }"#;

/// The same for the IKE SA, whose successors say so in their messages, too.
const HYBRID_IKE_SA: &str = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 36 && isakmp.flag_r == 1 && isakmp.prop.protoid == 1 && isakmp.notify.msgtype == 16441", at = "spoke-@n@.wan", count = ">= 2" }
[[expect]]
packets = { match = "isakmp.exchangetype == 44 && isakmp.flag_r == 1 && isakmp.key_exchange.dh_group == 36", at = "spoke-@n@.wan", count = ">= 2" }
[[expect]]
symptom.probe = { step = "work-@n@", outcome = ["ok"] }"#;

/// The IKE SA is re-keyed, and the new one can re-key the child SA.
const IKE_SA: &str = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 36 && isakmp.flag_r == 1 && ip.src == 192.0.2.2 && isakmp.prop.protoid == 1", at = "spoke-@n@.wan", count = ">= 1" }
[[expect]]
packets = { match = "isakmp.exchangetype == 36 && isakmp.flag_r == 1 && ip.src == 192.0.2.2 && isakmp.prop.protoid == 3 && isakmp.messageid < 3", at = "spoke-@n@.wan", count = ">= 1" }
[[expect]]
symptom.probe = { step = "work-@n@", outcome = ["ok"] }"#;

const REAUTHENTICATION: &str = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 35 && isakmp.flag_r == 1", at = "spoke-@n@.wan", count = ">= 2" }
[[expect]]
symptom.probe = { step = "work-@n@", outcome = ["ok"] }"#;

const LIVENESS: &str = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 37 && isakmp.flag_r == 0 && ip.dst == 192.0.2.2", at = "spoke-@n@.wan", count = ">= 1" }
[[expect]]
packets = { match = "isakmp.exchangetype == 37 && isakmp.flag_r == 1 && ip.src == 192.0.2.2", at = "spoke-@n@.wan", count = ">= 1" }"#;

const MOBIKE: &str = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 35 && isakmp.flag_r == 0 && isakmp.notify.msgtype == 16396", at = "spoke-@n@.wan", count = ">= 1" }
[[expect]]
packets = { match = "isakmp.exchangetype == 35 && isakmp.flag_r == 1 && isakmp.notify.msgtype == 16396", at = "spoke-@n@.wan", count = ">= 1" }"#;

const IN_UDP: &str = r#"[[expect]]
packets = { match = "udp.port == 4500 && esp && ip.dst == 192.0.2.2", at = "spoke-@n@.wan", count = ">= 2" }
[[expect]]
packets = { match = "udp.port == 4500 && esp && ip.src == 192.0.2.2", at = "spoke-@n@.wan", count = ">= 2" }"#;

const CHILDLESS: &str = r#"[[expect]]
packets = { match = "isakmp.exchangetype == 36 && isakmp.flag_r == 1 && isakmp.prop.protoid == 3", at = "spoke-@n@.wan", count = ">= 1" }"#;

fn pfs() -> Row {
    Row { esp: "aes128-sha1-x25519".into(), ..lively("child SA re-keyed with PFS", "child-rekey = \"1s\"", PFS) }
}

fn life() -> Vec<Row> {
    vec![
        lively("child SA re-keyed", "child-rekey = \"1s\"", CHILD),
        // Not at the same moment: charon forgets the child's while the IKE SA changes.
        lively("IKE SA re-keyed", "ike-rekey = \"2s\"\nchild-rekey = \"3s\"", IKE_SA),
        lively("IKE SA re-authenticated", "reauth = \"1s\"", REAUTHENTICATION),
        spoke("liveness check", "dpd-delay = \"1s\"", LIVENESS),
        spoke("IKE SA without a child", "childless = true", CHILDLESS),
        spoke("ESP in UDP without a NAT", "force-encap = true", IN_UDP),
        spoke("MOBIKE, agreed", "mobike = true", MOBIKE),
    ]
}
