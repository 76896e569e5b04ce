//! Processes of this machine, as /proc shows them.
#![allow(dead_code)] // each test binary uses a part

use std::path::PathBuf;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

/// The program under test, which is built beside the tests.
pub fn binary() -> PathBuf {
    let mut path = std::env::current_exe().unwrap_or_default();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("faultlab")
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub name: String,
    /// Since boot, in ticks: with it, a number that is used again is another process.
    pub started: u64,
}

/// All of them.
pub fn all() -> Result<Vec<Process>, Failed> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        let field = |n: usize| stat[close + 1..].split_whitespace().nth(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        let parent = u32::try_from(field(1)).unwrap_or(0);
        all.push(Process { pid, parent, name: stat[open + 1..close].to_owned(), started: field(19) });
    }
    Ok(all)
}

/// Children of a process.
pub fn children(of: u32) -> Result<Vec<u32>, Failed> {
    Ok(all()?.into_iter().filter(|p| p.parent == of).map(|p| p.pid).collect())
}

/// All that descend from a process.
pub fn descendants(root: u32) -> Result<Vec<Process>, Failed> {
    let all = all()?;
    let parent = |pid: u32| all.iter().find(|p| p.pid == pid).map(|p| p.parent);
    let is_below = |pid: u32| std::iter::successors(parent(pid), |p| parent(*p)).take(20).any(|p| p == root);
    Ok(all.iter().filter(|p| is_below(p.pid)).cloned().collect())
}

/// Those of them that have this name.
pub fn below(root: u32, name: &str) -> Result<Vec<u32>, Failed> {
    Ok(descendants(root)?.into_iter().filter(|p| p.name == name).map(|p| p.pid).collect())
}

/// A process by its number, for those who send signals; no process if there can be none of that number.
pub fn pid(id: u32) -> nix::unistd::Pid {
    // Not 0, which means the own process group.
    nix::unistd::Pid::from_raw(i32::try_from(id).unwrap_or(i32::MAX))
}

/// Waits for a named condition, as long as the limit says.
pub fn until(limit: Duration, what: &str, mut condition: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let deadline = Instant::now() + limit;
    while !condition()? {
        if Instant::now() > deadline {
            return Err(format!("waited in vain until {what}").into());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

/// The state of a process in one letter; `None`: it has ended.
pub fn state(pid: u32) -> Option<char> {
    fields(pid)?.first()?.chars().next()
}

/// What stands behind the name in `/proc/PID/stat`, which may hold anything.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.get(stat.rfind(')')? + 1..)?.split_whitespace().map(str::to_owned).collect())
}

/// Processor time of a process so far, in ticks; `None`: it has ended.
pub fn ticks(pid: u32) -> Option<u64> {
    let fields = fields(pid)?;
    // utime and stime.
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}
