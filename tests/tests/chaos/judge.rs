//! Judges the ending of a case: was every verdict earned, is the exit code one of the README's table, is nothing left behind?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, SystemTime};

use faultlab::event::{Event, What};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::case::{Accident, Case, Scarce};
use super::run::{Ending, Hit, PROGRAM, Place, words};

/// Processes without which a side cannot go on.
const VITAL: [&str; 10] =
    ["charon", "pluto", "iked", "linux", "__cell", "__cell-outer", "__pocket-outer", "__pocket-first", "__pocket-init", PROGRAM];

/// What is wrong with the ending of a case: nothing, it is to be hoped.
pub fn mistakes(case: &Case, ending: &Ending) -> Vec<String> {
    let mut wrong = ending.left.clone();
    let code = ending.status.code();
    let itself = ending.hit.as_ref().is_some_and(|h| h.role == PROGRAM);
    match (code, case.accident) {
        (Some(0 | 1 | 3), _) => {}
        // A signal that it has no handler for ends it as it ends any program.
        (None, Accident::Kill(_) | Accident::Stop) if itself => {}
        (Some(code), Accident::Kill(signal @ (Signal::SIGTERM | Signal::SIGINT))) if itself && code == 128 + signal as i32 => {}
        _ => wrong.push(format!("it ended with {}", words(ending.status))),
    }
    let said = std::fs::read_to_string(&ending.errors).unwrap_or_default();
    if said.contains("panicked at") {
        wrong.push("it panicked".to_owned());
    }
    let verdicts = verdicts(case, ending);
    // Whether the machine has what it takes is known before a cell starts when it has been scarce from the start.
    let scarce = matches!(case.accident, Accident::Scarce(_));
    for (verdict, reason) in &verdicts {
        match verdict.as_str() {
            "reproduced" | "inconclusive" => {}
            "skipped" if scarce => {}
            _ => wrong.push(format!("`{verdict}` was not earned: {reason}")),
        }
    }
    if code == Some(0) {
        wrong.extend(unearned(case, ending, &verdicts));
    }
    wrong
}

/// What is wrong with a matrix that was resumed after an accident: each cell has a result, from now or from before.
pub fn unresumed(case: &Case, resumed: &Output) -> Option<String> {
    let verdicts = parsed(case, &String::from_utf8_lossy(&resumed.stdout));
    let bad = |v: &str| !["reproduced", "inconclusive"].contains(&v);
    let earned = verdicts.len() == cells(case) && !verdicts.iter().any(|(v, _)| bad(v));
    let found = verdicts.iter().map(|(v, _)| v.as_str()).collect::<Vec<_>>().join(" ");
    let said = String::from_utf8_lossy(&resumed.stderr);
    (!earned || !matches!(resumed.status.code(), Some(0 | 1)))
        .then(|| format!("resumed, it ends with {} and {} cells: {found}: {said}", words(resumed.status), verdicts.len()))
}

/// Why exit code 0 was not earned.
fn unearned(case: &Case, ending: &Ending, verdicts: &[(String, String)]) -> Option<String> {
    let heard = case.accident != Accident::Scarce(Scarce::Output);
    if heard && verdicts.len() < cells(case) {
        return Some(format!("exit code 0 with {} of {} verdicts", verdicts.len(), cells(case)));
    }
    if let Some((verdict, reason)) = verdicts.iter().find(|(v, _)| v != "reproduced") {
        return Some(format!("exit code 0 although one is {verdict}: {reason}"));
    }
    let hit = ending.hit.as_ref().filter(|h| h.ended && VITAL.contains(&h.role.as_str()))?;
    (!was_over(hit, &ending.evidence)).then(|| format!("exit code 0 although {} ended before its side was judged", hit.role))
}

fn cells(case: &Case) -> usize {
    case.subject.scenarios.len() * if case.subject.matrix { case.subject.world.split(',').count() } else { 1 }
}

/// Had the side of the process that was hit come to its end already?
fn was_over(hit: &Hit, evidence: &Path) -> bool {
    match &hit.place {
        Place::Host(events) => judging(events).is_some_and(|at| at <= hit.when),
        // Its evidence comes at once, before its report.
        Place::Pocket(folder) => written(&folder.join("verdict.json")).is_some_and(|at| at <= hit.when),
        // Without its answer there is no verdict.
        Place::Probe => true,
        Place::Elsewhere => files(evidence, "verdict.json").iter().any(|file| written(file).is_some_and(|at| at <= hit.when)),
    }
}

fn judging(events: &Path) -> Option<SystemTime> {
    let text = std::fs::read_to_string(events).ok()?;
    let mut events = text.lines().filter_map(|l| serde_json::from_str::<Event>(l).ok());
    let event = events.find(|e| matches!(&e.what, What::Phase { name } if name == "judging"))?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(event.time.0).ok()?))
}

fn written(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}

fn files(below: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                folders.push(path);
            } else if path.ends_with(name) {
                found.push(path);
            }
        }
    }
    found
}

/// Verdicts and their reasons.
fn verdicts(case: &Case, ending: &Ending) -> Vec<(String, String)> {
    parsed(case, &std::fs::read_to_string(&ending.output).unwrap_or_default())
}

fn parsed(case: &Case, output: &str) -> Vec<(String, String)> {
    let Ok(document) = serde_json::from_str::<Value>(output) else { return Vec::new() };
    let list = |v: &Value, key: &str| v.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let results = if case.subject.matrix {
        list(&document, "cells").iter().flat_map(|c| list(c, "runs")).collect()
    } else {
        list(&document, "results")
    };
    let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    results.iter().map(|r| (text(r, "verdict"), text(r, "reason"))).collect()
}

/// How it ended, in a word or two, for the table.
pub fn told(case: &Case, ending: &Ending) -> String {
    let verdicts: BTreeSet<String> = verdicts(case, ending).into_iter().map(|(v, _)| v).collect();
    let verdicts = verdicts.into_iter().collect::<Vec<_>>().join("+");
    match (ending.status.code(), verdicts.as_str()) {
        (Some(0), _) => "reproduced".to_owned(),
        (Some(code), "") => format!("exit {code}"),
        (Some(code), verdicts) => format!("exit {code}: {verdicts}"),
        (None, _) => words(ending.status),
    }
}
