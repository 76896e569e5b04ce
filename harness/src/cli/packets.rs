//! `faultlab packets`: what is in a capture, one line per packet.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Map, Value as Json};

use super::exit::CliError;
use crate::capture::read::{self, ReadError, Reader};
use crate::dissect::{Dissector, Record, summary};
use crate::filter::fields::{FIELDS, Kind};
use crate::filter::{Analysis, Filter, FilterError, Value};
use crate::run::artefacts;
use crate::text::{self, shown};

/// Shows the packets of a capture file, decoded, one line each.
#[derive(Debug, clap::Args)]
pub struct PacketsArgs {
    /// Capture file: pcap or pcapng.
    pub capture: PathBuf,
    /// Wireshark display filter, such as 'isakmp && udp.port == 4500'; see docs/filters.md.
    pub filter: Option<String>,
    /// Lines for people, or one JSON object per line.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Folder with a keys.json to decrypt with [default: the capture's folder, when there is one].
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Stop after so many packets.
    #[arg(short = 'c', long, value_name = "COUNT")]
    pub count: Option<u64>,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// Runs the command; packets go to `out`.
pub fn run(args: &PacketsArgs, out: impl Write) -> Result<(), CliError> {
    let filter = Filter::parse(args.filter.as_deref().unwrap_or_default())
        .map_err(|e| CliError::wrong(underlined(args.filter.as_deref().unwrap_or_default(), &e)))?;
    let keys = keys(args)?;
    let mut printer = Printer { out: BufWriter::new(out), format: args.format, left: args.count.unwrap_or(u64::MAX) };
    match pass(args, keys.as_ref(), &filter, &mut printer).and_then(|()| Ok(printer.out.flush()?)) {
        Ok(()) => Ok(()),
        // The reader of a pipe has seen enough.
        Err(Failure::Write(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Failure::Write(e)) => Err(CliError::machine(format!("writing the packets: {e}"))),
        Err(Failure::Read(e)) => {
            // What was good is shown, then the error.
            let _ = printer.out.flush();
            Err(CliError::wrong(e.to_string()))
        }
    }
}

/// A filter error with the filter's text underlined where it is wrong.
pub fn underlined(filter: &str, error: &FilterError) -> String {
    // At the very end there is nothing to underline: point behind the last character.
    let source = format!("{filter} ");
    let span = if error.span.is_empty() { error.span.start..error.span.start + 1 } else { error.span.clone() };
    let snippet = Snippet::source(&source).line_start(1).annotation(AnnotationKind::Primary.span(span));
    let mut group = Level::ERROR.primary_title(&*error.message).element(snippet);
    if let Some(help) = &error.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let text = Renderer::plain().render(&[group]);
    // The caller writes "error:" itself.
    text.trim_start_matches("error: ").to_owned()
}

enum Failure {
    Read(ReadError),
    Write(io::Error),
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Failure {
        Failure::Write(e)
    }
}

fn pass(args: &PacketsArgs, keys: Option<&peer::Keys>, filter: &Filter, printer: &mut Printer<impl Write>) -> Result<(), Failure> {
    let open = || -> Result<(Reader, Dissector), Failure> {
        let mut dissector = Dissector::new();
        if let Some(keys) = keys {
            dissector.set_keys(keys);
        }
        Ok((read::open(&args.capture).map_err(Failure::Read)?, dissector))
    };
    let (mut reader, mut dissector) = open()?;
    let mut analysis = Analysis::default();
    // What looks at later frames needs a pass of its own; to keep all records instead would cost memory.
    let ahead = filter.looks_ahead() || printer.format == Format::Json;
    if ahead {
        while let Some(Ok(frame)) = reader.next() {
            let record = dissector.dissect(frame);
            analysis.set_taps(reader.taps());
            analysis.push(&record);
        }
        (reader, dissector) = open()?;
    }
    while let Some(frame) = reader.next() {
        let record = dissector.dissect(frame.map_err(Failure::Read)?);
        analysis.set_taps(reader.taps());
        if filter.needs_analysis() && !ahead {
            analysis.push(&record);
        } else {
            analysis.set_start(record.frame.time);
        }
        if filter.matches(&record, &analysis) && !printer.print(&record, &analysis)? {
            break;
        }
    }
    Ok(())
}

struct Printer<W: Write> {
    out: BufWriter<W>,
    format: Format,
    left: u64,
}

impl<W: Write> Printer<W> {
    /// Says whether there may be more.
    fn print(&mut self, record: &Record, analysis: &Analysis) -> io::Result<bool> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(false) };
        self.left = left;
        match self.format {
            Format::Human => human(&mut self.out, record, analysis)?,
            Format::Json => {
                let line = serde_json::to_string(&json(record, analysis))?;
                writeln!(self.out, "{}", text::json(&line))?;
            }
        }
        Ok(self.left > 0)
    }
}

