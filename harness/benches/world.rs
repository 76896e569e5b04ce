//! What the speed of the world is, as a table: `cargo bench -p faultlab --bench world`. Needs namespaces.
#![allow(clippy::unwrap_used)] // a bench: a panic is its error message

use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use faultlab::capture::ring::{How, Recorder, Rings};
use faultlab::scenario::model::{Iface, Link, Nat, Network, Node, Role, Route};
use faultlab::world::World;
use faultlab::world::cell::{self, CellHandle, EventSink};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, sendmmsg, socket};
use serde_json::{Value, json};

fn main() {
    cell::entry(inside);
    println!("{:<58} {:>10} {:>10}", "", "measured", "target");
    let row = |what: &str, measured: String, target: &str| println!("{what:<58} {measured:>10} {target:>10}");
    let ms = |v: &Value| format!("{:.1} ms", v.as_f64().unwrap());
    row("host–NAT–host with taps, p50 of 50", ms(&one("translated")), "≤ 15 ms");
    row("120 nodes in a row, 119 links", ms(&one("chain")), "≤ 1000 ms");
    let start = Instant::now();
    many(32);
    row("32 cells at once, each two nodes and a ping", format!("{:.0} ms", start.elapsed().as_secs_f64() * 1e3), "");
    let capture = one("capture");
    row("capture on 20 links, offered", format!("{:.0} kpps", capture["kpps"].as_f64().unwrap()), "200 kpps");
    row(&format!("  frames lost of {}", capture["sent"]), capture["lost"].to_string(), "0");
}

fn run(job: &str) -> CellHandle {
    CellHandle::spawn(&job).unwrap_or_else(|e| panic!("{e}"))
}

fn one(job: &str) -> Value {
    block_on(async {
        let mut cell = run(job);
        let said = cell.next().await;
        let exit = cell.wait().await;
        said.unwrap_or_else(|| panic!("{exit}")).unwrap()
    })
}

fn many(count: usize) {
    block_on(async {
        let cells: Vec<_> = (0..count).map(|_| run("ping")).collect();
        for mut cell in cells {
            let exit = cell.wait().await;
            assert_eq!(exit.code, Some(0), "{exit}");
        }
    });
}

fn block_on<T>(task: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(task)
}

fn inside(job: Vec<u8>, events: EventSink) -> i32 {
    let job: String = serde_json::from_slice(&job).unwrap();
    let measured = match job.as_str() {
        "translated" => {
            let network = chain(3, true);
            median(50, || {
                let world = World::found(&network).unwrap();
                let rings = Rings::open(&world, &world.taps(), How::Ring).unwrap();
                world.connect(None).unwrap();
                let recorder = Recorder::start(rings).unwrap();
                // Its memory is given back at once; the world is kept.
                drop(recorder);
                world
            })
        }
        "chain" => median(1, || World::build(&chain(120, false)).unwrap()),
        "ping" => {
            let world = World::build(&chain(2, false)).unwrap();
            let bind = |node: &str, at: &str| world.node(node).unwrap().run(|| UdpSocket::bind(at)).unwrap().unwrap();
            let (a, b) = (bind("n0", "10.0.0.1:7"), bind("n1", "10.0.0.2:7"));
            b.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            a.send_to(b"ping", "10.0.0.2:7").unwrap();
            b.recv_from(&mut [0; 9]).unwrap();
            Value::Null
        }
        _ => capture(),
    };
    events.emit(&measured);
    0
}

