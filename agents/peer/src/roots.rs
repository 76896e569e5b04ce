//! Finds an implementation's programs: in the system, or in a private root beside it, because packages of several
//! implementations conflict with each other.
//!
//! A private root is complete, its own libc included, so that nothing of it depends on what the system has. A daemon gets a mount
//! namespace in which `/usr` and `/etc` are the root's ([`Home::binds`]), so that it, and whatever it starts, with any environment,
//! finds programs and libraries where they were installed to. Small programs that start nothing else run outside of it, by the root's
//! own loader ([`Home::command`]).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// Overrides where private roots are looked for.
pub const ROOTS_VARIABLE: &str = "FAULTLAB_PEERS";
/// The command that fills them.
pub const ROOTS_COMMAND: &str = "make peers";
/// Lists a root's packages and versions; written last, so that a root without it is not complete.
const PACKAGES: &str = "packages";

/// The place of an implementation's programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// A private root; `None`: the system.
    root: Option<PathBuf>,
}

impl Home {
    /// The running system.
    pub fn system() -> Home {
        Home { root: None }
    }

    /// A private root, whatever is in it.
    pub fn root(folder: PathBuf) -> Home {
        Home { root: Some(folder) }
    }

    /// Returns every home that may have an implementation, the first choice first: the system, then the private roots; the
    /// roots first when `$FAULTLAB_PEERS` names them.
    pub fn candidates(implementation: &str) -> Vec<Home> {
        let (folders, named) = root_folders();
        let complete = folders.into_iter().map(|f| f.join(implementation)).filter(|root| root.join(PACKAGES).is_file());
        let roots = complete.map(Home::root);
        if named { roots.chain([Home::system()]).collect() } else { [Home::system()].into_iter().chain(roots).collect() }
    }

    /// Returns whether this is a private root.
    pub fn is_private(&self) -> bool {
        self.root.is_some()
    }

    /// Returns where a file of the implementation is for us; `seen` is its path as the implementation sees it.
    pub fn file(&self, seen: impl AsRef<Path>) -> PathBuf {
        let seen = seen.as_ref();
        match &self.root {
            Some(root) => root.join(seen.strip_prefix("/").unwrap_or(seen)),
            None => seen.to_owned(),
        }
    }

    /// Returns what a daemon's mount namespace needs: `/usr` last, since whoever mounts may come from there.
    pub fn binds(&self) -> Vec<(PathBuf, PathBuf)> {
        let Some(root) = &self.root else { return Vec::new() };
        ["etc", "usr"].map(|folder| (root.join(folder), Path::new("/").join(folder))).to_vec()
    }

    /// Makes a command that runs one of the implementation's programs outside of any mount namespace. The program must not start
    /// others: those would be the system's.
    pub fn command(&self, seen: impl AsRef<Path>) -> Command {
        let program = self.file(seen);
        let Some((root, loader)) = self.root.as_ref().and_then(|root| Some((root, loader(root)?))) else { return Command::new(program) };
        let mut command = Command::new(loader);
        command.arg("--library-path").arg(library_path(root)).arg(program);
        command
    }

    /// Says where this is, for messages.
    pub fn describe(&self) -> String {
        self.root.as_ref().map_or_else(|| "the system".into(), |root| format!("the private root {}", root.display()))
    }

    /// Returns the command that puts a root right that does not work.
    pub fn remedy(&self) -> String {
        self.root.as_ref().map_or_else(|| ROOTS_COMMAND.into(), |root| format!("rm -r {}; {ROOTS_COMMAND}", root.display()))
    }
}

/// Folders that may hold private roots, the first choice first: `$FAULTLAB_PEERS` alone if it is set (then the second is true);
/// otherwise the user's cache, then the machine's.
fn root_folders() -> (Vec<PathBuf>, bool) {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(only) = set(ROOTS_VARIABLE) {
        return (vec![only], true);
    }
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    (cache.into_iter().chain([PathBuf::from("/var/cache")]).map(|c| c.join("faultlab/peers")).collect(), false)
}

/// Folders of an architecture's libraries (`usr/lib/x86_64-linux-gnu`).
fn triplets(root: &Path) -> Vec<PathBuf> {
    let below = std::fs::read_dir(root.join("usr/lib")).into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
    below.filter(|p| p.is_dir() && p.to_string_lossy().contains("-linux-")).collect()
}

/// The root's own loader. Not by its link in `usr/lib64`, which may be absolute and lead out of the root.
fn loader(root: &Path) -> Option<PathBuf> {
    triplets(root).iter().flat_map(std::fs::read_dir).flatten().filter_map(|e| Some(e.ok()?.path())).find(|p| {
        let name = p.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ld-linux") && name.contains(".so")
    })
}

/// Returns the folders of a root's libraries, strongSwan's own included.
fn library_path(root: &Path) -> std::ffi::OsString {
    let folders = triplets(root).into_iter().chain(["usr/lib/ipsec", "usr/lib"].map(|f| root.join(f)));
    // Their names come from the root's own path; a colon in it would split them.
    std::env::join_paths(folders).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_replaces_the_system_and_the_system_nothing() {
        let home = Home::root("/cache/libreswan".into());
        assert_eq!(home.file("/usr/bin/x"), Path::new("/cache/libreswan/usr/bin/x"));
        let binds = home.binds();
        assert_eq!(binds.last(), Some(&("/cache/libreswan/usr".into(), "/usr".into())), "{binds:?}");
        assert_eq!(home.remedy(), "rm -r /cache/libreswan; make peers");
        let system = Home::system();
        assert_eq!(system.file("/usr/bin/x"), Path::new("/usr/bin/x"));
        assert!(system.binds().is_empty() && !system.is_private());
    }
}