fn human(out: &mut impl Write, record: &Record, analysis: &Analysis) -> io::Result<()> {
    let frame = &record.frame;
    let start = analysis.start().unwrap_or(frame.time);
    let time = frame.time.0.saturating_sub(start.0);
    write!(out, "{:>5} {:>16} ", frame.number, Value::Nanos(time).to_string())?;
    if let Some(tap) = analysis.tap(frame.tap) {
        write!(out, "{:<12} ", shown(tap))?;
    }
    writeln!(out, "{}", shown(&summary(record)))
}

fn json(record: &Record, analysis: &Analysis) -> Json {
    let mut fields = Map::new();
    for info in FIELDS {
        // A protocol's octets would only repeat the frame.
        let presence = matches!(info.kind, Kind::Protocol | Kind::OpaqueProtocol | Kind::None);
        let mut values = Vec::new();
        info.field.values(record, analysis, &mut |value| {
            values.push(match value {
                _ if presence => Json::Bool(true),
                Value::Uint(n) => Json::from(n),
                Value::Bool(b) => Json::Bool(b),
                other => Json::from(other.to_string()),
            });
        });
        if presence {
            values.truncate(1);
        }
        match values.len() {
            0 => {}
            1 => drop(fields.insert(info.name.to_owned(), values.remove(0))),
            _ => drop(fields.insert(info.name.to_owned(), Json::Array(values))),
        }
    }
    let frame = &record.frame;
    let mut object = Map::new();
    object.insert("frame".into(), Json::from(frame.number));
    object.insert("time".into(), Json::from(frame.time.to_string()));
    object.insert("tap".into(), analysis.tap(frame.tap).map_or(Json::Null, Json::from));
    object.insert("summary".into(), Json::from(summary(record)));
    object.insert("fields".into(), Json::Object(fields));
    Json::Object(object)
}

fn keys(args: &PacketsArgs) -> Result<Option<peer::Keys>, CliError> {
    let (path, asked) = match &args.keys {
        Some(folder) => (folder.join(artefacts::KEYS), true),
        None => (args.capture.parent().unwrap_or(Path::new("")).join(artefacts::KEYS), false),
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound && !asked => return Ok(None),
        Err(e) => return Err(CliError::wrong(format!("{}: {e}", text::path(&path)))),
    };
    serde_json::from_str(&text).map(Some).map_err(|e| CliError::wrong(format!("{}: not a keys file: {e}", text::path(&path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_filter_is_underlined() {
        let text = "udp.port == 500 && isakmp.flag_response";
        let error = Filter::parse(text).unwrap_err();
        let shown = underlined(text, &error);
        assert!(shown.contains("udp.port == 500 && isakmp.flag_response"), "{shown}");
        assert!(shown.contains("^^^^^^^^^^^^^^^^^^^^"), "{shown}");
        assert!(shown.contains("did you mean isakmp.flag_r?"), "{shown}");
        let unfinished = Filter::parse("udp.port ==").unwrap_err();
        assert!(underlined("udp.port ==", &unfinished).contains('^'));
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let args = PacketsArgs { capture: "/nonexistent/a.pcap".into(), filter: None, format: Format::Human, keys: None, count: None };
        let error = run(&args, Vec::new()).unwrap_err();
        assert_eq!(error.exit, super::super::exit::Exit::Wrong);
        assert!(error.message.starts_with("/nonexistent/a.pcap: No such file"), "{}", error.message);
    }
}
