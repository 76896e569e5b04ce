//! Which world a scenario runs in: what it needs against what each world and its gateway implementations have.

use std::collections::BTreeMap;
use std::sync::Arc;

use peer::{Capability, Probe};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Semaphore};

use super::drivers::{self, Pairing};
use super::lack::{Absent, Lack, NotRun, Skip};
use super::probing;
use super::versions::Versions;
use crate::scenario::model::{Plan, Scenario};
use crate::world::pocket::{self, Pocket};

/// Whose kernel carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorldKind {
    /// Namespaces of the running kernel, in real time.
    Host,
    /// A kernel of our own, in virtual time.
    Pocket,
}

impl WorldKind {
    /// Both.
    pub const ALL: [WorldKind; 2] = [WorldKind::Host, WorldKind::Pocket];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            WorldKind::Host => "host",
            WorldKind::Pocket => "pocket",
        }
    }
}

/// What the user asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum WorldChoice {
    /// The host world where it suffices, the pocket world otherwise.
    #[default]
    Auto,
    /// The running kernel only.
    Host,
    /// The pocket kernel only.
    Pocket,
}

impl std::str::FromStr for WorldKind {
    type Err = String;
    fn from_str(text: &str) -> Result<WorldKind, String> {
        WorldKind::ALL.into_iter().find(|w| w.name() == text).ok_or_else(|| format!("`{text}` is no world; there are host and pocket"))
    }
}

impl From<WorldKind> for WorldChoice {
    fn from(kind: WorldKind) -> WorldChoice {
        match kind {
            WorldKind::Host => WorldChoice::Host,
            WorldKind::Pocket => WorldChoice::Pocket,
        }
    }
}

/// What each implementation can do in a world, or why it is not there.
pub type Inventory = BTreeMap<String, Result<Probe, Absent>>;

/// The worlds of this machine. Each is looked at when first needed, for the implementations that are asked for: to look takes up
/// to a second.
#[derive(Debug)]
pub struct Worlds {
    real_time: bool,
    host: Mutex<Inventory>,
    pocket: Mutex<Result<Inventory, Absent>>,
}

impl Default for Worlds {
    fn default() -> Worlds {
        Worlds::new(false)
    }
}

impl Worlds {
    /// `real_time`: pockets do not use virtual time.
    pub fn new(real_time: bool) -> Worlds {
        Worlds { real_time, host: Mutex::default(), pocket: Mutex::new(Ok(Inventory::new())) }
    }

    /// A pairing and a world in which this scenario can run: the first pairing, of what was asked for or of the table, that can;
    /// an error says of each why it cannot. Where a world could not be asked, no other is taken in its place: that would hide it.
    pub async fn cast(&self, choice: WorldChoice, scenario: &Scenario, asked: Option<&Pairing>) -> Result<(Pairing, WorldKind), NotRun> {
        let mut reasons = Vec::new();
        for pairing in Pairing::candidates(asked) {
            match self.choose(choice, scenario, &pairing).await {
                Ok(world) => return Ok((pairing, world)),
                Err(NotRun::Skipped(reason)) => reasons.push((pairing, reason)),
                Err(failed) => return Err(failed),
            }
        }
        Err(NotRun::Skipped(match reasons.as_slice() {
            [(_, only)] => only.clone(),
            all => Skip {
                lack: all.iter().map(|(_, reason)| reason.lack).max().unwrap_or(Lack::Missing),
                text: all.iter().map(|(pairing, reason)| format!("{pairing}: {}", reason.text)).collect::<Vec<_>>().join("; "),
            },
        }))
    }

    /// A world in which this scenario can run with this pairing; an error says why there is none, and what to do.
    pub async fn choose(&self, choice: WorldChoice, scenario: &Scenario, pairing: &Pairing) -> Result<WorldKind, NotRun> {
        let host = match choice {
            WorldChoice::Pocket => None,
            _ => match self.host(scenario, pairing).await {
                Ok(()) => return Ok(WorldKind::Host),
                Err(NotRun::Skipped(reason)) if choice == WorldChoice::Auto => Some(reason),
                Err(reason) => return Err(reason),
            },
        };
        match (self.in_pocket(scenario, pairing).await, host) {
            (Ok(()), _) => Ok(WorldKind::Pocket),
            // Without a pocket, what the host lacks is the point.
            (Err(NotRun::Skipped(reason)), Some(host)) => Err(NotRun::Skipped(Skip {
                lack: reason.lack.max(host.lack),
                text: format!("{}; and in the pocket world: {}", host.text, reason.text),
            })),
            (Err(reason), _) => Err(reason),
        }
    }

