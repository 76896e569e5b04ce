//! tshark is the oracle: every filter in `scenarios/`, and some about every field, select the same frames of every capture that the
//! scenarios write, and those of `played`, in which a gateway bends its messages in every way that it can.
//!
//! One trial per scenario and players: runs it, then compares, for both captures, the frames that the filters of all
//! scenarios select, and those that its own select through `faultlab packets`. tshark gets the run's keys.
#![allow(clippy::unwrap_used)] // a panic is a failed trial

use std::collections::BTreeSet;
use std::path::Path;

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

#[path = "../every/mod.rs"]
mod every;
mod played;
mod select;
#[path = "../silent/mod.rs"]
mod silent;
#[path = "../tshark/mod.rs"]
mod tshark;

use select::Selected;
use tshark::Tshark;

fn main() {
    cell::entry(faultlab::run::lab::cell_main);
    let arguments = Arguments::from_args();
    let library = scenarios::library(None).unwrap_or_else(|e| panic!("{}", e.message));
    let mut all = scenarios::select(&library, &[]).unwrap_or_else(|e| panic!("{}", e.message));
    let filters: BTreeSet<String> = all.iter().flat_map(filters_of).collect();
    all.extend(played::beside(&library));
    let complete = played::complete(&library, &all);
    let world = CellHandle::try_out().map_err(|e| e.to_string());
    let tshark = if arguments.list { Tshark::find().unwrap_or_else(|e| panic!("{e}")) } else { Tshark::announced() };
    let worlds = Worlds::default();
    let asking = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap_or_else(|e| panic!("{e}"));
    let each = all.into_iter().flat_map(|scenario| {
        // Only the in-house gateway bends messages, and there is nothing to see of it in the fixed twin.
        let players = if scenario.group == played::BENT_GROUP { &PLAYERS[..1] } else { &PLAYERS[..] };
        players.iter().map(move |players| (scenario.clone(), *players))
    });
    let of_ike: BTreeSet<String> = every::of_every_field().into_iter().filter(|f| f.contains("isakmp") || f == "data").collect();
    let trials = each.map(|(scenario, players)| {
        let able = || asking.block_on(worlds.cast(WorldChoice::Auto, &scenario, players.parse().ok().as_ref()));
        let tools = || if tshark.is_some() { Ok(()) } else { Err("tshark is not installed; apt-get install tshark".to_owned()) };
        let skip = world.clone().and_then(|()| tools()).and_then(|()| able().map(drop).map_err(|e| e.to_string())).err();
        if let (Some(reason), false) = (&skip, arguments.list) {
            eprintln!("oracle {} {players}: skipped({reason})", scenario.id);
        }
        let (mut filters, tshark) = (filters.clone(), tshark.clone());
        if scenario.group == played::BENT_GROUP {
            filters.extend(of_ike.iter().cloned());
            filters.retain(|filter| played::alike(&scenario.id, filter));
        }
        let name = format!("{} {players}", scenario.id);
        Trial::test(name, move || match &tshark {
            Some(tshark) => trial(tshark, &scenario, players, &filters),
            None => Err("without tshark nothing can be compared".into()),
        })
        .with_kind("tshark")
        .with_ignored_flag(skip.is_some())
    });
    let complete = Trial::test("every `do` of a scenario is seen", || complete);
    libtest_mimic::run(&arguments, trials.chain([complete]).collect()).exit();
}

/// Whose captures are compared.
const PLAYERS: [&str; 2] = ["inhouse:inhouse", "strongswan:strongswan"];

fn trial(tshark: &Tshark, scenario: &Scenario, players: &str, all: &BTreeSet<String>) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let options = Options {
        pairing: players.parse().ok(),
        world: WorldChoice::Auto,
        real_time: false,
        jobs: 2,
        keep: false,
        only: (scenario.group == played::BENT_GROUP).then_some(Side::Broken),
        root: folder.path().to_owned(),
        run: "oracle".into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let finished = runtime.block_on(orchestrate::run(std::slice::from_ref(scenario), &options, &mut silent::Silent));
    let own = filters_of(scenario);
    let all: Vec<String> = own.iter().chain(all.difference(&own)).cloned().collect();
    let mut wrong = Vec::new();
    for side in finished.results.iter().flat_map(|r| &r.sides) {
        if let Some(trouble) = &side.trouble {
            return Err(trouble.text.clone().into());
        }
        let capture = side.dir.join(artefacts::CAPTURE);
        let taps: Vec<String> = side_plan(scenario, side.side).taps().iter().map(ToString::to_string).collect();
        let theirs = select::select(tshark, &capture, &side.dir, &all, &taps)?;
        let ours = ours(&capture, &all)?;
        for (n, filter) in all.iter().enumerate() {
            let mut differ = |ours: &BTreeSet<u32>, how: &str| {
                if *ours != theirs[n] {
                    let odd: Vec<_> = ours.symmetric_difference(&theirs[n]).take(10).collect();
                    let (side, ours, theirs) = (side.side.name(), ours.len(), theirs[n].len());
                    wrong.push(format!("{side} `{filter}`: {ours} frames{how}, tshark {theirs}; they differ at {odd:?}"));
                }
            };
            differ(&ours[n], "");
            if n < own.len() {
                differ(&through_packets(&capture, filter)?, " of `packets`");
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
    // Our own analysis fields are unknown to tshark.
    filters.retain(|f| !f.contains("faultlab."));
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
}

/// Frames that one filter selects, as the command line tells them.
fn through_packets(capture: &Path, filter: &str) -> Result<BTreeSet<u32>, Failed> {
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

/// Frames that each filter selects, in one pass.
fn ours(capture: &Path, filters: &[String]) -> Result<Selected, Failed> {
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
    let matching = |f: &Filter| all.records.iter().zip(1..).filter(|(r, _)| f.matches(r, &analysis)).map(|(_, n)| n).collect();
    Ok(filters.iter().map(matching).collect())
}

fn side_plan(scenario: &Scenario, side: Side) -> &Plan {
    scenario.fixed.as_ref().filter(|_| side == Side::Fixed).unwrap_or(&scenario.broken)
}
