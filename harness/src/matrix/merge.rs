//! Puts shards together: their results, and the evidence that the page links to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::plan::Shard;
use super::results::Results;
use super::store::{FORMAT, Header, Store, StoreError, read};
use super::story::files;
use crate::run::artefacts;
use crate::text;

/// Merges the results folders of shards into a new one. Shards that are missing leave cells without a result.
pub fn merge(dirs: &[PathBuf], out: &Path) -> Result<Results, StoreError> {
    let shards = dirs.iter().map(|dir| Store::open(dir)).collect::<Result<Vec<_>, _>>()?;
    let header = fit(&shards)?;
    if let Some(own) = dirs.iter().find(|dir| same(dir, out)) {
        return Err(StoreError::Unfit(format!("{} is one of the shards; name a new folder with --out", text::path(own))));
    }
    let merged = Store::create(out, header)?;
    let mut longest = 0;
    for shard in &shards {
        for cell in shard.header.cells() {
            for attempt in 1..=shard.header.repeat {
                let Some(record) = shard.read(&cell, attempt)? else { continue };
                if let Some(evidence) = &record.evidence {
                    take(&shard.dir().join(evidence), &out.join(evidence))?;
                }
                merged.write(&record)?;
            }
        }
        // Absent when the shard was interrupted; only its time is of interest.
        if let Ok(results) = read::<Results>(&shard.dir().join(artefacts::RESULTS)) {
            longest = longest.max(results.elapsed_ms);
        }
    }
    Results::of(&merged, longest)
}

