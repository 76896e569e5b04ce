//! Tells of a daemon's end: by what its process ended, and which words came last.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use tokio::sync::mpsc::UnboundedSender;

use crate::{GatewayConfig, GatewayEvent, GatewayEventKind};

/// Linux, x86 and ARM alike: what a process gets for its own mistakes, so that it was not ended from outside. (SIGILL, SIGTRAP, SIGABRT,
/// SIGBUS, SIGFPE, SIGSEGV, SIGSYS.)
const MISTAKES: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];
/// Lines that are told.
const LINES: usize = 8;
/// Most characters of a line that are told.
const WIDTH: usize = 160;
/// Octets at a log's end that are searched: long dumps of keys come between what is told.
const END: u64 = 256 << 10;

/// Says whether a process gets this signal for a mistake of its own.
pub fn is_mistake(signal: i32) -> bool {
    MISTAKES.contains(&signal)
}

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// In words: `signal 11 (SIGSEGV)`.
    pub status: String,
    /// It made a mistake that the kernel, or it itself, has noticed.
    pub crash: bool,
    /// Somebody else ended it.
    pub killed: bool,
}

impl Ending {
    /// Of what a process was waited for with.
    pub fn of(waited: io::Result<ExitStatus>) -> Ending {
        match waited {
            Ok(status) => {
                let crash = status.signal().is_some_and(is_mistake);
                // The standard library's words: `signal: 11 (SIGSEGV)`.
                let words = status.to_string().replacen(": ", " ", 1);
                Ending { status: words, crash, killed: status.signal().is_some() && !crash }
            }
            Err(e) => Ending::in_words(format!("an unknown status ({e})")),
        }
    }

    /// Of something that is no process, or of what nobody has waited for.
    pub fn in_words(status: impl Into<String>) -> Ending {
        Ending { status: status.into(), crash: false, killed: false }
    }

    /// Returns whether a signal ended it, so that it could not say why.
    pub fn by_signal(&self) -> bool {
        self.crash || self.killed
    }

    /// Tells the harness of a gateway's end, if that is news.
    pub fn tell(&self, events: &UnboundedSender<GatewayEvent>, gateway: &str, asked: bool, last: impl FnOnce() -> Vec<String>) {
        if let Some(what) = self.clone().news(asked, last) {
            // The harness may have stopped listening; nobody else is interested.
            let _ = events.send(GatewayEvent { gateway: gateway.to_owned(), what });
        }
    }

    /// Returns what is to be told of it. `asked`: it was our wish, and only a crash is news.
    fn news(self, asked: bool, last: impl FnOnce() -> Vec<String>) -> Option<GatewayEventKind> {
        let Ending { status, crash, killed } = self;
        (crash || !asked).then(|| GatewayEventKind::Exited { status, killed, last: last() })
    }
}

/// Returns the last lines of a log that are `worth` telling, oldest first, without the secrets of the gateway's settings. None when it
/// cannot be read.
pub fn last_lines(path: &Path, config: &GatewayConfig, worth: impl Fn(&str) -> bool) -> Vec<String> {
    let text = end_of(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let worth = text.lines().rev().map(str::trim_end).filter(|l| !l.trim().is_empty() && worth(l));
    let mut last: Vec<String> = worth.take(LINES).map(|l| shortened(&config.hide_secrets(l))).collect();
    last.reverse();
    last
}

fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let begin = file.metadata()?.len().saturating_sub(END);
    file.seek(SeekFrom::Start(begin))?;
    let mut end = Vec::new();
    file.take(END).read_to_end(&mut end)?;
    // What is left of a line that began before says nothing.
    let whole = if begin == 0 { 0 } else { end.iter().position(|b| *b == b'\n').map_or(end.len(), |at| at + 1) };
    Ok(end.split_off(whole))
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Connection;

    fn ending(wait_status: i32) -> Ending {
        Ending::of(Ok(ExitStatus::from_raw(wait_status)))
    }

    #[test]
    fn a_crash_is_told_from_a_kill() {
        let (segv, kill, one) = (ending(11), ending(9), ending(1 << 8));
        assert_eq!((segv.status.as_str(), segv.crash, segv.killed), ("signal 11 (SIGSEGV)", true, false));
        assert_eq!((kill.status.as_str(), kill.crash, kill.killed), ("signal 9 (SIGKILL)", false, true));
        assert_eq!((one.status.as_str(), one.crash, one.killed), ("exit status 1", false, false));
    }

    #[test]
    fn of_an_end_that_was_asked_for_only_a_crash_is_news() {
        let asked = |status| ending(status).news(true, Vec::new);
        assert_eq!((asked(9), asked(15), asked(0)), (None, None, None));
        assert!(asked(6).is_some());
        assert!(ending(0).news(false, Vec::new).is_some(), "nobody asked for it");
    }

    #[test]
    fn the_last_lines_are_those_worth_telling_without_secrets() {
        let config = GatewayConfig {
            connections: vec![Connection { psk: "open sesame".into(), ..Connection::plain("west", "east", [10, 9, 0, 1].into(), None) }],
            ..GatewayConfig::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let long = "x".repeat(1000);
        let dump = "| dump\n".repeat(30_000);
        std::fs::write(&path, format!("{}open sesame and 6f70656e20736573616d65\n\n{dump}{long}\nthe end\n", "old\n".repeat(20))).unwrap();
        let last = last_lines(&path, &config, |l| !l.starts_with('|'));
        assert_eq!((last.len(), last[4].as_str()), (LINES, "old"), "{last:?}");
        assert!(last[5].starts_with("sha256:") && !last[5].contains("sesame") && !last[5].contains("6f70"), "{last:?}");
        assert!(last[6].chars().count() == WIDTH + 1 && last[7] == "the end", "{last:?}");
        assert_eq!(last_lines(&folder.path().join("nothing"), &config, |_| true), Vec::<String>::new());
    }
}
