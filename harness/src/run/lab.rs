//! The cell side of a run: builds the world, starts everything, lets the script run while packets arrive, reports.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peer::{DriverError, Gateway, GatewayEvent, Launch, Probe};
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::faults::FaultBook;
use super::judge::Judge;
use super::ledger::{Ledger, Message};
use super::lives::Lives;
use super::outcome::{HealthReport, SideReport, Trouble, Whose};
use super::supervise::{Pace, fetch_keys, supervise};
use super::traffic::Nodes;
use super::traffic::services::Services;
use super::worlds::WorldKind;
use super::{artefacts, attend, certificates, drivers, evidence, panics, probing, shortage, unread, unsent};
use crate::capture::ring::{How, RecordError, Recorder, Rings};
use crate::cli::exit::Exit;
use crate::dissect::Frame;
use crate::event::What;
use crate::limits;
use crate::report::to_stderr;
use crate::scenario::model::Plan;
use crate::time::Timestamp;
use crate::world::build::{World, WorldError};
use crate::world::cell::{EventSink, publish};

/// What a packet takes over a link in the pocket world. Virtual time goes on only when everybody waits, so all that a packet
/// sets off is done before the next one comes; without a delay a response comes while its request is still being sent, which
/// happens on no real link, and whether charon can take it then is chance.
const POCKET_DELAY: Duration = Duration::from_millis(1);

/// What the parent wants of a cell.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Run a side.
    Side(Box<Job>),
    /// Say what these gateway implementations can do there.
    Probe(Vec<String>),
}

/// A side to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// What to run.
    pub plan: Plan,
    /// Implementation of each gateway.
    pub implementations: BTreeMap<String, String>,
    /// What was found of them in this world.
    pub probes: BTreeMap<String, Probe>,
    /// Evidence folder of this side.
    pub dir: PathBuf,
    /// Title line of the capture file.
    pub title: String,
    /// Stay alive after the report until the parent goes away.
    pub keep: bool,
    /// The world it runs in.
    pub world: WorldKind,
}

/// Everything that the parts of a running side share.
pub struct Lab {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Evidence folder.
    pub dir: PathBuf,
    /// Nodes and links.
    pub world: Rc<World>,
    /// Events.
    pub ledger: Rc<Ledger>,
    /// Capture and expectations.
    pub judge: RefCell<Judge>,
    /// Gateways by node name.
    pub gateways: BTreeMap<String, Mutex<Box<dyn Gateway>>>,
    /// Running services.
    pub services: RefCell<Services>,
    /// Faults.
    pub faults: RefCell<FaultBook>,
    /// Every packet up to this moment has been delivered.
    pub captured: Cell<Timestamp>,
    /// Somebody waits until everything up to this moment has been delivered.
    pub wanted: Cell<Timestamp>,
    /// Makes the supervisor look soon: told by whoever waits for that, or has changed what it cannot hear of.
    pub look: Notify,
    /// Changes whenever packets have arrived, or `captured` has moved.
    pub arrivals: watch::Sender<u64>,
    /// Changes whenever a gateway has reported something.
    pub reports: watch::Sender<u64>,
    /// Daemons, services and tasks that must go on.
    pub lives: Lives,
    /// Faults that are being set because of a packet.
    pub tasks: RefCell<JoinSet<()>>,
    /// Health probes' result.
    pub health: RefCell<Option<HealthReport>>,
}

impl Nodes for World {
    fn sockets(&self, node: &str) -> Option<Arc<dyn runtime::Sockets>> {
        self.node(node).ok().map(|n| n as Arc<dyn runtime::Sockets>)
    }
}

/// The cell's main function.
pub fn cell_main(job: Vec<u8>, sink: EventSink) -> i32 {
    let order: Order = match serde_json::from_slice(&job) {
        Ok(order) => order,
        Err(e) => {
            to_stderr(&format!("the cell cannot read its job: {e}"));
            return Exit::Bug as i32;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            to_stderr(&format!("the cell cannot start its runtime: {e}"));
            return Exit::Machine as i32;
        }
    };
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let job = match order {
            Order::Side(job) => *job,
            Order::Probe(names) => {
                sink.emit(&Message::Probed(probing::here(&names).await));
                return 0;
            }
        };
        side(job, sink).await;
        0
    })
}

