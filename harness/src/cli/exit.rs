//! Exit codes, in one place.

use crate::scenario::Diagnostics;
use crate::text::lines;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// All as expected.
    Expected = 0,
    /// A verdict was not as expected.
    Unexpected = 1,
    /// The scenario, the capture file or the command line is wrong.
    Wrong = 2,
    /// This machine cannot (privilege, kernel feature, missing package), or ran short of something while it did (disk, file descriptors,
    /// processes, memory).
    Machine = 3,
    /// Our bug.
    Bug = 4,
}

/// What one scenario of a run, or one cell of a matrix, says about the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// It is as it must be.
    Good,
    /// It was skipped: the pairing or the world cannot do what it needs.
    SkippedByDesign,
    /// It was skipped: something is missing that could be installed.
    SkippedForWant,
    /// It is not as it must be.
    Unexpected,
    /// It could not be judged, because the machine ran short of something.
    Short,
    /// Our bug.
    Bug,
}

impl Exit {
    /// Of everything together. `strict`: a skip for want of something is an error. `whole`: if all of it was skipped, nothing ran, which
    /// must not look like success.
    pub fn of(all: &[Says], strict: bool, whole: bool) -> Exit {
        let any = |says: Says| all.contains(&says);
        let skipped = |s: &Says| matches!(s, Says::SkippedByDesign | Says::SkippedForWant);
        if any(Says::Bug) {
            Exit::Bug
        } else if any(Says::Unexpected) {
            Exit::Unexpected
        } else if any(Says::Short) || strict && any(Says::SkippedForWant) || whole && all.iter().all(skipped) {
            Exit::Machine
        } else {
            Exit::Expected
        }
    }
}

/// An error that ends a command, with its exit code and a message for people.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// Exit code.
    pub exit: Exit,
    /// What is wrong, where, and what to do.
    pub message: String,
}

impl CliError {
    fn new(exit: Exit, message: &str) -> CliError {
        CliError { exit, message: lines(message).into_owned() }
    }

    /// Mistakes in files, rendered, perhaps in colour.
    pub fn mistakes(found: &Diagnostics, colour: bool) -> CliError {
        CliError { exit: Exit::Wrong, message: found.render(colour) }
    }

    /// The user's input is wrong.
    pub fn wrong(message: impl AsRef<str>) -> CliError {
        CliError::new(Exit::Wrong, message.as_ref())
    }

    /// This machine cannot.
    pub fn machine(message: impl AsRef<str>) -> CliError {
        CliError::new(Exit::Machine, message.as_ref())
    }

    /// Our bug.
    pub fn bug(message: impl AsRef<str>) -> CliError {
        CliError::new(Exit::Bug, message.as_ref())
    }
}

/// What a command's end is passed on as: its status, or 128 and the signal's number, as shells do.
pub fn of_command(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Ends this program as a command has ended that it ran for somebody.
pub fn pass_on(status: std::process::ExitStatus) -> ! {
    std::process::exit(of_command(status))
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Says::*;

    #[test]
    fn the_worst_counts() {
        for (all, lax, strict) in [
            (&[Good, Good][..], Exit::Expected, Exit::Expected),
            (&[Good, SkippedByDesign], Exit::Expected, Exit::Expected),
            (&[Good, SkippedForWant], Exit::Expected, Exit::Machine),
            (&[SkippedByDesign, SkippedByDesign], Exit::Machine, Exit::Machine),
            (&[Good, Short, SkippedByDesign], Exit::Machine, Exit::Machine),
            (&[Good, Short, Unexpected], Exit::Unexpected, Exit::Unexpected),
            (&[Short, Unexpected, Bug], Exit::Bug, Exit::Bug),
        ] {
            assert_eq!((Exit::of(all, false, true), Exit::of(all, true, true)), (lax, strict), "{all:?}");
        }
        assert_eq!(Exit::of(&[SkippedByDesign], false, false), Exit::Expected, "a part may have nothing to run");
    }
}
