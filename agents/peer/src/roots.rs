//! Private roots: implementations that were unpacked beside the system instead of being installed into it, because their
//! packages conflict with each other.

use std::path::{Path, PathBuf};

/// Overrides where private roots are looked for.
pub const ROOTS_VARIABLE: &str = "FAULTLAB_PEERS";
/// The command that fills them.
pub const ROOTS_COMMAND: &str = "make peers";

/// Folders that may hold private roots, the first choice first: `$FAULTLAB_PEERS` alone if it is set; otherwise the
/// user's cache, then the machine's.
pub fn root_folders() -> Vec<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(only) = set(ROOTS_VARIABLE) {
        return vec![only];
    }
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.into_iter().chain([PathBuf::from("/var/cache")]).map(|c| c.join("faultlab/peers")).collect()
}

/// The private root of an implementation that contains `program` (a path without its leading `/`).
pub fn private_root(implementation: &str, program: &str) -> Option<PathBuf> {
    root_folders().into_iter().map(|f| f.join(implementation)).find(|root| Path::new(root).join(program).is_file())
}
