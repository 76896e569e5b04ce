//! Is iked here, which one, and does the kernel have what it needs?

use std::io::ErrorKind;
use std::path::PathBuf;

use peer::{Capability, DriverError, Home, IkeMode, KernelSa, Missing, Place, Probe, ROOTS_COMMAND, ask_program};
use rustix::net::{AddressFamily, Protocol, RawProtocol, SocketType};
use serde::{Deserialize, Serialize};

use crate::gateway::Iked;

/// Paths of the package's programs.
const IKED: &str = "/usr/sbin/iked";
const IKECTL: &str = "/usr/sbin/ikectl";

/// A daemon that can be used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) home: Home,
    /// Both as the daemon sees them.
    pub(crate) iked: PathBuf,
    pub(crate) ikectl: PathBuf,
    pub(crate) version: String,
}

impl Found {
    pub(crate) fn probe(&self) -> Probe {
        use Capability::*;
        // EAP as a server only: `conf` refuses the other half. No MOBIKE: OpenIKED follows a peer that moves, but cannot move itself.
        // No ESN: Linux's PF_KEY has none.
        Probe {
            version: self.version.clone(),
            data_path: "kernel (PF_KEY)".into(),
            capabilities: vec![Ikev2, RawEsp, UdpEsp, Transport, NattOff, Certificates, Eap],
            found: serde_json::to_string(self).unwrap_or_default(),
        }
    }
}

/// Looks for the daemon, then asks the process and the kernel for what it needs.
pub(crate) async fn find(place: &Place) -> Result<Found, DriverError> {
    let found = find_program().await?;
    privilege_separation()?;
    pf_key()?;
    match KernelSa::Esp.refusal(place).await? {
        None => Ok(found),
        Some(said) => {
            let hint = "modprobe esp4 esp6, or use a kernel with CONFIG_INET_ESP".into();
            Err(Missing { what: format!("this kernel has no ESP: {said}"), hint }.into())
        }
    }
}

async fn find_program() -> Result<Found, DriverError> {
    let home = Home::candidates("openiked").into_iter().find(|home| home.file(IKED).is_file());
    let home = home
        .ok_or_else(|| Missing { what: "OpenIKED's iked is neither installed nor in a private root".into(), hint: ROOTS_COMMAND.into() })?;
    let bad = |what: String| Missing { what: format!("the iked of {} {what}", home.describe()), hint: home.remedy() };
    if !home.file(IKECTL).is_file() {
        return Err(bad("comes without ikectl".into()).into());
    }
    let told = ask_program("iked -V", home.command(IKED).arg("-V")).await;
    let told = told.map_err(|e| e.of_probe(|e| bad(format!("does not run: {e}"))))?;
    // "OpenIKED 7.2"
    let text = [told.stdout, told.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    match text.trim().strip_prefix("OpenIKED").map(str::trim) {
        Some(version) if !version.is_empty() => {
            let version = version.to_owned();
            Ok(Found { home, iked: IKED.into(), ikectl: IKECTL.into(), version })
        }
        _ => Err(bad(format!("does not run: it says {:?}", text.trim())).into()),
    }
}

/// Starts the daemon with a connection.
pub(crate) async fn try_out(found: &Found, place: &Place) -> Result<(), DriverError> {
    let missing = |e: &DriverError| Missing {
        what: format!("the iked {} of {} cannot be used: {e}", found.version, found.home.describe()),
        hint: found.home.remedy(),
    };
    load(found, place).await.map_err(|e| e.of_probe(missing))
}

async fn load(found: &Found, place: &Place) -> Result<(), DriverError> {
    let launch = place.trial(&[IkeMode::V2], "aes128-sha256-ecp256", "aes128-sha1");
    std::fs::create_dir_all(&launch.dir).map_err(|e| crate::daemon::io_error("probe", "creating a folder", e))?;
    let mut iked = Iked::start(found.clone(), launch).await?;
    peer::Gateway::stop(&mut iked, true).await
}

/// iked becomes another user. In a user namespace that knows only one, it cannot.
fn privilege_separation() -> Result<(), Missing> {
    let refuse = |what: &str| {
        Err(Missing { what: format!("iked cannot give up its privileges: {what}"), hint: "run as root, or in a kernel of your own".into() })
    };
    if !rustix::process::geteuid().is_root() {
        return refuse("it must be started by root");
    }
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if !maps(&map, crate::etc::USER) {
        return refuse("this user namespace has no other user");
    }
    if std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|t| t.trim() == "deny") {
        return refuse("this user namespace denies setgroups");
    }
    Ok(())
}

/// Does a `uid_map` (rows of: inside, outside, count) know the user inside?
fn maps(map: &str, user: u32) -> bool {
    map.lines().any(|row| {
        let mut columns = row.split_whitespace().map(|c| c.parse::<u64>().ok());
        let (Some(Some(inside)), _, Some(Some(count))) = (columns.next(), columns.next(), columns.next()) else { return false };
        (inside..inside.saturating_add(count)).contains(&u64::from(user))
    })
}

fn pf_key() -> Result<(), Missing> {
    // PF_KEY_V2 (RFC 2367 §1.2).
    let protocol = RawProtocol::new(2).map(Protocol::from_raw);
    match rustix::net::socket(AddressFamily::KEY, SocketType::RAW, protocol) {
        Ok(_) => Ok(()),
        Err(e) if std::io::Error::from(e).kind() == ErrorKind::PermissionDenied => {
            Err(Missing { what: format!("a PF_KEY socket is refused: {e}"), hint: "run as root".into() })
        }
        Err(e) => Err(Missing {
            what: format!("this kernel has no PF_KEY sockets: {e}"),
            hint: "modprobe af_key, or use a kernel with CONFIG_NET_KEY".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_of_one_user_is_told_from_a_full_one() {
        assert!(maps("         0          0 4294967295\n", 65533));
        assert!(!maps("         0       1000          1\n", 65533));
        assert!(maps("0 1000 1\n1 100000 65536\n", 65533));
        assert!(!maps("nonsense", 65533) && !maps("", 65533));
    }
}
