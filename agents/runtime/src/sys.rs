//! The system calls that no safe crate wraps as they are needed here: many messages per call with the outer header's fields beside
//! each, the error queue, socket options by number. The only file of this crate with `unsafe`; each block says why it is sound.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, cmsghdr, iovec, mmsghdr, msghdr, sockaddr_storage, socklen_t};

/// Messages per call.
pub(crate) const BATCH: usize = 64;
/// Octets of the largest IP packet.
pub(crate) const ROOM: usize = 1 << 16;

/// Room for the control messages of one message, aligned for their headers: destination or source address, and TOS.
type Control = [u64; 12];

/// Sets a socket option that is an integer.
pub(crate) fn set_option(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the kernel reads exactly the size of the value, which lives through the call.
    let done = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size_of::<c_int>() as socklen_t) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What came with a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Sender.
    pub(crate) from: SocketAddr,
    /// Destination address, where the socket was told to tell.
    pub(crate) to: Option<IpAddr>,
    /// TOS or Traffic Class octet, where the socket was told to tell.
    pub(crate) tos: u8,
    len: usize,
}

/// Room for received messages, used again and again.
pub(crate) struct Inbox {
    data: Vec<u8>,
    received: [Option<Received>; BATCH],
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        // Pages that no message has reached yet take no memory.
        Inbox { data: vec![0; BATCH * ROOM], received: [None; BATCH] }
    }

    /// Takes what has arrived, up to [`BATCH`] messages, and returns how many; `WouldBlock` when there are none.
    pub(crate) fn receive(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        let mut controls: [Control; BATCH] = [[0; 12]; BATCH];
        // SAFETY: all-zero bytes are valid values of these C structures.
        let (mut names, mut parts, mut headers): ([sockaddr_storage; BATCH], [iovec; BATCH], [mmsghdr; BATCH]) =
            unsafe { (zeroed(), zeroed(), zeroed()) };
        let slots = self.data.chunks_exact_mut(ROOM).zip(&mut names).zip(&mut parts).zip(&mut controls).zip(&mut headers);
        for ((((data, name), part), control), header) in slots {
            *part = iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
            header.msg_hdr = message(name, size_of::<sockaddr_storage>(), part, control, size_of::<Control>());
        }
        // SAFETY: every header points to a name, a part and a control buffer of the stated lengths, all of which live through the call.
        let count =
            unsafe { libc::recvmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT as _, std::ptr::null_mut()) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for ((slot, header), name) in self.received.iter_mut().zip(&headers).zip(&names).take(count) {
            *slot = read_address(name).map(|from| {
                let mut told = Received { from, to: None, tos: 0, len: (header.msg_len as usize).min(ROOM) };
                // SAFETY: `recvmmsg` has filled the header; its control buffer is one of `controls`.
                unsafe { for_each_control(&header.msg_hdr, |level, kind, data| read_control(&mut told, level, kind, data)) };
                told
            });
        }
        Ok(count)
    }

    /// A message of the last [`Inbox::receive`].
    pub(crate) fn message(&mut self, index: usize) -> Option<(Received, &mut [u8])> {
        let told = (*self.received.get(index)?)?;
        let data = self.data.get_mut(index * ROOM..)?.get_mut(..told.len)?;
        Some((told, data))
    }
}

fn message(name: &mut sockaddr_storage, name_len: usize, part: &mut iovec, control: &mut Control, control_len: usize) -> msghdr {
    // SAFETY: all-zero bytes are a valid msghdr.
    let mut header: msghdr = unsafe { zeroed() };
    header.msg_name = std::ptr::from_mut(name).cast();
    header.msg_namelen = name_len as socklen_t;
    header.msg_iov = part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = control_len as _;
    header
}

/// Calls `each` with level, type and data of every control message.
///
/// # Safety
/// A receiving call must have filled the header, and its control buffer must still be there.
unsafe fn for_each_control(header: &msghdr, mut each: impl FnMut(c_int, c_int, &[u8])) {
    // SAFETY: by the caller's word the control messages are well-formed; the slice covers what the message's own length says.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while let Some(found) = at.as_ref() {
            let len = found.cmsg_len.saturating_sub(libc::CMSG_LEN(0) as usize);
            each(found.cmsg_level, found.cmsg_type, std::slice::from_raw_parts(libc::CMSG_DATA(at), len));
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
}

