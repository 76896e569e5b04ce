//! The gateway's log: a JSON object per line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use gateway::LogEntry;

/// Lines that one life may write; whoever sends us rubbish must not fill the disk.
const LIMIT: u32 = 100_000;

/// An open log.
pub(crate) struct Log {
    file: BufWriter<File>,
    left: u32,
    last: String,
}

impl Log {
    /// Continues the log at `path`.
    pub(crate) fn open(path: &Path) -> std::io::Result<Log> {
        let file = peer::append_private(path)?;
        Ok(Log { file: BufWriter::new(file), left: LIMIT, last: "nothing logged".into() })
    }

    /// Adds a line. A full disk must not end the gateway: what cannot be written is missing in the evidence.
    pub(crate) fn write(&mut self, entry: &LogEntry) {
        self.left = match self.left {
            0 => return,
            1 => {
                let _ = self.line(&LogEntry { text: format!("{LIMIT} lines are enough; nothing more is logged"), ..entry.clone() });
                0
            }
            left => {
                let _ = self.line(entry);
                left - 1
            }
        };
        self.last.clone_from(&entry.text);
    }

    fn line(&mut self, entry: &LogEntry) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.file, entry)?;
        self.file.write_all(b"\n")
    }

    /// Makes the lines so far visible to others.
    pub(crate) fn flush(&mut self) {
        let _ = self.file.flush();
    }

    /// What was logged last.
    pub(crate) fn last(&self) -> &str {
        &self.last
    }
}
