//! `faultlab explain`: symptoms, faults, verdicts.

use std::fmt::Write;

use crate::schema::{Param, Word};
use crate::symptom::{self, Symptom};
use crate::text::wrap;
use crate::world::faults::words::WORDS;

/// Columns of a paragraph.
const WIDTH: usize = 100;

/// Verdicts and what they mean.
const VERDICTS: &[(&str, &str)] = &[
    (
        "reproduced",
        "The broken side showed every expected symptom and the stated health; the fault was proved to be in force; the fixed side was healthy \
         (ping, small and bulk TCP through the tunnel) and free of the symptoms. For a control: it works as described.",
    ),
    (
        "not-reproduced",
        "The fault was in force, but an expected symptom did not show on the broken side, or the tunnel was healthy although it must not be. \
         The report names the expectation, what was seen instead, and the nearest packets.",
    ),
    (
        "fault-not-in-force",
        "The kernel or a daemon refused the fault, or no proof was found that it had any effect: a counter that did not move, a probe that \
         still succeeded. Whatever the packets show, it is not this failure.",
    ),
    (
        "fix-failed",
        "The fixed side is not healthy, or still shows a symptom. A symptom that also holds in the healthy twin proves nothing: that is a defect \
         of the scenario, unless the expectation is marked `persists = true`.",
    ),
    (
        "inconclusive",
        "Nobody can say: the capture lost packets, encrypted packets could not be read, a daemon did not start, or only one side was run; a \
         daemon, a service or a task of faultlab's own ended, was stopped or hangs, which no fault of the scenario asked for; the machine \
         ran short of something (disk, file descriptors, processes, memory); a process was killed from outside; or it could not be found \
         out whether the scenario can run here. The end of a daemon ends its side at once, and the reason has its status and its last \
         lines: a crash is a finding. An inconclusive run never passes. Where the machine ran short the exit code is 3, where faultlab \
         itself failed, the in-house gateway included, 4, else 1. A matrix shows a shortage, and a process that was ended from outside, as \
         an accident, whatever the known deviations say.",
    ),
    (
        "skipped",
        "It was known before a cell was started that the scenario cannot run here; the reason says why. Either by design: the pairing or the world \
         cannot do what it needs (a capability, a setting that the implementation refuses, hours without virtual time), and nothing that could \
         be installed changes that. Or for want of something that could be installed, loaded or allowed: a package, a kernel, a privilege; the \
         reason says what to type. Of several reasons one that can be helped suffices. With `--strict` a skip for want makes the exit code 3; \
         when everything was skipped it is 3 in any case. What breaks once a cell has been started is never skipped but inconclusive.",
    ),
];

/// Explains a code; an error names the nearest ones.
pub fn explain(code: &str) -> Result<String, String> {
    if let Some(s) = symptom::find(code) {
        return Ok(explain_symptom(s));
    }
    if let Some(w) = WORDS.iter().find(|w| w.name == code) {
        return Ok(explain_fault(w));
    }
    if let Some((word, text)) = VERDICTS.iter().find(|v| v.0 == code) {
        return Ok(format!("{word} (verdict)\n\n{}\n", wrap(text, WIDTH)));
    }
    let all: Vec<&str> =
        symptom::all().iter().map(|s| s.code).chain(WORDS.iter().map(|w| w.name)).chain(VERDICTS.iter().map(|v| v.0)).collect();
    let nearest = all.iter().max_by(|a, b| strsim::jaro_winkler(a, code).total_cmp(&strsim::jaro_winkler(b, code)));
    let hint = nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
    Err(format!("nothing is called `{code}`{hint}\nthere are: {}", all.join(", ")))
}

fn explain_symptom(s: &Symptom) -> String {
    let level = symptom::reference::level(s.level);
    let mut out = format!("{} (symptom)\n\n{}\n\n{}\n\nrests on: {level}\n", s.code, wrap(s.meaning, WIDTH), wrap(s.explain, WIDTH));
    if !s.rfc.is_empty() {
        let _ = writeln!(out, "read:     {}", s.rfc.join(", "));
    }
    out.push_str(&params(s.params));
    out
}

fn explain_fault(w: &Word) -> String {
    format!("{} (fault)\n\n{}\n{}", w.name, wrap(w.doc, WIDTH), params(w.params))
}

fn params(params: &[Param]) -> String {
    let mut out = String::from("\nkeys:\n");
    for p in params {
        let need = match (p.required, p.default) {
            (true, _) => " (required)".to_owned(),
            (false, "") => String::new(),
            (false, default) => format!(" (default {default})"),
        };
        let _ = writeln!(out, "  {:<12} {}{need}", p.name, p.doc);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_meaning_and_is_explained() {
        let mut codes: Vec<&str> = symptom::all().iter().map(|s| s.code).chain(WORDS.iter().map(|w| w.name)).collect();
        codes.extend(VERDICTS.iter().map(|v| v.0));
        for code in &codes {
            assert!(explain(code).unwrap().len() > 60, "{code}");
            assert!(code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{code}");
        }
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all, "codes are unique");
    }

    #[test]
    fn a_typo_is_answered_with_the_nearest_code() {
        assert!(explain("retransmision").unwrap_err().contains("`retransmission`"));
    }
}
