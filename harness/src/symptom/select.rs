//! Helpers that many symptoms share: packets by filter and tap, message identity, points in time.

use std::collections::HashMap;
use std::time::Duration;

use wire::ike::{Encryption, Message};

use super::{Evidence, Finding, Proof};
use crate::dissect::{Capture, Record};
use crate::event::{StepResult, What};
use crate::filter::{Analysis, Filter, analysis};
use crate::schema::Args;
use crate::time::Timestamp;

/// Silence of this length after all traffic has ended counts as absence, unless a symptom says otherwise.
pub const WINDOW: Duration = Duration::from_millis(500);

/// Records that match a filter, at a tap or anywhere. A filter that does not parse (the checker refuses those) selects nothing.
pub fn matching<'a>(evidence: &Evidence<'a>, filter: Option<&str>, tap: Option<&str>) -> Vec<&'a Record> {
    let capture: &'a Capture = evidence.capture;
    let tap = tap.map(|t| capture.tap(t));
    let filter = filter.map(Filter::parse);
    let analysis = match &filter {
        Some(Ok(f)) => analysis_for(capture, std::slice::from_ref(f)),
        _ => Analysis::default(),
    };
    let records = capture.records.iter().filter(|r| tap.is_none_or(|t| t == Some(r.frame.tap)));
    records
        .filter(|r| match &filter {
            None => true,
            Some(Ok(f)) => f.matches(r, &analysis),
            Some(Err(_)) => false,
        })
        .collect()
}

/// What these filters need to know about the capture: everything only when they ask for it, because that takes time.
pub fn analysis_for(capture: &Capture, filters: &[Filter]) -> Analysis {
    if filters.iter().any(Filter::needs_analysis) {
        return Analysis::of(capture);
    }
    // Names of taps and relative times cost nothing.
    Analysis::begin(&capture.taps, capture.records.first().map(|r| r.frame.time))
}

/// Records at a tap.
pub fn at<'a>(evidence: &Evidence<'a>, args: &Args, key: &str) -> Vec<&'a Record> {
    match args.text(key) {
        Some(tap) => matching(evidence, None, Some(tap)),
        None => Vec::new(),
    }
}

/// Does the packet come from one of the node's own addresses?
pub fn is_from(evidence: &Evidence<'_>, record: &Record, node: &str) -> bool {
    record.ip().is_some_and(|ip| evidence.plan.network.owner(ip.src) == Some(node))
}

/// Identity of what a packet carries, whatever addresses and ports it wears on the way.
pub fn identity(record: &Record) -> Option<u64> {
    analysis::identity(record).map(|(message, _)| message)
}

/// Packets by what they carry.
pub struct Sightings<'a>(HashMap<u64, Vec<&'a Record>>);

impl<'a> Sightings<'a> {
    /// Of these records.
    pub fn of(records: impl IntoIterator<Item = &'a Record>) -> Sightings<'a> {
        let mut by_identity: HashMap<u64, Vec<&'a Record>> = HashMap::new();
        for record in records {
            if let Some(id) = identity(record) {
                by_identity.entry(id).or_default().push(record);
            }
        }
        Sightings(by_identity)
    }

    /// Where the same message was seen, on its way in the same direction: a translator on the way changes one end, not
    /// both, while an echo of the same octets (or the peer's keepalive) has both ends exchanged. IKE and ESP are unique.
    pub fn same<'b>(&'b self, record: &'b Record) -> impl Iterator<Item = &'a Record> + 'b {
        let sightings = identity(record).and_then(|id| self.0.get(&id)).map(Vec::as_slice).unwrap_or_default();
        sightings.iter().copied().filter(|other| match (record.ip(), other.ip()) {
            (Some(a), Some(b)) => a.src == b.src || a.dst == b.dst || record.ike().is_some() || record.esp().is_some(),
            _ => true,
        })
    }

    /// Was the same message seen?
    pub fn contains(&self, record: &Record) -> bool {
        self.same(record).next().is_some()
    }
}

/// Is a part of the message encrypted and unread?
pub fn is_opaque(message: &Message) -> bool {
    matches!(message.encryption, Encryption::Opaque | Encryption::Failed)
}

/// When all traffic had ended.
pub fn script_end(evidence: &Evidence<'_>) -> Option<Timestamp> {
    evidence.events.iter().rev().find(|e| matches!(e.what, What::ScriptEnded)).map(|e| e.time)
}

/// When a fault was put in place, or a traffic step ended.
pub fn moment(evidence: &Evidence<'_>, name: &str) -> Option<Timestamp> {
    let is = |what: &What| match what {
        What::FaultSet { fault } => fault == name,
        What::StepEnded { step, .. } => step == name,
        _ => false,
    };
    evidence.events.iter().find(|e| is(&e.what)).map(|e| e.time)
}

/// Where a statement about what comes after an event begins.
pub enum Since {
    /// No event was named: everything counts.
    Start,
    /// From here on.
    From(Timestamp),
    /// It has not happened, so nothing can be said about what came after it; least of all that there was nothing.
    NotYet(Finding),
}

impl Since {
    /// Of the key `since`.
    pub fn of(args: &Args, evidence: &Evidence<'_>) -> Since {
        match args.text("since").map(|name| (name, moment(evidence, name))) {
            None => Since::Start,
            Some((_, Some(t))) => Since::From(t),
            Some((name, None)) => Since::NotYet(not_happened(evidence, name)),
        }
    }

    /// Is it from this time on?
    pub fn covers(&self, record: &Record) -> bool {
        match self {
            Since::Start => true,
            Since::From(t) => record.frame.time >= *t,
            Since::NotYet(_) => false,
        }
    }
}

/// The finding of a symptom whose event has not happened: false when the run ends without it.
pub fn not_happened(evidence: &Evidence<'_>, name: &str) -> Finding {
    after_silence(evidence, WINDOW, false, Proof::new(format!("`{name}` has not happened: no such fault was set, no such step ended"), []))
}

/// Result of a step.
pub fn step_result<'a>(evidence: &Evidence<'a>, name: &str) -> Option<&'a StepResult> {
    evidence.events.iter().find_map(|e| match &e.what {
        What::StepEnded { step, result } if step == name => Some(result),
        _ => None,
    })
}

/// The finding of a symptom that silence refutes or confirms: open until `window` after the end of all traffic.
pub fn after_silence(evidence: &Evidence<'_>, window: Duration, holds: bool, proof: Proof) -> Finding {
    by_then(evidence, script_end(evidence).map(|t| t + window), holds, proof)
}

/// The same with a point in time; `None`: it is not known yet.
pub fn by_then(evidence: &Evidence<'_>, until: Option<Timestamp>, holds: bool, proof: Proof) -> Finding {
    if evidence.complete || until.is_some_and(|t| evidence.now >= t) {
        if evidence.lost > 0 {
            return Finding::Inconclusive(format!("the capture lost {} packets, so absence proves nothing: {}", evidence.lost, proof.text));
        }
        return if holds { Finding::Holds(proof) } else { Finding::Fails(proof) };
    }
    Finding::Open { until, so_far: (holds, proof) }
}

/// Frame numbers.
pub fn numbers(records: &[&Record]) -> Vec<u32> {
    records.iter().map(|r| r.frame.number).collect()
}

/// Seconds since the first packet of the capture.
pub fn clock(evidence: &Evidence<'_>, time: Timestamp) -> String {
    let start = evidence.capture.records.first().map_or(time, |r| r.frame.time);
    format!("{:.3} s", time.since(start).as_secs_f64())
}
