//! The in-house gateway with every other implementation: each transform that both have, and each feature, with either side beginning.
//! With itself, what no other has. A trial per row and side; many rows share a cell. At the end, a table. Also under cargo-nextest, where a
//! trial has its cell alone.

use std::sync::{Arc, Mutex};

use faultlab::run::worlds::{WorldKind, Worlds};
use libtest_mimic::{Arguments, Failed, Trial};
use peer::Probe;

use cell::{Cell, OURS};
use rows::{Group, Row};
use table::{State, Table};

mod cell;
mod lacks;
mod rows;
#[path = "../silent/mod.rs"]
mod silent;
mod table;

/// One half of a row: what its trial needs, or why there is none.
struct Half {
    /// Index of the group's cell, when both are tried.
    order: usize,
    name: String,
    row: String,
    column: usize,
    world: WorldKind,
    peer: &'static str,
    cell: Result<Arc<Cell>, String>,
}

fn main() {
    faultlab::world::cell::entry(faultlab::run::lab::cell_main);
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(3);
    let cells = faultlab::world::cell::CellHandle::try_out().map_err(|e| e.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap_or_else(|e| panic!("{e}"));
    let worlds = Worlds::default();
    let mut halves = Vec::new();
    for (peer, world, groups) in plan(&arguments) {
        let probe = runtime.block_on(probe(&worlds, peer, world));
        for group in groups {
            // With itself, it is the one that begins in any case.
            for column in 0..if peer == OURS { 1 } else { 2 } {
                let able = |cell: &Cell| match (world, &cells) {
                    (WorldKind::Host, Err(e)) => Err(e.clone()),
                    _ => runtime.block_on(cell.able(&worlds)),
                };
                halves.extend(column_of(&arguments, &group, (peer, probe.as_ref()), world, column, able));
            }
        }
    }
    let table = Arc::new(Mutex::new(Table::default()));
    for half in &halves {
        let mut table = table.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let state = half.cell.as_ref().err().map_or(State::NotRun, |why| State::Skipped(why.clone()));
        table.set((half.peer, half.world), &half.row, half.column, state);
    }
    // Threads that wait for the same cell would leave the others idle.
    let mut order: Vec<usize> = (0..halves.len()).collect();
    order.sort_by_key(|i| halves[*i].order);
    let trials = order.into_iter().map(|i| trial(&halves[i], &table, arguments.list)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list && conclusion.num_passed + conclusion.num_failed > 0 {
        println!("{}", table.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
    conclusion.exit();
}

/// What the peer said of itself; `None`: it is not there, which its cells say.
async fn probe(worlds: &Worlds, peer: &str, world: WorldKind) -> Option<Probe> {
    let inventory = match world {
        WorldKind::Host => worlds.on_host(&[peer]).await,
        WorldKind::Pocket => worlds.in_pockets(&[peer]).await.ok()?,
    };
    inventory.get(peer)?.clone().ok()
}

/// With whom, where, and what. With the others it takes minutes on a busy machine: their names must be in the filter.
fn plan(arguments: &Arguments) -> Vec<(&'static str, WorldKind, Vec<Group>)> {
    let mut plan = vec![
        ("strongswan", WorldKind::Host, rows::groups()),
        ("strongswan", WorldKind::Pocket, rows::kernel_groups()),
        (OURS, WorldKind::Host, vec![rows::additional()]),
    ];
    for peer in ["libreswan", "openiked"] {
        if arguments.filter.as_ref().is_some_and(|f| f.contains(peer)) {
            plan.push((peer, WorldKind::Pocket, rows::groups()));
        } else if !arguments.list && arguments.filter.is_none() {
            eprintln!("interop with {peer}: skipped(only when asked for: cargo test -p faultlab-tests --test interop -- {peer})");
        }
    }
    plan
}

/// A group's rows with one side beginning.
fn column_of(
    arguments: &Arguments,
    group: &Group,
    (peer, probe): (&'static str, Option<&Probe>),
    world: WorldKind,
    column: usize,
    able: impl Fn(&Cell) -> Result<(), String>,
) -> Vec<Half> {
    let starter = if column == 0 { OURS } else { peer };
    let name = |row: &Row| format!("{peer}, {}: {}: {starter} begins", group.name, row.name);
    let wanted = |row: &Row| !arguments.is_filtered_out(&Trial::test(name(row), || Ok(())).with_kind(world.name()));
    let not_there = |row: &Row| {
        let probe = probe?;
        let word = serde_json::to_value(lacks::not_there(row, &probe.capabilities)?).ok()?;
        Some(format!("{peer} {} has no {}", probe.version, word.as_str().unwrap_or_default()))
    };
    let lack = |row: &Row| lacks::lack(peer, row, column == 1).map(str::to_owned).or_else(|| not_there(row));
    let playing: Vec<&Row> = group.rows.iter().filter(|r| lack(r).is_none() && wanted(r)).collect();
    let cell = if playing.is_empty() {
        Err("nothing left to try".to_owned())
    } else {
        Ok(Arc::new(Cell::new(group, &playing, peer, world, column == 0)))
    };
    let cell = cell.and_then(|cell| able(&cell).map(|()| cell));
    let half = |(order, row): (usize, &Row)| {
        let cell = lack(row).map_or_else(|| cell.clone(), Err);
        Half { order, name: name(row), row: format!("{}: {}", group.name, row.name), column, world, peer, cell }
    };
    group.rows.iter().filter(|r| wanted(r)).enumerate().map(half).collect()
}

fn trial(half: &Half, table: &Arc<Mutex<Table>>, listing: bool) -> Trial {
    let cell = match &half.cell {
        Ok(cell) => Arc::clone(cell),
        Err(reason) => {
            if !listing {
                eprintln!("{}: skipped({reason})", half.name);
            }
            return Trial::test(half.name.clone(), || Ok(())).with_kind(half.world.name()).with_ignored_flag(true);
        }
    };
    let (table, place, row, column) = (Arc::clone(table), (half.peer, half.world), half.row.clone(), half.column);
    let name = row.split_once(": ").map_or(row.clone(), |(_, name)| name.to_owned());
    let run = move || {
        let result = cell.results().get(&name).cloned().unwrap_or_else(|| Err("it was not part of its cell".into()));
        let state = if result.is_ok() { State::Works } else { State::Fails };
        table.lock().unwrap_or_else(std::sync::PoisonError::into_inner).set(place, &row, column, state);
        result.map_err(Failed::from)
    };
    Trial::test(half.name.clone(), run).with_kind(half.world.name())
}
