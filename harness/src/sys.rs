//! The system calls that no safe crate wraps: ethtool's ioctl, packet sockets and their mapped ring, the environment of a
//! new process, a signal that is ignored. The only file of this
//! crate with `unsafe`; each block says why it is sound.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// Lets a write beyond the limit of a file's size fail instead of ending the process; what it starts inherits that.
pub fn ignore_file_size_signal() {
    // SAFETY: no handler is installed that could run at a bad moment, and the arguments are constants that the kernel knows.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Switches everything on interfaces of the calling thread's namespace off (or on) that lets captures show packets that a wire
/// never carries: super-frames and unfinished checksums.
pub fn set_offloads<'a>(ifaces: impl IntoIterator<Item = &'a str>, on: bool) -> io::Result<()> {
    const SETTERS: [(u32, &str); 5] =
        [(0x1f, "TCP segmentation"), (0x24, "GSO"), (0x2c, "GRO"), (0x17, "TX checksumming"), (0x15, "RX checksumming")];
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    for iface in ifaces {
        for (command, what) in SETTERS {
            ethtool(&socket, iface, command, on).map_err(|e| io::Error::new(e.kind(), format!("{iface}: switching {what}: {e}")))?;
        }
    }
    Ok(())
}

fn ethtool(socket: &socket2::Socket, iface: &str, command: u32, on: bool) -> io::Result<()> {
    if iface.len() >= libc::IFNAMSIZ {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the interface name is too long"));
    }
    let mut value = [command, u32::from(on)];
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

/// Sets variables of this process's environment. Only for a process that has a single thread, as the first process of a
/// pocket kernel when it begins.
pub fn set_environment(variables: &[(String, String)]) {
    let valid = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    for (name, value) in variables.iter().filter(|(name, value)| valid(name) && !value.contains('\0')) {
        // SAFETY: nothing else reads or writes the environment meanwhile, since there is no other thread.
        unsafe { std::env::set_var(name, value) };
    }
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
        let fd = packet_socket()?;
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
        bind(&self.fd, index)
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
        statistics(&self.fd)
    }
}

/// A packet socket without a ring: a frame can be taken as soon as it has passed, and no timer runs meanwhile. That is what
/// virtual time needs, where a ring's timers would be most of the work and speed does not matter.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    /// [`PacketSocket::BATCH`] frames; only what is written to takes memory.
    buffer: Vec<u8>,
}

impl PacketSocket {
    /// Most frames that one system call takes; calls are what is dear in a pocket.
    const BATCH: usize = 16;
    /// Room for one frame.
    const FRAME: usize = 1 << 16;

    /// Opens it in the calling thread's namespace; it sees nothing until it is bound.
    pub fn open() -> io::Result<PacketSocket> {
        let fd = packet_socket()?;
        let (on, room): (libc::c_int, libc::c_int) = (1, 64 << 20);
        set_option_of(&fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &on)?;
        // Needs CAP_NET_ADMIN of the machine, which the root of a pocket has.
        set_option_of(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &room)?;
        Ok(PacketSocket { fd, buffer: vec![0; PacketSocket::BATCH * PacketSocket::FRAME] })
    }

    /// From now on it sees what passes an interface of the namespace it was opened in.
    pub fn bind(&self, index: u32) -> io::Result<()> {
        bind(&self.fd, index)
    }

    /// Hands every frame that is there to `each`.
    pub fn take(&mut self, mut each: impl FnMut(RawFrame<'_>)) {
        // Aligned for a control message header; the time of one frame takes 32 octets.
        let mut controls = [[0u64; 16]; PacketSocket::BATCH];
        loop {
            // SAFETY: all-zero bytes are a valid sockaddr_ll, iovec and mmsghdr.
            let (mut from, mut parts, mut messages): (
                [libc::sockaddr_ll; PacketSocket::BATCH],
                [libc::iovec; PacketSocket::BATCH],
                [libc::mmsghdr; PacketSocket::BATCH],
            ) = unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
            let places = self.buffer.chunks_exact_mut(PacketSocket::FRAME).zip(&mut controls).zip(&mut from).zip(&mut parts);
            for ((((place, control), from), part), message) in places.zip(&mut messages) {
                *part = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: place.len() };
                let header = &mut message.msg_hdr;
                header.msg_name = std::ptr::from_mut(from).cast();
                header.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
                header.msg_iov = part;
                header.msg_iovlen = 1;
                header.msg_control = control.as_mut_ptr().cast();
                header.msg_controllen = size_of_val(control) as _;
            }
            // SAFETY: the vector has that many messages, and every pointer in them points to a live local, or into our buffer, of
            // the stated length; no two messages share any of it. Without a timeout the last pointer may be null.
            let count = unsafe {
                let (fd, flags) = (self.fd.as_raw_fd(), libc::MSG_TRUNC);
                libc::recvmmsg(fd, messages.as_mut_ptr(), PacketSocket::BATCH as libc::c_uint, flags as _, std::ptr::null_mut())
            };
            let count = usize::try_from(count).unwrap_or(0);
            let places = self.buffer.chunks_exact(PacketSocket::FRAME);
            for ((message, from), place) in messages.iter().zip(&from).zip(places).take(count) {
                let time = message_time(&message.msg_hdr).unwrap_or_default();
                // With MSG_TRUNC the length is the frame's, also where it did not fit.
                let data = &place[..place.len().min(message.msg_len as usize)];
                each(RawFrame { time, orig_len: message.msg_len, packet_type: from.sll_pkttype, data });
            }
            if count < PacketSocket::BATCH {
                return;
            }
        }
    }

    /// Frames received and frames dropped since the last call.
    pub fn statistics(&self) -> io::Result<(u64, u64)> {
        statistics(&self.fd)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The kernel's time of a received message, nanoseconds since the Unix epoch.
fn message_time(message: &libc::msghdr) -> Option<i64> {
    // SAFETY: the message was filled by recvmsg, so its control messages are well-formed, and its buffer is still there.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = header.as_ref() {
            if (found.cmsg_level, found.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
                let time = libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned();
                return Some(time.tv_sec * 1_000_000_000 + time.tv_nsec);
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    None
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

/// A packet socket without a protocol: it sees nothing until it is bound.
fn packet_socket() -> io::Result<OwnedFd> {
    // SAFETY: a plain system call; a non-negative result is a new descriptor that nobody else owns.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// Binds a packet socket to an interface, for all protocols.
fn bind(fd: &OwnedFd, index: u32) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = i32::try_from(index).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the address is a sockaddr_ll of the given length.
    let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as libc::socklen_t) };
    if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn set_option<T>(fd: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    set_option_of(fd, libc::SOL_PACKET, option, value)
}

fn set_option_of<T>(fd: &OwnedFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads exactly the size of the value.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Frames received and dropped since the last call. Sockets without a ring know the first two fields only.
fn statistics(fd: &OwnedFd) -> io::Result<(u64, u64)> {
    let mut stats = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
    let mut length = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` octets into the structure.
    let result =
        unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS, (&raw mut stats).cast(), &raw mut length) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // tp_packets counts the dropped ones as well.
    Ok((u64::from(stats.tp_packets.saturating_sub(stats.tp_drops)), u64::from(stats.tp_drops)))
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
