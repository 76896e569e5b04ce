//! The pocket world: a Linux kernel of our own (User-Mode Linux) that runs as an ordinary process, with everything that the
//! running kernel may lack, and with virtual time. This file finds the kernel and knows its command line; `cell/pocket.rs`
//! starts it, `cell/guest.rs` is its first process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peer::Missing;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use crate::text::hex;

/// Names a kernel to use instead of the one that `make kernel` builds.
pub const KERNEL_VARIABLE: &str = "FAULTLAB_KERNEL";
/// When virtual time begins: 2026-01-01 00:00 UTC. A fixed date makes certificates, logs and captures reproducible.
pub const EPOCH: Duration = Duration::from_secs(1_767_225_600);
/// For how long the kernel runs before that: programs that count from the start of the machine are tested on machines that have been
/// up for a while. (charon 5.9 subtracts a random part of that time from its COOKIEs, and accepts none in the ten seconds after.)
const UPTIME: Duration = Duration::from_secs(2 * 3600);
/// Memory of a pocket; only what is touched is taken from the host.
const MEMORY_MIB: u32 = 768;

/// What the kernel is built from; its place in the cache is named by a hash over this, as in `pocket/build.sh`.
const SOURCES: [&str; 8] = [
    include_str!("../../pocket/kernel.config"),
    include_str!("../../pocket/patches/1-wide-registers/before-6.13.patch"),
    include_str!("../../pocket/patches/1-wide-registers/needless"),
    include_str!("../../pocket/patches/2-die-with-the-kernel/before-6.12.patch"),
    include_str!("../../pocket/patches/2-die-with-the-kernel/since-6.12.patch"),
    include_str!("../../pocket/patches/2-die-with-the-kernel/since-6.16.patch"),
    include_str!("../../pocket/patches/3-no-two-moments-alike.patch"),
    include_str!("../../pocket/patches/4-system-calls-take-time.patch"),
];

/// How to start one pocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pocket {
    /// The kernel.
    pub kernel: PathBuf,
    /// The core to stay on: a pocket has one CPU, and moving it between cores doubles the cost of its system calls.
    pub cpu: Option<usize>,
    /// Let time pass as on the host.
    pub real_time: bool,
    /// A folder that is shared with the host under its own name.
    pub share: Option<PathBuf>,
}

impl Pocket {
    /// In virtual time, on any core.
    pub fn new(kernel: PathBuf) -> Pocket {
        Pocket { kernel, cpu: None, real_time: false, share: None }
    }

    /// The kernel's arguments; `init` is the guest's first process, `words` what it is told, and `state` a folder for the
    /// kernel's own files.
    pub(super) fn arguments(&self, init: &Path, words: [&str; 2], state: &Path) -> Result<Vec<OsString>, Missing> {
        if init.to_str().is_none_or(|p| p.contains(char::is_whitespace)) {
            return Err(Missing {
                what: format!("the pocket kernel cannot start a program whose path has spaces: {}", init.display()),
                hint: "put faultlab somewhere else".into(),
            });
        }
        let mut args: Vec<OsString> = vec![
            format!("mem={MEMORY_MIB}M").into(),
            // Without this 6.1 looks for a block device.
            "root=hostfs".into(),
            "rootfstype=hostfs".into(),
            "rootflags=/".into(),
            "ro".into(),
            "quiet".into(),
            // The event stream is the second console (nothing comes in: time would fly while the guest waits for the host); what the kernel and stray programs say goes to standard error.
            "con0=null,fd:2".into(),
            "con1=null,fd:1".into(),
            "con=null".into(),
            "panic=-1".into(),
            // Its self-test measures how unsteady the clock is; virtual time never is, and 6.12 tries for half a minute. (Needs KALLSYMS.)
            "initcall_blacklist=jent_mod_init".into(),
            // How it runs programs, where both kernels can (since 6.16): two thirds of the time of ptrace. An older one does not know the word.
            "seccomp=auto".into(),
        ];
        for (name, path) in [("init=", init), ("uml_dir=", state)] {
            let mut arg = OsString::from(name);
            arg.push(path);
            args.push(arg);
        }
        if !self.real_time {
            args.push("time-travel=inf-cpu".into());
            args.push(format!("time-travel-start={}", (EPOCH - UPTIME).as_nanos()).into());
        }
        args.push("--".into());
        args.extend(words.map(OsString::from));
        Ok(args)
    }
}

/// Looks for the kernel.
pub fn find() -> Result<PathBuf, Missing> {
    if let Some(named) = std::env::var_os(KERNEL_VARIABLE).filter(|v| !v.is_empty()) {
        let path = PathBuf::from(named);
        let what = format!("{KERNEL_VARIABLE} names {}, which is no file", path.display());
        return if path.is_file() { Ok(path) } else { Err(Missing { what, hint: "correct it, or unset it".into() }) };
    }
    if !cfg!(target_arch = "x86_64") {
        return Err(Missing {
            what: "the pocket kernel (User-Mode Linux) runs on x86-64 only".into(),
            hint: "use the host world, or another machine".into(),
        });
    }
    let places = places();
    places
        .iter()
        .find(|p| p.is_file())
        .cloned()
        .ok_or_else(|| Missing { what: "the pocket kernel has not been built".into(), hint: "make kernel (some minutes, once)".into() })
}

/// Where the kernel may be, the first choice first.
pub fn places() -> Vec<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let own = set("FAULTLAB_KERNELS");
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let shared = cache.into_iter().chain([PathBuf::from("/var/cache")]).map(|c| c.join("faultlab/kernel"));
    own.into_iter().chain(shared).map(|folder| folder.join(id()).join("linux")).collect()
}

/// First 16 hexadecimal digits of the hash over the kernel's configuration and patches.
pub fn id() -> String {
    let mut hash = Sha1::new();
    SOURCES.iter().for_each(|s| hash.update(s));
    hex(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_that_the_build_script_computes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pocket");
        let script = std::fs::read_to_string(folder.join("build.sh")).unwrap();
        let line = script.lines().find(|l| l.starts_with("id=")).unwrap();
        let told =
            std::process::Command::new("sh").args(["-c", &format!("here='{}'; {line}; echo $id", folder.display())]).output().unwrap();
        assert_eq!(String::from_utf8(told.stdout).unwrap().trim(), id());
    }

    #[test]
    fn virtual_time_begins_at_a_fixed_date() {
        let args = Pocket::new("linux".into()).arguments(Path::new("/bin/faultlab"), ["__word", "/orders"], Path::new("/run")).unwrap();
        assert!(args.contains(&"time-travel=inf-cpu".into()) && args.contains(&"init=/bin/faultlab".into()), "{args:?}");
        assert_eq!(args[args.len() - 3..], ["--", "__word", "/orders"]);
        let real = Pocket { real_time: true, ..Pocket::new("linux".into()) };
        let args = real.arguments(Path::new("/bin/faultlab"), ["__word", "/orders"], Path::new("/run")).unwrap();
        assert!(!args.iter().any(|a| a.to_string_lossy().starts_with("time-travel")), "{args:?}");
        assert!(real.arguments(Path::new("/a b/faultlab"), ["__word", "/orders"], Path::new("/run")).is_err());
    }
}
