//! Filters about every field that Wireshark knows, too.

use faultlab::filter::fields::{FIELDS, Field, Kind};

/// Is it one of those that Wireshark does not have?
pub fn ours(field: Field) -> bool {
    field.info().name.starts_with("faultlab.")
}

/// Presence of each field, and comparisons of its type.
pub fn of_every_field() -> Vec<String> {
    let mut filters = Vec::new();
    for info in FIELDS.iter().filter(|f| !ours(f.field)) {
        filters.push(info.name.to_owned());
        filters.extend(match info.kind {
            Kind::Uint(_) => vec![format!("{} == 1", info.name), format!("{} != 0", info.name), format!("{} > 20", info.name)],
            Kind::Bool => vec![format!("{} == 1", info.name)],
            Kind::Ipv4 => vec![format!("{} > 20.0.0.0", info.name)],
            Kind::Ipv6 => vec![format!("{} == 2001:db8:1::/48", info.name)],
            Kind::Bytes => vec![format!("{}[0] > 0x40", info.name), format!("len({}) > 16", info.name)],
            Kind::Text => vec![format!("{} contains \"e\"", info.name)],
            Kind::Ether => vec![format!("{}[0] == 0x02", info.name)],
            Kind::Seconds => vec![format!("{} > 0.1", info.name)],
            Kind::None | Kind::Protocol | Kind::OpaqueProtocol => Vec::new(),
        });
    }
    filters
}
