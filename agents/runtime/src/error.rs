//! What an I/O error means to the user of a probe.

use std::io;

use crate::ProbeOutcome;

/// Linux: the host or network does not answer or is said not to exist.
const UNREACHABLE: [i32; 4] = [libc_code::EHOSTUNREACH, libc_code::ENETUNREACH, libc_code::EACCES, libc_code::EHOSTDOWN];

/// The few error numbers that std's `ErrorKind` does not tell apart.
mod libc_code {
    pub const EACCES: i32 = 13;
    pub const EHOSTDOWN: i32 = 112;
    pub const EHOSTUNREACH: i32 = 113;
    pub const ENETUNREACH: i32 = 101;
}

/// The outcome in one word.
pub fn outcome(e: &io::Error) -> ProbeOutcome {
    match e.kind() {
        io::ErrorKind::ConnectionRefused => ProbeOutcome::Refused,
        // The node's own packet filter discarded it: its user waits in vain.
        io::ErrorKind::PermissionDenied if e.raw_os_error() == Some(1) => ProbeOutcome::Timeout,
        io::ErrorKind::TimedOut => ProbeOutcome::Timeout,
        _ if e.raw_os_error().is_some_and(|code| UNREACHABLE.contains(&code)) => ProbeOutcome::Unreachable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => ProbeOutcome::Partial,
        _ => ProbeOutcome::Error,
    }
}
