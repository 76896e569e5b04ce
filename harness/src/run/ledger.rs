//! The event stream of a side, as its cell writes it: kept in memory for the symptoms, appended to `events.jsonl`, sent to the parent.

use std::cell::{Ref, RefCell};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::artefacts;
use super::outcome::SideReport;
use super::worlds::Inventory;
use crate::event::{Event, What};
use crate::report::to_stderr;
use crate::time::Timestamp;
use crate::world::cell::EventSink;

/// What a cell tells its parent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// Something happened.
    Event(Event),
    /// The side's report: the last message.
    Report(Box<SideReport>),
    /// What the implementations can do there: the answer to a probe.
    Probed(Inventory),
}

/// Events so far.
pub struct Ledger {
    events: RefCell<Vec<Event>>,
    file: RefCell<Option<File>>,
    sink: EventSink,
}

impl Ledger {
    /// Writes below `dir`, which must exist; returns as well why it cannot, when it cannot.
    pub fn new(dir: &Path, sink: EventSink) -> (Ledger, Option<std::io::Error>) {
        let (file, error) = match File::create(dir.join(artefacts::EVENTS)) {
            Ok(file) => (Some(file), None),
            Err(e) => (None, Some(e)),
        };
        (Ledger { events: RefCell::new(Vec::new()), file: RefCell::new(file), sink }, error)
    }

    /// Something happened now.
    pub fn emit(&self, what: What) {
        let event = Event { time: Timestamp::now(), what };
        self.sink.emit(&Message::Event(event.clone()));
        let mut file = self.file.borrow_mut();
        if let Some(f) = file.as_mut() {
            // At once: a file that is not buffered takes a system call for every write, and in a pocket these are dear.
            let written = serde_json::to_vec(&event).map_err(std::io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                f.write_all(&line)
            });
            if let Err(e) = written {
                // A full disk must not change a verdict; the parent still has the stream.
                to_stderr(&format!("cannot write {}: {e}", artefacts::EVENTS));
                *file = None;
            }
        }
        self.events.borrow_mut().push(event);
    }

    /// All events.
    pub fn events(&self) -> Ref<'_, Vec<Event>> {
        self.events.borrow()
    }

    /// The last message.
    pub fn report(&self, report: SideReport) {
        self.sink.emit(&Message::Report(Box::new(report)));
    }
}
