//! The pairing table: the one place, besides the driver crates, that knows gateway implementations by name.

use std::sync::OnceLock;

use peer::Driver;

use crate::scenario::model::Plan;

/// All implementations, the default first. One driver of each serves the whole process: what it has found once, by starting the
/// daemon and asking the kernel, all gateways share.
pub fn all() -> &'static [Box<dyn Driver>] {
    static ALL: OnceLock<[Box<dyn Driver>; 4]> = OnceLock::new();
    ALL.get_or_init(|| {
        [
            Box::new(runtime::InHouse::new()),
            Box::new(strongswan::StrongSwan::new()),
            Box::new(libreswan::Libreswan::new()),
            Box::new(openiked::OpenIked::new()),
        ]
    })
}

/// An implementation by name.
pub fn find(name: &str) -> Option<&'static dyn Driver> {
    all().iter().find(|d| d.name() == name).map(AsRef::as_ref)
}

/// Names of all implementations.
pub fn names() -> Vec<&'static str> {
    all().iter().map(|d| d.name()).collect()
}

/// The one that scenarios are written for: what it refuses is a mistake of theirs.
pub fn is_default(name: &str) -> bool {
    names().first() == Some(&name)
}

/// Which implementation plays which gateway: `A:B` gives the first gateway A and all others B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    first: String,
    others: String,
}

impl Default for Pairing {
    fn default() -> Pairing {
        let name = names().first().copied().unwrap_or_default().to_owned();
        Pairing { first: name.clone(), others: name }
    }
}

impl std::fmt::Display for Pairing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.first, self.others)
    }
}

impl std::str::FromStr for Pairing {
    type Err = String;
    fn from_str(text: &str) -> Result<Pairing, String> {
        let (a, b) =
            text.split_once(':').ok_or_else(|| format!("`{text}` is not a pairing; write A:B, for instance {}", Pairing::default()))?;
        for name in [a, b] {
            if find(name).is_none() {
                return Err(format!("no gateway implementation `{name}`; there are: {}", names().join(", ")));
            }
        }
        Ok(Pairing { first: a.to_owned(), others: b.to_owned() })
    }
}

impl Pairing {
    /// All ordered pairs of these implementations.
    pub fn all_of(names: &[&str]) -> Vec<Pairing> {
        let pair = |a: &str, b: &str| Pairing { first: a.to_owned(), others: b.to_owned() };
        names.iter().flat_map(|a| names.iter().map(|b| pair(a, b))).collect()
    }

    /// Names of its sides: who plays the first gateway, and who all others.
    pub fn sides(&self) -> [&str; 2] {
        [&self.first, &self.others]
    }

    /// What may be tried for a scenario: what was asked for, or else each implementation with itself, in the table's order.
    pub fn candidates(asked: Option<&Pairing>) -> Vec<Pairing> {
        match asked {
            Some(pairing) => vec![pairing.clone()],
            None => names().iter().map(|n| Pairing { first: (*n).to_owned(), others: (*n).to_owned() }).collect(),
        }
    }

    /// Implementation of the plan's gateway number `index`.
    pub fn of(&self, plan: &Plan, index: usize) -> String {
        let insisted = plan.gateways.get(index).and_then(|g| g.implementation.clone());
        insisted.unwrap_or_else(|| if index == 0 { self.first.clone() } else { self.others.clone() })
    }
}
