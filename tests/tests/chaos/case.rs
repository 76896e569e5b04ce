//! A case: what is run, what happens to it and when. Everything follows from the number of the case.

use std::fmt;
use std::time::Duration;

use nix::sys::signal::Signal;

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    pub matrix: bool,
    pub scenarios: &'static [&'static str],
    pub pairing: &'static str,
    pub world: &'static str,
}

/// Each ends with exit code 0 when nothing happens to it, within seconds.
pub const SUBJECTS: [Subject; 15] = [
    run(&["ike-udp500-silent-drop"], "inhouse:inhouse", "host"),
    run(&["ike-udp500-silent-drop"], "strongswan:strongswan", "host"),
    run(&["psk-mismatch-v2", "ok-v2-psk"], "inhouse:inhouse", "host"),
    run(&["ok-v2-psk"], "strongswan:strongswan", "host"),
    run(&["ok-natt"], "inhouse:strongswan", "host"),
    run(&["ike-udp500-silent-drop"], "inhouse:inhouse", "pocket"),
    run(&["ike-udp500-silent-drop"], "strongswan:strongswan", "pocket"),
    run(&["ok-v2-psk"], "inhouse:inhouse", "pocket"),
    run(&["ok-v2-psk"], "strongswan:strongswan", "pocket"),
    run(&["ok-v2-psk"], "libreswan:libreswan", "pocket"),
    run(&["ok-v2-psk"], "openiked:openiked", "pocket"),
    run(&["psk-mismatch-v2"], "openiked:inhouse", "pocket"),
    run(&["psk-mismatch-v2"], "strongswan:inhouse", "pocket"),
    matrix(&["ok-v2-psk", "psk-mismatch-v2"], "inhouse:inhouse", "host,pocket"),
    matrix(&["ok-v2-psk", "ike-udp500-silent-drop"], "strongswan:inhouse", "pocket"),
];

const fn run(scenarios: &'static [&'static str], pairing: &'static str, world: &'static str) -> Subject {
    Subject { matrix: false, scenarios, pairing, world }
}

const fn matrix(scenarios: &'static [&'static str], pairing: &'static str, world: &'static str) -> Subject {
    Subject { matrix: true, scenarios, pairing, world }
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Accident {
    /// A process gets a signal that ends it.
    Kill(Signal),
    /// A process is stopped, and goes on after this time.
    Pause(Duration),
    /// A process is stopped for good.
    Stop,
    /// From the start, something is scarce.
    Scarce(Scarce),
}

/// What is scarce.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scarce {
    /// File descriptors of each process.
    Descriptors(u64),
    /// Octets in a file.
    FileSize(u64),
    /// Octets of address space of each process.
    Memory(u64),
    /// Octets on the disk of the evidence.
    Disk(u64),
    /// Processes of the user.
    Processes(u64),
    /// Standard output is a full disk.
    Output,
    /// Standard error is a full disk.
    Errors,
}

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub number: u64,
    pub subject: Subject,
    pub accident: Accident,
    /// When, as a part of what the subject takes without an accident.
    pub moment: f64,
    /// Chooses the process.
    pub pick: u64,
}

impl Case {
    /// The case with this number.
    pub fn of(number: u64) -> Case {
        let mut random = fastrand::Rng::with_seed(number);
        let subject = SUBJECTS[random.usize(..SUBJECTS.len())];
        let accident = match random.u32(..100) {
            0..55 => Accident::Kill(Signal::SIGKILL),
            55..62 => Accident::Kill(Signal::SIGTERM),
            62..66 => Accident::Kill(Signal::SIGSEGV),
            66..76 => Accident::Pause(Duration::from_millis(random.u64(20..1500))),
            76..80 => Accident::Stop,
            _ => Accident::Scarce(scarce(&mut random)),
        };
        Case { number, subject, accident, moment: random.f64() * 1.1, pick: random.u64(..) }
    }
}

fn scarce(random: &mut fastrand::Rng) -> Scarce {
    match random.u32(..9) {
        0..2 => Scarce::Descriptors(random.u64(8..120)),
        2..4 => Scarce::FileSize(random.u64(1..6_000_000)),
        4 => Scarce::Memory(random.u64(40..1500) << 20),
        5..7 => Scarce::Disk(random.u64(8..600) << 12),
        7 => Scarce::Processes(random.u64(1..60)),
        _ if random.bool() => Scarce::Output,
        _ => Scarce::Errors,
    }
}

impl Accident {
    /// The kind, for the table.
    pub fn kind(self) -> String {
        match self {
            Accident::Kill(signal) => signal.as_str().to_owned(),
            Accident::Pause(_) => "paused".to_owned(),
            Accident::Stop => "stopped".to_owned(),
            Accident::Scarce(scarce) => scarce.kind().to_owned(),
        }
    }
}

impl Scarce {
    fn kind(self) -> &'static str {
        match self {
            Scarce::Descriptors(_) => "few descriptors",
            Scarce::FileSize(_) => "small files",
            Scarce::Memory(_) => "little memory",
            Scarce::Disk(_) => "full disk",
            Scarce::Processes(_) => "few processes",
            Scarce::Output => "stdout full",
            Scarce::Errors => "stderr full",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = if self.matrix { "matrix" } else { "run" };
        write!(f, "{command} {} {} {}", self.scenarios.join(" "), self.pairing, self.world)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "case {}: {}: ", self.number, self.subject)?;
        match self.accident {
            Accident::Kill(signal) => write!(f, "{signal} at {:.2}", self.moment),
            Accident::Pause(time) => write!(f, "stopped at {:.2} for {} ms", self.moment, time.as_millis()),
            Accident::Stop => write!(f, "stopped at {:.2} for good", self.moment),
            Accident::Scarce(Scarce::Descriptors(n)) => write!(f, "{n} descriptors"),
            Accident::Scarce(Scarce::FileSize(n)) => write!(f, "files of {n} octets"),
            Accident::Scarce(Scarce::Memory(n)) => write!(f, "{} MiB of memory", n >> 20),
            Accident::Scarce(Scarce::Disk(n)) => write!(f, "a disk of {} KiB", n >> 10),
            Accident::Scarce(Scarce::Processes(n)) => write!(f, "{n} processes"),
            Accident::Scarce(scarce @ (Scarce::Output | Scarce::Errors)) => f.write_str(scarce.kind()),
        }
    }
}