/// The whole matrix's header; an error when the shards are not of one matrix.
fn fit(shards: &[Store]) -> Result<Header, StoreError> {
    let first = shards.first().ok_or_else(|| StoreError::Unfit("nothing to merge".to_owned()))?;
    let mut seen: BTreeMap<Shard, &Store> = BTreeMap::new();
    for shard in shards {
        let mut differences = first.header.differences(&shard.header);
        if shard.header.shard.count != first.header.shard.count {
            differences.push(format!("shards: of {} there, of {} now", first.header.shard.count, shard.header.shard.count));
        }
        if shard.header.deviations != first.header.deviations {
            differences.push("the list of known deviations is not the same".to_owned());
        }
        let (one, other) = (text::path(first.dir()), text::path(shard.dir()));
        if !differences.is_empty() {
            let list = differences.join("\n  ");
            return Err(StoreError::Unfit(format!("{one} (there) and {other} (now) are not of one matrix:\n  {list}")));
        }
        if let Some(twin) = seen.insert(shard.header.shard, shard) {
            return Err(StoreError::Unfit(format!("{} and {other} both are shard {}", text::path(twin.dir()), shard.header.shard)));
        }
    }
    Ok(Header { format: FORMAT, shard: Shard::WHOLE, ..first.header.clone() })
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((std::fs::canonicalize(a), std::fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

/// Takes the regular files of a folder over; linked where that is possible, since captures are big and nobody changes them.
fn take(from_dir: &Path, to_dir: &Path) -> Result<(), StoreError> {
    for name in files(from_dir) {
        let (from, to) = (from_dir.join(&name), to_dir.join(&name));
        let made = folders(from_dir, to_dir, Path::new(&name)).and_then(|()| match std::fs::remove_file(&to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        });
        let taken = made.and_then(|()| std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop)));
        taken.map_err(|source| StoreError::Io { doing: "copy evidence to", path: to, source })?;
    }
    Ok(())
}

/// Makes the folders that a file is in, as private as they were.
fn folders(from: &Path, to: &Path, file: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    let mut above: Vec<&Path> = file.ancestors().skip(1).filter(|a| !a.as_os_str().is_empty()).collect();
    above.reverse();
    for folder in above {
        match std::fs::create_dir(to.join(folder)) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
            _ => std::fs::set_permissions(to.join(folder), std::fs::metadata(from.join(folder))?.permissions())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::plan::CellId;
    use super::super::results::{CellResult, Status};
    use super::super::store::Record;
    use super::super::store::tests::{header, older, record};
    use super::*;
    use crate::run::versions::Versions;

    fn fill(dir: &Path, header: Header) -> Store {
        let store = Store::create(dir, header).unwrap();
        for cell in store.header.cells() {
            let verdict = if cell.scenario == "two" { "fix-failed" } else { "reproduced" };
            let record = record(&cell, 1, verdict);
            let evidence = dir.join(record.evidence.clone().unwrap());
            std::fs::create_dir_all(evidence.join("broken")).unwrap();
            std::fs::write(evidence.join("broken/capture"), cell.to_string()).unwrap();
            peer::make_private_folder(&evidence.join("broken/gateways")).unwrap();
            peer::write_private(&evidence.join("broken/gateways/log"), "keys").unwrap();
            store.write(&record).unwrap();
        }
        store
    }

    fn shard(index: u32) -> Header {
        Header { shard: Shard { index, count: 2 }, ..header() }
    }

    #[test]
    fn shards_together_are_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let whole = Results::of(&fill(&at("whole"), header()), 0).unwrap();
        let sizes = [1, 2].map(|i| fill(&at(&i.to_string()), shard(i)).header.cells().len());
        assert_eq!(sizes.iter().sum::<usize>(), whole.cells.len());
        let merged = merge(&[at("2"), at("1")], &at("merged")).unwrap();
        assert_eq!(merged, whole);
        for cell in &merged.cells {
            let kept = at("merged").join(cell.runs[0].evidence.clone().unwrap()).join("broken/capture");
            assert_eq!(std::fs::read_to_string(&kept).unwrap(), cell.cell.to_string());
            let mode = |name: &str| std::fs::metadata(kept.with_file_name(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode("gateways"), mode("gateways/log")), (0o700, 0o600));
        }
        // And once more into the same folder.
        assert_eq!(merge(&[at("1"), at("2")], &at("merged")).unwrap(), whole);
    }

    #[test]
    fn merged_cells_are_judged_by_the_versions_that_ran() {
        let text = "[[deviation]]\nscenario='one'\npairing='a@<5:*'\nverdict='fix-failed'\nreason='r'\nlink='l'\n";
        let source = crate::scenario::Source::new("known-deviations.toml", text);
        let deviations = crate::scenario::deviations::load(&source, &["one"], &["a", "b"]).unwrap();
        let header = |index: u32| Header { deviations: deviations.clone(), repeat: 2, ..shard(index) };
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        // The older machine has the first shard, and nobody knows what the third, of format 1, had.
        let runs = |index: u32, version: Option<&str>| -> Vec<Record> {
            let first = version.map(str::to_owned);
            let versions = Versions { others: first.clone(), first };
            let cells = header(index).cells().into_iter().flat_map(|c| [1, 2].map(|n| record(&c, n, "fix-failed")));
            cells.map(|r| Record { versions: versions.clone(), evidence: None, ..r }).collect()
        };
        for (index, version) in [(1, "4.10"), (2, "5.2")] {
            let store = Store::create(&at(version), header(index)).unwrap();
            runs(index, Some(version)).iter().for_each(|r| store.write(r).unwrap());
        }
        for index in [1, 2] {
            older(&at(&format!("older-{index}")), header(index), &runs(index, None));
        }
        let status = |results: &Results, index: u32| {
            let of = |c: &&CellResult| c.cell.scenario == "one" && shard(index).shard.holds(&c.cell);
            let mut found: Vec<Status> = results.cells.iter().filter(of).map(|c| c.status).collect();
            found.dedup();
            found
        };
        let both = merge(&[at("4.10"), at("5.2")], &at("both")).unwrap();
        assert_eq!((status(&both, 1), status(&both, 2)), (vec![Status::KnownDeviation], vec![Status::Unexpected]));
        let mixed = merge(&[at("older-1"), at("5.2")], &at("mixed")).unwrap();
        assert_eq!((status(&mixed, 1), status(&mixed, 2)), (vec![Status::Unexpected], vec![Status::Unexpected]));
        let said =
            |results: &Results, what: &str| results.cells.iter().filter(|c| c.text.as_ref().is_some_and(|t| t.contains(what))).count();
        assert!(said(&both, "a was 5.2") > 0 && said(&both, "is not known") == 0);
        assert!(said(&mixed, "a was 5.2") > 0 && said(&mixed, "the version of a is not known") > 0);
        let older = merge(&[at("older-1"), at("older-2")], &at("older")).unwrap();
        assert_eq!((older.format, older.header.format, said(&older, "is not known")), (FORMAT, FORMAT, 2));
    }

    #[test]
    fn a_missing_shard_leaves_cells_without_a_result() {
        let dir = tempfile::tempdir().unwrap();
        let one = fill(&dir.path().join("1"), shard(1));
        let cells: Vec<CellId> = one.header.cells();
        let merged = merge(&[dir.path().join("1")], &dir.path().join("merged")).unwrap();
        assert_eq!(merged.count(Status::Missing), merged.cells.len() - cells.len());
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        drop(fill(&at("1"), shard(1)));
        drop(fill(&at("again"), shard(1)));
        drop(fill(&at("other"), Header { content: "d".into(), ..shard(2) }));
        let refused = |dirs: &[&str], out: &str| merge(&dirs.iter().map(|d| at(d)).collect::<Vec<_>>(), &at(out)).unwrap_err().to_string();
        assert!(refused(&["1", "again"], "m").contains("both are shard 1/2"));
        assert!(refused(&["1", "other"], "m").contains("text of a scenario"));
        assert!(refused(&["1"], "1").contains("one of the shards"));
        assert!(refused(&["1", "absent"], "m").contains("absent"));
        assert!(refused(&[], "m").contains("nothing to merge"));
    }
}
