//! Cells: the sandbox that one run lives in.
//!
//! The program starts itself again twice. `__cell-outer` moves into new namespaces and waits; `__cell`, its child, is
//! process 1 of the new process-id namespace, so everything inside dies with it. Both die with the process above them
//! (`PDEATHSIG`), and the end of the lifeline (standard input) ends the cell as well. The job goes in as one line of
//! JSON; events come out as lines of JSON.
//!
//! In the pocket world the two are `__pocket-outer` and `__pocket-first`, the parent of a kernel, and the code that plays
//! `__cell` is that kernel's first process, `__pocket-init`; the streams are the same. The lifeline is held by the parent of
//! the kernel, which is told through it that the guest has read its orders. Where the machine gives no namespaces,
//! `__pocket-outer` holds it, too, and removes the kernel's files.

mod enter;
mod first;
mod guard;
mod guest;
mod handle;
mod kept;
mod pocket;
mod stat;

pub(super) use enter::enter_args;
pub use enter::{NOT_STARTED, enter_cell};
pub use first::EventSink;
pub use guest::publish;
pub use handle::{CellError, CellExit, CellHandle};
pub use kept::Kept;

use serde::{Deserialize, Serialize};

use super::namespaces::Refusal;

/// What the two processes of a cell say before the first event.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Greeting {
    /// Process id of the cell's first process, as its parent sees it.
    Pid(u32),
    /// The first process awaits its job.
    Ready,
    /// The machine cannot.
    Refused(Refusal),
}

const OUTER: &str = "__cell-outer";
const FIRST: &str = "__cell";
const ENTER: &str = "__enter";
const JOIN: &str = "__join";
const GUARD: &str = "__guard";
const POCKET_OUTER: &str = "__pocket-outer";
const POCKET_FIRST: &str = "__pocket-first";
const POCKET_TRIAL: &str = "__pocket-trial";
const POCKET_INIT: &str = "__pocket-init";

/// To be called first in `main`, while the process has one thread. When this process was started as part of a cell, plays
/// that part and never returns; otherwise returns at once. `cell_main` gets the job and returns the exit status.
pub fn entry(cell_main: fn(Vec<u8>, EventSink) -> i32) {
    let mut args = std::env::args_os().skip(1);
    let status = match args.next().as_deref().and_then(|word| word.to_str()) {
        Some(OUTER) => first::outer(args.next()),
        Some(FIRST) => first::first(cell_main),
        Some(ENTER) => enter::enter(args),
        Some(JOIN) => enter::join(args),
        Some(GUARD) => enter::guard(args),
        Some(POCKET_OUTER) => pocket::outer(args.next(), args.next()),
        Some(POCKET_TRIAL) => pocket::trial(),
        Some(POCKET_FIRST) => pocket::first(args.next(), args.next()),
        Some(POCKET_INIT) => guest::init(cell_main, args.next()),
        _ => return,
    };
    std::process::exit(status)
}

/// Dies when the thread that spawned this process ends. `parent` is the expected parent, as seen from here: if it is
/// another one already, the death came first.
fn die_with_parent(parent: Option<i32>) -> Result<(), Refusal> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
        .map_err(|e| Refusal::new("set the parent death signal", e, "the kernel must support PR_SET_PDEATHSIG"))?;
    let now = nix::unistd::getppid().as_raw();
    match parent {
        Some(expected) if expected != now => {
            Err(Refusal::new("stay below the parent process", format!("parent is {now}, not {expected}"), "it ended meanwhile"))
        }
        _ => Ok(()),
    }
}
