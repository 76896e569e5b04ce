//! What is nobody else's business stays private: the environment, secrets of scenarios, keys.

use libtest_mimic::{Arguments, Failed, Trial};

mod pocket;
#[path = "../processes/mod.rs"]
mod processes;
mod stage;

/// One trial's work.
type Check = fn() -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let missing = pocket::missing();
    if let (Some(missing), false) = (&missing, arguments.list) {
        eprintln!("private, pocket world: skipped({missing})");
    }
    let pockets: [(&str, Check); 2] = [
        ("a_pocket_without_namespaces_leaves_no_orders", pocket::no_orders_are_left),
        ("a_kernel_never_outlives_its_parent", pocket::kernel_goes_with_its_parent),
    ];
    let trials = pockets.map(|(name, trial)| Trial::test(name, trial).with_ignored_flag(missing.is_some()));
    libtest_mimic::run(&arguments, trials.into_iter().collect()).exit();
}
