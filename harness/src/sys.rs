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
    map: Mapping,
    shape: RingShape,
    next: usize,
}

impl PacketRing {
    /// Opens a ring in the calling thread's namespace. It sees nothing until it is bound: the socket has no protocol, so no
    /// foreign frame can slip in.
    pub fn open(shape: RingShape) -> io::Result<PacketRing> {
        let fd = packet_socket()?;
        set_option(&fd, libc::PACKET_VERSION, &libc::tpacket_versions::TPACKET_V3)?;
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
        let map = Mapping::of(&fd, shape.block * shape.blocks)?;
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
                let block = self.map.start.cast::<u8>().add(self.next * self.shape.block);
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

/// A packet socket whose frames can be taken as soon as they have passed, and for which no timer runs meanwhile. That is what
/// virtual time needs, where the timers of a [`PacketRing`] would be most of the work.
///
/// The kernel copies the first octets of each frame into a slot of a ring (TPACKET_V2) while the frame passes. What does not fit
/// is taken from the socket's queue, which shares its octets with the frame as it goes on: where Linux sends the fragments of a
/// datagram that it has put together (with conntrack, at any router), it writes new link and IP headers over those of the second
/// and later ones. Headers must therefore fit into a slot; octets behind them are never written over.
#[derive(Debug)]
pub struct PacketSlots {
    fd: OwnedFd,
    map: Mapping,
    slots: usize,
    next: usize,
    /// [`PacketSlots::BATCH`] frames; only what is written to takes memory.
    buffer: Vec<u8>,
}

impl PacketSlots {
    /// Most frames that one system call takes; calls are what is dear in a pocket.
    const BATCH: usize = 16;
    /// Room for one frame.
    const FRAME: usize = 1 << 16;
    /// Octets per slot, with 66 octets of the kernel's: room for Ethernet, IPv6 and extension headers.
    const SLOT: usize = 256;
    /// Octets that are allocated in one piece.
    const BLOCK: usize = 16 << 10;

    /// Opens it in the calling thread's namespace; it sees nothing until it is bound. The kernel zeroes the slots, a multiple of 64, at
    /// the start.
    pub fn open(slots: usize) -> io::Result<PacketSlots> {
        let fd = packet_socket()?;
        let (on, room): (libc::c_int, libc::c_int) = (1, 64 << 20);
        // Needs CAP_NET_ADMIN of the machine, which the root of a pocket has.
        set_option_of(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &room)?;
        set_option(&fd, libc::PACKET_VERSION, &libc::tpacket_versions::TPACKET_V2)?;
        set_option(&fd, libc::PACKET_COPY_THRESH, &on)?;
        let size = PacketSlots::SLOT * slots;
        let request = libc::tpacket_req {
            tp_block_size: count(PacketSlots::BLOCK)?,
            tp_block_nr: count(size / PacketSlots::BLOCK)?,
            tp_frame_size: count(PacketSlots::SLOT)?,
            tp_frame_nr: count(slots)?,
        };
        set_option(&fd, libc::PACKET_RX_RING, &request)?;
        let map = Mapping::of(&fd, size)?;
        Ok(PacketSlots { fd, map, slots, next: 0, buffer: vec![0; PacketSlots::BATCH * PacketSlots::FRAME] })
    }

    /// From now on it sees what passes an interface of the namespace it was opened in.
    pub fn bind(&self, index: u32) -> io::Result<()> {
        bind(&self.fd, index)
    }

    /// Hands every frame that is there to `each`.
    pub fn take(&mut self, mut each: impl FnMut(RawFrame<'_>)) {
        // At most one round: a fast sender must not keep us from the other taps.
        for _ in 0..self.slots / PacketSlots::BATCH {
            let ready = (0..PacketSlots::BATCH)
                .map(|n| self.status(n).load(Ordering::Acquire))
                .take_while(|status| status & libc::TP_STATUS_USER != 0);
            let queued: Vec<bool> = ready.map(|status| status & libc::TP_STATUS_COPY != 0).collect();
            let lengths = self.queued(queued.iter().filter(|queued| **queued).count());
            let slots: Vec<*mut u8> = (0..queued.len()).map(|n| self.slot(n)).collect();
            let mut whole = self.buffer.chunks_exact_mut(PacketSlots::FRAME).zip(lengths);
            for (slot, queued) in slots.into_iter().zip(&queued) {
                // SAFETY: the slot lies within the mapping, and while its status says TP_STATUS_USER the kernel does not write to
                // it. The slice ends before the status is given back.
                let slot = unsafe { std::slice::from_raw_parts(slot, PacketSlots::SLOT) };
                let Some(frame) = in_slot(slot) else { continue };
                match if *queued { whole.next() } else { None } {
                    Some((place, length)) => {
                        let place = &mut place[..length.max(frame.data.len())];
                        place[..frame.data.len()].copy_from_slice(frame.data);
                        each(RawFrame { data: place, ..frame });
                    }
                    None => each(frame),
                }
            }
            for n in 0..queued.len() {
                self.status(n).store(libc::TP_STATUS_KERNEL, Ordering::Release);
            }
            self.next = (self.next + queued.len()) % self.slots;
            if queued.len() < PacketSlots::BATCH {
                return;
            }
        }
    }

    /// The slot that comes `n` after the next one.
    fn slot(&self, n: usize) -> *mut u8 {
        // SAFETY: the number is below `slots`, so the slot lies within the mapping.
        unsafe { self.map.start.cast::<u8>().add((self.next + n) % self.slots * PacketSlots::SLOT) }
    }

    /// Its status, which it begins with.
    fn status(&self, n: usize) -> &AtomicU32 {
        // SAFETY: slots are aligned to their size, and live as long as `self`; kernel and we both access the word atomically.
        unsafe { &*self.slot(n).cast::<AtomicU32>() }
    }

    /// Takes that many frames, at most [`PacketSlots::BATCH`], from the queue into the buffer, and returns their lengths. All are there:
    /// the kernel queues a frame before it hands over its slot.
    fn queued(&mut self, wanted: usize) -> Vec<usize> {
        let mut lengths = Vec::with_capacity(wanted);
        // The error of an interface that went down is told once, and takes no frame away.
        let mut errors = 0;
        while lengths.len() < wanted && errors < 2 {
            // SAFETY: all-zero bytes are a valid iovec and mmsghdr.
            let (mut parts, mut messages): ([libc::iovec; PacketSlots::BATCH], [libc::mmsghdr; PacketSlots::BATCH]) =
                unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
            let places = self.buffer.chunks_exact_mut(PacketSlots::FRAME).skip(lengths.len());
            for ((place, part), message) in places.zip(&mut parts).zip(&mut messages) {
                *part = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: place.len() };
                message.msg_hdr.msg_iov = part;
                message.msg_hdr.msg_iovlen = 1;
            }
            let most = (wanted - lengths.len()).min(PacketSlots::BATCH) as libc::c_uint;
            // SAFETY: the vector has at least that many messages whose pointers point to a live local, or into our buffer, of the
            // stated length; no two messages share any of it. Without a timeout the last pointer may be null.
            let count = unsafe { libc::recvmmsg(self.fd.as_raw_fd(), messages.as_mut_ptr(), most, 0, std::ptr::null_mut()) };
            match usize::try_from(count) {
                Ok(count) => lengths.extend(messages.iter().take(count).map(|m| (m.msg_len as usize).min(PacketSlots::FRAME))),
                Err(_) => errors += 1,
            }
        }
        lengths
    }

    /// Frames received and frames dropped since the last call.
    pub fn statistics(&self) -> io::Result<(u64, u64)> {
        statistics(&self.fd)
    }
}

impl AsFd for PacketSlots {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The frame in a slot: `tpacket2_hdr`, a `sockaddr_ll` behind it, and the first octets.
fn in_slot(slot: &[u8]) -> Option<RawFrame<'_>> {
    let word = |at: usize| slot.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_ne_bytes(*b));
    let (orig_len, captured, seconds, nanos) = (word(4)?, word(8)?, word(16)?, word(20)?);
    let mac = usize::from(u16::from_ne_bytes(*slot.get(12..)?.first_chunk()?));
    let packet_type = *slot.get(32 + 10)?;
    let data = slot.get(mac..mac + captured as usize)?;
    let time = i64::from(seconds) * 1_000_000_000 + i64::from(nanos);
    Some(RawFrame { time, orig_len, packet_type, data })
}

/// A socket's ring, mapped.
#[derive(Debug)]
struct Mapping {
    start: *mut c_void,
    size: usize,
}

// SAFETY: the mapping belongs to this value alone and has no tie to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// `size`: of the whole ring.
    fn of(fd: &OwnedFd, size: usize) -> io::Result<Mapping> {
        // SAFETY: maps a ring exactly as long as it is, or fails; unmapped in `drop`.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Mapping { start, size }) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `of`, which nothing refers to any more.
        unsafe { libc::munmap(self.start, self.size) };
    }
}

fn count(n: usize) -> io::Result<u32> {
    u32::try_from(n).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the ring is too large"))
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
