//! What a matrix takes when nobody names worlds or pairings: all that is here. What is known not to be here is left out, with the reason;
//! what could not be asked stays in, so that its cells say so.

use super::exit::CliError;
use crate::matrix::store::LeftOut;
use crate::run::drivers::{self, Pairing};
use crate::run::lack::Absent;
use crate::run::worlds::{Inventory, WorldKind, Worlds};
use crate::world::cell::{CellError, CellHandle};

/// The worlds that are here.
pub async fn worlds(all: &Worlds, left_out: &mut Vec<LeftOut>) -> Result<Vec<WorldKind>, CliError> {
    let host = match CellHandle::try_out() {
        Err(CellError::Refused(refusal)) => Err(Absent::from(refusal)),
        // Whatever else is wrong, its cells will say it.
        _ => Ok(()),
    };
    let pocket = all.in_pockets(&drivers::names()).await.map(drop);
    let mut found = Vec::new();
    for (world, there) in [(WorldKind::Host, host), (WorldKind::Pocket, pocket)] {
        match there {
            Err(Absent::Missing(missing)) => {
                left_out.push(LeftOut { what: format!("the {} world", world.name()), why: missing.to_string() });
            }
            Ok(()) | Err(Absent::Failed(_)) => found.push(world),
        }
    }
    if found.is_empty() {
        let reasons: Vec<String> = left_out.iter().map(|l| format!("\n{}: {}", l.what, l.why)).collect();
        return Err(CliError::machine(format!("no world is here.{}", reasons.concat())));
    }
    Ok(found)
}

/// All pairings of implementations that are in one of the worlds.
pub async fn pairings(worlds: &[WorldKind], all: &Worlds, left_out: &mut Vec<LeftOut>) -> Result<Vec<Pairing>, CliError> {
    let mut inventories: Vec<(WorldKind, Result<Inventory, Absent>)> = Vec::new();
    for world in worlds {
        let found = match world {
            WorldKind::Host => Ok(all.on_host(&drivers::names()).await),
            WorldKind::Pocket => all.in_pockets(&drivers::names()).await,
        };
        inventories.push((*world, found));
    }
    let mut names = Vec::new();
    for name in drivers::names() {
        match absent(name, &inventories) {
            None => names.push(name),
            Some(why) => left_out.push(LeftOut { what: name.to_owned(), why }),
        }
    }
    if names.is_empty() {
        return Err(CliError::machine("no gateway implementation is here; `faultlab doctor` tells what to install"));
    }
    Ok(Pairing::all_of(&names))
}

/// Why an implementation is known to be in none of the worlds.
fn absent(name: &str, inventories: &[(WorldKind, Result<Inventory, Absent>)]) -> Option<String> {
    let mut reasons = Vec::new();
    for (world, inventory) in inventories {
        let Some(found) = inventory.as_ref().map(|found| found.get(name)).transpose() else { continue };
        match found.and_then(|found| found.as_ref()) {
            Err(Absent::Missing(missing)) => reasons.push(format!("in the {} world: {missing}", world.name())),
            Ok(_) | Err(Absent::Failed(_)) => return None,
        }
    }
    Some(reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::outcome::{Trouble, Whose};
    use peer::Missing;

    #[test]
    fn what_is_known_to_be_missing_is_left_out_and_what_is_not_known_stays() {
        let missing = || Absent::Missing(Missing { what: "no charon".into(), hint: "make peers".into() });
        let failed = || Absent::Failed(Trouble { whose: Whose::Outside, text: "it ended: killed".into() });
        let on = |world, absent: Absent| (world, Ok(Inventory::from([("strongswan".to_owned(), Err(absent))])));
        let host = || on(WorldKind::Host, missing());
        let why = absent("strongswan", &[host(), on(WorldKind::Pocket, missing())]).unwrap();
        assert_eq!(why, "in the host world: no charon; make peers; in the pocket world: no charon; make peers");
        assert_eq!(absent("strongswan", &[host(), on(WorldKind::Pocket, failed())]), None);
        assert_eq!(absent("strongswan", &[host(), (WorldKind::Pocket, Err(failed()))]), None);
    }
}
