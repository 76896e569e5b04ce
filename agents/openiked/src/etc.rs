//! The daemon's private `/etc`, and everything else that must lie ready in its folder.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use peer::{GatewayConfig, write_private};
use pem_rfc7468::LineEnding;

/// Number of the user and the group `_iked`, which exist in the private `/etc` only.
pub(crate) const USER: u32 = 65533;
/// The private `/etc` in the gateway's folder.
pub(crate) const ETC: &str = "etc";

/// An empty folder for the unprivileged processes to be locked in, as they see it.
const JAIL: &str = "/run/empty";

/// iked does not start without a private key, even if all peers use pre-shared keys. This one (P-256, the secret number is
/// 0x0101…01; RFC 5915) never authenticates anybody.
fn no_key() -> Vec<u8> {
    [&[0x30, 0x31, 2, 1, 1, 4, 32], [1; 32].as_slice(), &[0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]].concat()
}

/// Writes the folder `etc` into `dir`, without the configuration.
pub(crate) fn prepare(dir: &Path, config: &GatewayConfig) -> io::Result<()> {
    let etc = dir.join(ETC);
    // Whatever the umask: the processes in there are not root.
    let readable = ["ca", "certs", "crls", "ocsp", "private", "pubkeys"].map(|folder| etc.join("iked").join(folder));
    for folder in [etc.clone(), etc.join("iked"), dir.join("empty")].iter().chain(&readable) {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    let key = match own_key(config) {
        Some(key) => pem("PRIVATE KEY", key),
        None => pem("EC PRIVATE KEY", &no_key()),
    };
    // As iked demands.
    write_private(&etc.join("iked/private/local.key"), &key?)?;
    let auths = || config.connections.iter().map(|c| &c.auth);
    let anchors: BTreeSet<_> = auths().flat_map(|a| &a.anchors).collect();
    // Among them iked looks for one that has its identity, and for the authorities between that and a root.
    let certificates: BTreeSet<_> = auths().flat_map(|a| a.certificates.iter().chain(&a.untrusted)).collect();
    for (folder, what, ders) in [("ca", "anchor", anchors), ("certs", "certificate", certificates)] {
        for (n, der) in (1..).zip(ders) {
            std::fs::write(etc.join("iked").join(folder).join(format!("{what}-{n}.crt")), pem("CERTIFICATE", der)?)?;
        }
    }
    let files = [
        ("passwd", format!("root:x:0:0::/:/bin/sh\n_iked:x:{USER}:{USER}::{JAIL}:/bin/false\n")),
        ("group", format!("root:x:0:\n_iked:x:{USER}:\n")),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
        ("hosts", "127.0.0.1 localhost\n".to_owned()),
    ];
    files.into_iter().try_for_each(|(name, text)| std::fs::write(etc.join(name), text))
}

/// The private key of the gateway, if it has one: iked has one for all connections (`conf` refuses more).
fn own_key(config: &GatewayConfig) -> Option<&[u8]> {
    config.connections.iter().map(|c| c.auth.private_key.expose().as_slice()).find(|key| !key.is_empty())
}

fn pem(label: &str, der: &[u8]) -> io::Result<String> {
    pem_rfc7468::encode_string(label, LineEnding::LF, der).map_err(io::Error::other)
}
