//! Is iked here, which one, and does the kernel have what it needs?

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use peer::{Capability, Missing, Probe};
use rustix::net::{AddressFamily, Protocol, RawProtocol, SocketType};
use serde::{Deserialize, Serialize};

/// Where the package puts the daemon, without the leading `/`.
const PROGRAM: &str = "usr/sbin/iked";

/// A daemon that can be used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) iked: PathBuf,
    pub(crate) ikectl: PathBuf,
    /// Folder of libraries that came with a private root.
    pub(crate) libraries: Option<PathBuf>,
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

/// Looks for the daemon (installed, else in a private root), then asks the process and the kernel for what it needs.
pub(crate) fn find() -> Result<Found, Missing> {
    let found = find_program()?;
    privilege_separation()?;
    pf_key()?;
    esp()?;
    Ok(found)
}

fn find_program() -> Result<Found, Missing> {
    let installed = Path::new("/").join(PROGRAM);
    let root = if installed.is_file() { PathBuf::from("/") } else { peer::private_root("openiked", PROGRAM).ok_or_else(absent)? };
    let libraries = if root == Path::new("/") { None } else { libraries(&root) };
    let (iked, ikectl) = (root.join(PROGRAM), root.join("usr/sbin/ikectl"));
    if !ikectl.is_file() {
        return Err(Missing { what: format!("{} is not there", ikectl.display()), hint: peer::ROOTS_COMMAND.into() });
    }
    let mut ask = Command::new(&iked);
    ask.arg("-V").stdin(Stdio::null());
    if let Some(libraries) = &libraries {
        ask.env("LD_LIBRARY_PATH", libraries);
    }
    let told =
        ask.output().map_err(|e| Missing { what: format!("{} does not run: {e}", iked.display()), hint: peer::ROOTS_COMMAND.into() })?;
    // "OpenIKED 7.2"
    let text = [told.stdout, told.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    match text.trim().strip_prefix("OpenIKED").map(str::trim) {
        Some(version) if !version.is_empty() => Ok(Found { iked, ikectl, libraries, version: version.to_owned() }),
        _ => Err(Missing { what: format!("{} does not run: it says {:?}", iked.display(), text.trim()), hint: peer::ROOTS_COMMAND.into() }),
    }
}

fn absent() -> Missing {
    Missing { what: "OpenIKED's iked is neither installed nor in a private root".into(), hint: peer::ROOTS_COMMAND.into() }
}

/// `usr/lib/<architecture>` of a private root, when it has libraries of its own.
fn libraries(root: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(root.join("usr/lib")).ok()?.filter_map(|e| Some(e.ok()?.path()));
    folders.filter(|p| p.is_dir()).find(|p| {
        std::fs::read_dir(p).is_ok_and(|mut files| files.any(|f| f.is_ok_and(|f| f.file_name().to_string_lossy().starts_with("lib"))))
    })
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

/// Tries to add an SA in a network namespace that ends with the attempt.
fn esp() -> Result<(), Missing> {
    let added = Command::new("unshare")
        .args(["--net", "ip", "xfrm", "state", "add", "src", "127.0.0.1", "dst", "127.0.0.2", "proto", "esp", "spi", "0x1000"])
        .args(["mode", "tunnel", "enc", "cbc(aes)", "0x00112233445566778899aabbccddeeff"])
        .args(["auth-trunc", "hmac(sha1)", "0x00112233445566778899aabbccddeeff00112233", "96"])
        .stdin(Stdio::null())
        .output();
    let said = match added {
        Ok(done) if done.status.success() => return Ok(()),
        Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        Err(e) => format!("unshare: {e}"),
    };
    Err(Missing {
        what: format!("this kernel has no ESP: {said}"),
        hint: "modprobe esp4 esp6, or use a kernel with CONFIG_INET_ESP".into(),
    })
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
