//! The daemon's certificate database (NSS), which it insists on even if it needs no certificate.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use peer::{AuthMethod, Connection, GatewayConfig, write_private};

use crate::conf::NSS;
use crate::daemon::run;
use crate::probe::Found;

/// On its way into the database, the key is encrypted with a password that everybody knows: many rounds would protect nothing.
const ROUNDS: u32 = 1000;
const PASSWORD: &str = "faultlab";
/// A file that is read by NSS's programs and then removed.
const TEMPORARY: &str = "import";

/// The name that a connection's own certificate has in the database; connections may share one.
pub(crate) fn nickname(config: &GatewayConfig, c: &Connection) -> Option<String> {
    let own = own(c)?;
    let n = own_of_all(config).iter().position(|other| other.0 == own.0)?;
    Some(format!("own-{}", n + 1))
}

/// Certificate and key that a connection proves itself with.
fn own(c: &Connection) -> Option<(&[u8], &[u8])> {
    let certificate = c.auth.certificates.first().filter(|_| c.auth.own == AuthMethod::Certificate)?;
    Some((certificate, c.auth.private_key.expose()))
}

fn own_of_all(config: &GatewayConfig) -> Vec<(&[u8], &[u8])> {
    let all: BTreeSet<_> = config.connections.iter().filter_map(own).collect();
    all.into_iter().collect()
}

/// Makes the database with everything that the connections need, unless it is there from a life before.
pub(crate) async fn create(found: &Found, dir: &Path, config: &GatewayConfig) -> io::Result<()> {
    let database = Database { found, dir };
    if dir.join(NSS).join("cert9.db").exists() {
        return Ok(());
    }
    std::fs::create_dir_all(dir.join(NSS))?;
    database.call("certutil", &["-N", "--empty-password"]).await?;
    for (n, (certificate, key)) in (1..).zip(own_of_all(config)) {
        database.import_own(&format!("own-{n}"), certificate, key).await?;
    }
    let auths = || config.connections.iter().map(|c| &c.auth);
    let anchors: BTreeSet<_> = auths().flat_map(|a| &a.anchors).collect();
    let others: BTreeSet<_> = auths().flat_map(|a| a.certificates.iter().skip(1).chain(&a.untrusted)).collect();
    // T: a trusted authority for certificates of clients; C: of servers.
    for (what, trust, certificates) in [("anchor", "CT,,", anchors), ("other", ",,", others)] {
        for (n, certificate) in (1..).zip(certificates) {
            let args = ["-A", "-n", &format!("{what}-{n}"), "-t", trust, "-i", TEMPORARY];
            database.with_file(certificate, "certutil", &args).await?;
        }
    }
    Ok(())
}

struct Database<'a> {
    found: &'a Found,
    dir: &'a Path,
}

impl Database<'_> {
    async fn import_own(&self, nickname: &str, certificate: &[u8], key: &[u8]) -> io::Result<()> {
        // It keeps this name; from PKCS #12 it would get one that is made of its subject.
        self.with_file(certificate, "certutil", &["-A", "-n", nickname, "-t", ",,", "-i", TEMPORARY]).await?;
        let pkcs12 = pkcs12(nickname, certificate, key).map_err(|e| io::Error::other(format!("{nickname}: {e}")))?;
        self.with_file(&pkcs12, "pk12util", &["-i", TEMPORARY, "-W", PASSWORD, "-K", ""]).await
    }

    async fn with_file(&self, octets: &[u8], program: &str, args: &[&str]) -> io::Result<()> {
        let file = self.dir.join(TEMPORARY);
        write_private(&file, octets)?;
        let done = self.call(program, args).await;
        std::fs::remove_file(file)?;
        done
    }

    async fn call(&self, program: &str, args: &[&str]) -> io::Result<()> {
        let mut command = self.found.nss(program);
        command.args(args).args(["-d", &format!("sql:{NSS}")]).current_dir(self.dir);
        let answer = run(&mut command).await?;
        if answer.success { Ok(()) } else { Err(io::Error::other(format!("{program} {}: {}", args.join(" "), answer.text))) }
    }
}

/// The only form in which NSS takes a private key (RFC 7292).
fn pkcs12(nickname: &str, certificate: &[u8], key: &[u8]) -> p12_keystore::Result<Vec<u8>> {
    let chain = PrivateKeyChain::new(nickname, PrivateKey::from_der(key)?, [Certificate::from_der(certificate)?]);
    let mut store = KeyStore::new();
    store.add_entry(nickname, KeyStoreEntry::PrivateKeyChain(chain));
    store.writer(PASSWORD).encryption_iterations(ROUNDS).mac_iterations(ROUNDS).write()
}

/// What a public or private key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// RSA.
    Rsa,
    /// ECDSA on any curve.
    Ecdsa,
}

impl KeyKind {
    /// The kind of key in a certificate or in a private key (PKCS#8), DER: by the first algorithm identifier of a key in it. Both name
    /// the algorithm with the same object identifier (RFC 3279 §2.3.1, RFC 5480 §2.1.1). `None`: another kind.
    pub(crate) fn of(der: &[u8]) -> Option<KeyKind> {
        // rsaEncryption 1.2.840.113549.1.1.1, id-ecPublicKey 1.2.840.10045.2.1.
        let identifiers: [(&[u8], KeyKind); 2] = [
            (&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], KeyKind::Rsa),
            (&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], KeyKind::Ecdsa),
        ];
        let place = |identifier: &[u8]| der.windows(identifier.len()).position(|w| w == identifier);
        identifiers.into_iter().filter_map(|(identifier, kind)| Some((place(identifier)?, kind))).min_by_key(|(at, _)| *at).map(|(_, k)| k)
    }
}
