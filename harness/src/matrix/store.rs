//! The results folder: what a matrix is about, and one file per result. Whatever ends the program, what is there is complete.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::plan::{self, CellId, Shard};
use crate::name::PathName;
use crate::run::artefacts;
use crate::run::lack::Lack;
use crate::run::outcome::Whose;
use crate::run::versions::Versions;
use crate::run::worlds::WorldKind;
use crate::scenario::deviations::Deviation;
use crate::scenario::model::{Scenario, ScenarioKind};
use crate::text::{self, hex};

/// Version of all JSON files of a matrix. 1: results without the versions of who played.
pub const FORMAT: u32 = 2;

/// What a matrix is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`], or an older one.
    pub format: u32,
    /// Version of the program.
    pub version: String,
    /// Hash over the scenarios as they run.
    pub content: String,
    /// The scenarios, in order.
    pub scenarios: Vec<Row>,
    /// Who plays whom, in order.
    #[serde(deserialize_with = "plan::pairings")]
    pub pairings: Vec<String>,
    /// Whose kernels, in order.
    pub worlds: Vec<WorldKind>,
    /// Runs of each cell.
    pub repeat: u32,
    /// Which part of the cells.
    pub shard: Shard,
    /// What is known not to reproduce. Says how results are judged, not what runs: it may change between interruptions.
    pub deviations: Vec<Deviation>,
    /// Worlds and implementations that nobody named and that are not here, and why.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
}

/// What a matrix over all that is here does without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// For instance `the pocket world`.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// A scenario, as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Id.
    pub id: PathName,
    /// Folder below `scenarios/`.
    pub group: String,
    /// One line.
    pub title: String,
    /// Failure or control.
    pub kind: ScenarioKind,
}

impl From<&Scenario> for Row {
    fn from(s: &Scenario) -> Row {
        Row { id: s.id.clone(), group: s.group.clone(), title: s.title.clone(), kind: s.kind }
    }
}

impl Header {
    /// The cells of this shard, in order.
    pub fn cells(&self) -> Vec<CellId> {
        let mut all = plan::cells(self.scenarios.iter().map(|s| &s.id), &self.pairings, &self.worlds);
        all.retain(|cell| self.shard.holds(cell));
        all
    }

    /// In what two matrices differ, in words; empty when their results belong together. Shards, deviations and what was left out are not
    /// compared, nor are formats: results of all that can be read may be mixed.
    pub fn differences(&self, other: &Header) -> Vec<String> {
        let mut out = Vec::new();
        let mut compare = |what: &str, here: String, there: String| {
            if here != there {
                out.push(format!("{what}: {here} there, {there} now"));
            }
        };
        let worlds = |h: &Header| h.worlds.iter().map(|w| w.name()).collect::<Vec<_>>().join(",");
        compare("version of faultlab", self.version.clone(), other.version.clone());
        compare("pairings", self.pairings.join(","), other.pairings.join(","));
        compare("worlds", worlds(self), worlds(other));
        compare("runs of each cell", self.repeat.to_string(), other.repeat.to_string());
        if self.scenarios != other.scenarios {
            let missing = |a: &Header, b: &Header| {
                let ids = a.scenarios.iter().filter(|s| !b.scenarios.contains(s)).map(|s| s.id.as_str());
                ids.collect::<Vec<_>>().join(", ")
            };
            out.push(format!("scenarios: only there [{}], only now [{}]", missing(self, other), missing(other, self)));
        } else if self.content != other.content {
            out.push("the text of a scenario or layout has changed".to_owned());
        }
        out
    }
}

/// Hash over what runs: the checked scenarios, with their networks.
pub fn content_hash(scenarios: &[Scenario]) -> Result<String, StoreError> {
    let mut hash = Sha1::new();
    for s in scenarios {
        let text = serde_json::to_vec(&(&s.id, s.kind, &s.needs, s.virtual_time, &s.broken, &s.fixed)).map_err(StoreError::Encode)?;
        hash.update(text);
    }
    Ok(hex(&hash.finalize()))
}

