//! The daemon's settings (strongswan.conf(5)). Paths in them are the daemon's: its `/run` is the gateway's folder.

use std::time::Duration;

use peer::{GatewayConfig, HalfOpen, Options};

use crate::probe::{DataPath, Found};
use crate::vici::SOCKET;

/// Name of the configuration file in the gateway's folder: one of those in `/run` that the AppArmor profile of Debian's and Ubuntu's
/// package lets charon read (`/run/charon.*`).
pub(crate) const FILE: &str = "charon.conf";
/// Name of the log in the gateway's folder.
pub(crate) const LOG: &str = "charon.log";
/// Where the gateway's folder is mounted for the daemon.
pub(crate) const MOUNT: &str = "/run";

/// Everything the lab may ask for, and nothing that reaches out of the namespace: no af-alg (it would use the host kernel's
/// ciphers), no curl, no dhcp, no bypass-lan (it would shunt the lab's own subnets).
const PLUGINS: [&str; 32] = [
    "random",
    "nonce",
    "aes",
    "sha1",
    "sha2",
    "md5",
    "hmac",
    "kdf",
    "pem",
    "pkcs1",
    "pkcs8",
    "x509",
    "pubkey",
    "openssl",
    "ml",
    "gmp",
    "curve25519",
    "gcm",
    "chapoly",
    "xcbc",
    "cmac",
    "ccm",
    "ctr",
    "kernel-libipsec",
    "kernel-netlink",
    "socket-default",
    "vici",
    "updown",
    "eap-identity",
    "eap-md5",
    "eap-mschapv2",
    "counters",
];

/// The file's text.
pub(crate) fn render(found: &Found, config: &GatewayConfig) -> String {
    let load = PLUGINS
        .into_iter()
        .filter(|p| *p != "kernel-libipsec" || found.data_path == DataPath::Libipsec)
        .filter(|p| found.has(p))
        .collect::<Vec<_>>()
        .join(" ");
    let retransmit = config.retransmit;
    format!(
        "charon {{
  load = {load}
  retransmit_timeout = {timeout}
  retransmit_base = {base}
  retransmit_tries = {tries}
  retransmit_jitter = 0
  keep_alive = {keep_alive}
{half_open}  fragment_size = {fragment_size}
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  install_routes = yes
  make_before_break = yes
  plugins {{
    vici {{ socket = unix://{MOUNT}/{SOCKET} }}
    # After a failed attempt, the next packet may ask for the tunnel again soon, not in three minutes.
    kernel-netlink {{ xfrm_acq_expires = 1 }}
  }}
  filelog {{
    log {{
      path = {MOUNT}/{LOG}
      append = yes
      flush_line = yes
      ike_name = yes
      time_format = %Y-%m-%d %H:%M:%S
      time_add_ms = yes
      default = 1
      ike = 4
      chd = 4
      cfg = 2
      knl = 2
      esp = 2
    }}
  }}
  syslog {{ daemon {{ default = -1 }} auth {{ default = -1 }} }}
}}
",
        timeout = retransmit.timeout.as_secs_f64(),
        base = retransmit.base,
        tries = retransmit.tries,
        keep_alive = config.nat_keepalive.map_or(0, whole_seconds),
        half_open = half_open(config),
        fragment_size = config.connections.first().map_or_else(|| Options::default().fragment_size, |c| c.options.fragment_size),
    )
}

fn half_open(config: &GatewayConfig) -> String {
    let limits = &config.half_open;
    if *limits == HalfOpen::default() {
        // Failing again and again is what a lab is for: no cookies and no blocking, unless they are asked for.
        let timeout = whole_seconds(config.retransmit.give_up()).max(30);
        return format!("  half_open_timeout = {timeout}\n  dos_protection = no\n");
    }
    // charon's second threshold, for each address, would be reached first, and lifts the limit of half-open IKE SAs above itself.
    format!(
        "  half_open_timeout = {}\n  dos_protection = yes\n  cookie_threshold = {}\n  cookie_threshold_ip = 0\n  block_threshold = {}\n",
        whole_seconds(limits.timeout),
        limits.cookie_threshold,
        limits.per_address
    )
}

/// charon counts in seconds; never less than asked for, so that nothing ends early, and never 0, which means "off".
pub(crate) fn whole_seconds(d: Duration) -> u64 {
    (d.as_secs() + u64::from(d.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn found(data_path: DataPath) -> Found {
        let plugins = PLUGINS.iter().map(|p| (*p).to_owned()).filter(|p| p != "ccm").collect();
        Found { home: peer::Home::system(), program: PathBuf::from("charon"), version: "5.9.8".into(), plugins, data_path }
    }

    #[test]
    fn settings_are_written_out_and_absent_plugins_left_out() {
        let config = GatewayConfig {
            name: "west".into(),
            retransmit: peer::Retransmit::default(),
            nat_keepalive: Some(Duration::from_millis(1500)),
            ..GatewayConfig::default()
        };
        let text = render(&found(DataPath::Libipsec), &config);
        for line in
            ["retransmit_timeout = 0.3", "retransmit_base = 1.8", "retransmit_tries = 3", "keep_alive = 2", "half_open_timeout = 30"]
        {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.contains(" kernel-libipsec ") && !text.contains(" ccm "));
        let text = render(&found(DataPath::Kernel { ah: false }), &GatewayConfig { nat_keepalive: None, ..config });
        assert!(text.contains("keep_alive = 0") && !text.contains("kernel-libipsec"));
        assert!(text.contains("dos_protection = no") && text.contains("fragment_size = 1280"));
    }

    #[test]
    fn limits_that_were_asked_for_protect() {
        let half_open = HalfOpen { cookie_threshold: 2, per_address: 3, timeout: Duration::from_secs(7) };
        let text = render(&found(DataPath::Libipsec), &GatewayConfig { half_open, ..GatewayConfig::default() });
        for line in
            ["dos_protection = yes", "cookie_threshold = 2", "cookie_threshold_ip = 0", "block_threshold = 3", "half_open_timeout = 7"]
        {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