fn read_control(told: &mut Received, level: c_int, kind: c_int, data: &[u8]) {
    match (level, kind) {
        // struct in_pktinfo: interface, local address, header's destination.
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => told.to = octets::<4>(data, 8).map(|a| Ipv4Addr::from(a).into()),
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => told.to = octets::<16>(data, 0).map(|a| Ipv6Addr::from(a).into()),
        (libc::IPPROTO_IP, libc::IP_TOS) => told.tos = data.first().copied().unwrap_or(0),
        (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => told.tos = octets::<4>(data, 0).map_or(0, |n| c_int::from_ne_bytes(n) as u8),
        _ => {}
    }
}

fn octets<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..)?.first_chunk().copied()
}

/// A message to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'d> {
    /// Own address.
    pub(crate) from: IpAddr,
    /// Destination; port 0 on a raw socket.
    pub(crate) to: SocketAddr,
    /// TOS or Traffic Class octet.
    pub(crate) tos: u8,
    /// Payload.
    pub(crate) data: &'d [u8],
}

/// Sends up to [`BATCH`] messages and returns how many the kernel took. An error concerns the first message.
pub(crate) fn send<'d>(fd: BorrowedFd<'_>, messages: impl Iterator<Item = Outgoing<'d>>) -> io::Result<usize> {
    let mut controls: [Control; BATCH] = [[0; 12]; BATCH];
    // SAFETY: all-zero bytes are valid values of these C structures.
    let (mut names, mut parts, mut headers): ([sockaddr_storage; BATCH], [iovec; BATCH], [mmsghdr; BATCH]) =
        unsafe { (zeroed(), zeroed(), zeroed()) };
    let mut count = 0;
    let slots = names.iter_mut().zip(&mut parts).zip(&mut controls).zip(&mut headers);
    for (m, (((name, part), control), header)) in messages.zip(slots) {
        let name_len = write_address(name, m.to);
        // The kernel only reads what is sent.
        *part = iovec { iov_base: m.data.as_ptr().cast_mut().cast(), iov_len: m.data.len() };
        header.msg_hdr = message(name, name_len, part, control, size_of::<Control>());
        let used = write_controls(&mut header.msg_hdr, m.from, m.tos);
        header.msg_hdr.msg_controllen = used as _;
        count += 1;
    }
    // SAFETY: the first `count` headers point to names, parts and control buffers of the stated lengths, all of which live through the call.
    let sent = unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Source address and TOS; returns the octets used.
fn write_controls(header: &mut msghdr, from: IpAddr, tos: u8) -> usize {
    let tos = c_int::from(tos).to_ne_bytes();
    // The kernel takes the local address and leaves the choice of the interface to its routes.
    match from {
        IpAddr::V4(a) => {
            let mut info = [0; 12];
            info[4..8].copy_from_slice(&a.octets());
            write_two(header, libc::IPPROTO_IP, (libc::IP_PKTINFO, &info), (libc::IP_TOS, &tos))
        }
        IpAddr::V6(a) => {
            let mut info = [0; 20];
            info[..16].copy_from_slice(&a.octets());
            write_two(header, libc::IPPROTO_IPV6, (libc::IPV6_PKTINFO, &info), (libc::IPV6_TCLASS, &tos))
        }
    }
}

