//! tshark is the oracle: every filter in `scenarios/` selects the same frames of every capture that the scenarios write.
//!
//! One trial per scenario: runs it, then compares, for both captures, frame by frame for its own filters (through
//! `faultlab packets`), and by the number of frames for the filters of all other scenarios. tshark gets the run's keys.
#![allow(clippy::unwrap_used)] // a panic is a failed trial

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use faultlab::capture::read;
use faultlab::cli::packets::{self, PacketsArgs};
use faultlab::cli::scenarios;
use faultlab::dissect::{Capture, Dissector};
use faultlab::filter::{Analysis, Filter};
use faultlab::run::artefacts;
use faultlab::run::orchestrate::{self, Options};
use faultlab::run::worlds::{WorldChoice, Worlds};
use faultlab::scenario::model::{Plan, Scenario, Side};
use faultlab::schema::{Args, Value};
use faultlab::world::cell::{self, CellHandle};
use libtest_mimic::{Arguments, Failed, Trial};

mod silent;

fn main() {
    cell::entry(faultlab::run::lab::cell_main);
    let arguments = Arguments::from_args();
    let all = scenarios::library(None).and_then(|l| scenarios::select(&l, &[])).unwrap_or_else(|e| panic!("{}", e.message));
    let filters: BTreeSet<String> = all.iter().flat_map(filters_of).collect();
    let world = CellHandle::try_out().map_err(|e| e.to_string());
    let tshark = Command::new("tshark").arg("-v").output().is_ok_and(|o| o.status.success());
    let tools = if tshark { Ok(()) } else { Err("tshark is not installed; apt-get install tshark".to_owned()) };
    let worlds = Worlds::default();
    let asking = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap_or_else(|e| panic!("{e}"));
    let trials = all.into_iter().map(|scenario| {
        let able = || asking.block_on(worlds.cast(WorldChoice::Auto, &scenario, PLAYERS.parse().ok().as_ref()));
        let skip = world.clone().and(tools.clone()).and_then(|()| able().map(|_| ())).err();
        if let (Some(reason), false) = (&skip, arguments.list) {
            eprintln!("oracle {}: skipped({reason})", scenario.id);
        }
        let filters = filters.clone();
        Trial::test(scenario.id.clone(), move || trial(&scenario, &filters)).with_kind("tshark").with_ignored_flag(skip.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Whose captures are compared. Those of the in-house gateway still show differences that are not understood.
const PLAYERS: &str = "strongswan:strongswan";

fn trial(scenario: &Scenario, all: &BTreeSet<String>) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let options = Options {
        pairing: PLAYERS.parse().ok(),
        world: WorldChoice::Auto,
        real_time: false,
        jobs: 2,
        keep: false,
        only: None,
        root: folder.path().to_owned(),
        run: "oracle".into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let finished = runtime.block_on(orchestrate::run(std::slice::from_ref(scenario), &options, &mut silent::Silent));
    let own = filters_of(scenario);
    let mut wrong = Vec::new();
    for side in finished.results.iter().flat_map(|r| &r.sides) {
        if let Some(trouble) = &side.trouble {
            return Err(trouble.text.clone().into());
        }
        let capture = side.dir.join(artefacts::CAPTURE);
        // tshark joins fragments seen at different taps, which are copies of each other: such captures are compared tap by tap.
        let fragments = !tshark(&capture, "ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr")?.is_empty();
        for filter in &own {
            let theirs =
                if fragments { tshark_by_tap(&capture, filter, side_plan(scenario, side.side))? } else { tshark(&capture, filter)? };
            let ours = ours(&capture, filter)?;
            if ours != theirs {
                let odd: Vec<_> = ours.symmetric_difference(&theirs).take(10).collect();
                wrong.push(format!(
                    "{} `{filter}`: {} frames, tshark {}; they differ at {odd:?}",
                    side.side.name(),
                    ours.len(),
                    theirs.len()
                ));
            }
        }
        if fragments {
            continue;
        }
        let others: Vec<&String> = all.iter().filter(|f| !own.contains(*f)).collect();
        let mine = our_counts(&capture, &others)?;
        for ((filter, theirs), ours) in others.iter().zip(counts(&capture, &others)?).zip(mine) {
            if ours != theirs {
                wrong.push(format!("{} `{filter}`: {ours} frames, tshark {theirs}", side.side.name()));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// All filters of a scenario, from expectations, faults and steps of both sides.
fn filters_of(scenario: &Scenario) -> BTreeSet<String> {
    let mut filters = BTreeSet::new();
    for plan in std::iter::once(&scenario.broken).chain(&scenario.fixed) {
        let Plan { faults, steps, expects, .. } = plan;
        let args = faults.iter().map(|f| &f.args).chain(steps.iter().map(|s| &s.args)).chain(expects.iter().map(|e| &e.args));
        args.for_each(|a| collect(a, &mut filters));
    }
    filters
}

fn collect(args: &Args, filters: &mut BTreeSet<String>) {
    for (key, value) in &args.0 {
        match (key.as_str(), value) {
            ("match" | "of", Value::Text(text)) => drop(filters.insert(text.clone())),
            ("match" | "of", Value::List(_)) => filters.extend(args.texts(key).into_iter().map(str::to_owned)),
            _ => {}
        }
    }
    // Our own analysis fields are unknown to tshark.
    filters.retain(|f| !f.contains("faultlab."));
}

fn ours(capture: &Path, filter: &str) -> Result<BTreeSet<u32>, Failed> {
    let args = PacketsArgs {
        capture: capture.to_owned(),
        filter: Some(filter.to_owned()),
        format: packets::Format::Human,
        keys: None,
        count: None,
    };
    let mut out = Vec::new();
    packets::run(&args, &mut out).map_err(|e| e.message)?;
    let text = String::from_utf8_lossy(&out);
    text.lines()
        .map(|l| {
            l.split_whitespace()
                .next()
                .and_then(|n| n.trim_start_matches('#').parse().ok())
                .ok_or_else(|| format!("no number in `{l}`").into())
        })
        .collect()
}

/// How many frames each filter selects, in one pass.
fn our_counts(capture: &Path, filters: &[&String]) -> Result<Vec<usize>, Failed> {
    let filters: Vec<Filter> = filters.iter().map(|f| Filter::parse(f).map_err(|e| e.to_string())).collect::<Result<_, _>>()?;
    let keys = std::fs::read(capture.with_file_name(artefacts::KEYS))?;
    let mut dissector = Dissector::new();
    dissector.set_keys(&serde_json::from_slice(&keys)?);
    let mut reader = read::open(capture).map_err(|e| e.to_string())?;
    let mut records = Vec::new();
    for frame in reader.by_ref() {
        records.push(dissector.dissect(frame.map_err(|e| e.to_string())?));
    }
    let all = Capture { taps: reader.taps().to_vec(), records };
    let analysis = Analysis::of(&all);
    Ok(filters.iter().map(|f| all.records.iter().filter(|r| f.matches(r, &analysis)).count()).collect())
}

fn side_plan(scenario: &Scenario, side: Side) -> &Plan {
    scenario.fixed.as_ref().filter(|_| side == Side::Fixed).unwrap_or(&scenario.broken)
}

/// The same as [`tshark`], each tap's frames in a file of their own.
fn tshark_by_tap(capture: &Path, filter: &str, plan: &Plan) -> Result<BTreeSet<u32>, Failed> {
    let mut all = BTreeSet::new();
    for tap in plan.taps() {
        let at_tap = format!("frame.interface_name == \"{tap}\"");
        let numbers: Vec<u32> = tshark(capture, &at_tap)?.into_iter().collect();
        let file = tempfile::NamedTempFile::new()?;
        let status = command(capture).args(["-Y", &at_tap, "-w"]).arg(file.path()).output()?;
        if !status.status.success() {
            return Err(String::from_utf8_lossy(&status.stderr).into_owned().into());
        }
        let mut one = Command::new("tshark");
        one.env("WIRESHARK_CONFIG_DIR", capture.parent().unwrap()).args(["-n", "-r"]).arg(file.path());
        let out = one.args(["-Y", filter, "-T", "fields", "-e", "frame.number"]).output()?;
        for line in String::from_utf8_lossy(&out.stdout).lines() {
            let n: usize = line.trim().parse()?;
            all.extend(n.checked_sub(1).and_then(|n| numbers.get(n)));
        }
    }
    Ok(all)
}

/// tshark with the run's keys.
fn command(capture: &Path) -> Command {
    let mut tshark = Command::new("tshark");
    let config: PathBuf = capture.parent().map(Path::to_owned).unwrap_or_default();
    // The evidence folder holds the key tables under the names that Wireshark looks for.
    tshark.env("WIRESHARK_CONFIG_DIR", config).args(["-n", "-r"]).arg(capture);
    tshark
}

fn tshark(capture: &Path, filter: &str) -> Result<BTreeSet<u32>, Failed> {
    let out = command(capture).args(["-Y", filter, "-T", "fields", "-e", "frame.number"]).output()?;
    if !out.status.success() {
        return Err(format!("tshark refuses `{filter}`: {}", String::from_utf8_lossy(&out.stderr)).into());
    }
    String::from_utf8_lossy(&out.stdout).lines().map(|l| l.trim().parse().map_err(|e| format!("{l}: {e}").into())).collect()
}

/// Frames that each filter selects, in one pass.
fn counts(capture: &Path, filters: &[&String]) -> Result<Vec<usize>, Failed> {
    if let Some(f) = filters.iter().find(|f| f.contains(',')) {
        return Err(format!("`{f}`: tshark's statistics cannot take a comma; write it with ||").into());
    }
    let list = filters.iter().map(|f| f.as_str()).collect::<Vec<_>>().join(",");
    let out = command(capture).args(["-q", "-z", &format!("io,stat,0,{list}")]).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    // The only row with numbers: | 0.0 <> 1.2 | frames | bytes | frames | bytes …
    let row =
        text.lines().find(|l| l.contains("<>")).ok_or_else(|| format!("no statistics: {text} {}", String::from_utf8_lossy(&out.stderr)))?;
    let cells: Vec<usize> = row.split('|').skip(2).filter_map(|c| c.trim().parse().ok()).collect();
    if cells.len() != filters.len() * 2 {
        return Err(format!("{} numbers for {} filters in `{row}`", cells.len(), filters.len()).into());
    }
    Ok(cells.into_iter().step_by(2).collect())
}
