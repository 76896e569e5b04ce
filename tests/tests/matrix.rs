//! `faultlab matrix` on a small matrix: one run, two merged shards, and a run that was killed and resumed all say the same.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use faultlab::matrix::changes::Changes;
use faultlab::matrix::results::{Results, Status};
use faultlab::matrix::store::read;
use faultlab::run::artefacts;
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::{Signal, kill};

mod processes;

use processes::{binary, pid, until};

/// A quick scenario, and a slow one.
const WHAT: [&str; 2] = ["psk-mismatch-v2", "ike-udp500-silent-drop"];

/// How long conditions are waited for.
const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    let mut arguments = Arguments::from_args();
    // Each trial uses all cores.
    arguments.test_threads = Some(1);
    let able = Command::new(binary()).arg("doctor").output().is_ok_and(|o| o.status.success());
    if !able && !arguments.list {
        eprintln!("matrix: skipped(this machine cannot run cells or has no gateway; see `faultlab doctor`)");
    }
    let trials = vec![
        Trial::test("shards_and_resumption_say_the_same_as_one_run", the_same).with_ignored_flag(!able),
        Trial::test("an_interruption_tells_how_to_resume", interrupted).with_ignored_flag(!able),
        Trial::test("what_cannot_run_is_skipped_with_a_reason", skipped),
        Trial::test("absent_cells_are_told_in_one_sentence", absent),
        Trial::test("wrong_input_is_told", wrong),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn the_same() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let whole = run(&at("whole"), &[])?;
    if whole.cells.is_empty() || whole.cells.iter().any(|c| c.status != Status::Expected) {
        return Err(format!("the matrix must be as expected: {}", whole.tally()).into());
    }
    evidence(&whole, &at("whole"))?;

    // Once more into the same folder: nothing is left to run.
    let again = run(&at("whole"), &[])?;
    equal("a finished matrix that is resumed", &again, &whole)?;
    if again.cells != whole.cells {
        return Err("a finished matrix was run again".into());
    }

    let shards: Vec<Results> =
        [1, 2].iter().map(|i| run(&at(&i.to_string()), &["--shard", &format!("{i}/2")])).collect::<Result<_, _>>()?;
    if shards.iter().map(|s| s.cells.len()).sum::<usize>() != whole.cells.len() {
        return Err("the shards do not make up the whole".into());
    }
    let merge = Command::new(binary()).args(["matrix", "merge"]).args([at("2"), at("1")]).arg("--out").arg(at("merged")).output()?;
    succeeded(&merge)?;
    let merged: Results = read(&at("merged").join(artefacts::RESULTS))?;
    equal("merged shards", &merged, &whole)?;
    evidence(&merged, &at("merged"))?;

    let mut killed = start(&at("killed"))?;
    until(LIMIT, "the first result is there", || Ok(results_in(&at("killed")) > 0))?;
    kill(pid(killed.id()), Signal::SIGKILL)?;
    killed.wait()?;
    let kept = results_in(&at("killed"));
    if kept >= whole.cells.len() {
        return Err("it was killed too late to prove anything".into());
    }
    let resumed = run(&at("killed"), &["--previous", &at("whole").display().to_string()])?;
    equal("a matrix that was killed and resumed", &resumed, &whole)?;
    evidence(&resumed, &at("killed"))?;
    let none = Changes { common: whole.cells.len(), cells: vec![], absent: vec![] };
    if resumed.changes.as_ref() != Some(&none) {
        return Err(format!("changes: {:?}", resumed.changes).into());
    }
    Ok(())
}

fn interrupted() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let child = start(&out)?;
    until(LIMIT, "it runs", || Ok(out.join(artefacts::MATRIX).exists()))?;
    kill(pid(child.id()), Signal::SIGTERM)?;
    let ended = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&ended.stderr);
    let command = format!("--out {}", out.display());
    if ended.status.code() == Some(1) && text.contains("SIGTERM") && text.contains(&command) {
        Ok(())
    } else {
        Err(format!("{}: {text}", ended.status).into())
    }
}

fn skipped() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    // No machine has this kernel, so every cell of the pocket world must say so.
    let args = ["matrix", WHAT[0], "--worlds", "pocket", "--pairs", "strongswan:strongswan", "--format", "json", "--out"];
    let out = Command::new(binary()).args(args).arg(folder.path()).env("FAULTLAB_KERNEL", "/nowhere/linux").output()?;
    let results: Results = serde_json::from_slice(&out.stdout)?;
    let reasons: Vec<&str> = results.cells.iter().filter_map(|c| c.text.as_deref()).collect();
    // Nothing ran: no pass.
    if results.count(Status::Skipped) == 1 && reasons.iter().all(|r| r.contains("/nowhere/linux")) && out.status.code() == Some(3) {
        Ok(())
    } else {
        Err(format!("{}: {results:?}", out.status).into())
    }
}

