//! The driver's face of one gateway.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peer::{Accepted, ChildAction, Connection, DriverError, Gateway, Keys, Launch, Outcome, Spawner, write_private};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::conf::{self, FILE, LOG, POLICIES, SECRETS};
use crate::daemon::{ANSWER, Caller, Daemon, io_error};
use crate::families::Families;
use crate::journal::Journal;
use crate::nss;
use crate::probe::{Dialect, Found};

/// A gateway played by pluto.
pub(crate) struct Pluto {
    found: Found,
    /// With a connection for each child: pluto sets those between the same two up under one IKE SA.
    launch: Launch,
    families: Families,
    notes: Vec<Vec<String>>,
    journal: Journal,
    daemon: Daemon,
    accepted: Vec<Accepted>,
    tasks: Vec<JoinHandle<()>>,
}

impl Pluto {
    pub(crate) async fn start(found: Found, mut launch: Launch) -> Result<Pluto, DriverError> {
        let name = launch.config.name.clone();
        let given = std::mem::take(&mut launch.config.connections);
        let families = Families::of(&given);
        launch.config.connections = given.iter().flat_map(|c| c.children().into_iter().map(|child| c.alone(child))).collect();
        let doing = |what: &'static str| {
            let name = name.clone();
            move |e| io_error(&name, what, e)
        };
        let rendered = conf::render(&found, &launch.config)?;
        std::fs::create_dir_all(launch.dir.join(POLICIES)).map_err(doing("creating the gateway's folder"))?;
        std::fs::write(launch.dir.join(FILE), &rendered.conf).map_err(doing("writing ipsec.conf"))?;
        write_private(&launch.dir.join(SECRETS), &rendered.secrets).map_err(doing("writing ipsec.secrets"))?;
        nss::create(&found, &launch.dir, &launch.config).await.map_err(doing("making the NSS database"))?;
        let (down, closed) = unbounded_channel();
        let (path, events) = (launch.dir.join(LOG), launch.events.clone());
        let journal = Journal::create(path, &name, families.clone(), events, down).map_err(doing("creating pluto.log"))?;
        let follower = journal.follow().map_err(doing("watching pluto.log"))?;
        // Taken down with the gateway also when the start fails.
        let mut tasks = Tasks(vec![follower]);
        let (daemon, accepted) = begin(&found, &launch, &journal, &rendered.notes).await?;
        let forgetful = launch.config.connections.iter().filter(|c| forgets(c)).cloned().collect();
        let remover = Remover { caller: daemon.caller(), spawner: Arc::clone(&launch.spawner), dialect: found.dialect, forgetful };
        tasks.0.push(tokio::spawn(remover.serve(closed)));
        Ok(Pluto { found, launch, families, notes: rendered.notes, journal, daemon, accepted, tasks: std::mem::take(&mut tasks.0) })
    }

    /// Brings one child up.
    async fn initiate_one(&mut self, connection: &str, until: Instant) -> Result<Outcome, DriverError> {
        let revives = conf::revives(self.found.dialect, &self.launch.config, self.launch.config.connection(connection)?);
        let (up, trying, failures) =
            self.journal.ask(|t| t.connection(connection).map_or((false, false, 0), |c| (c.is_up(), c.is_trying(), c.failures)));
        if up && self.daemon.is_running() {
            return Ok(Outcome::Established);
        }
        // An attempt that goes on is joined; another one would be a second IKE SA.
        if !trying || !self.daemon.is_running() {
            // A paused daemon finds the request when it goes on.
            let args = ["--name", connection, "--initiate", "--asynchronous"];
            let Ok(answer) = timeout_at(until, self.daemon.whack(&args)).await else { return Ok(Outcome::Pending) };
            let answer = answer?;
            if !answer.success {
                return Ok(Outcome::Failed { reason: answer.text });
            }
        }
        let ended = self.journal.until(|t| {
            let c = t.connection(connection)?;
            if c.is_up() { Some(Ok(())) } else { (c.failures > failures).then(|| Err(c.reason())) }
        });
        match timeout_at(until, self.daemon.alive(ended)).await {
            Err(_) => Ok(Outcome::Pending),
            Ok(ended) => match ended? {
                Ok(()) => Ok(Outcome::Established),
                Err(reason) => {
                    if revives && self.launch.config.connection(connection)?.keying_tries != 0 {
                        // It would begin anew although all its tries are used up.
                        self.daemon.whack(&["--name", connection, "--terminate"]).await?;
                    }
                    Ok(Outcome::Failed { reason })
                }
            },
        }
    }

    /// Runs `ip` inside the node.
    async fn ip(&self, args: &[&str]) -> Result<(), DriverError> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let mut command = self.launch.spawner.command("ip", &args, &[]);
        let run = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).status();
        match run.await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(io::Error::other(status.to_string())),
            Err(e) => Err(e),
        }
        .map_err(|e| io_error(&self.launch.config.name, &format!("ip {args:?}"), e))
    }
}

struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Pluto {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// One life: process, settings, start-up actions.
async fn begin(found: &Found, launch: &Launch, journal: &Journal, notes: &[Vec<String>]) -> Result<(Daemon, Vec<Accepted>), DriverError> {
    // The salts of AEADs are told only with `crypt`, which makes the log four times as long.
    let aead = |p: &String| ["gcm", "ccm", "chacha"].iter().any(|mode| p.contains(mode));
    let crypt = launch.config.connections.iter().any(|c| c.ike_proposals.iter().any(aead));
    let daemon = Daemon::spawn(found, launch, journal, if crypt { "base,crypt,private" } else { "base,private" }).await?;
    if conf::is_kept_from_reviving(found.dialect, &launch.config) {
        // It would begin anew at once, and for ever.
        daemon.order(&["--impair", "revival"]).await?;
    }
    let mut accepted = Vec::new();
    for (c, notes) in launch.config.connections.iter().zip(notes) {
        accepted.push(add(&daemon, launch, journal, c, notes).await?);
    }
    for c in &launch.config.connections {
        let args: &[&str] = match c.start_action {
            ChildAction::None => continue,
            ChildAction::Trap => &["--name", &c.name, "--route"],
            ChildAction::Start => &["--name", &c.name, "--initiate", "--asynchronous"],
        };
        let answer = daemon.whack(args).await?;
        if !answer.success {
            let setting = format!("start_action of connection {}", c.name);
            return Err(DriverError::Refused { gateway: launch.config.name.clone(), setting, reason: answer.text });
        }
    }
    Ok((daemon, accepted))
}

/// Loads a connection and waits until the daemon has said that it took it: `addconn` itself does not always know.
async fn add(daemon: &Daemon, launch: &Launch, journal: &Journal, c: &Connection, notes: &[String]) -> Result<Accepted, DriverError> {
    let what = format!("connection {}", c.name);
    let refused = |reason: String| DriverError::Refused { gateway: launch.config.name.clone(), setting: what.clone(), reason };
    let answer = daemon.add(&c.name).await?;
    let told = |added: bool| {
        journal.ask(|t| {
            let c = t.connection(&c.name)?;
            if added { c.added.clone() } else { c.refused.clone() }
        })
    };
    if !answer.success {
        let reasons: Vec<String> = [answer.text, told(false).unwrap_or_default()].into_iter().filter(|r| !r.is_empty()).collect();
        return Err(refused(if reasons.is_empty() { "addconn failed and gave no reason".into() } else { reasons.join("; ") }));
    }
    // 5.2 loads the connection without the setting, and calls that a success.
    if let Some(ignored) = answer.text.lines().find(|l| l.contains("ignored") || l.contains("ignoring")) {
        return Err(refused(ignored.trim().to_owned()));
    }
    let Some(added) = told(true) else {
        return Err(refused(format!("addconn said {:?}, and the daemon did not confirm it", answer.text)));
    };
    let warnings = answer.text.lines().filter(|l| l.contains("warning")).map(str::to_owned);
    let all: Vec<String> = std::iter::once(added).chain(notes.iter().cloned()).chain(warnings).collect();
    Ok(Accepted { what, answer: all.join("; ") })
}

/// Nothing is to happen with packets once the peer has closed the child: the daemon would leave a trap for them.
fn forgets(c: &Connection) -> bool {
    let trap = c.start_action == ChildAction::Trap || c.dpd_delay.is_some() && c.dpd_action != ChildAction::None;
    c.close_action == ChildAction::None && !trap
}

/// Removes the traps that are left behind by closed children.
struct Remover {
    caller: Caller,
    spawner: Arc<dyn Spawner>,
    dialect: Dialect,
    /// Connections that are to have none.
    forgetful: Vec<Connection>,
}

impl Remover {
    /// Works until nobody can say any more that a child was closed.
    async fn serve(self, mut closed: UnboundedReceiver<String>) {
        while let Some(name) = closed.recv().await {
            if let Some(c) = self.forgetful.iter().find(|c| c.name == name) {
                // Without a daemon there is nobody to do it; a paused one gets it when it goes on.
                let _ = timeout_at(Instant::now() + ANSWER, self.remove(c)).await;
            }
        }
    }

    async fn remove(&self, c: &Connection) -> io::Result<()> {
        if self.dialect == Dialect::Old {
            return self.caller.clone().whack(&["--name", &c.name, "--unroute"]).await.map(drop);
        }
        // There `--unroute` would end the IKE SA as well, so the trap is taken out of the kernel. Once the daemon answers, it is in there.
        self.caller.clone().whack(&["--showstates"]).await?;
        let (Some(near), Some(far)) = (c.local_ts.first(), c.remote_ts.first()) else { return Ok(()) };
        let (near, far) = (near.trunc().to_string(), far.trunc().to_string());
        let words = ["xfrm", "policy", "delete", "src", &near, "dst", &far, "dir", "out"].map(OsString::from);
        let mut ip = self.spawner.command("ip", &words, &[]);
        // It fails where no trap was left: only what the daemon itself has initiated leaves one.
        ip.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).status().await.map(drop)
    }
}

