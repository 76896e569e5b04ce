//! Which connections the daemon initiates.
//!
//! iked has no command that brings a connection up. It initiates what its configuration calls `active`, two seconds after it
//! has read the configuration and then each minute, as long as there is no SA. So a connection is made active when it shall
//! come up, and passive again when that is over. Reading a configuration ends IKE SAs that are being set up (`sa_free:
//! reload`), but not those that are up: others' set-ups are waited for, within reason.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use peer::{Accepted, ChildAction, Connection, DriverError, GatewayConfig, Launch, write_private};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::conf::{FILE, Refusal, render};
use crate::daemon::{Daemon, io_error};
use crate::log::Tracker;
use crate::traps;

/// For the daemon to take a configuration.
const LOADED: Duration = Duration::from_secs(10);
/// How long others' set-ups are waited for before a connection is initiated.
const POLITE: Duration = Duration::from_secs(2);
/// And before one is made passive again: less than iked's minute.
const PATIENT: Duration = Duration::from_secs(40);

/// Controls one life of the daemon.
pub(crate) struct Control {
    pub(crate) daemon: Daemon,
    launch: Arc<Launch>,
    /// One configuration at a time.
    loading: Mutex<()>,
}

impl Control {
    pub(crate) fn new(daemon: Daemon, launch: Arc<Launch>) -> Arc<Control> {
        daemon.books.lock().active = at_start(&launch.config);
        let control = Arc::new(Control { daemon, launch, loading: Mutex::new(()) });
        tokio::spawn(tend(Arc::downgrade(&control)));
        control
    }

    /// Begins to initiate a connection.
    pub(crate) async fn activate(&self, connection: &str) -> Result<(), DriverError> {
        let _one = self.loading.lock().await;
        self.settled(POLITE).await;
        {
            let mut books = self.daemon.books.lock();
            books.attempts.remove(connection);
            books.active.insert(connection.to_owned());
        }
        self.load().await
    }

    /// Makes a connection passive again if its attempt is still over.
    async fn relax(&self, connection: &Connection) -> Result<(), DriverError> {
        self.settled(PATIENT).await;
        let _one = self.loading.lock().await;
        let over = {
            let mut books = self.daemon.books.lock();
            is_over(&books, connection) && books.active.remove(&connection.name)
        };
        if !over {
            return Ok(());
        }
        let done = self.load().await;
        if done.is_err() {
            self.daemon.books.lock().active.insert(connection.name.clone());
        }
        done
    }

    /// Waits until no IKE SA is being set up, but not for ever: it would be lost then.
    async fn settled(&self, patience: Duration) {
        let _ = timeout_at(Instant::now() + patience, self.daemon.books.until(|t| (!t.half_open()).then_some(()))).await;
    }

    async fn load(&self) -> Result<(), DriverError> {
        let (active, before) = {
            let books = self.daemon.books.lock();
            (books.active.clone(), books.loads)
        };
        write_configuration(&self.launch, &active)?;
        self.daemon.ikectl(&["load", FILE]).await?;
        self.daemon.within(LOADED, "iked to take its configuration", |t| (t.loads > before).then_some(())).await
    }
}

/// Writes `iked.conf`.
pub(crate) fn write_configuration(launch: &Launch, active: &BTreeSet<String>) -> Result<(), DriverError> {
    let text = configuration(&launch.config, active)?;
    write_private(&launch.dir.join(FILE.trim_start_matches('/')), &text).map_err(|e| io_error(&launch.config.name, "writing iked.conf", e))
}

/// The text of `iked.conf`.
pub(crate) fn configuration(config: &GatewayConfig, active: &BTreeSet<String>) -> Result<String, DriverError> {
    config.refuse_special(&["auth", "fragmentation", "more_children"], "it is not translated for OpenIKED")?;
    render(config, active).map_err(|Refusal { setting, reason }| DriverError::Refused { gateway: config.name.clone(), setting, reason })
}

/// Connections that are active from the start.
pub(crate) fn at_start(config: &GatewayConfig) -> BTreeSet<String> {
    config.connections.iter().filter(|c| c.start_action == ChildAction::Start).map(|c| c.name.clone()).collect()
}

/// What the daemon said about each connection.
pub(crate) fn accepted(daemon: &Daemon, config: &GatewayConfig) -> Vec<Accepted> {
    let books = daemon.books.lock();
    let policies = config.connections.iter().filter_map(|c| Some((c, books.policies.get(&c.name)?)));
    // It repeats the key, which belongs in no report.
    policies.map(|(c, policy)| Accepted { what: format!("connection {}", c.name), answer: config.hide_secrets(policy) }).collect()
}

/// Has the connection's attempt ended, and shall there be no other?
pub(crate) fn is_over(books: &Tracker, c: &Connection) -> bool {
    match books.attempts.get(&c.name).map(|a| (a.tries, &a.result)) {
        // iked's own repetition brings it up again.
        Some((_, Some(Ok(())))) => ![c.dpd_action, c.close_action].contains(&ChildAction::Start),
        Some((tries, Some(Err(_)))) => c.keying_tries != 0 && tries >= c.keying_tries,
        _ => false,
    }
}

/// Looks after connections whose attempt is over and children that went down, until the daemon ends or the gateway has let
/// go of it. An error is the daemon's end, too, which its watcher reports.
async fn tend(control: Weak<Control>) {
    loop {
        let Some(this) = control.upgrade() else { return };
        let (books, ended) = (this.daemon.books.clone(), this.daemon.end());
        let launch = Arc::clone(&this.launch);
        drop(this);
        let connections = &launch.config.connections;
        let next = books.until(|t| {
            if t.paused {
                return None;
            }
            let over = connections.iter().find(|c| t.active.contains(&c.name) && is_over(t, c)).map(Next::Relax);
            over.or_else(|| {
                let fallen = t.fallen.pop()?;
                Some(connections.iter().find(|c| c.name == fallen).map_or(Next::Nothing, Next::Fallen))
            })
        });
        let next = tokio::select! {
            next = next => next,
            () = ended => return,
        };
        let Some(this) = control.upgrade() else { return };
        let done = match next {
            Next::Relax(c) => this.relax(c).await,
            Next::Fallen(c) if [c.dpd_action, c.close_action].contains(&ChildAction::Trap) => traps::install(&launch, c).await,
            Next::Fallen(_) | Next::Nothing => Ok(()),
        };
        // Frozen in the middle of it: again, later.
        if done.is_err() && !books.lock().paused {
            return;
        }
    }
}

/// What [`tend`] has to do.
enum Next<'a> {
    Relax(&'a Connection),
    Fallen(&'a Connection),
    Nothing,
}
