//! What two gateways carry, and how long a star of many takes to come up: `cargo bench -p faultlab --bench gateways`. Needs namespaces.
#![allow(clippy::unwrap_used)] // a bench: a panic is its error message

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use faultlab::cli::scenarios;
use faultlab::run::drivers;
use faultlab::scenario::Source;
use faultlab::scenario::load;
use faultlab::scenario::model::Plan;
use faultlab::world::World;
use faultlab::world::cell::{self, CellHandle, EventSink};
use futures_util::future::join_all;
use peer::{Gateway, Launch, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

/// Rounds of each, in turns: a busy moment of the machine meets all of them.
const ROUNDS: usize = 3;
/// Carried before measuring, and measured.
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);
const SPOKES: usize = 200;

const PAIR: &str = "[scenario]\ntitle = 'bench'\nkind = 'control'\n[network]\nlayout = 'two-gateways'\n";

/// What a cell is to do.
#[derive(Serialize, Deserialize)]
struct Job {
    scenario: String,
    implementation: String,
    star: bool,
    /// The links to the hosts join and cut TCP packets, as network cards do; the lab switches that off.
    offload: bool,
}

fn main() {
    cell::entry(inside);
    let both = |proposal: &str, encap: bool| {
        let one = |gateway: &str| format!("[gateway.{gateway}]\nesp-proposals = ['{proposal}']\nforce-encap = {encap}\n");
        one("west") + &one("east")
    };
    let (gcm, cbc, udp) = (both("aes128gcm16", false), both("aes128-sha256", false), both("aes128gcm16", true));
    let contestants = [
        ("strongSwan (kernel-libipsec), UDP, AES-128-GCM", "strongswan", &udp),
        ("in-house, UDP, AES-128-GCM", "inhouse", &udp),
        ("in-house, protocol 50, AES-128-GCM", "inhouse", &gcm),
        ("in-house, protocol 50, AES-128-CBC with SHA-256", "inhouse", &cbc),
    ];
    for (offload, where_) in [(true, "hosts' links as network cards are"), (false, "hosts' links as in the lab, packet by packet")] {
        let mut best = [0.0_f64; 4];
        for _ in 0..ROUNDS {
            for ((name, implementation, settings), best) in contestants.iter().zip(&mut best) {
                let job = Job { scenario: format!("{PAIR}{settings}"), implementation: (*implementation).into(), star: false, offload };
                match run(&job) {
                    Ok(said) => *best = best.max(said["mbit"].as_f64().unwrap()),
                    Err(why) => eprintln!("{name}: {why}"),
                }
            }
        }
        println!("goodput of one TCP connection through two gateways, best of {ROUNDS}; {where_}");
        for ((name, ..), mbit) in contestants.iter().zip(&best) {
            println!("  {name:<60} {mbit:>8.0} Mbit/s  × {:.2}", mbit / best[0]);
        }
    }
    let spokes = SPOKES;
    // All at once, on few cores: patience beyond the lab's fast profile.
    let text = format!(
        "[scenario]\ntitle = 'bench'\nkind = 'control'\n[network]\nlayout = 'star'\nspokes = {spokes}\ninitiator = ''\n\
         [gateway.all]\nretransmit-timeout = '4s'\n[health]\nprobes = false\n"
    );
    match run(&Job { scenario: text, implementation: "inhouse".into(), star: true, offload: false }) {
        Ok(said) => println!(
            "star of {SPOKES} in-house spokes: network {:.1} s, gateways started in {:.2} s, all established {:.2} s later \
             ({:.0} handshakes/s), {:.0} KiB per gateway",
            said["network"].as_f64().unwrap(),
            said["started"].as_f64().unwrap(),
            said["established"].as_f64().unwrap(),
            SPOKES as f64 / said["established"].as_f64().unwrap(),
            said["kib"].as_f64().unwrap()
        ),
        Err(why) => println!("star: {why}"),
    }
}

fn run(job: &Job) -> Result<Value, String> {
    block_on(async {
        let mut cell = CellHandle::spawn(job).map_err(|e| e.to_string())?;
        let said = cell.next().await;
        let exit = cell.wait().await;
        said.ok_or_else(|| exit.to_string())?.map_err(|e| e.to_string())
    })
}

