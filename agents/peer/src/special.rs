//! Settings that not every implementation has.

use crate::{AuthMethod, DriverError, GatewayConfig, HalfOpen, Misbehave, Options};

impl GatewayConfig {
    /// Settings that are not as `Default` has them and that few implementations have, by name and, where they belong to one, by
    /// connection.
    pub fn special(&self) -> Vec<(&'static str, Option<&str>)> {
        let of_gateway = [
            ("clock_offset", self.clock_offset != 0),
            ("half_open", self.half_open != HalfOpen::default()),
            ("misbehave", self.misbehave != Misbehave::default()),
        ];
        let mut found: Vec<_> = of_gateway.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| (name, None)).collect();
        let plain = Options::default();
        for c in &self.connections {
            let o = &c.options;
            let of_connection = [
                ("auth", [c.auth.own, c.auth.peer] != [AuthMethod::Psk; 2]),
                ("fragmentation", o.fragmentation != plain.fragmentation),
                ("fragment_size", o.fragment_size != plain.fragment_size),
                ("childless", o.childless != plain.childless),
                ("reauth", o.reauth != plain.reauth),
                ("virtual_ip", o.virtual_ip != plain.virtual_ip),
                ("pool", o.pool != plain.pool),
                ("dns", o.dns != plain.dns),
                ("replay_window", o.replay_window != plain.replay_window),
                ("df", o.df != plain.df),
                ("rekey_bytes", o.rekey_bytes != plain.rekey_bytes),
                ("rekey_packets", o.rekey_packets != plain.rekey_packets),
                ("life_bytes", o.life_bytes != plain.life_bytes),
                ("life_packets", o.life_packets != plain.life_packets),
                ("more_children", !c.more_children.is_empty()),
            ];
            found.extend(of_connection.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| (name, Some(c.name.as_str()))));
        }
        found
    }

    /// Refuses the first special setting that is not among those that an implementation honours.
    pub fn refuse_special(&self, honoured: &[&str], reason: &str) -> Result<(), DriverError> {
        match self.special().into_iter().find(|(name, _)| !honoured.contains(name)) {
            None => Ok(()),
            Some((name, connection)) => Err(DriverError::Refused {
                gateway: self.name.clone(),
                setting: connection.map_or_else(|| name.to_owned(), |c| format!("{name} of {c}")),
                reason: reason.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_is_refused_by_name() {
        let mut config = GatewayConfig { name: "west".into(), ..GatewayConfig::default() };
        assert!(config.special().is_empty());
        config.clock_offset = -1;
        assert!(config.refuse_special(&["clock_offset"], "").is_ok());
        let refused = config.refuse_special(&["df"], "it has the world's clock").unwrap_err();
        assert_eq!(refused.to_string(), "west: refused clock_offset: it has the world's clock");
    }
}
