//! Faults made of packet-filter rules: `drop`, `reject`, `icmp-errors-off`, `mss-clamp`. Proof: a rule's counter moved.

use std::io;

use super::super::World;
use super::super::kernel::nft::{self, Chain, Expr, Hook, Table};
use super::{Evidence, Failure, InForce, Placed, Proved, looked, node_at, number, rules, table_of, text};
use crate::filter::Filter;
use crate::filter::kernel::{Clause, Test, What, clauses};
use crate::scenario::model::Fault;

/// `drop`.
pub(super) fn drop(world: &World, fault: &Fault) -> Placed {
    matching(world, fault, &[], &Expr::drop())
}

/// `reject`.
pub(super) fn reject(world: &World, fault: &Fault) -> Placed {
    let tcp = Expr::protocol(6);
    let (only, verdict): (&[Expr], _) = match fault.args.text("with") {
        Some("host-unreachable") => (&[], Expr::reject_icmp(2)),
        Some("admin-prohibited") => (&[], Expr::reject_icmp(3)),
        Some("tcp-reset") => (&tcp, Expr::reject_tcp()),
        _ => (&[], Expr::reject_icmp(1)),
    };
    matching(world, fault, only, &verdict)
}

fn matching(world: &World, fault: &Fault, only: &[Expr], verdict: &Expr) -> Placed {
    let filter = Filter::parse(text(fault, "match")?).map_err(|e| Failure(format!("its `match`: {}", e.message)))?;
    let clauses = clauses(&filter).map_err(|e| Failure(format!("its `match` cannot be a packet-filter rule: {}", e.message)))?;
    let hooks: &[Hook] = match fault.args.text("hook") {
        Some("in") => &[Hook::Input],
        Some("forward") => &[Hook::Forward],
        Some("out") => &[Hook::Output],
        _ => &[Hook::Input, Hook::Forward, Hook::Output],
    };
    let mut table = Table::new(&table_of(fault));
    for hook in hooks {
        table.chain(Chain::Filter, *hook);
        for clause in &clauses {
            let tests = rules::expressions(clause).map_err(Failure)?;
            table.rule(*hook, tests.into_iter().chain(only.iter().cloned()).chain([Expr::counter(), verdict.clone()]));
        }
    }
    in_force(world, fault, &table)
}

/// `icmp-errors-off`.
pub(super) fn icmp_errors_off(world: &World, fault: &Fault) -> Placed {
    // Destination unreachable, source quench, time exceeded, parameter problem; IPv6: 1 to 4 (RFC 4443).
    const ALL: &[(bool, u8)] = &[(false, 3), (false, 4), (false, 11), (false, 12), (true, 1), (true, 2), (true, 3), (true, 4)];
    let is = |what| Test { negated: false, what };
    let kinds: Vec<Clause> = if fault.args.text("kinds") == Some("too-big") {
        vec![
            Clause { tests: vec![is(What::IcmpType(false, 3)), is(What::IcmpCode(false, 4))] },
            Clause { tests: vec![is(What::IcmpType(true, 2))] },
        ]
    } else {
        ALL.iter().map(|(v6, kind)| Clause { tests: vec![is(What::IcmpType(*v6, *kind))] }).collect()
    };
    let mut table = Table::new(&table_of(fault));
    table.chain(Chain::Filter, Hook::Output);
    for kind in &kinds {
        let tests = rules::expressions(kind).map_err(Failure)?;
        table.rule(Hook::Output, tests.into_iter().chain([Expr::counter(), Expr::drop()]));
    }
    in_force(world, fault, &table)
}

/// `mss-clamp`.
pub(super) fn mss_clamp(world: &World, fault: &Fault) -> Placed {
    let table = nft::clamp_mss(&table_of(fault), number(fault, "mss")?);
    in_force(world, fault, &table)
}

fn in_force(world: &World, fault: &Fault, table: &Table) -> Placed {
    let node = node_at(world, fault)?;
    node.run(|| nft::apply(table))??;
    Ok(Box::new(Rules { node: node.name().to_owned(), table: table_of(fault) }))
}

struct Rules {
    node: String,
    table: String,
}

impl InForce for Rules {
    fn prove(&mut self, evidence: &Evidence<'_>) -> Proved {
        let count = || -> io::Result<Proved> {
            let node = evidence.world.node(&self.node).map_err(io::Error::other)?;
            let counters = node.run(|| nft::counters(&self.table))??;
            let moved: Vec<String> =
                counters.iter().filter(|c| c.packets > 0).map(|c| format!("{} packets at {}", c.packets, c.chain)).collect();
            Ok(if moved.is_empty() {
                Proved::NotYet(format!("no packet has matched the {} rules at {}", counters.len(), self.node))
            } else {
                Proved::Yes(format!("rules at {} matched {}", self.node, moved.join(", ")))
            })
        };
        looked(count())
    }
}
