//! Is pluto here, which one, and can this kernel carry its ESP?

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use peer::{Capability, Missing, Probe, ROOTS_COMMAND, private_root};
use serde::{Deserialize, Serialize};

/// Where distributions install the daemon; strongSwan has used the second folder too.
const INSTALLED: [&str; 2] = ["/usr/libexec/ipsec", "/usr/lib/ipsec"];
/// Where the unpacked package has it, and where the daemon looks for its own programs.
const LIBEXEC: &str = "usr/libexec/ipsec";

/// A daemon that can be started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Found {
    /// The folder of `pluto`, `whack` and `addconn`.
    pub(crate) programs: PathBuf,
    /// Its place as the daemon sees it, where its own scripts are found.
    pub(crate) seen_at: PathBuf,
    certutil: PathBuf,
    /// Set when it was unpacked and not installed.
    root: Option<PathBuf>,
    version: String,
    ah: bool,
    ipcomp: bool,
}

impl Found {
    pub(crate) fn probe(&self) -> Probe {
        use Capability::*;
        let mut capabilities =
            vec![Ikev1, Aggressive, Ikev2, RawEsp, UdpEsp, Transport, Esn, NattOff, Certificates, CertificateChains, MoreChildren];
        capabilities.extend(self.ah.then_some(Ah));
        capabilities.extend(self.ipcomp.then_some(Ipcomp));
        let found = serde_json::to_string(self).unwrap_or_default();
        Probe { version: self.version.clone(), data_path: "kernel (XFRM)".into(), capabilities, found }
    }

    /// `pluto`, `whack` or `addconn`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    pub(crate) fn certutil(&self) -> &Path {
        &self.certutil
    }

    /// From the same package as `certutil`.
    pub(crate) fn pk12util(&self) -> PathBuf {
        self.certutil.with_file_name("pk12util")
    }

    /// What every program of an unpacked root needs in its environment.
    pub(crate) fn libraries(&self) -> Option<(&'static str, OsString)> {
        Some(("LD_LIBRARY_PATH", libraries(self.root.as_ref()?)))
    }

    /// The daemon insists on its programs at their installed place.
    pub(crate) fn binds(&self) -> Option<(PathBuf, PathBuf)> {
        Some((self.root.as_ref()?.join("usr/libexec"), PathBuf::from("/usr/libexec")))
    }
}

#[cfg(test)]
impl Found {
    /// An installed daemon that is never started.
    pub(crate) fn sample() -> Found {
        let programs = PathBuf::from(INSTALLED[0]);
        let seen_at = programs.clone();
        Found { programs, seen_at, certutil: PathBuf::new(), root: None, version: "4.10".into(), ah: true, ipcomp: true }
    }
}

/// The loader's path: every folder below `lib` and `usr/lib` that holds shared objects.
fn libraries(root: &Path) -> OsString {
    let mut folders = Vec::new();
    for lib in ["usr/lib", "lib", "usr/lib64"] {
        let lib = root.join(lib);
        let below = std::fs::read_dir(&lib).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_dir());
        folders.extend(below.filter(|p| p.to_string_lossy().contains("-linux-")));
        folders.push(lib);
    }
    std::env::join_paths(folders).unwrap_or_default()
}

/// Looks for the daemon; asks it for its version and the kernel for ESP.
pub(crate) fn find() -> Result<Found, Missing> {
    let (programs, root, version) = installed()
        .or_else(unpacked)
        .ok_or_else(|| Missing { what: "libreswan's pluto is neither installed nor unpacked".into(), hint: ROOTS_COMMAND.into() })??;
    let seen_at = if root.is_some() { Path::new("/").join(LIBEXEC) } else { programs.clone() };
    if root.is_some() && !Path::new("/usr/libexec").is_dir() {
        return Err(Missing { what: "libreswan's programs need a folder /usr/libexec".into(), hint: "mkdir /usr/libexec".into() });
    }
    for needed in ["whack", "addconn"] {
        if !programs.join(needed).is_file() {
            return Err(Missing { what: format!("{} has no {needed}", programs.display()), hint: ROOTS_COMMAND.into() });
        }
    }
    let certutil = match &root {
        Some(root) => root.join("usr/bin/certutil"),
        None => PathBuf::from("certutil"),
    };
    let probe = |proto: &str, algorithms: &[&str]| kernel_does(proto, algorithms);
    if !probe("esp", &["enc", "cbc(aes)", KEY, "auth-trunc", "hmac(sha1)", AUTH_KEY, "96"]) {
        return Err(Missing {
            what: "this kernel has no ESP (XFRM), or `ip` and `unshare` are missing to try it; libreswan has no other data path".into(),
            hint: "use a kernel with CONFIG_XFRM_USER and CONFIG_INET_ESP (modprobe esp4), or apt-get install iproute2 util-linux".into(),
        });
    }
    let ah = probe("ah", &["auth-trunc", "hmac(sha1)", AUTH_KEY, "96"]);
    let ipcomp = probe("comp", &["comp", "deflate"]);
    Ok(Found { programs, seen_at, certutil, root, version, ah, ipcomp })
}

type Place = (PathBuf, Option<PathBuf>, String);

/// An installed libreswan. What is of another make is passed over in silence: it is another driver's.
fn installed() -> Option<Result<Place, Missing>> {
    INSTALLED.iter().map(PathBuf::from).find_map(|programs| {
        let version = version(&programs.join("pluto"), None).ok()?;
        Some(Ok((programs, None, version)))
    })
}

fn unpacked() -> Option<Result<Place, Missing>> {
    let root = private_root("libreswan", &format!("{LIBEXEC}/pluto"))?;
    let programs = root.join(LIBEXEC);
    let told = version(&programs.join("pluto"), Some(&root)).map_err(|why| Missing {
        what: format!("the libreswan in {} does not run: {why}", root.display()),
        hint: format!("rm -r {}; {ROOTS_COMMAND}", root.display()),
    });
    Some(told.map(|version| (programs, Some(root), version)))
}

/// `Libreswan 4.10 IKEv2 IKEv1 XFRM …` becomes `4.10`.
fn version(program: &Path, root: Option<&PathBuf>) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    if let Some(root) = root {
        command.env("LD_LIBRARY_PATH", libraries(root));
    }
    let told = command.output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&told.stdout);
    match text.strip_prefix("Libreswan ").and_then(|t| t.split_whitespace().next()) {
        Some(version) => Ok(version.to_owned()),
        None => Err(format!("{}{}", text.trim(), String::from_utf8_lossy(&told.stderr).trim())),
    }
}

const KEY: &str = "0x00112233445566778899aabbccddeeff";
const AUTH_KEY: &str = "0x00112233445566778899aabbccddeeff00112233";

/// Tries to add an SA in a network namespace that ends with the attempt. `false` also when it cannot be tried.
fn kernel_does(proto: &str, algorithms: &[&str]) -> bool {
    let attempt = |unshare: &[&str]| {
        Command::new("unshare")
            .args(unshare)
            .args(["ip", "xfrm", "state", "add", "src", "127.0.0.1", "dst", "127.0.0.2", "proto", proto, "spi", "0x1000", "mode", "tunnel"])
            .args(algorithms)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    attempt(&["--net"]) || attempt(&["--user", "--map-root-user", "--net"])
}
