//! Captures as pcapng files that Wireshark reads: an interface per tap, directions, comments on packets, loss counters.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution};
use pcap_file::pcapng::blocks::interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption};
use pcap_file::pcapng::blocks::opt_common::CommonOption;
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};

use super::ring::Stats;
use crate::dissect::{Capture, Direction, Frame};
use crate::time::Timestamp;

/// How much is written with one system call, which is dear in a pocket.
const BUFFER: usize = 256 << 10;
/// Link type of taps without a frame.
const ETHERNET: u16 = 1;

/// A capture could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write capture {path}: {reason}")]
pub struct WriteError {
    /// The file.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Writes a capture. `comments` belong to frame numbers; `section_comment` says what run this is.
pub fn write(
    path: &Path,
    capture: &Capture,
    comments: &BTreeMap<u32, Vec<String>>,
    stats: &Stats,
    section_comment: &str,
) -> Result<(), WriteError> {
    let fail = |reason: String| WriteError { path: path.display().to_string(), reason };
    let file = File::create(path).map_err(|e| fail(e.to_string()))?;
    let bytes = encode(BufWriter::with_capacity(BUFFER, file), capture, comments, stats, section_comment).map_err(fail)?;
    bytes.into_inner().map_err(|e| fail(e.to_string()))?;
    Ok(())
}

fn encode<W: Write>(
    out: W,
    capture: &Capture,
    comments: &BTreeMap<u32, Vec<String>>,
    stats: &Stats,
    section_comment: &str,
) -> Result<W, String> {
    let section = SectionHeaderBlock {
        options: vec![
            SectionHeaderOption::Common(CommonOption::Comment(section_comment.into())),
            SectionHeaderOption::UserApplication(concat!("faultlab ", env!("CARGO_PKG_VERSION")).into()),
        ],
        ..SectionHeaderBlock::default()
    };
    let words = |e: pcap_file::pcapng::PcapNgWriteError| e.to_string();
    let mut writer = PcapNgWriter::with_section_header(out, section).map_err(words)?;
    for (tap, name) in (0..).zip(&capture.taps) {
        writer.write_pcapng_block(interface(capture, tap, name)).map_err(words)?;
    }
    for record in &capture.records {
        let frame = &record.frame;
        let notes = comments.get(&frame.number).map(Vec::as_slice).unwrap_or_default();
        writer.write_pcapng_block(packet(frame, notes)).map_err(|e| format!("frame {}: {e}", frame.number))?;
    }
    let end = capture.records.last().map_or_else(Timestamp::now, |r| r.frame.time);
    for (index, name) in (0..).zip(&capture.taps) {
        if let Some(tap) = stats.taps.iter().find(|t| t.tap == *name) {
            let options = vec![InterfaceStatisticsOption::IsbIfRecv(tap.received), InterfaceStatisticsOption::IsbIfDrop(tap.dropped)];
            let block = InterfaceStatisticsBlock { interface_id: index, timestamp: since_epoch(end), options };
            writer.write_pcapng_block(block).map_err(words)?;
        }
    }
    Ok(writer.into_inner())
}

fn interface<'a>(capture: &Capture, tap: u16, name: &'a str) -> InterfaceDescriptionBlock<'a> {
    let link_type = capture.records.iter().find(|r| r.frame.tap == tap).map_or(ETHERNET, |r| r.frame.link_type);
    let description = match name.split_once('.') {
        Some((node, iface)) => format!("interface {iface} of node {node}"),
        None => format!("tap {name}"),
    };
    InterfaceDescriptionBlock {
        linktype: DataLink::from(u32::from(link_type)),
        snaplen: 0,
        options: vec![
            InterfaceDescriptionOption::IfName(name.into()),
            InterfaceDescriptionOption::IfDescription(description.into()),
            InterfaceDescriptionOption::IfTsResol(InterfaceTsResolution::NANO),
        ],
    }
}

fn packet<'a>(frame: &'a Frame, comments: &'a [String]) -> EnhancedPacketBlock<'a> {
    let direction = match frame.direction {
        Direction::In => Some(1),
        Direction::Out => Some(2),
        Direction::Unknown => None,
    };
    let flags = direction.map(EnhancedPacketOption::Flags);
    let comments = comments.iter().map(|c| EnhancedPacketOption::Common(CommonOption::Comment(c.as_str().into())));
    EnhancedPacketBlock {
        interface_id: u32::from(frame.tap),
        timestamp: since_epoch(frame.time),
        original_len: frame.orig_len.max(u32::try_from(frame.data.len()).unwrap_or(u32::MAX)),
        data: Cow::Borrowed(&frame.data),
        options: flags.into_iter().chain(comments).collect(),
    }
}

fn since_epoch(time: Timestamp) -> Duration {
    Duration::from_nanos(u64::try_from(time.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::ring::TapStats;
    use super::*;
    use crate::dissect::Record;

    /// Needs tshark, the oracle; without it there is nothing to compare with.
    #[test]
    fn wireshark_shows_names_comments_and_directions() {
        if Command::new("tshark").arg("--version").output().is_err() {
            eprintln!("skipped: tshark is not installed");
            return;
        }
        let record = |number: u32, tap, direction| {
            let data: Vec<u8> = [&[2u8; 12][..], &[0x88, 0xb5], &[0; 46]].concat();
            let time = Timestamp(1_795_000_000_123_456_780 + i64::from(number));
            let frame = Frame { number, tap, time, orig_len: 60, direction, link_type: 1, data: data.into() };
            Record { frame, layers: Vec::new(), quoted_from: 0, esp_inner: Vec::new() }
        };
        let capture = Capture {
            taps: vec!["west.wan".into(), "mid.left".into()],
            records: vec![record(1, 0, Direction::Out), record(2, 1, Direction::In)],
        };
        let comments = BTreeMap::from([(2, vec!["first".to_owned(), "second".to_owned()])]);
        let tap = |name: &str, dropped| TapStats { tap: name.into(), received: 1, dropped };
        let stats = Stats { taps: vec![tap("west.wan", 0), tap("mid.left", 3)], late: 0 };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("capture.pcapng");
        write(&path, &capture, &comments, &stats, "run 7, broken").unwrap();
        let fields = ["frame.interface_name", "frame.time_epoch", "frame.packet_flags_direction", "frame.comment"];
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(&path).args(["-T", "fields", "-E", "separator=|"]);
        tshark.args(fields.iter().flat_map(|f| ["-e", f]));
        let shown = String::from_utf8(tshark.output().unwrap().stdout).unwrap();
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[0].starts_with("west.wan|1795000000.123456781|0x") && lines[0].ends_with("2|"), "{shown}");
        assert!(lines[1].starts_with("mid.left|1795000000.123456782|0x") && lines[1].ends_with("1|first,second"), "{shown}");
        let info = Command::new("capinfos").arg(&path).output().unwrap();
        assert!(String::from_utf8_lossy(&info.stdout).contains("run 7, broken"));
    }
}
