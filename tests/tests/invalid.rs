//! Mistakes in scenario files: each `invalid/*.toml` must be refused with exactly the text in the `.stderr` beside it.
//! `UPDATE=1 cargo test -p faultlab-tests --test invalid` rewrites the expected texts.

mod vocabulary;

use std::path::{Path, PathBuf};

use faultlab::scenario::{self, Source};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("invalid");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .map(|entries| entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.extension().is_some_and(|e| e == "toml")).collect())
        .unwrap_or_default();
    files.sort();
    let trials = files.into_iter().map(|file| {
        let name = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        Trial::test(name, move || refused(&file)).with_kind("invalid")
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn refused(file: &Path) -> Result<(), Failed> {
    let text = std::fs::read_to_string(file)?;
    let name = format!("tests/invalid/{}", file.file_name().unwrap_or_default().to_string_lossy());
    let Err(mistakes) = scenario::load(&Source::new(name, text), &vocabulary::vocabulary()) else {
        return Err("it was accepted".into());
    };
    let rendered = mistakes.render(false);
    for m in mistakes.machine() {
        if m.line == 0 || m.message.is_empty() || !rendered.contains(&m.message) {
            return Err(format!("not rendered: {m:?}").into());
        }
    }
    let expected = file.with_extension("stderr");
    if std::env::var_os("UPDATE").is_some() {
        return Ok(std::fs::write(expected, rendered)?);
    }
    let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
    if rendered == wanted { Ok(()) } else { Err(format!("expected\n{wanted}\nbut it is\n{rendered}").into()) }
}