/// Median of building something, in milliseconds. Everything is kept until the end: the kernel takes networks down later and with
/// the same locks, so that each would otherwise be measured together with the end of the one before.
fn median<T>(count: usize, build: impl Fn() -> T) -> Value {
    let mut kept = Vec::new();
    let mut times: Vec<f64> = (0..count)
        .map(|_| {
            let start = Instant::now();
            kept.push(build());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    json!(times[count / 2])
}

/// 200 000 frames of 1400 octets a second for two seconds over 20 links, captured at the receiving ends.
fn capture() -> Value {
    const LINKS: usize = 20;
    const RATE: f64 = 200_000.0;
    const SENT: usize = 400_000;
    /// Frames for one link that go out together: a turn of all links takes 6.4 ms.
    const BATCH: usize = 64;
    const LENGTH: usize = 1400;
    let world = World::build(&star(LINKS)).unwrap();
    let taps: Vec<String> = (0..LINKS).map(|i| format!("hub.p{i}")).collect();
    let senders: Vec<_> = (0..LINKS).map(|i| world.node(&format!("n{i}")).unwrap().run(sender).unwrap()).collect();
    let (recorder, mut frames) = Recorder::start(Rings::open(&world, &taps, How::Ring).unwrap()).unwrap();
    let counter = std::thread::spawn(move || {
        let mut seen = 0;
        while let Some(batch) = frames.blocking_recv() {
            seen += batch.iter().filter(|f| f.orig_len as usize == LENGTH).count();
        }
        seen
    });
    // To everybody, of a type that the receiving stack knows nothing about (IEEE Std 802 local experimental).
    let mut frame = [0x5a; LENGTH];
    frame[..14].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    let mut headers = MultiHeaders::preallocate(BATCH, None);
    let start = Instant::now();
    let mut sent = 0;
    for (socket, address) in senders.iter().cycle() {
        let count = BATCH.min(SENT - sent);
        let slices = vec![[IoSlice::new(&frame)]; count];
        let sending = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, vec![Some(*address); count], [], MsgFlags::empty());
        sent += sending.unwrap().count();
        if sent == SENT {
            break;
        }
        // Not faster than the rate: the processor is for the recorder.
        std::thread::sleep(Duration::from_secs_f64(sent as f64 / RATE).saturating_sub(start.elapsed()));
    }
    let took = start.elapsed().as_secs_f64();
    let stats = recorder.finish().unwrap();
    let seen = counter.join().unwrap();
    assert_eq!(stats.dropped() == 0, seen == SENT, "{} seen of {SENT}, but {} dropped", seen, stats.dropped());
    json!({ "kpps": SENT as f64 / took / 1e3, "sent": SENT, "lost": SENT - seen })
}

/// A socket of the calling thread's namespace for whole frames, and the address of its link.
fn sender() -> (OwnedFd, LinkAddr) {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let mut interfaces = getifaddrs().unwrap().filter(|i| i.interface_name == "up");
    (socket, interfaces.find_map(|i| i.address?.as_link_addr().copied()).unwrap())
}

fn iface(name: String, addr: String) -> Iface {
    Iface { name, addrs: vec![addr.parse().unwrap()], later: Vec::new(), outside: false }
}

fn node(name: String, role: Role, ifaces: Vec<Iface>) -> Node {
    Node { name, role, ifaces, routes: Vec::new(), protects: Vec::new(), nat: None }
}

/// Nodes in a row, each linked with the next; `nat`: those in the middle translate.
fn chain(count: usize, nat: bool) -> Network {
    let mut nodes = Vec::new();
    for i in 0..count {
        let mut ifaces = Vec::new();
        if i > 0 {
            ifaces.push(iface("left".into(), format!("10.0.{}.2/24", i - 1)));
        }
        if i + 1 < count {
            ifaces.push(iface("right".into(), format!("10.0.{i}.1/24")));
        }
        let ends = i == 0 || i + 1 == count;
        let mut node = node(format!("n{i}"), if ends { Role::Host } else { Role::Router }, ifaces);
        if i == 0 {
            node.routes.push(Route { to: "0.0.0.0/0".parse().unwrap(), via: "10.0.0.2".parse().unwrap() });
        }
        if nat && !ends {
            node.role = Role::Nat;
            node.nat = Some(Nat { outside: "right".into(), ports: None, random: false, udp_timeout: None });
        }
        nodes.push(node);
    }
    let link = |i: usize| Link { a: (format!("n{i}"), "right".into()), b: (format!("n{}", i + 1), "left".into()), mtu: 1500 };
    Network { layout: "chain".into(), nodes, links: (0..count - 1).map(link).collect() }
}

/// A hub with a link to each of the others.
fn star(count: usize) -> Network {
    let ports = (0..count).map(|i| iface(format!("p{i}"), format!("10.0.{i}.1/24"))).collect();
    let mut nodes = vec![node("hub".into(), Role::Host, ports)];
    nodes.extend((0..count).map(|i| node(format!("n{i}"), Role::Host, vec![iface("up".into(), format!("10.0.{i}.2/24"))])));
    let link = |i: usize| Link { a: ("hub".into(), format!("p{i}")), b: (format!("n{i}"), "up".into()), mtu: 1500 };
    Network { layout: "star".into(), nodes, links: (0..count).map(link).collect() }
}
