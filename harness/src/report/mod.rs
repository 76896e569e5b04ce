//! Reporters: one stream of what happens in, people or machines out. People read stderr, machines stdout.

pub mod human;
pub mod json;
pub mod junit;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::event::Event;
use crate::name::PathName;
use crate::run::outcome::{SideReport, Verdict, Whose};
use crate::run::versions::Versions;
use crate::scenario::model::{Scenario, ScenarioKind, Side};
use crate::text::lines;

/// What every reporter hears about.
pub trait Reporter {
    /// The run begins.
    fn begin(&mut self, run: &RunInfo<'_>);
    /// A side's cell was started.
    fn side_started(&mut self, scenario: &str, side: Side);
    /// Something happened in a cell.
    fn event(&mut self, scenario: &str, side: Side, event: &Event);
    /// A side has ended.
    fn side_ended(&mut self, report: &SideReport);
    /// A scenario has its verdict.
    fn scenario_ended(&mut self, result: &ScenarioResult);
    /// All done.
    fn end(&mut self, results: &[ScenarioResult], elapsed: Duration);
    /// After the end: could the result be written where it belongs?
    fn written(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a whole result to stdout. A reader that went away (closed pipe) has seen enough.
pub fn to_stdout(text: &str) -> io::Result<()> {
    // Whoever made it has seen to its parts; nothing else gets by.
    let text = lines(text);
    let mut out = io::stdout().lock();
    let newline: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(newline)).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line for people to stderr. Whoever reads there may be gone, and its disk full: the exit code and the evidence say it, too.
pub fn to_stderr(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// What a run is about to do.
pub struct RunInfo<'a> {
    /// The scenarios.
    pub scenarios: &'a [Scenario],
    /// Pairing in words: `strongswan:strongswan`; `auto` when each scenario has its own.
    pub pairing: &'a str,
    /// Evidence folder of the run.
    pub dir: &'a Path,
    /// Cells at once.
    pub jobs: usize,
}

/// A scenario's result.
#[derive(Debug, Clone, Serialize)]
pub struct ScenarioResult {
    /// The scenario's id.
    pub scenario: PathName,
    /// Failure, or a control.
    pub kind: ScenarioKind,
    /// Its title.
    pub title: String,
    /// The user's complaint.
    pub ticket: String,
    /// How it is diagnosed.
    pub diagnosis: String,
    /// What the fix does.
    pub fix: String,
    /// File it was read from.
    pub file: String,
    /// RFC sections.
    pub rfc: Vec<String>,
    /// Slides of the seed deck.
    pub slides: Vec<u16>,
    /// Who played whom.
    pub pairing: String,
    /// In which versions.
    pub versions: Versions,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Whose fault it is that it could not be judged, when something went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whose: Option<Whose>,
    /// Reports of the sides that ran.
    pub sides: Vec<SideReport>,
    /// Command that runs it again.
    pub again: String,
    /// Evidence folder.
    pub dir: PathBuf,
    /// How long it took, from its first cell's start to its last cell's end.
    pub elapsed: Duration,
}

/// `3 reproduced, 1 skipped` in a fixed order, leaving out zeros.
pub fn tally(results: &[ScenarioResult]) -> String {
    let words = ["reproduced", "not-reproduced", "fault-not-in-force", "fix-failed", "inconclusive", "skipped"];
    let counts: Vec<String> = words
        .iter()
        .filter_map(|w| {
            let n = results.iter().filter(|r| r.verdict.word() == *w).count();
            (n > 0).then(|| format!("{n} {w}"))
        })
        .collect();
    if counts.is_empty() { "nothing ran".to_owned() } else { counts.join(", ") }
}
