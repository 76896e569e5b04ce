//! The system calls that no safe crate wraps: ethtool's ioctl, the mapped ring of a packet socket. The only file of this
//! crate with `unsafe`; each block says why it is sound.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// Switches off everything on interfaces of the calling thread's namespace that would let captures show packets that a
/// wire never carries: super-frames and unfinished checksums.
pub fn offloads_off<'a>(ifaces: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    const SETTERS: [(u32, &str); 5] =
        [(0x1f, "TCP segmentation"), (0x24, "GSO"), (0x2c, "GRO"), (0x17, "TX checksumming"), (0x15, "RX checksumming")];
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    for iface in ifaces {
        for (command, what) in SETTERS {
            ethtool(&socket, iface, command).map_err(|e| io::Error::new(e.kind(), format!("{iface}: switching {what} off: {e}")))?;
        }
    }
    Ok(())
}

fn ethtool(socket: &socket2::Socket, iface: &str, command: u32) -> io::Result<()> {
    if iface.len() >= libc::IFNAMSIZ {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the interface name is too long"));
    }
    let mut value = [command, 0];
    // SAFETY: all-zero bytes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(iface.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = value.as_mut_ptr().cast();
    // SAFETY: SIOCETHTOOL reads an ifreq whose data points to an ethtool_value (two u32); both live through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Shape of a receive ring.
#[derive(Debug, Clone, Copy)]
pub struct RingShape {
    /// Octets per block; a power of two, at least a page.
    pub block: usize,
    /// Blocks.
    pub blocks: usize,
    /// A block that is not full is handed over after about this many milliseconds.
    pub retire_ms: u32,
}

/// A frame in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFrame<'a> {
    /// Kernel timestamp, nanoseconds since the Unix epoch.
    pub time: i64,
    /// Length on the wire.
    pub orig_len: u32,
    /// `sll_pkttype`: who the frame is for, or `PACKET_OUTGOING`.
    pub packet_type: u8,
    /// Octets from the link layer on.
    pub data: &'a [u8],
}

/// A TPACKET_V3 receive ring on one interface (packet_mmap, kernel documentation).
#[derive(Debug)]
pub struct PacketRing {
    fd: OwnedFd,
    map: *mut c_void,
    shape: RingShape,
    next: usize,
}

// SAFETY: the mapping belongs to this value alone and has no tie to a thread.
unsafe impl Send for PacketRing {}

impl PacketRing {
    /// Opens a ring in the calling thread's namespace. It sees nothing until it is bound: the socket has no protocol, so no
    /// foreign frame can slip in.
    pub fn open(shape: RingShape) -> io::Result<PacketRing> {
        // SAFETY: a plain system call; a non-negative result is a new descriptor that nobody else owns.
        let fd = unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        set_option(&fd, libc::PACKET_VERSION, &libc::tpacket_versions::TPACKET_V3)?;
        let count = |n: usize| u32::try_from(n).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the ring is too large"));
        let request = libc::tpacket_req3 {
            tp_block_size: count(shape.block)?,
            tp_block_nr: count(shape.blocks)?,
            tp_frame_size: 2048,
            tp_frame_nr: count(shape.block / 2048 * shape.blocks)?,
            tp_retire_blk_tov: shape.retire_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set_option(&fd, libc::PACKET_RX_RING, &request)?;
        // SAFETY: maps the ring just set up, exactly as long as it is; unmapped in `drop`.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                shape.block * shape.blocks,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if map == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(PacketRing { fd, map, shape, next: 0 })
    }

    /// From now on it sees what passes an interface of the namespace it was opened in.
    pub fn bind(&self, index: u32) -> io::Result<()> {
        // SAFETY: all-zero bytes are a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = i32::try_from(index).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: the address is a sockaddr_ll of the given length.
        let bound =
            unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as libc::socklen_t) };
        if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Hands every frame of the blocks that are ready to `each`, and the blocks back to the kernel.
    pub fn take(&mut self, mut each: impl FnMut(RawFrame<'_>)) {
        const STATUS: usize = 8;
        // At most one round: a fast sender must not keep us from the other rings.
        for _ in 0..self.shape.blocks {
            // SAFETY: `next` is below `blocks`, so the block lies within the mapping; blocks are page-aligned, so the
            // status word is aligned; kernel and we both access it atomically.
            let (block, status) = unsafe {
                let block = self.map.cast::<u8>().add(self.next * self.shape.block);
                (block, &*block.add(STATUS).cast::<AtomicU32>())
            };
            if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return;
            }
            // SAFETY: while the status says TP_STATUS_USER the kernel does not write to the block. The slice ends before
            // the status is given back.
            let bytes = unsafe { std::slice::from_raw_parts(block, self.shape.block) };
            frames(bytes, &mut each);
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.shape.blocks;
        }
    }

    /// Frames received and frames dropped since the last call.
    pub fn statistics(&self) -> io::Result<(u64, u64)> {
        let mut stats = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let mut length = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` octets into the structure.
        let result = unsafe {
            libc::getsockopt(self.fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS, (&raw mut stats).cast(), &raw mut length)
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        // tp_packets counts the dropped ones as well.
        Ok((u64::from(stats.tp_packets.saturating_sub(stats.tp_drops)), u64::from(stats.tp_drops)))
    }
}

impl Drop for PacketRing {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `open`, which nothing refers to any more.
        unsafe { libc::munmap(self.map, self.shape.block * self.shape.blocks) };
    }
}

impl AsFd for PacketRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn set_option<T>(fd: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads exactly the size of the value.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_PACKET, option, std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Walks the frames of a block: `tpacket_block_desc`, then a chain of `tpacket3_hdr`, each with a `sockaddr_ll` behind it.
fn frames(block: &[u8], each: &mut impl FnMut(RawFrame<'_>)) {
    let word = |at: usize| block.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_ne_bytes(*b));
    let (Some(count), Some(first)) = (word(12), word(16)) else { return };
    let mut at = first as usize;
    for _ in 0..count {
        let fields = || -> Option<(usize, RawFrame<'_>)> {
            let (next, seconds, nanos, captured, orig_len) = (word(at)?, word(at + 4)?, word(at + 8)?, word(at + 12)?, word(at + 16)?);
            let mac = usize::from(u16::from_ne_bytes(*block.get(at + 24..)?.first_chunk()?));
            let packet_type = *block.get(at + 48 + 10)?;
            let data = block.get(at + mac..at + mac + captured as usize)?;
            let time = i64::from(seconds) * 1_000_000_000 + i64::from(nanos);
            Some((next as usize, RawFrame { time, orig_len, packet_type, data }))
        };
        let Some((next, frame)) = fields() else { return };
        each(frame);
        at += next;
    }
}