fn block_on<T>(task: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(task)
}

fn inside(job: Vec<u8>, events: EventSink) -> i32 {
    let job: Job = serde_json::from_slice(&job).unwrap();
    let library = scenarios::library(None).unwrap();
    let scenario =
        load(&Source::new("bench.toml", job.scenario), &scenarios::vocabulary(&library)).unwrap_or_else(|e| panic!("{}", e.render(false)));
    let dir = tempfile::tempdir_in("/run").unwrap();
    let plan = scenario.broken;
    let begun = Instant::now();
    let world = World::build(&plan.network).unwrap();
    let network = begun.elapsed();
    let measured = block_on(async {
        let before = resident();
        let begun = Instant::now();
        let mut gateways = start(&plan, &world, &job.implementation, dir.path()).await;
        let started = begun.elapsed();
        if job.star {
            let begun = Instant::now();
            initiate(&plan, &mut gateways, |name| name != "hub").await;
            let kib = (resident() - before) as f64 / 1024.0 / gateways.len() as f64;
            let seconds = |d: Duration| d.as_secs_f64();
            json!({ "network": seconds(network), "started": seconds(started), "established": seconds(begun.elapsed()), "kib": kib })
        } else {
            for (node, iface) in [("alice", "lan"), ("west", "lan"), ("east", "lan"), ("bob", "lan")] {
                world.node(node).unwrap().set_offloads(iface, job.offload).unwrap();
            }
            initiate(&plan, &mut gateways, |name| name == "west").await;
            json!({ "mbit": goodput(&world) })
        }
    });
    events.emit(&measured);
    0
}

async fn start(plan: &Plan, world: &World, implementation: &str, dir: &Path) -> Vec<Box<dyn Gateway>> {
    let driver = drivers::find(implementation).unwrap();
    let starts = plan.gateways.iter().map(|g| {
        let node = world.node(&g.config.name).unwrap();
        let dir = dir.join(&g.config.name);
        std::fs::create_dir(&dir).unwrap();
        // Nobody listens: a failed send is no error to a driver.
        let (events, _) = unbounded_channel();
        driver.start(Launch { config: g.config.clone(), dir, spawner: node.clone(), inside: node, seed: 1, events })
    });
    join_all(starts).await.into_iter().map(|g| g.unwrap_or_else(|e| panic!("{e}"))).collect()
}

/// All connections of the gateways whose name is `wanted`.
async fn initiate(plan: &Plan, gateways: &mut [Box<dyn Gateway>], wanted: impl Fn(&str) -> bool) {
    let pairs = plan.gateways.iter().zip(gateways).filter(|(g, _)| wanted(&g.config.name));
    let attempts = pairs.map(|(g, gateway)| async move {
        for c in &g.config.connections {
            let outcome = gateway.initiate(&c.name, Duration::from_secs(60)).await;
            assert!(matches!(outcome, Ok(Outcome::Established)), "{}: {outcome:?}", c.name);
        }
    });
    join_all(attempts).await;
}

/// Mbit/s that one TCP connection carries from alice to bob.
fn goodput(world: &World) -> f64 {
    let (alice, bob) = (world.node("alice").unwrap(), world.node("bob").unwrap());
    let server = bob.run(|| TcpListener::bind("0.0.0.0:5001")).unwrap().unwrap();
    let client = alice.run(|| TcpStream::connect("10.2.0.10:5001")).unwrap().unwrap();
    std::thread::spawn(move || {
        let (mut client, octets) = (client, vec![0x5a; 128 << 10]);
        while client.write_all(&octets).is_ok() {}
    });
    let (mut stream, _) = server.accept().unwrap();
    let mut buffer = vec![0; 256 << 10];
    let mut carry = |time: Duration| {
        let begun = Instant::now();
        let mut carried = 0;
        while begun.elapsed() < time {
            carried += stream.read(&mut buffer).unwrap();
        }
        carried as f64 * 8.0 / 1e6 / begun.elapsed().as_secs_f64()
    };
    carry(WARM_UP);
    carry(MEASURED)
}

/// Octets of memory in use.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
