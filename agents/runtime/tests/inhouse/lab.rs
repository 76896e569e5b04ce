//! Two gateways with a router between them, in namespaces that are removed whatever happens.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use faultlab_runtime::{InHouse, Ping, ProbeOutcome, Sockets};
use peer::*;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::fake::{Diary, Manner, Pipe};

pub struct Lab {
    pub west: String,
    pub mid: String,
    pub east: String,
    pub dir: tempfile::TempDir,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Lab {
    /// `None`, with the reason on standard error, when this machine cannot.
    pub async fn new() -> Option<Lab> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root for namespaces");
            return None;
        }
        let stem = format!("ihE{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let lab = Lab { west: format!("{stem}w"), mid: format!("{stem}m"), east: format!("{stem}e"), dir: tempfile::tempdir().unwrap() };
        for ns in [&lab.west, &lab.mid, &lab.east] {
            ip(&["netns", "add", ns]);
            ip(&["-n", ns, "link", "set", "lo", "up"]);
            Namespace(ns.clone()).run(|| std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap()).unwrap();
        }
        lab.within("mid", || {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
        });
        for (ns, n) in [(&lab.west, "1"), (&lab.east, "2")] {
            let end = format!("to{n}");
            ip(&["link", "add", "wan", "netns", ns, "type", "veth", "peer", "name", &end, "netns", &lab.mid]);
            for (ns, dev, address) in [
                (ns, "wan", format!("10.9.{n}.{n}/24")),
                (ns, "wan", format!("fd09:{n}::{n}/64")),
                (ns, "lo", format!("10.{n}.0.1/24")),
                (ns, "lo", format!("fd0{n}::1/64")),
                (&lab.mid, &end, format!("10.9.{n}.254/24")),
                (&lab.mid, &end, format!("fd09:{n}::254/64")),
            ] {
                let nodad: &[&str] = if address.contains("::") { &["nodad"] } else { &[] };
                ip(&[&["-n", ns, "addr", "add", &address, "dev", dev], nodad].concat());
            }
            ip(&["-n", ns, "link", "set", "wan", "up"]);
            ip(&["-n", &lab.mid, "link", "set", &end, "up"]);
            ip(&["-n", ns, "route", "add", "default", "via", &format!("10.9.{n}.254")]);
            ip(&["-n", ns, "-6", "route", "add", "default", "via", &format!("fd09:{n}::254")]);
        }
        let (dir, inside) = (lab.dir.path().join("probe"), Arc::new(Namespace(lab.west.clone())));
        if let Err(missing) = InHouse::new().probe(&Place { dir, spawner: Arc::new(NoProcesses), inside }).await {
            eprintln!("skipped: {missing}");
            return None;
        }
        // Links come up, and neighbours are found.
        for (ping, what) in [("10.9.2.2", "IPv4"), ("fd09:2::2", "IPv6")] {
            let begun = std::time::Instant::now();
            while !lab.ping("west", ping).await {
                assert!(begun.elapsed() < LONG, "waited for {what} between the gateways");
            }
        }
        Some(lab)
    }

    pub fn ns(&self, node: &str) -> &str {
        match node {
            "west" => &self.west,
            "east" => &self.east,
            _ => &self.mid,
        }
    }

    /// Settings of one side that fit the other's; the outside is IPv6 or IPv4.
    pub fn config(&self, side: &str, v6: bool) -> GatewayConfig {
        let (other, a, b) = if side == "west" { ("east", "1", "2") } else { ("west", "2", "1") };
        let outside = |n: &str| if v6 { format!("fd09:{n}::{n}") } else { format!("10.9.{n}.{n}") };
        let inside = |n: &str| vec![format!("10.{n}.0.0/24").parse().unwrap(), format!("fd0{n}::/64").parse().unwrap()];
        GatewayConfig {
            name: side.into(),
            connections: vec![Connection {
                ike_proposals: vec!["aes128-sha256-ecp256".into()],
                esp_proposals: vec!["aes128-sha256".into()],
                local_ts: inside(a),
                remote_ts: inside(b),
                ..Connection::plain(side, other, outside(a).parse().unwrap(), Some(outside(b).parse().unwrap()))
            }],
            ..GatewayConfig::default()
        }
    }

    /// Starts a stand-in.
    pub async fn start(&self, config: GatewayConfig, manner: Manner) -> Result<Node, DriverError> {
        let diary = Diary::default();
        let kept = diary.clone();
        let driver = InHouse::running(move |birth| Ok(Box::new(Pipe::new(birth, manner, kept.clone()))));
        self.start_with(&driver, config, diary).await
    }

    /// Starts what the driver runs.
    pub async fn start_with(&self, driver: &InHouse, config: GatewayConfig, diary: Diary) -> Result<Node, DriverError> {
        let (events, receiver) = unbounded_channel();
        let ns = self.ns(&config.name).to_owned();
        let dir = self.dir.path().join(&config.name);
        let inside = Arc::new(Namespace(ns));
        let launch = Launch { dir: dir.clone(), spawner: Arc::new(NoProcesses), inside, seed: 7, events, config };
        Ok(Node { gateway: driver.start(launch).await?, events: receiver, dir, diary })
    }

