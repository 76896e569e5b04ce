//! What an I/O error means to the user of a probe.

use std::io;

use crate::ProbeOutcome;

/// Linux: the host or network does not answer or is said not to exist.
const UNREACHABLE: [i32; 4] = [libc_code::EHOSTUNREACH, libc_code::ENETUNREACH, libc_code::EACCES, libc_code::EHOSTDOWN];

/// The few error numbers that std's `ErrorKind` does not tell apart.
mod libc_code {
    pub const EACCES: i32 = 13;
    pub const EADDRNOTAVAIL: i32 = 99;
    pub const EINVAL: i32 = 22;
    pub const ENETDOWN: i32 = 100;
    pub const EHOSTDOWN: i32 = 112;
    pub const EHOSTUNREACH: i32 = 113;
    pub const ENETUNREACH: i32 = 101;
}

/// Linux: no route, none that may be used, no interface that is up, no source address.
const NO_ROUTE: [i32; 6] = [
    libc_code::ENETUNREACH,
    libc_code::EHOSTUNREACH,
    libc_code::EADDRNOTAVAIL,
    libc_code::ENETDOWN,
    // Routes of the types `prohibit` and `blackhole`.
    libc_code::EACCES,
    libc_code::EINVAL,
];

/// The node itself knows no way: nothing has left it.
#[derive(Debug, thiserror::Error)]
#[error("nothing left the node: {0}")]
struct NoRoute(io::Error);

/// Takes an error of the system's while nothing has left the node yet, so that it is not mistaken for an answer of the network's.
pub fn before_the_first_packet(e: io::Error) -> io::Error {
    match e.raw_os_error() {
        Some(code) if NO_ROUTE.contains(&code) => io::Error::other(NoRoute(e)),
        _ => e,
    }
}

/// The same of a sender: `left` says whether something of it has left the node.
pub fn while_sending(e: io::Error, left: bool) -> io::Error {
    if left { e } else { before_the_first_packet(e) }
}

/// The outcome in one word.
pub fn outcome(e: &io::Error) -> ProbeOutcome {
    match e.kind() {
        _ if e.get_ref().is_some_and(|inner| inner.is::<NoRoute>()) => ProbeOutcome::NoRoute,
        _ if peer::is_shortage(e) => ProbeOutcome::Untried,
        io::ErrorKind::ConnectionRefused => ProbeOutcome::Refused,
        // The node's own packet filter discarded it: its user waits in vain.
        io::ErrorKind::PermissionDenied if e.raw_os_error() == Some(1) => ProbeOutcome::Timeout,
        io::ErrorKind::TimedOut => ProbeOutcome::Timeout,
        _ if e.raw_os_error().is_some_and(|code| UNREACHABLE.contains(&code)) => ProbeOutcome::Unreachable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => ProbeOutcome::Partial,
        _ => ProbeOutcome::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_descriptors_is_no_network_without_answers() {
        // EMFILE, ENFILE, ENOMEM.
        for code in [24, 23, 12] {
            assert_eq!(outcome(&io::Error::from_raw_os_error(code)), ProbeOutcome::Untried, "{code}");
        }
        // EMSGSIZE: what is sent with Don't Fragment does not fit.
        assert_eq!(outcome(&io::Error::from_raw_os_error(90)), ProbeOutcome::Error);
        assert_eq!(outcome(&io::Error::from_raw_os_error(libc_code::EHOSTUNREACH)), ProbeOutcome::Unreachable);
    }
}
