//! Writes a side's evidence folder.

use std::fs;
use std::io;
use std::path::Path;

use peer::write_private;

use super::artefacts;
use super::judge::Judge;
use super::lab::Job;
use super::outcome::{ExpectReport, SideReport};
use crate::capture::ring::Stats;
use crate::capture::write;
use crate::dissect::keyfiles;

/// Capture with comments, keys, Wireshark's tables.
pub fn write_all(job: &Job, judge: &Judge, reports: &[ExpectReport], stats: &Stats) -> io::Result<()> {
    let dir = &job.dir;
    write::write(&dir.join(artefacts::CAPTURE), judge.capture(), &judge.comments(reports), stats, &job.title).map_err(io::Error::other)?;
    let keys = judge.keys();
    write_private(&dir.join(artefacts::KEYS), serde_json::to_vec_pretty(keys)?)?;
    write_private(&dir.join(artefacts::ESP_SA), keyfiles::esp_sa(keys))?;
    write_private(&dir.join(artefacts::IKEV2_TABLE), keyfiles::ikev2_decryption_table(keys))?;
    write_private(&dir.join(artefacts::IKEV1_TABLE), keyfiles::ikev1_decryption_table(keys))
}

/// The side's report.
pub fn write_report(dir: &Path, report: &SideReport) -> io::Result<()> {
    fs::write(dir.join(artefacts::VERDICT), serde_json::to_vec_pretty(report)?)
}

/// A gateway's last words.
pub fn write_description(dir: &Path, gateway: &str, text: &str) -> io::Result<()> {
    let dir = dir.join(artefacts::GATEWAYS).join(gateway);
    fs::create_dir_all(&dir)?;
    // With the keys, in the words of some.
    write_private(&dir.join("sas.txt"), text)
}