    /// Both sides with a way through, after `tweak` had its way with their settings.
    pub async fn pair(&self, v6: bool, manner: Manner, tweak: impl Fn(&mut GatewayConfig)) -> (Node, Node) {
        let mut made = Vec::new();
        for side in ["west", "east"] {
            let mut config = self.config(side, v6);
            tweak(&mut config);
            let name = config.connections[0].name.clone();
            let mut node = self.start(config, manner).await.unwrap();
            assert_eq!(node.gateway.initiate(&name, LONG).await.unwrap(), Outcome::Established);
            made.push(node);
        }
        let east = made.pop().unwrap();
        (made.pop().unwrap(), east)
    }

    /// Runs a program in a node.
    pub fn run(&self, node: &str, program: &[&str]) -> Output {
        Command::new("ip").args(["netns", "exec", self.ns(node)]).args(program).stdin(Stdio::null()).output().unwrap()
    }

    /// What a program in a node says.
    pub fn says(&self, node: &str, program: &[&str]) -> String {
        let done = self.run(node, program);
        format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
    }

    /// Runs something on a thread in a node.
    pub fn within<T: Send>(&self, node: &str, work: impl FnOnce() -> T + Send) -> T {
        Namespace(self.ns(node).to_owned()).run(work).unwrap()
    }

    /// Does a ping from a node get answered?
    pub async fn ping(&self, from: &str, to: &str) -> bool {
        self.ping_of(from, to, 56, false).await
    }

    /// Does one with so many octets, and DF or not?
    pub async fn ping_of(&self, from: &str, to: &str, size: usize, dont_fragment: bool) -> bool {
        let timeout = Duration::from_millis(500);
        let spec = Ping { to: to.parse().unwrap(), count: 1, interval: timeout, size, dont_fragment, timeout, id: 1 };
        faultlab_runtime::ping(&Namespace(self.ns(from).to_owned()), &spec).await.outcome == ProbeOutcome::Ok
    }

    /// Starts tcpdump on a node's link; returns when it listens.
    pub fn capture(&self, node: &str, dev: &str) -> Capture {
        let file = self.dir.path().join("wire.pcap");
        let mut child = Command::new("ip")
            .args(["netns", "exec", self.ns(node), "tcpdump", "--immediate-mode", "-Uni", dev, "-w"])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert_ne!(std::io::BufRead::read_line(&mut said, &mut line).unwrap(), 0, "tcpdump ended");
        }
        Capture { child, file, _said: said }
    }
}

pub const LONG: Duration = Duration::from_secs(10);

fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).output().unwrap();
    assert!(done.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Drop for Lab {
    fn drop(&mut self) {
        for ns in [&self.west, &self.mid, &self.east] {
            let _ = Command::new("ip").args(["netns", "del", ns]).stderr(Stdio::null()).status();
        }
    }
}

pub struct Capture {
    child: std::process::Child,
    file: PathBuf,
    _said: std::io::BufReader<std::process::ChildStderr>,
}

impl Capture {
    /// Waits until `count` IP packets that are `wanted` have been captured, and returns these.
    pub fn wait(&self, count: usize, wanted: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let begun = std::time::Instant::now();
        loop {
            let found: Vec<Vec<u8>> = self.packets().into_iter().filter(|p| wanted(p)).collect();
            if found.len() >= count {
                return found;
            }
            assert!(begun.elapsed() < LONG, "waited for {count} packets; there are {found:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn packets(&self) -> Vec<Vec<u8>> {
        let file = std::fs::read(&self.file).unwrap();
        let mut rest = file.get(24..).unwrap_or_default();
        let mut packets = Vec::new();
        while let Some(length) = rest.get(8..).and_then(|r| r.first_chunk()) {
            let length = u32::from_le_bytes(*length) as usize;
            // Behind the Ethernet header; the last one may not be written to its end.
            packets.extend(rest.get(16 + 14..16 + length).map(<[u8]>::to_vec));
            rest = rest.get(16 + length..).unwrap_or_default();
        }
        packets
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A started gateway and what it tells.
pub struct Node {
    pub gateway: Box<dyn Gateway>,
    pub events: UnboundedReceiver<GatewayEvent>,
    pub dir: PathBuf,
    pub diary: Diary,
}

impl Node {
    /// Waits until the gateway tells an event.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&GatewayEventKind) -> bool) -> GatewayEventKind {
        let found = tokio::time::timeout(LONG, async {
            while let Some(event) = self.events.recv().await {
                if wanted(&event.what) {
                    return Some(event.what);
                }
            }
            None
        });
        found.await.ok().flatten().unwrap_or_else(|| panic!("waited for {what}; log:\n{}", log(&self.dir)))
    }
}

pub fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("gateway.jsonl")).unwrap_or_default()
}

/// A named namespace.
pub struct Namespace(pub String);

impl Namespace {
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
        let file = std::fs::File::open(format!("/run/netns/{}", self.0))?;
        let entered = move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        };
        std::thread::scope(|s| s.spawn(entered).join().unwrap())
    }
}

impl Inside for Namespace {
    fn inside(&self, work: &mut (dyn FnMut() -> std::io::Result<()> + Send)) -> std::io::Result<()> {
        self.run(work)?
    }
}

impl Sockets for Namespace {
    fn open(&self, domain: socket2::Domain, kind: socket2::Type, protocol: Option<socket2::Protocol>) -> std::io::Result<socket2::Socket> {
        self.run(|| socket2::Socket::new(domain, kind, protocol))?
    }
}

/// The in-house gateway starts none.
struct NoProcesses;

impl Spawner for NoProcesses {
    fn command(&self, _: &str, _: &[OsString], _: &[(PathBuf, PathBuf)]) -> tokio::process::Command {
        unreachable!("no process is needed")
    }
}
