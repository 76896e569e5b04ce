//! Every fault of the network is put in place, shows no proof before anything happened, and proof after.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use faultlab::dissect::Capture;
use faultlab::scenario::model::{Fault, Health, Must, Network, Plan, Side, When};
use faultlab::schema::{Args, Count, Value};
use faultlab::world::World;
use faultlab::world::faults::{self, Evidence, HERE, InForce, Proved};

use crate::beliefs::Belief;
use crate::networks::{routed, translated};
use crate::probe::{Outcome, Taps, ensure, eventually, exchange, say, udp};

/// All trials of faults.
pub const ALL: &[(&str, Belief)] = &[
    ("drop_is_proved_by_its_counter", drop_rule),
    ("drop_meets_fragments_at_every_node", fragments),
    ("drop_meets_exactly_the_packets_that_are_wanted", numbered),
    ("reject_tells_the_sender", reject),
    ("icmp_errors_off_keeps_a_router_silent", icmp_errors_off),
    ("mss_clamp_lowers_what_a_handshake_announces", mss_clamp),
    ("link_mtu_is_proved_by_a_larger_packet_before_it", link_mtu),
    ("link_down_is_proved_by_both_ends", link_down),
    ("nat_is_proved_by_a_packet_on_both_sides", nat),
    ("nat_timeout_is_proved_by_a_forgotten_mapping", nat_timeout),
    ("nat_flush_is_proved_by_what_was_there", nat_flush),
    ("missing_route_and_other_route_are_proved_by_lookup", routing),
    ("change_address_is_proved_by_who_spoke_before", change_address),
    ("forwarding_off_is_read_back", forwarding_off),
    ("refusals_say_who_refused_what", refused),
    ("every_word_but_those_of_the_runner_is_known", vocabulary),
];

fn fault(action: &str, args: &[(&str, Value)]) -> Fault {
    let args = args.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect::<BTreeMap<_, _>>();
    Fault { name: format!("the-{action}"), action: action.into(), args: Args(args), when: When::Start, remedy: false, line: 1 }
}

fn text(s: &str) -> Value {
    Value::Text(s.into())
}

fn plan(network: Network) -> Plan {
    Plan {
        scenario: "trial".into(),
        side: Side::Broken,
        network,
        gateways: Vec::new(),
        services: Vec::new(),
        faults: Vec::new(),
        steps: Vec::new(),
        expects: Vec::new(),
        health: Health { from: String::new(), to: String::new(), must: Must::Whatever, bulk: 0 },
        deadline: Duration::from_secs(9),
    }
}

fn set(world: &World, fault: &Fault) -> Result<Box<dyn InForce>, String> {
    faults::set(world, fault, &plan(world.network().clone())).map_err(say)
}

/// Not proved without anything having happened.
fn unproved(world: &World, fault: &mut dyn InForce) -> Outcome {
    match fault.prove(&Evidence { world, capture: &Capture { taps: world.taps(), records: Vec::new() } }) {
        Proved::NotYet(_) => Ok(()),
        Proved::Yes(proof) => Err(format!("proved before anything happened: {proof}")),
    }
}

fn proved(world: &World, capture: &Capture, fault: &mut dyn InForce) -> Outcome {
    match fault.prove(&Evidence { world, capture }) {
        Proved::Yes(_) => Ok(()),
        Proved::NotYet(why) => Err(why),
    }
}

fn send(world: &World, size: usize) -> Result<std::io::Result<()>, String> {
    let (a, b) = (world.node("alice").map_err(say)?, world.node("bob").map_err(say)?);
    let (from, to) = (udp(&a, "10.1.0.2:0")?, udp(&b, "192.0.2.2:500")?);
    Ok(exchange(&from, &to, "192.0.2.2:500", &vec![0x5a; size]).map(|_| ()))
}

