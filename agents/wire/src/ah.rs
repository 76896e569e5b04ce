//! Authentication Header, RFC 4302 §2.

use crate::reader::Reader;

/// A parsed AH header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Protocol of what follows.
    pub next_header: u8,
    /// Octets of the whole header.
    pub len: usize,
    /// SPI.
    pub spi: u32,
    /// Sequence number.
    pub seq: u32,
    /// ICV (with its padding).
    pub icv: Vec<u8>,
}

/// Reads the header at the front of `bytes`; `None` when it is cut short or its length field is below the minimum.
pub fn parse(bytes: &[u8]) -> Option<Header> {
    let mut r = Reader::new(bytes);
    let next_header = r.u8()?;
    // Length in 32-bit words, minus 2 (RFC 4302 §2.2).
    let len = (usize::from(r.u8()?) + 2) * 4;
    r.u16()?;
    let (spi, seq) = (r.u32()?, r.u32()?);
    let icv = r.take(len.checked_sub(12)?)?.to_vec();
    Some(Header { next_header, len, spi, seq, icv })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_with_a_96_bit_icv_is_24_octets_long() {
        let mut bytes = vec![4, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 7];
        bytes.extend([0xaa; 12]);
        bytes.extend([0x45, 0]);
        let h = parse(&bytes).unwrap();
        assert_eq!((h.next_header, h.len, h.spi, h.seq, h.icv), (4, 24, 256, 7, vec![0xaa; 12]));
        assert_eq!(parse(&bytes[..23]), None);
        assert_eq!(parse(&[4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 7]), None, "a length below 12 octets");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
            let _ = parse(&bytes);
        }
    }
}