async fn side(job: Job, sink: EventSink) {
    panics::watch();
    let started = Timestamp::now();
    let (ledger, unwritten) = Ledger::new(&job.dir, sink);
    let ledger = Rc::new(ledger);
    let mut plan = job.plan.clone();
    // Before the deadline begins to run: RSA keys take their time.
    certificates::issue(&mut plan, started.0 / 1_000_000_000);
    let plan = Arc::new(plan);
    let mut report = SideReport::begun(&plan, job.dir.clone(), started);
    // What stays alive until the report is out (and, with --keep, until the parent goes).
    let mut alive = None;
    let carried_out = match unwritten {
        None => carry_out(&job, plan, &ledger, &mut report).await,
        Some(e) => Err(unwritable(&e)),
    };
    match carried_out {
        Ok(lab) => alive = Some(lab),
        Err(trouble) => report.trouble = Some(trouble),
    }
    report.elapsed = Timestamp::now().since(started);
    let written = evidence::write_report(&job.dir, &report).and_then(|()| match job.world {
        WorldKind::Host => Ok(()),
        WorldKind::Pocket => publish(&job.dir),
    });
    if let Err(e) = written {
        // The parent hears of it by another way than the disk.
        report.trouble.get_or_insert(unwritable(&e));
    }
    ledger.report(report);
    if job.keep {
        std::future::pending::<()>().await;
    }
    drop(alive);
}

fn unwritable(e: &std::io::Error) -> Trouble {
    trouble(Whose::Machine, format!("cannot write the evidence: {e}"))
}

async fn carry_out(job: &Job, plan: Arc<Plan>, ledger: &Rc<Ledger>, report: &mut SideReport) -> Result<Rc<Lab>, Trouble> {
    let deadline = Instant::now() + plan.deadline;
    ledger.emit(What::Phase { name: "network".into() });
    let refused = |e: WorldError| trouble(Whose::Machine, e.to_string());
    let uncaptured = |e: RecordError| trouble(Whose::Machine, format!("capture: {e}"));
    let world = Rc::new(World::found(&plan.network).map_err(refused)?);
    let taps = plan.taps();
    let (how, delay) = match job.world {
        WorldKind::Host => (How::of(taps.len()), None),
        WorldKind::Pocket => (How::OneByOne, Some(POCKET_DELAY)),
    };
    let rings = Rings::open(&world, &taps, how).map_err(uncaptured)?;
    world.connect(delay).map_err(refused)?;
    for node in &plan.network.nodes {
        if let Ok(handle) = world.node(&node.name) {
            ledger.emit(What::NodeUp { node: node.name.clone(), fd: handle.netns_fd() });
        }
    }
    let (recorder, mut frames) = Recorder::start(rings).map_err(uncaptured)?;
    let mut book = FaultBook::new(&plan);
    book.set_network_faults(&world, &plan, ledger);
    let services = Services::start(&plan.services, &*world).map_err(|e| trouble(Whose::Scenario, format!("services: {e}")))?;
    ledger.emit(What::Phase { name: "gateways".into() });
    let (events_in, mut events) = mpsc::unbounded_channel();
    let lives = Lives::new(job.implementations.clone(), report.started);
    let started = start_gateways(job, &plan, &world, &events_in).await;
    let gateways = started.map_err(|trouble| attend::hear_of_the_start(&lives, ledger, &mut events).unwrap_or(trouble))?;
    limits::enough_left().map_err(|text| trouble(Whose::Machine, text))?;
    for name in gateways.keys() {
        ledger.emit(What::Daemon { gateway: name.clone(), state: "started".into() });
    }
    let lab = Rc::new(Lab {
        judge: RefCell::new(Judge::new(Arc::clone(&plan), taps)),
        plan,
        dir: job.dir.clone(),
        world,
        ledger: Rc::clone(ledger),
        gateways,
        services: RefCell::new(services),
        faults: RefCell::new(book),
        captured: Cell::new(Timestamp(0)),
        wanted: Cell::new(Timestamp(0)),
        look: Notify::new(),
        arrivals: watch::Sender::new(0),
        reports: watch::Sender::new(0),
        lives,
        tasks: RefCell::default(),
        health: RefCell::new(None),
    });
    let pace = Pace::of(job.world);
    supervise(&lab, &recorder, &mut frames, &mut events, deadline, pace).await;
    conclude(job, &lab, recorder, frames, &mut events, report).await.map_err(|e| unwritable(&e))?;
    Ok(lab)
}

fn trouble(whose: Whose, text: String) -> Trouble {
    Trouble { whose, text }
}

