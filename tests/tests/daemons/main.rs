//! A daemon that ends or hangs although nothing in the scenario asked for it makes its side inconclusive, at once, and whatever was seen;
//! one that the scenario itself ends does not. Real daemons, in cells whose first process is this program.

use std::path::{Path, PathBuf};

use faultlab::cli;
use faultlab::report::human;
use faultlab::run::drivers::Pairing;
use faultlab::run::orchestrate::{self, Options};
use faultlab::run::outcome::{Verdict, Whose};
use faultlab::run::worlds::{WorldKind, Worlds};
use faultlab::scenario::model::Scenario;
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::Signal;

mod accident;
#[path = "../processes/mod.rs"]
mod processes;
#[path = "../silent/mod.rs"]
mod silent;

use accident::{Accident, Kind};

/// What must be said of an accident.
struct Case {
    name: &'static str,
    accident: Accident,
    world: WorldKind,
    player: &'static str,
    whose: Whose,
    said: &'static [&'static str],
}

const ENDED: &str = "after the start, which nothing in the scenario asked for; its last lines: ";
/// The step in which the tunnel is up and nothing happens.
const QUIET: &str = "silence";
/// The phase in which the daemons are started.
const START: &str = "gateways";
/// The phase that begins with the initiation.
const BEGIN: &str = "traffic";

fn cases() -> Vec<Case> {
    use Kind::{Daemon, Helper, NoDevice, Panic};
    use Signal::{SIGKILL, SIGSEGV, SIGSTOP};
    use Whose::{Outside, Peer, Us};
    use WorldKind::{Host, Pocket};
    let case = |name, what, gateway, moment, world, player, whose, said| Case {
        name,
        accident: Accident { what, gateway, moment },
        world,
        player,
        whose,
        said,
    };
    const KILLED: &[&str] = &["ended with signal 9 (SIGKILL) ", ENDED];
    // It may not have said anything.
    const KILLED_EARLY: &[&str] = &["ended with signal 9 (SIGKILL) ", " after the start, which nothing in the scenario asked for"];
    const STOPPED: &[&str] = &["was stopped by SIGSTOP ", "which nothing in the scenario asked for"];
    vec![
        case("charon_killed", Daemon(SIGKILL), "east", QUIET, Host, "strongswan", Outside, KILLED),
        case("charon_killed_while_it_starts", Daemon(SIGKILL), "east", START, Host, "strongswan", Outside, KILLED_EARLY),
        case("charon_killed_while_it_initiates", Daemon(SIGKILL), "west", BEGIN, Host, "strongswan", Outside, KILLED),
        case(
            "charon_crashed",
            Daemon(SIGSEGV),
            "east",
            QUIET,
            Host,
            "strongswan",
            Peer,
            &["ended with signal 6 (SIGABRT) ", ENDED, "killing ourself"],
        ),
        case("charon_stopped", Daemon(SIGSTOP), "east", QUIET, Host, "strongswan", Outside, STOPPED),
        case("charon_stopped_while_it_initiates", Daemon(SIGSTOP), "west", BEGIN, Host, "strongswan", Outside, STOPPED),
        case("thread_ended", NoDevice, "east", QUIET, Host, "inhouse", Us, &["ended: reading from the TUN device: ", ENDED]),
        case("charon_killed", Daemon(SIGKILL), "east", QUIET, Pocket, "strongswan", Outside, KILLED),
        case("thread_ended", NoDevice, "west", QUIET, Pocket, "inhouse", Us, &["ended: reading from the TUN device: ", ENDED]),
        case("pluto_killed", Daemon(SIGKILL), "east", QUIET, Pocket, "libreswan", Outside, KILLED),
        case("pluto_killed_while_it_starts", Daemon(SIGKILL), "west", START, Pocket, "libreswan", Outside, KILLED_EARLY),
        case("pluto_killed_while_it_initiates", Daemon(SIGKILL), "west", BEGIN, Pocket, "libreswan", Outside, KILLED),
        case("pluto_stopped", Daemon(SIGSTOP), "east", QUIET, Pocket, "libreswan", Outside, STOPPED),
        case("iked_killed", Daemon(SIGKILL), "east", QUIET, Pocket, "openiked", Outside, KILLED),
        case("iked_killed_while_it_starts", Daemon(SIGKILL), "west", START, Pocket, "openiked", Outside, KILLED_EARLY),
        case("iked_killed_while_it_initiates", Daemon(SIGKILL), "west", BEGIN, Pocket, "openiked", Outside, KILLED),
        case("iked_stopped", Daemon(SIGSTOP), "east", QUIET, Pocket, "openiked", Outside, STOPPED),
        // As a task of a driver would, which nobody waits for.
        case("panic", Panic, "east", QUIET, Pocket, "inhouse", Us, &["a task of faultlab was given up: panicked at ", "as asked for"]),
        // Not our child: nobody hears of it until the gateway is asked a last time.
        case("process_of_iked_stopped", Helper(SIGSTOP), "east", QUIET, Pocket, "openiked", Peer, &["hangs: waited ", "in vain for "]),
        case("process_of_iked_killed", Helper(SIGKILL), "east", QUIET, Pocket, "openiked", Peer, &["ended with exit status ", ENDED]),
    ]
}

