//! What the pocket kernel has and many running ones have not: ESP, AH, IPComp, transport mode, netem. Set up with iproute2, so
//! that nothing of ours is in it.

use std::process::Command;
use std::time::{Duration, Instant};

use faultlab::dissect::Capture;
use faultlab::world::{NodeHandle, World};

use crate::beliefs::Belief;
use crate::networks::pair;
use crate::probe::{Outcome, Taps, ensure, exchange, say, udp};

/// All trials of the data path.
pub const ALL: &[(&str, Belief)] = &[
    ("esp_in_transport_mode", esp_transport),
    ("esp_in_tunnel_mode", esp_tunnel),
    ("ah_in_transport_mode", ah),
    ("ipcomp_shortens_what_can_be_shortened", ipcomp),
    ("netem_delays_and_loses", netem),
    ("every_link_of_a_world_can_have_a_delay", links_with_a_delay),
];

const KEY: &str = "0x000102030405060708090a0b0c0d0e0f10111213";

fn ip(node: &NodeHandle, words: &str) -> Outcome {
    tool(node, "ip", words)
}

/// Runs a program in a node. Words are separated by spaces.
fn tool(node: &NodeHandle, program: &str, words: &str) -> Outcome {
    let run = || Command::new(program).args(words.split(' ')).output();
    let out = node.run(run).and_then(|r| r).map_err(|e| format!("{program}: {e}"))?;
    ensure(out.status.success(), || format!("{program} {words}: {}", String::from_utf8_lossy(&out.stderr)))
}

/// One SA each way between alice and bob, and policies that demand it for UDP.
fn protect(world: &World, proto: &str, mode: &str, algorithm: &str) -> Outcome {
    let ends = [("alice", "10.0.0.1", "10.0.0.2", "out", "in"), ("bob", "10.0.0.1", "10.0.0.2", "in", "out")];
    for (name, a, b, forth, back) in ends {
        let node = world.node(name).map_err(say)?;
        for (src, dst, spi, dir) in [(a, b, "0x1001", forth), (b, a, "0x1002", back)] {
            ip(&node, &format!("xfrm state add src {src} dst {dst} proto {proto} spi {spi} mode {mode} {algorithm}"))?;
            // What is too short to be compressed comes as it is (RFC 3173 §2.2).
            let level = if proto == "comp" && dir == "in" { " level use" } else { "" };
            // UDP by its number: a bare Debian has no /etc/protocols.
            ip(
                &node,
                &format!(
                    "xfrm policy add src {src} dst {dst} proto 17 dir {dir} tmpl src {src} dst {dst} proto {proto} mode {mode}{level}"
                ),
            )?;
        }
    }
    Ok(())
}

/// Sends `payload` there and back, and gives what the wire showed.
fn carried(proto: &str, mode: &str, algorithm: &str, payload: &[u8]) -> Result<Capture, String> {
    let world = World::build(&pair()).map_err(say)?;
    protect(&world, proto, mode, algorithm)?;
    let taps = Taps::start(&world)?;
    let (a, b) = (udp(&*world.node("alice").map_err(say)?, "10.0.0.1:7")?, udp(&*world.node("bob").map_err(say)?, "10.0.0.2:7")?);
    exchange(&a, &b, "10.0.0.2:7", payload).map_err(|e| format!("from alice to bob: {e}"))?;
    exchange(&b, &a, "10.0.0.1:7", payload).map_err(|e| format!("from bob to alice: {e}"))?;
    Ok(taps.finish()?.0)
}

/// IPv4 packets of this protocol, seen by alice: their lengths.
fn lengths(capture: &Capture, protocol: u8) -> Vec<usize> {
    let frames = capture.at("alice.eth0").map(|r| &r.frame.data);
    frames.filter(|d| d.get(12..14) == Some(&[8, 0]) && d.get(23) == Some(&protocol)).map(|d| d.len() - 14).collect()
}

