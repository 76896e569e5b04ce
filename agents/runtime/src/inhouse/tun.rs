//! The inside: a TUN device of the node.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use peer::Missing;
use tun_rs::{DeviceBuilder, DeviceBuilderGuard, GROTable, IDEAL_BATCH_SIZE, SyncDevice, VIRTIO_NET_HDR_LEN};

use crate::sys::{BATCH, ROOM};

/// Where the kernel offers TUN devices.
const DEVICE: &str = "/dev/net/tun";
/// Name of the interface in each node.
pub(crate) const NAME: &str = "ipsec0";

/// Room in front of a packet for the kernel's word about what is still to be done with it.
const HEAD: usize = VIRTIO_NET_HDR_LEN;
/// Segments that one large TCP packet of the kernel is cut into at most.
const SEGMENTS: usize = IDEAL_BATCH_SIZE;

/// An open TUN device; the interface goes when it is dropped.
///
/// TCP goes through it in large packets, as it would through a network card: the kernel's are cut into segments as long as the
/// sender has said, and what follows each other within a batch is joined for the kernel, which cuts it again where it leaves.
pub(crate) struct Tun {
    device: SyncDevice,
    index: u32,
    /// As the kernel hands it over.
    large: Vec<u8>,
    segments: Vec<Vec<u8>>,
    lengths: Vec<usize>,
    /// Packets for the inside that wait, each with a head.
    waiting: Vec<Vec<u8>>,
    used: usize,
    /// Made when first needed: it is large.
    joiner: Option<Box<GROTable>>,
    /// Packets for the inside so far.
    pub(crate) delivered: u64,
    /// Times that the kernel wanted less than all that waited.
    pub(crate) refused: u64,
}

impl Tun {
    /// Makes the interface in the calling thread's network namespace; it is down.
    pub(crate) fn open(mtu: u16) -> io::Result<Tun> {
        // The builder would make a missing device node.
        if !Path::new(DEVICE).exists() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{DEVICE} is not there")));
        }
        let offload = |builder: &mut DeviceBuilderGuard<'_>| {
            builder.offload(true);
        };
        let device = DeviceBuilder::new().name(NAME).mtu(mtu).enable(false).with(offload).build_sync()?;
        device.set_nonblocking(true)?;
        let index = device.if_index()?;
        // A segment is never longer than what the interface takes.
        let segments = vec![vec![0; usize::from(mtu)]; SEGMENTS];
        Ok(Tun {
            device,
            index,
            large: vec![0; HEAD + ROOM],
            segments,
            lengths: vec![0; SEGMENTS],
            // As much as a joined packet may need: only what is used takes memory.
            waiting: (0..BATCH).map(|_| Vec::with_capacity(2 * HEAD + ROOM)).collect(),
            used: 0,
            joiner: None,
            delivered: 0,
            refused: 0,
        })
    }

    /// Its interface index.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Takes packets from the inside and returns how many; `None`: there are none now.
    pub(crate) fn receive(&mut self) -> io::Result<Option<usize>> {
        match self.device.recv_multiple(&mut self.large, &mut self.segments, &mut self.lengths, 0) {
            Ok(n) => Ok(Some(n)),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(e) if e.raw_os_error().is_some() => Err(e),
            // Not from the kernel: a packet that cannot be cut.
            Err(_) => Ok(Some(0)),
        }
    }

    /// A packet of the last [`Tun::receive`].
    pub(crate) fn packet(&self, index: usize) -> &[u8] {
        let length = self.lengths.get(index).copied().unwrap_or(0);
        self.segments.get(index).and_then(|s| s.get(..length)).unwrap_or_default()
    }

    /// A packet for the inside; it waits for [`Tun::flush`].
    pub(crate) fn deliver(&mut self, packet: &[u8]) {
        if packet.is_empty() {
            return;
        }
        if self.used == self.waiting.len() {
            self.flush();
        }
        if let Some(buffer) = self.waiting.get_mut(self.used) {
            buffer.clear();
            buffer.extend_from_slice(&[0; HEAD]);
            buffer.extend_from_slice(packet);
            self.used += 1;
            self.delivered += 1;
        }
    }

    /// Hands the inside what waits.
    pub(crate) fn flush(&mut self) {
        let waiting = self.waiting.get_mut(..self.used).unwrap_or_default();
        let done = match waiting {
            [] => return,
            [one] => self.device.send(one).map(drop),
            several => self.device.send_multiple(self.joiner.get_or_insert_default(), several, HEAD).map(drop),
        };
        self.refused += u64::from(done.is_err());
        self.used = 0;
    }

    /// For `poll`.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// Why there can be no TUN device on this machine; `None`: there can.
pub(crate) fn missing() -> Option<Missing> {
    match std::fs::OpenOptions::new().read(true).write(true).open(DEVICE) {
        Ok(_) => None,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Some(Missing {
            what: format!("the in-house gateway needs {DEVICE}, which is not there"),
            hint: format!("load the tun module (modprobe tun) or give the container {DEVICE}"),
        }),
        Err(e) => Some(Missing {
            what: format!("the in-house gateway needs {DEVICE}, which cannot be opened: {e}"),
            hint: format!("let everybody open it (chmod 666 {DEVICE}), or run as root"),
        }),
    }
}