/// One result: a run of a cell, or why there was none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which cell.
    pub cell: CellId,
    /// Which of its runs, from 1.
    pub attempt: u32,
    /// Versions of who played; unknown when nothing ran, and in results of format 1.
    #[serde(default)]
    pub versions: Versions,
    /// Word of the verdict, as `faultlab explain` knows it.
    pub verdict: String,
    /// Why.
    pub reason: Option<String>,
    /// The program itself failed.
    pub bug: bool,
    /// Whose fault it is that it could not be judged, when something went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whose: Option<Whose>,
    /// What kind of thing is lacking, when it was skipped; older results do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lack: Option<Lack>,
    /// When it began, RFC 3339; absent when nothing ran.
    pub started: Option<String>,
    /// How long it took, milliseconds on the wall's clock.
    pub elapsed_ms: u64,
    /// Folder of the evidence, below the results folder; absent when nothing ran.
    pub evidence: Option<String>,
    /// Command that runs it again.
    pub again: String,
}

impl Record {
    /// It was known before the start that it cannot run.
    pub fn skipped(&self) -> bool {
        self.verdict == "skipped"
    }

    /// Nothing ran, for whatever reason: it may run another time.
    pub fn not_run(&self) -> bool {
        self.skipped() || self.started.is_none() && self.accident()
    }

    /// The machine ran short of something, or something from outside ended a process: that says nothing about the scenario.
    pub fn accident(&self) -> bool {
        matches!(self.whose, Some(Whose::Machine | Whose::Outside))
    }
}

/// Why the results folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Reading or writing failed.
    #[error("cannot {doing} {}: {source}", crate::text::path(path))]
    Io {
        /// `read`, `write` …
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else, or results of another matrix.
    #[error("{0}")]
    Unfit(String),
    /// A result cannot be written as JSON.
    #[error("a result cannot be written as JSON: {0}")]
    Encode(serde_json::Error),
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { doing, path, source }
}

/// An open results folder.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// What it is about.
    pub header: Header,
    /// Keeps others from working on it meanwhile; the kernel opens it when this process ends, however it ends.
    _lock: Option<File>,
}

impl Store {
    /// Opens the folder for writing. What is there already is kept when it belongs to the same matrix; otherwise an error
    /// says what is different.
    pub fn create(dir: &Path, header: Header) -> Result<Store, StoreError> {
        std::fs::create_dir_all(dir).map_err(io("make the results folder", dir))?;
        let lock = lock(dir)?;
        if dir.join(artefacts::MATRIX).exists() {
            let there = read_header(dir)?;
            let mut differences = there.differences(&header);
            if there.shard != header.shard {
                differences.push(format!("shard: {} there, {} now", there.shard, header.shard));
            }
            if !differences.is_empty() {
                let list = differences.join("\n  ");
                let text = format!(
                    "{} holds results of another matrix:\n  {list}\nname another folder with --out, or resume with the same options",
                    text::path(dir)
                );
                return Err(StoreError::Unfit(text));
            }
        }
        write(&dir.join(artefacts::MATRIX), &header)?;
        Ok(Store { dir: dir.to_owned(), header, _lock: Some(lock) })
    }

    /// Opens the folder for reading.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        Ok(Store { dir: dir.to_owned(), header: read_header(dir)?, _lock: None })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The result of a run, if it is known. A file that is no result, as a power cut may leave, counts as none.
    pub fn read(&self, cell: &CellId, attempt: u32) -> Result<Option<Record>, StoreError> {
        let path = self.path(cell, attempt);
        match std::fs::read(&path) {
            Ok(text) => match serde_json::from_slice::<Record>(&text).ok().filter(|r| r.cell == *cell && r.attempt == attempt) {
                // Whoever reads a result goes there.
                Some(record) if record.evidence.as_ref().is_some_and(|e| *e != evidence(cell, attempt)) => Err(StoreError::Unfit(format!(
                    "{} names evidence that is not its own: `{}`",
                    text::path(&path),
                    record.evidence.unwrap_or_default().escape_debug()
                ))),
                record => Ok(record),
            },
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io("read", &path)(e)),
        }
    }

    /// Keeps a result.
    pub fn write(&self, record: &Record) -> Result<(), StoreError> {
        let path = self.path(&record.cell, record.attempt);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io("make the folder", folder))?;
        }
        write(&path, record)
    }

    fn path(&self, cell: &CellId, attempt: u32) -> PathBuf {
        self.dir.join(artefacts::CELLS).join(column(&cell.pairing, cell.world, attempt)).join(format!("{}.json", cell.scenario))
    }
}

