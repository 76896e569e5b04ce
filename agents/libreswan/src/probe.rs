//! Is pluto here, which one, and can this kernel carry its ESP?

use std::path::{Path, PathBuf};

use peer::{Capability, DriverError, Home, IkeMode, KernelSa, Missing, Place, Probe, ROOTS_COMMAND, ask_program};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::daemon::io_error;
use crate::gateway::Pluto;

/// Where distributions install the daemon; strongSwan has used the second folder too.
const INSTALLED: [&str; 2] = ["/usr/libexec/ipsec", "/usr/lib/ipsec"];

/// A daemon that can be started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) home: Home,
    /// The folder of `pluto`, `whack` and `addconn`, as the daemon sees it.
    pub(crate) programs: PathBuf,
    version: String,
    pub(crate) dialect: Dialect,
    ah: bool,
    ipcomp: bool,
}

/// Which words the daemon's configuration has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Dialect {
    /// `ikev2=`, `keyingtries=`, `dpdaction=`, `dpdtimeout=`: 4.x.
    Old,
    /// `keyexchange=`; the others are ignored, with a warning, and a connection that was brought up is revived for ever: 5.x.
    New,
}

impl Found {
    pub(crate) fn probe(&self, ikev1: bool) -> Probe {
        use Capability::*;
        let mut capabilities = vec![Ikev2, RawEsp, UdpEsp, Transport, Esn, NattOff, Certificates, CertificateChains, MoreChildren];
        if ikev1 {
            capabilities.extend([Ikev1, Aggressive]);
        }
        capabilities.extend(self.ah.then_some(Ah));
        capabilities.extend(self.ipcomp.then_some(Ipcomp));
        let found = serde_json::to_string(self).unwrap_or_default();
        Probe { version: self.version.clone(), data_path: "kernel (XFRM)".into(), capabilities, found }
    }

    /// Makes a command of `whack` or `addconn`, to be run outside of the node.
    pub(crate) fn command(&self, name: &str) -> Command {
        self.home.command(self.programs.join(name))
    }

    /// Makes a command of NSS's tools, which come with the daemon: `certutil`, `pk12util`.
    pub(crate) fn nss(&self, name: &str) -> Command {
        self.home.command(Path::new("/usr/bin").join(name))
    }
}

#[cfg(test)]
impl Found {
    /// An installed daemon that is never started.
    pub(crate) fn sample(dialect: Dialect) -> Found {
        let (home, programs) = (Home::system(), PathBuf::from(INSTALLED[0]));
        Found { home, programs, version: "4.10".into(), dialect, ah: true, ipcomp: true }
    }
}

/// Looks for the daemon; asks it for its version and words, and the kernel for ESP.
pub(crate) async fn find(place: &Place) -> Result<Found, DriverError> {
    let mut first_trouble = None;
    for home in Home::candidates("libreswan") {
        for programs in INSTALLED.map(PathBuf::from) {
            if !home.file(programs.join("pluto")).is_file() {
                continue;
            }
            match version(&home, &programs).await? {
                Ok(version) => return complete(home, programs, version, place).await,
                // What is of another make is passed over in silence: it is another driver's.
                Err(_) if !home.is_private() => {}
                Err(what) => {
                    let what = format!("the libreswan of {} does not run: {what}", home.describe());
                    first_trouble.get_or_insert(Missing { what, hint: home.remedy() });
                }
            }
        }
    }
    let nowhere = || Missing { what: "libreswan's pluto is neither installed nor in a private root".into(), hint: ROOTS_COMMAND.into() };
    Err(first_trouble.unwrap_or_else(nowhere).into())
}

async fn complete(home: Home, programs: PathBuf, version: String, place: &Place) -> Result<Found, DriverError> {
    for needed in ["whack", "addconn"] {
        if !home.file(programs.join(needed)).is_file() {
            return Err(Missing { what: format!("the libreswan of {} has no {needed}", home.describe()), hint: home.remedy() }.into());
        }
    }
    if let Some(said) = KernelSa::Esp.refusal(place).await? {
        let hint = "use a kernel with CONFIG_XFRM_USER and CONFIG_INET_ESP (modprobe esp4), or the pocket world".into();
        return Err(Missing { what: format!("libreswan needs a kernel with ESP (XFRM): {said}"), hint }.into());
    }
    let ah = KernelSa::Ah.refusal(place).await?.is_none();
    let ipcomp = KernelSa::Ipcomp.refusal(place).await?.is_none();
    let mut found = Found { home, programs, version, dialect: Dialect::New, ah, ipcomp };
    if !understands(&found, place, "keyexchange=ikev2").await.map_err(|e| e.of_probe(|e| broken(&found, &e.to_string())))? {
        found.dialect = Dialect::Old;
    }
    Ok(found)
}

fn broken(found: &Found, what: &str) -> Missing {
    Missing {
        what: format!("the libreswan {} of {} cannot be used: {what}", found.version, found.home.describe()),
        hint: found.home.remedy(),
    }
}

/// Returns whether the parser of the configuration knows a line of a connection.
async fn understands(found: &Found, place: &Place, line: &str) -> Result<bool, DriverError> {
    let file = place.dir.join("words.conf");
    let text = format!("config setup\n\nconn words\n    {line}\n");
    let written = std::fs::create_dir_all(&place.dir).and_then(|()| std::fs::write(&file, text));
    written.map_err(|e| io_error("probe", "writing words.conf", e))?;
    let mut command = found.command("addconn");
    Ok(ask_program("addconn --checkconfig", command.arg("--config").arg(&file).arg("--checkconfig")).await?.status.success())
}

/// Starts the daemon and loads connections. Returns whether it takes IKEv1.
pub(crate) async fn ask(found: &Found, place: &Place) -> Result<bool, DriverError> {
    let both = match load(found, place, &[IkeMode::V2, IkeMode::V1Main]).await {
        Err(DriverError::Refused { .. }) => load(found, place, &[IkeMode::V2]).await.map(|()| false),
        other => other.map(|()| true),
    };
    both.map_err(|e| e.of_probe(|e| broken(found, &e.to_string())))
}

async fn load(found: &Found, place: &Place, versions: &[IkeMode]) -> Result<(), DriverError> {
    let launch = place.trial(versions, "aes128-sha256-modp2048", "aes128-sha256");
    let mut pluto = Pluto::start(found.clone(), launch).await?;
    peer::Gateway::stop(&mut pluto, true).await
}

/// `Libreswan 4.10 IKEv2 IKEv1 XFRM …` becomes `4.10`. Returns the program's words when they are others.
async fn version(home: &Home, programs: &Path) -> Result<Result<String, String>, DriverError> {
    let mut command = home.command(programs.join("pluto"));
    let told = match ask_program("pluto --version", command.arg("--version")).await {
        Err(e) if !e.is_accident() => return Ok(Err(e.to_string())),
        told => told?,
    };
    let text = String::from_utf8_lossy(&told.stdout);
    match text.strip_prefix("Libreswan ").and_then(|t| t.split_whitespace().next()) {
        Some(version) => Ok(Ok(version.to_owned())),
        None => Ok(Err(format!("{}{}", text.trim(), String::from_utf8_lossy(&told.stderr).trim()))),
    }
}
