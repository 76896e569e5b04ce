//! The kernel's IPsec databases (RFC 4301: SAD and SPD) of a node.

use std::io;

use netlink_sys::protocols::NETLINK_XFRM;

use super::netlink::{Netlink, Request};

const FLUSH_SA: u16 = 0x1c;
const FLUSH_POLICY: u16 = 0x1d;

/// Could this kernel take packets out of tunnels? `true` also when it does not say.
pub fn is_there() -> bool {
    !matches!(Netlink::open(NETLINK_XFRM, 0), Err(e) if e.raw_os_error() == Some(libc::EPROTONOSUPPORT))
}

/// Forgets all SAs and policies of the calling thread's namespace, as a reboot does. A kernel without IPsec has none.
pub fn flush() -> io::Result<()> {
    let mut netlink = match Netlink::open(NETLINK_XFRM, 0) {
        Err(e) if e.raw_os_error() == Some(libc::EPROTONOSUPPORT) => return Ok(()),
        opened => opened?,
    };
    // xfrm_usersa_flush: any protocol.
    for request in [Request::new(FLUSH_SA, 0, vec![0; 4]), Request::new(FLUSH_POLICY, 0, vec![])] {
        match netlink.ask(request) {
            // Nothing to forget.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => {}
            done => drop(done?),
        }
    }
    Ok(())
}
