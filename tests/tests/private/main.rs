//! What is nobody else's business stays private: the environment, secrets of scenarios, keys.

use libtest_mimic::{Arguments, Failed, Trial};

mod pocket;
#[path = "../processes/mod.rs"]
mod processes;
mod secrets;
mod stage;

/// One trial's work.
type Check = fn() -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let missing = pocket::missing();
    if let (Some(missing), false) = (&missing, arguments.list) {
        eprintln!("private, pocket world: skipped({missing})");
    }
    let able = std::process::Command::new(processes::binary()).arg("doctor").output().is_ok_and(|o| o.status.success());
    if !able && !arguments.list {
        eprintln!("private: skipped(this machine cannot run cells or has no gateway; see `faultlab doctor`)");
    }
    let plain: [(&str, Check, bool); 2] =
        [("secrets_are_shown_as_digests", secrets::shown, true), ("secrets_stay_private_in_the_host_world", secrets::host_world, able)];
    let pockets: [(&str, Check); 3] = [
        ("secrets_stay_private_in_the_pocket_world", secrets::pocket_world),
        ("a_pocket_without_namespaces_leaves_no_orders", pocket::no_orders_are_left),
        ("a_kernel_never_outlives_its_parent", pocket::kernel_goes_with_its_parent),
    ];
    let plain = plain.map(|(name, trial, able)| Trial::test(name, trial).with_ignored_flag(!able));
    let pockets = pockets.map(|(name, trial)| Trial::test(name, trial).with_ignored_flag(missing.is_some()));
    libtest_mimic::run(&arguments, plain.into_iter().chain(pockets).collect()).exit();
}
