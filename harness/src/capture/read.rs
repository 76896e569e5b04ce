//! Capture files: pcap (µs and ns, both byte orders) and pcapng (several interfaces, options), read as a stream.

mod parallel;

pub use parallel::parallel_filter;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pcap_file::pcap::{PcapReadError, PcapReader, PcapTsResolution};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::{
    ENHANCED_PACKET_BLOCK, INTERFACE_DESCRIPTION_BLOCK, PACKET_BLOCK, SECTION_HEADER_BLOCK, SIMPLE_PACKET_BLOCK,
};
use pcap_file::pcapng::{Block, PcapNgReadError, PcapNgReader};

use crate::dissect::{Direction, Frame};
use crate::time::Timestamp;

/// No block or packet of a file may be longer: an absurd length must not make us allocate.
pub const LONGEST_BLOCK: usize = 1 << 20;

/// Why a capture file cannot be read (further).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be opened.
    #[error("{file}: {source}")]
    Open {
        /// Path.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It is something else.
    #[error("{file}: not a capture file: {why}")]
    NotACapture {
        /// Path.
        file: String,
        /// What was found in place of one.
        why: String,
    },
    /// The system failed to read on.
    #[error("{file}: at octet {offset}: {source}")]
    Io {
        /// Path.
        file: String,
        /// Where.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is damaged or was cut off; the frames before were good.
    #[error("{file}: damaged after frame {frames}, at octet {offset}: {why}")]
    Damaged {
        /// Path.
        file: String,
        /// Frames that were read.
        frames: u32,
        /// Where the part begins that cannot be read.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Opens a capture file.
pub fn open(path: impl AsRef<Path>) -> Result<Reader, ReadError> {
    let file = crate::text::path(path.as_ref());
    let opened = File::open(&path).and_then(|f| match f.metadata()?.is_dir() {
        true => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        false => Ok(f),
    });
    match opened {
        Ok(f) => Reader::new(f, &file),
        Err(source) => Err(ReadError::Open { file, source }),
    }
}

/// Yields the frames of a capture file. After an error it ends.
pub struct Reader {
    file: String,
    taps: Vec<String>,
    frames: u32,
    format: Format,
    ended: bool,
}

type Source = io::Chain<io::Cursor<Vec<u8>>, Box<dyn Read + Send>>;

enum Format {
    Pcap {
        reader: Box<PcapReader<Source>>,
        offset: u64,
        link_type: u16,
        nanos_per_unit: i64,
    },
    PcapNg {
        reader: Box<PcapNgReader<Source>>,
        /// Index of the section's first interface among all taps.
        first_tap: usize,
        link_types: Vec<u16>,
    },
}

impl Reader {
    /// Reads from anything; `file` names it in errors.
    pub fn new(source: impl Read + Send + 'static, file: &str) -> Result<Reader, ReadError> {
        let mut source = BufReader::new(source);
        let mut magic = Vec::with_capacity(4);
        (&mut source).take(4).read_to_end(&mut magic).map_err(|source| ReadError::Io { file: file.to_owned(), offset: 0, source })?;
        let not = |why: String| ReadError::NotACapture { file: file.to_owned(), why };
        let kind = magic.clone();
        let source: Source = io::Cursor::new(magic).chain(Box::new(source));
        let format = match kind.as_slice() {
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                let reader = PcapNgReader::with_capacity(source, LONGEST_BLOCK).map_err(|e| not(chain(&e)))?;
                Format::PcapNg { reader: Box::new(reader), first_tap: 0, link_types: Vec::new() }
            }
            [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] | [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => {
                let reader = PcapReader::with_capacity(source, LONGEST_BLOCK).map_err(|e| not(chain(&e)))?;
                let header = reader.header();
                Format::Pcap {
                    offset: 24,
                    // The upper half holds the FCS length.
                    link_type: (u32::from(header.datalink) & 0xffff) as u16,
                    nanos_per_unit: if header.ts_resolution == PcapTsResolution::NanoSecond { 1 } else { 1000 },
                    reader: Box::new(reader),
                }
            }
            [] => return Err(not("it is empty".into())),
            [0x1f, 0x8b, ..] => return Err(not("it is compressed with gzip; unpack it first".into())),
            [0x28, 0xb5, 0x2f, 0xfd] => return Err(not("it is compressed with zstd; unpack it first".into())),
            other => return Err(not(format!("it begins with {other:02x?}, neither pcap nor pcapng"))),
        };
        // A pcap file has one interface without a name.
        let taps = match format {
            Format::Pcap { .. } => vec![String::new()],
            Format::PcapNg { .. } => Vec::new(),
        };
        Ok(Reader { file: file.to_owned(), taps, frames: 0, format, ended: false })
    }

    /// Names of the taps so far; empty where the file gives none. In pcapng, more may become known while reading.
    pub fn taps(&self) -> &[String] {
        &self.taps
    }

    fn read(&mut self) -> Option<Result<Raw, Failure>> {
        match &mut self.format {
            Format::Pcap { reader, offset, link_type, nanos_per_unit } => {
                let packet = match reader.next_raw_packet()? {
                    Ok(packet) => packet,
                    Err(PcapReadError::Io(source)) => return Some(Err(Failure::io(*offset, source))),
                    Err(e) => return Some(Err(Failure { offset: *offset, why: Why::Damage(chain(&e)) })),
                };
                *offset += 16 + packet.data.len() as u64;
                let time = i64::from(packet.ts_sec) * 1_000_000_000 + i64::from(packet.ts_frac) * *nanos_per_unit;
                Some(Ok(Raw {
                    tap: 0,
                    time: Timestamp(time),
                    orig_len: packet.orig_len,
                    direction: Direction::Unknown,
                    link_type: *link_type,
                    data: Arc::from(&*packet.data),
                }))
            }
            Format::PcapNg { reader, first_tap, link_types } => next_packet(reader, first_tap, link_types, &mut self.taps),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Frame, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read();
        self.ended = !matches!(read, Some(Ok(_)));
        Some(match read? {
            Ok(raw) => {
                self.frames = self.frames.saturating_add(1);
                Ok(Frame {
                    number: self.frames,
                    tap: raw.tap,
                    time: raw.time,
                    orig_len: raw.orig_len,
                    direction: raw.direction,
                    link_type: raw.link_type,
                    data: raw.data,
                })
            }
            Err(Failure { offset, why: Why::Io(source) }) => Err(ReadError::Io { file: self.file.clone(), offset, source }),
            Err(Failure { offset, why: Why::Damage(why) }) => {
                Err(ReadError::Damaged { file: self.file.clone(), frames: self.frames, offset, why })
            }
        })
    }
}

/// A frame without its number.
struct Raw {
    tap: u16,
    time: Timestamp,
    orig_len: u32,
    direction: Direction,
    link_type: u16,
    data: Arc<[u8]>,
}

struct Failure {
    offset: u64,
    why: Why,
}

enum Why {
    Io(io::Error),
    Damage(String),
}

impl Failure {
    fn io(offset: u64, source: io::Error) -> Failure {
        let why = match source.kind() {
            // Also what the reader says of a block that does not fit into its buffer.
            io::ErrorKind::UnexpectedEof => {
                Why::Damage(format!("the file ends within a packet or block, or the block claims to be longer than {LONGEST_BLOCK} octets"))
            }
            _ => Why::Io(source),
        };
        Failure { offset, why }
    }

    fn damage(offset: u64, why: impl Into<String>) -> Failure {
        Failure { offset, why: Why::Damage(why.into()) }
    }
}

/// The next packet of a pcapng file; interfaces on the way are noted.
fn next_packet(
    reader: &mut PcapNgReader<Source>,
    first_tap: &mut usize,
    link_types: &mut Vec<u16>,
    taps: &mut Vec<String>,
) -> Option<Result<Raw, Failure>> {
    loop {
        let offset = reader.bytes_parsed();
        let (block, state) = match reader.next_raw_block()? {
            Ok(found) => found,
            Err(PcapNgReadError::Io(source)) => return Some(Err(Failure::io(offset, source))),
            Err(e) => return Some(Err(Failure::damage(offset, chain(&e)))),
        };
        match block.type_ {
            SECTION_HEADER_BLOCK => {
                *first_tap = taps.len();
                link_types.clear();
            }
            ENHANCED_PACKET_BLOCK | PACKET_BLOCK | SIMPLE_PACKET_BLOCK => {
                let block = match block.try_into_block(state) {
                    Ok(block) => block,
                    Err(e) => return Some(Err(Failure::damage(offset, chain(&e)))),
                };
                return packet(block, *first_tap, link_types).map(|r| r.map_err(|why| Failure::damage(offset, why)));
            }
            INTERFACE_DESCRIPTION_BLOCK => {
                let Ok(Block::InterfaceDescription(interface)) = block.try_into_block(state) else { continue };
                if taps.len() > usize::from(u16::MAX) {
                    return Some(Err(Failure::damage(offset, "it describes more than 65536 interfaces")));
                }
                taps.push(name(&interface));
                link_types.push((u32::from(interface.linktype) & 0xffff) as u16);
            }
            _ => {}
        }
    }
}

fn packet(block: Block<'_>, first_tap: usize, link_types: &[u16]) -> Option<Result<Raw, String>> {
    let (interface, time, orig_len, direction, data) = match block {
        Block::EnhancedPacket(p) => {
            let direction = p.options.iter().find_map(|o| match o {
                EnhancedPacketOption::Flags(flags) => match flags & 3 {
                    1 => Some(Direction::In),
                    2 => Some(Direction::Out),
                    _ => None,
                },
                _ => None,
            });
            (p.interface_id as usize, p.timestamp, p.original_len, direction, p.data)
        }
        Block::Packet(p) => (usize::from(p.interface_id), p.timestamp, p.original_len, None, p.data),
        Block::SimplePacket(p) => (0, Duration::ZERO, p.original_len, None, p.data),
        _ => return None,
    };
    let (Some(link_type), Ok(tap)) = (link_types.get(interface), u16::try_from(first_tap + interface)) else {
        return Some(Err(format!("a packet names interface {interface}, which the file does not describe")));
    };
    Some(Ok(Raw {
        tap,
        time: Timestamp(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)),
        orig_len,
        direction: direction.unwrap_or(Direction::Unknown),
        link_type: *link_type,
        data: Arc::from(&*data),
    }))
}

fn name(interface: &InterfaceDescriptionBlock<'_>) -> String {
    interface
        .options
        .iter()
        .find_map(|o| match o {
            InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
            _ => None,
        })
        .unwrap_or_default()
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
