//! `faultlab shell`: walk into a kept network.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::exit::{self, CliError, Exit};
use crate::run::artefacts;
use crate::text;
use crate::world::cell::{Kept, enter_cell};
use clap::Args;

/// Arguments of `shell`.
#[derive(Debug, Args)]
pub struct ShellArgs {
    /// Evidence folder of the kept side (as printed by `run --keep`), or a folder above it that holds only one kept side.
    pub run: PathBuf,
    /// Node, e.g. `west`.
    pub node: String,
    /// Command to run instead of a shell.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// Enters a node; ends this program as the shell or command ends. Returns only what went wrong before.
pub fn shell(args: &ShellArgs) -> Result<Exit, CliError> {
    let mut found = Vec::new();
    find(&args.run, 0, &mut found);
    let file = match found.as_slice() {
        [one] => one,
        [] => {
            return Err(CliError::wrong(format!("no kept cell below {}; start one with `faultlab run ID --keep`", text::path(&args.run))));
        }
        many => {
            let list: Vec<String> = many.iter().filter_map(|f| f.parent()).map(|d| format!("  {}", text::path(d))).collect();
            return Err(CliError::wrong(format!("several kept cells; name one of them:\n{}", list.join("\n"))));
        }
    };
    let text = std::fs::read_to_string(file).map_err(|e| CliError::wrong(format!("{}: {e}", text::path(file))))?;
    let cell: Kept = serde_json::from_str(&text).map_err(|e| CliError::wrong(format!("{}: {e}", text::path(file))))?;
    if !cell.nodes().any(|node| node == args.node) {
        let names: Vec<&str> = cell.nodes().collect();
        return Err(CliError::wrong(format!("no node `{}`; there are: {}", args.node, names.join(", "))));
    }
    let command =
        if args.command.is_empty() { vec![std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned())] } else { args.command.clone() };
    let command: Vec<OsString> = command.into_iter().map(OsString::from).collect();
    let status = enter_cell(&cell, &args.node, &command).map_err(|e| CliError::machine(e.to_string()))?;
    exit::pass_on(status)
}

/// Cell files of sides that are still alive.
fn find(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let file = dir.join(artefacts::CELL);
    if file.is_file() {
        found.push(file);
    }
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if depth < 4 && entry.file_type().is_ok_and(|t| t.is_dir()) {
            find(&entry.path(), depth + 1, found);
        }
    }
}