#[async_trait]
impl Gateway for Pluto {
    fn pid(&self) -> Option<u32> {
        self.daemon.pid()
    }

    fn accepted(&self) -> Vec<Accepted> {
        self.accepted.clone()
    }

    async fn initiate(&mut self, connection: &str, deadline: Duration) -> Result<Outcome, DriverError> {
        let until = Instant::now() + deadline;
        let mut reasons = Vec::new();
        // One after the other, so that the first one's IKE SA serves all.
        for child in self.families.children(connection) {
            match self.initiate_one(&child, until).await? {
                Outcome::Established => {}
                Outcome::Failed { reason } => reasons.push(if child == connection { reason } else { format!("{child}: {reason}") }),
                Outcome::Pending => return Ok(Outcome::Pending),
            }
            let children = self.families.children(connection);
            if !self.journal.ask(|t| children.iter().filter_map(|c| t.connection(c)).any(|c| c.has_ike_sa())) {
                break;
            }
        }
        Ok(if reasons.is_empty() { Outcome::Established } else { Outcome::Failed { reason: reasons.join("; ") } })
    }

    async fn keys(&mut self) -> Keys {
        self.journal.keys()
    }

    async fn stop(&mut self, kill: bool) -> Result<(), DriverError> {
        self.daemon.stop(kill).await
    }

    async fn restart(&mut self) -> Result<(), DriverError> {
        if self.daemon.is_running() {
            self.daemon.stop(true).await?;
        }
        // A killed daemon leaves its SAs and policies to the kernel.
        self.ip(&["xfrm", "state", "flush"]).await?;
        self.ip(&["xfrm", "policy", "flush"]).await?;
        self.journal.new_life();
        (self.daemon, self.accepted) = begin(&self.found, &self.launch, &self.journal, &self.notes).await?;
        Ok(())
    }

    async fn pause(&mut self, paused: bool) -> Result<(), DriverError> {
        self.daemon.pause(paused)
    }

    async fn describe(&mut self) -> Result<String, DriverError> {
        if !self.daemon.is_running() {
            return Ok(format!("{}: not running; last log line: {}\n", self.launch.config.name, self.journal.last()));
        }
        let mut text = String::new();
        for what in ["--showstates", "--trafficstatus", "--status"] {
            let answer = self.daemon.order(&[what]).await?;
            text += &format!("whack {what}\n{}\n\n", if answer.is_empty() { "no SAs" } else { &answer });
        }
        Ok(text)
    }
}
