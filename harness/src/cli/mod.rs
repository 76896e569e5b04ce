//! The command line: what was typed, turned into what is meant.

pub mod doctor;
pub mod draw;
pub mod exit;
pub mod explain;
pub mod folder;
pub mod here;
pub mod list;
pub mod matrix;
pub mod packets;
pub mod run;
pub mod scenarios;
pub mod shell;
pub mod show;

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use exit::{CliError, Exit};

use crate::report::to_stderr;

/// The failure lab for IPsec: breaks one thing in a network of real VPN gateways and judges the packets.
#[derive(Debug, Parser)]
#[command(name = "faultlab", version, about, max_term_width = 100)]
struct Cli {
    /// Folder with scenarios of your own; those that faultlab brings along stay available.
    #[arg(long, global = true, value_name = "DIR")]
    scenarios: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what this machine can run, and what to install for the rest.
    Doctor,
    /// List the scenarios.
    List(list::ListArgs),
    /// Show a scenario: the network, the fault, what it must show.
    Show(list::ShowArgs),
    /// Check scenario files without running them.
    Check(list::CheckArgs),
    /// Run scenarios, broken and fixed, and judge them.
    Run(run::RunArgs),
    /// Run scenarios with many pairings in several worlds; resumes, and runs in shards.
    Matrix(matrix::MatrixArgs),
    /// Explain a symptom, a fault or a verdict.
    Explain {
        /// Its code, e.g. `retransmission`.
        code: String,
    },
    /// Decode the packets of a capture, one line each.
    Packets(packets::PacketsArgs),
    /// Open a root shell, or run a command, in a node of a run kept with `--keep`.
    Shell(shell::ShellArgs),
    /// Print a completion script for your shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the program; never panics on what was typed.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are not errors.
            let exit = if e.use_stderr() { Exit::Wrong } else { Exit::Expected };
            return match e.print() {
                Err(e) if exit == Exit::Expected && e.kind() != std::io::ErrorKind::BrokenPipe => Exit::Machine,
                _ => exit,
            };
        }
    };
    match dispatch(cli) {
        Ok(exit) => exit,
        Err(e) => {
            to_stderr(e.message.trim_end());
            e.exit
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, CliError> {
    let library = || scenarios::library(cli.scenarios.as_deref());
    match cli.command {
        Command::Doctor => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|e| CliError::machine(format!("cannot start: {e}")))?;
            runtime.block_on(doctor::doctor())
        }
        Command::List(args) => list::list(&args, &library()?),
        Command::Show(args) => list::show(&args, &library()?),
        Command::Check(args) => list::check(&args, &library()?),
        Command::Run(args) => run::run(&args, &library()?),
        Command::Matrix(args) => matrix::matrix(&args, library),
        Command::Explain { code } => {
            let text = explain::explain(&code).map_err(CliError::wrong)?;
            print(&text)?;
            Ok(Exit::Expected)
        }
        Command::Packets(args) => packets::run(&args, std::io::stdout().lock()).map(|()| Exit::Expected),
        Command::Shell(args) => shell::shell(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "faultlab", &mut script);
            print(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Expected)
        }
    }
}

/// Prints to stdout. A reader that went away (closed pipe) has seen enough; a full disk is an error.
pub fn print(text: &str) -> Result<(), CliError> {
    told(crate::report::to_stdout(text))
}

/// The end of writing to stdout, as an error for people.
fn told(written: std::io::Result<()>) -> Result<(), CliError> {
    written.map_err(|e| CliError::machine(format!("cannot write to stdout: {e}")))
}
