//! Keys from charon's log (`ike = 4`, `chd = 4`, `ike_name = yes`), read as it grows.
//!
//! ```text
//! 2026-01-01 10:00:00.400 14[IKE] <net|1> Sk_ei secret => 16 bytes @ 0x7f9ad4001a90
//! 2026-01-01 10:00:00.400 14[IKE] <net|1>    0: B9 86 38 5B 13 E5 FF AD AA 54 BA C5 0C FF 9A 1F  ..8[.....T......
//!                         thread group  name|unique id
//! ```
//!
//! This file turns lines into statements; [`track`] knows what they mean.

mod track;

use std::collections::HashMap;

use peer::Keys;
use track::Tracker;

/// Reads a log piece by piece.
#[derive(Debug, Default)]
pub(crate) struct KeyLog {
    /// The last line while it has no end.
    partial: Vec<u8>,
    /// Hex dumps that are not complete, by thread.
    dumps: HashMap<String, Dump>,
    tracker: Tracker,
}

#[derive(Debug)]
struct Dump {
    sa: Option<u32>,
    label: String,
    length: usize,
    octets: Vec<u8>,
}

/// A line without its time stamp.
struct Line<'a> {
    thread: &'a str,
    /// charon's unique id of the IKE SA in hand.
    sa: Option<u32>,
    text: &'a str,
}

impl KeyLog {
    /// Takes the next piece; an incomplete line or dump waits for the one after.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|b| *b == b'\n') {
            self.partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.line(&String::from_utf8_lossy(&line));
            }
        }
    }

    /// Tells the SPIs of an IKE SA that the log does not show (after re-keying).
    pub(crate) fn set_spis(&mut self, sa: u32, spis: (u64, u64)) {
        self.tracker.set_spis(sa, spis);
    }

    /// All keys so far.
    pub(crate) fn keys(&self) -> &Keys {
        self.tracker.keys()
    }

    fn line(&mut self, line: &str) {
        if line.contains("[DMN] Starting IKE") {
            // A new life of the daemon: unique ids begin anew.
            self.dumps.clear();
            self.tracker.restart();
            return;
        }
        let Some(line) = parse(line) else { return };
        // A dump cut short by another statement of its thread is worthless: gone with the `remove`.
        if let Some(mut dump) = self.dumps.remove(line.thread)
            && let Some(octets) = hex_row(line.text, dump.octets.len())
        {
            dump.octets.extend(octets);
            self.progress(line.thread, dump);
            return;
        }
        match dump_header(line.text) {
            Some((label, length)) => {
                let dump = Dump { sa: line.sa, label: label.to_owned(), length, octets: Vec::new() };
                self.progress(line.thread, dump);
            }
            None => self.tracker.say(line.sa, line.text),
        }
    }

    fn progress(&mut self, thread: &str, dump: Dump) {
        if dump.octets.len() >= dump.length {
            let octets = dump.octets.get(..dump.length).unwrap_or_default();
            self.tracker.show(dump.sa, &dump.label, octets);
        } else {
            self.dumps.insert(thread.to_owned(), dump);
        }
    }
}

/// Is the line part of a dump of octets, or its head?
pub(crate) fn is_dump(line: &str) -> bool {
    parse(line).is_some_and(|line| dump_header(line.text).is_some() || is_row(line.text))
}

/// `  16: 4D B9 …`, whichever row it is.
fn is_row(text: &str) -> bool {
    text.split_once(": ").and_then(|(at, _)| at.trim().parse().ok()).is_some_and(|at| hex_row(text, at).is_some_and(|row| !row.is_empty()))
}

/// Splits `… 14[IKE] <net|1> text`.
fn parse(line: &str) -> Option<Line<'_>> {
    let (before, after) = line.trim_end().split_once('[')?;
    let thread = before.rsplit(' ').next().filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()))?;
    let (_group, text) = after.split_once(']')?;
    let text = text.strip_prefix(' ')?;
    let Some((name, rest)) = text.strip_prefix('<').and_then(|t| t.split_once('>')) else {
        return Some(Line { thread, sa: None, text });
    };
    // `<name|id>`, or `<id>` before a connection was chosen.
    let sa = name.rsplit('|').next().and_then(|id| id.parse().ok());
    Some(Line { thread, sa, text: rest.strip_prefix(' ').unwrap_or(rest) })
}

/// `label => 16 bytes @ 0x7f…`
fn dump_header(text: &str) -> Option<(&str, usize)> {
    let (label, rest) = text.rsplit_once(" => ")?;
    let (count, _) = rest.split_once(" bytes @ ")?;
    Some((label, count.parse().ok()?))
}

/// The octets of one row, when it is the row at `offset`: `  16: 4D B9 …  M..K`.
fn hex_row(text: &str, offset: usize) -> Option<Vec<u8>> {
    let (at, rest) = text.split_once(": ")?;
    if at.trim().parse() != Ok(offset) {
        return None;
    }
    // Sixteen columns of three; what follows is the same in ASCII.
    let columns = rest.get(..48).unwrap_or(rest);
    columns.split(' ').filter(|c| !c.is_empty()).map(|c| u8::from_str_radix(c, 16).ok().filter(|_| c.len() == 2)).take(16).collect()
}

#[cfg(test)]
mod tests;
