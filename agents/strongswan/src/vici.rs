//! One VICI connection: requests, answers and events in the order in which they come.
//!
//! Messages are encoded by `serde_vici`. The connection is our own because a gateway is killed on purpose here: a request must
//! end when the daemon does, an event stream must end at end of file, and giving up a read must not lose half a packet.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Name of the control socket inside the gateway's folder.
pub(crate) const SOCKET: &str = "charon.vici";

/// VICI's own limit of a message (vici_socket.h).
const MAX_PACKET: usize = 512 * 1024;

/// A decoded message, or part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Text(String),
    List(Vec<String>),
    Section(BTreeMap<String, Node>),
}

impl Node {
    pub(crate) fn empty() -> Node {
        Node::Section(BTreeMap::new())
    }

    /// Text at a path of section names.
    pub(crate) fn text(&self, path: &[&str]) -> Option<&str> {
        match self.at(path)? {
            Node::Text(t) => Some(t),
            _ => None,
        }
    }

    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| match node {
            Node::Section(map) => map.get(*name),
            _ => None,
        })
    }

    /// Entries of a section; none for anything else.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Node)> {
        let map = match self {
            Node::Section(map) => Some(map),
            _ => None,
        };
        map.into_iter().flatten().map(|(k, v)| (k.as_str(), v))
    }

    pub(crate) fn is_section(&self) -> bool {
        matches!(self, Node::Section(_))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a VICI value, list or section")
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<Node, E> {
        Ok(Node::Text(v.to_owned()))
    }

    fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Node, E> {
        Ok(Node::Text(String::from_utf8_lossy(v).into_owned()))
    }

    fn visit_byte_buf<E: de::Error>(self, v: Vec<u8>) -> Result<Node, E> {
        self.visit_bytes(&v)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((k, v)) = map.next_entry()? {
            entries.insert(k, v);
        }
        Ok(Node::Section(entries))
    }
}

/// What the daemon sends.
#[derive(Debug)]
pub(crate) enum Packet {
    Response(Node),
    Event { name: String, body: Node },
    UnknownCommand,
    EventConfirmed,
    UnknownEvent,
}

/// An open connection.
pub(crate) struct Vici {
    stream: UnixStream,
    /// What was read and not yet used; kept here so that a read can be given up at any point.
    buffer: Vec<u8>,
}

impl Vici {
    /// Connects to the socket in `dir`, however long the path is (`sun_path` holds 108 octets).
    pub(crate) async fn connect(dir: &Path) -> io::Result<Vici> {
        let folder = std::fs::File::open(dir)?;
        let path = format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd());
        Ok(Vici { stream: UnixStream::connect(path).await?, buffer: Vec::new() })
    }

    /// Sends a request and waits for its answer. Events that arrive meanwhile are dropped.
    pub(crate) async fn call(&mut self, command: &str, message: &impl Serialize) -> io::Result<Node> {
        self.send(command, message).await?;
        loop {
            match self.next().await? {
                Packet::Response(node) => return Ok(node),
                Packet::Event { .. } => {}
                other => return Err(unexpected(command, &other)),
            }
        }
    }

    /// Sends a request whose answer the caller reads with [`Vici::next`].
    pub(crate) async fn send(&mut self, command: &str, message: &impl Serialize) -> io::Result<()> {
        let body = serde_vici::to_vec(message).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        self.write(0, command, &body).await
    }

    /// Asks for an event; it may arrive from now on.
    pub(crate) async fn register(&mut self, event: &str) -> io::Result<()> {
        self.write(3, event, &[]).await?;
        loop {
            match self.next().await? {
                Packet::EventConfirmed => return Ok(()),
                // An event registered for before may come in between.
                Packet::Event { .. } => {}
                other => return Err(unexpected(event, &other)),
            }
        }
    }

    async fn write(&mut self, kind: u8, name: &str, body: &[u8]) -> io::Result<()> {
        let name_len = u8::try_from(name.len()).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "VICI name too long"))?;
        let len = 2 + name.len() + body.len();
        if len > MAX_PACKET {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("VICI message of {len} octets is too long")));
        }
        let mut packet = Vec::with_capacity(4 + len);
        packet.extend_from_slice(&(len as u32).to_be_bytes());
        packet.extend_from_slice(&[kind, name_len]);
        packet.extend_from_slice(name.as_bytes());
        packet.extend_from_slice(body);
        self.stream.write_all(&packet).await
    }

    /// The next packet. Dropping the future loses nothing. End of file is an error: the daemon is gone.
    pub(crate) async fn next(&mut self) -> io::Result<Packet> {
        loop {
            if let Some((packet, used)) = split(&self.buffer)? {
                let decoded = decode(packet);
                self.buffer.drain(..used);
                return decoded;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the daemon closed its control socket"));
            }
        }
    }
}

