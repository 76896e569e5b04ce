//! The `faultlab` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    faultlab::limits::prepare();
    // In a cell, or in a node of one, this does not return.
    faultlab::world::cell::entry(faultlab::run::lab::cell_main);
    faultlab::cli::main().into()
}
