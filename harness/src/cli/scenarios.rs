//! From words on the command line to checked scenarios.

use std::io::IsTerminal;
use std::path::Path;

use super::exit::CliError;
use crate::filter::Filter;
use crate::scenario::library::{Library, LibraryError};
use crate::scenario::model::Scenario;
use crate::scenario::{Diagnostics, Vocabulary, load};
use crate::symptom;

/// The library: embedded scenarios, overlaid by those on disk.
pub fn library(dir: Option<&Path>) -> Result<Library, CliError> {
    Library::open(dir).map_err(|e| wrong(&e))
}

/// The vocabulary that this program knows.
pub fn vocabulary(library: &Library) -> Vocabulary {
    let symptoms = symptom::all().iter().map(|s| (s.code, s.params)).collect();
    let filter = |text: &str| Filter::parse(text).map(drop).map_err(|e| (e.span, e.message, e.help));
    let mut vocabulary = Vocabulary::new(symptoms, filter);
    vocabulary.layouts = library.layouts.clone();
    vocabulary
}

/// The scenarios that the words select, checked; all mistakes of all files at once.
pub fn select(library: &Library, words: &[String]) -> Result<Vec<Scenario>, CliError> {
    let sources = library.select(words).map_err(|e| wrong(&e))?;
    let vocabulary = vocabulary(library);
    let mut all = Diagnostics::default();
    let mut scenarios = Vec::new();
    for source in &sources {
        match load(source, &vocabulary) {
            Ok(scenario) => scenarios.push(scenario),
            Err(found) => all.list.extend(found.list),
        }
    }
    if !all.list.is_empty() {
        return Err(CliError::wrong(all.render(std::io::stderr().is_terminal())));
    }
    if scenarios.is_empty() {
        return Err(CliError::wrong("no scenarios; is the folder empty?"));
    }
    Ok(scenarios)
}

fn wrong(e: &LibraryError) -> CliError {
    CliError::wrong(e.to_string())
}
