//! What charon cannot be told.

use peer::{DfBit, DriverError, GatewayConfig, IkeMode};

use crate::probe::DataPath;

/// The first setting that cannot be met.
pub(crate) fn refusal(config: &GatewayConfig, data_path: DataPath) -> Result<(), DriverError> {
    let found = of_gateway(config).or_else(|| of_connections(config, data_path));
    match found {
        None => Ok(()),
        Some((setting, reason)) => Err(DriverError::Refused { gateway: config.name.clone(), setting, reason: reason.into() }),
    }
}

fn of_gateway(config: &GatewayConfig) -> Option<(String, &'static str)> {
    if config.special().iter().any(|(name, _)| *name == "misbehave") {
        return Some(("misbehave".into(), "charon behaves"));
    }
    if config.clock_offset != 0 {
        return Some(("clock_offset".into(), "charon has the world's clock"));
    }
    if config.half_open.cookie_threshold == 0 {
        return Some(("cookie_threshold".into(), "charon takes 0 for never, not for always"));
    }
    let mut sizes = config.connections.iter().map(|c| c.options.fragment_size);
    if sizes.next().is_some_and(|first| sizes.any(|other| other != first)) {
        return Some(("fragment_size".into(), "charon has one value for all connections, and they differ"));
    }
    None
}

fn of_connections(config: &GatewayConfig, data_path: DataPath) -> Option<(String, &'static str)> {
    config.connections.iter().find_map(|c| {
        let o = &c.options;
        let libipsec = data_path == DataPath::Libipsec;
        let limits = [
            ("rekey_bytes", o.rekey_bytes),
            ("rekey_packets", o.rekey_packets),
            ("life_bytes", o.life_bytes),
            ("life_packets", o.life_packets),
        ];
        let uncounted = limits.iter().find(|(_, limit)| libipsec && limit.is_some());
        let (setting, reason) = if !c.nat_traversal {
            ("nat_traversal", "charon always looks for a NAT")
        } else if c.auth.eap.is_some() && c.ike != IkeMode::V2 {
            ("auth", "EAP belongs to IKEv2")
        } else if !o.dns.is_empty() && o.pool.is_none() {
            ("dns", "charon tells name servers only along with a pool's addresses")
        } else if o.df == DfBit::Set {
            ("df", "the kernel copies the DF bit or clears it")
        } else if libipsec && o.df == DfBit::Clear {
            ("df", "kernel-libipsec leaves the DF bit to the socket")
        } else if libipsec && o.replay_window != peer::Options::default().replay_window {
            ("replay_window", "kernel-libipsec's is fixed")
        } else if let Some((name, _)) = uncounted {
            (*name, "kernel-libipsec does not count octets and packets")
        } else {
            return None;
        };
        Some((format!("{setting} of {}", c.name), reason))
    })
}
