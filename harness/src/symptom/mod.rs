//! Symptoms: named, documented, machine-checked statements about a capture.
//!
//! A symptom reads the capture and the event stream of a run, never an agent's memory. It is evaluated again and again
//! while packets arrive and says, each time, one of: holds, does not hold (both for good), not decided yet, or cannot
//! be decided.

mod address_translated;
mod app_denied;
mod attempts;
mod cleartext_leak;
mod dialogue;
mod dns_unanswered;
mod error_only_answer;
mod esp_both_ways;
mod esp_one_way;
mod floats_to_4500;
mod frag_needed;
mod ike_delete;
mod ike_established;
mod lost_between;
mod mapping_lost;
mod nat_detected;
mod nat_keepalive;
mod new_attempts;
mod no_response;
mod notify;
mod only_vpn_traffic;
mod outage;
mod packets;
mod probe;
mod reaches;
mod reestablished;
pub mod reference;
mod retransmission;
mod select;
mod sequence;
mod small_ok_large_stalls;
mod spi_still_used;
mod tcp_stall;
mod too_big_lost;

#[cfg(test)]
pub(crate) mod testkit;
#[cfg(test)]
mod tests;

use crate::dissect::Capture;
use crate::event::Event;
use crate::scenario::defaults::defaults;
use crate::scenario::model::Plan;
use crate::schema::{Args, Param};
use crate::time::Timestamp;

/// How much a symptom needs to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The wire alone.
    Wire,
    /// The wire and keys.
    Keys,
    /// State or log of an endpoint.
    State,
    /// An application's view.
    Application,
}

/// What a symptom is a sign of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Of a failure: with its default parameters it holds in no healthy tunnel, wherever one looks.
    Failure,
    /// Of health.
    Health,
    /// Of either: a healthy tunnel may show it, and its parameters or the place decide what it means.
    Either,
}

/// One symptom of the vocabulary.
pub struct Symptom {
    /// Unique, kebab-case; `faultlab explain` knows it.
    pub code: &'static str,
    /// What it means, one sentence.
    pub meaning: &'static str,
    /// Evidence level.
    pub level: Level,
    /// Sign of failure or of health.
    pub sign: Sign,
    /// RFC sections.
    pub rfc: &'static [&'static str],
    /// For `faultlab explain`: what it looks like, what causes it, what to do. A few short paragraphs.
    pub explain: &'static str,
    /// Accepted keys.
    pub params: &'static [Param],
    /// Judges.
    pub judge: fn(&Args, &Evidence<'_>) -> Finding,
}

impl Symptom {
    /// The values of those keys that have one when they are absent.
    pub fn defaults(&self) -> Args {
        defaults(self.params)
    }
}

/// What a symptom may look at.
pub struct Evidence<'a> {
    /// Capture so far.
    pub capture: &'a Capture,
    /// Events so far (faults, probes, daemons …).
    pub events: &'a [Event],
    /// The plan: network, gateways' settings, steps.
    pub plan: &'a Plan,
    /// Everything up to here has been captured.
    pub now: Timestamp,
    /// Nothing more will come: decide.
    pub complete: bool,
    /// Packets that the capture lost; above 0, statements about absence cannot be believed.
    pub lost: u64,
}

/// A symptom's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// True, and no later packet can change that.
    Holds(Proof),
    /// False, and no later packet can change that.
    Fails(Proof),
    /// Not decided. It will be at `until` if nothing happens before; `None`: it depends on what comes.
    Open {
        /// When silence decides.
        until: Option<Timestamp>,
        /// How it would be decided if the run ended now (`true`: holds), with the state so far.
        so_far: (bool, Proof),
    },
    /// Cannot be decided, and why (capture loss, truncated packets, no keys …).
    Inconclusive(String),
}

/// What a decision rests on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Proof {
    /// In words: what was seen (and what was expected, when it fails).
    pub text: String,
    /// Numbers of the deciding frames, or of the nearest ones when it fails.
    pub frames: Vec<u32>,
}

impl Proof {
    /// From parts.
    pub fn new(text: impl Into<String>, frames: impl Into<Vec<u32>>) -> Proof {
        Proof { text: text.into(), frames: frames.into() }
    }
}

/// All symptoms, by code.
pub fn all() -> &'static [&'static Symptom] {
    static ALL: &[&Symptom] = &[
        &address_translated::SYMPTOM,
        &app_denied::SYMPTOM,
        &cleartext_leak::SYMPTOM,
        &dns_unanswered::SYMPTOM,
        &error_only_answer::SYMPTOM,
        &esp_both_ways::SYMPTOM,
        &esp_one_way::SYMPTOM,
        &floats_to_4500::SYMPTOM,
        &frag_needed::SYMPTOM,
        &ike_delete::SYMPTOM,
        &ike_established::SYMPTOM,
        &lost_between::SYMPTOM,
        &mapping_lost::SYMPTOM,
        &nat_detected::SYMPTOM,
        &nat_keepalive::SYMPTOM,
        &new_attempts::SYMPTOM,
        &no_response::SYMPTOM,
        &notify::SYMPTOM,
        &only_vpn_traffic::SYMPTOM,
        &outage::SYMPTOM,
        &packets::SYMPTOM,
        &probe::SYMPTOM,
        &reaches::SYMPTOM,
        &reestablished::SYMPTOM,
        &retransmission::SYMPTOM,
        &sequence::SYMPTOM,
        &small_ok_large_stalls::SYMPTOM,
        &spi_still_used::SYMPTOM,
        &tcp_stall::SYMPTOM,
        &too_big_lost::SYMPTOM,
    ];
    ALL
}

/// A symptom by its code.
pub fn find(code: &str) -> Option<&'static Symptom> {
    all().iter().find(|s| s.code == code).copied()
}
