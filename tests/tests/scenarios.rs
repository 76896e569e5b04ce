//! One trial per scenario and pairing: broken and fixed, judged. Also under cargo-nextest, with `--partition`.

use std::path::PathBuf;

use faultlab::cli;
use faultlab::report::human;
use faultlab::run::drivers::{Pairing, runnable};
use faultlab::run::orchestrate::{self, Options};
use faultlab::run::outcome::Verdict;
use faultlab::scenario::model::Scenario;
use libtest_mimic::{Arguments, Failed, Trial};

mod silent;

fn main() {
    faultlab::world::cell::entry(faultlab::run::lab::cell_main);
    let mut arguments = Arguments::from_args();
    // Cells mostly wait for protocol timers.
    arguments.test_threads.get_or_insert(4);
    let library = cli::scenarios::library(None).unwrap_or_else(|e| panic!("{}", e.message));
    let scenarios = cli::scenarios::select(&library, &[]).unwrap_or_else(|e| panic!("{}", e.message));
    assert!(!scenarios.is_empty(), "there are scenarios");
    let pairing = Pairing::default();
    let world = faultlab::world::cell::CellHandle::try_out().map_err(|e| e.to_string());
    let trials = scenarios
        .into_iter()
        .map(|scenario| {
            // Decided when listing: a skip at run time would count as passed under nextest.
            let skip = world.clone().and_then(|()| runnable(&scenario, &pairing)).err();
            if let (Some(reason), false) = (&skip, arguments.list) {
                eprintln!("{}: skipped({reason})", scenario.id);
            }
            let (name, kind) = (scenario.id.clone(), pairing.to_string());
            Trial::test(name, move || trial(&scenario, &Pairing::default())).with_kind(kind).with_ignored_flag(skip.is_some())
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(scenario: &Scenario, pairing: &Pairing) -> Result<(), Failed> {
    let options = Options {
        pairing: pairing.clone(),
        jobs: 2,
        keep: false,
        only: None,
        root: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("scenarios"),
        run: std::process::id().to_string(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let finished = runtime.block_on(orchestrate::run(std::slice::from_ref(scenario), &options, &mut silent::Silent));
    let result = finished.results.first().ok_or("no result")?;
    if result.verdict == Verdict::Reproduced { Ok(()) } else { Err(Failed::from(human::explain(result, false))) }
}
