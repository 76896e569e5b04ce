//! Octets that may be bent: alterations of a chain of payloads before it is protected ([`Chain`]), and of a whole message after it
//! (the free functions). The result need not parse; the functions themselves survive any octets.
//!
//! Every function says whether it has altered anything: a bend that found nothing to bend must not be taken for one in force.

mod message;
#[cfg(test)]
mod tests;

pub use message::{
    add_to_length, corrupt_encrypted, flip_flags, notify_in_clear, set_exchange, set_message_id, set_spi_i, set_spi_r, set_version,
};

use super::emit::{self, GENERIC_LEN, Part};

const VENDOR_ID: u8 = 43;
/// All but the critical bit (RFC 7296 §3.2).
const RESERVED: u8 = 0x7f;
const CRITICAL: u8 = 0x80;

/// A chain of payloads as octets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// Type of the first payload; 0: there is none.
    pub first: u8,
    /// The payloads with their generic headers.
    pub octets: Vec<u8>,
}

/// One payload, its generic header included, whose Next Payload field is of no account.
struct Piece {
    kind: u8,
    octets: Vec<u8>,
}

/// A chain taken apart.
struct Pieces {
    pieces: Vec<Piece>,
    /// What cannot be followed, or is encrypted, stays at the end as it is.
    tail: Piece,
}

impl Chain {
    /// The chain of `parts`.
    pub fn new(parts: &[Part]) -> Chain {
        let (first, octets) = emit::chain(parts);
        Chain { first, octets }
    }

    /// Sets all reserved bits of all generic headers.
    pub fn set_reserved(&mut self) -> bool {
        self.edit(|p| {
            let mut changed = false;
            for piece in &mut p.pieces {
                changed |= set_octet(&mut piece.octets, 1, |octet| octet | RESERVED);
            }
            changed
        })
    }

    /// Leaves all payloads of this type out.
    pub fn omit(&mut self, kind: u8) -> bool {
        self.edit(|p| {
            let before = p.pieces.len();
            p.pieces.retain(|piece| piece.kind != kind);
            p.pieces.len() < before
        })
    }

    /// Puts a payload of zeros first.
    pub fn unknown_first(&mut self, kind: u8, critical: bool, len: u16) -> bool {
        self.edit(|p| {
            let mut piece = Piece::of_zeros(kind, len.into());
            set_octet(&mut piece.octets, 1, |octet| if critical { octet | CRITICAL } else { octet });
            p.pieces.insert(0, piece);
            true
        })
    }

    /// Repeats the first payload of this type right after itself.
    pub fn double(&mut self, kind: u8) -> bool {
        self.edit(|p| {
            let Some(index) = p.pieces.iter().position(|piece| piece.kind == kind) else { return false };
            let copy = Piece { kind, octets: p.pieces[index].octets.clone() };
            p.pieces.insert(index, copy);
            true
        })
    }

    /// Inverts the last octet of the first payload of this type; one without data stays as it is.
    pub fn corrupt(&mut self, kind: u8) -> bool {
        self.edit_first(kind, |octets| match octets.len() {
            ..=GENERIC_LEN => false,
            len => set_octet(octets, len - 1, |octet| !octet),
        })
    }

    /// Takes all data from the first payload of this type.
    pub fn empty(&mut self, kind: u8) -> bool {
        self.edit_first(kind, |octets| set_len(octets, GENERIC_LEN))
    }

    /// Makes the first payload of this type longer, with zeros, or shorter; its length field agrees. It never has less than its
    /// generic header nor more than 65,535 octets.
    pub fn resize(&mut self, kind: u8, by: i32) -> bool {
        self.edit_first(kind, |octets| {
            let by = isize::try_from(by).unwrap_or_default();
            set_len(octets, octets.len().saturating_add_signed(by))
        })
    }

