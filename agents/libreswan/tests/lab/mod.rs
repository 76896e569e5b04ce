//! Two namespaces with a link between them, removed whatever happens. Either side may be played by strongSwan.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use faultlab_libreswan::Libreswan;
use peer::*;
use strongswan::StrongSwan;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub struct Lab {
    pub west: String,
    pub east: String,
    pub dir: tempfile::TempDir,
    /// Who plays the west and the east.
    pub drivers: [Box<dyn Driver>; 2],
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Lab {
    /// Libreswan on both sides. `None`, with the reason on standard error, when this machine cannot.
    pub async fn new() -> Option<Lab> {
        Lab::with([Box::new(Libreswan::new()), Box::new(Libreswan::new())]).await
    }

    /// One side is strongSwan's.
    pub async fn interop(strongswan_in_the_west: bool) -> Option<Lab> {
        let (ours, theirs): (Box<dyn Driver>, Box<dyn Driver>) = (Box::new(Libreswan::new()), Box::new(StrongSwan::new()));
        Lab::with(if strongswan_in_the_west { [theirs, ours] } else { [ours, theirs] }).await
    }

    async fn with(drivers: [Box<dyn Driver>; 2]) -> Option<Lab> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root for namespaces");
            return None;
        }
        let stem = format!("lsw{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let lab = Lab { west: format!("{stem}w"), east: format!("{stem}e"), dir: tempfile::tempdir().unwrap(), drivers };
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
        // The far side's hosts, and the near address to speak to them from.
        lab.ip(&["-n", &lab.west, "route", "add", "10.2.0.0/24", "via", "10.9.0.2", "src", "10.1.0.1"]);
        lab.ip(&["-n", &lab.east, "route", "add", "10.1.0.0/24", "via", "10.9.0.1", "src", "10.2.0.1"]);
        for driver in &lab.drivers {
            let dir = lab.dir.path().join("probe").join(driver.name());
            let place = Place { dir, spawner: Arc::new(Netns(lab.west.clone())), inside: Arc::new(NoInside) };
            if let Err(missing) = driver.probe(&place).await {
                eprintln!("skipped: {missing}");
                return None;
            }
        }
        Some(lab)
    }

    fn ip(&self, args: &[&str]) {
        let done = Command::new("ip").args(args).output().unwrap();
        assert!(done.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Settings of one side that fit the other's.
    pub fn config(&self, side: &str, ike: IkeMode) -> GatewayConfig {
        let west = side == "west";
        let (local, remote) = if west { ("10.9.0.1", "10.9.0.2") } else { ("10.9.0.2", "10.9.0.1") };
        let (near, far) = if west { ("10.1.0.0/24", "10.2.0.0/24") } else { ("10.2.0.0/24", "10.1.0.0/24") };
        let other = if west { "east" } else { "west" };
        GatewayConfig {
            name: side.into(),
            retransmit: Retransmit::default(),
            nat_keepalive: None,
            connections: vec![Connection {
                ike,
                ike_proposals: vec!["aes128-sha256-modp2048".into()],
                esp_proposals: vec!["aes128-sha256".into()],
                local_ts: vec![near.parse().unwrap()],
                remote_ts: vec![far.parse().unwrap()],
                ..Connection::plain(side, other, local.parse().unwrap(), Some(remote.parse().unwrap()))
            }],
            ..GatewayConfig::default()
        }
    }

    pub async fn start(&self, config: GatewayConfig) -> Result<Node, DriverError> {
        let (events, receiver) = unbounded_channel();
        let side_is_east = config.name != "west";
        let ns = if side_is_east { &self.east } else { &self.west };
        let dir = self.dir.path().join(&config.name);
        let launch = Launch { dir: dir.clone(), spawner: Arc::new(Netns(ns.clone())), inside: Arc::new(NoInside), seed: 0, events, config };
        Ok(Node { gateway: self.drivers[usize::from(side_is_east)].start(launch).await?, events: receiver, dir })
    }

    /// Both sides, after `tweak` had its way with their settings.
    pub async fn pair(&self, ike: IkeMode, tweak: impl FnOnce(&mut GatewayConfig, &mut GatewayConfig)) -> (Node, Node) {
        let (mut west, mut east) = (self.config("west", ike), self.config("east", ike));
        tweak(&mut west, &mut east);
        let (west, east) = tokio::join!(self.start(west), self.start(east));
        (west.unwrap(), east.unwrap())
    }

    /// Runs a program in a side's namespace.
    pub fn run(&self, side: &str, program: &[&str]) -> std::process::Output {
        let ns = if side == "west" { &self.west } else { &self.east };
        Command::new("ip").args(["netns", "exec", ns]).args(program).output().unwrap()
    }

    /// One datagram to `to`; true when an ICMP error came back: both passed.
    pub fn reaches(&self, side: &str, to: &str) -> bool {
        let script = format!("exec 3<>/dev/udp/{to}/9; echo hi >&3; read -t 1 -u 3");
        String::from_utf8_lossy(&self.run(side, &["bash", "-c", &script]).stderr).contains("refused")
    }

    /// The kernel's SAs of a side, with their keys.
    pub fn kernel(&self, side: &str) -> String {
        String::from_utf8_lossy(&self.run(side, &["ip", "-s", "xfrm", "state"]).stdout).into_owned()
    }

    /// The kernel's policies of a side.
    pub fn policies(&self, side: &str) -> String {
        String::from_utf8_lossy(&self.run(side, &["ip", "xfrm", "policy"]).stdout).into_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
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
        let found = tokio::time::timeout(Duration::from_secs(20), async {
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
        let read = |file: &str| std::fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        let statements = read("pluto.log").lines().filter(|l| !l.contains(": | ")).map(|l| format!("{l}\n")).collect::<String>();
        read("pluto.out") + &statements + &read("charon.log")
    }
}

/// Commands in a namespace, with private mounts, that die with the thread that started them.
struct Netns(String);

impl Spawner for Netns {
    fn command(&self, program: &str, args: &[OsString], binds: &[(PathBuf, PathBuf)]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.0, "sh", "-ec"]);
        let mounts: String = binds.iter().map(|(from, to)| format!("mount --bind {} {}; ", quoted(from), quoted(to))).collect();
        command.arg(format!("{mounts}exec \"$0\" \"$@\"")).arg(program).args(args);
        command
    }
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}
