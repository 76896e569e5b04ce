//! Folders that the user names for what the program writes.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::exit::{CliError, Exit};

/// Makes a folder for evidence or results. What is written there is named in JSON, on pages and in commands, so its whole name must be
/// text.
pub fn make(dir: &Path, option: &str) -> Result<(), CliError> {
    let cannot = |e: io::Error| CliError {
        exit: blame(&e),
        message: format!("cannot make the folder {}: {e}; choose another with {option}", crate::text::path(dir)),
    };
    name(dir, option)?;
    std::fs::create_dir_all(dir).map_err(cannot)?;
    // By way of links it may be in a folder with another name.
    name(&std::fs::canonicalize(dir).map_err(cannot)?, option)
}

/// Checks the whole name only.
pub fn name(dir: &Path, option: &str) -> Result<(), CliError> {
    match std::path::absolute(dir).unwrap_or_default().to_str() {
        Some(_) => Ok(()),
        None => Err(CliError::wrong(format!("the name of {} is not UTF-8; choose another folder with {option}", crate::text::path(dir)))),
    }
}

/// Whose fault it is that something cannot be written: no name for it, or no place.
pub fn blame(e: &io::Error) -> Exit {
    match e.kind() {
        ErrorKind::AlreadyExists
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::NotFound
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename => Exit::Wrong,
        _ => Exit::Machine,
    }
}
