//! All scenarios: those inside the program, and those on disk, which win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use toml::de::{DeTable, DeValue};

use super::Source;
use super::deviations;
use super::diag::nearest;
use super::layout::Layouts;
use crate::text::{self, shown};

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../scenarios");

/// Folder looked for in the current directory.
pub const FOLDER: &str = "scenarios";

/// Beside the scenarios, but none: see [`super::deviations`].
const NO_SCENARIO: &[&str] = &[deviations::FILE];

/// Every file that is part of the program, layouts included.
pub fn embedded() -> Vec<Source> {
    fn add(dir: &Dir<'_>, out: &mut Vec<Source>) {
        for file in dir.files() {
            if let (true, Some(text)) = (is_scenario(file.path()), file.contents_utf8()) {
                out.push(Source::new(format!("{FOLDER}/{}", file.path().display()), text));
            }
        }
        for dir in dir.dirs() {
            add(dir, out);
        }
    }
    let mut out = Vec::new();
    add(&EMBEDDED, &mut out);
    out
}

/// Every TOML file in a folder and below, in order of path.
pub fn read_dir(dir: &Path) -> Result<Vec<Source>, LibraryError> {
    let mut out = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        let unreadable = LibraryError::unreadable(&dir);
        for entry in std::fs::read_dir(&dir).map_err(&unreadable)? {
            let entry = entry.map_err(&unreadable)?;
            let path = entry.path();
            // Links are not followed into folders: they could lead in a circle.
            if entry.file_type().map_err(&unreadable)?.is_dir() {
                pending.push(path);
            } else if is_scenario(&path) {
                out.push(Source::read(&path).map_err(LibraryError::unreadable(&path))?);
            }
        }
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

fn is_scenario(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "toml") && !path.file_name().is_some_and(|name| NO_SCENARIO.iter().any(|n| name == *n))
}

/// Why the library could not be read, or a word selects nothing.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", text::path(path))]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Two files have the same id.
    #[error("two scenarios are called `{id}`: {} and {}; rename one of the files", shown(first), shown(second))]
    Duplicate {
        /// The id.
        id: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// A folder where a scenario was expected.
    #[error("`{0}` is a folder, not a scenario; for the scenarios in it: --scenarios {0}", shown(word))]
    Folder {
        /// The word.
        word: String,
    },
    /// A word that selects nothing.
    #[error("`{}` is no file, and no scenario, group or tag has this name{}", shown(word), hint.as_ref().map(|h| format!("; did you mean `{}`?", shown(h))).unwrap_or_else(|| "; `faultlab list` shows all".to_owned()))]
    Unknown {
        /// The word.
        word: String,
        /// The nearest id, group or tag.
        hint: Option<String>,
    },
}

impl LibraryError {
    fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> LibraryError {
        let path = path.to_owned();
        move |source| LibraryError::Read { path: path.clone(), source }
    }
}

/// All scenarios by id, and the layouts.
#[derive(Debug, Clone)]
pub struct Library {
    scenarios: BTreeMap<String, Source>,
    /// The layouts, for [`super::Vocabulary::layouts`].
    pub layouts: Layouts,
    /// The list of known deviations; the one on disk wins.
    pub deviations: Option<Source>,
}

impl Library {
    /// What is inside the program, overlaid with `dir`, or with `./scenarios` when that is there.
    pub fn open(dir: Option<&Path>) -> Result<Library, LibraryError> {
        let mut library = Library::from_sources(embedded())?;
        library.deviations = EMBEDDED
            .get_file(deviations::FILE)
            .and_then(|f| Some(Source::new(format!("{FOLDER}/{}", deviations::FILE), f.contents_utf8()?)));
        let here = Path::new(FOLDER);
        let Some(dir) = dir.or_else(|| here.is_dir().then_some(here)) else { return Ok(library) };
        let disk = Library::from_sources(read_dir(dir)?)?;
        library.scenarios.extend(disk.scenarios);
        let deviations = dir.join(deviations::FILE);
        if deviations.is_file() {
            library.deviations = Some(Source::read(&deviations).map_err(LibraryError::unreadable(&deviations))?);
        }
        let layouts = dir.join("layouts");
        if layouts.is_dir() {
            library.layouts.add_dir(&layouts)?;
        }
        Ok(library)
    }

    /// From texts; those of the group `layouts` are layouts.
    pub fn from_sources(sources: Vec<Source>) -> Result<Library, LibraryError> {
        let (layouts, rest): (Vec<Source>, Vec<Source>) = sources.into_iter().partition(|s| s.group == "layouts");
        let mut scenarios: BTreeMap<String, Source> = BTreeMap::new();
        for source in rest {
            if let Some(first) = scenarios.get(&source.id) {
                return Err(LibraryError::Duplicate { id: source.id, first: first.name.clone(), second: source.name });
            }
            scenarios.insert(source.id.clone(), source);
        }
        Ok(Library { scenarios, layouts: Layouts::from_sources(layouts), deviations: None })
    }

    /// All scenarios, by id.
    pub fn all(&self) -> impl Iterator<Item = &Source> {
        self.scenarios.values()
    }

