//! Trap policies: the kernel asks iked for an SA when a packet meets one (`ACQUIRE`). iked itself installs policies only
//! together with SAs, so the driver installs these; iked takes them over, and removes them with the SAs.

use peer::{Connection, DriverError, EspMode, Launch};

use crate::daemon::ip;

/// Installs the outbound policies of a connection.
pub(crate) async fn install(launch: &Launch, c: &Connection) -> Result<(), DriverError> {
    let Some(remote) = c.remote else { return Ok(()) };
    let (local, remote) = (c.local.to_string(), remote.to_string());
    let mode = match c.mode {
        EspMode::Tunnel => "tunnel",
        EspMode::Transport => "transport",
    };
    for near in &c.local_ts {
        for far in c.remote_ts.iter().filter(|far| far.addr().is_ipv4() == near.addr().is_ipv4()) {
            let (near, far) = (near.to_string(), far.to_string());
            let policy = ["xfrm", "policy", "update", "src", &near, "dst", &far, "dir", "out"];
            let template = ["tmpl", "src", &local, "dst", &remote, "proto", "esp", "mode", mode];
            ip(launch, &[&policy[..], &template[..]].concat()).await?;
        }
    }
    Ok(())
}
