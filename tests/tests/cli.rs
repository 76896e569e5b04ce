//! The command line: wrong input of every kind gives one clear message and the right exit code.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn program() -> PathBuf {
    let mut path = std::env::current_exe().expect("own path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("faultlab")
}

fn faultlab(args: &[&str]) -> Output {
    Command::new(program()).args(args).current_dir(root()).output().expect("faultlab runs")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs, checks the exit code, returns stdout and stderr together.
fn says(args: &[&str], code: i32) -> String {
    let out = faultlab(args);
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!(out.status.code(), Some(code), "faultlab {args:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("file is written");
    let path = path.display().to_string();
    (dir, path)
}

#[test]
fn help_and_version_are_not_errors() {
    assert!(says(&["--help"], 0).contains("run"));
    assert!(says(&["--version"], 0).starts_with("faultlab "));
}

#[test]
fn an_unknown_command_or_option_is_wrong_input() {
    assert!(says(&["rum"], 2).contains("run"), "the nearest word is named");
    assert!(says(&["run", "--jobs", "many"], 2).contains("many"));
    assert!(says(&[], 2).contains("Usage"));
}

#[test]
fn an_unknown_scenario_is_wrong_input_and_the_nearest_one_is_named() {
    let text = says(&["run", "psk-mismatch-v3"], 2);
    assert!(text.contains("psk-mismatch-v2"), "{text}");
}

#[test]
fn an_unknown_implementation_is_wrong_input() {
    let text = says(&["run", "psk-mismatch-v2", "--pair", "racoon:strongswan"], 2);
    assert!(text.contains("racoon") && text.contains("strongswan"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let text = says(&["check", "no/such/file.toml"], 2);
    assert!(text.contains("no/such/file.toml"), "{text}");
    let text = says(&["packets", "no/such/capture.pcap"], 2);
    assert!(text.contains("no/such/capture.pcap"), "{text}");
}

#[test]
fn broken_toml_is_shown_with_its_position() {
    let (_dir, path) = file("x.toml", "[scenario\ntitle = 1\n");
    let text = says(&["check", &path], 2);
    assert!(text.contains("x.toml:1:"), "{text}");
}

#[test]
fn a_file_whose_name_leads_elsewhere_is_no_scenario() {
    let text = std::fs::read_to_string(root().join("scenarios/authentication/psk-mismatch-v2.toml")).expect("readable");
    for name in ["...toml", "..toml", "-x.toml", "A.toml", "a b.toml", "a_b.toml"] {
        let (dir, path) = file(name, &text);
        let evidence = dir.path().join("below/evidence").display().to_string();
        for command in [&["check"][..], &["show"], &["run", "--evidence", &evidence], &["matrix", "--out", &evidence]] {
            let all: Vec<&str> = command[..1].iter().copied().chain([path.as_str()]).chain(command[1..].iter().copied()).collect();
            assert!(says(&all, 2).contains("cannot be a name"), "{all:?}");
        }
        assert!(!dir.path().join("below").exists(), "{name}");
    }
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let (_dir, path) = file(
        "y.toml",
        "[scenario]\ntitle = \"t\"\n[network]\nlayout = \"two-gatways\"\n[gateway.west]\nike = \"v3\"\n[[expect]]\npackets = { match = \"udp.dstprt == 500\" }\n",
    );
    let text = says(&["check", &path], 2);
    for part in ["two-gateways", "v3", "udp.dstport"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

#[test]
fn a_file_that_is_too_large_is_refused_and_of_many_mistakes_some_are_shown() {
    let head = "[scenario]\ntitle = \"t\"\n[network]\nlayout = \"two-gateways\"\n";
    let (_dir, path) = file("large.toml", &format!("{head}{}", "# nothing\n".repeat(200_000)));
    assert!(says(&["check", &path], 2).contains("larger than 1024 KiB"));
    let faults: String = (0..4000).map(|n| format!("[[fault]]\nname = \"f{n}\"\ndo.drip = {{}}\n")).collect();
    let (_dir, path) = file("many.toml", &format!("{head}{faults}"));
    let text = says(&["check", &path], 2);
    assert_eq!(text.matches("error[").count(), 50, "{text}");
    assert!(text.contains("… and 3952 more") && text.contains("4002 mistakes in "), "{text}");
}

#[test]
fn a_filter_typo_points_into_the_string() {
    let (_dir, path) = file("empty.pcap", "");
    let text = says(&["packets", &path, "ip.scr == 1.2.3.4"], 2);
    assert!(text.contains("ip.src") || text.contains("empty.pcap"), "{text}");
}

#[test]
fn explain_knows_symptoms_faults_and_verdicts() {
    assert!(says(&["explain", "retransmission"], 0).contains("RFC 7296"));
    assert!(says(&["explain", "link-mtu"], 0).contains("MTU"));
    assert!(says(&["explain", "fault-not-in-force"], 0).len() > 50);
    assert!(says(&["explain", "retransmision"], 2).contains("retransmission"));
}

#[test]
fn list_and_show() {
    assert!(says(&["list"], 0).contains("ike-udp500-silent-drop"));
    assert!(says(&["list", "--format", "json"], 0).contains("\"id\""));
    let text = says(&["show", "ike-udp500-silent-drop"], 0);
    for part in ["alice", "west", "mid", "east", "bob", "192.0.2.1"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

#[test]
fn every_scenario_checks() {
    assert!(says(&["check"], 0).contains("no mistakes"));
}

#[test]
fn completions_for_common_shells() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(says(&["completions", shell], 0).contains("faultlab"));
    }
}

#[test]
fn a_shell_needs_a_kept_run() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let text = says(&["shell", &dir.path().display().to_string(), "west"], 2);
    assert!(text.contains("--keep"), "{text}");
}

#[test]
fn a_folder_is_no_scenario() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let folder = dir.path().display().to_string();
    for command in ["check", "run", "show"] {
        assert!(says(&[command, &folder], 2).contains("is a folder"), "{command}");
    }
    assert!(says(&["packets", &folder], 2).contains("is a directory"));
}

#[test]
fn octets_that_are_no_text_are_named_with_their_file() {
    let (dir, path) = file("x.toml", "");
    std::fs::write(&path, [0xff, 0xfe, 0, 1]).expect("file is written");
    assert!(says(&["check", &path], 2).contains("x.toml"));
    // Also when nobody asked for this file, but for the folder.
    assert!(says(&["--scenarios", &dir.path().display().to_string(), "list"], 2).contains("x.toml"));
}

#[test]
fn captures_that_are_none_or_end_too_early() {
    let (_dir, path) = file("a.pcap", "");
    assert!(says(&["packets", &path], 2).contains("empty"));
    std::fs::write(&path, "[scenario]\n").expect("file is written");
    assert!(says(&["packets", &path], 2).contains("neither pcap nor pcapng"));
    // A pcap's header and half a packet header.
    let mut octets = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    octets.extend([0; 7]);
    std::fs::write(&path, octets).expect("file is written");
    assert!(says(&["packets", &path], 2).contains("damaged after frame 0"));
}

#[test]
fn numbers_and_words_out_of_range() {
    for args in [
        ["run", "ok-v2-psk", "--jobs", "0"],
        ["run", "ok-v2-psk", "--jobs", "100000"],
        ["run", "ok-v2-psk", "--jobs=-1", "-v"],
        ["run", "ok-v2-psk", "--world", "mars"],
        ["run", "ok-v2-psk", "--only", "both"],
        ["run", "ok-v2-psk", "--format", "xml"],
        ["run", "ok-v2-psk", "--pair", "strongswan"],
        ["run", "ok-v2-psk", "--pair", ":"],
        ["matrix", "ok-v2-psk", "--jobs", "0"],
        ["matrix", "ok-v2-psk", "--shard", "3/2"],
        ["packets", "x.pcap", "-c", "many"],
    ] {
        says(&args, 2);
    }
}

#[test]
fn evidence_that_cannot_be_written_is_wrong_input_before_anything_runs() {
    let (_dir, path) = file("taken", "");
    let text = says(&["run", "ok-v2-psk", "--evidence", &path], 2);
    assert!(text.contains(&path) && text.contains("--evidence"), "{text}");
}

#[test]
fn a_full_disk_is_not_success() {
    for args in [&["list"][..], &["explain", "notify"], &["completions", "bash"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let out = Command::new(program()).args(args).current_dir(root()).stdout(full).output().expect("faultlab runs");
        assert_eq!(out.status.code(), Some(3), "{args:?}");
        assert!(String::from_utf8_lossy(&out.stderr).contains("stdout"), "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let out = Command::new(program()).arg("list").current_dir(root()).stdout(writer).output().expect("faultlab runs");
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
}

/// The program where everybody can read it, in a folder where everybody can write.
fn copy_for_everybody(folder: &Path) -> PathBuf {
    let copy = folder.join("faultlab");
    std::fs::copy(program(), &copy).expect("binary is copied");
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("permissions are set");
    copy
}

/// Without privilege and without unprivileged user namespaces, `run` says so once and ends with 3.
#[test]
fn missing_privilege_is_said_clearly() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("missing_privilege_is_said_clearly: skipped(needs root to give privilege away)");
        return;
    }
    let evidence = tempfile::tempdir().expect("temporary folder");
    // As nobody, with user namespaces forbidden in a throw-away parent namespace.
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
    let copy = copy_for_everybody(evidence.path());
    let out = Command::new("unshare")
        .args(["--user", "--map-users=all", "--map-groups=all", "--setuid", "0", "--setgid", "0", "sh", "-c", script, "sh"])
        .arg(&copy)
        .args(["run", "psk-mismatch-v2", "--world", "host", "--evidence"])
        .arg(evidence.path().join("runs"))
        .output();
    let Ok(out) = out else {
        eprintln!("missing_privilege_is_said_clearly: skipped(unshare is not installed)");
        return;
    };
    let text = String::from_utf8_lossy(&out.stderr);
    if text.contains("unshare:") || text.contains("Permission denied") && !text.contains("skipped") {
        eprintln!("missing_privilege_is_said_clearly: skipped(cannot set the stage here: {})", text.trim());
        return;
    }
    assert_eq!(out.status.code(), Some(3), "{text}");
    assert!(text.contains("namespace"), "{text}");
}

/// As nobody, where no strongSwan, no `nft` and no other program can be found: the in-house gateway needs none.
#[test]
fn nothing_need_be_installed() {
    const WHAT: [&str; 4] = ["psk-mismatch-v2", "esp-blocked-ike-ok", "natt-disabled-pat-drops-esp", "nat-two-clients-one-address"];
    // The distributions' udev lets everybody open it; without udev it may be root's alone.
    let open_to_all = std::fs::metadata("/dev/net/tun").is_ok_and(|tun| tun.mode() & 0o006 == 0o006);
    if !nix::unistd::geteuid().is_root() || !open_to_all {
        eprintln!("nothing_need_be_installed: skipped(needs root to give privilege away, and a /dev/net/tun that everybody may open)");
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let copy = copy_for_everybody(folder.path());
    // charon is looked for by its path.
    let script = "for d in /usr/lib/ipsec /usr/libexec/ipsec; do [ ! -d $d ] || mount -t tmpfs none $d || exit 9; done; \
        PATH=/nonexistent exec $(command -v setpriv) --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --no-new-privs \"$@\"";
    let out = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(&copy)
        .args(["run", "--world", "host", "--pair", "inhouse:inhouse", "--evidence"])
        .arg(folder.path().join("runs"))
        .args(WHAT)
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .output();
    let Ok(out) = out else {
        eprintln!("nothing_need_be_installed: skipped(unshare is not installed)");
        return;
    };
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if out.status.code() == Some(9) || text.contains("unshare:") || text.contains("setpriv:") {
        eprintln!("nothing_need_be_installed: skipped(cannot set the stage here: {})", text.trim());
        return;
    }
    assert_eq!(out.status.code(), Some(0), "{text}");
    assert!(text.contains("4 reproduced"), "{text}");
}