async fn start_gateways(
    job: &Job,
    plan: &Plan,
    world: &Rc<World>,
    events: &mpsc::UnboundedSender<GatewayEvent>,
) -> Result<BTreeMap<String, Mutex<Box<dyn Gateway>>>, Trouble> {
    // Their secrets, and the keys that their logs tell, are for who runs the lab.
    let folder = job.dir.join(artefacts::GATEWAYS);
    peer::make_private_folder(&folder).map_err(|e| trouble(Whose::Machine, format!("cannot make {}: {e}", folder.display())))?;
    for (name, probe) in &job.probes {
        if let Some(driver) = drivers::find(name) {
            driver.remember(probe);
        }
    }
    let starts = plan.gateways.iter().map(|g| async {
        let name = g.config.name.clone();
        let implementation = job.implementations.get(&name).map(String::as_str).unwrap_or_default();
        let driver = drivers::find(implementation).ok_or_else(|| trouble(Whose::Us, format!("no driver `{implementation}` for {name}")))?;
        let node = world.node(&name).map_err(|e| trouble(Whose::Us, e.to_string()))?;
        let dir = job.dir.join(artefacts::GATEWAYS).join(&name);
        make_dir(&dir)?;
        let seed = seed(&plan.scenario, &name);
        let launch = Launch { config: g.config.clone(), dir, spawner: node.clone(), inside: node, seed, events: events.clone() };
        let gateway = driver.start(launch).await.map_err(|e| match e {
            // What the default implementation refuses is a mistake of the scenario.
            DriverError::Refused { .. } if !drivers::is_default(implementation) => trouble(Whose::Peer, e.to_string()),
            _ => driver_trouble(&e),
        })?;
        Ok::<_, Trouble>((name, Mutex::new(gateway)))
    });
    futures_util::future::try_join_all(starts).await.map(|all| all.into_iter().collect())
}

/// The same for both twins, and whenever the scenario is run.
fn seed(scenario: &str, gateway: &str) -> u64 {
    let hash = Sha1::digest(format!("{scenario}/{gateway}"));
    hash.iter().take(8).fold(0, |n, octet| n << 8 | u64::from(*octet))
}

fn make_dir(dir: &Path) -> Result<(), Trouble> {
    std::fs::create_dir_all(dir).map_err(|e| trouble(Whose::Machine, format!("cannot make {}: {e}", dir.display())))
}

/// Whose fault a driver's failure is.
pub fn driver_trouble(e: &DriverError) -> Trouble {
    let whose = match e {
        DriverError::Missing(_) => Whose::Machine,
        DriverError::Refused { .. } => Whose::Scenario,
        DriverError::Died { ending, .. } if ending.killed => Whose::Outside,
        DriverError::Timeout { .. } | DriverError::Died { .. } => Whose::Peer,
        DriverError::Io { .. } if e.is_broken_connection() => Whose::Peer,
        DriverError::Io { .. } => Whose::Machine,
    };
    trouble(whose, e.to_string())
}

async fn conclude(
    job: &Job,
    lab: &Rc<Lab>,
    recorder: Recorder,
    mut frames: mpsc::UnboundedReceiver<Vec<Frame>>,
    events: &mut mpsc::UnboundedReceiver<GatewayEvent>,
    report: &mut SideReport,
) -> std::io::Result<()> {
    lab.ledger.emit(What::Phase { name: "judging".into() });
    attend::tasks_and_services(lab);
    lab.tasks.borrow_mut().abort_all();
    let stats = recorder.finish().map_err(std::io::Error::other)?;
    while let Ok(batch) = frames.try_recv() {
        lab.judge.borrow_mut().frames(batch);
    }
    attend::conclude(lab, events).await?;
    fetch_keys(lab).await;
    lab.faults.borrow_mut().prove(lab, true);
    let now = Timestamp::now();
    let mut judge = lab.judge.borrow_mut();
    report.lost = stats.dropped();
    report.expects = judge.finish(&lab.ledger.events(), now, report.lost);
    report.warnings = unread::sentences(&lab.ledger.events(), judge.capture(), judge.keys());
    report.packets = judge.capture().records.len() as u64;
    report.faults = lab.faults.borrow().report();
    report.health = lab.health.borrow_mut().take();
    // What a machine that ran short ended, or a daemon that died kept from happening, is no mistake of the scenario.
    report.trouble = shortage::find(&lab.ledger.events()).or_else(|| lab.lives.trouble().clone()).or_else(|| {
        let unsent = unsent::mistake(&lab.plan, &lab.ledger.events(), judge.capture(), report.health.as_ref());
        unsent.map(|text| trouble(Whose::Scenario, text))
    });
    evidence::write_all(job, &judge, &report.expects, &stats)
}
