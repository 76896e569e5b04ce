//! Part of a frame or of a reassembled datagram, without a copy.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Octets that share their storage with the buffer they were found in. Reads like a slice.
#[derive(Clone)]
pub struct Octets {
    buffer: Arc<[u8]>,
    range: Range<usize>,
}

impl Octets {
    /// The part `range` of `buffer`, cut down to what is there.
    pub fn new(buffer: &Arc<[u8]>, range: Range<usize>) -> Octets {
        let end = range.end.min(buffer.len());
        Octets { buffer: Arc::clone(buffer), range: range.start.min(end)..end }
    }
}

impl Deref for Octets {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }
}

impl From<Vec<u8>> for Octets {
    fn from(octets: Vec<u8>) -> Octets {
        let range = 0..octets.len();
        Octets { buffer: octets.into(), range }
    }
}

impl From<&[u8]> for Octets {
    fn from(octets: &[u8]) -> Octets {
        octets.to_vec().into()
    }
}

impl Default for Octets {
    fn default() -> Octets {
        Vec::new().into()
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl PartialEq for Octets {
    fn eq(&self, other: &Octets) -> bool {
        **self == **other
    }
}

impl Eq for Octets {}
