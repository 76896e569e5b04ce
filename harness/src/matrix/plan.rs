//! What the matrix consists of: its cells in a fixed order, and which of them a shard runs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use sha1::{Digest, Sha1};

use crate::name::PathName;
use crate::run::drivers::Pairing;
use crate::run::worlds::WorldKind;
use crate::scenario::model::Scenario;

/// One cell of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellId {
    /// Id of the scenario.
    pub scenario: PathName,
    /// Who plays whom: `A:B`.
    #[serde(deserialize_with = "pairing")]
    pub pairing: String,
    /// Whose kernel.
    pub world: WorldKind,
}

/// Reads who plays whom, which becomes a part of paths. Whether these implementations are known does not matter here.
pub(super) fn pairing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let sides = text.split_once(':').map(|(first, others)| (first.parse::<PathName>(), others.parse::<PathName>()));
    match sides {
        Some((Ok(_), Ok(_))) => Ok(text),
        _ => Err(D::Error::custom(format!("`{}` is no pairing A:B", text.escape_debug()))),
    }
}

/// Reads several of them.
pub(super) fn pairings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    struct One(#[serde(deserialize_with = "pairing")] String);
    Ok(Vec::<One>::deserialize(deserializer)?.into_iter().map(|one| one.0).collect())
}

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.scenario, self.pairing, self.world.name())
    }
}

/// One of `count` parts of the matrix, from 1: `2/3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 1.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

impl Shard {
    /// The whole matrix.
    pub const WHOLE: Shard = Shard { index: 1, count: 1 };

    /// Does it run this cell? That depends on nothing but the cell's name, so that shards agree although each sees only its
    /// own machine.
    pub fn holds(self, cell: &CellId) -> bool {
        let hash = Sha1::digest(cell.to_string());
        let number = hash.iter().take(8).fold(0_u64, |n, octet| n << 8 | u64::from(*octet));
        number % u64::from(self.count.max(1)) + 1 == u64::from(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;
    fn from_str(text: &str) -> Result<Shard, String> {
        let number = |t: &str| t.parse::<u32>().ok();
        match text.split_once('/').map(|(i, n)| (number(i), number(n))) {
            Some((Some(index), Some(count))) if (1..=count).contains(&index) => Ok(Shard { index, count }),
            _ => Err(format!("`{text}` is not a shard; write i/n with i from 1 to n, for instance 1/2 and 2/2")),
        }
    }
}

/// All cells: scenario by scenario, then pairing by pairing, then world by world.
pub fn cells<'a>(scenarios: impl IntoIterator<Item = &'a PathName>, pairings: &[String], worlds: &[WorldKind]) -> Vec<CellId> {
    let columns = || pairings.iter().flat_map(|p| worlds.iter().map(move |w| (p, *w)));
    let cell = |scenario: &PathName, (pairing, world): (&String, WorldKind)| CellId {
        scenario: scenario.clone(),
        pairing: pairing.clone(),
        world,
    };
    scenarios.into_iter().flat_map(|s| columns().map(move |c| cell(s, c))).collect()
}

/// Pairings in which a scenario has the same gateways as in an earlier one, because it insists on its implementations or has
/// fewer gateways than the pairing has sides; with that earlier one.
pub fn repetitions<'p>(scenario: &Scenario, pairings: &'p [Pairing]) -> BTreeMap<String, &'p Pairing> {
    let mut first: BTreeMap<Vec<String>, &Pairing> = BTreeMap::new();
    let mut out = BTreeMap::new();
    for pairing in pairings {
        let plans = scenario.plans();
        let gateways: Vec<String> = plans.flat_map(|p| (0..p.gateways.len()).map(|i| pairing.of(p, i))).collect();
        match first.get(&gateways) {
            Some(earlier) => drop(out.insert(pairing.to_string(), *earlier)),
            None => drop(first.insert(gateways, pairing)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_cells() -> Vec<CellId> {
        let scenarios: Vec<PathName> = (0..50).map(|n| format!("scenario-{n}").parse().unwrap()).collect();
        let pairings: Vec<String> = ["a:a", "a:b", "b:a", "b:b"].map(str::to_owned).into();
        cells(&scenarios, &pairings, &WorldKind::ALL)
    }

    #[test]
    fn cells_have_a_fixed_order() {
        let all = some_cells();
        assert_eq!(all.len(), 50 * 4 * 2);
        let names: Vec<String> = all.iter().take(3).map(CellId::to_string).collect();
        assert_eq!(names, ["scenario-0/a:a/host", "scenario-0/a:a/pocket", "scenario-0/a:b/host"]);
    }

    #[test]
    fn every_cell_is_in_exactly_one_shard_and_shards_are_of_similar_size() {
        let all = some_cells();
        for count in 1..=7 {
            let mut sizes = vec![0_usize; count as usize];
            for cell in &all {
                let holders: Vec<u32> = (1..=count).filter(|index| Shard { index: *index, count }.holds(cell)).collect();
                assert_eq!(holders.len(), 1, "{cell} in {count} shards");
                sizes[holders[0] as usize - 1] += 1;
            }
            let even = all.len() / count as usize;
            assert!(sizes.iter().all(|s| (even / 2..=even * 2).contains(s)), "{sizes:?}");
        }
    }

    #[test]
    fn a_cell_stays_in_its_shard_whatever_else_there_is() {
        // Fixed values: shards of different machines, and of different days, must agree.
        let cell = CellId { scenario: "psk-mismatch-v2".parse().unwrap(), pairing: "strongswan:strongswan".into(), world: WorldKind::Host };
        let in_three = (1..=3).find(|index| Shard { index: *index, count: 3 }.holds(&cell));
        assert_eq!(in_three, Some(1));
    }

    #[test]
    fn shards_are_read_as_nextest_writes_them() {
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, count: 3 }));
        for wrong in ["0/3", "4/3", "3", "a/b", "1/0", "/", "-1/2", ""] {
            assert!(wrong.parse::<Shard>().unwrap_err().contains("i/n"), "{wrong}");
        }
    }

    #[test]
    fn a_scenario_that_insists_is_not_run_twice() {
        let library = crate::cli::scenarios::library(None).unwrap();
        let scenario = crate::cli::scenarios::select(&library, &["ok-v2-psk".to_owned()]).unwrap().remove(0);
        let pairings = Pairing::all_of(&["a", "b"]);
        assert!(repetitions(&scenario, &pairings).is_empty());
        let mut insists = scenario;
        insists.fixed = None;
        insists.broken.gateways[1].implementation = Some("b".to_owned());
        let found: Vec<String> = repetitions(&insists, &pairings).iter().map(|(p, e)| format!("{p} as {e}")).collect();
        assert_eq!(found, ["a:b as a:a", "b:b as b:a"]);
    }
}
