//! Two namespaces with a link between them, removed whatever happens.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use faultlab_strongswan::StrongSwan;
use peer::*;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub struct Lab {
    pub west: String,
    pub east: String,
    pub dir: tempfile::TempDir,
    pub driver: StrongSwan,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Lab {
    /// `None`, with the reason on standard error, when this machine cannot.
    pub async fn new() -> Option<Lab> {
        let driver = StrongSwan::new();
        if !rustix_is_root() {
            eprintln!("skipped: needs root for namespaces");
            return None;
        }
        let stem = format!("ssE{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let lab = Lab { west: format!("{stem}w"), east: format!("{stem}e"), dir: tempfile::tempdir().unwrap(), driver };
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
        if let Err(missing) = lab.driver.probe(&lab.place()).await {
            eprintln!("skipped: {missing}");
            return None;
        }
        Some(lab)
    }

    /// Returns where the driver may try its daemon.
    pub fn place(&self) -> Place {
        Place { dir: self.dir.path().join("probe"), spawner: Arc::new(Netns(self.west.clone())), inside: Arc::new(NoInside) }
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
                ike_proposals: vec!["aes128-sha256-ecp256".into()],
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
        let ns = if config.name == "west" { &self.west } else { &self.east };
        let dir = self.dir.path().join(&config.name);
        let launch = Launch { dir: dir.clone(), spawner: Arc::new(Netns(ns.clone())), inside: Arc::new(NoInside), seed: 0, events, config };
        Ok(Node { gateway: self.driver.start(launch).await?, events: receiver, dir })
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

    /// Starts tcpdump on the east side's link; returns when it listens.
    pub fn capture(&self) -> Capture {
        let file = self.dir.path().join("wire.pcap");
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.east, "tcpdump", "--immediate-mode", "-Uni", "wan", "-w"])
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

impl Drop for Lab {
    fn drop(&mut self) {
        for ns in [&self.west, &self.east] {
            let _ = Command::new("ip").args(["netns", "del", ns]).stderr(Stdio::null()).status();
        }
    }
}

fn rustix_is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub struct Capture {
    child: std::process::Child,
    file: PathBuf,
    _said: std::io::BufReader<std::process::ChildStderr>,
}

impl Capture {
    /// Ends the capture and returns the file.
    pub fn stop(mut self) -> PathBuf {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
        self.file.clone()
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
        std::fs::read_to_string(self.dir.join("charon.log")).unwrap_or_default()
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
