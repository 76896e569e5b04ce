//! Judges a side while its packets arrive.

use std::sync::Arc;
use std::time::Duration;

use peer::Keys;

use super::outcome::{ExpectReport, Found, PacketLine};
use crate::dissect::{Capture, Dissector, Frame, Record, summary};
use crate::event::{Event, What};
use crate::scenario::model::{Expect, Must, Plan};
use crate::schema::{Args, Value};
use crate::symptom::{self, Evidence, Finding, Proof};
use crate::time::Timestamp;

/// How long an expectation that only waits for packets may stay open after all traffic has ended.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Most packets that a report shows for one expectation.
const SHOWN: usize = 12;

/// Capture so far, and what has been decided about it.
pub struct Judge {
    plan: Arc<Plan>,
    capture: Capture,
    dissector: Dissector,
    keys: Keys,
    decided: Vec<Option<(Found, Proof)>>,
    looked_at: (usize, usize),
    next_look: Option<Timestamp>,
}

impl Judge {
    /// For a plan whose taps are `taps`.
    pub fn new(plan: Arc<Plan>, taps: Vec<String>) -> Judge {
        let decided = vec![None; plan.expects.len()];
        Judge {
            plan,
            capture: Capture { taps, records: Vec::new() },
            dissector: Dissector::new(),
            keys: Keys::default(),
            decided,
            looked_at: (0, 0),
            next_look: None,
        }
    }

    /// The capture so far.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// Keys so far.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Takes new frames, in time order.
    pub fn frames(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            let record = self.dissector.dissect(frame);
            self.capture.records.push(record);
        }
    }

    /// Takes keys; returns those that are new, if any.
    pub fn add_keys(&mut self, keys: Keys) -> Option<Keys> {
        let new = self.keys.take_in(keys);
        if new == Keys::default() {
            return None;
        }
        self.dissector.set_keys(&self.keys);
        self.dissector.redissect(&mut self.capture);
        self.looked_at = (usize::MAX, 0);
        Some(new)
    }

    /// Looks again; returns whether everything is decided, given that all packets up to `now` have been seen.
    pub fn look(&mut self, events: &[Event], now: Timestamp) -> bool {
        let seen = (self.capture.records.len(), events.len());
        if seen == self.looked_at && self.next_look.is_none_or(|t| now < t) {
            return self.settled(events, now);
        }
        self.looked_at = seen;
        self.next_look = None;
        let plan = Arc::clone(&self.plan);
        for (i, expect) in plan.expects.iter().enumerate() {
            if self.decided[i].is_some() {
                continue;
            }
            match self.ask(expect, events, now, false, 0) {
                Finding::Holds(proof) => self.decided[i] = Some((Found::Holds, proof)),
                Finding::Fails(proof) => self.decided[i] = Some((Found::Fails, proof)),
                Finding::Open { until: Some(t), .. } => self.next_look = Some(self.next_look.map_or(t, |n| n.min(t))),
                Finding::Open { until: None, .. } | Finding::Inconclusive(_) => {}
            }
        }
        self.settled(events, now)
    }

    /// Everything decided, or nothing left to hope for?
    fn settled(&self, events: &[Event], now: Timestamp) -> bool {
        if self.decided.iter().all(Option::is_some) {
            return true;
        }
        let over = events.iter().rev().find(|e| matches!(&e.what, What::ScriptEnded | What::Phase { .. } | What::Health { .. }));
        self.next_look.is_none() && over.is_some_and(|e| now > e.time + PATIENCE)
    }

    /// Nothing more will come: decides the rest and reports.
    pub fn finish(&mut self, events: &[Event], now: Timestamp, lost: u64) -> Vec<ExpectReport> {
        let plan = Arc::clone(&self.plan);
        let reports = plan.expects.iter().enumerate().map(|(i, expect)| {
            let (found, proof) = match self.decided[i].take() {
                Some(decided) if lost == 0 => decided,
                // While it was decided nobody knew of the loss.
                Some((found, proof)) => match self.conclude(expect, events, now, lost) {
                    (again, _) if again == found => (found, proof),
                    _ => {
                        let why = format!("the capture lost {lost} packets, and what was decided rests on absence: {}", proof.text);
                        (Found::Inconclusive, Proof::new(why, proof.frames))
                    }
                },
                None => self.conclude(expect, events, now, lost),
            };
            self.report(expect, found, proof)
        });
        reports.collect()
    }

    fn conclude(&self, expect: &Expect, events: &[Event], now: Timestamp, lost: u64) -> (Found, Proof) {
        match self.ask(expect, events, now, true, lost) {
            Finding::Holds(proof) | Finding::Open { so_far: (true, proof), .. } => (Found::Holds, proof),
            Finding::Fails(proof) | Finding::Open { so_far: (false, proof), .. } => (Found::Fails, proof),
            Finding::Inconclusive(why) => (Found::Inconclusive, Proof::new(why, [])),
        }
    }

    fn ask(&self, expect: &Expect, events: &[Event], now: Timestamp, complete: bool, lost: u64) -> Finding {
        match symptom::find(&expect.symptom) {
            Some(s) => {
                let evidence = Evidence { capture: &self.capture, events, plan: &self.plan, now, complete, lost };
                (s.judge)(&expect.args, &evidence)
            }
            None => Finding::Inconclusive(format!("nobody knows a symptom `{}`", expect.symptom)),
        }
    }

    fn report(&self, expect: &Expect, found: Found, proof: Proof) -> ExpectReport {
        let packets = proof.frames.iter().take(SHOWN).filter_map(|n| self.line(*n)).collect();
        ExpectReport {
            symptom: expect.symptom.clone(),
            wanted: format!("{} {}", expect.symptom, describe(&expect.args)),
            must: expect.must,
            found,
            text: proof.text,
            packets,
            line: expect.line,
        }
    }

    /// A frame as people read it.
    pub fn line(&self, number: u32) -> Option<PacketLine> {
        let record = self.capture.records.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        Some(packet_line(&self.capture, record))
    }

    /// Comments for the capture file: why a frame decided something.
    pub fn comments(&self, reports: &[ExpectReport]) -> std::collections::BTreeMap<u32, Vec<String>> {
        let mut comments: std::collections::BTreeMap<u32, Vec<String>> = std::collections::BTreeMap::new();
        for r in reports.iter().filter(|r| r.must != Must::Whatever || r.found == Found::Holds) {
            for p in &r.packets {
                let word = if r.found == Found::Holds { "holds" } else { "does not hold" };
                comments.entry(p.number).or_default().push(format!("faultlab: {} (line {}) {word}: {}", r.symptom, r.line, r.text));
            }
        }
        comments
    }
}

