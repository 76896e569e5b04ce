//! What a run found out, and the verdict that follows from it. Pure: reports in, verdict out.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use runtime::ProbeResult;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::lack::{Lack, NotRun, Skip};
use crate::scenario::model::{Must, Plan, ScenarioKind, Side};
use crate::time::Timestamp;

/// Result of one side, written by its cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SideReport {
    /// Scenario id.
    pub scenario: String,
    /// Which twin.
    pub side: Side,
    /// Evidence folder.
    pub dir: PathBuf,
    /// Faults of this side.
    pub faults: Vec<FaultReport>,
    /// Expectations that concern this side.
    pub expects: Vec<ExpectReport>,
    /// Health probes, when there are any.
    pub health: Option<HealthReport>,
    /// Packets captured.
    pub packets: u64,
    /// Packets lost by the capture.
    pub lost: u64,
    /// When the cell began.
    pub started: Timestamp,
    /// How long it took.
    pub elapsed: Duration,
    /// What weakens the evidence, whatever the verdict is.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The side could not be carried through.
    pub trouble: Option<Trouble>,
}

/// Why a side could not be carried through once it had been begun, and whose fault it is. What is known before is a
/// [`Skip`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Whose fault.
    pub whose: Whose,
    /// What happened.
    pub text: String,
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// The scenario asks for something impossible.
    Scenario,
    /// This machine ran short of something (disk, descriptors, processes, memory), or refused what it was thought to allow.
    Machine,
    /// Something that is no part of the run ended a process of it.
    Outside,
    /// A gateway implementation failed, or refused what it was thought to do.
    Peer,
    /// Ours.
    Us,
}

/// A fault and whether it was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Name.
    pub name: String,
    /// Word of the vocabulary.
    pub action: String,
    /// State.
    pub state: FaultState,
    /// Proof, or what is missing.
    pub text: String,
    /// A remedy of the fix rather than a fault.
    pub remedy: bool,
}

/// Was the fault in force?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultState {
    /// Proved.
    Proved,
    /// In place, but no proof was found.
    Unproved,
    /// The kernel or a daemon refused it.
    Refused,
    /// Its moment never came.
    NotDue,
}

/// One expectation and what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectReport {
    /// Symptom code.
    pub symptom: String,
    /// What the expectation asks for, in a few words.
    pub wanted: String,
    /// What must be true on this side.
    pub must: Must,
    /// What was found.
    pub found: Found,
    /// In words.
    pub text: String,
    /// Deciding packets, or the nearest ones.
    pub packets: Vec<PacketLine>,
    /// Line in the scenario file.
    pub line: u32,
}

/// What was found about a symptom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// Nobody can say.
    Inconclusive,
}

/// A packet as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketLine {
    /// Number in the capture.
    pub number: u32,
    /// Since the start of the capture.
    pub time: Duration,
    /// Tap.
    pub tap: String,
    /// One-line summary.
    pub summary: String,
}

/// Result of the health probes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthReport {
    /// What must be true on this side.
    pub must: Must,
    /// Were all probes ok, and through the tunnel?
    pub healthy: bool,
    /// Each probe.
    pub probes: Vec<(String, ProbeResult)>,
    /// Why not, or how it was seen to go through the tunnel.
    pub text: String,
}

impl SideReport {
    /// Of a side that has just begun: nothing found yet.
    pub fn begun(plan: &Plan, dir: PathBuf, started: Timestamp) -> SideReport {
        SideReport {
            scenario: plan.scenario.clone(),
            side: plan.side,
            dir,
            faults: Vec::new(),
            expects: Vec::new(),
            health: None,
            packets: 0,
            lost: 0,
            started,
            elapsed: Duration::ZERO,
            warnings: Vec::new(),
            trouble: None,
        }
    }
}

impl ExpectReport {
    /// As it must be?
    pub fn good(&self) -> bool {
        match self.must {
            Must::Hold => self.found == Found::Holds,
            Must::Vanish => self.found == Found::Fails,
            Must::Whatever => true,
        }
    }
}

impl HealthReport {
    /// As it must be?
    pub fn good(&self) -> bool {
        match self.must {
            Must::Hold => self.healthy,
            Must::Vanish => !self.healthy,
            Must::Whatever => true,
        }
    }
}

/// The verdict on a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Broken shows the symptoms, fixed is healthy. For a control: it works.
    Reproduced,
    /// A symptom was missing, or health was not as stated.
    NotReproduced(String),
    /// The fault was not, or not provably, in force.
    FaultNotInForce(String),
    /// The fixed twin is not healthy, or still shows a symptom.
    FixFailed(String),
    /// Could not be judged.
    Inconclusive(String),
    /// Cannot run here, which was known before a cell was started.
    Skipped(Skip),
}

