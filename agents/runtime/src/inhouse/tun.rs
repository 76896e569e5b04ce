//! The inside: a TUN device of the node.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use peer::Missing;
use tun_rs::{DeviceBuilder, SyncDevice};

/// Where the kernel offers TUN devices.
const DEVICE: &str = "/dev/net/tun";
/// Name of the interface in each node.
pub(crate) const NAME: &str = "ipsec0";

/// An open TUN device; the interface goes when it is dropped.
pub(crate) struct Tun {
    device: SyncDevice,
    index: u32,
}

impl Tun {
    /// Makes the interface in the calling thread's network namespace; it is down.
    pub(crate) fn open(mtu: u16) -> io::Result<Tun> {
        // The builder would make a missing device node.
        if !Path::new(DEVICE).exists() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{DEVICE} is not there")));
        }
        let device = DeviceBuilder::new().name(NAME).mtu(mtu).enable(false).build_sync()?;
        device.set_nonblocking(true)?;
        let index = device.if_index()?;
        Ok(Tun { device, index })
    }

    /// Its interface index.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// A packet from the inside; `None`: there is none now.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.device.recv(buffer) {
            Ok(n) => Ok(Some(n)),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Hands a packet to the inside; `false`: the kernel did not want it.
    pub(crate) fn send(&self, packet: &[u8]) -> bool {
        self.device.send(packet).is_ok()
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