fn drop_rule() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    let filters = [
        "udp.dstport == 500",
        "udp.dstport == 500 && ip.src == 10.1.0.0/24 && ip.dst != 10.9.9.9",
        "ip.proto == 17 && ip.len >= 28",
        "udp.length == 18 && udp.dstport != 501",
    ];
    for (n, filter) in filters.iter().enumerate() {
        let mut fault = fault("drop", &[("at", text("mid")), ("match", text(filter)), ("hook", text("forward"))]);
        fault.name = format!("filter-{n}");
        let mut placed = match set(&world, &fault) {
            Ok(placed) => placed,
            // The filter language decides what a kernel rule can be; the first must work.
            Err(why) if n > 0 && why.contains("packet-filter rule") => continue,
            Err(why) => return Err(why),
        };
        unproved(&world, &mut *placed)?;
        ensure(send(&world, 10)?.is_err(), || format!("`{filter}`: a dropped packet arrived"))?;
        proved(&world, &Capture::default(), &mut *placed).map_err(|e| format!("`{filter}`: {e}"))?;
        let mid = world.node("mid").map_err(say)?;
        mid.run(|| faultlab::world::kernel::nft::delete(&format!("fault-filter-{n}"))).map_err(say)?.map_err(say)?;
        send(&world, 10)?.map_err(|e| format!("after `{filter}` was removed: {e}"))?;
    }
    Ok(())
}

/// A router, one that tracks connections and so puts fragments together, and the receiver, who does so anyway.
fn fragments() -> Outcome {
    const ANY: &str = "ip.flags.mf == 1 || ip.frag_offset > 0";
    const LATER: &str = "(ip.flags.mf == 1 || ip.frag_offset > 0) && ip.len < 1000";
    for network in [routed(None), translated()] {
        for (at, hook) in [("mid", "forward"), ("mid", "any"), ("bob", "in"), ("bob", "any")] {
            for filter in [ANY, LATER] {
                let world = World::build(&network).map_err(say)?;
                let mut placed = set(&world, &fault("drop", &[("at", text(at)), ("match", text(filter)), ("hook", text(hook))]))?;
                send(&world, 1000)?.map_err(|e| format!("whole, past {hook} of {at}: {e}"))?;
                unproved(&world, &mut *placed)?;
                ensure(send(&world, 2000)?.is_err(), || format!("fragments passed {hook} of {at}"))?;
                proved(&world, &Capture::default(), &mut *placed).map_err(|e| format!("{hook} of {at}: {e}"))?;
            }
        }
        // What is for somebody else is not for the node.
        for (at, hook) in [("mid", "in"), ("bob", "forward"), ("mid", "out")] {
            let world = World::build(&network).map_err(say)?;
            let mut placed = set(&world, &fault("drop", &[("at", text(at)), ("match", text(ANY)), ("hook", text(hook))]))?;
            send(&world, 2000)?.map_err(|e| format!("fragments, past {hook} of {at}: {e}"))?;
            unproved(&world, &mut *placed)?;
        }
    }
    Ok(())
}

/// Packets of both directions, which meet different rules, are numbered together.
fn numbered() -> Outcome {
    for (which, lost) in [("1", &[1][..]), ("3", &[3]), ("2..3", &[2, 3]), (">= 4", &[4, 5, 6]), ("<= 2", &[1, 2])] {
        let world = World::build(&routed(None)).map_err(say)?;
        let count = Value::Count(Count::parse(which).ok_or("a count")?);
        let both = "udp.dstport == 500 || udp.srcport == 501";
        let mut placed = set(&world, &fault("drop", &[("at", text("mid")), ("match", text(both)), ("which", count)]))?;
        unproved(&world, &mut *placed)?;
        let (a, b) = (world.node("alice").map_err(say)?, world.node("bob").map_err(say)?);
        let (alice, bob) = (udp(&a, "10.1.0.2:7")?, udp(&b, "192.0.2.2:500")?);
        let (there, back) = (udp(&a, "10.1.0.2:8")?, udp(&b, "192.0.2.2:501")?);
        let mut found = Vec::new();
        for n in 1..=6 {
            let sent = if n % 2 == 1 { exchange(&alice, &bob, "192.0.2.2:500", b"x") } else { exchange(&back, &there, "10.1.0.2:8", b"x") };
            found.extend(sent.err().map(|_| n));
        }
        ensure(found == lost, || format!("`{which}`: {found:?} were lost"))?;
        proved(&world, &Capture::default(), &mut *placed)?;
    }
    Ok(())
}

