//! Sides that this machine was too small for: what was not tried, or failed for want of descriptors or memory, must not look like a
//! network that does not answer.

use peer::{DriverError, is_shortage_at_start};
use runtime::{ProbeOutcome, ProbeResult};

use super::ledger::Ledger;
use super::outcome::{Trouble, Whose};
use crate::event::{Event, StepResult, What};

/// Notes that a driver failed for want of something, if it did; returns whether.
pub fn note(ledger: &Ledger, e: &DriverError) -> bool {
    let short = matches!(e, DriverError::Io { source, .. } if is_shortage_at_start(source));
    if short {
        ledger.emit(What::Shortage { text: e.to_string() });
    }
    short
}

/// The first shortage of a side.
pub fn find(events: &[Event]) -> Option<Trouble> {
    let untried = |what: String, p: &ProbeResult| (p.outcome == ProbeOutcome::Untried).then(|| format!("{what}: {}", p.detail));
    let text = events.iter().find_map(|e| match &e.what {
        What::Shortage { text } => Some(text.clone()),
        What::StepEnded { step, result: StepResult::Probe(p) } => untried(format!("step `{step}` could not be tried"), p),
        What::Health { probe, result } => untried(format!("the health probe {probe} could not be tried"), result),
        _ => None,
    })?;
    Some(Trouble { whose: Whose::Machine, text: format!("this machine ran short: {text}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn what_could_not_be_tried_is_the_machines_trouble() {
        let ended = |outcome| {
            let result = StepResult::Probe(ProbeResult { outcome, ..ProbeResult::error("Too many open files") });
            [Event { time: Timestamp(0), what: What::StepEnded { step: "ping".into(), result } }]
        };
        assert_eq!(find(&ended(ProbeOutcome::Timeout)), None);
        let trouble = find(&ended(ProbeOutcome::Untried)).unwrap();
        assert_eq!(trouble.whose, Whose::Machine);
        assert!(trouble.text.contains("`ping`") && trouble.text.contains("Too many open files"), "{trouble:?}");
        let health =
            What::Health { probe: "tcp-small".into(), result: ProbeResult { outcome: ProbeOutcome::Untried, ..ProbeResult::error("") } };
        assert!(find(&[Event { time: Timestamp(0), what: health }]).is_some());
    }
}
