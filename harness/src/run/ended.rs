//! A cell that ended, or had to be ended, before its report: whose doing it was, and what is kept of it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::artefacts;
use super::ledger::Message;
use super::outcome::{Trouble, Whose};
use crate::cli::exit::Exit;
use crate::world::cell::{CellError, CellExit, CellHandle, NOT_STARTED};

/// When a cell is given up, by the clock on the wall.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a side may take, whatever it says meanwhile.
    pub whole: Duration,
    /// How long it may be silent. In virtual time nothing waits, so silence means that the guest hangs (a program that waits
    /// for the clock by looking at it, for instance).
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        // A busy machine may leave a pocket, which gives way, a tenth of a core, and a day without traffic says nothing.
        Limits { whole: Duration::from_secs(600), silence: Duration::from_secs(240) }
    }
}

/// The C library's words for EAGAIN, ENOMEM, EMFILE and ENOSPC.
const SHORTAGES: [&str; 4] =
    ["Resource temporarily unavailable", "Cannot allocate memory", "Too many open files", "No space left on device"];

/// Says whose fault it is that a cell ended before its report.
pub fn whose(exit: &CellExit) -> Whose {
    let Some(code) = exit.code else { return Whose::Outside };
    let signal = code - 128;
    // The runtime library's words, before it aborts.
    if exit.stderr.contains("memory allocation of ") && peer::is_mistake(signal) {
        return Whose::Machine;
    }
    // And what a kernel says that could not start its processes or make its memory.
    if !exit.told && signal < 0 && SHORTAGES.iter().any(|words| exit.stderr.contains(words)) {
        return Whose::Machine;
    }
    match code {
        NOT_STARTED => Whose::Machine,
        _ if code == Exit::Machine as i32 => Whose::Machine,
        // A kernel that went before its first process could say how it ended.
        _ if !exit.told => Whose::Outside,
        129..=192 if !peer::is_mistake(signal) => Whose::Outside,
        _ => Whose::Us,
    }
}

/// Says whose fault it is that a cell could not be used, in words that name it.
pub fn unusable(e: &CellError) -> Trouble {
    let whose = match e {
        CellError::Refused(_) | CellError::Io { .. } => Whose::Machine,
        CellError::Died(exit) => whose(exit),
        CellError::Garbage(_) | CellError::Job(_) => Whose::Us,
    };
    Trouble { whose, text: e.to_string() }
}

/// A cell that ended before its report.
pub struct Ended {
    text: String,
    whose: Whose,
    exit: Option<CellExit>,
}

impl Ended {
    /// It ended like this.
    pub fn like(exit: CellExit) -> Ended {
        let whose = whose(&exit);
        let by = if whose == Whose::Outside { "something from outside ended the cell: " } else { "" };
        Ended { text: format!("{by}{exit}"), whose, exit: Some(exit) }
    }

    /// It was never ready.
    pub fn unusable(e: CellError) -> Ended {
        let Trouble { whose, text } = unusable(&e);
        let exit = if let CellError::Died(exit) = e { Some(exit) } else { None };
        Ended { text, whose, exit }
    }

    /// Keeps what there is: the console, and what the cell has said, since a pocket's own files are gone with it.
    pub fn keep(self, dir: &Path, heard: &[serde_json::Value]) -> Trouble {
        // The report has the most of it as well.
        if let Some(exit) = self.exit {
            let _ = std::fs::write(dir.join(artefacts::CONSOLE), exit.stderr);
        }
        if !heard.is_empty() {
            let lines = heard.iter().filter_map(|m| serde_json::from_value(m.clone()).ok()).filter_map(|m| match m {
                Message::Event(event) => serde_json::to_string(&event).ok(),
                _ => None,
            });
            let _ = std::fs::write(dir.join(artefacts::EVENTS), lines.fold(String::new(), |text, line| text + &line + "\n"));
        }
        Trouble { whose: self.whose, text: self.text }
    }
}

/// The next message; an error when a pocket is silent for too long.
pub async fn next(cell: &mut CellHandle, limits: Option<Limits>, begun: Instant) -> Result<Option<serde_json::Value>, Ended> {
    let said = match limits {
        None => cell.next().await,
        Some(limits) => {
            let left = limits.whole.saturating_sub(begun.elapsed());
            match tokio::time::timeout(limits.silence.min(left), cell.next()).await {
                Ok(said) => said,
                Err(_) => {
                    cell.kill();
                    let exit = cell.wait().await;
                    let why = if left < limits.silence {
                        format!("the side was not over after {} s by the clock on the wall", limits.whole.as_secs())
                    } else {
                        format!("the pocket kernel was silent for {} s by the clock on the wall", limits.silence.as_secs())
                    };
                    // Stopped from outside or caught in a loop: nobody can say.
                    return Err(Ended { text: format!("{why}, and was ended: {exit}"), whose: Whose::Outside, exit: Some(exit) });
                }
            }
        }
    };
    said.transpose().map_err(Ended::unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i32, told: bool, stderr: &str) -> Whose {
        whose(&CellExit { code: Some(code), told, stderr: stderr.into() })
    }

    #[test]
    fn a_cell_that_was_killed_is_no_bug_and_one_that_panicked_is() {
        // SIGKILL, SIGTERM, SIGHUP.
        for signal in [9, 15, 1] {
            assert_eq!(exit(128 + signal, true, ""), Whose::Outside, "{signal}");
        }
        assert_eq!(whose(&CellExit::default()), Whose::Outside);
        assert_eq!(exit(101, true, "thread 'main' panicked at"), Whose::Us);
        // SIGSEGV, SIGABRT.
        assert_eq!((exit(139, true, ""), exit(134, true, "")), (Whose::Us, Whose::Us));
        assert_eq!((exit(0, true, ""), exit(1, true, ""), exit(4, true, "")), (Whose::Us, Whose::Us, Whose::Us));
    }

    #[test]
    fn what_the_machine_has_not_is_its_fault() {
        assert_eq!(exit(134, true, "memory allocation of 4096 bytes failed\n"), Whose::Machine);
        assert_eq!(exit(3, true, ""), Whose::Machine);
        assert_eq!(exit(127, false, ""), Whose::Machine);
        assert_eq!(exit(1, false, "check_ptrace: fork failed: Resource temporarily unavailable"), Whose::Machine);
    }

    #[test]
    fn a_pocket_kernel_that_ends_before_its_first_process_was_ended() {
        for code in [0, 1, 134, 137] {
            assert_eq!(exit(code, false, "Kernel panic - not syncing"), Whose::Outside, "{code}");
        }
    }
}
