//! What a side has left in its evidence folder, as symptoms see it.

use std::path::Path;

use faultlab::capture::read as packets;
use faultlab::dissect::{Capture, Dissector};
use faultlab::event::Event;
use faultlab::run::artefacts;
use faultlab::run::outcome::SideReport;
use faultlab::time::Timestamp;
use libtest_mimic::Failed;

/// Packets and events of a side.
pub struct Run {
    /// Packets, dissected with the keys.
    pub capture: Capture,
    /// Events.
    pub events: Vec<Event>,
    /// When it ended.
    pub end: Timestamp,
}

/// Reads them.
pub fn read(side: &SideReport) -> Result<Run, Failed> {
    let capture = dissect(&side.dir)?;
    let lines = std::fs::read_to_string(side.dir.join(artefacts::EVENTS))?;
    let events = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Event>, _>>()?;
    let last = capture.records.last().map(|r| r.frame.time).into_iter().chain(events.last().map(|e| e.time)).max();
    let end = last.ok_or("neither packets nor events")?;
    Ok(Run { capture, events, end })
}

fn dissect(dir: &Path) -> Result<Capture, Failed> {
    let mut dissector = Dissector::new();
    dissector.set_keys(&serde_json::from_slice(&std::fs::read(dir.join(artefacts::KEYS))?)?);
    let mut reader = packets::open(dir.join(artefacts::CAPTURE)).map_err(|e| e.to_string())?;
    let frames = reader.by_ref().collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    let records = frames.into_iter().map(|f| dissector.dissect(f)).collect();
    Ok(Capture { taps: reader.taps().to_vec(), records })
}
