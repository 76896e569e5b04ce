//! Is charon here, which one, and how can it carry ESP?

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use peer::{Capability, DriverError, Home, KernelSa, Missing, Place, Probe, ROOTS_COMMAND, ask_program};
use serde::{Deserialize, Serialize};

use crate::answers::{self, Answers};

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

/// A daemon that can be started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) home: Home,
    /// As the daemon itself sees it.
    pub(crate) program: PathBuf,
    pub(crate) version: String,
    /// Names of the plugins that are there; whether they load is another question.
    pub(crate) plugins: Vec<String>,
    pub(crate) data_path: DataPath,
}

impl Found {
    /// Returns what the daemon said of itself (`answers`) in the lab's words.
    pub(crate) fn probe(&self, answers: &Answers) -> Probe {
        use Capability::*;
        let mut capabilities = vec![Ikev2, UdpEsp, Mobike, MoreChildren];
        if answers.ikev1 {
            capabilities.extend([Ikev1, Aggressive]);
        }
        let all = |plugins: &[&str]| plugins.iter().all(|p| answers.plugins.iter().any(|loaded| loaded == p));
        if all(&["x509", "pubkey", "pkcs8"]) {
            capabilities.extend([Certificates, CertificateChains]);
        }
        capabilities.extend(all(&["eap-identity", "eap-md5", "eap-mschapv2"]).then_some(Eap));
        capabilities.extend(answers.additional_ke.then_some(AdditionalKe));
        capabilities.extend(answers.ml_kem.then_some(MlKem));
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

    /// A daemon that is there and does not do what it must.
    fn broken(&self, what: &DriverError) -> Missing {
        let place = self.home.describe();
        let hint = if self.home.is_private() {
            self.home.remedy()
        } else {
            format!("see {} --version, or: {ROOTS_COMMAND}", self.program.display())
        };
        Missing { what: format!("the charon {} of {place} cannot be used: {what}", self.version), hint }
    }
}

/// Looks for the daemon, and asks the kernel for ESP.
pub(crate) async fn find(place: &Place) -> Result<Found, DriverError> {
    let in_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).map(|d| d.join("charon")).collect::<Vec<_>>());
    let in_path = in_path.unwrap_or_default();
    let found = Home::candidates("strongswan").into_iter().find_map(|home| {
        let elsewhere = if home.is_private() { &[][..] } else { in_path.as_slice() };
        let mut programs = DAEMONS.iter().map(PathBuf::from).chain(elsewhere.iter().cloned());
        let program = programs.find(|p| home.file(p).is_file())?;
        Some((home, program))
    });
    let (home, program) = found.ok_or_else(|| missing("strongSwan's charon is neither installed nor in a private root"))?;
    let version = version(&home, &program, place).await?;
    let plugins = plugins(&home, &program);
    for needed in ["vici", "kernel-netlink", "socket-default", "openssl"] {
        if !plugins.iter().any(|p| p == needed) {
            return Err(missing(&format!("the charon of {} has no plugin {needed}", home.describe())).into());
        }
    }
    let data_path = if KernelSa::Esp.refusal(place).await?.is_none() {
        DataPath::Kernel { ah: KernelSa::Ah.refusal(place).await?.is_none() }
    } else if !plugins.iter().any(|p| p == "kernel-libipsec") {
        return Err(missing(&format!("this kernel has no ESP, and the charon of {} has no plugin kernel-libipsec", home.describe())).into());
    } else {
        tun().map_err(|e| Missing {
            what: format!("this kernel has no ESP, and kernel-libipsec needs /dev/net/tun: {e}"),
            hint: "load the tun module (modprobe tun), or give the container or the user access to /dev/net/tun".into(),
        })?;
        DataPath::Libipsec
    };
    Ok(Found { home, program, version, plugins, data_path })
}

/// Starts the daemon and asks it what it can do.
pub(crate) async fn ask(found: &Found, place: &Place) -> Result<Answers, DriverError> {
    answers::ask(found, place).await.map_err(|e| e.of_probe(|e| found.broken(e)))
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
    Missing { what: what.into(), hint: ROOTS_COMMAND.into() }
}

async fn version(home: &Home, program: &Path, place: &Place) -> Result<String, DriverError> {
    let bad = |what: String| Missing { what: format!("the charon of {} {what}", home.describe()), hint: home.remedy() };
    let mut command = home.command(program);
    if home.is_private() {
        // It reads its settings even for that, and only a file will do; those of a root are not where it looks. (Installed, it has its
        // own, and AppArmor may let it read no others.)
        let settings = place.dir.join("none.conf");
        let written = std::fs::create_dir_all(&place.dir).and_then(|()| std::fs::write(&settings, ""));
        written.map_err(|e| bad(format!("cannot be asked: {}: {e}", settings.display())))?;
        command.env("STRONGSWAN_CONF", settings);
    }
    let told = ask_program("charon --version", command.arg("--version")).await;
    let told = told.map_err(|e| e.of_probe(|e| bad(format!("does not run: {e}"))))?;
    let text = String::from_utf8_lossy(&told.stdout);
    // "Linux strongSwan 5.9.8"
    match text.split_once("strongSwan").map(|(_, v)| v.trim()) {
        Some(v) if !v.is_empty() => Ok(v.lines().next().unwrap_or(v).to_owned()),
        _ => Err(bad(format!("does not run: it says {:?}", format!("{}{}", text, String::from_utf8_lossy(&told.stderr)).trim())).into()),
    }
}

/// Names of the plugins beside the daemon, or where distributions keep them.
fn plugins(home: &Home, program: &Path) -> Vec<String> {
    let beside = program.parent().map(|d| d.join("plugins"));
    let usual = ["/usr/lib/ipsec/plugins", "/usr/lib64/ipsec/plugins", "/usr/lib64/strongswan/plugins", "/usr/lib/strongswan/plugins"];
    let folders = beside.into_iter().chain(usual.map(PathBuf::from));
    let Some(entries) = folders.into_iter().find_map(|d| std::fs::read_dir(home.file(d)).ok()) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter_map(|n| Some(n.strip_prefix("libstrongswan-")?.strip_suffix(".so")?.to_owned()))
        .collect();
    names.sort();
    names
}
