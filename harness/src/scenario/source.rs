//! A scenario's or layout's text and where it came from.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Octets of a file at most.
const MOST: u64 = 1 << 20;

/// Text of a file, with its name for messages. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Path as it should appear in messages.
    pub name: String,
    /// File stem: the scenario's id, or the layout's name.
    pub id: String,
    /// Folder the file is in: `reachability`, `nat` …
    pub group: String,
    /// The text.
    pub text: Arc<String>,
}

impl Source {
    /// From a path (which need not exist) and its text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        let name = name.into();
        let path = Path::new(&name);
        let part = |p: Option<&std::ffi::OsStr>| p.map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let id = part(path.file_stem());
        let group = part(path.parent().and_then(Path::file_name));
        Source { name, id, group, text: Arc::new(text.into()) }
    }

    /// Reads a file, which has at most 1 MiB.
    pub fn read(path: &Path) -> std::io::Result<Source> {
        let mut text = String::new();
        File::open(path)?.take(MOST + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MOST {
            return Err(std::io::Error::other(format!("it is larger than {} KiB, which no scenario is", MOST >> 10)));
        }
        let name = path.strip_prefix("./").unwrap_or(path).to_string_lossy().into_owned();
        Ok(Source::new(name, text))
    }
}
