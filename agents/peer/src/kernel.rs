//! Finds out by trying what a node's kernel can carry.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use crate::program::answered;
use crate::{DriverError, Place};

const KEY: &str = "0x00112233445566778899aabbccddeeff";
const AUTH_KEY: &str = "0x00112233445566778899aabbccddeeff00112233";

/// A transformation of packets that a kernel may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelSa {
    /// ESP (RFC 4303).
    Esp,
    /// AH (RFC 4302).
    Ah,
    /// IP payload compression (RFC 3173).
    Ipcomp,
}

impl KernelSa {
    /// Tries to add an SA in a node, and removes it again. Returns the words of `ip` (iproute2) if it is refused, or why `ip` could not
    /// be run. An error is an accident, and says nothing about the kernel.
    pub async fn refusal(self, place: &Place) -> Result<Option<String>, DriverError> {
        let (protocol, algorithms) = match self {
            KernelSa::Esp => ("esp", format!("enc cbc(aes) {KEY} auth-trunc hmac(sha1) {AUTH_KEY} 96")),
            KernelSa::Ah => ("ah", format!("auth-trunc hmac(sha1) {AUTH_KEY} 96")),
            KernelSa::Ipcomp => ("comp", "comp deflate".to_owned()),
        };
        let id = format!("src 127.0.0.1 dst 127.0.0.2 proto {protocol} spi 0x1000");
        let batch = format!("xfrm state add {id} mode tunnel {algorithms}\nxfrm state delete {}\n", id.replace("src 127.0.0.1 ", ""));
        let mut ip = place.spawner.command("ip", &["-batch".into(), "-".into()], &[]);
        ip.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let run = async {
            let mut ip = ip.spawn()?;
            if let Some(mut stdin) = ip.stdin.take() {
                // An `ip` that ended early says why.
                let _ = stdin.write_all(batch.as_bytes()).await;
            }
            ip.wait_with_output().await
        };
        let done = match answered(&format!("`ip` for {protocol}"), run.await) {
            Ok(done) if done.status.success() => return Ok(None),
            Ok(done) => done,
            Err(e) if e.is_accident() => return Err(e),
            Err(e) => return Ok(Some(e.to_string())),
        };
        let said = String::from_utf8_lossy(&done.stderr);
        Ok(Some(said.lines().find(|l| !l.trim().is_empty()).map_or_else(|| done.status.to_string(), |l| l.trim().to_owned())))
    }
}