    async fn host(&self, scenario: &Scenario, pairing: &Pairing) -> Result<(), NotRun> {
        if scenario.virtual_time {
            return Err(Skip::design("it takes hours, which only the pocket world makes short").into());
        }
        runnable(scenario, pairing, &self.on_host(&players(scenario, pairing)).await)
    }

    /// What some implementations can do on the running kernel.
    pub async fn on_host(&self, names: &[impl AsRef<str>]) -> Inventory {
        let mut known = self.host.lock().await;
        let new = unknown(&known, names);
        if !new.is_empty() {
            known.extend(probing::on_host(&new).await);
        }
        known.clone()
    }

    async fn in_pocket(&self, scenario: &Scenario, pairing: &Pairing) -> Result<(), NotRun> {
        if scenario.virtual_time && self.real_time {
            return Err(Skip::design("it takes hours, and --real-time was asked for").into());
        }
        let found = self.in_pockets(&players(scenario, pairing)).await?;
        runnable(scenario, pairing, &found)
    }

    /// What some implementations can do in pockets.
    pub async fn in_pockets(&self, names: &[impl AsRef<str>]) -> Result<Inventory, Absent> {
        let mut known = self.pocket.lock().await;
        if let Ok(found) = &mut *known {
            let new = unknown(found, names);
            if !new.is_empty() {
                match probing::in_pocket(&new).await {
                    Ok(more) => found.extend(more),
                    Err(absent) => *known = Err(absent),
                }
            }
        }
        known.clone()
    }

    /// What was found so far in a world.
    pub async fn found(&self, world: WorldKind) -> BTreeMap<String, Probe> {
        let known = match world {
            WorldKind::Host => self.host.lock().await.clone(),
            WorldKind::Pocket => self.pocket.lock().await.clone().unwrap_or_default(),
        };
        known.into_iter().filter_map(|(name, probe)| Some((name, probe.ok()?))).collect()
    }

    /// Versions of the sides of a pairing, as found in a world; of those that play in the scenario only, so that they do not depend
    /// on what else was looked for.
    pub async fn versions(&self, scenario: &Scenario, pairing: &Pairing, world: WorldKind) -> Versions {
        let (found, players) = (self.found(world).await, players(scenario, pairing));
        let of = |name: &str| found.get(name).filter(|_| players.iter().any(|p| p == name)).map(|probe| probe.version.clone());
        let [first, others] = pairing.sides().map(of);
        Versions { first, others }
    }

    /// How to start a pocket cell on a core; `None` where there are no pockets.
    pub fn pocket_on(&self, cpu: Option<usize>) -> Option<Pocket> {
        Some(Pocket { cpu, real_time: self.real_time, ..Pocket::new(pocket::find().ok()?) })
    }
}

/// Which of these implementations, of those that there are, were not looked for yet.
fn unknown(known: &Inventory, names: &[impl AsRef<str>]) -> Vec<String> {
    let names = names.iter().map(AsRef::as_ref);
    names.filter(|n| !known.contains_key(*n) && drivers::names().contains(n)).map(str::to_owned).collect()
}

/// Can this scenario run with this pairing where these implementations are? `Err`: why not, and what to do.
pub fn runnable(scenario: &Scenario, pairing: &Pairing, found: &Inventory) -> Result<(), NotRun> {
    for (name, needs) in played(scenario, pairing) {
        let probe = match found.get(&name) {
            None => {
                return Err(Skip::design(format!("no gateway implementation `{name}`; there are: {}", drivers::names().join(", "))).into());
            }
            Some(Err(absent)) => return Err(absent.clone().into()),
            Some(Ok(probe)) => probe,
        };
        if let Some(need) = needs.iter().find(|n| !probe.capabilities.contains(n)) {
            let need = serde_json::to_value(need).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
            return Err(Skip::design(format!("{name} {} with {} has no {need} here", probe.version, probe.data_path)).into());
        }
    }
    refused(scenario, pairing, found).map_err(NotRun::from)
}

/// What a driver would refuse once its gateway is to be started: said before anything is. What the default implementation refuses is
/// a mistake of the scenario, which must not be skipped; and certificates are issued in the cell.
fn refused(scenario: &Scenario, pairing: &Pairing, found: &Inventory) -> Result<(), Skip> {
    for plan in scenario.plans() {
        for (index, gateway) in plan.gateways.iter().enumerate() {
            let name = pairing.of(plan, index);
            let certified = gateway.certificates.own.is_some() || !gateway.certificates.trust.is_empty();
            if certified || drivers::is_default(&name) {
                continue;
            }
            if let (Some(driver), Some(Ok(probe))) = (drivers::find(&name), found.get(&name)) {
                driver.check(&gateway.config, probe).map_err(|e| Skip::design(format!("{} side: {e}", plan.side.name())))?;
            }
        }
    }
    Ok(())
}

