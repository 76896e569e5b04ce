//! Exit codes, in one place.

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
    /// This machine cannot (privilege, kernel feature, missing package).
    Machine = 3,
    /// Our bug.
    Bug = 4,
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
    /// The user's input is wrong.
    pub fn wrong(message: impl Into<String>) -> CliError {
        CliError { exit: Exit::Wrong, message: message.into() }
    }

    /// This machine cannot.
    pub fn machine(message: impl Into<String>) -> CliError {
        CliError { exit: Exit::Machine, message: message.into() }
    }

    /// Our bug.
    pub fn bug(message: impl Into<String>) -> CliError {
        CliError { exit: Exit::Bug, message: message.into() }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}
