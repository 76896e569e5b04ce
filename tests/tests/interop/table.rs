//! The table at the end.

use std::fmt;

use faultlab::run::worlds::WorldKind;

use super::cell::OURS;

/// What is known of a row, with one side beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    NotRun,
    Works,
    Fails,
    Skipped(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::NotRun => f.pad("-"),
            State::Works => f.pad("ok"),
            State::Fails => f.pad("FAILED"),
            State::Skipped(reason) => f.pad(&format!("skipped({reason})")),
        }
    }
}

/// With whom, and whose kernel.
type Place = (&'static str, WorldKind);

/// Rows in the order in which they came, for each peer.
#[derive(Debug, Default)]
pub struct Table(Vec<(Place, Vec<Line>)>);

/// Name of a row, and its halves.
type Line = (String, [State; 2]);

impl Table {
    pub fn set(&mut self, place: Place, row: &str, column: usize, state: State) {
        let found = self.0.iter().position(|(p, _)| *p == place).unwrap_or_else(|| {
            self.0.push((place, Vec::new()));
            self.0.len() - 1
        });
        let rows = &mut self.0[found].1;
        let at = rows.iter().position(|(name, _)| name == row).unwrap_or_else(|| {
            rows.push((row.to_owned(), [State::NotRun, State::NotRun]));
            rows.len() - 1
        });
        rows[at].1[column] = state;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((peer, world), rows) in &self.0 {
            let title = format!("{OURS} with {peer} ({})", world.name());
            let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(title.len());
            let [ours, theirs] = [OURS, peer].map(|who| format!("{who} begins"));
            writeln!(f, "\n{title:width$}  {ours:18}{theirs}")?;
            for (name, [a, b]) in rows {
                match a {
                    // A reason takes the whole line.
                    State::Skipped(_) if a == b => writeln!(f, "{name:width$}  {a}")?,
                    _ => writeln!(f, "{name:width$}  {a:18}{b}")?,
                }
            }
        }
        Ok(())
    }
}
