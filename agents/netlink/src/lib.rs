//! Netlink requests and answers, blocking. The kernel works on a request inside `send`, so its answers can be read at
//! once and nothing here ever waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::Emitable;
pub use netlink_sys::protocols;
use netlink_sys::{Socket, SocketAddr};

const REQUEST: u16 = 1;
const ACK: u16 = 4;
/// Dump everything.
pub const DUMP: u16 = 0x300;
/// Create when missing.
pub const CREATE: u16 = 0x400;
/// Refuse when it exists.
pub const EXCL: u16 = 0x200;
/// Replace when it exists.
pub const REPLACE: u16 = 0x100;
/// Add at the end.
pub const APPEND: u16 = 0x800;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEADER: usize = 16;
/// Messages per `send`: their answers must fit into the socket's receive buffer.
const AT_ONCE: usize = 64;
/// Set in the type of nested attributes.
const NESTED: u16 = 0x8000;

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Request {
    /// A request that the kernel acknowledges.
    pub fn new(kind: u16, flags: u16, body: Vec<u8>) -> Request {
        Request { kind, flags: flags | REQUEST | ACK, body }
    }

    /// A request that is not acknowledged.
    pub fn quiet(kind: u16, flags: u16, body: Vec<u8>) -> Request {
        Request { kind, flags: flags | REQUEST, body }
    }

    /// From a message of `netlink-packet-route`.
    pub fn of(kind: u16, flags: u16, message: &impl Emitable) -> Request {
        let mut body = vec![0; message.buffer_len()];
        message.emit(&mut body);
        Request::new(kind, flags, body)
    }
}

/// Type and body of a message from the kernel.
pub type Answer = (u16, Vec<u8>);

/// A netlink socket; it stays in the network namespace it was opened in.
pub struct Netlink {
    socket: Socket,
    seq: u32,
}

impl Netlink {
    /// Opens a socket of a netlink family, listening to the multicast groups in the bit set `groups`.
    pub fn open(protocol: isize, groups: u32) -> io::Result<Netlink> {
        let mut socket = Socket::new(protocol)?;
        socket.bind(&SocketAddr::new(0, groups))?;
        socket.set_cap_ack(true)?;
        Ok(Netlink { socket, seq: 0 })
    }

    /// Sends requests and collects what the kernel says to them, acknowledgements apart. Stops at the first error and says
    /// which request it was.
    pub fn talk(&mut self, requests: &[Request]) -> Result<Vec<Answer>, (usize, io::Error)> {
        let mut answers = Vec::new();
        for (n, chunk) in requests.chunks(AT_ONCE).enumerate() {
            self.talk_once(chunk, &mut answers).map_err(|(i, e)| (n * AT_ONCE + i, e))?;
        }
        Ok(answers)
    }

    /// One request, its answers.
    pub fn ask(&mut self, request: Request) -> io::Result<Vec<Answer>> {
        self.talk(&[request]).map_err(|(_, e)| e)
    }

    fn talk_once(&mut self, requests: &[Request], answers: &mut Vec<Answer>) -> Result<(), (usize, io::Error)> {
        let base = self.seq.wrapping_add(1);
        let mut out = Vec::new();
        for request in requests {
            self.seq = self.seq.wrapping_add(1);
            let length = HEADER + request.body.len();
            out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
            out.extend_from_slice(&request.kind.to_ne_bytes());
            out.extend_from_slice(&request.flags.to_ne_bytes());
            out.extend_from_slice(&self.seq.to_ne_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&request.body);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        self.socket.send(&out, 0).map_err(|e| (0, e))?;
        let mut open: Vec<bool> = requests.iter().map(|r| r.flags & ACK != 0 || r.flags & DUMP == DUMP).collect();
        let mut failed: Option<(usize, io::Error)> = None;
        while open.contains(&true) {
            let Some(buffer) = self.receive().map_err(|e| (0, e))? else { break };
            for (kind, seq, body) in messages(&buffer) {
                let index = seq.wrapping_sub(base) as usize;
                if index >= requests.len() {
                    continue; // a notification, or left over from a request that failed
                }
                match (kind, errno(body)) {
                    (ERROR, Some(0)) | (DONE, None | Some(0)) => {
                        if let Some(slot) = open.get_mut(index) {
                            *slot = false;
                        }
                    }
                    (ERROR | DONE, code) => {
                        if let Some(slot) = open.get_mut(index) {
                            *slot = false;
                        }
                        failed.get_or_insert((index, io::Error::from_raw_os_error(code.unwrap_or(0).saturating_neg())));
                    }
                    _ => answers.push((kind, body.to_vec())),
                }
            }
        }
        match (failed, open.iter().position(|o| *o)) {
            (Some(failure), _) => Err(failure),
            (None, Some(index)) => Err((index, io::Error::other("the kernel did not answer a netlink request"))),
            (None, None) => Ok(()),
        }
    }

    /// Next datagram; `None` when there is none now.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = Vec::with_capacity(64 << 10);
        match self.socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
            Ok(_) => Ok(Some(buffer)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Throws away what has been received, e.g. notifications.
    pub fn drain(&mut self) -> io::Result<()> {
        while self.receive()?.is_some() {}
        Ok(())
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn errno(body: &[u8]) -> Option<i32> {
    body.first_chunk().map(|b| i32::from_ne_bytes(*b))
}

fn messages(mut buffer: &[u8]) -> impl Iterator<Item = (u16, u32, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*buffer.first_chunk()?) as usize;
        let message = buffer.get(..length).filter(|m| m.len() >= HEADER)?;
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        let seq = u32::from_ne_bytes([message[8], message[9], message[10], message[11]]);
        buffer = buffer.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, seq, &message[HEADER..]))
    })
}

/// Builds attributes.
#[derive(Debug, Clone, Default)]
pub struct Attrs(pub Vec<u8>);

impl Attrs {
    /// Adds an attribute.
    pub fn put(mut self, kind: u16, value: &[u8]) -> Attrs {
        self.0.extend_from_slice(&u16::try_from(4 + value.len()).unwrap_or(u16::MAX).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a big-endian number.
    pub fn number(self, kind: u16, value: u32) -> Attrs {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds a text with its final zero.
    pub fn text(self, kind: u16, value: &str) -> Attrs {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes)
    }

    /// Adds attributes inside an attribute.
    pub fn nest(self, kind: u16, inner: Attrs) -> Attrs {
        self.put(kind | NESTED, &inner.0)
    }
}

/// Reads attributes: `(type, value)`; stops at the first that does not fit.
pub fn attributes(mut buffer: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header: [u8; 4] = *buffer.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = buffer.get(4..length)?;
        let kind = u16::from_ne_bytes([header[2], header[3]]) & 0x3fff;
        buffer = buffer.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// First attribute of a type.
pub fn attribute(buffer: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(buffer).find(|(k, _)| *k == kind).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_a_round_trip_and_hostile_lengths() {
        let built = Attrs::default().text(1, "lan").number(2, 7).nest(3, Attrs::default().put(4, b"x"));
        let read: Vec<_> = attributes(&built.0).collect();
        assert_eq!(read[0], (1, &b"lan\0"[..]));
        assert_eq!(read[1], (2, &[0, 0, 0, 7][..]));
        assert_eq!(attribute(read[2].1, 4), Some(&b"x"[..]));
        for hostile in [&[0, 0, 1, 0][..], &[3, 0, 1, 0], &[255, 255, 1, 0, 5], &[4]] {
            assert!(attributes(hostile).count() <= 1);
            assert_eq!(messages(hostile).count(), 0);
        }
    }
}
