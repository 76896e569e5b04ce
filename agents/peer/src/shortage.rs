//! Which errors mean that this machine ran short of something, whoever asked.

use std::io;

/// Linux: ENOMEM, ENFILE, EMFILE, EFBIG (the limit of a file's size), ENOSPC, EDQUOT.
const SHORTAGES: [i32; 6] = [12, 23, 24, 27, 28, 122];
/// Linux: EAGAIN, as `fork` and `clone` say it at a limit of processes.
const NO_PROCESS: i32 = 11;

/// Says whether memory, file descriptors or room on a disk ran out.
pub fn is_shortage(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::OutOfMemory || e.raw_os_error().is_some_and(|code| SHORTAGES.contains(&code))
}

/// The same about starting a process or a thread, where a limit of processes may be reached as well.
pub fn is_shortage_at_start(e: &io::Error) -> bool {
    is_shortage(e) || e.raw_os_error() == Some(NO_PROCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_from_a_refusal() {
        for code in SHORTAGES {
            assert!(is_shortage(&io::Error::from_raw_os_error(code)), "{code}");
        }
        let again = io::Error::from_raw_os_error(NO_PROCESS);
        assert!(!is_shortage(&again) && is_shortage_at_start(&again));
        // EPERM, ENOENT, EHOSTUNREACH.
        for code in [1, 2, 113] {
            assert!(!is_shortage_at_start(&io::Error::from_raw_os_error(code)), "{code}");
        }
    }
}
