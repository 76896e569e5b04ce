//! The verdict must be able to fail: scenarios that are wrong on purpose, and some that are right and used by nobody else.

use std::path::PathBuf;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

mod processes;

use processes::binary;

fn main() {
    let arguments = Arguments::from_args();
    let able = std::process::Command::new(binary()).arg("doctor").output().is_ok_and(|o| o.status.success());
    if !able && !arguments.list {
        eprintln!("verdicts: skipped(this machine cannot run cells or has no gateway; see `faultlab doctor`)");
    }
    let cases: [(&str, &str, &str, &str); 11] = [
        ("a_fault_that_begins_with_a_packet", "right/fault-after-a-packet.toml", "reproduced", ""),
        ("a_fault_that_begins_after_a_time", "right/fault-after-a-time.toml", "reproduced", ""),
        ("a_filter_of_fragments_at_a_nat", "right/fragments-at-a-nat.toml", "reproduced", ""),
        ("one_packet_of_many", "right/the-third-packet.toml", "reproduced", ""),
        ("a_gateways_name_in_transport_mode", "right/names-in-transport-mode.toml", "reproduced", ""),
        ("a_step_that_sends_nothing_as_expected", "right/nothing-sent.toml", "reproduced", ""),
        ("a_step_that_sends_nothing", "wrong/nothing-sent.toml", "inconclusive", "mid sent nothing to 10.2.0.10"),
        ("a_fault_that_the_kernel_refuses", "wrong/refused-fault.toml", "fault-not-in-force", "refuse"),
        ("a_fault_without_effect", "wrong/idle-fault.toml", "fault-not-in-force", "no packet has matched"),
        ("a_symptom_that_also_holds_in_the_healthy_twin", "wrong/symptom-in-twin.toml", "fix-failed", "also holds in the healthy twin"),
        ("a_symptom_that_does_not_show", "wrong/missing-symptom.toml", "not-reproduced", ""),
    ];
    let trials =
        cases.map(|(name, file, verdict, reason)| Trial::test(name, move || expect(file, verdict, reason)).with_ignored_flag(!able));
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn expect(file: &str, verdict: &str, reason: &str) -> Result<(), Failed> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let evidence = tempfile::tempdir()?;
    let out = std::process::Command::new(binary())
        .arg("run")
        .arg(&file)
        .args(["--format", "json", "--evidence"])
        .arg(evidence.path())
        .output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let json: Value = serde_json::from_str(&text).map_err(|e| format!("{e}: {text} {}", String::from_utf8_lossy(&out.stderr)))?;
    let result = &json["results"][0];
    let code = i32::from(verdict != "reproduced");
    if out.status.code() != Some(code) {
        return Err(format!("exit code {:?}, not {code}: {result:#}", out.status.code()).into());
    }
    if result["verdict"] != verdict {
        return Err(format!("verdict {} and not {verdict}: {}", result["verdict"], result["reason"]).into());
    }
    let said = result["reason"].as_str().unwrap_or_default();
    if said.contains(reason) { Ok(()) } else { Err(format!("the reason does not say `{reason}`: {said}").into()) }
}