fn only(capture: &Capture, protocol: u8, inner: usize) -> Outcome {
    let (seen, clear) = (lengths(capture, protocol), lengths(capture, 17));
    // Decapsulated transport-mode packets never show at the interface again; those of tunnel mode do, once for each that came in.
    ensure(seen.len() == 2 && clear.len() == inner, || format!("protocol {protocol}: {seen:?}, UDP: {clear:?}"))
}

fn esp_transport() -> Outcome {
    only(&carried("esp", "transport", &format!("aead rfc4106(gcm(aes)) {KEY} 128"), b"hidden")?, 50, 0)
}

fn esp_tunnel() -> Outcome {
    let cbc = format!("enc cbc(aes) 0x{} auth-trunc hmac(sha256) 0x{} 128", "07".repeat(16), "08".repeat(32));
    only(&carried("esp", "tunnel", &cbc, b"hidden")?, 50, 1)
}

fn ah() -> Outcome {
    let capture = carried("ah", "transport", &format!("auth hmac(sha1) {KEY}"), b"to be read by anybody")?;
    only(&capture, 51, 0)?;
    let readable = |d: &Vec<u8>| d.windows(7).any(|w| w == b"anybody");
    ensure(capture.at("alice.eth0").any(|r| readable(&r.frame.data.to_vec())), || "AH hides its contents".into())
}

fn ipcomp() -> Outcome {
    let long = carried("comp", "transport", "comp deflate", &[b'a'; 1000])?;
    only(&long, 108, 0)?;
    ensure(lengths(&long, 108).iter().all(|n| *n < 200), || format!("1000 equal octets take {:?}", lengths(&long, 108)))?;
    // Too short to gain anything: sent as it is.
    let short = carried("comp", "transport", "comp deflate", b"short")?;
    ensure(lengths(&short, 108).is_empty() && lengths(&short, 17).len() == 2, || format!("{:?}", lengths(&short, 17)))
}

fn netem() -> Outcome {
    let world = World::build(&pair()).map_err(say)?;
    let (alice, bob) = (world.node("alice").map_err(say)?, world.node("bob").map_err(say)?);
    let (a, b) = (udp(&alice, "10.0.0.1:7")?, udp(&bob, "10.0.0.2:7")?);
    let once = || {
        let begun = Instant::now();
        exchange(&a, &b, "10.0.0.2:7", b"x").map(|_| begun.elapsed())
    };
    // Address resolution comes first, so that it is no part of what is measured.
    once().map_err(|e| format!("before: {e}"))?;
    tool(&alice, "tc", "qdisc add dev eth0 root netem delay 50ms")?;
    let took = once().map_err(|e| format!("with a delay: {e}"))?;
    let (least, most) = (Duration::from_millis(50), Duration::from_millis(52));
    ensure((least..most).contains(&took), || format!("50 ms of delay took {took:?}"))?;
    tool(&alice, "tc", "qdisc change dev eth0 root netem delay 0ms loss 100%")?;
    ensure(once().is_err(), || "a lost packet arrived".into())
}

/// The world's own delay: of every link, in both directions.
fn links_with_a_delay() -> Outcome {
    let world = World::found(&pair()).map_err(say)?;
    world.connect(Some(Duration::from_millis(20))).map_err(say)?;
    let (alice, bob) = (world.node("alice").map_err(say)?, world.node("bob").map_err(say)?);
    let (a, b) = (udp(&alice, "10.0.0.1:7")?, udp(&bob, "10.0.0.2:7")?);
    // Address resolution, which takes as long.
    exchange(&a, &b, "10.0.0.2:7", b"x").map_err(|e| format!("first: {e}"))?;
    for (name, from, to, address) in [("to bob", &a, &b, "10.0.0.2:7"), ("to alice", &b, &a, "10.0.0.1:7")] {
        let begun = Instant::now();
        exchange(from, to, address, b"x").map_err(|e| format!("{name}: {e}"))?;
        let took = begun.elapsed();
        ensure((Duration::from_millis(20)..Duration::from_millis(22)).contains(&took), || format!("{name}: 20 ms of delay took {took:?}"))?;
    }
    Ok(())
}
