//! What newer versions of Wireshark show differently, though the filter is taken by all: ours is as in the older ones.

use std::collections::BTreeSet;

use faultlab::dissect::Capture;
use faultlab::filter::Analysis;

use crate::tshark::Tshark;
use crate::{load, own, selected};

/// A field that frames have up to one version only, and ours.
struct Gone {
    field: &'static str,
    /// First known version that does not have it.
    from: (u32, u32),
    /// The frames that have lost it.
    frames: &'static str,
}

const GONE: &[Gone] = &[
    // The protocol "discard" claims them.
    Gone { field: "data", from: (4, 4), frames: "udp.port == 9" },
    Gone { field: "data", from: (4, 6), frames: "icmpv6.type in {128, 129}" },
];

/// Frames on which a filter and this tshark do not have to agree.
pub fn excepted(tshark: &Tshark, text: &str, capture: &Capture, analysis: &Analysis) -> BTreeSet<u32> {
    let words: Vec<&str> = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')).collect();
    let gone = GONE.iter().filter(|g| tshark.version >= g.from && words.contains(&g.field));
    gone.flat_map(|g| selected(g.frames, capture, analysis)).collect()
}

/// The exceptions are no more than they must be: in our capture there are such frames, on which old and new differ.
#[test]
fn exceptions_are_real() {
    let folder = tempfile::tempdir().unwrap();
    let file = own(folder.path());
    let (capture, analysis) = load(&file);
    let Some(tshark) = Tshark::announced() else { return };
    for gone in GONE {
        let frames = selected(gone.frames, &capture, &analysis);
        let text = format!("{} && ({})", gone.field, gone.frames);
        let theirs = tshark.select(&file, None, std::slice::from_ref(&text), &[]).unwrap_or_else(|e| panic!("{e}")).remove(0);
        let expected = if tshark.version >= gone.from { BTreeSet::new() } else { frames.clone() };
        assert!(!frames.is_empty(), "{text}");
        assert_eq!(theirs, Ok(expected), "{text}: {tshark}");
        assert_eq!(selected(&text, &capture, &analysis), frames, "{text}");
    }
}
