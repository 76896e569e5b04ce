//! One trial per scenario, world and pairing: broken and fixed, judged. Also under cargo-nextest, with `--partition`.

use std::path::PathBuf;

use faultlab::cli;
use faultlab::report::human;
use faultlab::run::drivers::{self, Pairing};
use faultlab::run::orchestrate::{self, Options};
use faultlab::run::outcome::Verdict;
use faultlab::run::worlds::{WorldChoice, Worlds};
use faultlab::scenario::model::Scenario;
use libtest_mimic::{Arguments, Failed, Trial};

mod silent;

/// Controls that every pair of implementations must pass (in the pocket world, where all of them run).
const INTEROPERATION: [&str; 3] = ["ok-v2-psk", "ok-v1-main-psk-esp-tunnel", "ok-v1-aggressive"];

fn main() {
    faultlab::world::cell::entry(faultlab::run::lab::cell_main);
    let mut arguments = Arguments::from_args();
    // Cells mostly wait for protocol timers.
    arguments.test_threads.get_or_insert(4);
    let library = cli::scenarios::library(None).unwrap_or_else(|e| panic!("{}", e.message));
    let scenarios = cli::scenarios::select(&library, &[]).unwrap_or_else(|e| panic!("{}", e.message));
    assert!(!scenarios.is_empty(), "there are scenarios");
    let worlds = Worlds::default();
    let cells = faultlab::world::cell::CellHandle::try_out().map_err(|e| e.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap_or_else(|e| panic!("{e}"));
    let mut trials = Vec::new();
    for (scenario, world, pairing) in plan(&scenarios) {
        let kind = match world {
            WorldChoice::Pocket => "pocket",
            _ => "host",
        };
        let name = if pairing == Pairing::default() { scenario.id.clone() } else { format!("{} {pairing}", scenario.id) };
        // Decided when listing: a skip at run time would count as passed under nextest.
        let able = |world| runtime.block_on(worlds.choose(world, scenario, &pairing));
        let skip = match (world, &cells) {
            (WorldChoice::Host, Err(e)) => Some(e.clone()),
            _ => able(world).err(),
        };
        // What one world cannot do is no gap as long as the other one can.
        if world == WorldChoice::Host && skip.is_some() && able(WorldChoice::Pocket).is_ok() {
            continue;
        }
        if let (Some(reason), false) = (&skip, arguments.list) {
            eprintln!("{kind} {name}: skipped({reason})");
        }
        let scenario = scenario.clone();
        let ignored = skip.is_some();
        trials.push(Trial::test(name, move || trial(&scenario, world, &pairing)).with_kind(kind).with_ignored_flag(ignored));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Every scenario in both worlds with the default pairing; the controls with every other pairing.
fn plan(scenarios: &[Scenario]) -> Vec<(&Scenario, WorldChoice, Pairing)> {
    let mut plan: Vec<_> =
        scenarios.iter().flat_map(|s| [WorldChoice::Host, WorldChoice::Pocket].map(|world| (s, world, Pairing::default()))).collect();
    let controls = scenarios.iter().filter(|s| INTEROPERATION.contains(&s.id.as_str()));
    for control in controls {
        let v2 = control.id == INTEROPERATION[0];
        let able: Vec<&str> = drivers::names().into_iter().filter(|n| v2 || *n != "openiked").collect();
        let pairs = able.iter().flat_map(|a| able.iter().map(move |b| format!("{a}:{b}")));
        let others = pairs.filter_map(|p| p.parse().ok()).filter(|p| *p != Pairing::default());
        plan.extend(others.map(|p| (control, WorldChoice::Pocket, p)));
    }
    plan
}

fn trial(scenario: &Scenario, world: WorldChoice, pairing: &Pairing) -> Result<(), Failed> {
    let options = Options {
        pairing: Some(pairing.clone()),
        world,
        real_time: false,
        jobs: 2,
        keep: false,
        only: None,
        root: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("scenarios"),
        run: format!("{}-{world:?}-{}", std::process::id(), pairing.to_string().replace(':', "-")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let finished = runtime.block_on(orchestrate::run(std::slice::from_ref(scenario), &options, &mut silent::Silent));
    let result = finished.results.first().ok_or("no result")?;
    if result.verdict == Verdict::Reproduced { Ok(()) } else { Err(Failed::from(human::explain(result, false))) }
}
