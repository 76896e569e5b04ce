//! Names of everything a run leaves in its evidence folder. No other file spells them.

use std::path::{Path, PathBuf};

use crate::name::PathName;
use crate::scenario::model::Side;

/// All packets of the run.
pub const CAPTURE: &str = "capture.pcapng";
/// The event stream.
pub const EVENTS: &str = "events.jsonl";
/// The side's report.
pub const VERDICT: &str = "verdict.json";
/// Keys, for `faultlab packets`.
pub const KEYS: &str = "keys.json";
/// Wireshark's table of ESP SAs.
pub const ESP_SA: &str = "esp_sa";
/// Wireshark's table of IKEv2 keys.
pub const IKEV2_TABLE: &str = "ikev2_decryption_table";
/// Wireshark's table of IKEv1 keys.
pub const IKEV1_TABLE: &str = "ikev1_decryption_table";
/// How to enter a kept cell.
pub const CELL: &str = "cell.json";
/// What was said on the console of a cell that did not end as it should.
pub const CONSOLE: &str = "console.txt";
/// Folder of the gateways' configurations and logs.
pub const GATEWAYS: &str = "gateways";

/// A scenario's story and its files, for browsers.
pub const STORY: &str = "index.html";

/// A matrix: what it is about.
pub const MATRIX: &str = "matrix.json";
/// A matrix: one file per result, written as soon as it is known.
pub const CELLS: &str = "cells";
/// A matrix: parent of the evidence of its runs.
pub const EVIDENCE: &str = "evidence";
/// A matrix: all results.
pub const RESULTS: &str = "results.json";
/// A matrix: all results, as JUnit XML.
pub const JUNIT: &str = "junit.xml";
/// A matrix: the page.
pub const PAGE: &str = "index.html";
/// A matrix: held while a process works on it.
pub const LOCK: &str = "lock";

/// Default parent of all runs.
pub const DEFAULT_ROOT: &str = "target/faultlab";

/// Folder of one side.
pub fn side_dir(root: &Path, run: &str, scenario: &PathName, side: Side) -> PathBuf {
    root.join(run).join(scenario).join(side.name())
}
