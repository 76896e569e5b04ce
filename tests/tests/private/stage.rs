//! A folder where somebody without privilege runs the program, and what is in it afterwards.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::Failed;

use crate::processes;

/// In the environment of every program that is run here; no cell has use for it.
pub const TOKEN: (&str, &str) = ("SOME_SERVICES_TOKEN", "hush-hush-9137");

/// A user namespace can be made, and its maps cannot be written, as with Ubuntu's AppArmor: here because its `/proc` is read-only.
const HALF: &str =
    "mount --bind /proc /proc && mount -o remount,bind,ro /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";

pub struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    /// With folders `evidence` and `tmp`.
    pub fn new() -> Result<Stage, Failed> {
        let folder = tempfile::tempdir()?;
        for name in ["", "evidence", "tmp"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(&path)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))?;
        }
        Ok(Stage { folder })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program, as the user who runs the tests.
    pub fn run(&self, arguments: &[&str]) -> Result<Output, Failed> {
        self.finish(Command::new(processes::binary()), arguments)
    }

    /// Runs the program where namespaces are refused. Needs root to set the stage.
    pub fn run_without_namespaces(&self, arguments: &[&str]) -> Result<Output, Failed> {
        // Where everybody can read them.
        let (program, kernel) = (self.path("faultlab"), self.path("linux"));
        std::fs::copy(processes::binary(), &program)?;
        std::fs::copy(faultlab::world::pocket::find().map_err(|m| m.to_string())?, &kernel)?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", HALF, "sh"]).arg(program).env(faultlab::world::pocket::KERNEL_VARIABLE, kernel);
        self.finish(command, arguments)
    }

    fn finish(&self, mut command: Command, arguments: &[&str]) -> Result<Output, Failed> {
        command.args(arguments).env(TOKEN.0, TOKEN.1).env("TMPDIR", self.path("tmp"));
        Ok(command.current_dir(self.folder.path()).output()?)
    }

    /// Files below a folder in which one of these texts is.
    pub fn holding(&self, name: &str, texts: &[&str]) -> Result<Vec<PathBuf>, Failed> {
        let mut found = Vec::new();
        for file in files(&self.path(name))? {
            let octets = std::fs::read(&file)?;
            if texts.iter().any(|text| octets.windows(text.len()).any(|w| w == text.as_bytes())) {
                found.push(file);
            }
        }
        Ok(found)
    }
}

/// All regular files below a folder.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let (mut files, mut pending) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// What was said, on both streams.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