fn write_two(header: &mut msghdr, level: c_int, first: (c_int, &[u8]), second: (c_int, &[u8])) -> usize {
    let mut used = 0;
    // SAFETY: the control buffer is a whole `Control` of zeros, aligned for headers, and both messages fit: at most 40 and 24 octets.
    unsafe {
        let mut at: *mut cmsghdr = libc::CMSG_FIRSTHDR(header);
        for (kind, data) in [first, second] {
            let Some(found) = at.as_mut() else { return used };
            found.cmsg_level = level;
            found.cmsg_type = kind;
            found.cmsg_len = libc::CMSG_LEN(data.len() as u32) as _;
            std::ptr::copy_nonoverlapping(data.as_ptr(), libc::CMSG_DATA(at), data.len());
            used += libc::CMSG_SPACE(data.len() as u32) as usize;
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    used
}

/// Something that the network, or the own kernel, said about a packet that was sent (`ip(7)`, IP_RECVERR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathError {
    /// Error number.
    pub(crate) errno: i32,
    /// Not from the own kernel but in an ICMP message.
    pub(crate) icmp: bool,
    /// ICMP type and code.
    pub(crate) kind: (u8, u8),
    /// With `EMSGSIZE`: the MTU.
    pub(crate) info: u32,
    /// Where the packet was sent.
    pub(crate) to: IpAddr,
    /// Who said so.
    pub(crate) by: Option<IpAddr>,
}

/// The next entry of a socket's error queue.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> Option<PathError> {
    let mut control: [u64; 64] = [0; 64];
    let mut quoted = [0u8; 64];
    // SAFETY: all-zero bytes are valid values of these C structures.
    let (mut name, mut header): (sockaddr_storage, msghdr) = unsafe { (zeroed(), zeroed()) };
    let mut part = iovec { iov_base: quoted.as_mut_ptr().cast(), iov_len: quoted.len() };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast::<c_void>();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer of the header points to a live local of the stated length.
    let got = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    if got < 0 {
        return None;
    }
    let to = read_address(&name)?.ip();
    let mut found = None;
    let mut read = |level: c_int, kind: c_int, data: &[u8]| {
        if !matches!((level, kind), (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)) {
            return;
        }
        // struct sock_extended_err: errno, origin, type, code, pad, info, data; the offender's address follows.
        let (Some(errno), Some([origin, kind, code, _]), Some(info)) = (octets::<4>(data, 0), octets::<4>(data, 4), octets::<4>(data, 8))
        else {
            return;
        };
        let by = match octets::<2>(data, 16).map(|f| c_int::from(u16::from_ne_bytes(f))) {
            Some(libc::AF_INET) => octets::<4>(data, 20).map(|a| Ipv4Addr::from(a).into()),
            Some(libc::AF_INET6) => octets::<16>(data, 24).map(|a| Ipv6Addr::from(a).into()),
            _ => None,
        };
        let icmp = matches!(origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
        found = Some(PathError { errno: i32::from_ne_bytes(errno), icmp, kind: (kind, code), info: u32::from_ne_bytes(info), to, by });
    };
    // SAFETY: `recvmsg` has filled the header; its control buffer is still there.
    unsafe { for_each_control(&header, &mut read) };
    found
}

fn read_address(name: &sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which structure the kernel wrote; the storage is large enough and aligned for each.
            let a = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            Some(SocketAddrV4::new(Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr)), u16::from_be(a.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let a = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            Some(SocketAddrV6::new(Ipv6Addr::from(a.sin6_addr.s6_addr), u16::from_be(a.sin6_port), 0, a.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Returns the length of the structure written.
fn write_address(name: &mut sockaddr_storage, address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(a) => {
            // SAFETY: the storage is large enough and aligned for a sockaddr_in.
            let to = unsafe { &mut *std::ptr::from_mut(name).cast::<libc::sockaddr_in>() };
            to.sin_family = libc::AF_INET as _;
            to.sin_port = a.port().to_be();
            to.sin_addr.s_addr = u32::from(*a.ip()).to_be();
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(a) => {
            // SAFETY: the storage is large enough and aligned for a sockaddr_in6.
            let to = unsafe { &mut *std::ptr::from_mut(name).cast::<libc::sockaddr_in6>() };
            to.sin6_family = libc::AF_INET6 as _;
            to.sin6_port = a.port().to_be();
            to.sin6_addr.s6_addr = a.ip().octets();
            to.sin6_scope_id = a.scope_id();
            size_of::<libc::sockaddr_in6>()
        }
    }
}