fn unexpected(what: &str, got: &Packet) -> io::Error {
    let why = match got {
        Packet::UnknownCommand => "the daemon does not know this command".to_owned(),
        Packet::UnknownEvent => "the daemon does not know this event".to_owned(),
        other => format!("unexpected answer {other:?}"),
    };
    io::Error::new(io::ErrorKind::Unsupported, format!("VICI {what}: {why}"))
}

/// The first whole packet of `buffer`, without its length, and how much of `buffer` it takes.
fn split(buffer: &[u8]) -> io::Result<Option<(&[u8], usize)>> {
    let Some(len) = buffer.first_chunk::<4>() else { return Ok(None) };
    let len = u32::from_be_bytes(*len) as usize;
    if len > MAX_PACKET {
        return Err(invalid(format!("VICI packet of {len} octets")));
    }
    Ok(buffer.get(4..4 + len).map(|packet| (packet, 4 + len)))
}

fn decode(packet: &[u8]) -> io::Result<Packet> {
    let (&kind, rest) = packet.split_first().ok_or_else(|| invalid("empty VICI packet".into()))?;
    Ok(match kind {
        1 => Packet::Response(message(rest)?),
        2 => Packet::UnknownCommand,
        5 => Packet::EventConfirmed,
        6 => Packet::UnknownEvent,
        7 => {
            let (&len, rest) = rest.split_first().ok_or_else(|| invalid("VICI event without a name".into()))?;
            let (name, body) = rest.split_at_checked(usize::from(len)).ok_or_else(|| invalid("VICI event cut short".into()))?;
            Packet::Event { name: String::from_utf8_lossy(name).into_owned(), body: message(body)? }
        }
        other => return Err(invalid(format!("VICI packet of unknown type {other}"))),
    })
}

fn message(body: &[u8]) -> io::Result<Node> {
    if body.is_empty() {
        return Ok(Node::empty());
    }
    serde_vici::from_slice(body).map_err(|e| invalid(format!("VICI message: {e}")))
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{ key1 = value1, section1 { sub { key2 = v2 }, list1 = [item1, item2] } }` in VICI's encoding.
    fn sample() -> Vec<u8> {
        let mut m = vec![3, 4];
        m.extend(b"key1\0\x06value1\x01\x08section1\x01\x03sub\x03\x04key2\0\x02v2\x02\x04\x05list1\x05\0\x05item1\x05\0\x05item2\x06\x02");
        m
    }

    #[test]
    fn messages_become_trees() {
        let node = message(&sample()).unwrap();
        assert_eq!(node.text(&["key1"]), Some("value1"));
        assert_eq!(node.text(&["section1", "sub", "key2"]), Some("v2"));
        assert_eq!(node.at(&["section1", "list1"]), Some(&Node::List(vec!["item1".into(), "item2".into()])));
        assert_eq!(node.text(&["section1", "nothing"]), None);
    }

    #[test]
    fn hostile_packets_are_errors() {
        assert!(decode(&[]).is_err());
        assert!(decode(&[9]).is_err());
        assert!(decode(&[7, 200, b'x']).is_err());
        assert!(split(&[0xff; 8]).is_err());
        assert!(split(&[0, 0, 0]).unwrap().is_none());
        let whole = sample();
        for cut in 1..whole.len() {
            // Must end, one way or the other.
            let _ = message(&whole[..cut]);
        }
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 0xff;
            let _ = message(&bent);
        }
    }
}
