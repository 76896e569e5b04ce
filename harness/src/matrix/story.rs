//! A page in each run's evidence folder: what was seen, and the files. Servers of static pages do not list folders.

use std::fmt::Write;
use std::path::Path;

use super::html::{Text, url};
use super::plan::CellId;
use super::store::{StoreError, replace};
use crate::report::{ScenarioResult, human};
use crate::run::artefacts;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem;max-width:110ch;color-scheme:light dark}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px;padding:.8rem;border:1px solid #8886}";

/// Writes the page.
pub fn write(dir: &Path, cell: &CellId, result: &ScenarioResult) -> Result<(), StoreError> {
    let mut out = String::new();
    let title = Text(&result.title);
    let versions = result.versions.told(&cell.pairing).join(", ");
    let played = if versions.is_empty() { String::new() } else { format!(", played by {versions}") };
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\n\
         <title>{name}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n<p>{name}: <strong>{verdict}</strong>{played}</p>\n<pre>{story}</pre>\n<h2>Files</h2>\n<ul>\n",
        name = Text(&cell.to_string()),
        played = Text(&played),
        verdict = Text(&result.verdict.to_string()),
        story = Text(&human::explain(result, false)),
    );
    for file in files(dir) {
        let _ = writeln!(out, "<li><a href=\"{}\">{}</a>", url(&file), Text(&file));
    }
    out.push_str("</ul>\n");
    replace(&dir.join(artefacts::STORY), out.as_bytes())
}

/// Regular files below a folder, in order. What cannot be read is no file to link to.
pub fn files(dir: &Path) -> Vec<String> {
    let mut out = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(folder) = pending.pop() {
        let Ok(entries) = std::fs::read_dir(dir.join(&folder)) else { continue };
        for entry in entries.flatten() {
            let name = format!("{folder}{}", entry.file_name().to_string_lossy());
            match entry.file_type() {
                Ok(t) if t.is_dir() => pending.push(format!("{name}/")),
                Ok(t) if t.is_file() => out.push(name),
                _ => {}
            }
        }
    }
    out.sort();
    out
}
