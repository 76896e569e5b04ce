//! Layouts: named networks that scenarios start from. One TOML file each; see `docs/scenario-reference.md`.

mod check;
mod read;

use std::collections::BTreeMap;
use std::path::Path;

use super::diag::Diagnostics;
use super::model::Network;
use super::{Source, library};

/// Octets of a layout at most: parts of it are repeated.
const MOST: usize = 128 << 10;

/// Known layouts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layouts(BTreeMap<String, Source>);

impl Layouts {
    /// Those that are part of the program.
    pub fn embedded() -> Layouts {
        Layouts::from_sources(library::embedded().into_iter().filter(|s| s.group == "layouts"))
    }

    /// From sources; later ones win.
    pub fn from_sources(sources: impl IntoIterator<Item = Source>) -> Layouts {
        Layouts(sources.into_iter().map(|s| (s.id.clone(), s)).collect())
    }

    /// Adds what is on disk in a folder of layouts; it wins over what is known by the same name.
    pub fn add_dir(&mut self, dir: &Path) -> Result<(), library::LibraryError> {
        for source in library::read_dir(dir)? {
            self.0.insert(source.id.clone(), source);
        }
        Ok(())
    }

    /// A layout's text.
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.0.get(name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// What a scenario chooses about a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How often the parts with `{n}` are repeated.
    pub spokes: u32,
    /// MTU of all links; `None`: as the layout says.
    pub mtu: Option<u32>,
}

impl Default for Size {
    fn default() -> Self {
        Size { spokes: 3, mtu: None }
    }
}

/// A checked layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// One line.
    pub about: String,
    /// The gateway that is everybody's peer, with more than two gateways.
    pub hub: Option<String>,
    /// It has parts that are repeated.
    pub repeats: bool,
    /// The network.
    pub network: Network,
}

/// Reads and checks a layout.
pub fn load(source: &Source, size: Size) -> Result<Layout, Diagnostics> {
    let mut walker = super::walk::Walker::new(source, |_| Ok(()));
    if source.text.len() > MOST {
        walker.mistake("too-large", 0..0, format!("a layout has at most {} KiB", MOST >> 10), "", []);
        return Err(walker.finish());
    }
    let document = walker.parse();
    let draft = document.map(|document| read::read(&mut walker, &document, size));
    let Some(draft) = draft.filter(|draft| !check::too_large(&mut walker, draft)) else { return Err(walker.finish()) };
    let layout = check::check(&mut walker, draft, &source.id);
    let found = walker.finish();
    if found.list.is_empty() { Ok(layout) } else { Err(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::model::Role;

    #[test]
    fn every_layout_loads_at_every_size() {
        let layouts = Layouts::embedded();
        for name in layouts.names() {
            for spokes in [1, 3, 50, 200] {
                let source = layouts.get(name).unwrap();
                let layout = load(source, Size { spokes, mtu: Some(1400) }).unwrap_or_else(|e| panic!("{e}"));
                assert!(layout.network.links.iter().all(|l| l.mtu == 1400));
                for node in &layout.network.nodes {
                    for iface in &node.ifaces {
                        for v6 in [false, true] {
                            assert!(iface.addrs.iter().any(|a| a.addr().is_ipv6() == v6), "{name}: {}.{}", node.name, iface.name);
                        }
                    }
                }
                let gateways = layout.network.nodes.iter().filter(|n| n.role == Role::Gateway).count();
                let fixed = if name == "two-clients-nat" { 3 } else { 2 };
                assert_eq!(gateways, if layout.repeats { spokes as usize + 1 } else { fixed });
            }
        }
    }

    #[test]
    fn outside_addresses_are_documentation_addresses() {
        let allowed: Vec<ipnet::IpNet> =
            ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "192.168.7.0/24", "fd07::/48"]
                .iter()
                .map(|p| p.parse().unwrap())
                .collect();
        let layouts = Layouts::embedded();
        for name in layouts.names() {
            let network = load(layouts.get(name).unwrap(), Size { spokes: 200, mtu: None }).unwrap().network;
            for iface in network.nodes.iter().flat_map(|n| &n.ifaces).filter(|i| i.outside) {
                for addr in &iface.addrs {
                    assert!(allowed.iter().any(|p| p.contains(&addr.addr())), "{name}: {addr}");
                }
            }
        }
    }

    #[test]
    fn networks_that_are_too_large_are_refused() {
        let nodes = |n: usize| (0..n).map(|n| format!("[[node]]\nname = \"n{n}\"\nrole = \"host\"\niface.x = []\n")).collect::<String>();
        let link = "[[link]]\nends = [\"n0.x\", \"n1.x\"]\n";
        let ifaces: String = (0..4001).map(|n| format!("iface.i{n} = []\n")).collect();
        for (text, message) in [
            (nodes(1001), "a network has at most 1000 nodes"),
            (nodes(2) + &link.repeat(2001), "a network has at most 2000 links"),
            (nodes(1) + &ifaces, "a network has at most 4000 interfaces"),
            ("#".repeat(MOST), "a layout has at most 128 KiB"),
            ((0..17).map(|n| format!("[pool.p{n}]\nprefixes = []\nlength = 30\n")).collect(), "a layout has at most 16 pools"),
        ] {
            let found = load(&Source::new("layouts/large.toml", format!("about = \"a\"\n{text}")), Size::default()).unwrap_err();
            assert!(found.list.iter().any(|d| d.message == message), "{message}: {found}");
        }
    }

    #[test]
    fn mistakes_are_found_in_the_layouts_own_file() {
        let text = r#"
about = "broken"
[[node]]
name = "a"
role = "gateway"
outside = ["wan"]
protects = ["10.1.0.0/16"]
iface.wan = ["192.0.2.1/24"]
iface.lan = ["10.1.0.1/24", "10.1.0.999/24"]
default-via = ["192.0.2.9"]
[[node]]
name = "b"
role = "gateway"
protects = ["10.1.0.0/24"]
iface.wan = ["192.0.2.1/24"]
[[node]]
name = "c"
role = "nat"
iface.x = ["10.9.0.1/24"]
[[link]]
ends = ["a.wan", "b.wan"]
[[link]]
ends = ["a.lan", "c.x"]
[[link]]
ends = ["a.wan", "c.y"]
"#;
        let found = load(&Source::new("layouts/bad.toml", text), Size::default()).unwrap_err();
        let codes: Vec<&str> = found.list.iter().map(|d| d.code).collect();
        for code in [
            "bad-value",
            "unreachable-next-hop",
            "duplicate-address",
            "overlapping-prefixes",
            "outside",
            "nat",
            "no-common-subnet",
            "unknown-name",
            "duplicate-link",
        ] {
            assert!(codes.contains(&code), "{code} not in {codes:?}\n{found}");
        }
    }
}