fn packet_line(capture: &Capture, record: &Record) -> PacketLine {
    let start = capture.records.first().map_or(record.frame.time, |r| r.frame.time);
    PacketLine {
        number: record.frame.number,
        time: record.frame.time.since(start),
        tap: capture.taps.get(usize::from(record.frame.tap)).cloned().unwrap_or_default(),
        summary: summary(record),
    }
}

/// Arguments as a person would write them.
pub fn describe(args: &Args) -> String {
    let parts: Vec<String> = args.0.iter().map(|(k, v)| format!("{k} = {}", value(v))).collect();
    format!("{{ {} }}", parts.join(", "))
}

fn value(v: &Value) -> String {
    match v {
        Value::Text(s) => format!("\"{s}\""),
        Value::Secret(secret) => format!("\"{secret}\""),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Duration(d) => format!("\"{}\"", humantime::format_duration(*d)),
        Value::Offset(seconds) => format!("\"{}\"", crate::text::offset(*seconds)),
        Value::Count(c) => format!("\"{c}\""),
        Value::List(items) => format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", ")),
        Value::Table(args) => describe(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Count;
    use crate::symptom::testkit::plan::plan;

    /// An expectation that so many packets were seen anywhere, decided while the side ran.
    fn found(count: Count, lost: u64) -> Found {
        let args = Args::default().with("match", Value::Text("ip".to_owned())).with("count", Value::Count(count));
        let expect = Expect { symptom: "packets".to_owned(), args, must: Must::Hold, line: 1 };
        let plan = Plan { expects: vec![expect], ..plan() };
        let mut judge = Judge::new(Arc::new(plan), vec![]);
        let events = [Event { time: Timestamp(0), what: What::ScriptEnded }];
        let later = Timestamp(0) + Duration::from_secs(2);
        assert!(judge.look(&events, later), "silence decides");
        judge.finish(&events, later, lost)[0].found
    }

    #[test]
    fn absence_in_a_lossy_capture_is_inconclusive_even_when_it_was_decided_before() {
        let (none, some) = (Count { min: 0, max: Some(0) }, Count { min: 1, max: None });
        assert_eq!(found(none, 0), Found::Holds);
        assert_eq!(found(none, 3), Found::Inconclusive);
        assert_eq!(found(some, 0), Found::Fails);
        assert_eq!(found(some, 3), Found::Inconclusive);
    }

    #[test]
    fn what_needs_no_absence_stays_decided() {
        assert_eq!(found(Count { min: 0, max: None }, 3), Found::Holds);
    }
}
