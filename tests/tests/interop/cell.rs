//! A cell of the table: its rows become one scenario, which runs once and is asked for each of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use faultlab::cli;
use faultlab::event::{Event, StepResult, What};
use faultlab::run::artefacts;
use faultlab::run::drivers::Pairing;
use faultlab::run::orchestrate::{self, Options};
use faultlab::run::outcome::{Found, SideReport};
use faultlab::run::worlds::{WorldKind, Worlds};
use faultlab::scenario::model::{Scenario, Side};

use super::rows::{Begin, Group, Row};
use super::silent::Silent;

/// Our own implementation, on one side of every row.
pub const OURS: &str = "inhouse";

/// What each row's trial must say.
pub type Results = BTreeMap<String, Result<(), String>>;

/// Rows that run together.
pub struct Cell {
    pub scenario: Scenario,
    pub pairing: Pairing,
    pub world: WorldKind,
    /// Name of each row, and its lines in the scenario.
    rows: Vec<(String, std::ops::RangeInclusive<u32>)>,
    run: String,
    results: OnceLock<Results>,
    _file: tempfile::TempDir,
}

impl Cell {
    /// `ours`: the in-house gateway begins; otherwise the peer does.
    pub fn new(group: &Group, rows: &[&Row], peer: &str, world: WorldKind, ours: bool) -> Cell {
        // In the star, the first gateway is the hub; elsewhere it is the one that begins.
        let star = group.template.is_none_or(|t| t.contains("\"star\""));
        let first_is_ours = ours != star && (group.begin == Begin::Spokes);
        let pairing = if first_is_ours { format!("{OURS}:{peer}") } else { format!("{peer}:{OURS}") };
        let hub_begins = group.begin == Begin::Either && !ours;
        let (text, lines) = render(group, rows, hub_begins);
        let file = tempfile::tempdir().expect("a temporary folder");
        let path = file.path().join("interop.toml");
        std::fs::write(&path, text).expect("writing the scenario");
        let library = cli::scenarios::library(None).unwrap_or_else(|e| panic!("{}", e.message));
        let path = path.display().to_string();
        let scenario = cli::scenarios::select(&library, &[path]).unwrap_or_else(|e| panic!("{}: {}", group.name, e.message)).remove(0);
        let starter = if ours { OURS } else { peer };
        let run = format!("{}-{}-{peer}-{starter}", std::process::id(), group.name.replace([' ', '\''], "-"));
        let pairing = pairing.parse().unwrap_or_else(|e| panic!("{e}"));
        Cell { scenario, pairing, world, rows: lines, run, results: OnceLock::new(), _file: file }
    }

    /// Can it run here? `Err`: why not.
    pub async fn able(&self, worlds: &Worlds) -> Result<(), String> {
        worlds.choose(self.world.into(), &self.scenario, &self.pairing).await.map(drop).map_err(|e| e.to_string())
    }

    /// Runs it, unless that was done already.
    pub fn results(&self) -> &Results {
        self.results.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let options = Options {
                pairing: Some(self.pairing.clone()),
                world: self.world.into(),
                real_time: false,
                jobs: 1,
                keep: false,
                only: Some(Side::Broken),
                root: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("interop"),
                run: self.run.clone(),
            };
            let finished = runtime.block_on(orchestrate::run(std::slice::from_ref(&self.scenario), &options, &mut Silent));
            let side = finished.results.first().and_then(|r| r.sides.first());
            self.rows.iter().map(|(name, lines)| (name.clone(), side.map_or(Err("nothing ran".into()), |s| row(s, lines)))).collect()
        })
    }
}

/// What of a side's report is about a row.
fn row(side: &SideReport, lines: &std::ops::RangeInclusive<u32>) -> Result<(), String> {
    if let Some(trouble) = &side.trouble {
        return Err(format!("{}; evidence in {}", trouble.text, side.dir.display()));
    }
    let expects: Vec<_> = side.expects.iter().filter(|e| lines.contains(&e.line)).collect();
    let wrong: Vec<&str> = expects.iter().filter(|e| e.found != Found::Holds).map(|e| e.text.as_str()).collect();
    match (expects.is_empty(), wrong.is_empty()) {
        (true, _) => Err("nothing was expected of it".into()),
        (_, true) => Ok(()),
        _ => Err(format!("{}\n{}evidence in {}", wrong.join("\n"), refusals(side), side.dir.display())),
    }
}

/// What gateways said of attempts that failed.
fn refusals(side: &SideReport) -> String {
    let text = std::fs::read_to_string(side.dir.join(artefacts::EVENTS)).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
    let failed = events.filter_map(|e| match e.what {
        What::StepEnded { step, result: StepResult::Initiate(outcome) } if outcome != peer::Outcome::Established => {
            Some(format!("{step}: {outcome:?}\n"))
        }
        _ => None,
    });
    failed.collect()
}

/// The scenario's text, and which lines of it are about which row.
fn render(group: &Group, rows: &[&Row], hub_begins: bool) -> (String, Vec<(String, std::ops::RangeInclusive<u32>)>) {
    let list = |of: fn(&Row) -> &String| {
        let mut all: Vec<String> = rows.iter().map(|r| format!("{:?}", of(r))).collect();
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|p| seen.insert(p.clone()));
        all.join(", ")
    };
    let head = group.template.unwrap_or(include_str!("../../interop/star.toml"));
    let mut text = fill(
        head,
        &[
            ("title", group.name),
            ("ip", group.ip),
            ("spokes", &rows.len().to_string()),
            ("ike-proposals", &list(|r| &r.ike)),
            ("esp-proposals", &list(|r| &r.esp)),
            ("hub", group.hub),
            ("row", group.name),
        ],
    );
    let count = |text: &str| u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    let mut lines = Vec::new();
    for (n, row) in (1..).zip(rows) {
        let before = if group.template.is_some() { 0 } else { count(&text) };
        if group.template.is_none() {
            let spoke = format!("spoke-{n}");
            let (initiator, responder) = if hub_begins { ("hub", spoke.as_str()) } else { (spoke.as_str(), "hub") };
            // What a row brings along has numbers in it, too.
            let inside = [("settings", row.settings), ("traffic", row.traffic), ("expect", row.expect)];
            let part = fill(include_str!("../../interop/spoke.toml"), &inside);
            let words =
                [("row", row.name.as_str()), ("ike", &row.ike), ("esp", &row.esp), ("initiator", initiator), ("responder", responder)];
            text += &fill(&fill(&part, &words), &[("n", &n.to_string())]);
        }
        lines.push((row.name.clone(), before + 1..=count(&text)));
    }
    (text, lines)
}

fn fill(template: &str, words: &[(&str, &str)]) -> String {
    words.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}
