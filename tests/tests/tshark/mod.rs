//! tshark, the oracle: the program of `FAULTLAB_TSHARK`, or `tshark` of the path; which version it is; what its filters select.
//!
//! From 4.4 on, Lua does not run for the superuser. For one, tshark runs as another user, in a folder of its own that has copies of
//! all it reads.
#![allow(dead_code, reason = "each of the tests that share this uses a part of it")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::unistd::{Gid, Uid, chown, geteuid};

/// Names the program that is asked in place of `tshark`.
const VARIABLE: &str = "FAULTLAB_TSHARK";

/// User and group of a tshark that the superuser starts: nobody.
const NOBODY: u32 = 65534;

const SCRIPT: &str = include_str!("select.lua");

/// A frame numbers' set, or why the filter is refused.
pub type Answer = Result<BTreeSet<u32>, String>;

/// A tshark that can be asked.
#[derive(Debug, Clone)]
pub struct Tshark {
    program: OsString,
    /// Major and minor version.
    pub version: (u32, u32),
    /// First line of `--version`.
    line: String,
}

/// What tshark reads and writes: owned by the user as whom it runs.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Tshark {
    /// Finds tshark; `None` when none is installed. What the variable names must be there and tell its version.
    pub fn find() -> Result<Option<Tshark>, String> {
        let named = std::env::var_os(VARIABLE);
        let program = named.clone().unwrap_or_else(|| "tshark".into());
        // As another user it runs in another folder.
        let program = match Path::new(&program).components().count() {
            1 => program,
            _ => std::path::absolute(&program).map_err(|e| e.to_string())?.into_os_string(),
        };
        let found = Tshark { program, version: (0, 0), line: String::new() };
        match found.run(&Desk::new()?, &["--version"]) {
            Ok(output) => found.told(&output).map(Some),
            Err(e) if e.kind() == ErrorKind::NotFound && named.is_none() => Ok(None),
            Err(e) => Err(format!("{}: {e}", found.program.display())),
        }
    }

    /// Like [`Tshark::find`], and writes to the terminal, whatever is captured, which tshark it is, or that there is none.
    pub fn announced() -> Option<Tshark> {
        let found = Tshark::find().unwrap_or_else(|e| panic!("{e}"));
        let line = found.as_ref().map_or("skipped: tshark is not installed; apt-get install tshark".to_owned(), |t| format!("oracle: {t}"));
        writeln!(std::io::stderr(), "{line}").unwrap_or_else(|e| panic!("{e}"));
        found
    }

    /// The frames of a file that each filter selects, in one pass. `keys` has the tables with which tshark decrypts.
    pub fn select(&self, file: &Path, keys: Option<&Path>, filters: &[String], options: &[&str]) -> Result<Vec<Answer>, String> {
        let desk = Desk::new()?;
        keys.map_or(Ok(()), |keys| desk.take_keys(keys))?;
        let file = desk.take(file)?;
        let script = desk.write("select.lua", SCRIPT)?;
        let list = desk.write("filters", &filters.iter().flat_map(|f| [f, "\n"]).collect::<String>())?;
        let out = desk.path().join("selected");
        let mut command = self.command(&desk);
        command.args(options).arg("-q").arg("-X").arg(format!("lua_script:{}", script.display())).arg("-r").arg(&file);
        let ended = command.env("ORACLE_FILTERS", &list).env("ORACLE_OUT", &out).output().map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        let text = std::fs::read_to_string(&out).map_err(|e| format!("{self} has not run the script ({e}): {said}"))?;
        let (answers, read) = answers(&text, filters.len())?;
        match ended.status.success() && read == filters.len() {
            true => Ok(answers),
            false => Err(format!("{self} has read {read} of {} filters: {said}", filters.len())),
        }
    }

    /// The frames of a file that a filter selects, written to another file.
    pub fn extract(&self, file: &Path, keys: Option<&Path>, filter: &str, to: &Path) -> Result<(), String> {
        let desk = Desk::new()?;
        keys.map_or(Ok(()), |keys| desk.take_keys(keys))?;
        let out = desk.path().join("extracted");
        let mut command = self.command(&desk);
        command.arg("-r").arg(desk.take(file)?).args(["-Y", filter, "-w"]).arg(&out);
        let ended = command.output().map_err(|e| e.to_string())?;
        if !ended.status.success() {
            return Err(format!("{self}: {}", String::from_utf8_lossy(&ended.stderr)));
        }
        std::fs::copy(&out, to).map(drop).map_err(|e| e.to_string())
    }

    fn run(&self, desk: &Desk, arguments: &[&str]) -> std::io::Result<Output> {
        self.command(desk).args(arguments).output()
    }

    fn command(&self, desk: &Desk) -> Command {
        let mut command = Command::new(&self.program);
        // Wireshark looks for its tables of keys in the folder of its configuration.
        command.arg("-n").current_dir(desk.path()).env("HOME", desk.path()).env("WIRESHARK_CONFIG_DIR", desk.path());
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn told(mut self, output: &Output) -> Result<Tshark, String> {
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().next().unwrap_or_default();
        let numbers = line.split(|c: char| !c.is_ascii_digit() && c != '.').find(|word| word.contains('.')).unwrap_or_default();
        let mut numbers = numbers.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
            return Err(format!("{} --version says no version: {line:?}", self.program.display()));
        };
        self.version = (major, minor);
        self.line = line.trim_end_matches('.').to_owned();
        Ok(self)
    }
}

