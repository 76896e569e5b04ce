//! Display filters against tshark: for every filter and capture, exactly the same frames.

#![expect(clippy::unwrap_used, reason = "a test's helpers may fail")]

mod changed;
#[path = "../every/mod.rs"]
mod every;
mod frames;
mod refused;
#[path = "../tshark/mod.rs"]
mod tshark;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use every::{of_every_field, ours};
use faultlab::capture::read;
use faultlab::dissect::{Capture, Dissector};
use faultlab::filter::fields::{FIELDS, Field};
use faultlab::filter::{Analysis, Filter};
use tshark::Tshark;

/// Each is put to both programs on every capture.
const FILTERS: &[&str] = include!("filters.in");

#[test]
fn the_same_frames_as_tshark() {
    let captures = captures();
    let Some(tshark) = Tshark::announced() else { return };
    let mut differences = Vec::new();
    for path in std::iter::once(&captures.own).chain(&captures.foreign) {
        let (capture, analysis) = load(path);
        let texts: Vec<String> = FILTERS.iter().map(|f| (*f).to_owned()).chain(of_every_field()).collect();
        // tshark checks checksums when told to.
        let (checked, others): (Vec<String>, Vec<String>) = texts.into_iter().partition(|t| t.contains("checksum.status"));
        for (texts, options) in [(others, &[][..]), (checked, &["-o", "tcp.check_checksum:TRUE"])] {
            let answers = tshark.select(path, None, &texts, options).unwrap_or_else(|e| panic!("{e}"));
            for (text, theirs) in texts.iter().zip(answers) {
                let theirs = theirs.unwrap_or_else(|e| panic!("{tshark} refuses {text}: {e}"));
                let excepted = changed::excepted(&tshark, text, &capture, &analysis);
                let ours: BTreeSet<u32> = selected(text, &capture, &analysis).difference(&excepted).copied().collect();
                let theirs: BTreeSet<u32> = theirs.difference(&excepted).copied().collect();
                if ours != theirs {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    differences.push(format!("{name}: {text}\n  ours   {ours:?}\n  tshark {theirs:?}"));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{} differences from {tshark}:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn every_field_has_a_value_in_our_own_capture() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, analysis) = load(&own(folder.path()));
    for info in FIELDS.iter().filter(|f| !ours(f.field)) {
        // Only with keys.
        if info.field == Field::IsakmpEncDecrypted {
            continue;
        }
        let filter = Filter::parse(info.name).unwrap();
        assert!(capture.records.iter().any(|r| filter.matches(r, &analysis)), "{} is never present", info.name);
    }
}

#[test]
fn what_tshark_does_without_lua_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    tshark::refuses_a_program_without_lua(&own(folder.path()));
}

#[test]
fn in_parallel_the_same_frames() {
    let captures = captures();
    for path in std::iter::once(&captures.own).chain(&captures.foreign) {
        let (capture, analysis) = load(path);
        for text in ["isakmp", "udp.port == 4500 && esp", "ip.frag_offset > 0 || ipv6", "frame.time_relative > 0.01", "faultlab.copy > 0"] {
            let filter = Filter::parse(text).unwrap();
            let one: Vec<u32> = capture.records.iter().filter(|r| filter.matches(r, &analysis)).map(|r| r.frame.number).collect();
            assert_eq!(read::parallel_filter(path, &filter).unwrap(), one, "{}: {text}", path.display());
        }
    }
}

struct Captures {
    own: PathBuf,
    /// The frames of all foreign captures in one file.
    foreign: Option<PathBuf>,
    _folder: tempfile::TempDir,
}

/// Our own capture, and foreign ones when they are there.
fn captures() -> Captures {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = workspace.ancestors().map(|a| a.join("shared/captures")).find(|p| p.is_dir());
    let entries = found.and_then(|f| std::fs::read_dir(f).ok());
    let mut files: Vec<PathBuf> = entries.into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "pcap" || e == "pcapng"));
    files.sort();
    let frames: Vec<_> = files
        .iter()
        .flat_map(|f| read::open(f).unwrap_or_else(|e| panic!("{e}")))
        .map(|frame| frame.unwrap_or_else(|e| panic!("{e}")))
        .filter(|frame| frame.link_type == 1)
        .map(|frame| frame.data)
        .collect();
    let foreign = folder.path().join("foreign.pcapng");
    if frames.is_empty() {
        eprintln!("skipped: foreign captures (no folder shared/captures above the workspace)");
    } else {
        std::fs::write(&foreign, frames::pcapng(&["foreign.tap"], &frames)).unwrap();
    }
    let foreign = (!frames.is_empty()).then_some(foreign);
    Captures { own: own(folder.path()), foreign, _folder: folder }
}

fn own(folder: &Path) -> PathBuf {
    let path = folder.join("own.pcapng");
    std::fs::write(&path, frames::own()).unwrap();
    path
}

fn load(path: &Path) -> (Capture, Analysis) {
    let mut reader = read::open(path).unwrap();
    let mut dissector = Dissector::new();
    let records = reader.by_ref().map(|f| dissector.dissect(f.unwrap())).collect();
    let capture = Capture { taps: reader.taps().to_vec(), records };
    let analysis = Analysis::of(&capture);
    (capture, analysis)
}

/// The frames that our own filter selects.
fn selected(text: &str, capture: &Capture, analysis: &Analysis) -> BTreeSet<u32> {
    let filter = Filter::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    capture.records.iter().filter(|r| filter.matches(r, analysis)).map(|r| r.frame.number).collect()
}