    /// Puts other octets into the first payload of this type, beginning `at` octets from its start. Its generic header has 4, of which
    /// the first one, Next Payload, stays right. Beyond the payload's end nothing is altered.
    pub fn set_octets(&mut self, kind: u8, at: u16, others: &[u8]) -> bool {
        self.edit_first(kind, |octets| {
            let room = octets.get_mut(usize::from(at)..).filter(|_| at > 0).unwrap_or_default();
            let mut changed = false;
            for (octet, other) in room.iter_mut().zip(others) {
                changed |= std::mem::replace(octet, *other) != *other;
            }
            changed
        })
    }

    /// Appends a notification about no SA.
    pub fn add_notify(&mut self, kind: u16, data: &[u8]) -> bool {
        let notify = Chain::new(&[Part::notify(0, &[], kind, data)]);
        self.edit(|p| {
            p.pieces.push(Piece { kind: notify.first, octets: notify.octets });
            true
        })
    }

    /// Puts the last payload first, and so on.
    pub fn reverse(&mut self) -> bool {
        self.edit(|p| {
            p.pieces.reverse();
            p.pieces.len() > 1
        })
    }

    /// Appends a Vendor ID of zeros so that the chain has at least so many octets; exactly so many, unless fewer are missing than
    /// its header has. [`emit::sealed_len`] tells how long the message will be.
    pub fn fill_to(&mut self, octets: u16) -> bool {
        let Some(missing) = usize::from(octets).checked_sub(self.octets.len()).filter(|n| *n > 0) else { return false };
        self.edit(|p| {
            p.pieces.push(Piece::of_zeros(VENDOR_ID, missing.saturating_sub(GENERIC_LEN)));
            true
        })
    }

    fn edit_first(&mut self, kind: u8, change: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        self.edit(|p| p.pieces.iter_mut().find(|piece| piece.kind == kind).is_some_and(|piece| change(&mut piece.octets)))
    }

    fn edit(&mut self, change: impl FnOnce(&mut Pieces) -> bool) -> bool {
        let mut pieces = Pieces::split(self);
        let changed = change(&mut pieces);
        *self = pieces.join();
        changed
    }
}

impl Pieces {
    fn split(chain: &Chain) -> Pieces {
        let mut pieces = Vec::new();
        let (mut kind, mut rest) = (chain.first, &chain.octets[..]);
        while !matches!(kind, 0 | emit::SK | emit::SKF) {
            let &[next, _, a, b, ..] = rest else { break };
            let length = usize::from(u16::from_be_bytes([a, b]));
            let Some((octets, after)) = rest.split_at_checked(length).filter(|_| length >= GENERIC_LEN) else { break };
            pieces.push(Piece { kind, octets: octets.to_vec() });
            (kind, rest) = (next, after);
        }
        Pieces { pieces, tail: Piece { kind, octets: rest.to_vec() } }
    }

    /// Next Payload fields are set right; all other octets are what they were.
    fn join(self) -> Chain {
        let first = self.pieces.first().unwrap_or(&self.tail).kind;
        let mut octets = Vec::new();
        let mut pieces = self.pieces.into_iter().peekable();
        while let Some(mut piece) = pieces.next() {
            set_octet(&mut piece.octets, 0, |_| pieces.peek().unwrap_or(&self.tail).kind);
            octets.extend(piece.octets);
        }
        octets.extend(self.tail.octets);
        Chain { first, octets }
    }
}

impl Piece {
    /// With a generic header, and as many zeros as it can announce.
    fn of_zeros(kind: u8, len: usize) -> Piece {
        let mut octets = vec![0; GENERIC_LEN];
        set_len(&mut octets, GENERIC_LEN.saturating_add(len));
        Piece { kind, octets }
    }
}

/// Gives a payload this length, as near as can be, in its length field, too.
fn set_len(octets: &mut Vec<u8>, len: usize) -> bool {
    let before = octets.len();
    let length = u16::try_from(len.max(GENERIC_LEN)).unwrap_or(u16::MAX);
    octets.resize(length.into(), 0);
    if let Some(field) = octets.get_mut(2..GENERIC_LEN) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    octets.len() != before
}

fn set_octet(octets: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) -> bool {
    let Some(octet) = octets.get_mut(at) else { return false };
    let before = std::mem::replace(octet, change(*octet));
    *octet != before
}