fn reject() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    let mut placed =
        set(&world, &fault("reject", &[("at", text("mid")), ("match", text("tcp.dstport == 80")), ("with", text("tcp-reset"))]))?;
    unproved(&world, &mut *placed)?;
    let refused = world.node("alice").map_err(say)?.run(|| TcpStream::connect("192.0.2.2:80")).map_err(say)?;
    let kind = refused.map(|_| ()).map_err(|e| e.kind());
    ensure(kind == Err(std::io::ErrorKind::ConnectionRefused), || format!("{kind:?}"))?;
    proved(&world, &Capture::default(), &mut *placed)
}

fn icmp_errors_off() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    let mut placed = set(&world, &fault("icmp-errors-off", &[("at", text("bob"))]))?;
    unproved(&world, &mut *placed)?;
    // Nobody listens at this port: bob would say so.
    let socket = udp(&*world.node("alice").map_err(say)?, "10.1.0.2:0")?;
    socket.connect("192.0.2.2:9").map_err(say)?;
    socket.send(b"x").map_err(say)?;
    let heard = socket.recv(&mut [0; 9]).map_err(|e| e.kind());
    ensure(heard == Err(std::io::ErrorKind::WouldBlock), || format!("alice heard {heard:?}"))?;
    proved(&world, &Capture::default(), &mut *placed)
}

fn mss_clamp() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    let mut placed = set(&world, &fault("mss-clamp", &[("at", text("mid")), ("mss", Value::Int(1000))]))?;
    unproved(&world, &mut *placed)?;
    let listener = world.node("bob").map_err(say)?.run(|| TcpListener::bind("192.0.2.2:80")).map_err(say)?.map_err(say)?;
    let taps = Taps::start(&world)?;
    let mut client = world.node("alice").map_err(say)?.run(|| TcpStream::connect("192.0.2.2:80")).map_err(say)?.map_err(say)?;
    let (mut server, _) = listener.accept().map_err(say)?;
    client.write_all(&[1; 20_000]).map_err(say)?;
    server.read_exact(&mut [0; 20_000]).map_err(say)?;
    let (capture, _) = taps.finish()?;
    let largest = capture.at("alice.eth0").map(|r| r.frame.orig_len).max();
    ensure(largest <= Some(14 + 40 + 1000), || format!("a frame of {largest:?} octets in spite of the clamp"))?;
    proved(&world, &Capture::default(), &mut *placed)
}

fn link_mtu() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    let mut taps = Taps::start(&world)?;
    let mut placed = set(&world, &fault("link-mtu", &[("at", text("mid.wan")), ("mtu", Value::Int(1300))]))?;
    unproved(&world, &mut *placed)?;
    send(&world, 1000)?.map_err(say)?;
    let from = udp(&*world.node("alice").map_err(say)?, "10.1.0.2:0")?;
    from.send_to(&[0; 1400], "192.0.2.2:500").map_err(say)?;
    eventually(Duration::from_secs(2), "proof of the smaller MTU", || Ok(proved(&world, taps.so_far(), &mut *placed).is_ok()))
}

fn link_down() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    let taps = Taps::start(&world)?;
    let mut placed = set(&world, &fault("link-down", &[("at", text("mid.wan"))]))?;
    ensure(send(&world, 10)?.is_err(), || "a packet crossed a link that is down".into())?;
    let now = || Ok(proved(&world, &Capture::default(), &mut *placed).is_ok());
    eventually(Duration::from_secs(3), "both ends to be down", now)?;
    taps.finish().map(|_| ())
}

fn change_address() -> Outcome {
    let mut network = routed(None);
    network.nodes[0].ifaces[0].later = vec!["10.1.0.77/24".parse().map_err(say)?];
    let world = World::build(&network).map_err(say)?;
    let mut taps = Taps::start(&world)?;
    send(&world, 10)?.map_err(say)?;
    let args = |to| [("at", text("alice.eth0")), ("to", text(to)), ("via", text("10.1.0.1"))];
    let mut placed = set(&world, &fault("change-address", &args("10.1.0.77")))?;
    unproved(&world, &mut *placed)?;
    eventually(Duration::from_secs(2), "a packet from the old address", || Ok(proved(&world, taps.so_far(), &mut *placed).is_ok()))?;
    let (alice, bob) = (world.node("alice").map_err(say)?, world.node("bob").map_err(say)?);
    ensure(udp(&alice, "10.1.0.2:0").is_err(), || "the old address is still there".into())?;
    let (from, to) = (udp(&alice, "10.1.0.77:0")?, udp(&bob, "192.0.2.2:500")?);
    exchange(&from, &to, "192.0.2.2:500", b"from the new address, by its default route").map_err(say)?;
    let strange = set(&world, &fault("change-address", &args("10.9.0.1"))).err().unwrap_or_default();
    ensure(strange.contains("10.9.0.1 is in no subnet of alice.eth0"), || strange)
}

