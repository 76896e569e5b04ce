//! With too few descriptors or processes a run says so, and never that a network does not answer; and what is allowed is made use of.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use faultlab::world::pocket;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

mod processes;

use processes::binary;

/// A user who has no other processes, so that a limit of processes counts those of the run alone.
const SOMEBODY: &str = "54321";

fn main() {
    let arguments = Arguments::from_args();
    let limits = Command::new("prlimit").args(["--nofile=64:64", "true"]).output().is_ok_and(|o| o.status.success());
    let able = limits && Command::new(binary()).arg("doctor").output().is_ok_and(|o| o.status.success());
    let as_somebody =
        Command::new("setpriv").args(["--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups", "unshare", "--user", "true"]).output();
    let somebody = as_somebody.is_ok_and(|o| o.status.success());
    let kernel = pocket::find();
    if !arguments.list {
        if !able {
            eprintln!("scarcity: skipped(this machine cannot run cells, or has no prlimit)");
        }
        if !somebody {
            eprintln!("scarcity, processes: skipped(needs root to become somebody else, who may make user namespaces)");
        }
        if let Err(missing) = &kernel {
            eprintln!("scarcity, pocket world: skipped({missing})");
        }
    }
    let trials = vec![
        Trial::test("too_few_descriptors_are_the_machines_fault", descriptors).with_ignored_flag(!able),
        Trial::test("too_few_processes_are_the_machines_fault", few_processes).with_ignored_flag(!able || !somebody),
        Trial::test("a_star_needs_more_descriptors_than_the_soft_limit", || star("host")).with_ignored_flag(!able),
        Trial::test("a_star_runs_in_the_pocket", || star("pocket")).with_ignored_flag(!able || kernel.is_err()),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn ended(mut command: Command) -> Result<(Output, Vec<Value>), Failed> {
    let out = command.output()?;
    let said: Value = serde_json::from_slice(&out.stdout).map_err(|e| format!("{e}: {}", String::from_utf8_lossy(&out.stderr)))?;
    Ok((out, said["results"].as_array().cloned().unwrap_or_default()))
}

/// Every result was earned, or says that the machine ran short; and the exit code follows.
fn honest(what: &str, out: &Output, results: &[Value]) -> Result<(), Failed> {
    let short = |r: &Value| r["verdict"] == "inconclusive" && r["whose"] == "machine";
    let code = if results.iter().any(short) { 3 } else { 0 };
    let text = String::from_utf8_lossy(&out.stderr);
    if results.is_empty() || !results.iter().all(|r| short(r) || r["verdict"] == "reproduced") || out.status.code() != Some(code) {
        return Err(format!("{what}: {}: {results:?} {text}", out.status).into());
    }
    if text.contains("panicked") { Err(format!("{what}: {text}").into()) } else { Ok(()) }
}

fn descriptors() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for limit in [45, 60, 75, 90, 120, 160] {
        let mut run = Command::new("prlimit");
        run.arg(format!("--nofile={limit}:{limit}")).arg(binary());
        run.args(["run", "ok-v2-psk", "ok-natt", "mobike-into-nat", "--world", "host", "--pair", "inhouse:inhouse", "--format", "json"]);
        run.arg("--evidence").arg(folder.path());
        let (out, results) = ended(run)?;
        honest(&format!("{limit} descriptors"), &out, &results)?;
        if limit == 45 && out.status.code() != Some(3) {
            return Err(format!("{limit} descriptors suffice, so that nothing is proved: {results:?}").into());
        }
    }
    Ok(())
}

fn few_processes() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))?;
    let program = folder.path().join("faultlab");
    std::fs::copy(binary(), &program)?;
    let mut failed = 0;
    for limit in [1, 4, 7, 10, 13, 16] {
        let mut run = Command::new("setpriv");
        run.args(["--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups", "--no-new-privs", "prlimit", &format!("--nproc={limit}")]);
        run.arg(&program).args(["run", "ok-v2-psk", "--world", "host", "--pair", "inhouse:inhouse", "--format", "json", "--evidence"]);
        run.arg(folder.path().join("evidence")).current_dir(folder.path());
        let (out, results) = ended(run)?;
        honest(&format!("{limit} processes"), &out, &results)?;
        failed += usize::from(out.status.code() == Some(3));
    }
    if failed == 0 { Err("no limit was too low, so that nothing is proved".into()) } else { Ok(()) }
}

/// 200 spokes: 402 nodes, 804 taps, 201 gateways.
fn star(world: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let scenario = folder.path().join("star.toml");
    std::fs::write(&scenario, include_str!("../right/star.toml"))?;
    let hard = hard_limit()?;
    if hard < 4096 {
        eprintln!("a star in the {world} world: skipped(no more than {hard} descriptors are allowed)");
        return Ok(());
    }
    let mut run = Command::new("prlimit");
    run.arg(format!("--nofile=256:{hard}")).arg(binary()).arg("run").arg(&scenario).args(["--world", world, "--format", "json"]);
    run.args(["--pair", "inhouse:inhouse", "--evidence"]).arg(folder.path().join("evidence"));
    let (out, results) = ended(run)?;
    let lost = results.iter().flat_map(|r| r["sides"].as_array().cloned().unwrap_or_default()).any(|s| s["lost"] != 0);
    if out.status.code() != Some(0) || lost { Err(format!("{}: {results:?}", out.status).into()) } else { Ok(()) }
}

fn hard_limit() -> Result<u64, Failed> {
    let text = std::fs::read_to_string(Path::new("/proc/self/limits"))?;
    let row = text.lines().find(|l| l.starts_with("Max open files")).ok_or("no limit of open files")?;
    Ok(row.split_whitespace().nth(4).and_then(|n| n.parse().ok()).unwrap_or(u64::from(u32::MAX)))
}