/// Folder of a column's runs, below a parent. Artefact stores of CI systems refuse colons in names.
pub fn column(pairing: &str, world: WorldKind, attempt: u32) -> String {
    format!("{}/{}/{attempt}", pairing.replace(':', "+"), world.name())
}

/// Folder of a run's evidence, below the results folder.
pub fn evidence(cell: &CellId, attempt: u32) -> String {
    format!("{}/{}/{}", artefacts::EVIDENCE, column(&cell.pairing, cell.world, attempt), cell.scenario)
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(artefacts::LOCK);
    let file = File::create(&path).map_err(io("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Unfit(format!(
            "another faultlab is working on {}; wait for it, or name another folder with --out",
            text::path(dir)
        ))),
        Err(std::fs::TryLockError::Error(e)) => Err(io("lock", &path)(e)),
    }
}

fn read_header(dir: &Path) -> Result<Header, StoreError> {
    let path = dir.join(artefacts::MATRIX);
    let header: Header = read(&path)?;
    if (1..=FORMAT).contains(&header.format) {
        return Ok(header);
    }
    Err(StoreError::Unfit(format!("{} has the format {}; this version of faultlab reads 1 to {FORMAT}", text::path(&path), header.format)))
}

/// Reads a JSON file of a matrix.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let text = std::fs::read(path).map_err(io("read", path))?;
    serde_json::from_slice(&text)
        .map_err(|e| StoreError::Unfit(format!("{} is no result of a matrix, or of another version of faultlab: {e}", text::path(path))))
}

/// Writes a JSON file.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(StoreError::Encode)?;
    text.push(b'\n');
    replace(path, &text)
}

