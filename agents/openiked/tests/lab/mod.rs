//! Two namespaces with a link between them, removed whatever happens.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use faultlab_openiked::OpenIked;
use peer::*;
use strongswan::StrongSwan;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub struct Lab {
    pub west: String,
    pub east: String,
    pub dir: tempfile::TempDir,
    openiked: OpenIked,
    strongswan: StrongSwan,
}

/// Who plays a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    OpenIked,
    StrongSwan,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Lab {
    /// `None`, with the reason on standard error, when this machine cannot.
    pub async fn new() -> Option<Lab> {
        let openiked = OpenIked::new();
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root for namespaces");
            return None;
        }
        let stem = format!("oik{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let lab = Lab {
            west: format!("{stem}w"),
            east: format!("{stem}e"),
            dir: tempfile::tempdir().unwrap(),
            openiked,
            strongswan: StrongSwan::new(),
        };
        lab.ip(&["netns", "add", &lab.west]);
        lab.ip(&["netns", "add", &lab.east]);
        lab.ip(&["link", "add", "wan", "netns", &lab.west, "type", "veth", "peer", "name", "wan", "netns", &lab.east]);
        for (ns, host) in [(&lab.west, "1"), (&lab.east, "2")] {
            for (dev, address) in
                [("wan", format!("10.9.0.{host}/24")), ("wan", format!("fd09::{host}/64")), ("lo", format!("10.{host}.0.1/24"))]
            {
                let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
                lab.ip(&[&["-n", ns, "addr", "add", &address, "dev", dev], nodad].concat());
            }
            lab.ip(&["-n", ns, "link", "set", "lo", "up"]);
            lab.ip(&["-n", ns, "link", "set", "wan", "up"]);
        }
        // Packets of the sides themselves come from their own subnets.
        for (ns, near, far) in [(&lab.west, "1", "2"), (&lab.east, "2", "1")] {
            lab.ip(&[
                "-n",
                ns,
                "route",
                "add",
                &format!("10.{far}.0.0/24"),
                "via",
                &format!("10.9.0.{far}"),
                "src",
                &format!("10.{near}.0.1"),
            ]);
        }
        let (dir, spawner) = (lab.dir.path().join("probe"), Arc::new(Netns(lab.west.clone())));
        if let Err(missing) = lab.openiked.probe(&Place { dir, spawner, inside: Arc::new(NoInside) }).await {
            eprintln!("skipped: {missing}");
            return None;
        }
        Some(lab)
    }

    fn ip(&self, args: &[&str]) {
        let done = Command::new("ip").args(args).output().unwrap();
        assert!(done.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Settings of one side that fit the other's.
    pub fn config(&self, side: &str) -> GatewayConfig {
        let west = side == "west";
        let (local, remote) = if west { ("10.9.0.1", "10.9.0.2") } else { ("10.9.0.2", "10.9.0.1") };
        let (near, far) = if west { ("10.1.0.0/24", "10.2.0.0/24") } else { ("10.2.0.0/24", "10.1.0.0/24") };
        let other = if west { "east" } else { "west" };
        GatewayConfig {
            name: side.into(),
            retransmit: Retransmit::default(),
            nat_keepalive: None,
            connections: vec![Connection {
                ike_proposals: vec!["aes128-sha256-ecp256".into()],
                esp_proposals: vec!["aes128-sha1".into()],
                local_ts: vec![near.parse().unwrap()],
                remote_ts: vec![far.parse().unwrap()],
                ..Connection::plain(side, other, local.parse().unwrap(), Some(remote.parse().unwrap()))
            }],
            ..GatewayConfig::default()
        }
    }

    pub async fn start(&self, who: Who, config: GatewayConfig) -> Result<Node, DriverError> {
        let (events, receiver) = unbounded_channel();
        let ns = if config.name == "west" { &self.west } else { &self.east };
        let dir = self.dir.path().join(&config.name);
        let launch = Launch { dir: dir.clone(), spawner: Arc::new(Netns(ns.clone())), inside: Arc::new(NoInside), seed: 0, events, config };
        let gateway = match who {
            Who::OpenIked => self.openiked.start(launch).await,
            Who::StrongSwan => self.strongswan.start(launch).await,
        };
        let gateway = gateway.inspect_err(|_| eprintln!("{}", std::fs::read_to_string(dir.join("iked.log")).unwrap_or_default()))?;
        Ok(Node { gateway, events: receiver, dir })
    }

    /// Both sides, after `tweak` had its way with their settings.
    pub async fn pair(&self, who: (Who, Who), tweak: impl FnOnce(&mut Connection, &mut Connection)) -> (Node, Node) {
        let (mut west, mut east) = (self.config("west"), self.config("east"));
        tweak(&mut west.connections[0], &mut east.connections[0]);
        let (west, east) = tokio::join!(self.start(who.0, west), self.start(who.1, east));
        (west.unwrap(), east.unwrap())
    }

    /// A datagram from west's subnet to a closed port in east's, and the ICMP error back; true when both passed.
    pub fn echo(&self) -> bool {
        let done = self.run("west", &["bash", "-c", "exec 3<>/dev/udp/10.2.0.1/9; echo hi >&3; read -t 2 -u 3"]);
        // A time-out would be above 128.
        done.status.code() == Some(1)
    }

    /// Packets that the kernel's SAs of a side have carried.
    pub fn carried(&self, side: &str) -> Vec<u64> {
        let listing = self.run(side, &["ip", "-s", "xfrm", "state"]);
        let text = String::from_utf8_lossy(&listing.stdout).into_owned();
        let counts = text.lines().filter(|l| !l.contains("limit")).filter_map(|l| l.trim().strip_suffix("(packets)"));
        counts.filter_map(|l| l.rsplit(' ').next()?.parse().ok()).collect()
    }

    /// Runs a program in a side's namespace.
    pub fn run(&self, side: &str, program: &[&str]) -> std::process::Output {
        let ns = if side == "west" { &self.west } else { &self.east };
        Command::new("ip").args(["netns", "exec", ns]).args(program).output().unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The folders of a failed test are evidence for whoever asks for them.
        if let Some(to) = std::env::var_os("KEEP_LOGS").filter(|_| std::thread::panicking()) {
            let _ = Command::new("cp").arg("-r").arg(self.dir.path()).arg(to).status();
        }
        for ns in [&self.west, &self.east] {
            let _ = Command::new("ip").args(["netns", "del", ns]).stderr(Stdio::null()).status();
        }
    }
}

/// A started gateway and what it tells.
pub struct Node {
    pub gateway: Box<dyn Gateway>,
    pub events: UnboundedReceiver<GatewayEvent>,
    pub dir: PathBuf,
}

impl Node {
    /// Waits until the gateway tells an event.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&GatewayEventKind) -> bool) -> GatewayEventKind {
        let mut seen = Vec::new();
        let found = tokio::time::timeout(Duration::from_secs(200), async {
            while let Some(event) = self.events.recv().await {
                if wanted(&event.what) {
                    return Some(event.what);
                }
                seen.push(event.what);
            }
            None
        });
        match found.await {
            Ok(Some(event)) => event,
            _ => panic!("waited for {what}; seen {seen:?}; log:\n{}", self.log()),
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("iked.log"))
            .or_else(|_| std::fs::read_to_string(self.dir.join("charon.log")))
            .unwrap_or_default()
    }
}

/// Commands in a namespace, with private mounts, that die with the thread that started them.
struct Netns(String);

impl Spawner for Netns {
    fn command(&self, program: &str, args: &[OsString], binds: &[(PathBuf, PathBuf)]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.0, "sh", "-ec"]);
        let mounts: String =
            binds.iter().map(|(from, to)| format!("mkdir -p {1}; mount --bind {0} {1}; ", quoted(from), quoted(to))).collect();
        command.arg(format!("{mounts}exec \"$0\" \"$@\"")).arg(program).args(args);
        command
    }
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}
