//! Whatever a capture or a scenario holds, nothing that a terminal obeys comes out of the program.

use std::path::{Path, PathBuf};
use std::process::Command;

mod processes;

/// Escape sequences of both kinds, backspace, delete, a change of direction, and the end of a line that begins another one.
const EVIL: &str = "a\u{1b}[31mb\u{8}c\u{7f}d\u{9b}31me\u{202e}f\nFAKE line\r";
/// The same as a TOML string.
const IN_TOML: &str = "\"a\\u001b[31mb\\u0008c\\u007fd\\u009b31me\\u202ef\\nFAKE line\\r\"";

struct Said {
    stdout: String,
    stderr: String,
}

fn faultlab(args: &[&str]) -> Said {
    let out = Command::new(processes::binary()).args(args).output().expect("faultlab runs");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("UTF-8");
    Said { stdout: text(out.stdout), stderr: text(out.stderr) }
}

fn clean(what: &str, said: &Said) {
    for text in [&said.stdout, &said.stderr] {
        let bad = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
        assert!(!text.contains(bad), "{what}: {:?}", text.chars().find(|c| bad(*c)));
        assert!(!text.lines().any(|l| l.starts_with("FAKE")), "{what}: a line of its own\n{text}");
    }
}

/// A scenario in which every text that may hold anything does.
fn hostile(dir: &Path, expect: &str) -> PathBuf {
    let file = dir.join("hostile.toml");
    let text = format!(
        "[scenario]\ntitle = {IN_TOML}\nticket = {IN_TOML}\ndiagnosis = {IN_TOML}\nrfc = [{IN_TOML}]\ntags = [{IN_TOML}]\nhints = [{IN_TOML}]\n\
         [network]\nlayout = \"two-gateways-mid\"\n[health]\nprobes = false\n[gateway.all]\npsk = {IN_TOML}\n\
         [[fault]]\nname = {IN_TOML}\ndo.drop = {{ at = \"mid\", match = \"udp.dstport == 500\" }}\n\
         [[traffic]]\nname = {IN_TOML}\ndo.ping = {{ from = \"alice\", to = \"bob\", count = 1 }}\n\
         [[expect]]\n{expect}\n[fix]\nabout = {IN_TOML}\nwithout = [{IN_TOML}]\n"
    );
    std::fs::write(&file, text).expect("written");
    file
}

#[test]
fn packets_of_hostile_captures() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = dir.path().join("a.pcapng");
    std::fs::write(&file, capture()).expect("written");
    for format in ["human", "json"] {
        let said = faultlab(&["packets", &file.display().to_string(), "--format", format]);
        assert_eq!(said.stdout.lines().count(), 1, "one packet, one line: {}{}", said.stdout, said.stderr);
        clean(format, &said);
    }
    let said = faultlab(&["packets", &file.display().to_string(), "--format", "json"]);
    let packet: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(packet["tap"], EVIL, "JSON says what is there");
}

/// One interface with a name, one packet: DNS, a query for a name.
fn capture() -> Vec<u8> {
    let block = |kind: u32, body: Vec<u8>| {
        let padded = body.len().div_ceil(4) * 4;
        let length = u32::try_from(padded + 12).expect("short").to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &vec![0; padded - body.len()], &length].concat()
    };
    let option = |code: u16, value: &[u8]| {
        let length = u16::try_from(value.len()).expect("short").to_le_bytes();
        [&code.to_le_bytes()[..], &length, value, &vec![0; value.len().div_ceil(4) * 4 - value.len()]].concat()
    };
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let interface = [&[101, 0, 0, 0, 0, 0, 0, 0][..], &option(2, EVIL.as_bytes()), &[0; 4]].concat();
    let name = EVIL.as_bytes();
    let length = u8::try_from(name.len()).expect("short");
    let dns = [&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, length][..], name, &[0, 0, 1, 0, 1]].concat();
    let udp_length = u16::try_from(dns.len() + 8).expect("short");
    let udp = [&[0x14, 0xe9, 0, 53][..], &udp_length.to_be_bytes(), &[0, 0], &dns].concat();
    let total = (udp_length + 20).to_be_bytes();
    let ip = [&[0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2][..], &udp].concat();
    let captured = u32::try_from(ip.len()).expect("short").to_le_bytes();
    let packet = [&[0; 12][..], &captured, &captured, &ip].concat();
    [block(0x0a0d_0d0a, section), block(1, interface), block(6, packet)].concat()
}

#[test]
fn list_show_and_check_of_a_hostile_scenario() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = hostile(dir.path(), "packets = { match = \"esp\", at = \"west.wan\", count = \"0\" }");
    let path = file.display().to_string();
    for args in [&["list", &path][..], &["show", &path], &["check", &path], &["list", &path, "--format", "json"]] {
        let said = faultlab(args);
        assert!(args[0] == "check" || said.stdout.contains("FAKE"), "{args:?}: {}", said.stderr);
        clean(args[0], &said);
    }
}

#[test]
fn mistakes_in_a_hostile_scenario_and_names_of_files() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = hostile(dir.path(), &format!("symptom.{IN_TOML} = {{}}"));
    let raw = dir.path().join("raw.toml");
    std::fs::write(&raw, format!("[scenario]\ntitle = \"{}\"\nnonsense = 1\n", EVIL.replace(['\n', '\r'], " "))).expect("written");
    let evil = dir.path().join(EVIL.replace('/', " "));
    for path in [file, raw, evil] {
        let path = path.display().to_string();
        let said = faultlab(&["check", &path]);
        assert!(!said.stderr.contains("no mistakes"), "{}", said.stderr);
        clean(&path, &said);
        clean(&path, &faultlab(&["packets", &path]));
    }
}

#[test]
fn results_of_a_hostile_scenario() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = hostile(dir.path(), "packets = { match = \"esp\", at = \"west.wan\", count = \"0\" }");
    let (path, evidence) = (file.display().to_string(), dir.path().join("evidence").display().to_string());
    for format in ["human", "junit"] {
        let said = faultlab(&["run", &path, "--pair", "inhouse:inhouse", "--verbose", "--format", format, "--evidence", &evidence]);
        assert!(said.stdout.contains("FAKE") || said.stderr.contains("FAKE"), "{format}: {}{}", said.stdout, said.stderr);
        clean(format, &said);
    }
    let out = dir.path().join("matrix");
    let said = faultlab(&["matrix", &path, "--pairs", "inhouse:inhouse", "--worlds", "host", "--out", &out.display().to_string()]);
    clean("matrix", &said);
    for file in ["junit.xml", "index.html"] {
        let text = std::fs::read_to_string(out.join(file)).expect("a report");
        assert!(!text.contains(|c: char| c != '\n' && c != '\t' && c.is_control()), "{file}");
    }
}