impl Verdict {
    /// The word for reports and `faultlab explain`.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Reproduced => "reproduced",
            Verdict::NotReproduced(_) => "not-reproduced",
            Verdict::FaultNotInForce(_) => "fault-not-in-force",
            Verdict::FixFailed(_) => "fix-failed",
            Verdict::Inconclusive(_) => "inconclusive",
            Verdict::Skipped(_) => "skipped",
        }
    }

    /// Why, when there is something to say.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Verdict::Reproduced => None,
            Verdict::NotReproduced(r) | Verdict::FaultNotInForce(r) | Verdict::FixFailed(r) | Verdict::Inconclusive(r) => Some(r),
            Verdict::Skipped(skip) => Some(&skip.text),
        }
    }

    /// What kind of thing is lacking, when it was skipped.
    pub fn lack(&self) -> Option<Lack> {
        if let Verdict::Skipped(skip) = self { Some(skip.lack) } else { None }
    }
}

impl From<NotRun> for Verdict {
    fn from(not_run: NotRun) -> Verdict {
        match not_run {
            NotRun::Skipped(skip) => Verdict::Skipped(skip),
            NotRun::Failed(trouble) => Verdict::Inconclusive(trouble.text),
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("verdict", self.word())?;
        if let Some(reason) = self.reason() {
            map.serialize_entry("reason", reason)?;
        }
        if let Some(lack) = self.lack() {
            map.serialize_entry("lack", &lack)?;
        }
        map.end()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "{}: {reason}", self.word()),
            None => f.write_str(self.word()),
        }
    }
}

/// Judges a scenario from the reports of its sides. `fixed` is absent for a control.
pub fn verdict(kind: ScenarioKind, broken: &SideReport, fixed: Option<&SideReport>) -> Verdict {
    for side in std::iter::once(broken).chain(fixed) {
        if let Some(trouble) = &side.trouble {
            return Verdict::Inconclusive(format!("{} side: {}", side.side.name(), trouble.text));
        }
    }
    // Remedies are faults' siblings: a refused one means that the fixed twin is not what it says.
    for side in std::iter::once(broken).chain(fixed) {
        // On the fixed side a fault that stays may be without effect: to avert it is what the fix is for.
        let bad = |f: &&FaultReport| match f.state {
            FaultState::Proved => false,
            FaultState::Refused => true,
            FaultState::Unproved | FaultState::NotDue => side.side == Side::Broken && !f.remedy,
        };
        if let Some(f) = side.faults.iter().find(bad) {
            return Verdict::FaultNotInForce(format!("`{}` ({}) on the {} side: {}", f.name, f.action, side.side.name(), f.text));
        }
    }
    if let Some(reason) = [Some(broken), fixed].into_iter().flatten().find_map(inconclusive) {
        return Verdict::Inconclusive(reason);
    }
    if let Some(reason) = missing(broken) {
        return Verdict::NotReproduced(reason);
    }
    match (kind, fixed) {
        (ScenarioKind::Control, _) => Verdict::Reproduced,
        (ScenarioKind::Failure, None) => Verdict::Inconclusive("the fixed side was not run".to_owned()),
        (ScenarioKind::Failure, Some(fixed)) => fix(fixed),
    }
}

fn inconclusive(side: &SideReport) -> Option<String> {
    let e = side.expects.iter().find(|e| e.must != Must::Whatever && e.found == Found::Inconclusive)?;
    Some(format!("{} side, `{}` (line {}): {}", side.side.name(), e.symptom, e.line, e.text))
}

fn missing(side: &SideReport) -> Option<String> {
    if let Some(e) = side.expects.iter().find(|e| !e.good()) {
        return Some(format!("`{}` (line {}): {}", e.symptom, e.line, e.text));
    }
    side.health.as_ref().filter(|h| !h.good()).map(|h| {
        if h.healthy { format!("the tunnel is healthy although it must not be: {}", h.text) } else { format!("not healthy: {}", h.text) }
    })
}

fn fix(fixed: &SideReport) -> Verdict {
    if let Some(h) = fixed.health.as_ref().filter(|h| !h.good()) {
        return Verdict::FixFailed(format!("not healthy: {}", h.text));
    }
    match fixed.expects.iter().find(|e| !e.good()) {
        None => Verdict::Reproduced,
        Some(e) if e.must == Must::Vanish => Verdict::FixFailed(format!(
            "`{}` (line {}) also holds in the healthy twin, so it proves nothing; that is a defect of the scenario (or mark it `persists = true`): {}",
            e.symptom, e.line, e.text
        )),
        Some(e) => Verdict::FixFailed(format!("`{}` (line {}): {}", e.symptom, e.line, e.text)),
    }
}

#[cfg(test)]
mod tests;