/// Writes a file so that it is there with all its contents or not at all.
pub fn replace(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let written = File::create(&new).and_then(|mut file| file.write_all(contents));
    written.and_then(|()| std::fs::rename(&new, path)).map_err(io("write", path))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two scenarios, one pairing, both worlds.
    pub fn header() -> Header {
        let row =
            |id: &str| Row { id: id.parse().unwrap(), group: "nat".into(), title: format!("about {id}"), kind: ScenarioKind::Failure };
        Header {
            format: FORMAT,
            version: "1".into(),
            content: "c".into(),
            scenarios: vec![row("one"), row("two")],
            pairings: vec!["a:b".into()],
            worlds: WorldKind::ALL.into(),
            repeat: 1,
            shard: Shard::WHOLE,
            deviations: vec![],
            left_out: vec![],
        }
    }

    pub fn record(cell: &CellId, attempt: u32, verdict: &str) -> Record {
        let reason = (verdict != "reproduced").then(|| format!("because {verdict}"));
        let evidence = (verdict != "skipped").then(|| evidence(cell, attempt));
        let again = "faultlab run".to_owned();
        let (verdict, versions) = (verdict.to_owned(), Versions::default());
        let lack = (verdict == "skipped").then_some(Lack::Missing);
        let cell = cell.clone();
        Record { cell, attempt, versions, verdict, reason, bug: false, whose: None, lack, started: None, elapsed_ms: 1, evidence, again }
    }

    #[test]
    fn results_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), header()).unwrap();
        let cells = store.header.cells();
        assert_eq!(cells.len(), 4);
        store.write(&record(&cells[0], 1, "reproduced")).unwrap();
        drop(store);
        let store = Store::create(dir.path(), header()).unwrap();
        assert_eq!(store.read(&cells[0], 1).unwrap().unwrap().verdict, "reproduced");
        assert_eq!(store.read(&cells[0], 2).unwrap(), None);
        assert_eq!(store.read(&cells[1], 1).unwrap(), None);
    }

    #[test]
    fn a_torn_file_is_no_result() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), header()).unwrap();
        let cell = &store.header.cells()[0];
        store.write(&record(cell, 1, "reproduced")).unwrap();
        std::fs::write(store.path(cell, 1), "{\"cell\":").unwrap();
        assert_eq!(store.read(cell, 1).unwrap(), None);
    }

    #[test]
    fn names_and_evidence_that_lead_elsewhere_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), header()).unwrap();
        let cell = store.header.cells().remove(0);
        for evidence in ["..", "/etc", "evidence/../..", "evidence/a+b/host/2/one"] {
            store.write(&Record { evidence: Some(evidence.into()), ..record(&cell, 1, "reproduced") }).unwrap();
            let refused = store.read(&cell, 1).unwrap_err().to_string();
            assert!(refused.contains(evidence) && refused.contains("not its own"), "{refused}");
        }
        for (place, name) in [("/scenarios/0/id", ".."), ("/scenarios/0/id", "a/b"), ("/pairings/0", "../..:b"), ("/pairings/0", "a")] {
            let mut forged = serde_json::to_value(header()).unwrap();
            *forged.pointer_mut(place).unwrap() = name.into();
            write(&dir.path().join(artefacts::MATRIX), &forged).unwrap();
            let refused = Store::open(dir.path()).unwrap_err().to_string();
            assert!(refused.contains(&format!("`{name}`")), "{refused}");
        }
    }

    #[test]
    fn another_matrix_is_refused_with_what_is_different() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::create(dir.path(), header()).unwrap());
        let mut other = header();
        other.worlds = vec![WorldKind::Host];
        other.repeat = 3;
        other.shard = Shard { index: 2, count: 2 };
        let text = Store::create(dir.path(), other).unwrap_err().to_string();
        for part in ["host,pocket there, host now", "1 there, 3 now", "1/1 there, 2/2 now", "--out"] {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
        let mut other = header();
        other.content = "d".into();
        assert!(Store::create(dir.path(), other).unwrap_err().to_string().contains("text of a scenario"));
        let mut other = header();
        other.scenarios.remove(0);
        assert!(Store::create(dir.path(), other).unwrap_err().to_string().contains("only there [one]"));
    }

    /// What a store of format 1 has on the disk.
    pub fn older(dir: &Path, header: Header, records: &[Record]) {
        drop(Store::create(dir, Header { format: 1, ..header }).map(|store| records.iter().for_each(|r| store.write(r).unwrap())));
        for r in records {
            let path = Store::open(dir).unwrap().path(&r.cell, r.attempt);
            let mut value: serde_json::Value = read(&path).unwrap();
            value.as_object_mut().unwrap().remove("versions").unwrap();
            write(&path, &value).unwrap();
        }
    }

    #[test]
    fn a_matrix_of_an_older_format_goes_on_and_one_of_a_newer_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cell = header().cells().remove(0);
        older(dir.path(), header(), &[record(&cell, 1, "reproduced")]);
        let store = Store::create(dir.path(), header()).unwrap();
        assert_eq!(store.read(&cell, 1).unwrap().unwrap().versions, Versions::default());
        drop(store);
        assert_eq!(Store::open(dir.path()).unwrap().header.format, FORMAT);
        write(&dir.path().join(artefacts::MATRIX), &Header { format: FORMAT + 1, ..header() }).unwrap();
        for refused in [Store::open(dir.path()), Store::create(dir.path(), header())] {
            let text = refused.unwrap_err().to_string();
            assert!(text.contains("has the format 3") && text.contains("reads 1 to 2"), "{text}");
        }
    }

    #[test]
    fn two_at_once_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = Store::create(dir.path(), header()).unwrap();
        assert!(Store::create(dir.path(), header()).unwrap_err().to_string().contains("another faultlab"));
        drop(first);
        assert!(Store::create(dir.path(), header()).is_ok());
    }
}