    /// Those that the words select: file path, id, group, tag, level, or a pattern with `*` and `?` over `group/id` or
    /// the id. Without words: all. In order, each once.
    pub fn select(&self, words: &[String]) -> Result<Vec<Source>, LibraryError> {
        if words.is_empty() {
            return Ok(self.all().cloned().collect());
        }
        let mut out: Vec<Source> = Vec::new();
        for word in words {
            for source in self.word(word)? {
                if !out.contains(&source) {
                    out.push(source);
                }
            }
        }
        Ok(out)
    }

    fn word(&self, word: &str) -> Result<Vec<Source>, LibraryError> {
        if let Some(source) = self.scenarios.get(word) {
            return Ok(vec![source.clone()]);
        }
        let path = Path::new(word);
        if path.is_file() {
            return Source::read(path).map(|s| vec![s]).map_err(LibraryError::unreadable(path));
        }
        let pattern = word.contains(['*', '?']);
        let chosen = |s: &&Source| {
            if pattern {
                glob(word, &s.id) || glob(word, &format!("{}/{}", s.group, s.id))
            } else {
                s.group == word || format!("{}/{}", s.group, s.id) == word || tags(s).iter().any(|t| t == word)
            }
        };
        let found: Vec<Source> = self.all().filter(chosen).cloned().collect();
        if !found.is_empty() {
            return Ok(found);
        }
        if path.is_dir() {
            return Err(LibraryError::Folder { word: word.to_owned() });
        }
        let mut valid: Vec<String> = self.all().flat_map(|s| tags(s).into_iter().chain([s.id.clone(), s.group.clone()])).collect();
        valid.sort();
        valid.dedup();
        let hint = nearest(word, valid.iter().map(String::as_str)).map(str::to_owned);
        Err(LibraryError::Unknown { word: word.to_owned(), hint })
    }
}

/// Tags and level, read without checking the rest: a scenario with a mistake can still be selected, and then shows it.
fn tags(source: &Source) -> Vec<String> {
    let (document, _) = DeTable::parse_recoverable(&source.text);
    let Some(scenario) = document.get_ref().get("scenario").and_then(|s| s.get_ref().as_table()) else { return Vec::new() };
    let text = |v: &DeValue<'_>| v.as_str().map(str::to_owned);
    let listed = scenario.get("tags").and_then(|t| t.get_ref().as_array());
    let mut out: Vec<String> = listed.into_iter().flat_map(|a| a.iter()).filter_map(|t| text(t.get_ref())).collect();
    out.push(scenario.get("level").and_then(|l| text(l.get_ref())).unwrap_or_else(|| "core".to_owned()));
    out.push(scenario.get("kind").and_then(|k| text(k.get_ref())).unwrap_or_else(|| "failure".to_owned()));
    out
}

/// `*`: any text, `?`: one character. Linear in practice: remembers only the last star.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> Library {
        Library::from_sources(vec![
            Source::new("scenarios/nat/nat-rebind.toml", "[scenario]\ntags = [\"mobike\"]\n"),
            Source::new("scenarios/nat/nat-timeout.toml", "[scenario]\nlevel = \"extended\"\n"),
            Source::new("scenarios/controls/ok.toml", "[scenario\nbroken"),
        ])
        .unwrap()
    }

    fn ids(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        library().select(&words).unwrap().into_iter().map(|s| s.id).collect()
    }

    #[test]
    fn words_select_by_id_group_tag_level_and_pattern() {
        assert_eq!(ids(&[]), ["nat-rebind", "nat-timeout", "ok"]);
        assert_eq!(ids(&["ok"]), ["ok"]);
        assert_eq!(ids(&["nat"]), ["nat-rebind", "nat-timeout"]);
        assert_eq!(ids(&["mobike"]), ["nat-rebind"]);
        assert_eq!(ids(&["extended"]), ["nat-timeout"]);
        assert_eq!(ids(&["nat/*", "*rebind"]), ["nat-rebind", "nat-timeout"]);
        assert_eq!(ids(&["controls/ok"]), ["ok"]);
    }

    #[test]
    fn an_unknown_word_gets_the_nearest() {
        let error = library().select(&["nat-rebnid".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("did you mean `nat-rebind`?"), "{error}");
    }

    #[test]
    fn globs() {
        for (pattern, text, is) in
            [("a*c", "abc", true), ("a*c", "ab", false), ("*", "", true), ("a?c*", "abcd", true), ("*b*b", "abab", true), ("?", "", false)]
        {
            assert_eq!(glob(pattern, text), is, "{pattern} {text}");
        }
    }

    #[test]
    fn files_on_disk_win() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("reachability");
        std::fs::create_dir(&group).unwrap();
        std::fs::write(group.join("ike-udp500-silent-drop.toml"), "# mine").unwrap();
        let library = Library::open(Some(dir.path())).unwrap();
        let mine = library.select(&["ike-udp500-silent-drop".to_owned()]).unwrap();
        assert_eq!(*mine[0].text, "# mine");
        assert_eq!(mine[0].group, "reachability");
    }
}