/// Two matrices of different pairs, of which nothing runs: what only one of them has is told in a sentence, not cell by cell.
fn absent() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let matrix = |name: &str, pairs: &str, what: &[&str], previous: Option<&str>| -> Result<String, Failed> {
        let mut command = Command::new(binary());
        command.arg("matrix").args(what).args(["--worlds", "pocket", "--pairs", pairs, "--out"]).arg(at(name));
        if let Some(previous) = previous {
            command.arg("--previous").arg(at(previous));
        }
        let out = command.env("FAULTLAB_KERNEL", "/nowhere/linux").output()?;
        Ok(String::from_utf8_lossy(&out.stderr).into_owned())
    };
    matrix("all", "all", &WHAT, None)?;
    let fewer = matrix("fewer", "strongswan:strongswan", &WHAT[..1], Some("all"))?;
    let more = matrix("more", "all", &WHAT, Some("fewer"))?;
    for (name, text, says) in [
        ("fewer", &fewer, "31 cells of the previous matrix are not part of this one: pairs "),
        ("more", &more, "31 cells of this matrix were not part of the previous one: pairs "),
    ] {
        let page = std::fs::read_to_string(at(name).join(artefacts::PAGE))?;
        let scenario = format!("scenarios {}", WHAT[1]);
        let told = text.contains(says) && text.contains(&scenario) && page.contains(says) && page.contains(&scenario);
        if !told || text.matches('Δ').count() > 1 || page.contains("no such cell") {
            return Err(format!("{name}: without `{says}` or `{scenario}`, or cell by cell: {text}").into());
        }
    }
    Ok(())
}

fn wrong() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().display().to_string();
    let cases: [(&[&str], &str); 7] = [
        (&["--shard", "0/2"], "i/n"),
        (&["--worlds", "moon"], "host and pocket"),
        (&["--pairs", "strongswan"], "A:B"),
        (&["--repeat", "0"], "1..=1000"),
        (&["psk-mismatch-v3"], "psk-mismatch-v2"),
        (&["--previous", "/nowhere"], "/nowhere"),
        (&["merge", "/nowhere", "--out", &out], "/nowhere"),
    ];
    for (args, says) in cases {
        let ended = Command::new(binary()).arg("matrix").args(args).stdin(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&ended.stderr);
        if ended.status.code() != Some(2) || !text.contains(says) {
            return Err(format!("matrix {args:?}: {}, without `{says}`: {text}", ended.status).into());
        }
    }
    Ok(())
}

fn command(out: &Path) -> Command {
    let mut command = Command::new(binary());
    command.arg("matrix").args(WHAT).args(["--pairs", "inhouse:inhouse", "--out"]).arg(out);
    command
}

fn run(out: &Path, more: &[&str]) -> Result<Results, Failed> {
    succeeded(&command(out).args(more).output()?)?;
    Ok(read(&out.join(artefacts::RESULTS))?)
}

fn start(out: &Path) -> Result<Child, Failed> {
    Ok(command(out).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?)
}

fn succeeded(output: &Output) -> Result<(), Failed> {
    if output.status.success() { Ok(()) } else { Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into()) }
}

/// Two matrices say the same about every cell.
fn equal(what: &str, is: &Results, wanted: &Results) -> Result<(), Failed> {
    match is.clone().since(wanted).changes {
        Some(c) if c.cells.is_empty() && c.absent.is_empty() && is.counts == wanted.counts && is.header == wanted.header => Ok(()),
        other => Err(format!("{what} must say the same: {other:?}").into()),
    }
}

/// Every link of the page leads somewhere.
fn evidence(results: &Results, dir: &Path) -> Result<(), Failed> {
    for run in results.cells.iter().flat_map(|c| &c.runs) {
        let folder = dir.join(run.evidence.as_ref().ok_or("no evidence")?);
        for file in [artefacts::STORY, "broken/capture.pcapng", "fixed/events.jsonl"] {
            if !folder.join(file).is_file() {
                return Err(format!("{} is not there", folder.join(file).display()).into());
            }
        }
    }
    let page = std::fs::read_to_string(dir.join(artefacts::PAGE))?;
    for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        // Where a known deviation is discussed.
        let elsewhere = link.starts_with("https://");
        if !elsewhere && !dir.join(link).is_file() {
            return Err(format!("the page links to {link}, which is not there").into());
        }
    }
    Ok(())
}

fn results_in(dir: &Path) -> usize {
    let mut found = 0;
    let mut pending = vec![dir.join(artefacts::CELLS)];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => pending.push(path),
                path => found += usize::from(path.extension().is_some_and(|e| e == "json")),
            }
        }
    }
    found
}
