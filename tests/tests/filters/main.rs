//! Display filters against tshark: for every filter and capture, exactly the same frames.

#![expect(clippy::unwrap_used, reason = "a test's helpers may fail")]

mod frames;

use std::path::{Path, PathBuf};
use std::process::Command;

use faultlab::capture::read;
use faultlab::dissect::{Capture, Dissector};
use faultlab::filter::fields::{FIELDS, Field, Kind};
use faultlab::filter::{Analysis, Filter};

/// Each is put to both programs on every capture.
const FILTERS: &[&str] = include!("filters.in");

/// Filters that Wireshark 4.0 refuses, and so do we.
const REFUSED: &[&str] = &[
    "udp.port == 70000",
    "udp.port contains 5",
    "udp.port matches \"5\"",
    "udp.port == \"500\"",
    "ip.addr == 1.2.3",
    "ip.src == \"192.1.2.23\"",
    "eth.src == 00:00",
    "isakmp.ispi == 0x1122",
    "udp.foo",
    "foo.bar == 1",
    "(udp",
    "udp)",
    "udp and",
    "udp udp",
    "1 == udp.port",
    "udp.port in {500 501}",
    "udp.port in {}",
    "NOT udp",
    "udp AND ip",
    "udp.port EQ 500",
    "udp.port == 0800",
    "esp.spi[0] == f4",
    "frame contains \"\\q\"",
    "isakmp.vid_bytes == \"a",
    "frame.time_relative >= 0s",
    "udp.port == isakmp",
    "true",
    "1",
];

#[test]
fn the_same_frames_as_tshark() {
    let captures = captures();
    if !tshark_is_here() {
        return;
    }
    let mut differences = Vec::new();
    for path in std::iter::once(&captures.own).chain(&captures.foreign) {
        let (capture, analysis) = load(path);
        let texts: Vec<String> = FILTERS.iter().map(|f| (*f).to_owned()).chain(of_every_field()).collect();
        // tshark's table cannot hold the empty filter, nor commas; checksums are only checked when told to.
        let in_table = |t: &String| !t.is_empty() && !t.contains(',') && !t.contains("checksum.status");
        let (table, alone): (Vec<String>, Vec<String>) = texts.into_iter().partition(in_table);
        let compared = capture.records.len() - 1;
        let mut theirs = tshark_table(path, &table, compared);
        theirs.extend(alone.iter().map(|t| (t.clone(), tshark(path, t).unwrap_or_else(|e| panic!("tshark refuses {t}: {e}")))));
        for (text, theirs) in theirs {
            let filter = Filter::parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
            let records = &capture.records[..compared];
            let ours: Vec<u32> = records.iter().filter(|r| filter.matches(r, &analysis)).map(|r| r.frame.number).collect();
            let theirs: Vec<u32> = theirs.into_iter().filter(|n| *n as usize <= compared).collect();
            if ours != theirs {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                differences.push(format!("{name}: {text}\n  ours   {ours:?}\n  tshark {theirs:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

/// Many filters in one run: a column of `io,stat` for each, a row for each frame.
fn tshark_table(file: &Path, filters: &[String], frames: usize) -> Vec<(String, Vec<u32>)> {
    let mut found = Vec::new();
    for chunk in filters.chunks(40) {
        let statistics = format!("io,stat,0.25,{}", chunk.join(","));
        let output = Command::new("tshark").args(["-n", "-q", "-z", &statistics, "-r"]).arg(file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let rows: Vec<Vec<&str>> = text.lines().filter(|l| l.contains("<>")).map(|l| l.split('|').map(str::trim).collect()).collect();
        assert!(rows.len() >= frames, "{}: {} rows for {frames} frames", file.display(), rows.len());
        for (i, filter) in chunk.iter().enumerate() {
            let rows = &rows[..frames];
            let selected = (1..).zip(rows).filter(|(_, row)| row[2 + 2 * i] != "0").map(|(n, _)| n).collect();
            found.push((filter.clone(), selected));
        }
    }
    found
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
fn what_wireshark_refuses_is_refused() {
    let check = tshark_is_here();
    let folder = tempfile::tempdir().unwrap();
    let file = own(folder.path());
    for text in REFUSED {
        assert!(Filter::parse(text).is_err(), "{text}");
        if check {
            assert!(tshark(&file, text).is_err(), "tshark takes {text}");
        }
    }
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
    /// The frames of all foreign captures in one file, at times that fit tshark's table.
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

fn ours(field: Field) -> bool {
    field.info().name.starts_with("faultlab.")
}

/// Presence of each field, and comparisons of its type.
fn of_every_field() -> Vec<String> {
    let mut filters = Vec::new();
    for info in FIELDS.iter().filter(|f| !ours(f.field)) {
        filters.push(info.name.to_owned());
        filters.extend(match info.kind {
            Kind::Uint(_) => vec![format!("{} == 1", info.name), format!("{} != 0", info.name), format!("{} > 20", info.name)],
            Kind::Bool => vec![format!("{} == 1", info.name)],
            Kind::Ipv4 => vec![format!("{} > 20.0.0.0", info.name)],
            Kind::Ipv6 => vec![format!("{} == 2001:db8:1::/48", info.name)],
            Kind::Bytes => vec![format!("{}[0] > 0x40", info.name), format!("len({}) > 16", info.name)],
            Kind::Text => vec![format!("{} contains \"e\"", info.name)],
            Kind::Ether => vec![format!("{}[0] == 0x02", info.name)],
            Kind::Seconds => vec![format!("{} > 0.1", info.name)],
            Kind::None | Kind::Protocol | Kind::OpaqueProtocol => Vec::new(),
        });
    }
    filters
}

fn tshark_is_here() -> bool {
    let found = Command::new("tshark").arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        eprintln!("skipped: tshark is not installed");
    }
    found
}

fn tshark(file: &Path, filter: &str) -> Result<Vec<u32>, String> {
    let output = Command::new("tshark")
        .args(["-n", "-o", "tcp.check_checksum:TRUE", "-r"])
        .arg(file)
        .args(["-Y", filter, "-T", "fields", "-e", "frame.number"])
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(|l| l.trim().parse().ok()).collect())
}
