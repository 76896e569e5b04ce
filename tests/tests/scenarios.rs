//! One trial per scenario, world and pairing of gateways: broken and fixed, judged. Also under cargo-nextest, with `--partition`.

use std::path::PathBuf;

use faultlab::cli;
use faultlab::report::human;
use faultlab::run::drivers::{self, Pairing};
use faultlab::run::lack::NotRun;
use faultlab::run::orchestrate::{self, Options};
use faultlab::run::outcome::Verdict;
use faultlab::run::worlds::{WorldChoice, WorldKind, Worlds};
use faultlab::scenario::model::{Scenario, ScenarioKind};
use faultlab::scenario::pairs::Coverage;
use libtest_mimic::{Arguments, Failed, Trial};

mod healthy;
mod silent;

/// Controls that every pair of implementations must pass (in the pocket world, where all of them run).
const INTEROPERATION: [&str; 3] = ["ok-v2-psk", "ok-v1-main-psk-esp-tunnel", "ok-v1-aggressive"];

/// Files of `tests/healthy`.
const HEALTHY: [&str; 4] = ["eap", "liveness-and-new-keys-v1", "liveness-and-new-keys-v2", "star"];

fn main() {
    faultlab::world::cell::entry(faultlab::run::lab::cell_main);
    let mut arguments = Arguments::from_args();
    // Cells mostly wait for protocol timers.
    arguments.test_threads.get_or_insert(4);
    let library = cli::scenarios::library(None).unwrap_or_else(|e| panic!("{}", e.message));
    let scenarios = cli::scenarios::select(&library, &[]).unwrap_or_else(|e| panic!("{}", e.message));
    assert!(!scenarios.is_empty(), "there are scenarios");
    let deviations = cli::matrix::known_deviations(&library, &scenarios).unwrap_or_else(|e| panic!("{}", e.message));
    // Tunnels that do more than the controls do, for what a symptom could take for a failure.
    let also = cli::scenarios::select(&library, &HEALTHY.map(|f| format!("{}/healthy/{f}.toml", env!("CARGO_MANIFEST_DIR"))));
    let scenarios: Vec<Scenario> = scenarios.into_iter().chain(also.unwrap_or_else(|e| panic!("{}", e.message))).collect();
    let worlds = Worlds::default();
    let cells = faultlab::world::cell::CellHandle::try_out().map_err(|e| e.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap_or_else(|e| panic!("{e}"));
    // Decided when listing: a skip at run time would count as passed under nextest.
    let able = |scenario: &Scenario, world: WorldKind, pairing: &Pairing| match (world, &cells) {
        (WorldKind::Host, Err(e)) => Err(e.clone()),
        _ => match runtime.block_on(worlds.choose(world.into(), scenario, pairing)) {
            Err(NotRun::Skipped(skip)) => Err(skip.text),
            // A world that could not be asked fails in its trials.
            Ok(_) | Err(NotRun::Failed(_)) => Ok(()),
        },
    };
    let deviates = |scenario: &Scenario, world: WorldKind, pairing: &Pairing| {
        let versions = runtime.block_on(worlds.versions(scenario, pairing, world));
        deviations.iter().any(|d| d.covers(&scenario.id, &pairing.to_string(), world, &versions) == Coverage::Covered)
    };
    let mut trials = Vec::new();
    for scenario in &scenarios {
        let mut played = false;
        for (world, pairing) in plan(scenario, |world, pairing| able(scenario, world, pairing).is_ok()) {
            played = true;
            // The matrix checks that it keeps deviating.
            if deviates(scenario, world, &pairing) {
                continue;
            }
            let (name, scenario) = (format!("{} {pairing}", scenario.id), scenario.clone());
            trials.push(Trial::test(name, move || trial(&scenario, world.into(), &pairing)).with_kind(world.name()));
        }
        if !played {
            let reasons = WorldKind::ALL.map(|w| able(scenario, w, &Pairing::default()).err().unwrap_or_default()).join("; ");
            if !arguments.list {
                eprintln!("{}: skipped({reasons})", scenario.id);
            }
            trials.push(Trial::test(scenario.id.clone(), || Ok(())).with_ignored_flag(true));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Where a scenario is played, and by whom. In the host world every pairing that can; in the pocket world, where more can, the first
/// pairing that can, and for the controls all of them.
fn plan(scenario: &Scenario, able: impl Fn(WorldKind, &Pairing) -> bool) -> Vec<(WorldKind, Pairing)> {
    let all = Pairing::all_of(&drivers::names());
    let of = |world: WorldKind| all.iter().filter(|p| able(world, p)).cloned().map(|p| (world, p)).collect::<Vec<_>>();
    let mut pocket = of(WorldKind::Pocket);
    if !INTEROPERATION.contains(&scenario.id.as_str()) {
        pocket.truncate(1);
    }
    let mut plan = of(WorldKind::Host);
    plan.extend(pocket);
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
    if result.verdict != Verdict::Reproduced {
        return Err(Failed::from(human::explain(result, false)));
    }
    let wrong = if scenario.kind == ScenarioKind::Control { healthy::failures(&scenario.broken, result)? } else { Vec::new() };
    if wrong.is_empty() { Ok(()) } else { Err(format!("signs of a failure in a healthy tunnel:\n  {}", wrong.join("\n  ")).into()) }
}