/// Who plays in a scenario.
fn players(scenario: &Scenario, pairing: &Pairing) -> Vec<String> {
    played(scenario, pairing).into_keys().collect()
}

/// The implementations that play in a scenario, and what each must be able to do: what all must, and what the gateways that it plays
/// need.
fn played(scenario: &Scenario, pairing: &Pairing) -> BTreeMap<String, Vec<Capability>> {
    let plans = scenario.plans();
    let mut played: BTreeMap<String, Vec<Capability>> = BTreeMap::new();
    for (plan, index) in plans.flat_map(|p| (0..p.gateways.len()).map(move |i| (p, i))) {
        played.entry(pairing.of(plan, index)).or_insert_with(|| needs(scenario)).extend(plan.needs_of(index));
    }
    played
}

/// What the scenario says it needs, and what its gateways' settings need.
fn needs(scenario: &Scenario) -> Vec<Capability> {
    let mut needs = scenario.needs.clone();
    let plans = scenario.plans();
    needs.extend(plans.flat_map(Plan::needs));
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// Places for pocket cells: one per core, because each has one CPU and stays on its core.
#[derive(Debug)]
pub struct Cores {
    free: std::sync::Mutex<Vec<usize>>,
    places: Arc<Semaphore>,
}

impl Default for Cores {
    fn default() -> Cores {
        let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).ok();
        let is_set = |cpu: &usize| allowed.is_some_and(|set| set.is_set(*cpu).unwrap_or(false));
        let mut free: Vec<usize> = (0..nix::sched::CpuSet::count()).filter(is_set).collect();
        if free.is_empty() {
            free.push(0);
        }
        Cores { places: Arc::new(Semaphore::new(free.len())), free: std::sync::Mutex::new(free) }
    }
}

/// A core that nobody else uses for a pocket meanwhile.
#[derive(Debug)]
pub struct Core<'c> {
    cores: &'c Cores,
    /// Its number.
    pub cpu: usize,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Cores {
    /// Waits for a core. `None`: everything is being torn down.
    pub async fn take(&self) -> Option<Core<'_>> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let cpu = self.free.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop()?;
        Some(Core { cores: self, cpu, _place: place })
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        self.cores.free.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(self.cpu);
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{Trouble, Whose};
    use super::*;
    use crate::scenario::{self, Source, Vocabulary};
    use peer::Missing;

    fn idle_closes(gateway: &str) -> Scenario {
        let text = format!(
            "[scenario]\ntitle = 'x'\nkind = 'control'\n[network]\nlayout = 'two-gateways'\n[gateway.{gateway}]\ninactivity = '2s'\n"
        );
        let vocabulary = Vocabulary::new(vec![], |_| Ok(()));
        scenario::load(&Source::new("scenarios/a/x.toml", text), &vocabulary).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn what_a_daemon_would_refuse_is_said_before_anything_is_started() {
        let probe = |_| Probe {
            version: "1".into(),
            data_path: "any".into(),
            capabilities: vec![Capability::Ikev2, Capability::RawEsp, Capability::UdpEsp],
            found: String::new(),
        };
        let names = ["inhouse", "openiked"];
        let found: Inventory = names.into_iter().map(|n| (n.to_owned(), Ok(probe(n)))).collect();
        let runs = |gateway, pairing: &str| runnable(&idle_closes(gateway), &pairing.parse().unwrap(), &found);
        assert_eq!(runs("west", "inhouse:openiked"), Ok(()));
        let Err(NotRun::Skipped(refused)) = runs("east", "inhouse:openiked") else { panic!("it is skipped") };
        assert_eq!(refused.lack, Lack::Design);
        assert!(refused.text.contains("east") && refused.text.contains("inactivity"), "{refused:?}");
    }

    #[test]
    fn a_missing_package_is_told_from_a_probe_that_failed() {
        let missing = Missing { what: "no charon".into(), hint: "make peers".into() };
        let trouble = Trouble { whose: Whose::Outside, text: "the pocket kernel was killed".into() };
        let runs =
            |absent: Absent| runnable(&idle_closes("west"), &Pairing::default(), &Inventory::from([("inhouse".into(), Err(absent))]));
        assert_eq!(runs(missing.into()), Err(NotRun::Skipped(Skip::missing("no charon; make peers"))));
        assert_eq!(runs(Absent::Failed(trouble.clone())), Err(NotRun::Failed(trouble)));
    }
}
