//! Is charon here, which one, and how can it carry ESP?

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use peer::{Capability, Missing, Probe};
use serde::{Deserialize, Serialize};

const INSTALL: &str = "apt-get install strongswan-charon strongswan-swanctl libcharon-extra-plugins libstrongswan-extra-plugins \
                       libstrongswan-standard-plugins";

/// Where distributions put the daemon.
const DAEMONS: [&str; 4] =
    ["/usr/lib/ipsec/charon", "/usr/libexec/ipsec/charon", "/usr/lib/strongswan/charon", "/usr/libexec/strongswan/charon"];

/// Who carries ESP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataPath {
    /// The kernel's XFRM.
    Kernel {
        /// It does AH too.
        ah: bool,
    },
    /// The plugin kernel-libipsec: a TUN device and ESP in UDP, in the daemon's own process.
    Libipsec,
}

/// An installed daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) program: PathBuf,
    pub(crate) version: String,
    pub(crate) plugins: Vec<String>,
    pub(crate) data_path: DataPath,
}

impl Found {
    pub(crate) fn probe(&self) -> Probe {
        use Capability::*;
        let mut capabilities = vec![Ikev1, Aggressive, Ikev2, UdpEsp, Mobike, MoreChildren];
        let all = |plugins: &[&str]| plugins.iter().all(|p| self.has(p));
        if all(&["x509", "pubkey", "pkcs8"]) {
            capabilities.extend([Certificates, CertificateChains]);
        }
        capabilities.extend(all(&["eap-identity", "eap-md5", "eap-mschapv2"]).then_some(Eap));
        // From 6.0 on (RFC 9370).
        let major = self.version.split('.').next().and_then(|v| v.parse::<u32>().ok());
        capabilities.extend(major.is_some_and(|v| v >= 6).then_some(AdditionalKe));
        let data_path = match self.data_path {
            DataPath::Libipsec => "kernel-libipsec (UDP-encapsulated tunnel mode)",
            DataPath::Kernel { ah } => {
                capabilities.extend([RawEsp, Transport]);
                capabilities.extend(ah.then_some(Ah));
                "kernel (XFRM)"
            }
        };
        let found = serde_json::to_string(self).unwrap_or_default();
        Probe { version: self.version.clone(), data_path: data_path.into(), capabilities, found }
    }

    pub(crate) fn has(&self, plugin: &str) -> bool {
        self.plugins.iter().any(|p| p == plugin)
    }
}

/// Looks for the daemon; asks it for its version and the kernel for ESP.
pub(crate) fn find() -> Result<Found, Missing> {
    let in_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).map(|d| d.join("charon")).collect::<Vec<_>>());
    let program = DAEMONS
        .iter()
        .map(PathBuf::from)
        .chain(in_path.unwrap_or_default())
        .find(|p| p.is_file())
        .ok_or_else(|| missing("strongSwan's charon is not installed"))?;
    let version = version(&program)?;
    let plugins = plugins(&program);
    for needed in ["vici", "kernel-netlink", "socket-default", "openssl"] {
        if !plugins.iter().any(|p| p == needed) {
            return Err(missing(&format!("strongSwan's plugin {needed} is not installed")));
        }
    }
    let data_path = if kernel_does("esp", &["enc", "cbc(aes)", KEY]) {
        DataPath::Kernel { ah: kernel_does("ah", &[]) }
    } else if !plugins.iter().any(|p| p == "kernel-libipsec") {
        return Err(missing("this kernel has no ESP, and strongSwan's plugin kernel-libipsec is not installed"));
    } else {
        tun().map_err(|e| Missing {
            what: format!("this kernel has no ESP, and kernel-libipsec needs /dev/net/tun: {e}"),
            hint: "load the tun module (modprobe tun), or give the container or the user access to /dev/net/tun".into(),
        })?;
        DataPath::Libipsec
    };
    Ok(Found { program, version, plugins, data_path })
}

/// Can this process open the device that kernel-libipsec makes its interface with?
pub fn tun() -> io::Result<()> {
    // Linux: Documentation/admin-guide/devices.txt.
    const MAJOR_MINOR: u64 = (10 << 8) | 200;
    let device = File::options().read(true).write(true).open("/dev/net/tun")?.metadata()?;
    if device.file_type().is_char_device() && device.rdev() == MAJOR_MINOR {
        Ok(())
    } else {
        Err(io::Error::other("something else has this name"))
    }
}

fn missing(what: &str) -> Missing {
    Missing { what: what.into(), hint: INSTALL.into() }
}

fn version(program: &Path) -> Result<String, Missing> {
    let told = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let told = told.map_err(|e| missing(&format!("{} does not run: {e}", program.display())))?;
    let text = String::from_utf8_lossy(&told.stdout);
    // "Linux strongSwan 5.9.8"
    match text.split_once("strongSwan").map(|(_, v)| v.trim()) {
        Some(v) if !v.is_empty() => Ok(v.lines().next().unwrap_or(v).to_owned()),
        _ => Err(missing(&format!("{} is not strongSwan's charon: it says {:?}", program.display(), text.trim()))),
    }
}

/// Names of the plugins beside the daemon, or where distributions keep them.
fn plugins(program: &Path) -> Vec<String> {
    let beside = program.parent().map(|d| d.join("plugins"));
    let usual = ["/usr/lib/ipsec/plugins", "/usr/lib64/ipsec/plugins", "/usr/lib64/strongswan/plugins", "/usr/lib/strongswan/plugins"];
    let Some(entries) = beside.into_iter().chain(usual.map(PathBuf::from)).find_map(|d| std::fs::read_dir(d).ok()) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter_map(|n| Some(n.strip_prefix("libstrongswan-")?.strip_suffix(".so")?.to_owned()))
        .collect();
    names.sort();
    names
}

const KEY: &str = "0x00112233445566778899aabbccddeeff";

/// Tries to add an SA in a network namespace that ends with the attempt. `false` also when it cannot be tried.
fn kernel_does(proto: &str, cipher: &[&str]) -> bool {
    let attempt = |unshare: &[&str]| {
        Command::new("unshare")
            .args(unshare)
            .args(["ip", "xfrm", "state", "add", "src", "127.0.0.1", "dst", "127.0.0.2", "proto", proto, "spi", "0x1000", "mode", "tunnel"])
            .args(cipher)
            .args(["auth-trunc", "hmac(sha1)", "0x00112233445566778899aabbccddeeff00112233", "96"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    attempt(&["--net"]) || attempt(&["--user", "--map-root-user", "--net"])
}