impl fmt::Display for Tshark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if geteuid().is_root() { Uid::from_raw(NOBODY) } else { geteuid() };
        write!(f, "{} ({}), as user {user}", self.line, self.program.display())
    }
}

impl Desk {
    fn new() -> Result<Desk, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        own(folder.path())?;
        Ok(Desk { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.path().join(name);
        std::fs::write(&path, text).map_err(|e| e.to_string())?;
        own(&path)?;
        Ok(path)
    }

    fn take(&self, file: &Path) -> Result<PathBuf, String> {
        let name = file.file_name().ok_or_else(|| format!("{} has no name", file.display()))?;
        let path = self.path().join(name);
        std::fs::copy(file, &path).map_err(|e| format!("{}: {e}", file.display()))?;
        own(&path)?;
        Ok(path)
    }

    /// Copies the tables of keys that a run leaves, all of which are always there.
    fn take_keys(&self, from: &Path) -> Result<(), String> {
        use faultlab::run::artefacts::{ESP_SA, IKEV1_TABLE, IKEV2_TABLE};
        [ESP_SA, IKEV1_TABLE, IKEV2_TABLE].iter().try_for_each(|name| self.take(&from.join(name)).map(drop))
    }
}

/// Gives a file or folder to the user as whom tshark runs.
fn own(path: &Path) -> Result<(), String> {
    if !geteuid().is_root() {
        return Ok(());
    }
    chown(path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY)))
        .map_err(|e| format!("{} cannot be given to user {NOBODY}, as whom tshark runs for the superuser: {e}", path.display()))
}

/// What the script has written: an answer for each filter, and how many it has read.
fn answers(text: &str, filters: usize) -> Result<(Vec<Answer>, usize), String> {
    let (mut answers, mut read) = (vec![Ok(BTreeSet::new()); filters], 0);
    for line in text.lines() {
        let wrong = || format!("tshark's script said {line:?}");
        let (filter, rest) = line.split_once(' ').ok_or_else(wrong)?;
        let filter: usize = filter.parse().map_err(|_| wrong())?;
        if let Some(reason) = rest.strip_prefix("- ") {
            *answers.get_mut(filter.wrapping_sub(1)).ok_or_else(wrong)? = Err(reason.to_owned());
            continue;
        }
        let number: u32 = rest.parse().map_err(|_| wrong())?;
        match filter {
            0 => read = usize::try_from(number).map_err(|_| wrong())?,
            filter => match answers.get_mut(filter - 1) {
                Some(Ok(frames)) => drop(frames.insert(number)),
                _ => return Err(wrong()),
            },
        }
    }
    Ok((answers, read))
}

/// Fails when a program that runs no script passes for an oracle.
pub fn refuses_a_program_without_lua(file: &Path) {
    let mute = Tshark { program: "true".into(), version: (4, 0), line: "true".into() };
    let error = mute.select(file, None, &["udp".to_owned()], &[]).expect_err("`true` runs no Lua");
    assert!(error.contains("has not run the script"), "{error}");
}
