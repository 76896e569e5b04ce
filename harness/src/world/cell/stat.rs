//! What the kernel tells of a process: `/proc/PID/stat` (proc(5)).

use std::io;

/// Some of it.
pub(super) struct Stat {
    /// One letter.
    pub state: String,
    /// The parent's number.
    pub parent: u32,
    /// When it began, in ticks since the machine did.
    pub started: u64,
}

impl Stat {
    /// Asks for a process by its number, or as `self`.
    pub fn of(pid: impl std::fmt::Display) -> io::Result<Stat> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Stat::read(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its state cannot be read"))
    }

    fn read(text: &str) -> Option<Stat> {
        // The name, in brackets, may hold anything; behind it come the fields from the third on.
        let mut fields = text.get(text.rfind(')')? + 1..)?.split_whitespace();
        Some(Stat { state: fields.next()?.to_owned(), parent: fields.next()?.parse().ok()?, started: fields.nth(17)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let numbers = (4..=30).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let stat = Stat::read(&format!("7 (a) S 1 (b)) Z {numbers}")).unwrap();
        assert_eq!((stat.state.as_str(), stat.parent, stat.started), ("Z", 4, 22));
        assert!(Stat::read("7 (a) S 1").is_none() && Stat::read("7 (a").is_none());
        assert!(Stat::of("self").unwrap().started > 0 && Stat::of(u32::MAX).is_err());
    }
}