fn nat() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    let args = [("at", text("mid")), ("outside", text("mid.wan")), ("ports", text("1024-2000")), ("random", Value::Bool(true))];
    let mut placed = set(&world, &fault("nat", &args))?;
    let mut taps = Taps::start(&world)?;
    unproved(&world, &mut *placed)?;
    send(&world, 100)?.map_err(say)?;
    eventually(Duration::from_secs(2), "a translated packet", || Ok(proved(&world, taps.so_far(), &mut *placed).is_ok()))
}

fn nat_timeout() -> Outcome {
    let world = World::build(&translated()).map_err(say)?;
    let udp = Value::Duration(Duration::from_secs(1));
    let mut placed = set(&world, &fault("nat-timeout", &[("at", text("mid")), ("udp", udp)]))?;
    unproved(&world, &mut *placed)?;
    send(&world, 10)?.map_err(say)?;
    eventually(Duration::from_secs(4), "a forgotten mapping", || Ok(proved(&world, &Capture::default(), &mut *placed).is_ok()))
}

fn nat_flush() -> Outcome {
    let world = World::build(&translated()).map_err(say)?;
    let flush = fault("nat-flush", &[("at", text("mid"))]);
    unproved(&world, &mut *set(&world, &flush)?)?;
    send(&world, 10)?.map_err(say)?;
    proved(&world, &Capture::default(), &mut *set(&world, &flush)?)
}

fn routing() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    let to = ("to", text("0.0.0.0/0"));
    let mut gone = set(&world, &fault("route-missing", &[("at", text("alice")), to.clone()]))?;
    proved(&world, &Capture::default(), &mut *gone)?;
    let error = udp(&*world.node("alice").map_err(say)?, "10.1.0.2:0")?.send_to(b"x", "192.0.2.2:7").map_err(|e| e.raw_os_error());
    ensure(error == Err(Some(101)), || format!("{error:?} instead of ENETUNREACH"))?;
    let mut back = set(&world, &fault("route", &[("at", text("alice")), to, ("via", text("10.1.0.1"))]))?;
    proved(&world, &Capture::default(), &mut *back)?;
    send(&world, 10)?.map_err(say)
}

fn forwarding_off() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    let mut placed = set(&world, &fault("forwarding-off", &[("at", text("mid"))]))?;
    ensure(send(&world, 10)?.is_err(), || "a packet was forwarded".into())?;
    proved(&world, &Capture::default(), &mut *placed)
}

fn refused() -> Outcome {
    let world = World::build(&routed(None)).map_err(say)?;
    for (fault, words) in [
        (fault("route-missing", &[("at", text("alice")), ("to", text("10.77.0.0/16"))]), "alice has no route to 10.77.0.0/16"),
        (fault("route", &[("at", text("alice")), ("to", text("10.7.0.0/16")), ("via", text("203.0.113.9"))]), "unreachable"),
        (fault("link-mtu", &[("at", text("mid.nowhere")), ("mtu", Value::Int(1300))]), "no link at `mid.nowhere`"),
        (fault("link-mtu", &[("at", text("mid.wan")), ("mtu", Value::Int(1))]), "Invalid argument"),
        (fault("nat", &[("at", text("mid")), ("outside", text("bob.eth0"))]), "no interface of mid"),
        (fault("teapot", &[]), "no fault of the network"),
    ] {
        let why = set(&world, &fault).err().unwrap_or_default();
        ensure(why.contains(words), || format!("{}: `{why}` does not say `{words}`", fault.action))?;
    }
    Ok(())
}

fn vocabulary() -> Outcome {
    let runner = |word: &str| word == "config" || word == "ike-flood" || word.starts_with("service-") || word.starts_with("daemon-");
    let words: Vec<_> = faults::words::WORDS.iter().map(|w| w.name).filter(|w| !runner(w)).collect();
    ensure(words == HERE, || format!("{words:?} in the vocabulary, {HERE:?} known"))
}
