//! What we believe of the kernel, each in a tiny trial that runs inside a cell.

use std::time::Duration;

use faultlab::dissect::Direction;
use faultlab::world::World;
use faultlab::world::kernel::{conntrack, links, nft};

use crate::networks::{nat, pair, routed, translated};
use crate::probe::{Outcome, Taps, ensure, eventually, exchange, say, udp};

/// A trial inside a cell.
pub type Belief = fn() -> Outcome;

/// All beliefs.
pub const ALL: &[(&str, Belief)] = &[
    ("veth_is_created_in_place_and_never_seen_outside", veth_in_place),
    ("first_packet_arrives_when_both_ends_are_operationally_up", first_packet),
    ("a_link_of_two_addresses_has_no_broadcast", two_addresses),
    ("router_forwards_and_taps_see_both_directions", forwarding),
    ("nft_counters_move_with_packets", counters),
    ("nft_drop_at_output_is_seen_by_the_sender", drop_at_output),
    ("masquerade_uses_the_port_range", port_range),
    ("conntrack_forgets_idle_mappings", conntrack_timeout),
    ("conntrack_flush_forgets_all_mappings", conntrack_flush),
    ("oversized_datagram_with_df_is_refused", df_emsgsize),
    ("ipv6_works_without_chatter", ipv6),
];

fn veth_in_place() -> Outcome {
    let before = links::list(&mut links::open().map_err(say)?).map_err(say)?;
    let world = World::build(&pair()).map_err(say)?;
    let after = links::list(&mut links::open().map_err(say)?).map_err(say)?;
    ensure(before == after, || format!("links of the cell changed: {before:?} → {after:?}"))?;
    let alice = world.node("alice").map_err(say)?.route(links::list).map_err(say)?;
    ensure(alice.values().any(|l| l.name == "eth0" && l.is_up() && l.mtu == 1500), || format!("alice has {alice:?}"))
}

fn first_packet() -> Outcome {
    for round in 0..20 {
        let world = World::build(&pair()).map_err(say)?;
        let (a, b) = (world.node("alice").map_err(say)?, world.node("bob").map_err(say)?);
        let (from, to) = (udp(&a, "10.0.0.1:0")?, udp(&b, "10.0.0.2:7")?);
        exchange(&from, &to, "10.0.0.2:7", b"x").map_err(|e| format!("round {round}: {e}"))?;
    }
    Ok(())
}

/// RFC 3021: of a /31, the last address is a neighbour's.
fn two_addresses() -> Outcome {
    let mut network = pair();
    for (node, address) in network.nodes.iter_mut().zip(["198.51.100.0/31", "198.51.100.1/31"]) {
        node.ifaces[0].addrs = vec![address.parse().map_err(say)?];
    }
    let world = World::build(&network).map_err(say)?;
    let (a, b) = (udp(&*world.node("alice").map_err(say)?, "198.51.100.0:7")?, udp(&*world.node("bob").map_err(say)?, "198.51.100.1:7")?);
    exchange(&a, &b, "198.51.100.1:7", b"x").map_err(say)?;
    exchange(&b, &a, "198.51.100.0:7", b"x").map_err(say)?;
    Ok(())
}

fn forwarding() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    let taps = Taps::start(&world)?;
    let (from, to) = (udp(&*world.node("alice").map_err(say)?, "10.1.0.2:0")?, udp(&*world.node("bob").map_err(say)?, "192.0.2.2:7")?);
    for _ in 0..10 {
        exchange(&from, &to, "192.0.2.2:7", b"through the router").map_err(say)?;
    }
    let (capture, stats) = taps.finish()?;
    ensure(stats.dropped() == 0, || format!("lost {}", stats.dropped()))?;
    for (tap, direction) in
        [("alice.eth0", Direction::Out), ("mid.lan", Direction::In), ("mid.wan", Direction::Out), ("bob.eth0", Direction::In)]
    {
        let seen = capture.at(tap).filter(|r| r.frame.direction == direction && r.frame.data.ends_with(b"router")).count();
        ensure(seen == 10, || format!("{tap} saw {seen} of 10 going {direction:?}"))?;
    }
    let times: Vec<_> = capture.records.iter().map(|r| r.frame.time).collect();
    ensure(times.is_sorted() && stats.late == 0, || "frames are not in time order".into())?;
    ensure(capture.records.iter().zip(1..).all(|(r, n)| r.frame.number == n), || "frames are not numbered from 1".into())
}

