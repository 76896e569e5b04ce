//! Faults made of packet-filter rules: `drop`, `reject`, `icmp-errors-off`, `mss-clamp`. Proof: a rule's counter moved.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::World;
use super::super::kernel::nft::{self, Chain, Expr, Hook, Table};
use super::{Evidence, Failure, InForce, Placed, Proved, looked, node_at, number, rules, table_of, text};
use crate::filter::Filter;
use crate::filter::kernel::{Clause, Test, What, clauses};
use crate::scenario::model::Fault;
use crate::schema::Count;

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
    let mut table = Table::new(&table_of(fault));
    let end = match fault.args.count("which") {
        Some(count) => {
            table.plain_chain(NUMBERED);
            table.rule_in(NUMBERED, numbered(count).into_iter().chain([Expr::counter(), verdict.clone()]));
            vec![Expr::jump(NUMBERED)]
        }
        None => vec![Expr::counter(), verdict.clone()],
    };
    for (kind, hook, clauses) in places(world, fault, &clauses)? {
        table.chain(kind, hook);
        for clause in &clauses {
            let tests = rules::expressions(clause).map_err(Failure)?;
            table.rule(hook, tests.into_iter().chain(only.iter().cloned()).chain(end.iter().cloned()));
        }
    }
    in_force(world, fault, &table)
}

/// Chain in which matching packets are numbered: one number for each, whichever rule and hook it comes from.
const NUMBERED: &str = "numbered";

/// Goes on only for those of the packets that get here, from 1 on.
fn numbered(which: Count) -> [Expr; 3] {
    let before = |n: u64| u32::try_from(n.saturating_sub(1)).unwrap_or(u32::MAX).to_be_bytes();
    [Expr::ordinal(), Expr::host_to_network(), Expr::range(false, &before(which.min), &before(which.max.unwrap_or(u64::MAX)))]
}

/// Where the rules go, with what each place adds to them.
fn places(world: &World, fault: &Fault, clauses: &[Clause]) -> Result<Vec<(Chain, Hook, Vec<Clause>)>, Failure> {
    let hook = fault.args.text("hook");
    if !clauses.iter().any(Clause::looks_at_fragments) {
        let hooks: &[Hook] = match hook {
            Some("in") => &[Hook::Input],
            Some("forward") => &[Hook::Forward],
            Some("out") => &[Hook::Output],
            _ => &[Hook::Input, Hook::Forward, Hook::Output],
        };
        return Ok(hooks.iter().map(|h| (Chain::Filter, *h, clauses.to_vec())).collect());
    }
    // Whatever is for the node itself is put together before `input`, and where connections are tracked everything before `forward`.
    let incoming = |clauses| (Chain::Fragments, Hook::Prerouting, clauses);
    let outgoing = (Chain::Filter, Hook::Output, clauses.to_vec());
    let own = own_addresses(world, text(fault, "at")?);
    Ok(match hook {
        Some("in") => vec![incoming(for_these(clauses, &own))],
        Some("forward") => vec![incoming(for_others(clauses, &own))],
        Some("out") => vec![outgoing],
        _ => vec![incoming(clauses.to_vec()), outgoing],
    })
}

/// The node's own addresses; only IPv4 has fragments that a rule can tell.
fn own_addresses(world: &World, node: &str) -> Vec<IpNet> {
    let ifaces = world.network().node(node).map(|n| n.ifaces.as_slice()).unwrap_or_default();
    let addresses = ifaces.iter().flat_map(|i| i.addrs.iter().chain(&i.later)).map(|net| net.addr());
    addresses.filter(IpAddr::is_ipv4).map(IpNet::from).collect()
}

fn for_these(clauses: &[Clause], own: &[IpNet]) -> Vec<Clause> {
    let with = |c: &Clause, net: &IpNet| Clause { tests: [&c.tests[..], &[destination(*net, false)]].concat() };
    own.iter().flat_map(|net| clauses.iter().map(move |c| with(c, net))).collect()
}

fn for_others(clauses: &[Clause], own: &[IpNet]) -> Vec<Clause> {
    let others: Vec<Test> = own.iter().map(|net| destination(*net, true)).collect();
    clauses.iter().map(|c| Clause { tests: [&c.tests[..], &others[..]].concat() }).collect()
}

fn destination(net: IpNet, negated: bool) -> Test {
    Test { negated, what: What::Destination(net) }
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
