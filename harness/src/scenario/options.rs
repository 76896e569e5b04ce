//! Settings of a connection that few scenarios touch.

use peer::{DfBit, Options};

use crate::schema::Args;

/// The neutral form; `args` have their defaults.
pub(super) fn options(args: &Args) -> Options {
    let standard = Options::default();
    // Zero is how an overlay switches a limit off.
    let limit = |key: &str| args.int(key).and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    Options {
        fragmentation: args.flag("fragmentation"),
        fragment_size: args.int("fragment-size").and_then(|n| u16::try_from(n).ok()).unwrap_or(standard.fragment_size),
        childless: args.flag("childless"),
        reauth: args.duration("reauth").filter(|d| !d.is_zero()),
        virtual_ip: args.flag("virtual-ip"),
        pool: args.text("pool").and_then(|p| p.parse().ok()),
        dns: args.texts("dns").into_iter().filter_map(|a| a.parse().ok()).collect(),
        replay_window: args.int("replay-window").and_then(|n| u32::try_from(n).ok()).unwrap_or(standard.replay_window),
        df: match args.text("df") {
            Some("set") => DfBit::Set,
            Some("clear") => DfBit::Clear,
            _ => DfBit::Copy,
        },
        rekey_bytes: limit("rekey-bytes"),
        rekey_packets: limit("rekey-packets"),
        life_bytes: limit("life-bytes"),
        life_packets: limit("life-packets"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::gateway::PARAMS;
    use crate::schema::Value;

    fn defaults() -> Args {
        crate::scenario::defaults::defaults(PARAMS)
    }

    #[test]
    fn the_tables_defaults_are_the_neutral_ones() {
        assert_eq!(options(&defaults()), Options::default());
    }

    #[test]
    fn zero_is_no_limit() {
        let some = options(&defaults().with("life-bytes", Value::Int(0)).with("rekey-packets", Value::Int(9)));
        assert_eq!((some.life_bytes, some.rekey_packets), (None, Some(9)));
    }
}