fn counters() -> Outcome {
    use nft::{Chain, Expr, Hook, Table};
    let world = World::build(&pair()).map_err(say)?;
    let (a, b) = (world.node("alice").map_err(say)?, world.node("bob").map_err(say)?);
    let mut table = Table::new("t");
    table.chain(Chain::Filter, Hook::Input);
    table.rule(Hook::Input, Expr::protocol(17).into_iter().chain([Expr::counter(), Expr::drop()]));
    b.run(|| nft::apply(&table)).map_err(say)?.map_err(say)?;
    let (from, to) = (udp(&a, "10.0.0.1:0")?, udp(&b, "10.0.0.2:7")?);
    for _ in 0..3 {
        let got = exchange(&from, &to, "10.0.0.2:7", b"x");
        ensure(got.is_err(), || "a dropped packet arrived".into())?;
    }
    let counted = b.run(|| nft::counters("t")).map_err(say)?.map_err(say)?;
    ensure(counted.len() == 1 && counted[0].packets == 3 && counted[0].chain == "input", || format!("{counted:?}"))?;
    b.run(|| nft::delete("t")).map_err(say)?.map_err(say)?;
    exchange(&from, &to, "10.0.0.2:7", b"x").map(|_| ()).map_err(|e| format!("after the table was deleted: {e}"))
}

fn drop_at_output() -> Outcome {
    use nft::{Chain, Expr, Hook, Table};
    let world = World::build(&pair()).map_err(say)?;
    let a = world.node("alice").map_err(say)?;
    let mut table = Table::new("t");
    table.chain(Chain::Filter, Hook::Output);
    table.rule(Hook::Output, [Expr::counter(), Expr::drop()]);
    a.run(|| nft::apply(&table)).map_err(say)?.map_err(say)?;
    let error = udp(&a, "10.0.0.1:0")?.send_to(b"x", "10.0.0.2:7").map_err(|e| e.raw_os_error());
    ensure(error == Err(Some(1)), || format!("{error:?} instead of EPERM"))
}

fn port_range() -> Outcome {
    let world = World::build(&routed(Some(nat(Some((1024, 2000)))))).map_err(say)?;
    let a = world.node("alice").map_err(say)?;
    let to = udp(&*world.node("bob").map_err(say)?, "192.0.2.2:4500")?;
    for port in 4500..4520 {
        let (_, seen) = exchange(&udp(&a, &format!("10.1.0.2:{port}"))?, &to, "192.0.2.2:4500", b"x").map_err(say)?;
        let fits = seen.ip().to_string() == "192.0.2.1" && (1024..=2000).contains(&seen.port());
        ensure(fits, || format!("{seen} is not 192.0.2.1 with a port of 1024–2000"))?;
    }
    Ok(())
}

fn conntrack_timeout() -> Outcome {
    let mut network = translated();
    network.nodes[1].nat.as_mut().unwrap().udp_timeout = Some(Duration::from_secs(1));
    let world = World::build(&network).map_err(say)?;
    let mid = world.node("mid").map_err(say)?;
    let to = udp(&*world.node("bob").map_err(say)?, "192.0.2.2:7")?;
    exchange(&udp(&*world.node("alice").map_err(say)?, "10.1.0.2:0")?, &to, "192.0.2.2:7", b"x").map_err(say)?;
    let list = || mid.run(conntrack::list).and_then(|r| r).map_err(say);
    ensure(list()?.len() == 1, || format!("{:?}", list()))?;
    eventually(Duration::from_secs(4), "the mapping to be forgotten", || Ok(list()?.is_empty()))
}

fn conntrack_flush() -> Outcome {
    let world = World::build(&translated()).map_err(say)?;
    let mid = world.node("mid").map_err(say)?;
    let to = udp(&*world.node("bob").map_err(say)?, "192.0.2.2:7")?;
    exchange(&udp(&*world.node("alice").map_err(say)?, "10.1.0.2:0")?, &to, "192.0.2.2:7", b"x").map_err(say)?;
    let list = || mid.run(conntrack::list).and_then(|r| r).map_err(say);
    ensure(list()?.len() == 1, || format!("{:?}", list()))?;
    mid.run(conntrack::flush).map_err(say)?.map_err(say)?;
    ensure(list()?.is_empty(), || format!("{:?}", list()))
}

fn df_emsgsize() -> Outcome {
    let world = World::build(&pair()).map_err(say)?;
    let socket = udp(&*world.node("alice").map_err(say)?, "[fd00::1]:0")?;
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::Ipv6DontFrag, &true).map_err(say)?;
    let fits = socket.send_to(&[0; 1452], "[fd00::2]:7").map_err(|e| e.raw_os_error());
    let larger = socket.send_to(&[0; 1453], "[fd00::2]:7").map_err(|e| e.raw_os_error());
    ensure(fits == Ok(1452) && larger == Err(Some(90)), || format!("1452: {fits:?}, 1453: {larger:?} (expected EMSGSIZE)"))
}

fn ipv6() -> Outcome {
    let world = World::build(&pair()).map_err(say)?;
    let (from, to) = (udp(&*world.node("alice").map_err(say)?, "[fd00::1]:0")?, udp(&*world.node("bob").map_err(say)?, "[fd00::2]:7")?);
    exchange(&from, &to, "[fd00::2]:7", b"x").map(|_| ()).map_err(say)
}
