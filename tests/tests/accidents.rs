//! What breaks by accident is no skip: a world whose probe died, a disk or a limit that ends a run in the middle. And what is left out or
//! skipped says why, and whether it can be helped.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use faultlab::matrix::results::{CellResult, Results, Status};
use faultlab::run::artefacts;
use faultlab::run::lack::Lack;
use faultlab::run::outcome::Whose;
use faultlab::run::worlds::WorldKind;
use libtest_mimic::{Arguments, Failed, Trial};

mod processes;

use processes::binary;

/// A quick scenario that every world can play.
const WHAT: &str = "ok-v2-psk";
/// One that takes hours.
const HOURS: &str = "hard-lifetime-disconnect-3600";
const PAIR: [&str; 2] = ["--pairs", "inhouse:inhouse"];

fn main() {
    let arguments = Arguments::from_args();
    let able = Command::new(binary()).arg("doctor").output().is_ok_and(|o| o.status.success());
    if !able && !arguments.list {
        eprintln!("accidents: skipped(this machine cannot run cells or has no gateway; see `faultlab doctor`)");
    }
    let trials = vec![
        Trial::test("a_world_whose_probe_was_killed_stays_and_is_inconclusive", killed_probe),
        Trial::test("a_run_whose_probe_was_killed_takes_no_other_world", no_other_world),
        Trial::test("a_world_that_is_not_here_is_left_out_by_name", left_out),
        Trial::test("strict_minds_what_is_missing_and_not_what_is_by_design", strict),
        Trial::test("a_file_that_may_not_grow_is_the_machines_fault", file_size),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().map(|t| t.with_ignored_flag(!able)).collect()).exit();
}

/// A pocket kernel that is killed as soon as it starts.
fn killed_kernel(folder: &Path) -> Result<std::path::PathBuf, Failed> {
    let kernel = folder.join("linux");
    std::fs::write(&kernel, "#!/bin/sh\nkill -KILL $$\n")?;
    std::fs::set_permissions(&kernel, std::fs::Permissions::from_mode(0o755))?;
    Ok(kernel)
}

fn matrix(folder: &Path, name: &str, kernel: &Path, args: &[&str]) -> Result<(Output, Results), Failed> {
    let out = folder.join(name);
    let mut command = Command::new(binary());
    command.arg("matrix").args(args).args(PAIR).arg("--out").arg(&out).env("FAULTLAB_KERNEL", kernel);
    let ended = command.output()?;
    let results = std::fs::read(out.join(artefacts::RESULTS))
        .map_err(|e| format!("no results ({e}): {}: {}", ended.status, String::from_utf8_lossy(&ended.stderr)))?;
    Ok((ended, serde_json::from_slice(&results)?))
}

fn of(results: &Results, world: WorldKind) -> Result<&CellResult, Failed> {
    results.cells.iter().find(|c| c.cell.world == world).ok_or_else(|| format!("no cell of the {} world", world.name()).into())
}

fn check(condition: bool, output: &Output) -> Result<(), Failed> {
    let text = format!("{}: {}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if condition { Ok(()) } else { Err(text.into()) }
}

fn killed_probe() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let kernel = killed_kernel(folder.path())?;
    for (name, worlds) in [("default", &[][..]), ("all", &["--worlds", "all"])] {
        let args: Vec<&str> = [WHAT].iter().chain(worlds).copied().collect();
        let (ended, results) = matrix(folder.path(), name, &kernel, &args)?;
        let pocket = of(&results, WorldKind::Pocket)?;
        let told = pocket.text.as_ref().is_some_and(|t| t.contains("ended by signal 9"));
        check(pocket.status == Status::Accident && told && ended.status.code() == Some(1), &ended)?;
        check(of(&results, WorldKind::Host)?.status == Status::Expected, &ended)?;
        check(pocket.runs.iter().all(|r| r.verdict == "inconclusive" && r.whose == Some(Whose::Outside)), &ended)?;
    }
    Ok(())
}

fn no_other_world() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let kernel = killed_kernel(folder.path())?;
    let ended = Command::new(binary())
        .args(["run", HOURS, "--format", "json", "--evidence"])
        .arg(folder.path().join("evidence"))
        .env("FAULTLAB_KERNEL", kernel)
        .output()?;
    let said: serde_json::Value = serde_json::from_slice(&ended.stdout)?;
    let result = &said["results"][0];
    check(result["verdict"] == "inconclusive" && result["whose"] == "outside" && ended.status.code() == Some(1), &ended)
}

fn left_out() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let nowhere = Path::new("/nowhere/linux");
    for (name, strict, code) in [("lax", &[][..], 0), ("strict", &["--strict"], 3)] {
        let args: Vec<&str> = [WHAT].iter().chain(strict).copied().collect();
        let (ended, results) = matrix(folder.path(), name, nowhere, &args)?;
        check(ended.status.code() == Some(code), &ended)?;
        check(String::from_utf8_lossy(&ended.stderr).contains("left out: the pocket world: FAULTLAB_KERNEL names /nowhere/linux"), &ended)?;
        check(results.header.left_out.len() == 1 && results.cells.len() == 1, &ended)?;
        check(std::fs::read_to_string(folder.path().join(name).join(artefacts::PAGE))?.contains("left out: the pocket world"), &ended)?;
    }
    Ok(())
}

fn strict() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let nowhere = Path::new("/nowhere/linux");
    let lacks = |results: &Results| -> Vec<Option<Lack>> {
        results.cells.iter().filter(|c| c.status == Status::Skipped).flat_map(|c| &c.runs).map(|r| r.lack).collect()
    };
    // The host world has no virtual time, whatever is installed.
    let (ended, results) = matrix(folder.path(), "design", nowhere, &[WHAT, HOURS, "--worlds", "host", "--strict"])?;
    check(ended.status.code() == Some(0) && lacks(&results) == [Some(Lack::Design)], &ended)?;
    let (ended, results) = matrix(folder.path(), "missing", nowhere, &[WHAT, "--worlds", "all", "--strict"])?;
    check(ended.status.code() == Some(3) && lacks(&results) == [Some(Lack::Missing)], &ended)
}

fn file_size() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let run = Command::new("prlimit")
        .arg("--fsize=20000")
        .arg(binary())
        .args(["run", WHAT, "--world", "host", "--pair", "inhouse:inhouse", "--format", "json", "--evidence"])
        .arg(folder.path().join("evidence"))
        .output();
    let Ok(ended) = run else {
        eprintln!("a_file_that_may_not_grow_is_the_machines_fault: skipped(prlimit is not installed)");
        return Ok(());
    };
    let said: serde_json::Value = serde_json::from_slice(&ended.stdout)?;
    let result = &said["results"][0];
    let told = result["reason"].as_str().is_some_and(|r| r.contains("cannot write the evidence"));
    check(result["verdict"] == "inconclusive" && result["whose"] == "machine" && told && ended.status.code() == Some(3), &ended)
}