fn main() {
    faultlab::world::cell::entry(accident::cell_main);
    let mut arguments = Arguments::from_args();
    // Cells mostly wait.
    arguments.test_threads.get_or_insert(4);
    let worlds = Worlds::default();
    let cells = faultlab::world::cell::CellHandle::try_out().is_ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap_or_else(|e| panic!("{e}"));
    let quiet = load("right/a-minute-of-silence.toml", "");
    let able = |world: WorldKind, pairing: &Pairing| {
        (world == WorldKind::Pocket || cells) && runtime.block_on(worlds.choose(world.into(), &quiet, pairing)).is_ok()
    };
    let mut trials = Vec::new();
    for case in cases() {
        let pairing = pairing(case.player);
        let able = able(case.world, &pairing);
        if !able && !arguments.list {
            eprintln!("{}: skipped({} cannot play in the {} world here)", case.name, case.player, case.world.name());
        }
        let (name, kind, scenario) = (case.name.to_owned(), case.world.name(), quiet.clone());
        trials.push(Trial::test(name, move || unasked(&case, &scenario)).with_kind(kind).with_ignored_flag(!able));
    }
    for (world, player) in [
        (WorldKind::Host, "inhouse"),
        (WorldKind::Host, "strongswan"),
        (WorldKind::Pocket, "strongswan"),
        (WorldKind::Pocket, "libreswan"),
        (WorldKind::Pocket, "openiked"),
    ] {
        for (word, gateway) in [("daemon-kill", "east"), ("daemon-stop", "east"), ("daemon-kill", "west")] {
            let able = able(world, &pairing(player));
            let trial = Trial::test(format!("asked_for: {word} at {gateway}, {player}"), move || asked(world, player, word, gateway));
            trials.push(trial.with_kind(world.name()).with_ignored_flag(!able));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn pairing(player: &str) -> Pairing {
    format!("{player}:{player}").parse().unwrap_or_else(|e| panic!("{e}"))
}

/// A scenario of this folder, with a word in the place of `WORD`.
fn load(file: &str, word: &str) -> Scenario {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let path = folder.path().join(Path::new(file).file_name().unwrap_or_default());
    std::fs::write(&path, text.replace("WORD", word)).unwrap_or_else(|e| panic!("{e}"));
    let library = cli::scenarios::library(None).unwrap_or_else(|e| panic!("{}", e.message));
    cli::scenarios::select(&library, &[path.display().to_string()]).unwrap_or_else(|e| panic!("{}", e.message)).remove(0)
}

fn play(scenario: &Scenario, world: WorldKind, player: &str, run: String) -> Result<orchestrate::Finished, Failed> {
    let options = Options {
        pairing: Some(pairing(player)),
        world: world.into(),
        real_time: false,
        jobs: 2,
        keep: false,
        only: None,
        root: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("daemons"),
        run,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(orchestrate::run(std::slice::from_ref(scenario), &options, &mut silent::Silent)))
}

fn unasked(case: &Case, scenario: &Scenario) -> Result<(), Failed> {
    let run = format!("{}-{}.{}", std::process::id(), case.world.name(), case.accident.name());
    let finished = play(scenario, case.world, case.player, run)?;
    let result = finished.results.first().ok_or("no result")?;
    let why = || Failed::from(human::explain(result, false));
    let Verdict::Inconclusive(reason) = &result.verdict else { return Err(why()) };
    let subject = match case.accident.what {
        Kind::Panic => String::new(),
        _ => format!("{}'s daemon ({}) ", case.accident.gateway, case.player),
    };
    if !reason.contains(&subject) || !case.said.iter().all(|words| reason.contains(words)) {
        return Err(format!("the reason does not say {subject:?} and {:?}: {reason}", case.said).into());
    }
    let side = result.sides.first().ok_or("no side")?;
    let trouble = side.trouble.as_ref().ok_or("no trouble")?;
    if trouble.whose != case.whose {
        return Err(format!("{:?}, not {:?}: {reason}", trouble.whose, case.whose).into());
    }
    // What was seen until then is kept, and what was not to come is not waited for.
    let early = !matches!(case.accident.what, Kind::Helper(Signal::SIGSTOP) | Kind::Panic);
    if side.packets == 0 && case.accident.moment == QUIET || early && side.elapsed.as_secs() >= 45 {
        return Err(format!("{} packets in {:?}: {reason}", side.packets, side.elapsed).into());
    }
    Ok(())
}

fn asked(world: WorldKind, player: &str, word: &str, gateway: &str) -> Result<(), Failed> {
    let scenario = load("right/daemon-ended-on-purpose.toml", &format!("{word} = {{ at = \"{gateway}\" }}"));
    let finished = play(&scenario, world, player, format!("{}-{}-{player}-{word}-{gateway}", std::process::id(), world.name()))?;
    let result = finished.results.first().ok_or("no result")?;
    if result.verdict == Verdict::Reproduced { Ok(()) } else { Err(Failed::from(human::explain(result, false))) }
}
